"""One address or number has one spelling, and two never share one."""

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candor.kernel.identifiers import canonical_identifier

REGIONS = (None, "AU", "DE", "US", "AR", "IT", "MX", "GB")
MOBILE = phonenumbers.PhoneNumberType.MOBILE
NUMBERS = {
    region: number
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := phonenumbers.example_number_for_type(region, MOBILE))
}
E164, INTERNATIONAL, NATIONAL, RFC3966 = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
)


@pytest.mark.parametrize(
    ("subject_type", "value", "region", "canonical"),
    [
        ("email", " Anna@Example.ORG ", None, "anna@example.org"),
        ("email", "anna@example.org.", None, "anna@example.org"),
        ("email", "Anna@B\u00dcCHER.example", None, "anna@xn--bcher-kva.example"),
        ("email", "anna@bu\u0308cher.example", None, "anna@xn--bcher-kva.example"),
        ("email", "anna@XN--BCHER-KVA.example", None, "anna@xn--bcher-kva.example"),
        ("email", "anna@b\u00fccher\u3002example", None, "anna@xn--bcher-kva.example"),
        ("email", "anna@\uff45xample.org", None, "anna@example.org"),
        ("email", "a@\u4f8b\u3048.\u30c6\u30b9\u30c8", None, "a@xn--r8jz45g.xn--zckzah"),
        ("email", "stra\u00dfe@fa\u00df.example", None, "stra\u00dfe@xn--fa-hia.example"),
        ("email", "JOSE\u0301@example.org", None, "jos\u00e9@example.org"),
        ("email", "a@xn--zzzzzzzz99.example", None, "a@xn--zzzzzzzz99.example"),
        ("email", "a@" + "\u00fc" * 300, None, "a@" + "\u00fc" * 300),
        ("email", "no address", None, "no address"),
        ("phone", "+49 (0)30 / 1234-5", None, "+493012345"),
        ("phone", "0049 30 12345", None, "+493012345"),
        ("phone", "\uff0b49\u202230 12345", None, "\uff0b49\u202230 12345"),
        ("phone", "\uff0b49\u201030\u00b712345", None, "+493012345"),
        ("phone", "+\u0664\u0669\u0663\u0660\u0661\u0662\u0663\u0664\u0665", None, "+493012345"),
        ("phone", "030 12345", "DE", "+493012345"),
        ("phone", "030 12345", None, "03012345"),
        ("phone", "0412 345 678", "AU", "+61412345678"),
        ("phone", "0011 49 30 12345", "AU", "+493012345"),
        ("phone", "011 15 2345 6789", "AR", "+5491123456789"),
        ("phone", "+39 06 1234567", None, "+39061234567"),
        ("phone", "(650) 253-0000 x12", "US", "+16502530000;ext=12"),
        ("phone", "tel:+1-650-253-0000;ext=12", None, "+16502530000;ext=12"),
        ("phone", "+999 123", None, "+999123"),
        ("phone", "12345", "DE", "12345"),
        ("phone", "Alice-1234567", "US", "Alice-1234567"),
        ("phone", "()", None, "()"),
        ("phone", "9" * 300, None, "9" * 300),
        ("user_id", " Ab ", None, "Ab"),
    ],
)
def test_an_identifier_has_one_spelling(
    subject_type: str, value: str, region: str | None, canonical: str
) -> None:
    assert canonical_identifier(subject_type, value, region) == canonical


@pytest.mark.parametrize("region", sorted(NUMBERS))
def test_a_number_of_any_country_is_one_however_it_is_written(region: str) -> None:
    number = NUMBERS[region]
    expected = phonenumbers.format_number(number, E164)
    for form in (E164, INTERNATIONAL, NATIONAL, RFC3966):
        written = phonenumbers.format_number(number, form)
        assert canonical_identifier("phone", written, region) == expected
    assert canonical_identifier("phone", "00" + expected[1:]) == expected


def test_numbers_of_all_countries_stay_apart() -> None:
    expected = {phonenumbers.format_number(one, E164) for one in NUMBERS.values()}
    found = {canonical_identifier("phone", one) for one in expected}
    assert found == expected


APART = (
    *("anna@example.org", "anna@example.com", "a.nna@example.org", "anna+news@example.org"),
    *(
        "anna@exam-ple.org",
        "anna@mail.example.org",
        "strasse@example.org",
        "stra\u00dfe@example.org",
    ),
    *("anna@strasse.example", "anna@stra\u00dfe.example", "anna@b\u00fccher.example"),
    *(
        "anna@bucher.example",
        "anna@buecher.example",
        "ann\u0430@example.org",
        "an\u0144a@example.org",
    ),
    *("anna@example\u0440.org", "anna", "@example.org", "anna@", "anna@anna@example.org"),
    *("i@example.org", "\u0131@example.org", "\u0130@example.org", '"anna"@example.org'),
)


def test_addresses_that_look_alike_stay_apart() -> None:
    assert len({canonical_identifier("email", one) for one in APART}) == len(APART)


def test_numbers_that_look_alike_stay_apart() -> None:
    apart = (
        *("+493012345", "+493012346", "+4930123450", "+16502530000", "+16502530000;ext=1"),
        *("+16502530000;ext=2", "16502530000", "03012345", "3012345", "+390612345678"),
        *("+39612345678", "+61412345678", "Alice-1234567", "Bob-1234567", "()", "-"),
    )
    assert len({canonical_identifier("phone", one) for one in apart}) == len(apart)


def addresses() -> st.SearchStrategy[str]:
    texts = st.text(max_size=20)
    words = st.text("abcxyzABC019.-\u00fc\u00df\u0130\u03a3\u0301\u3002\uff0e\u200d", max_size=20)
    return st.one_of(
        texts,
        st.emails(),
        st.builds("{}@{}".format, words, words),
        st.builds("{}@xn--{}".format, words, words),
    )


def dialled() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", max_size=16)
    prefixes = st.sampled_from(
        ["", "+", "00", "0", "+49 ", "+1", "+39 0", "+54 9 ", "0011 ", "tel:"]
    )
    suffixes = st.sampled_from(["", "x1", " ext. 12", ";ext=7", " ", ";ext="])
    loose = st.text("0123456789+()-/. x;ext=\uff0b\u0660\u0669", max_size=24)
    return st.one_of(st.builds("{}{}{}".format, prefixes, digits, suffixes), loose)


@settings(max_examples=400)
@given(addresses())
def test_a_canonical_address_is_canonical(value: str) -> None:
    once = canonical_identifier("email", value)
    assert canonical_identifier("email", once) == once


@settings(max_examples=800)
@given(dialled(), st.sampled_from(REGIONS))
@example("+49000000030123", None)
def test_a_canonical_number_is_canonical(value: str, region: str | None) -> None:
    once = canonical_identifier("phone", value, region)
    assert canonical_identifier("phone", once, region) == once


@settings(max_examples=200)
@given(st.sampled_from(sorted(NUMBERS)), st.integers(0, 9999999), st.integers(0, 9999999))
def test_two_numbers_of_a_country_stay_apart(region: str, one: int, other: int) -> None:
    """Of numbers that differ in their last digits, and are numbers, no two become one."""
    stem = phonenumbers.format_number(NUMBERS[region], E164)[:-5]
    numbers = {f"{stem}{one % 100_000:05}", f"{stem}{other % 100_000:05}"}
    assert len({canonical_identifier("phone", number) for number in numbers}) == len(numbers)


@settings(max_examples=300)
@given(st.emails(), st.emails())
def test_two_addresses_that_differ_in_more_than_case_stay_apart(one: str, other: str) -> None:
    alike = one.lower() == other.lower()
    canonical = [canonical_identifier("email", each) for each in (one, other)]
    assert (canonical[0] == canonical[1]) is alike
