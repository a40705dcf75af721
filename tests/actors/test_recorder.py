from __future__ import annotations

import os
import signal
from itertools import permutations

import pytest

from actors import recorder
from actors.arrays.sharing import Sharing
from actors.blackbox import InProgress, LinkRecord, Pulse, feel, last_words, read
from actors.late import LATE
from actors.recorder import (
    IN_PROGRESS,
    LAST_WORDS,
    LINKS,
    PAGE_SIZE,
    Recorder,
    State,
    create_page,
)
from actors.recorder import open_page as map_again
from actors.runs import Runs
from tests.descriptors import opened

A = b"a" * 16
B = b"b" * 16


@pytest.fixture
def page():
    return Recorder.blank()


@pytest.fixture
def writer(page):
    return Recorder(page)


def finished(page, rid):
    link = read(page).links[rid]
    runs = zip(link.finished[::2], link.finished[1::2], strict=True)
    return link.handled, {seq for first, last in runs for seq in range(first, last + 1)}


def test_an_incarnation_starts_then_is_idle_then_stops(page, writer):
    states = [read(page).state]
    writer.ready()
    states.append(read(page).state)
    writer.stopping()
    states.append(read(page).state)

    assert states == [State.STARTING, State.IDLE, State.STOPPING]


def test_a_second_message_shows_itself_whatever_the_first_was_like(page, writer):
    def shown(slot, seq, tag, now):
        writer.finish(writer.begin(slot, seq, tag, now), slot, seq, seq)
        writer.begin(slot, seq + 1, tag, now + 1.0)
        (one,) = read(page).in_progress
        writer.finish(0, slot, seq + 1, seq + 1)
        return one

    first, second = writer.link(A, sender="viewer/1"), writer.link(B, sender="viewer/2")
    same = shown(first, 1, "bank:Pay", 1.0)
    another_class = shown(first, 3, "bank:Close", 3.0)
    another_sender = shown(second, 1, "bank:Close", 5.0)
    writer.unlink(second)
    another_life = shown(writer.link(B, sender="viewer/9"), 1, "bank:Close", 7.0)

    assert [same, another_class, another_sender, another_life] == [
        InProgress(A, 2, "bank:Pay", 2.0, "viewer/1"),
        InProgress(A, 4, "bank:Close", 4.0, "viewer/1"),
        InProgress(B, 2, "bank:Close", 6.0, "viewer/2"),
        InProgress(B, 2, "bank:Close", 8.0, "viewer/9"),
    ]


def test_a_handler_in_progress_shows_its_message_and_sender(page, writer):
    writer.ready()
    index = writer.begin(writer.link(A), 7, "examples.calc:Add", 12.5)

    record = read(page)
    assert index == 0
    assert record.state is State.BUSY
    assert record.busy_since == 12.5
    assert record.in_progress == (InProgress(A, 7, "examples.calc:Add", 12.5),)


def test_a_finished_message_is_finished_and_no_longer_in_progress(page, writer):
    writer.ready()
    slot = writer.link(A)
    writer.finish(writer.begin(slot, 1, "m:Add", 1.0), slot, 1, 1)

    record = read(page)
    assert record.state is State.IDLE
    assert record.busy_since is None
    assert record.in_progress == ()
    assert finished(page, A) == (1, set())
    assert record.handled == 1


def test_one_message_at_a_time_always_uses_the_first_record(writer):
    slot = writer.link(A)
    indexes = set()
    for seq in range(1, 200):
        index = writer.begin(slot, seq, "m:Add", float(seq))
        indexes.add(index)
        writer.finish(index, slot, seq, seq)

    assert indexes == {0}


def test_messages_that_finish_out_of_order_are_remembered_one_by_one(page, writer):
    slot = writer.link(A)
    first = writer.begin(slot, 1, "m:Slow", 1.0)
    second = writer.begin(slot, 2, "m:Quick", 2.0)
    third = writer.begin(slot, 3, "m:Quick", 3.0)

    writer.finish(third, slot, 3, 0)
    assert finished(page, A) == (0, {3})
    writer.finish(first, slot, 1, 1)
    assert finished(page, A) == (1, {3})
    writer.finish(second, slot, 2, 3)
    assert finished(page, A) == (3, set())


def test_late_records_are_used_again(page, writer):
    slot = writer.link(A)
    for base in range(1, 20 * LATE, 100):
        first = writer.begin(slot, base, "m:Slow", 1.0)
        for seq in range(base + 1, base + 100):
            index = writer.begin(slot, seq, "m:Quick", 1.0)
            writer.finish(index, slot, seq, base - 1, (base + 1, seq))
        writer.finish(first, slot, base, base + 99)
        assert finished(page, A) == (base + 99, set())


def test_a_long_message_may_overlap_any_number_of_others(page, writer):
    slot = writer.link(A)
    long = writer.begin(slot, 1, "m:Slow", 1.0)
    for seq in range(2, 10 * LATE):
        assert writer.room
        assert writer.spare
        writer.finish(writer.begin(slot, seq, "m:Quick", 1.0), slot, seq, 0, (2, seq))

    assert read(page).links[A] == LinkRecord(0, (2, 10 * LATE - 1))
    writer.finish(long, slot, 1, 10 * LATE - 1)
    assert read(page).links[A] == LinkRecord(10 * LATE - 1)


def test_a_run_takes_in_what_is_in_no_record(page, writer):
    slot = writer.link(A)
    long, *quick = [writer.begin(slot, seq, "m", 1.0) for seq in (1, 2, 4)]
    writer.finish(quick[0], slot, 2, 0, (2, 2))
    writer.finish(quick[1], slot, 4, 0, (2, 4))  # 3 was an answer

    assert read(page).links[A] == LinkRecord(0, (2, 4))
    assert finished(page, A) == (0, {2, 3, 4})
    writer.finish(long, slot, 1, 4)
    assert read(page).links[A] == LinkRecord(4)


def test_runs_join_in_every_order(page, writer):
    slot = writer.link(A)
    for order in permutations(range(2, 7)):
        indexes = {seq: writer.begin(slot, seq, "m:Quick", 1.0) for seq in order}
        runs = Runs()
        for done, seq in enumerate(order, 1):
            writer.finish(indexes[seq], slot, seq, 0, runs.add(seq))
            assert finished(page, A) == (0, set(order[:done]))
        writer.unlink(slot)
        assert writer.link(A) == slot


def test_what_ends_before_its_turn_leaves_room_for_all_that_is_in_progress(page, writer):
    slot, seq = writer.link(A), 0
    while writer.spare:
        seq += 2  # each before it waits
        writer.finish(writer.begin(slot, seq, "m:Refused", 1.0), slot, seq, 0)
    others = [writer.link(bytes([0, i]) * 8) for i in range(IN_PROGRESS // 2)]
    running = [(other, n, writer.begin(other, n, "m", 1.0)) for other in others for n in (1, 2)]
    for other, n, index in running:
        if n == 2:
            writer.finish(index, other, 2, 0)

    assert len(finished(page, A)[1]) == seq // 2 == LATE - IN_PROGRESS
    assert all(finished(page, rid) == (0, {2}) for rid in read(page).links if rid != A)


def test_sixty_four_messages_may_be_in_progress(page, writer):
    slot = writer.link(A)
    indexes = [writer.begin(slot, seq, "m:Add", seq) for seq in range(1, IN_PROGRESS + 1)]

    assert sorted(indexes) == list(range(IN_PROGRESS))
    assert [one.seq for one in read(page).in_progress] == list(range(1, IN_PROGRESS + 1))
    assert not writer.room
    with pytest.raises(LookupError):
        writer.begin(slot, IN_PROGRESS + 1, "m:Add", 1.0)


def test_a_refused_begin_changes_nothing(page, writer):
    slot = writer.link(A)
    before = bytes(page)

    with pytest.raises(LookupError):
        writer.begin(slot + 1, 1, "m:Add", 1.0)
    assert bytes(page) == before
    with pytest.raises(ValueError, match="invalid value"):
        writer.begin(slot, -1, "m:Add", 1.0)
    assert read(page).in_progress == ()
    assert writer.begin(slot, 1, "m:Add", 1.0) == 0


def test_finishing_twice_is_refused(writer):
    slot = writer.link(A)
    index = writer.begin(slot, 1, "m:Add", 1.0)
    writer.finish(index, slot, 1, 1)

    with pytest.raises(LookupError):
        writer.finish(index, slot, 1, 1)


def test_progress_moves_busy_since_but_not_the_beginning(page, writer):
    slot = writer.link(A)
    writer.begin(slot, 1, "m:Long", 10.0)
    writer.progress(15.0)

    assert read(page).busy_since == 15.0
    assert read(page).in_progress[0].since == 10.0


def test_progress_of_an_earlier_message_does_not_count_for_a_later_one(page, writer):
    slot = writer.link(A)
    index = writer.begin(slot, 1, "m:Long", 10.0)
    writer.progress(15.0)
    writer.finish(index, slot, 1, 1)
    assert read(page).busy_since is None

    writer.begin(slot, 2, "m:Long", 20.0)
    assert read(page).busy_since == 20.0


def test_heartbeat_gauges_and_counters_are_kept(page, writer):
    slot = writer.link(A)
    writer.alive(99.5)
    for length in (3, 8, 2):
        writer.mailbox(length)
    writer.finish(writer.begin(slot, 1, "m:Add", 1.0), slot, 1, 1)
    writer.failed()
    writer.shares(Sharing(1 << 20, 3, 98.0, 4, 5, 6))

    record = read(page)
    assert (record.alive_at, record.mailbox, record.peak) == (99.5, 2, 8)
    assert (record.handled, record.failed) == (1, 1)
    assert record.sharing == Sharing(1 << 20, 3, 98.0, 4, 5, 6)


def test_a_long_tag_keeps_its_end_which_names_the_class(page, writer):
    slot = writer.link(A)
    tags = ["a.long.package.of.somebody:" + name for name in ("Exposure", "x" * 40, "é" * 40, "")]
    for seq, tag in enumerate(tags, 1):
        writer.begin(slot, seq, tag, float(seq))

    shown = [one.tag for one in read(page).in_progress]
    assert shown == [tags[0][-32:], "x" * 32, "é" * 16, tags[3][-32:]]


def test_every_tag_is_taken(page, writer):
    slot = writer.link(A)
    for seq, tag in enumerate(["", "\ud800", "🐟" * 9, *map(str, range(3000))], 1):
        writer.finish(writer.begin(slot, seq, tag, 1.0), slot, seq, seq)

    assert read(page).handled == 3003


def test_a_link_that_begins_in_the_middle_counts_earlier_messages_as_finished(page, writer):
    writer.link(A, handled=41)

    assert read(page).links[A].is_finished(41)
    assert not read(page).links[A].is_finished(42)


def test_slots_are_used_again_after_unlink(page, writer):
    slots = {writer.link(number.to_bytes(16, "big")) for number in range(LINKS)}
    assert slots == set(range(LINKS))
    with pytest.raises(LookupError, match="refuse"):
        writer.link(A)

    writer.unlink(500)
    assert writer.link(A) == 500
    assert len(read(page).links) == LINKS


def test_what_is_no_routing_id_is_refused(writer):
    writer.link(A)

    for rid in (b"", b"short", b"x" * 17, A):
        with pytest.raises(ValueError, match="routing id"):
            writer.link(rid)


def test_unlinking_what_is_not_linked_is_refused(writer):
    with pytest.raises(LookupError):
        writer.unlink(3)


def test_an_unlinked_sender_leaves_its_message_in_progress(page, writer):
    slot = writer.link(A)
    index = writer.begin(slot, 5, "m:Add", 1.0)
    writer.unlink(slot)

    assert read(page).links == {}
    assert [one.rid for one in read(page).in_progress] == [A]
    writer.finish(index, slot, 5, 5)
    assert read(page).in_progress == ()


def test_a_late_finish_never_speaks_of_the_next_sender_of_its_slot(page, writer):
    slot = writer.link(A)
    first, second = (writer.begin(slot, seq, "m:Add", 1.0) for seq in (99, 100))
    writer.unlink(slot)
    other = writer.link(B)
    writer.finish(first, slot, 99, 99)
    third = writer.link(b"c" * 16)
    writer.finish(second, slot, 100, 100)

    assert len({slot, other, third}) == 3
    assert finished(page, B) == (0, set())
    assert finished(page, b"c" * 16) == (0, set())
    assert writer.link(b"d" * 16) == slot


def test_a_sender_that_comes_back_meanwhile_gets_its_slot_back(page, writer):
    slot = writer.link(A)
    index = writer.begin(slot, 5, "m:Add", 1.0)
    writer.unlink(slot)

    assert writer.link(A, handled=4) == slot
    writer.finish(index, slot, 5, 5)
    assert finished(page, A) == (5, set())


def test_unlink_forgets_what_finished_late(page, writer):
    slot = writer.link(A)
    first = writer.begin(slot, 1, "m:Slow", 1.0)
    writer.finish(writer.begin(slot, 2, "m:Quick", 1.0), slot, 2, 0)
    writer.unlink(slot)
    writer.link(A)

    assert finished(page, A) == (0, set())
    writer.finish(first, slot, 1, 1)
    assert finished(page, A) == (1, set())


def test_a_page_serves_one_incarnation_only(page, writer):
    with pytest.raises(ValueError, match="fresh"):
        Recorder(page)


def test_a_small_page_is_refused():
    with pytest.raises(ValueError, match="65536"):
        Recorder(bytearray(100))


def test_closing_leaves_the_page_and_twice_is_fine():
    fd, page = create_page()
    writer = Recorder(page)
    writer.ready()
    writer.close()
    writer.close()

    assert read(page).state is State.IDLE
    page.close()
    os.close(fd)


@pytest.mark.parametrize("memfd", [True, False])
def test_a_page_is_shared_through_its_descriptor(monkeypatch, memfd):
    monkeypatch.setattr(recorder, "HAS_MEMFD", memfd and recorder.HAS_MEMFD)
    fd, ours = create_page()
    theirs = map_again(fd)
    os.close(fd)
    Recorder(theirs).alive(3.0)

    assert len(ours) == PAGE_SIZE
    assert read(ours).alive_at == 3.0


def test_a_page_that_cannot_be_provided_leaves_no_descriptor(monkeypatch):
    def full(fd, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "allocate", full)
    before = opened()

    with pytest.raises(OSError, match="space"):
        create_page()
    assert not opened() - before


def _work_for_ever(page):
    writer = Recorder(page)
    writer.ready()
    slot, seq = writer.link(A), 0
    while True:
        seq += 1
        writer.finish(writer.begin(slot, seq, "m:Add", float(seq)), slot, seq, seq)


@pytest.mark.process
def test_a_killed_writer_leaves_an_exact_record():
    for round_number in range(30):
        fd, page = create_page()
        pid = os.fork()
        if not pid:
            try:
                _work_for_ever(page)
            finally:
                os._exit(1)
        while read(page).handled < 100 + 37 * round_number:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

        record = read(page)
        assert record.intact
        handled = record.links[A].handled
        assert handled - record.handled in {0, 1}
        assert [one.seq for one in record.in_progress] in ([], [handled + 1])
        assert all(one == InProgress(A, one.seq, "m:Add", one.seq) for one in record.in_progress)
        page.close()
        os.close(fd)


def test_the_sender_of_a_message_in_progress_is_named(page, writer):
    writer.begin(writer.link(A, sender="viewer/2"), 1, "m:Add", 1.0)
    writer.begin(writer.link(B, sender="x" * 60 + "/12"), 1, "m:Add", 2.0)

    assert [one.sender for one in read(page).in_progress] == ["viewer/2", "x" * 45 + "/12"]


def test_streams_and_hooks_are_counted(page, writer):
    for change, count in ((1, 1), (1, 2), (-1, 1), (-1, 0)):
        writer.engage(change)
        assert read(page).engaged == feel(page).engaged == count


def test_the_pulse_says_the_same_as_the_whole_page(page, writer):
    writer.ready()
    writer.alive(3.0)
    assert feel(page) == Pulse(State.IDLE, 3.0, None, 0, None)
    writer.begin(writer.link(A, sender="viewer/2"), 1, "m:Add", 4.0)
    writer.progress(6.0)

    record, pulse = read(page), feel(page)
    assert pulse == Pulse(State.BUSY, 3.0, 6.0, 0, record.in_progress[0])
    assert record.busy_since == 6.0


def test_last_words_are_what_stands_at_the_end_of_the_page(page):
    assert last_words(page) == ""
    page[LAST_WORDS : LAST_WORDS + 6] = b"Fatal\n"

    assert last_words(page) == "Fatal\n"
    page[LAST_WORDS:] = b"\xff" * (PAGE_SIZE - LAST_WORDS)
    assert len(last_words(page)) == PAGE_SIZE - LAST_WORDS


def test_a_page_can_be_mapped_for_reading_only():
    fd, mapped = create_page()
    other = map_again(fd, readonly=True)
    mapped[:8] = b"12345678"

    assert other[:8] == b"12345678"
    with pytest.raises(TypeError):
        other[0] = 1
    for each in (mapped, other):
        each.close()
    os.close(fd)
