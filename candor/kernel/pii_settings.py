"""The settings of PII protection: what looks for personal data, and with which models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from candor.kernel.setting_group import Group

_Label = Annotated[str, Field(min_length=1, max_length=80)]
_Entity = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,79}$")]
_PERSON, _LOCATION = "PERSON", "LOCATION"
_TAGS: Mapping[str, str] = {
    "PERSON": _PERSON,
    "PER": _PERSON,
    "GPE": _LOCATION,
    "LOC": _LOCATION,
    "LOCATION": _LOCATION,
    "FAC": _LOCATION,
}
_ASKED: Mapping[str, str] = {"person": _PERSON, "location": _LOCATION, "address": _LOCATION}


class NameModelSettings(Group):
    """What finds names in free text beside lists of names: a model from a folder.

    ``transformers`` takes a token classifier, ``gliner`` a model that is asked for labels in plain
    words; their libraries are extras. ``labels`` says which entity each label of the model stands
    for, in the place of what is usual for the engine; no other label counts.
    """

    engine: Literal["none", "spacy", "transformers", "gliner"] = "none"
    model: Path | None = None
    labels: dict[_Label, _Entity] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _both_or_none(self) -> "NameModelSettings":
        if (self.engine == "none") is not (self.model is None):
            raise ValueError("an engine needs model, the folder that it is in; none needs none")
        return self

    @property
    def entities(self) -> Mapping[str, str]:
        """The entity of each label that counts."""
        return self.labels or (_ASKED if self.engine == "gliner" else _TAGS)


class PiiSettings(Group):
    """Whether events are searched for personal data before they are stored, and by which policy.

    ``recognizers`` is a YAML file of recognizers of one's own; ``memory`` is how many texts that
    were judged lately are remembered, in each process by itself; in ``cache_dir`` lie compiled
    patterns. ``workers`` is how many processes do the examining: 0 is none but the server's own.
    """

    enabled: bool = True
    workers: int = Field(default=0, ge=0, le=128)
    policy: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")
    recognizers: Path | None = None
    memory: int = Field(default=50_000, ge=0)
    cache_dir: Path = Path(".candor/pii")
    ner: NameModelSettings = NameModelSettings()
