"""Large letters over the network: how much of them is under way, and what the other side keeps."""

from __future__ import annotations

import heapq
import math
import random
from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.calls import Call
from actors.control import LaneRecord, Obituary
from actors.departures import ACK_DELAY
from actors.envelope import Envelope, Kind
from actors.errors import Expired
from actors.letter import Letter
from actors.outbox import OUTBOX_MESSAGES, Outbound
from actors.pieces import (
    CUT_FROM,
    FIRST,
    FORGET,
    GOAL,
    LEAST,
    MOST,
    MOST_JOINED,
    SMALLEST,
    Cutter,
    Pace,
)
from tests.actors.test_arrivals import said, told, writes
from tests.actors.test_peer import Answers, carry, handle, hear, online, tell, up

FAR = "client-net-1"
LARGE = bytes(10 * CUT_FROM)


def apart():
    """A program on the network, an actor, and the link from the one to the other."""
    far, actor = online(FAR), online("b")
    return far, actor, up(far, "b")


def piece(number, data=b"x", offset=0):
    return Envelope(Kind.PIECE, number, offset, "", b"", 1)


# --- who cuts


def test_between_two_of_one_host_everything_leaves_as_it_is():
    a, b = online("a"), online("b")
    letter = tell(a, up(a, "b"), LARGE)

    assert carry(a, b) == 1
    assert b.deliveries[0].envelope.payload == letter.envelope.payload


@pytest.mark.parametrize(("size", "pieces"), [(CUT_FROM // 2, 0), (4 * LEAST, 4)])
def test_only_large_letters_are_cut(size, pieces):
    far, _, link = apart()
    tell(far, link, bytes(size))

    kinds = [one.kind for batch in said(far) for one in batch.envelopes]

    assert kinds == [Kind.PIECE] * pieces + [Kind.TELL] * (not pieces)


def test_what_is_too_large_to_be_joined_leaves_as_it_is():
    far, _, link = apart()
    letter = tell(far, link)
    letter.size = MOST_JOINED

    assert [one.kind for batch in said(far) for one in batch.envelopes] == [Kind.TELL]


# --- who passes


def far_outbox(credit=OUTBOX_MESSAGES):
    out = Outbound()
    out.cutter = Cutter()
    out.bind(1, credit)
    return out


def small(kind, number=0):
    return Letter(Envelope(kind, 0, number, "", b"x"))


def large(kind, number=0):
    return Letter(Envelope(kind, 0, number, "", LARGE))


def taken(out):
    """What leaves while nothing is acknowledged, but for the pieces."""
    left = []
    while letters := out.take():
        left += letters
        for letter in letters:
            if letter.envelope.kind == Kind.PIECE:
                out.cutter.sent(letter.envelope.seq, letter.size, 0.0)
    return [letter for letter in left if letter.envelope.kind != Kind.PIECE]


def rest(out):
    """What leaves as all that is under way is acknowledged, again and again."""
    left = []
    while out.flying:
        for letter in out.acknowledge(out.last, [], 0):
            out.cutter.arrived(letter.envelope.seq, 0.001)
        left += taken(out)
    return left


@pytest.mark.parametrize("first", [Kind.TELL, Kind.ASK, Kind.STREAM])
def test_answers_and_words_pass_a_large_message_and_other_messages_do_not(first):
    out = far_outbox()
    ahead = large(first, 7)
    later = [small(Kind.TELL), small(Kind.ASK, 8)]
    passing = [small(kind, 7) for kind in range(Kind.REPLY, Kind.WANT)]
    for letter in (ahead, later[0], *passing, later[1]):
        out.offer(letter)

    assert taken(out) == passing
    assert rest(out) == [ahead, *later]


@pytest.mark.parametrize("first", [Kind.REPLY, Kind.ITEM, Kind.FAILURE])
def test_all_but_the_same_conversation_passes_a_large_answer(first):
    out = far_outbox()
    ahead = large(first, 7)
    behind = [small(Kind.ITEM, 7), small(Kind.END, 7)]
    passing = [small(Kind.TELL), small(Kind.ITEM, 8), small(Kind.GRANT, 7), small(Kind.WANT)]
    for letter in (ahead, *behind, *passing):
        out.offer(letter)

    assert taken(out) == passing
    assert rest(out) == [ahead, *behind]


def test_a_pool_s_words_stay_behind_the_work_that_was_given():
    out = far_outbox()
    work, word = large(Kind.ASK), small(Kind.WANT)
    out.offer(work)
    out.offer(word)

    assert taken(out) == []
    assert rest(out) == [work, word]


def test_an_actor_answers_others_while_a_large_answer_travels():
    far, actor, link = apart()
    sinks = [Answers(), Answers()]
    for sink in sinks:
        letter = Letter(Envelope(Kind.ASK, 0, 0, "m:M", b"?"))
        far.call(link, letter, Call(sink, target="b", message="M", deadline=math.inf))
    carry(far, actor)
    for delivery, answer in zip(list(actor.deliveries), [bytes(9 * LEAST), b"small"], strict=True):
        number = delivery.envelope.correlation
        reply = Letter(Envelope(Kind.REPLY, 0, number, "", answer))
        actor.answer(actor.links[FAR], 1, reply)

    carry(actor, far)

    assert [len(sink.taken) for sink in sinks] == [0, 1]
    for _ in range(20):
        carry(far, actor)
        carry(actor, far)
    assert [len(sink.taken) for sink in sinks] == [1, 1]


# --- how much is under way


def test_pieces_leave_one_by_one_until_the_window_is_full_and_others_pass():
    far, _, link = apart()
    other = up(far, "c")
    tell(far, link, LARGE)
    tell(far, other, b"small")

    batches = said(far)

    kinds = [[one.kind for one in batch.envelopes] for batch in batches]
    assert kinds == [[Kind.PIECE]] * 4 + [[Kind.TELL]]
    assert not link.out.ready
    assert said(far) == []


def test_a_piece_is_acknowledged_at_once_and_the_next_leaves():
    far, actor, link = apart()
    letter = tell(far, link, bytes(100 * CUT_FROM))
    carry(far, actor)

    assert carry(actor, far) == 1  # without any time having passed

    assert carry(far, actor) > 0
    for _ in range(9):
        carry(actor, far)
        carry(far, actor)
    assert actor.deliveries[0].envelope.payload == letter.envelope.payload


def test_what_was_finished_is_told_though_the_window_is_full():
    far, _, link = apart()
    tell(far, link, LARGE)
    said(far)  # the window is full
    writes(far, "b", envelopes=[told()])
    handle(far)

    far.tick(ACK_DELAY)

    assert not link.out.ready
    assert [batch.handled for batch in said(far, ACK_DELAY)] == [1]


def line(rate, distance, flows, *, late=0.0, busy=0.0, seconds=3.0):
    """Let windows send over one line; return the longest queue (s), and what use was made of it.

    The first second is left out: nothing is known of the line then.  A receiver wakes up `late`
    seconds after a piece has come, on the average, and is `busy` for so long after each time.
    """
    paces, chance = [Pace() for _ in range(flows)], random.Random(1)
    here, awake = [[] for _ in paces], [0.0] * flows  # pieces that nobody has looked at yet
    free, carried, longest = 0.0, 0, 0.0
    steps = count()
    events = [(0.001 * number, next(steps), number, "go", ()) for number in range(flows)]
    while events[0][0] < seconds:
        now, _, number, what, pieces = heapq.heappop(events)
        pace = paces[number]
        if what == "come":
            if not here[number]:
                wake = max(now + chance.expovariate(1 / late) if late else now, awake[number])
                heapq.heappush(events, (wake, next(steps), number, "look", ()))
            here[number] += pieces
            continue
        if what == "look":
            arrived, here[number], awake[number] = here[number], [], now + busy
            back = (now + distance / 2, next(steps), number, "go", arrived)
            heapq.heappush(events, back)
            continue
        for size, sent in pieces:
            pace.arrived(size, sent, now)
        while pace.open:
            size = pace.piece
            free = max(free, now) + size / rate
            if now > 1.0:
                longest, carried = max(longest, free - now), carried + size
            there = (free + distance / 2, next(steps), number, "come", [(size, now)])
            heapq.heappush(events, there)
            pace.sent(size, now)
    return longest, carried / rate / (seconds - 1.0)


RATES = [1e6, 2e6, 3e6, 5e6, 10e6, 25e6, 100e6]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("flows", range(1, 9))
def test_what_shares_a_line_keeps_its_queue_below_50_ms(rate, flows):
    longest, use = line(rate, 0.001, flows)

    least = flows * SMALLEST / rate  # what the smallest windows take: 4 ms each on 1 MB/s
    assert longest < 0.05 if least < 0.02 else longest < 3 * least
    assert use > 0.95


@given(
    rate=st.sampled_from(RATES[2:]),
    distance=st.sampled_from([0.0002, 0.002, 0.01, 0.05, 0.15]),
    flows=st.integers(1, 4),
    late=st.sampled_from([0.0, 0.001, 0.004]),
)
def test_the_queue_on_a_line_stays_short_and_the_line_busy(rate, distance, flows, late):
    longest, use = line(rate, distance, flows, late=late)

    assert longest < 0.05 + max(2 * late, distance)
    small = (distance + late) * rate > 0.5 * flows * MOST  # no window is large enough for that
    assert use > 0.7 or small or distance + late > 0.01  # far away it takes longer to find out


@pytest.mark.parametrize("rate", [25e6, 100e6])
def test_a_busy_receiver_gets_as_much_each_time_as_before(rate):
    """Its delays say nothing of the line, which would be left all but unused."""
    _, use = line(rate, 0.001, 1, busy=0.1)

    assert use * rate > 0.8 * LEAST / 0.1


def test_after_a_pause_a_window_begins_anew():
    pace = Pace()
    for _ in range(20):
        pace.sent(LEAST, 1.0)
        pace.arrived(LEAST, 1.0, 1.0)
    assert pace.window > LEAST

    pace.sent(LEAST, 1.0 + 1.1 * FORGET)

    assert pace.window == LEAST


def test_after_a_pause_a_slow_line_is_still_known_to_be_slow():
    pace = Pace()
    for taken in (0.001, 4 * GOAL, 4 * GOAL):
        pace.sent(100, 1.0)
        pace.arrived(100, 1.0, 1.0 + taken)
    window = pace.window

    pace.sent(100, 3.0 + FORGET)

    assert SMALLEST <= pace.window == window < LEAST


def test_a_receiver_that_is_slow_to_answer_ends_no_transfer():
    pace, now = Pace(), 0.0
    for _ in range(50):
        size = pace.piece
        pace.sent(size, now)
        now += 50 * GOAL
        pace.arrived(size, now - 50 * GOAL, now)
        assert pace.open
        assert pace.window >= FIRST


# --- what is taken back


def test_a_letter_that_is_taken_back_in_the_midst_leaves_nothing_behind():
    far, actor, link = apart()
    sink = Answers()
    letter = Letter(Envelope(Kind.ASK, 0, 0, "m:M", LARGE))
    far.call(link, letter, Call(sink, target="b", message="M", deadline=1.0))
    carry(far, actor)
    inbound = actor.links[FAR].inbound
    assert inbound.joint.size > FIRST // 2
    carry(actor, far)

    far.tick(1.0)
    carry(far, actor, 1.0)

    assert isinstance(sink.failed[0], Expired)
    assert inbound.joint.size == 0
    assert not actor.deliveries


def test_the_credit_that_a_large_message_has_taken_is_its_own():
    out = far_outbox(1)
    message, answer = large(Kind.TELL), large(Kind.REPLY, 7)
    out.offer(message)
    taken(out)
    out.offer(answer)
    out.credit = 0  # it has fallen meanwhile

    assert rest(out) == [message, answer]
    assert message.envelope.parts == answer.envelope.parts == 1


def test_what_is_taken_back_in_the_midst_gives_its_credit_back():
    out = far_outbox(1)
    first, second = large(Kind.ASK), small(Kind.ASK)
    out.offer(first)
    taken(out)
    out.offer(second)

    assert out.withdraw(first)

    assert out.take() == [second]
    (word,) = out.take()
    assert (word.envelope.kind, word.frames) == (Kind.PIECE, ())


# --- ends


def test_a_life_that_ends_in_the_midst_leaves_the_whole_to_the_next():
    out = far_outbox()
    letters = [large(Kind.TELL), small(Kind.TELL), large(Kind.REPLY, 7)]
    for letter in letters:
        out.offer(letter)
    taken(out)

    out.bury(None, known=True)
    out.bind(2, 0)

    assert taken(out) == []
    assert rest(out) == letters


def test_of_a_life_that_is_over_no_pieces_are_kept_and_no_half_answer_is_taken():
    peer = online(FAR)
    link = up(peer, "b")
    sink = Answers()
    letter = Letter(Envelope(Kind.ASK, 0, 0, "m:M", b"?"))
    peer.call(link, letter, Call(sink, target="b", message="M", deadline=math.inf))
    said(peer)
    writes(peer, "b", envelopes=[piece(1)], frames=[b"x"])
    inbound = link.inbound
    assert inbound.joint.size > 0
    hear(peer, Obituary("b", 1, "killed", LaneRecord(1)))
    assert inbound.joint.size == 0

    writes(
        peer, "b", envelopes=[piece(1), Envelope(Kind.REPLY, 2, 1, "", b"", parts=1)], frames=[b"x"]
    )

    assert sink.taken == []


# --- forgers


@pytest.mark.parametrize(
    "envelopes",
    [
        [Envelope(Kind.TELL, 1, 0, "m:M", b"", parts=1)],
        [piece(1), Envelope(Kind.TELL, 2, 0, "m:M", b"", parts=2)],
        [piece(1), Envelope(Kind.TELL, 2, 0, "m:M", b"x", parts=1)],
        [piece(1, offset=5)],
        [piece(1), Envelope(Kind.PIECE, 2, 0, "", b"", parts=1)],
    ],
)
def test_pieces_that_do_not_fit_are_counted_and_reach_nobody(envelopes):
    peer = online("b")

    writes(peer, FAR, envelopes=envelopes, frames=[b"x"])

    assert (peer.bad_frames, len(peer.deliveries)) == (1, 0)


def test_no_more_is_kept_than_a_letter_may_have(monkeypatch):
    monkeypatch.setattr("actors.pieces.MOST_JOINED", 1000)
    peer = online("b")
    data = bytes(100)

    for number in range(1, 30):
        writes(peer, FAR, envelopes=[piece(number, data)], frames=[data])

    assert 800 < peer.links[FAR].inbound.joint.size <= 1000
    assert peer.bad_frames == 1  # what follows is not the next number any more


def test_a_small_message_may_pass_between_pieces():
    peer = online("b")

    writes(
        peer,
        FAR,
        envelopes=[piece(1), told(2), Envelope(Kind.TELL, 3, 0, "m:M", b"", parts=1)],
        frames=[b"x"],
    )

    assert [one.envelope.payload for one in peer.deliveries] == [b"", b"x"]


def test_what_is_under_way_to_a_life_is_forgotten_with_it():
    cutter = Cutter()
    cutter.sent(1, LEAST, 0.0)
    cutter.start_again()
    cutter.sent(1, LEAST, 1.0)

    assert not cutter.pace.open, "the next life counts from 1 too"
    cutter.arrived(1, 1.01)
    assert cutter.pace.flying == 0
