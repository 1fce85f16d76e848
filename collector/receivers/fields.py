"""The fields of a native event that have a shape of their own, for every door that reads them."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from collector.receivers.decoding import MOST_AMOUNT

SUBJECT_TYPE = re.compile(r"[a-z][a-z0-9_]*")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=400)]
Word = Annotated[str, Meta(max_length=100)]
Milliseconds = Annotated[float, Meta(ge=0)]


class Subject(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Whom the event is about; the value is keyed before it goes any further."""

    type: Annotated[str, Meta(min_length=1, max_length=40)]
    value: Name


class Experiment(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Which variant of which experiment the person saw."""

    key: Name
    variant: Word = ""


class Value(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What the event is worth."""

    amount: Annotated[float, Meta(gt=-MOST_AMOUNT, lt=MOST_AMOUNT)]
    currency: Annotated[str, Meta(max_length=12)] = ""
