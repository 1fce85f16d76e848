"""Faults of an input are told in words of the house, and never with what was sent."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from candor.kernel.input_faults import InputFault, faults_of, first_fault, invalid_input

SECRET = "anna@example.org"
Word = Annotated[str, Field(min_length=2, max_length=3)]
FOREIGN = ("Input should", "_error", "_parsing", "_type", "pydantic", "valid string", "unhashable")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["grant", "withdraw"] = "grant"


def fault(annotation: Any, value: object) -> InputFault:  # noqa: ANN401 - any annotation
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    return first_fault(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "path", "message"),
    [
        (Inner, {"kind": SECRET}, "kind", "It is one of 'grant' or 'withdraw'."),
        (Inner, {"colour": SECRET}, "colour", "There is no such field."),
        (Inner, SECRET, "", "Write a mapping"),
        (str, 4711, "", "Write a text."),
        (int, SECRET, "", "Write a whole number."),
        (bool, SECRET, "", "Write true or false."),
        (list[int], [1, SECRET], "1", "Write a whole number."),
        (dict[str, int], {SECRET: "x"}, "?", "Write a whole number."),
        (Word, SECRET, "", "It has at most 3 characters."),
        (Annotated[list[str], Field(max_length=1)], [SECRET] * 2, "", "It has at most 1 entries."),
        (AwareDatetime, SECRET, "", "Write an instant as RFC 3339"),
        (AwareDatetime, datetime(2026, 1, 1), "", "Say its zone"),  # noqa: DTZ001 - the fault
        (timedelta, SECRET, "", "Write a time such as"),
    ],
)
def test_a_fault_names_its_place_and_what_to_write(
    annotation: object, value: object, path: str, message: str
) -> None:
    told = fault(annotation, value)
    assert told.path == path
    assert told.message.startswith(message)
    assert SECRET not in told.sentence


def test_the_values_that_are_allowed_are_listed() -> None:
    told = fault(Inner, {"kind": "jump"})
    assert told.document["allowed"] == ["grant", "withdraw"]
    assert "allowed" not in fault(int, "x").document


def test_an_error_of_the_house_bears_place_and_sentence() -> None:
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"kind": 3})
    error = invalid_input(caught.value)
    assert (error.path, error.status) == ("kind", 422)
    assert error.detail == "It is one of 'grant' or 'withdraw'."


def test_a_fault_without_words_of_ours_says_so_and_repeats_nothing() -> None:
    (told,) = faults_of([{"type": "unheard_of", "loc": ("body",), "msg": SECRET, "input": SECRET}])
    assert told.sentence == "body: It has a value of another kind than the one that is needed."


@given(
    st.sampled_from([Inner, int, bool, Word, list[int], dict[str, int], AwareDatetime, timedelta]),
    st.recursive(
        st.text(alphabet="äöü@ ", min_size=4) | st.none(),
        lambda one: st.lists(one, min_size=1) | st.dictionaries(st.just("ä@"), one, min_size=1),
    ),
)
def test_no_word_of_the_library_and_no_value_gets_out(annotation: Any, value: object) -> None:  # noqa: ANN401 - any annotation
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        for told in faults_of(error.errors()):
            assert not any(word in told.sentence for word in FOREIGN)
            assert not set("äöü@") & set(told.sentence)
