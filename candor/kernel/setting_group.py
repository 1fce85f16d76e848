"""What groups of settings have in common."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """Settings that belong together; they never change, and unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
