"""What one actor may use (supervisor/limits.py)."""

from __future__ import annotations

import math

import pytest

from supervisor.limits import Limits, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200 MB", 200_000_000),
        ("200MB", 200_000_000),
        (" 1.5 GiB ", 1_610_612_736),
        ("64kB", 64_000),
        ("64 KiB", 65_536),
        ("7 b", 7),
        (4096, 4096),
        (None, None),
    ],
)
def test_a_size_is_bytes_or_a_text_with_a_unit(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "12", "12 MX", "-1 MB", "1 M B", "1e3 MB", "9" * 99])
def test_a_text_that_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match='such as "200 MB"'):
        Limits(memory=text)


@pytest.mark.parametrize("value", [1.5, True, None])
def test_shared_memory_is_always_limited(value):
    with pytest.raises(TypeError, match="is not a size"):
        Limits(shared_memory=value)


@pytest.mark.parametrize("value", [1.5, True, [1]])
def test_a_size_of_another_type_is_refused(value):
    with pytest.raises(TypeError, match="is not a size"):
        Limits(memory=value)


def test_the_defaults_are_those_of_the_contract():
    assert Limits() == Limits(
        memory=None, cpu=None, handler_seconds=60.0, mailbox=10_000, shared_memory="1 GiB"
    )


def test_a_handler_may_be_given_for_ever():
    assert Limits(handler_seconds=math.inf).handler_seconds == math.inf


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory", 0),
        ("cpu", 0),
        ("cpu", math.inf),
        ("cpu", "2"),
        ("handler_seconds", 0),
        ("handler_seconds", math.nan),
        ("handler_seconds", None),
        ("mailbox", 0),
        ("shared_memory", 4095),
        ("shared_memory", "4 kB"),
        ("mailbox", 1.5),
        ("mailbox", True),
        ("mailbox", math.nan),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name(field, value):
    with pytest.raises(ValueError, match=f"Limits.{field} is"):
        Limits(**{field: value})
