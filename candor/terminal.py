"""How objectives and funnels look in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

_WIDEST = 10_000


def print_objectives(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each objective: target, measured, budget left, fastest and slowest burn.

    Fits into 80 columns of a terminal: only a long name is folded, and in a pipe none is.
    """
    title = "Objectives: budget left, burn rate over 1h and 3d"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("objective", overflow="fold")
    for heading in ("target", "measured", "bad", "of", "left", "1h", "3d", "alert"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        budget, tiers = row["budget"], row["burn"]["tiers"]
        table.add_row(
            budget["name"],
            percent(budget["target"], places=2),
            percent(budget["sli"]),
            _count(budget["bad"]),
            _count(budget["valid"]),
            percent(budget["remaining"], places=1),
            _burn(tiers[0]["long_burn"]),
            _burn(tiers[-1]["long_burn"]),
            _alert(row),
        )
        for value in budget.get("values", ()):
            table.add_row(
                f"  {budget['by']}={value['value'] or '(none)'}",
                "",
                percent(value["sli"]),
                _count(value["bad"]),
                _count(value["valid"]),
                percent(value["remaining"], places=1),
                *("", "", ""),
            )
    _console().print(table)


def print_contributions(document: Mapping[str, Any]) -> None:
    """Print a line for each value of a field: its events, and its share of the bad ones."""
    title = f"Where the budget of {document['name']} went, by {document['by']}"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column(document["by"], overflow="fold")
    for heading in ("bad", "of", "share of bad", "of the budget"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [(one["value"] or "(none)", one) for one in document["values"]]
    if document["others"] is not None:
        rows.append((f"({document['other_values']} others)", document["others"]))
    for value, one in rows:
        table.add_row(
            value,
            _count(one["bad"]),
            _count(one["valid"]),
            percent(one["share_of_bad"], places=1),
            percent(one["consumed"], places=1),
        )
    _console().print(table)


def print_funnel(document: Mapping[str, Any], title: str = "Funnel") -> None:
    """Print a line for each step, and a table for each breakdown value."""
    _print_steps(document["steps"], title)
    for value, steps in document.get("breakdown", {}).items():
        _print_steps(steps, f"{title}: {value or '(none)'}")


def percent(ratio: float | None, places: int = 3) -> str:
    """Return a ratio as percent, cut and never rounded up; a dash for what is unknown."""
    if ratio is None:
        return "-"
    scale = 10 ** (places + 2)
    cut = int(ratio * scale + 1e-9) if ratio >= 0 else -int(-ratio * scale + 1 - 1e-9)
    return f"{cut / 10**places:.{places}f} %"


def _print_steps(steps: Sequence[Mapping[str, Any]], title: str) -> None:
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("step", overflow="fold")
    for heading in ("count", "from previous", "from first", "median seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in steps:
        seconds = step["median_seconds"]
        table.add_row(
            step["label"] if "label" in step else step["event"],
            _count(step["count"]),
            percent(step["from_previous"], places=1),
            percent(step["from_first"], places=1),
            "-" if seconds is None else f"{seconds:,.1f}",
        )
    _console().print(table)


def _alert(row: Mapping[str, Any]) -> str:
    """Return the first tier that fires; ``policy`` where policies alert, and so no tier can."""
    if row["alert_policies"]:
        return "policy"
    return next((tier["tier"] for tier in row["burn"]["tiers"] if tier["firing"]), "-")


def _console() -> Console:
    """Return a console as wide as the terminal; in a file or a pipe, as wide as the lines are."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDEST)


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _burn(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2f}x"
