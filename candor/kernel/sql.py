"""Named ClickHouse statements: one file each, static text, bound parameters."""

from functools import cache
from importlib.resources import files


@cache
def statement(package: str, name: str) -> str:
    """Return the text of ``<package>/sql/<name>.sql``.

    Names read ``<verb>_<noun>``. Read once in the life of a process.

    Raises:
        FileNotFoundError: the package has no such statement.
    """
    return files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
