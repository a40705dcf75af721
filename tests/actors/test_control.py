"""Words of the system."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.control import (
    ClassName,
    Declare,
    Die,
    Ended,
    Ending,
    Hello,
    LaneRecord,
    Logged,
    Obituary,
    Ping,
    Resolve,
    Standing,
    Stop,
    decode_word,
    encode_word,
    lane_key,
)
from actors.errors import MessageError

WORDS = [
    Hello("a", 1),
    Resolve("b", 3),
    Stop("enough", drain=True),
    Die(),
    Ending("SystemExit(3)"),
    Ping(),
    Declare("a", Standing.UP, 2, b"r" * 16, 10),
    Ended("a", 2, "killed", {b"k" * 16: LaneRecord(3, (5, 6), (4,))}),
    Obituary("a", 2, "killed", None, known=False),
    Logged("root", 30, "text", 1.5),
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: type(word).__name__)
def test_a_word_comes_back_as_it_was(word):
    assert decode_word(encode_word(word)) == word


@given(data=st.binary(max_size=100))
def test_garbage_is_a_message_error(data):
    try:
        decode_word(data)
    except MessageError:
        return


def test_a_word_that_is_not_one_is_refused():
    with pytest.raises(MessageError):
        decode_word(encode_word(WORDS[0])[:-1])
    with pytest.raises(MessageError):
        decode_word(b"\x92\xa5Blorp\x01")
    with pytest.raises(TypeError):
        ClassName()


def test_every_life_of_every_sender_has_its_own_lane():
    keys = {lane_key(name, life) for name in ("a", "a/1", "b") for life in (1, 2, 11)}

    assert len(keys) == 9
    assert {len(key) for key in keys} == {16}
