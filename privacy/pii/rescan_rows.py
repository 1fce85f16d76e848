"""The texts of stored rows, examined and treated as they would be at the door.

All texts of a page go through one pass first; what it names is scanned, and so is what stands under
a name that must always be looked at. What was put in the place of a value before (a token, an
encrypted text, a mask) is left as it is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from candor.kernel.errors import CandorError
from candor.kernel.logging import log
from candor.kernel.ports import Vault
from privacy.pii import hiding
from privacy.pii.finding import Located, Path, field_of
from privacy.pii.guard import Guard, Marks
from privacy.pii.policy import Mark
from privacy.pii.rescan_places import Column, Table
from privacy.pii.scanning import Circumstances, Scan
from privacy.pii.shapes import is_impersonal
from privacy.pii.suspicion import suspect_texts
from privacy.pii.transform import Errands, filled, same_format

_TREATED = re.compile(
    r"tok_[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])"
    r"|enc1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{38,}"
    r"|\[[A-Z][A-Z0-9_]*(?::[0-9a-f]{32})?\]"
    r"|masked-[0-9a-f]{32}(?![0-9a-f])"
)
"""What a policy puts in the place of a value."""
_SHIELD, _END = "\ue000", "\ue001"
_SHIELDED = re.compile(f"{_SHIELD}(\\d+){_END}")
Pairs = Sequence[tuple[str, str]]


class Sighted(NamedTuple):
    """A finding in a row, and its value."""

    located: Located
    value: str


@dataclass(slots=True)
class PageScan:
    """What a page holds: the findings by the number of their row, and the rows with new texts.

    ``changed`` has all texts of a row, in the order of the columns; ``unexamined`` counts texts
    that could not be examined, which stay as they are.
    """

    found: list[tuple[int, Sighted]] = field(default_factory=list)
    changed: dict[int, list[Any]] = field(default_factory=dict)
    unexamined: int = 0


class _Treated(NamedTuple):
    """What becomes of a text and its key; without a text it is left out."""

    key: str
    text: str | None
    found: tuple[Sighted, ...] = ()


class PageScanner:
    """Examines pages of one table by one policy."""

    def __init__(self, guard: Guard, table: Table, marks: Marks) -> None:
        self._guard = guard
        self._table = table
        self._marks = marks

    def scan(self, columns: Sequence[Sequence[Any]], vault: Vault | None = None) -> PageScan:
        """Return what is in a page as ``RowReader.read`` gives it.

        Only with a vault to ask are the new texts fit to be stored.

        Raises:
            UnavailableError: the vault cannot be asked.
        """
        errands = Errands()
        walk = _PageWalk(self._guard, self._table, self._marks, columns, errands)
        made = walk.run()
        if vault is not None and made.changed and (settled := errands.run(vault)):
            made.changed = {row: _settled(texts, settled) for row, texts in made.changed.items()}
        return made


class _PageWalk:
    """One page on its way through a guard."""

    def __init__(
        self,
        guard: Guard,
        table: Table,
        marks: Marks,
        columns: Sequence[Sequence[Any]],
        errands: Errands,
    ) -> None:
        self._guard = guard
        self._table = table
        self._texts = columns[: len(table.columns)]
        self._schemas, self._subjects = columns[len(table.columns) : len(table.columns) + 2]
        self._marks = {one: marks.of(one) for one in set(self._schemas)}
        self._errands = errands
        self._known: dict[tuple[Column, str, str, str, str], _Treated] = {}
        self._made = PageScan()
        self._suspects = self._named_by_one_pass()

    def run(self) -> PageScan:
        """Return what the page holds."""
        for n, column in enumerate(self._table.columns):
            for row, value in enumerate(self._texts[n]):
                made = self._cell(column, value, row)
                if made is not value:
                    texts = self._made.changed.get(row)
                    if texts is None:
                        texts = self._made.changed[row] = [one[row] for one in self._texts]
                    texts[n] = made
        return self._made

    def _named_by_one_pass(self) -> set[str]:
        distinct: set[str] = set()
        for column, values in zip(self._table.columns, self._texts, strict=True):
            distinct.update(*(_texts_in(column, value) for value in values))
        texts = list(distinct)
        named = {texts[number] for number in suspect_texts(self._guard.lines, texts)}
        if self._guard.policy.evidence:
            named = {text for text in named if not is_impersonal(text)}
        return named

    def _cell(self, column: Column, value: Any, row: int) -> Any:  # noqa: ANN401 - of the column's kind
        """Return a cell as it may be stored; the same object when nothing in it changes."""
        if column.kind == "text":
            return self._text(column, value, row)
        if column.kind == "map":
            return self._pairs(column, value, row)
        treat = self._text if column.kind == "texts" else self._pairs
        made = [treat(column, one, row) for one in value]
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made

    def _text(self, column: Column, text: str, row: int) -> str:
        if not text or not self._is_due(column.path[-1], column.path, text, row):
            return text
        treated = self._treated(column, column.path[-1], text, row)
        if treated.text == text:
            return text
        if column.distinct:
            return f"masked-{self._guard.scanner.digest(text)}"
        return treated.text or ""

    def _pairs(self, column: Column, pairs: Pairs, row: int) -> Pairs:
        made: list[tuple[str, str]] = []
        is_changed = False
        for key, text in pairs:
            if not self._is_due(key, (*column.path, key), text, row):
                made.append((key, text))
                continue
            treated = self._treated(column, key, text, row)
            is_changed = is_changed or (treated.key, treated.text) != (key, text)
            if treated.text is not None:
                name = treated.key
                if name != key and (name in dict(pairs) or name in dict(made)):
                    name = f"{name}#{self._guard.scanner.digest(key)[:8]}"
                made.append((name, treated.text))
        return made if is_changed else pairs

    def _is_due(self, key: str, path: Path, text: str, row: int) -> bool:
        if text in self._suspects or self._guard.is_suspect(key):
            return True
        marks = self._marks[self._schemas[row]]
        return bool(marks) and _is_marked(field_of(path), marks)

    def _treated(self, column: Column, key: str, text: str, row: int) -> _Treated:
        schema, subject = self._schemas[row], self._subjects[row]
        place = (column, key, text, schema, subject)
        known = self._known.get(place)
        if known is None:
            try:
                known = self._treat(column, key, text, schema, subject)
            except CandorError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever fails leaves its text, and no other
                self._made.unexamined += 1
                log().error("a stored text could not be examined", reason=type(error).__name__)
                known = _Treated(key, text)
            self._known[place] = known
        self._made.found += ((row, one) for one in known.found)
        return known

    def _treat(self, column: Column, key: str, text: str, schema: str, subject: str) -> _Treated:
        """Return what the policy makes of a text, and of its key."""
        shielded, kept = _shielded(text)
        if kept and not any(sign.isalnum() for sign in _SHIELDED.sub("", shielded)):
            shielded = ""  # nothing is left to treat but the key
        above = column.path if column.kind in ("map", "maps") else column.path[:-1]
        marks = self._marks[schema]
        about = Circumstances(self._table.source, subject, marks, self._errands)
        scan = self._scan(key, shielded, about, above)
        if kept and any(_SHIELD in one for one in scan.samples):
            kept = ()  # what is personal as a whole takes along what was treated before
            scan = self._scan(key, text, about, above)
        found = tuple(
            Sighted(located, value)
            for located, value in zip(scan.findings, scan.samples, strict=True)
            if same_format(value) != value or not value
        )
        if not found:
            return _Treated(key, text)
        for new, value in scan.payload.items():
            made = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            return _Treated(new, _unshielded(made, kept) if shielded else text, found)
        return _Treated(key, None, found)

    def _scan(self, key: str, text: str, about: Circumstances, above: Path) -> Scan:
        """Return the scan of a text; an event's attribute that is JSON has paths of its own."""
        value: object = text
        if self._table.schema and above == ("attributes",):
            inner = hiding.json_inside(text)
            value = text if inner is None else inner
        scan = self._guard.scanner.scan({key: value}, about, above)
        if scan.payload == {key: value}:
            scan.payload = {key: text}
        return scan


def _texts_in(column: Column, value: Any) -> Iterable[str]:  # noqa: ANN401 - of the column's kind
    if column.kind == "text":
        return (value,)
    if column.kind == "map":
        return [text for _, text in value]
    if column.kind == "texts":
        return list(value)
    return [text for pairs in value for _, text in pairs]


def _is_marked(name: str, marks: Mapping[str, Mark]) -> bool:
    """Whether a contract calls a field, or a part of it, personal or free text."""
    return any(
        mark.kind in ("personal", "free_text") and f"{one}.".startswith((f"{name}.", f"{name}["))
        for one, mark in marks.items()
    )


def _shielded(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a text with what was treated before put out of reach, and that."""
    if _SHIELD in text:
        return text, ()
    kept = tuple(match[0] for match in _TREATED.finditer(text))
    numbers = iter(range(len(kept)))
    return _TREATED.sub(lambda _: f"{_SHIELD}{next(numbers)}{_END}", text), kept


def _unshielded(text: str, kept: Sequence[str]) -> str:
    return _SHIELDED.sub(lambda match: kept[int(match[1])], text) if kept else text


def _settled(value: Any, settled: Mapping[str, str]) -> Any:  # noqa: ANN401 - texts, and lists of them
    """Return texts with what the vault answered in the place of marks."""
    if isinstance(value, str):
        return filled(value, settled)
    return [_settled(one, settled) for one in value]
