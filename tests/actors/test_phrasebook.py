"""Bytes of a stranger become a message of the book, or a refusal that says why."""

from __future__ import annotations

import math

import attrs
import pytest
from attrs import validators
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorRef, Array, Request, StreamRequest, message
from actors.errors import InvalidMessage
from actors.gateway.phrasebook import LARGEST, Phrasebook, Refusal
from actors.testing import messages


@message
class Hello(Request[str]):
    pass


@message
class Mixed(Request[dict[str, list[int]]]):
    name: str
    data: bytes
    number: int = 0
    rate: float = 0.5
    flags: tuple[bool, ...] = ()
    pair: tuple[int, str] = (0, "")
    notes: dict[str, str | None] = attrs.Factory(dict)
    maybe: float | None = None


@message
class Positive:
    value: int = attrs.field(validator=validators.gt(0))


@message
class Nothing(Request[None]):
    pass


BOOK = Phrasebook({"Hello": Hello, "Mixed": Mixed, "Positive": Positive, "Nothing": Nothing})


FINITE = st.floats(allow_nan=False, allow_infinity=False)
MIXED = messages(Mixed, rate=FINITE, maybe=st.none() | FINITE)


@given(st.one_of(messages(Hello), MIXED, messages(Positive)))
def test_what_the_book_writes_it_reads(said):
    assert BOOK.read(BOOK.write(said)) == said


@given(MIXED)
def test_a_book_of_one_class_needs_no_word(said):
    frames = Phrasebook.of(Mixed).write(said)

    assert frames == BOOK.write(said)[1:]
    assert Phrasebook.of(Mixed).read(frames) == said


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([b"Mixed", b"Positive", b"1"]))))
def test_any_bytes_are_a_message_of_the_book_or_a_refusal(frames):
    read = BOOK.read(frames)

    assert type(read) in {Hello, Mixed, Positive, Nothing, Refusal}


@given(st.dictionaries(st.text(), st.lists(st.integers(-(2**63), 2**63 - 1))))
def test_an_answer_comes_back_as_it_was(answer):
    question = Mixed("", b"")

    assert BOOK.read_answer(question, [BOOK.write_answer(question, answer)]) == answer


def test_the_frames_are_what_a_stock_program_would_write():
    assert BOOK.read([b"Hello"]) == Hello()
    assert BOOK.write_answer(Hello(), "World") == b"World"
    assert Phrasebook.of(Positive).read([b"57"]) == Positive(57)
    assert Phrasebook.of(Positive).write(Positive(57)) == [b"57"]
    assert BOOK.write_answer(Nothing(), None) == b""
    assert BOOK.read_answer(Nothing(), [b""]) is None
    assert BOOK.write(Mixed("é", b"\x00", 1, flags=(True,)))[:6] == [
        b"Mixed", "é".encode(), b"\x00", b"1", b"0.5", b"[true]",
    ]  # fmt: skip


def test_fields_at_the_end_that_have_defaults_may_be_missing():
    assert BOOK.read([b"Mixed", b"a", b"b"]) == Mixed("a", b"b")
    assert BOOK.read([b"Mixed", b"a"]) == Refusal("Mixed has 2 to 8 fields, a frame each; 1 came")


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "no message begins with ''; known are 'Hello', 'Mixed', 'Positive', 'Nothing'"),
        ([b"hello"], "no message begins with 'hello'"),
        ([b"\xff\x1b[2J" + b"x" * 99], r"no message begins with '\ufffd\x1b[2J"),
        ([b"Hello", b"you"], "Hello has 0 fields, a frame each; 1 came"),
        ([b"Positive", b"many"], "Positive.value: JSON is malformed"),
        ([b"Positive", b'"57"'], "Positive.value: Expected `int`, got `str`"),
        ([b"Positive", b"-1"], "Positive: ValueError: 'value' must be > 0: -1"),
        ([b"Mixed", b"\xff", b""], "Mixed.name: 'utf-8' codec can't decode"),
        ([b"Mixed", b"", b"", b"0", b"0", b"[" * 99_999], "Mixed.flags: "),
        ([b"Hello", bytes(LARGEST)], f"{LARGEST + 5} bytes in one message; {LARGEST} are the most"),
    ],
)
def test_a_refusal_says_what_is_wrong(frames, reason):
    read = BOOK.read(frames)

    assert isinstance(read, Refusal)
    assert read.text.startswith(reason)
    assert read.text.isprintable()


def test_what_does_not_fit_its_class_is_not_sent():
    with pytest.raises(InvalidMessage, match=r"Mixed\.number"):
        BOOK.write(Mixed("", b"", "57"))
    for field, value in (("rate", math.inf), ("rate", math.nan), ("maybe", -math.inf)):
        with pytest.raises(InvalidMessage, match=rf"Mixed\.{field} .*JSON has no inf and no nan"):
            BOOK.write(Mixed("", b"", **{field: value}))
    with pytest.raises(InvalidMessage, match="larger than"):
        BOOK.write(Mixed("", bytes(LARGEST)))
    with pytest.raises(TypeError, match="Positive is not in the phrasebook, which has Hello"):
        Phrasebook.of(Hello).write(Positive(1))


@pytest.mark.parametrize("frames", [[], [b"1", b"2"], [b"[1"], [b'{"a":1}']])
def test_an_answer_that_is_none_is_an_invalid_message(frames):
    with pytest.raises(InvalidMessage, match=r"Mixed\.answer"):
        BOOK.read_answer(Mixed("", b""), frames)


def _holds(kind):
    return message(type("Holds", (), {"__annotations__": {"it": kind}}))


@message
class WhoIsThere(Request[ActorRef]):
    pass


@message
class Tail(StreamRequest[int]):
    pass


@pytest.mark.parametrize(
    "kind", [ActorRef, list[bytes], dict[int, str], Positive, complex, Array["float64", (None,)]]
)
def test_a_field_that_plain_frames_cannot_say_is_refused_when_the_book_is_made(kind):
    with pytest.raises(TypeError, match=r"Holds\.it cannot be said in plain ZeroMQ"):
        Phrasebook.of(_holds(kind))


@pytest.mark.parametrize("cls", [WhoIsThere, Tail, str])
def test_an_answer_that_plain_frames_cannot_say_is_refused_when_the_book_is_made(cls):
    with pytest.raises(TypeError, match=r"cannot be said|asks for a stream|not a message"):
        Phrasebook.of(cls)


def test_a_book_has_words_and_one_for_each_class():
    for phrases in ({}, {"Hello": Hello, "Hi": Hello}):
        with pytest.raises(TypeError, match="one word for each class"):
            Phrasebook(phrases)
