"""Flow control of a stream."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from actors.credit import FREE, WINDOW, WINDOW_BYTES, ReaderCredit, WriterCredit


def fill(writer, size=1):
    """Send while the writer may, and return how many items that were."""
    sent = 0
    while writer.open:
        writer.sent(size)
        sent += 1
    return sent


def test_a_writer_stops_at_a_window_of_unread_items():
    assert fill(WriterCredit()) == WINDOW


def test_large_items_stop_the_writer_earlier_but_some_are_always_free():
    assert fill(WriterCredit(), WINDOW_BYTES) == FREE


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


def test_a_grant_counts_all_that_was_ever_read():
    writer = WriterCredit()
    fill(writer)
    room = []
    for read in (10, 30, 30, 20, 31):
        writer.granted(read)
        room.append(fill(writer))

    assert room == [10, 20, 0, 0, 1]


def test_the_last_byte_of_the_window_closes_it():
    writer = WriterCredit()

    assert fill(writer, WINDOW_BYTES // FREE) == FREE
    assert fill(WriterCredit(), WINDOW_BYTES // FREE - 1) == FREE + 1


def told(reads):
    """What a reader tells its writer, by the number of the item after which it does."""
    reader = ReaderCredit()
    words = [(number, reader.read(drained=drained)) for number, drained in enumerate(reads, 1)]
    return [word for word in words if word[1]]


def test_a_reader_speaks_once_for_half_a_window():
    half = WINDOW // 2

    assert told([False] * (3 * half + half - 1)) == [(n * half, n * half) for n in (1, 2, 3)]


def test_a_reader_with_nothing_left_to_read_speaks_for_half_of_the_free_items():
    half = FREE // 2

    assert told([True] * (3 * half - 1)) == [(half, half), (2 * half, 2 * half)]
    assert told([False] * half + [True]) == [(half + 1, half + 1)]


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
