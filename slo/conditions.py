"""Conditions as ClickHouse text: pieces from a closed table, every value a bound parameter."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from slo.indicator import (
    ALL_NUMBER_FIELDS,
    ALL_TEXT_FIELDS,
    ATTRIBUTE_PREFIX,
    Condition,
    Filter,
    Indicator,
)

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXTS = {name: name for name in ALL_TEXT_FIELDS} | {"ends_run": "toString(ends_run)"}
_NUMBERS = {name: name for name in ALL_NUMBER_FIELDS} | {
    "amount": "toFloat64(amount)",
    "status": "toFloat64(status)",
}


@dataclass(slots=True)
class Parameters:
    """The values of one statement, each under a name of its own.

    A value that is bound again keeps its name, so that equal conditions are equal texts and the
    engine computes them once.
    """

    values: dict[str, object] = field(default_factory=dict)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)

    def bind(self, value: object, type_name: str) -> str:
        """Return the placeholder of a value."""
        name = self._names.setdefault((type_name, repr(value)), f"p{len(self.values)}")
        self.values[name] = value
        return f"{{{name}:{type_name}}}"

    def contains(self, values: Sequence[str], text: str) -> str:
        """Return the condition that a text is one of ``values``."""
        return f"{text} IN {self.bind(list(values), 'Array(String)')}"


def filter_text(conditions: Filter, parameters: Parameters) -> str:
    """Return the conjunction of conditions; of none, the text that always holds."""
    return " AND ".join(_condition(one, parameters) for one in conditions) or "1"


def wanted_values(conditions: Filter) -> dict[str, frozenset[str]]:
    """Return the values of text fields that conditions ask for; a row must have one of each."""
    return {
        one.field: frozenset(str(value) for value in one.values)
        for one in conditions
        if one.operator == "any" and one.field in _TEXTS
    }


def asked_for_text(filters: Sequence[Filter], parameters: Parameters) -> str:
    """Return what no row can lack that any of the filters keeps: the engine skips the rest."""
    wanted = [wanted_values(one) for one in filters]
    shared = sorted(set.intersection(*(set(one) for one in wanted)))
    return (
        " AND ".join(
            parameters.contains(
                sorted({value for one in wanted for value in one[field]}), _TEXTS[field]
            )
            for field in shared
        )
        or "1"
    )


def valid_text(indicator: Indicator, parameters: Parameters) -> str:
    """Return what makes an event valid."""
    text = filter_text(indicator.valid, parameters)
    if indicator.threshold is not None:
        text += f" AND isNotNull({_number(indicator.threshold.value, parameters)})"
    return text


def good_text(indicator: Indicator, parameters: Parameters) -> str:
    """Return what makes a valid event good."""
    threshold = indicator.threshold
    if threshold is not None:
        value = _number(threshold.value, parameters)
        limit = parameters.bind(threshold.limit, "Float64")
        return f"ifNull({value} {_COMPARISONS[threshold.operator]} {limit}, 0)"
    text = filter_text(indicator.good, parameters)
    return f"NOT ({text})" if indicator.inverted else f"({text})"


def text_column(name: str, parameters: Parameters) -> str:
    """Return the text of a field; of an attribute that is absent, the empty string.

    Raises:
        KeyError: no signal has such a field; callers have checked the name before.
    """
    if name.startswith(ATTRIBUTE_PREFIX):
        key = parameters.bind(name.removeprefix(ATTRIBUTE_PREFIX), "String")
        return f"attributes[{key}]"
    return _TEXTS[name]


def _condition(condition: Condition, parameters: Parameters) -> str:
    name, operator, values = condition.field, condition.operator, condition.values
    if operator == "exists":
        return _existence(name, parameters) if values[0] else f"NOT {_existence(name, parameters)}"
    if operator in _COMPARISONS:
        limit = parameters.bind(values[0], "Float64")
        return f"ifNull({_number(name, parameters)} {_COMPARISONS[operator]} {limit}, 0)"
    if name in ALL_NUMBER_FIELDS:
        numbers = parameters.bind([float(value) for value in values], "Array(Float64)")
        found = f"ifNull(has({numbers}, {_number(name, parameters)}), 0)"
        return f"NOT {found}" if operator == "ne" else found
    column = text_column(name, parameters)
    if operator == "prefix":
        return f"startsWith({column}, {parameters.bind(values[0], 'String')})"
    found = parameters.contains([str(value) for value in values], column)
    return f"NOT ({found})" if operator == "ne" else found


def _existence(name: str, parameters: Parameters) -> str:
    if name in ALL_NUMBER_FIELDS:
        return f"isNotNull({_number(name, parameters)})"
    if name.startswith(ATTRIBUTE_PREFIX):
        key = parameters.bind(name.removeprefix(ATTRIBUTE_PREFIX), "String")
        return f"mapContains(attributes, {key})"
    return f"notEmpty({text_column(name, parameters)})"


def _number(name: str, parameters: Parameters) -> str:
    if name in ALL_NUMBER_FIELDS:
        return _NUMBERS[name]
    return f"toFloat64OrNull({text_column(name, parameters)})"
