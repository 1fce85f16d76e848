"""Which of several languages a person reads best."""

_ANY = "*"
_USUAL = "en"


def best_language(wanted: str, offered: list[str]) -> str:
    """Return the offered language that a browser's ``Accept-Language`` ranks highest.

    A wanted ``de-AT`` is served by ``de``, and ``de`` by ``de-AT``. When nothing fits it is
    English, or else the first; ``offered`` must not be empty.

    Source: RFC 9110, section 12.5.4; RFC 4647, section 3.4, for looking up.
    """
    by_name = {one.lower(): one for one in offered}
    for tag in _ranked(wanted):
        parts = tag.split("-")
        for length in range(len(parts), 0, -1):
            found = by_name.get("-".join(parts[:length]))
            if found is not None:
                return found
        for name, one in by_name.items():
            if name.startswith(f"{parts[0]}-"):
                return one
    return by_name.get(_USUAL, offered[0])


def _ranked(wanted: str) -> list[str]:
    """Return the tags of the header, the best first; those of weight 0 are not wanted."""
    weighed: list[tuple[float, str]] = []
    for part in wanted[:1000].lower().split(","):
        tag, _, parameter = part.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if tag.strip() and tag.strip() != _ANY and weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda one: -one[0])]
