"""Wire messages on a stream of bytes come out as they went in, however the stream is cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.envelope import LARGEST_FRAME
from actors.errors import MessageError
from actors.framing import MOST_FRAMES, Assembler, head

messages = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=8)


@given(messages, st.lists(st.integers(1, 60)))
@example([[b""]], [])
@example([[b""], [b"", b""]], [1] * 20)
def test_every_message_comes_out_as_it_went_in(sent, portions):
    stream = b"".join(head(message) + b"".join(message) for message in sent)
    assembler, received, at = Assembler(), [], 0
    for portion in [*portions, len(stream)]:
        received += assembler.feed(memoryview(stream)[at : at + portion])
        at += portion
    assert received == sent


@given(messages)
def test_a_message_is_there_with_its_last_byte_and_not_before(sent):
    assembler = Assembler()
    for message in sent:
        stream = head(message) + b"".join(message)
        assert assembler.feed(memoryview(stream)[:-1]) == []
        assert assembler.feed(memoryview(stream)[-1:]) == [message]


def test_very_many_small_arrays_are_one_message():
    # Recorded: 70,000 arrays in a list cut the connection, and every one that followed it.
    sent = [b"batch", *[bytes(8)] * 100_000]
    assert Assembler().feed(memoryview(head(sent) + b"".join(sent))) == [sent]


def test_views_count_in_bytes():
    array = memoryview(bytes(24)).cast("d")
    assert head([array]) == struct.pack("<2I", 1, 24)
    assert head([b"ab", array]) == struct.pack("<3I", 2, 2, 24)


@pytest.mark.parametrize(
    "words",
    [(0, 0), (MOST_FRAMES + 1, 1), (2**32 - 1, 0), (1, LARGEST_FRAME + 1), (2, 1, 2**32 - 1)],
    ids=["none", "too many", "most", "too large", "second too large"],
)
def test_what_no_message_begins_with_is_refused(words):
    with pytest.raises(MessageError):
        Assembler().feed(memoryview(struct.pack(f"<{len(words)}I", *words)))


def test_nothing_is_set_aside_for_what_a_head_promises():
    assembler = Assembler()
    promise = struct.pack(f"<{MOST_FRAMES + 1}I", MOST_FRAMES, *[LARGEST_FRAME] * MOST_FRAMES)
    assert assembler.feed(memoryview(promise)) == []
    assert len(assembler._kept) == len(promise)
