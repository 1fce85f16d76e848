"""What a registered contract costs on top of decoding and validating native events.

One thread, no server: the bodies of the native door's benchmark (100 events of about 870 bytes) are
decoded and validated as the door does it, without a contract and with one that constrains ten
fields, once compiled and once by jsonschema-rs. CPU time of the process, median of five rounds.

Budget: the compiled contract adds <= 0.6 of the floor.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.native_door import EVENTS, batch
from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine, session_of
from candor.kernel.migrate import migrate_state
from candor.kernel.secrets import Secrets
from candor.kernel.settings import ContractSettings, LimitSettings
from collector.contracts.register import ContractRegister
from collector.contracts.schemas import ContractBody
from collector.contracts.store import register
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native

ROUNDS = 5
BATCHES = 300
CONTRACT = Path(__file__).parent.parent / "examples" / "checkout-payment-contract.yaml"


def main() -> None:
    """Run the rounds and print the costs and their ratios to the floor."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = open_register(Path(folder) / "compiled.db", {})
        slow = open_register(Path(folder) / "slow.db", {"minProperties": 1})
        rounds = [measure(compiled, slow) for _ in range(ROUNDS)]
    floor = statistics.median(one[0] for one in rounds)
    print(f"contracts, decode and validate alone: {floor:.2f} us/event (floor)")
    for place, name, budget in ((1, "compiled", "<= 0.6"), (2, "jsonschema-rs", "no budget")):
        cost = statistics.median(one[place] for one in rounds)
        ratio = statistics.median(one[place] / one[0] for one in rounds)
        print(f"contracts, {name}: + {cost:.2f} us/event, {ratio:.2f} of the floor ({budget})")


def open_register(path: Path, extra: dict[str, int]) -> ContractRegister:
    """Return a register that knows the example's contract; ``extra`` keeps it from compiling."""
    engine = open_engine(f"sqlite:///{path}")
    migrate_state(engine)
    document = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    name, version = document.pop("name"), document.pop("version")
    document["schema"] |= extra
    with session_of(engine) as session:
        register(session, ContractBody.model_validate(document).contract(name, version), utc_now())
    contracts = ContractRegister(engine, ContractSettings(), utc_now)
    contracts.refresh()
    return contracts


def measure(compiled: ContractRegister, slow: ContractRegister) -> tuple[float, float, float]:
    """Return microseconds an event: decoding alone, and what each kind of contract adds."""
    bodies = [batch() for _ in range(BATCHES)]
    secrets = Secrets(*[bytes(32)] * 7)
    costs = [0.0, 0.0, 0.0]
    for body in bodies:
        reception = Reception(utc_now(), LimitSettings(), secrets)
        started = time.process_time()
        decoded = decode_native(body, "application/json", reception)
        costs[0] += time.process_time() - started
        for place, contracts in ((1, compiled), (2, slow)):
            started = time.process_time()
            refused = contracts.refusals(decoded)
            costs[place] += time.process_time() - started
            if refused:
                raise RuntimeError(next(iter(refused.values())).message)
    floor, *added = (cost / (BATCHES * EVENTS) * 1e6 for cost in costs)
    return floor, added[0], added[1]


if __name__ == "__main__":
    main()
