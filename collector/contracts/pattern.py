r"""Which regular expressions may run in the fast check, and how Python spells them.

JSON Schema speaks the dialect of ECMA-262; the fast check has Python's engine, which differs in
``$``, ``.`` and ``\d`` and can be made to run for hours. Only expressions without groups, with one
repetition of open length at most, and anchored where they have one, are taken: those mean the same
in both once spelled right, and take time in proportion to the text.
"""

import re

_ATOM = re.compile(
    r"""
    (?P<class>\[\^?(?:[A-Za-z0-9_.@+:/,=%#!? ]|\\[-d.]|(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]))+\])
    | (?P<digit>\\d) | (?P<any>\.) | (?P<escaped>\\[-.^$|?*+()\[\]{}/\\])
    | (?P<literal>[^\\.^$|?*+()\[\]{}])
    """,
    re.VERBOSE,
)
_REPEAT = re.compile(r"\{(?P<least>\d{1,3})(?P<range>,(?P<most>\d{1,3})?)?\}|[*+?]")
_NO_LINE_END = "[^\\n\\r\u2028\u2029]"


def python_pattern(pattern: str) -> str | None:
    """Return the same expression for Python's ``re.search``, or none when it must not run there."""
    anchored = pattern.startswith("^")
    ended = pattern.endswith("$") and not pattern.endswith("\\$")
    body = pattern[anchored : len(pattern) - ended]
    position, pieces, open_repeats = 0, [], 0
    while position < len(body):
        atom = _ATOM.match(body, position)
        if atom is None:
            return None
        repeat = _REPEAT.match(body, atom.end())
        pieces.append(_spelled(atom) + (repeat[0] if repeat else ""))
        open_repeats += repeat is not None and _is_open(repeat)
        position = repeat.end() if repeat else atom.end()
    if open_repeats > 1 or (open_repeats and not anchored):
        return None
    return "^" * anchored + "".join(pieces) + "\\Z" * ended


def _spelled(atom: "re.Match[str]") -> str:
    if atom.lastgroup == "any":
        return _NO_LINE_END
    if atom.lastgroup == "digit":
        return "[0-9]"
    if atom.lastgroup == "class":
        return atom[0].replace("\\d", "0-9")
    return re.escape(atom[0]) if atom.lastgroup == "literal" else atom[0]


def _is_open(repeat: "re.Match[str]") -> bool:
    """Whether one repetition can end in different places, beyond there or not there."""
    if repeat[0] == "?":
        return True
    return repeat[0] in {"*", "+"} or repeat["range"] is not None
