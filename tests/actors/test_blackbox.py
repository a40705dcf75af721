from __future__ import annotations

import math

import hypothesis.strategies as st
from hypothesis import given

from actors.blackbox import LinkRecord, Record, read
from actors.late import LATE_BYTES
from actors.recorder import LINK_AREA, PAGE_SIZE, PROGRESS_AREA, WORD, Recorder, State

A = b"a" * 16


def busy_page():
    page = Recorder.blank()
    writer = Recorder(page)
    writer.ready()
    slot = writer.link(A)
    first = writer.begin(slot, 1, "m:Slow", 1.0)
    writer.finish(writer.begin(slot, 2, "m:Quick", 2.0), slot, 2, 0)
    writer.begin(slot, 3, "m:Other", 3.0)
    return page, first


def test_a_page_nobody_has_written_is_a_starting_incarnation():
    assert read(bytes(PAGE_SIZE)) == Record(
        intact=True,
        state=State.STARTING,
        alive_at=0.0,
        busy_since=None,
        in_progress=(),
        links={},
        handled=0,
        failed=0,
        mailbox=0,
        peak=0,
    )


def test_reading_changes_nothing():
    page, _ = busy_page()
    before = bytes(page)

    assert read(page) == read(before)
    assert bytes(page) == before


def test_messages_in_progress_are_listed_oldest_first():
    page, _ = busy_page()

    assert [one.tag for one in read(page).in_progress] == ["m:Slow", "m:Other"]
    assert read(page).busy_since == 3.0


def test_a_stopping_incarnation_may_be_busy():
    page, _ = busy_page()
    page[WORD] = State.STOPPING

    assert read(page).state is State.STOPPING
    assert read(page).busy_since == 3.0


def test_a_link_knows_which_messages_are_finished():
    link = LinkRecord(handled=3, finished=(5, 5))

    assert [seq for seq in range(1, 8) if link.is_finished(seq)] == [1, 2, 3, 5]


def test_a_page_of_something_else_is_not_intact():
    assert not read(b"\xff" * PAGE_SIZE).intact
    assert not read(b"").intact
    assert not read(bytes(busy_page()[0])[:-1]).intact
    assert not read(b"GIF89a" + bytes(PAGE_SIZE)).intact


def test_an_unknown_state_is_not_intact():
    page, _ = busy_page()
    page[WORD] = 200

    assert not read(page).intact
    assert read(page).state is State.STARTING


def test_times_that_are_no_numbers_are_zero():
    page, _ = busy_page()
    for word in (2, 3, PROGRESS_AREA + 3):
        page[word * WORD : word * WORD + 8] = b"\xff" * 8

    record = read(page)
    assert record.alive_at == 0.0
    assert record.busy_since == 3.0
    assert all(math.isfinite(one.since) for one in record.in_progress)


def test_counts_that_are_too_large_are_bounded():
    page, _ = busy_page()
    page[8 * WORD : 10 * WORD] = b"\xff" * 16

    assert list(read(page).links) == [A]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data):
    assert isinstance(read(data), Record)
    assert isinstance(read(data * (PAGE_SIZE // max(1, len(data)) + 1)), Record)


@given(
    where=st.one_of(
        st.integers(0, PAGE_SIZE - 1),
        st.integers(0, 80),
        st.sampled_from([PROGRESS_AREA * WORD, LATE_BYTES, LINK_AREA * WORD]).flatmap(
            lambda area: st.integers(area, area + 200)
        ),
    ),
    junk=st.binary(min_size=1, max_size=100),
)
def test_any_scribble_over_a_good_page_can_be_read(where, junk):
    page, _ = busy_page()
    page[where : where + len(junk)] = junk

    assert isinstance(read(page), Record)
