"""What must be agreed before a contract is approved, as data that a review can work through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist; ``key`` is the field of the contract that answers it."""

    key: str
    question: str


CHECKLIST: tuple[Item, ...] = (
    Item("owner", "Who answers for it?"),
    Item("version", "Which version is it?"),
    Item("purposes", "For which consent purposes may it be used?"),
    Item("reentry", "May the same person enter again, and when?"),
    Item("dedupe_key", "What makes two of them the same?"),
    Item("failure_path", "What happens to one that cannot be used?"),
)


def missing_items(document: Mapping[str, Any]) -> list[Item]:
    """Return the lines of the checklist that a contract, or a draft of one, leaves open."""
    return [item for item in CHECKLIST if not _answers(document.get(item.key))]


def review_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reviewer sees: each line with its answer, what is missing, and the verdict."""
    missing = {item.key for item in missing_items(document)}
    return {
        "name": document.get("name"),
        "version": document.get("version"),
        "checklist": [
            {
                "item": item.key,
                "question": item.question,
                "answer": document.get(item.key),
                "present": item.key not in missing,
            }
            for item in CHECKLIST
        ],
        "missing": [item.key for item in CHECKLIST if item.key in missing],
        "complete": not missing,
    }


def _answers(value: object) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)
