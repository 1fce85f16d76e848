"""How long ``candor --help`` takes beyond importing typer: what every command pays before it works.

Wall time of whole processes, in turn, median of five.

Budget: at most 0.3 s more.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 5


def main() -> None:
    """Time both in turn and print both numbers and their difference."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    commands = {
        "help": [sys.executable, "-m", "candor", "--help"],
        "typer": [sys.executable, "-c", "import typer"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - started)
    whole, floor = (statistics.median(times[name]) for name in ("help", "typer"))
    print(
        f"candor --help: {whole:.2f} s, import typer: {floor:.2f} s,"
        f" {whole - floor:.2f} s more (<= 0.30 s), ratio {whole / floor:.1f}"
    )


if __name__ == "__main__":
    main()
