"""Annotations: what happened beside the measurements, such as a deployment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["deployment", "incident", "flag", "note"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mark at an instant, or over a span when it has an ``until``; it changes no budget."""

    id: str
    kind: Kind
    service: str | None
    objective: str | None
    at: datetime
    until: datetime | None
    text: str
    link: str | None
    author: str
    created_at: datetime
