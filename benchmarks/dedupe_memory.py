"""What ten million remembered identities weigh, and what one costs on its way in.

Events come in batches of 100, evenly over the window, as at a steady rate. Memory is the growth of
the process's resident set; time is CPU of claiming and remembering, with all of them in place.

Budget: 10 million identities in less than 1.2 GB.
"""

import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.dedupe import IdentityWindow

MANY = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
BATCH = 100
PROBES = 2_000
WINDOW = timedelta(hours=24)


def main() -> None:
    """Fill one window and print its weight and its price."""
    window = IdentityWindow(WINDOW)
    at = datetime(2026, 11, 22, tzinfo=UTC)
    before = resident_bytes()
    batches = MANY // BATCH
    for _ in range(batches):
        at += WINDOW / batches
        window.remember(window.claim(identities()), at)
    grown = resident_bytes() - before
    print(
        f"dedupe window: {len(window):,} identities, {grown / 1e9:.2f} GB (< 1.2),"
        f" {grown / len(window):.0f} bytes each"
    )
    probes = [identities() for _ in range(PROBES)]
    started = time.process_time()
    for probe in probes:
        window.remember(window.claim(probe), at)
    fresh = time.process_time() - started
    started = time.process_time()
    for probe in probes:
        window.claim(probe)
    known = time.process_time() - started
    count = PROBES * BATCH / 1e6
    print(
        f"dedupe window: {fresh / count:.2f} us a new identity, {known / count:.2f} us a known one"
    )


def identities() -> list[str]:
    """Return identities that were never sent, as the native door makes them."""
    return [f"native:{uuid.uuid4()}" for _ in range(BATCH)]


def resident_bytes() -> int:
    """Return the memory that this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell the resident set")


if __name__ == "__main__":
    main()
