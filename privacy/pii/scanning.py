"""Scanning one payload: every leaf and every key, with what a policy says about what is found.

A leaf is judged with the names of its field as context. What a text hides (JSON, the parameters of
an address, base64) is looked into one level deep. Beyond the limit of depth a subtree is left out
as a whole: what is not looked at does not pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from candor.kernel.field_ports import ACTIONS
from privacy.pii import hiding, naming
from privacy.pii.dialling import find_abroad
from privacy.pii.finding import Finding, Located, Path, field_of
from privacy.pii.memory import Recent
from privacy.pii.policy import Mark, Policy, Rule
from privacy.pii.shapes import is_impersonal
from privacy.pii.transform import Dropped, Errands, Place, Transformer

MOST_DEPTH = 32
TOO_DEEP = "[nested too deeply]"
_CHUNK, _OVERLAP = 8192, 256
_MOST_KEPT_CHARACTERS = 256
_GENERIC = frozenset({"value", "name", "data", "key", "text", "content", "item", "v", "val"})
Names = tuple[str, ...]
NameFinder = Callable[[str], Sequence[Finding]]
"""A model that finds names in a free text."""
_CLEAN: Final = True


class TextDetector(Protocol):
    """Finds entities in one text."""

    def detect(self, text: str, context: Names = ()) -> tuple[Finding, ...]:
        """Return the findings in their order."""


@dataclass(slots=True)
class Scan:
    """What a scan found, and what it made of the payload."""

    payload: Any
    findings: list[Located]
    samples: list[str]
    is_dropped: bool = False

    @property
    def blocked(self) -> Located | None:
        """The finding for which the whole event must not be stored, if there is one."""
        return next((one for one in self.findings if one.action == "quarantine"), None)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Whose payload it is, where it comes from, and what a contract says of its fields.

    With ``errands`` the vault is not asked here: marks stand where its answers belong.
    """

    source: str = ""
    subject: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    errands: Errands | None = None


class Scanner:
    """Scans payloads by one policy; ``literal`` texts are taken as they are, and hide nothing."""

    def __init__(  # noqa: PLR0913 - the parts of a scan, each passed in
        self,
        detector: TextDetector,
        policy: Policy,
        transformer: Transformer,
        *,
        model: NameFinder | None = None,
        memory: int = 0,
        literal: bool = False,
    ) -> None:
        self.policy = policy
        self.literal = literal
        self._detector = detector
        self._transformer = transformer
        self._model = model
        self._memory = memory
        self._clean: Recent[tuple[str, Names], bool] = Recent(memory)

    def scan(self, payload: Any, about: Circumstances, root: Path = ()) -> Scan:  # noqa: ANN401 - any JSON
        """Return what is in a payload, and the payload as it may be stored.

        ``payload`` itself is not changed. A payload that is dropped as a whole becomes ``None``.
        """
        walk = _Walk(self, about)
        made = walk.value(payload, root, root[-1:], 0)
        is_dropped = isinstance(made, Dropped)
        return Scan(None if is_dropped else made, walk.found, walk.samples, is_dropped)

    def findings_of(self, text: str, names: Names, *, is_free: bool) -> list[Finding]:
        """Return what stands in a text itself, evidence considered."""
        policy = self.policy
        if policy.evidence and is_impersonal(text):
            return []
        parts = _chunks(text)
        found = [one for part, start in parts for one in self._in_chunk(part, start, names)]
        if len(text) > _CHUNK:
            found = list(dict.fromkeys(found))  # what stands where parts overlap is found twice
        if policy.names != "off" and names and (named := naming.find_by_key(names[0], text)):
            found.append(named)
        is_free = is_free or text.count(" ") >= naming.FREE_TEXT_BLANKS
        if is_free and policy.names == "strict":
            found += naming.find_names(text)
        if is_free and self._model is not None and policy.names != "off":
            found += self._model(text)
        return found

    def is_known_clean(self, text: str, names: Names) -> bool:
        """Whether a text was found clean lately in a field of this name."""
        return self._memory > 0 and self._clean.find((text, names)) is not None

    def note_clean(self, text: str, names: Names) -> None:
        """Remember that a text is clean in a field of this name, if it is short."""
        if self._memory and len(text) <= _MOST_KEPT_CHARACTERS:
            self._clean.keep((text, names), _CLEAN)

    def replace(self, value: str, entity: str, rule: Rule, place: Place) -> str | Dropped:
        """Return what stands in the place of a value."""
        return self._transformer.replace(value, entity, rule, place)

    def digest(self, value: str) -> str:
        """Return a keyed digest of a value."""
        return self._transformer.digest(value)

    def _in_chunk(self, text: str, start: int, names: Names) -> Iterator[Finding]:
        found = list(self._detector.detect(text, names))
        if self.policy.evidence and "+" in text and "PHONE_NUMBER" in self.policy.entities:
            known = [one for one in found if one.entity == "PHONE_NUMBER"]
            found += [one for one in find_abroad(text) if not _overlaps(one, known)]
        for one in found:
            yield one._replace(start=one.start + start, end=one.end + start) if start else one


class _Walk:
    """One payload on its way through a scanner."""

    def __init__(self, scanner: Scanner, about: Circumstances) -> None:
        self._scanner = scanner
        self._policy = scanner.policy
        self._about = about
        self._marks = about.marks
        self.found: list[Located] = []
        self.samples: list[str] = []
        self._is_inside = scanner.literal

    def value(self, value: Any, path: Path, names: Names, depth: int, *, free: bool = False) -> Any:  # noqa: ANN401 - any JSON
        """Return a value as it may be stored, or that it is dropped."""
        mark = self._marks.get(field_of(path)) if self._marks else None
        if mark is not None and mark.kind in ("skip", "enum"):
            return value
        if mark is not None and mark.kind == "personal":
            return self._marked(value, path, mark)
        free = free or mark is not None
        if isinstance(value, (Mapping, list)):
            return self._nested(value, path, names, depth, free=free)
        if isinstance(value, str):
            return self._text(value, path, names, depth, free=free)
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        made = self._text(text, path, names, depth, free=False)
        return value if made is text else made

    def _nested(
        self,
        value: Mapping[Any, Any] | list[Any],
        path: Path,
        names: Names,
        depth: int,
        *,
        free: bool,
    ) -> Any:  # noqa: ANN401 - any JSON
        if depth >= MOST_DEPTH:
            self._note(path, Finding("TOO_DEEP", 0, 0, 1.0, "DepthLimit"), "mask", "")
            return TOO_DEEP
        if isinstance(value, Mapping):
            return self._mapping(value, path, names, depth, free=free)
        made = [
            self.value(one, (*path, str(n)), names, depth + 1, free=free)
            for n, one in enumerate(value)
        ]
        return [one for one in made if not isinstance(one, Dropped)]

    def _mapping(
        self, value: Mapping[Any, Any], path: Path, names: Names, depth: int, *, free: bool
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for raw, one in value.items():
            key = self.key(str(raw), path)
            if isinstance(key, Dropped):
                continue
            child = self.value(one, (*path, key), names_of(str(raw), names), depth + 1, free=free)
            if not isinstance(child, Dropped):
                made[_free(key, made)] = child
        return made

    def key(self, key: str, path: Path) -> str | Dropped:
        """Return a key as it may be stored; one that is personal itself is treated as a value."""
        if self._scanner.is_known_clean(key, ()):
            return key
        found = self._scanner.findings_of(key, (), is_free=False)
        if not found:
            self._scanner.note_clean(key, ())
            return key
        made = self._replaced(key, (*path, "*"), found)
        shown = made if isinstance(made, str) else "*"
        self.found = [
            one._replace(path=(*path, shown)) if one.path == (*path, "*") else one
            for one in self.found
        ]
        return made

    def _text(self, text: str, path: Path, names: Names, depth: int, *, free: bool) -> Any:  # noqa: ANN401 - a text, or that it is dropped
        if not text or (not free and self._scanner.is_known_clean(text, names)):
            return text
        before = len(self.found)
        inner = hiding.json_inside(text) if not self._is_inside else None
        if inner is not None:
            made: str | Dropped = self._inside(text, inner, path, names, depth)
        else:
            found = self._scanner.findings_of(text, names, is_free=free)
            if not self._scanner.literal:
                found += self._hidden(text, names, found)
            made = self._replaced(text, path, found) if found else text
        if len(self.found) == before and made is text and not free:
            self._scanner.note_clean(text, names)
        return made

    def _inside(self, text: str, inner: object, path: Path, names: Names, depth: int) -> str:
        """Return JSON in a text with its leaves treated; findings stand for the whole text."""
        before = len(self.found)
        self._is_inside = True
        made = self.value(inner, path, names, depth)
        self._is_inside = False
        if len(self.found) == before:
            return text
        for n in range(before, len(self.found)):
            one = self.found[n]
            whole = one.finding._replace(start=0, end=len(text))
            self.found[n] = one._replace(path=path, finding=whole)
        return msgspec.json.encode(None if isinstance(made, Dropped) else made).decode()

    def _hidden(self, text: str, names: Names, plain: Sequence[Finding]) -> list[Finding]:
        """Return what stands in the parameters of an address, behind escapes, and in base64.

        What is found there is found as a whole: where ``plain`` has it already, it is not news.
        """
        find = self._scanner.findings_of
        found: list[Finding] = []
        for name, value, start, end in hiding.parameters(text):
            inner = find(value, names_of(name, names), is_free=False)
            found += (one._replace(start=start, end=end) for one in inner)
        resolved = hiding.unescaped(text)
        if resolved is not None:
            inner = find(resolved, names, is_free=False)
            if len(inner) > len(found) + len(plain):
                found += (one._replace(start=0, end=len(text)) for one in inner)
        for decoded, start, end in hiding.encoded(text):
            inner = self._decoded(decoded, names)
            found += (one._replace(start=start, end=end) for one in inner)
        return [one for one in dict.fromkeys(found) if not _overlaps(one, plain)]

    def _decoded(self, text: str, names: Names) -> list[Finding]:
        """Return what a decoded text holds; leaves of JSON are judged by their own names."""
        inner = hiding.json_inside(text)
        if inner is None:
            return self._scanner.findings_of(text, names, is_free=False)
        walk = _Walk(self._scanner, Circumstances(self._about.source))
        walk._is_inside = True
        walk.value(inner, (), names, 0)
        return [one.finding for one in walk.found]

    def _marked(self, value: Any, path: Path, mark: Mark) -> Any:  # noqa: ANN401 - any JSON
        """Return a value that a contract calls personal as a whole, treated."""
        if value is None or value in ("", [], {}):
            return value
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        finding = Finding(mark.entity, 0, len(text), 1.0, "Contract")
        return self._replaced(text, path, [finding], mark)

    def _replaced(
        self, text: str, path: Path, found: Sequence[Finding], mark: Mark | None = None
    ) -> str | Dropped:
        """Return a text with its findings replaced, where they overlap all of them at once."""
        name = field_of(path)
        place = Place(name, self._about.subject, self._about.errands)
        ruled = [(one, self._rule(one, name, mark)) for one in found]
        for one, rule in ruled:
            self._note(path, one, rule.action, text[one.start : one.end])
        parts: list[str] = []
        last = 0
        for start, end, finding, rule in _clusters(ruled):
            if rule.action == "allow":
                continue
            made = self._scanner.replace(text[start:end], finding.entity, rule, place)
            if isinstance(made, Dropped):
                return made
            parts += (text[last:start], made)
            last = end
        return "".join((*parts, text[last:])) if parts else text

    def _rule(self, finding: Finding, name: str, mark: Mark | None) -> Rule:
        if mark is not None and mark.action is not None:
            return Rule(mark.action)
        return self._policy.rule_for(finding.entity, name, self._about.source, finding.score)

    def _note(self, path: Path, finding: Finding, action: str, value: str) -> None:
        self.found.append(Located(path, finding, action))
        self.samples.append(value)


def names_of(key: str, above: Names) -> Names:
    """Return the names that a value under a key is judged by: a generic key adds its parent's."""
    if above and (key.lower() in _GENERIC or key.isdigit()):
        return (key, above[0])
    return (key,)


def _clusters(
    ruled: Sequence[tuple[Finding, Rule]],
) -> Iterator[tuple[int, int, Finding, Rule]]:
    """Yield stretches of findings that overlap: strictest action and surest finding count."""
    waiting = sorted(ruled, key=lambda one: (one[0].start, -one[0].end))
    while waiting:
        group = [waiting.pop(0)]
        start, end = group[0][0].start, group[0][0].end
        while waiting and waiting[0][0].start < end:
            group.append(waiting.pop(0))
            end = max(end, group[-1][0].end)
        rule = max((one for _, one in group), key=lambda one: ACTIONS.index(one.action))
        ruling = [one for one, its in group if its.action == rule.action]
        if rule.action != "allow":
            start, end = min(o.start for o in ruling), max(o.end for o in ruling)
        yield start, end, max(ruling, key=lambda one: (one.score, one.end - one.start)), rule


def _overlaps(one: Finding, others: Sequence[Finding]) -> bool:
    """Whether the same entity was found in the same place already."""
    return any(
        one.entity == its.entity and its.start < one.end and one.start < its.end for its in others
    )


def _chunks(text: str) -> Iterator[tuple[str, int]]:
    """Yield a long text in parts that overlap, each with where it begins; cut at blanks."""
    if len(text) <= _CHUNK:
        yield text, 0
        return
    start = 0
    while start < len(text):
        end = start + _CHUNK
        if end < len(text):
            blank = text.rfind(" ", start + _CHUNK - _OVERLAP, end)
            end = blank + 1 if blank > 0 else end
        yield text[start:end], start
        if end >= len(text):
            return
        blank = text.rfind(" ", end - _OVERLAP, end - 1)
        start = blank + 1 if blank > 0 else end - _OVERLAP


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """Return a key that is not taken: masking makes one of two."""
    if key not in taken:
        return key
    n = 2
    while f"{key}#{n}" in taken:
        n += 1
    return f"{key}#{n}"
