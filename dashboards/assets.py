"""Style sheets, each under an address that changes with it, so that browsers keep it for ever."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8"}
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes and what they are."""

    content: bytes
    media_type: str


@cache
def address_of(name: str) -> str:
    """Return where a file is found now."""
    content = (_FOLDER / name).read_bytes()
    path = Path(name)
    return f"/assets/{path.stem}.{sha256(content).hexdigest()[:_DIGITS]}{path.suffix}"


@cache
def assets() -> dict[str, Asset]:
    """Return every file by its address."""
    return {
        address_of(path.name): Asset(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(_FOLDER.iterdir())
    }
