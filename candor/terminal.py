"""How objectives and funnels look in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_objectives(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each objective: target, measured, budget left, burn by tier."""
    table = Table(title="Objectives", title_justify="left")
    for heading in ("objective", "window", "target", "measured", "valid", "bad", "budget left"):
        table.add_column(heading, justify="left" if heading == "objective" else "right")
    for heading in ("burn 1h", "burn 6h", "burn 24h", "burn 3d", "alert"):
        table.add_column(heading, justify="right")
    for row in rows:
        budget, tiers = row["budget"], row["burn"]["tiers"]
        firing = [tier["tier"] for tier in tiers if tier["firing"]]
        table.add_row(
            budget["name"],
            _days(budget["window"]),
            percent(budget["target"]),
            percent(budget["sli"]),
            _count(budget["valid"]),
            _count(budget["bad"]),
            percent(budget["remaining"], places=1),
            *(_burn(tier["long_burn"]) for tier in tiers),
            ", ".join(firing) or "-",
        )
    Console().print(table)


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
    table = Table(title=title, title_justify="left")
    table.add_column("step")
    for heading in ("count", "from previous", "from first", "median seconds"):
        table.add_column(heading, justify="right")
    for step in steps:
        seconds = step["median_seconds"]
        table.add_row(
            step["label"] if "label" in step else step["event"],
            _count(step["count"]),
            percent(step["from_previous"], places=1),
            percent(step["from_first"], places=1),
            "-" if seconds is None else f"{seconds:,.1f}",
        )
    Console().print(table)


def _days(window: Mapping[str, str]) -> str:
    from datetime import datetime  # noqa: PLC0415 - used here alone

    length = datetime.fromisoformat(window["until"]) - datetime.fromisoformat(window["since"])
    return f"{length.days}d"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _burn(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2f}x"
