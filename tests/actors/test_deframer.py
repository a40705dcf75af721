"""How a lifeline's bytes become words again."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.control import Declare, Ended, LaneRecord, Logged, Ping, Standing, Stop
from actors.deframer import MAX_WORD, Deframer, frame
from actors.errors import MessageError

WORDS = [
    Stop("enough", drain=True),
    Ping(),
    Declare("a", Standing.UP, 2, b"r" * 16, 10),
    Ended("a", 2, "killed", {b"k" * 16: LaneRecord(3, (5, 6), (4,))}),
    Logged("root", 30, "text", 1.5),
]


@given(cuts=st.lists(st.integers(1, 40), max_size=50))
def test_words_are_found_however_the_stream_is_cut(cuts):
    data = b"".join(frame(word) for word in WORDS)
    deframer, found = Deframer(), []
    for cut in cuts:
        found += deframer.feed(data[:cut])
        data = data[cut:]
    found += deframer.feed(data)

    assert found == WORDS


def test_an_impossible_length_is_refused_before_anything_is_kept():
    with pytest.raises(MessageError, match="out of step"):
        Deframer().feed((MAX_WORD + 1).to_bytes(4, "big"))
