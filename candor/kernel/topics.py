"""How topics and the shapes of their messages are written in one variable."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

Shape = Literal["native", "segment", "cloudevents"]

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,114}")
_SPLIT = re.compile(r"[:=]")


def read_topics(value: object) -> Mapping[str, object]:
    """Return the shape of each topic.

    A mapping says it all. A list, or a text with commas, holds ``topic:shape`` or ``topic``, whose
    shape is native then. Text may be JSON too. Names are shorter than Kafka allows: they must fit
    into the name of a source, and with partition and offset into the id of an event.

    Raises:
        ValueError: a topic is named twice, or by what is no name of a topic.
    """
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip()[:1] in {"{", "["} else value.split(",")
    if isinstance(value, Mapping):
        shapes = dict(value)
    elif isinstance(value, Iterable):
        pairs = [_pair(str(entry).strip()) for entry in value if str(entry).strip()]
        shapes = dict(pairs)
        if len(shapes) < len(pairs):
            raise ValueError("a topic is named twice")
    else:
        raise ValueError("write topics as orders:native,clicks:segment")  # noqa: TRY004 - pydantic's
    for topic in shapes:
        if not _TOPIC.fullmatch(str(topic)):
            raise ValueError("a topic has 1 to 160 letters, digits, dots, dashes and underscores")
    return shapes


def _pair(entry: str) -> tuple[str, str]:
    topic, *shape = _SPLIT.split(entry, maxsplit=1)
    return topic.strip(), shape[0].strip() if shape else "native"
