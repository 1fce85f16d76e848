"""The ``spec`` of a Candor metric source: signal, filter, good, value."""

from collections.abc import Mapping

from candor.kernel.document import Value, report_of, value_of
from candor.kernel.errors import InvalidInputError
from slo.indicator import (
    ALL_NUMBER_FIELDS,
    ASKABLE,
    ATTRIBUTE_PREFIX,
    FIELDS,
    Condition,
    Filter,
    Operator,
    Scalar,
    Signal,
    is_known_field,
)

_OPERATORS: dict[str, Operator] = {
    "gt": "gt",
    "gte": "gte",
    "lt": "lt",
    "lte": "lte",
    "ne": "ne",
    "prefix": "prefix",
    "exists": "exists",
}
_VALUE_NEEDED = "Name a value; {exists: false} finds what has none."
_SIGNALS: dict[str | None, Signal] = {signal: signal for signal in ASKABLE}


def read_filter(value: Value, signal: Signal = "events") -> Filter:
    """Return the conditions of a filter over a signal, reporting each that cannot be meant."""
    conditions: list[Condition] = []
    for name, field in _present(value):
        if not is_known_field(name, signal):
            field.fault("unknown-field", _unknown_field(signal))
        elif field.is_mapping:
            conditions += _comparisons(name, field)
        elif field.is_list:
            values = field.items()
            if not values:
                field.fault("required", "An empty list matches nothing. Name at least one value.")
            conditions += _condition(name, "any", field, values)
        else:
            conditions += _condition(name, "any", field, [field])
    return tuple(conditions)


def filter_from(conditions: Mapping[str, object], path: str) -> Filter:
    """Return the conditions of a filter that came as plain values.

    Raises:
        InvalidInputError: one cannot be meant; its path is named.
    """
    value = value_of(conditions, path)
    result = read_filter(value)
    for finding in report_of(value).findings:
        raise InvalidInputError(finding.message, path=finding.path)
    return result


def signal_of(spec: Mapping[str, Value]) -> Signal:
    """Return the signal of a spec; events where ``check_signal`` has a fault to report."""
    signal = spec.get("signal")
    is_text = signal is not None and not (signal.is_mapping or signal.is_list)
    return _SIGNALS.get(signal.text() if signal is not None and is_text else None, "events")


def check_signal(spec: dict[str, Value], place: Value) -> None:
    """Report a signal that is missing or unknown."""
    signal = spec.get("signal")
    if signal is None:
        place.fault("required", f"Name the signal: {' or '.join(ASKABLE)}.")
        return
    if signal.text() not in _SIGNALS:
        signal.fault("one-of", f"A signal is one of {', '.join(ASKABLE)}.")


def _unknown_field(signal: Signal) -> str:
    fields = FIELDS[signal]
    if fields.has_attributes:
        return "Events have no such field. Values of your own are attributes.KEY."
    return f"Of {signal} there are {', '.join(sorted(fields.text | fields.number))}."


def _comparisons(name: str, field: Value) -> list[Condition]:
    conditions: list[Condition] = []
    operands = _present(field)
    if not operands:
        field.fault("required", f"Name a comparison: {', '.join(_OPERATORS)}.")
    for word, operand in operands:
        operator = _OPERATORS.get(word)
        if operator is None:
            operand.fault("one-of", f"A comparison is one of {', '.join(_OPERATORS)}.")
        elif operator == "exists":
            wanted = operand.boolean()
            if wanted is not None:
                conditions.append(Condition(name, "exists", (wanted,)))
        elif operator in {"gt", "gte", "lt", "lte"}:
            number = operand.number()
            if number is not None and _is_number_field(name, operand):
                conditions.append(Condition(name, operator, (float(number),)))
        else:
            conditions += _condition(name, operator, operand, [operand])
    return conditions


def _is_number_field(name: str, operand: Value) -> bool:
    if name in ALL_NUMBER_FIELDS or name.startswith(ATTRIBUTE_PREFIX):
        return True
    operand.fault("type", "This field is a text and has no order.")
    return False


def _condition(name: str, operator: Operator, place: Value, values: list[Value]) -> list[Condition]:
    read = [_scalar(name, value) for value in values]
    present = tuple(one for one in read if one is not None)
    if not present or len(present) < len(read):
        return []
    if name in ALL_NUMBER_FIELDS and (
        operator == "prefix"
        or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in present)
    ):
        place.fault("type", "This field is a number.")
        return []
    return [Condition(name, operator, present)]


def _scalar(name: str, value: Value) -> Scalar | None:
    """Return a value as its field is compared: a text as it is written, ``1.10`` is not ``1.1``."""
    if value.is_null:
        value.fault("required", _VALUE_NEEDED)
        return None
    if name in ALL_NUMBER_FIELDS:
        return value.scalar()
    text = value.text()
    return text.lower() if text is not None and value.is_boolean else text


def _present(value: Value) -> list[tuple[str, Value]]:
    """Return the fields of a mapping; one that is left empty would silently match everything."""
    if value.is_mapping:
        for _, field in value.pairs():
            if field.is_null:
                field.fault("required", _VALUE_NEEDED)
    return list(value.fields().items())
