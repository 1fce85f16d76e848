"""``candor demo``: see the main job on a month of simulated traffic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from candor.commands.console import say, told_errors

_EVENTS = 205_000
_SPARINGLY = 50_000


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    events: Annotated[int, typer.Option("--events", min=100, help="How many events.")] = _EVENTS,
    port: Annotated[int, typer.Option("--port", envvar="CANDOR_PORT", help="Port.")] = 8080,
) -> None:
    """Simulate a month of a shop's customers, send it through the doors, print the summary.

    Its data lies under .candor/demo and is made anew each time.

    Example: candor demo --once
    """
    from candor.demo import run_demo  # noqa: PLC0415 - keeps --help quick

    with told_errors(), _progress() as advance:
        run_demo(events, once=once, port=port, advance=advance)


@contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    """Show a bar on a terminal, and a line now and then elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - keeps --help quick
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    if not console.is_terminal:
        sent = 0

        def tell(done: int, total: int) -> None:
            nonlocal sent
            if (sent + done) // _SPARINGLY > sent // _SPARINGLY:
                say(f"sent {sent + done:,} of {total:,}")
            sent += done

        yield tell
        return
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("Sending events", total=None)

    def advance(done: int, total: int) -> None:
        progress.start()
        progress.update(task, total=total, advance=done)
        if progress.finished:
            progress.stop()

    try:
        yield advance
    finally:
        progress.stop()
