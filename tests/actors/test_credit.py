"""Flow control of a stream."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from actors.credit import FREE, WINDOW, WINDOW_BYTES, ReaderCredit, WriterCredit


def test_a_writer_stops_at_a_window_of_unread_items():
    writer = WriterCredit()
    sent = 0
    while writer.open:
        writer.sent(1)
        sent += 1

    assert sent == WINDOW


def test_large_items_stop_the_writer_earlier_but_some_are_always_free():
    writer = WriterCredit()
    sent = 0
    while writer.open:
        writer.sent(WINDOW_BYTES)
        sent += 1

    assert sent == FREE


def test_a_grant_opens_the_window_again():
    writer = WriterCredit()
    for _ in range(WINDOW):
        writer.sent(1)

    writer.granted(1)

    assert writer.open


def test_repeated_overtaken_and_impossible_grants_do_no_harm():
    writer = WriterCredit()
    for _ in range(WINDOW):
        writer.sent(1)
    writer.granted(10)
    writer.granted(10)
    writer.granted(3)
    writer.granted(-1)
    writer.granted(10**12)

    assert writer.open
    assert writer._bytes == 0


@given(
    sizes=st.lists(st.sampled_from([1, 1 << 20, WINDOW_BYTES]), max_size=300),
    burst=st.integers(1, 70),
)
def test_reader_and_writer_never_wait_for_each_other(sizes, burst):
    writer, reader = WriterCredit(), ReaderCredit()
    pending, read = 0, 0
    left = list(sizes)
    while left or pending:
        before = (len(left), pending)
        while left and writer.open:
            writer.sent(left.pop())
            pending += 1
        for _ in range(min(burst, pending)):
            pending -= 1
            read += 1
            grant = reader.read(drained=pending == 0)
            if grant:
                assert grant == read
                writer.granted(grant)
        assert (len(left), pending) != before

    assert read == len(sizes)
