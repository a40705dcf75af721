"""The sender's half of a link."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.control import LaneRecord
from actors.envelope import Envelope, Kind
from actors.letter import ENVELOPE_OVERHEAD, REDELIVERY_LIMIT, Letter, Verdict
from actors.outbox import (
    BATCH_BYTES,
    BATCH_ENVELOPES,
    FIRST_WINDOW,
    OUTBOX_BYTES,
    OUTBOX_MESSAGES,
    Outbound,
)


def letter(kind=Kind.TELL, *, payload=b"x", redeliver=False, life=0):
    made = Letter(Envelope(kind, 0, 0, "m:M", payload), redeliver=redeliver)
    made.life = life
    return made


def flying(count, **options):
    out = Outbound()
    out.bind(1, 0)
    letters = [letter(**options) for _ in range(count)]
    for one in letters:
        out.offer(one)
    while out.take():
        pass
    return out, letters


def test_nothing_leaves_before_a_life_takes_messages():
    out = Outbound()
    out.offer(letter())

    assert out.take() == []
    assert not out.ready
    assert not out.idle


def test_letters_are_numbered_without_gaps_when_they_leave():
    out, letters = flying(3)

    assert [one.envelope.seq for one in letters] == [1, 2, 3]
    assert (out.base, out.last) == (1, 3)


def test_a_batch_has_a_limit():
    out = Outbound()
    out.bind(1, 0)
    out.acknowledge(0, [], OUTBOX_MESSAGES)
    for _ in range(BATCH_ENVELOPES + 1):
        out.offer(letter())

    assert [len(out.take()) for _ in range(3)] == [BATCH_ENVELOPES, 1, 0]
    out.rewind(0)
    assert [len(out.take()) for _ in range(3)] == [BATCH_ENVELOPES, 1, 0]


def test_a_batch_has_a_limit_of_bytes_too():
    out = Outbound()
    out.bind(1, 0)
    third = BATCH_BYTES // 3 - ENVELOPE_OVERHEAD
    for _ in range(5):
        out.offer(letter(payload=bytes(third)))

    assert [len(out.take()) for _ in range(3)] == [4, 1, 0]
    out.rewind(0)
    assert [len(out.take()) for _ in range(3)] == [4, 1, 0]


def test_the_last_byte_of_a_batch_ends_it():
    out = Outbound()
    out.bind(1, 0)
    for _ in range(3):
        out.offer(letter(payload=bytes(BATCH_BYTES // 2 - ENVELOPE_OVERHEAD)))

    assert [len(out.take()) for _ in range(3)] == [2, 1, 0]
    out.rewind(0)
    assert [len(out.take()) for _ in range(3)] == [2, 1, 0]


def test_no_batch_holds_more_messages_than_may_be_under_way():
    out = Outbound()
    out.bind(1, 3)
    for _ in range(3):
        out.offer(letter())
    out.acknowledge(0, [], 2)

    assert len(out.take()) == 2
    assert out.take() == []
    out.acknowledge(1, [], 2)
    assert len(out.take()) == 1


def test_a_letter_knows_the_memory_it_has_lent():
    assert Letter(Envelope(Kind.TELL, 0, 0, "m:M", b""), blocks=(3, 5)).blocks == (3, 5)


def test_of_many_letters_only_the_withdrawn_ones_are_looked_for_seldom():
    out = Outbound()
    letters = [letter() for _ in range(10)]
    for one in letters:
        out.offer(one)
    lengths = []
    for one in letters[:6]:
        out.withdraw(one)
        lengths.append(len(out.waiting))

    assert lengths == [10, 10, 10, 10, 10, 4]


def test_an_acknowledgement_settles_what_is_handled_and_what_was_finished_early():
    out, letters = flying(5)

    settled = out.acknowledge(2, [4, 4], 0)

    assert settled == [letters[0], letters[1], letters[3]]
    assert out.base == 3
    assert out.unfinished == 2


def test_an_acknowledgement_of_what_was_never_sent_settles_only_what_was():
    out, letters = flying(2)

    assert out.acknowledge(2**53, [7, 9], 0) == letters
    assert out.acknowledge(2**53, [1, 1], 0) == []
    assert out.base == 3


def test_the_base_jumps_over_what_was_finished_early():
    out, _ = flying(3)
    out.acknowledge(0, [2, 2], 0)

    out.acknowledge(1, [], 0)

    assert out.base == 3


def test_an_outbox_is_full_at_the_credit_of_the_receiver():
    out, _ = flying(2)
    assert not out.full

    out.acknowledge(0, [], 2)

    assert out.full


def test_credit_beyond_the_outbox_does_not_count():
    out = Outbound()
    out.bind(1, 10**9)

    assert out.credit == OUTBOX_MESSAGES


def test_an_outbox_is_full_by_bytes_too():
    out = Outbound()
    out.offer(letter(payload=bytes(OUTBOX_BYTES)))

    assert out.full
    assert out.heavy


def test_an_outbox_is_full_at_its_last_byte_and_heavy_at_half_of_them():
    def holding(size):
        out = Outbound()
        out.offer(letter(payload=bytes(size - ENVELOPE_OVERHEAD)))
        return out

    assert [holding(OUTBOX_BYTES - less).full for less in (0, 1)] == [True, False]
    assert [holding(OUTBOX_BYTES // 2 - less).heavy for less in (0, 1)] == [True, False]


def test_a_large_ask_alone_is_acknowledged_by_its_answer():
    out = Outbound()
    out.bind(1, 0)
    out.offer(letter(Kind.ASK, payload=bytes(OUTBOX_BYTES // 2)))
    alone = out.heavy
    out.offer(letter(Kind.ASK))
    with_another = out.heavy
    out.take()
    under_way = out.heavy

    assert (alone, with_another, under_way) == (False, True, True)


@pytest.mark.parametrize("kind", [Kind.TELL, Kind.ASK, Kind.STREAM])
def test_messages_of_every_kind_count_as_unfinished(kind):
    out = Outbound()
    out.offer(letter(kind))

    assert out.unfinished == 1


def test_answers_do_not_count_as_unfinished():
    out, _ = flying(3, kind=Kind.REPLY)

    assert out.unfinished == 0
    assert not out.idle


def test_a_letter_that_has_not_left_can_be_withdrawn_once():
    out = Outbound()
    one = letter()
    out.offer(one)

    assert out.withdraw(one)
    assert not out.withdraw(one)
    assert out.idle
    assert out.unfinished == 0


def test_a_letter_that_has_left_cannot_be_withdrawn():
    out, letters = flying(1)

    assert not out.withdraw(letters[0])


def test_withdrawn_letters_do_not_pile_up():
    out = Outbound()
    letters = [letter() for _ in range(1000)]
    for one in letters:
        out.offer(one)

    for one in letters:
        out.withdraw(one)

    assert len(out.waiting) < 2


def test_a_withdrawn_letter_never_leaves():
    out = Outbound()
    letters = [letter() for _ in range(5)]
    for one in letters:
        out.offer(one)
    out.withdraw(letters[1])
    out.bind(1, 0)

    assert out.take() == [letters[0], *letters[2:]]
    assert out.idle is False


def test_nothing_is_ready_while_only_withdrawn_letters_wait():
    out = Outbound()
    out.bind(1, 0)
    given, withdrawn = letter(), letter()
    out.offer(given)
    out.offer(withdrawn)
    out.withdraw(withdrawn)

    assert out.give_away() is given

    assert not out.ready
    assert out.idle


def test_a_gap_is_sent_again_without_what_is_settled_meanwhile():
    out, letters = flying(4)
    out.rewind(1)
    out.acknowledge(2, [], 0)

    assert out.take() == letters[2:]
    assert out.take() == []


def test_only_what_the_receiver_has_not_got_is_sent_again_and_new_letters_leave_after_it():
    out, letters = flying(4)
    later = letter()
    out.offer(later)

    out.rewind(2)

    assert [out.take() for _ in range(3)] == [letters[2:], [later], []]


def test_the_base_passes_everything_when_all_was_finished_early():
    out, _ = flying(3)

    out.acknowledge(0, [1, 3], 0)

    assert out.base == 4


NUMBERS = st.integers(-2, 12) | st.sampled_from([-(2**70), 2**53, 2**70])


@given(st.integers(0, 9), st.sets(st.integers(1, 9)), st.lists(NUMBERS, max_size=8))
def test_whatever_is_said_to_be_finished_settles_what_is_under_way_and_no_more(
    count, gone, finished
):
    out, letters = flying(count)
    for number in gone:
        out.acknowledge(0, [number, number], 0)
    left = [one for one in letters if one.envelope.seq not in gone]
    said, reached = [], out.base
    for first, last in zip(finished[::2], finished[1::2], strict=False):
        said += [one for one in left if max(first, reached) <= one.envelope.seq <= last]
        reached = max(reached, last + 1)

    assert out.acknowledge(0, finished, 0) == said
    assert list(out.flying.values()) == [one for one in left if one not in said]


def test_a_long_run_is_settled_by_its_letters_and_not_by_its_numbers():
    out, letters = flying(3)
    out.last = 10**9  # as if so many had been sent, and all but three were settled

    assert out.acknowledge(0, [2, 10**9 - 1, 10**9 + 1, 10**12], 0) == letters[1:]


@pytest.mark.parametrize("kind", [Kind.TELL, Kind.ASK, Kind.STREAM])
def test_what_is_settled_makes_room_for_another_whatever_its_kind(kind):
    out = Outbound()
    out.bind(1, 1)
    for _ in range(2):
        out.offer(letter(kind))
    assert len(out.take()) == 1
    assert out.take() == []

    out.acknowledge(1, [], 1)

    assert len(out.take()) == 1


def test_a_rewind_to_what_was_never_sent_sends_nothing():
    out, _ = flying(2)

    out.rewind(2**53)

    assert out.take() == []


def test_at_a_death_the_record_decides_about_each_letter():
    out, letters = flying(5)

    verdicts = out.bury(LaneRecord(1, (3, 3), (2,)), known=True)

    assert verdicts == [
        (letters[0], Verdict.FINISHED),
        (letters[1], Verdict.IN_PROGRESS),
        (letters[2], Verdict.FINISHED),
    ]
    assert list(out.waiting) == letters[3:]
    assert out.incarnation == 0


def test_what_was_never_begun_goes_to_the_next_life_first_and_numbered_from_one():
    out, letters = flying(2)
    later = letter()
    out.offer(later)
    out.bury(None, known=True)
    out.bind(2, 0)

    assert out.take() == [*letters, later]
    assert [one.envelope.seq for one in (*letters, later)] == [1, 2, 3]


def test_a_next_life_begins_with_nothing_under_way():
    out = Outbound()
    out.bind(1, 3)
    letters = [letter() for _ in range(6)]
    for one in letters:
        out.offer(one)
    assert out.take() == letters[:3]
    out.withdraw(letters[5])

    out.bury(None, known=True)
    out.bind(2, 3)

    assert out.take() == letters[:3]
    out.acknowledge(3, [], 3)
    assert out.take() == letters[3:5]
    out.acknowledge(5, [], 3)
    assert out.idle


def test_what_was_to_be_sent_again_to_the_dead_is_not_sent_to_the_next_life():
    out, _ = flying(1)
    out.rewind(0)

    out.bury(LaneRecord(1), known=True)
    out.bind(2, 0)

    assert not out.ready


@pytest.mark.parametrize("kind", [Kind.TELL, Kind.ASK, Kind.STREAM])
def test_without_a_record_everything_sent_counts_as_in_progress(kind):
    out, letters = flying(2, kind=kind)

    assert out.bury(None, known=False) == [(one, Verdict.IN_PROGRESS) for one in letters]
    assert out.idle


def test_a_redeliverable_letter_gets_another_attempt_up_to_the_limit():
    out, (one,) = flying(1, redeliver=True)
    for attempt in range(2, REDELIVERY_LIMIT + 1):
        assert out.bury(LaneRecord(0, (), (1,)), known=True) == []
        assert one.envelope.attempt == attempt
        out.bind(attempt, 0)
        out.take()

    assert out.bury(LaneRecord(0, (), (1,)), known=True) == [(one, Verdict.POISON)]


def test_answers_to_the_dead_are_void_and_those_to_its_heir_are_kept():
    out, (sent,) = flying(1, kind=Kind.REPLY)
    old, new = letter(Kind.REPLY, life=1), letter(Kind.REPLY, life=2)
    message = letter(Kind.STREAM)
    for one in (old, new, message):
        out.offer(one)

    verdicts = out.bury(None, known=True, heir=2)

    assert verdicts == [(sent, Verdict.VOID), (old, Verdict.VOID)]
    assert list(out.waiting) == [new, message]
    out.bind(2, 0)
    assert out.take() == [new, message]
    assert not out.ready


def test_an_answer_to_the_heir_that_was_sent_to_the_dead_is_sent_again():
    out = Outbound()
    out.bind(1, 0)
    early, late, message = letter(Kind.REPLY, life=2), letter(Kind.REPLY, life=2), letter()
    out.offer(early)
    out.take()
    out.offer(late)
    out.offer(message)

    assert out.bury(None, known=True, heir=2) == []
    out.bind(2, 0)
    assert out.take() == [early, late, message]


def test_a_closed_outbox_returns_everything_once_and_is_empty():
    out, letters = flying(2)
    waiting, withdrawn = letter(), letter()
    out.offer(waiting)
    out.offer(withdrawn)
    out.withdraw(withdrawn)

    assert out.close() == [*letters, waiting]
    assert out.close() == []
    assert out.unfinished == 0
    assert not out.withdraw(waiting)


@pytest.mark.parametrize(
    "frame", [b"12345678", memoryview(bytes(8)), memoryview(bytes(8)).cast("d")]
)
def test_the_size_of_a_letter_counts_its_frames_in_bytes(frame):
    with_frame = Letter(Envelope(Kind.TELL, 0, 0, "m:M", b""), (frame,))

    assert with_frame.size - Letter(Envelope(Kind.TELL, 0, 0, "m:M", b"")).size == 8


# --- how much may be under way


def test_a_life_that_has_not_answered_yet_gets_one_window_of_messages_and_every_answer():
    out = Outbound()
    out.bind(1, 0)
    for _ in range(FIRST_WINDOW + 10):
        out.offer(letter())
    out.offer(letter(Kind.REPLY, life=1))

    sent = out.take() + out.take()

    assert [one.envelope.kind for one in sent] == [Kind.TELL] * FIRST_WINDOW + [Kind.REPLY]
    assert out.pinched
    assert not out.ready
    assert [out.withdraw(one) for one in list(out.waiting)].count(True) == 10
    assert not out.pinched


def test_the_first_answer_of_a_life_opens_the_rest_of_its_credit():
    out = Outbound()
    out.bind(1, 0)
    for _ in range(FIRST_WINDOW + 10):
        out.offer(letter())
    out.take()
    assert out.pinched

    out.acknowledge(1, [], OUTBOX_MESSAGES)

    assert len(out.take()) == 10
    assert not out.pinched


def test_the_next_life_has_not_answered_either():
    out = Outbound()
    out.bind(1, 0)
    out.acknowledge(0, [], OUTBOX_MESSAGES)
    for _ in range(FIRST_WINDOW + 10):
        out.offer(letter())
    out.bury(None, known=True)
    out.bind(2, 0)

    assert len(out.take() + out.take()) == FIRST_WINDOW


def test_shared_memory_counts_as_much_as_any_other_bytes():
    out = Outbound()
    lent = Letter(Envelope(Kind.TELL, 0, 0, "m:M", b""), shared=OUTBOX_BYTES)

    out.offer(lent)

    assert out.full
    assert out.heavy


@given(st.lists(st.sampled_from(["tell", "reply", "take", "ack", "shrink", "grow"]), max_size=60))
def test_no_more_is_under_way_than_the_receiver_takes_and_answers_never_wait(steps):
    out, numbers, credit = Outbound(), {Kind.TELL: [], Kind.REPLY: []}, 8
    out.bind(1, credit)
    handled = 0
    for n, step in enumerate([*steps, *["take", "ack"] * 70]):
        if step in ("tell", "reply"):
            out.offer(letter(Kind.TELL if step == "tell" else Kind.REPLY, payload=b"%d" % n))
        elif step == "take":
            ready = out.ready
            batch = out.take()
            assert bool(batch) == ready
            for one in batch:
                numbers[one.envelope.kind].append(int(one.envelope.payload))
            flying = [one.envelope.kind for one in out.flying.values()]
            if any(one.envelope.kind is Kind.TELL for one in batch):
                assert flying.count(Kind.TELL) <= credit
            assert Kind.REPLY not in {one.envelope.kind for one in out.waiting}
        elif step == "ack":
            handled = min(handled + 1, out.last)
            out.acknowledge(handled, [], credit)
        else:
            credit = max(1, credit - 3) if step == "shrink" else credit + 2
            out.acknowledge(handled, [], credit)

    for kind, name in ((Kind.TELL, "tell"), (Kind.REPLY, "reply")):
        assert numbers[kind] == [n for n, step in enumerate(steps) if step == name]
    assert out.idle


def answers(out):
    return out.answers, out.answer_bytes


def test_answers_count_until_they_are_known_to_have_arrived():
    out, letters = flying(2, kind=Kind.REPLY, life=1)
    out.offer(letter(Kind.END, life=1))
    out.offer(letter(Kind.GRANT, life=1))
    out.offer(letter(Kind.TELL))
    size = letters[0].size
    assert answers(out) == (3, 3 * size)

    out.acknowledge(1, [], 0)
    assert answers(out) == (2, 2 * size)
    while out.take():
        pass
    out.acknowledge(out.last, [], 0)
    assert answers(out) == (0, 0)


@pytest.mark.parametrize("heir", [0, 2])
def test_answers_to_a_life_that_is_over_count_no_more_and_those_to_the_next_do(heir):
    out, _ = flying(3, kind=Kind.REPLY, life=1)
    out.offer(letter(Kind.REPLY, life=2))

    out.bury(None, known=True, heir=heir)
    assert answers(out) == ((1, letter().size) if heir else (0, 0))
    out.close()
    assert answers(out) == (0, 0)
