from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.address import Address, check_name, unique_name

names = st.from_regex(r"[A-Za-z0-9_.:#][A-Za-z0-9_.:#-]{0,127}", fullmatch=True)
incarnations = st.integers(0, 2**63 - 1)


@given(names, incarnations)
def test_an_address_reads_back_what_it_wrote(name: str, incarnation: int) -> None:
    address = Address(name, incarnation)

    assert Address.parse(str(address)) == address


def test_an_address_is_written_as_name_and_life() -> None:
    assert str(Address("viewer", 2)) == "viewer/2"
    assert str(Address("viewer")) == "viewer"


def test_names_of_the_system_have_addresses_too() -> None:
    assert Address.parse("@supervisor/1") == Address("@supervisor", 1)


def test_addresses_are_values() -> None:
    assert Address("a", 1) == Address("a", 1)
    assert len({Address("a", 1), Address("a", 1), Address("a", 2)}) == 2
    assert min([Address("b"), Address("a", 2), Address("a", 1)]) == Address("a", 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "/2", "a/", "a/0", "a/-1", "a/01", "a/+1", "a/1/2", "a b", "a/1 ", "a\n"),
        *("a/\u0661", "a/9223372036854775808", "a/" + "9" * 5000, "@", "@@x", "-a", "x" * 129),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        Address.parse(text)


@given(st.text())
def test_parsing_any_text_gives_an_address_that_writes_it_or_a_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return

    assert str(address) == text


@given(names)
def test_a_good_name_is_returned(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("x" * 129, "129 characters"),
        ("@mine", "belong to the system"),
        ("-rf", "option"),
        ("a/b", "'/' is not allowed"),
        ("a b", "' ' is not allowed"),
        ("a\n", "is not allowed"),
        ("\x1b[31m", "is not allowed"),
        ("größe", "is not allowed"),
        ("\ud800", "is not allowed"),
    ],
)
def test_a_bad_name_is_refused_with_the_rule_it_breaks(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_name(name)

    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@given(st.text())
def test_any_text_is_a_name_or_is_refused_in_one_short_line(name: str) -> None:
    said = ""
    try:
        assert check_name(name) == name
    except ValueError as error:
        said = str(error)

    assert len(said) < 400
    assert said.isprintable()


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a str, not int"):
        check_name(5)  # type: ignore[arg-type]


def test_a_unique_name_shows_both_parts() -> None:
    assert unique_name("client", "3f9c") == "client-3f9c"
