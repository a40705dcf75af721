"""One party's links and calls, joined; two parties talk over a list."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.arrivals import ACK_EVERY
from actors.calls import Call
from actors.control import (
    BROKER,
    Closing,
    Goodbye,
    Hello,
    LaneRecord,
    Obituary,
    Refused,
    Resolve,
    Standing,
    Stands,
    Welcome,
    decode_word,
    encode_word,
)
from actors.departures import ACK_DELAY, PROBE_DELAY
from actors.envelope import (
    MAGIC,
    Batch,
    Envelope,
    Kind,
    Route,
    decode_batch,
    decode_route,
    encode_batch,
    encode_route,
)
from actors.errors import (
    ActorStopped,
    AnswerLost,
    DeadlineExceeded,
    Expired,
    NoSuchActor,
    OutcomeUnknown,
    UnknownMessage,
    unpack_error,
)
from actors.fates import ANSWER_GRACE
from actors.letter import Letter
from actors.link import Inbound, Link
from actors.outbox import FIRST_WINDOW
from actors.peer import Peer

FROM_BROKER = encode_route(Route(MAGIC, "", 0, BROKER, 0))


class Answers:
    """A sink that keeps what it gets."""

    def __init__(self):
        self.taken, self.failed = [], []

    def take(self, envelope, frames, *, near):
        self.taken.append(envelope)
        return envelope.kind != Kind.ITEM

    def fail(self, error):
        self.failed.append(error)


def hear(peer, word, now=0.0):
    peer.receive([FROM_BROKER, encode_word(word)], now)


def online(name, incarnation=1, **options):
    peer = Peer(name, incarnation, **options)
    peer.connected()
    hear(peer, Welcome(""))
    peer.outgoing(0.0)
    return peer


def up(peer, name, incarnation=1, mailbox=0):
    link = peer.link(name)
    hear(peer, Stands(name, Standing.UP, incarnation, mailbox))
    return link


def carry(sender, receiver, now=0.0):
    """Deliver what one party sends to the other; return how many wire messages that were."""
    messages = [m for m in sender.outgoing(now) if len(m) > 1 and not is_word(m)]
    for message in messages:
        receiver.receive([bytes(frame) for frame in message], now)
    return len(messages)


def is_word(message):
    return decode_route(message[0]).target == BROKER


def tell(peer, link, text=b"x", kind=Kind.TELL):
    letter = Letter(Envelope(kind, 0, 0, "m:M", text))
    peer.post(link, letter)
    return letter


def ask(peer, link, deadline=math.inf, kind=Kind.ASK):
    sink = Answers()
    call = Call(sink, target=link.name, message="M", deadline=deadline)
    peer.call(link, Letter(Envelope(kind, 0, 0, "m:M", b"?")), call)
    return sink, call


def handle(peer, now=0.0):
    delivery = peer.deliveries.popleft()
    if delivery.envelope.kind == Kind.ASK:
        reply = Envelope(Kind.REPLY, 0, delivery.envelope.correlation, "", b"!")
        peer.answer(delivery.link, delivery.incarnation, Letter(reply))
    peer.finished(delivery.link, delivery.inbound, delivery.envelope.seq, now)
    return delivery


@pytest.fixture
def pair():
    """Return two parties that have met, and the link from the first to the second."""
    a, b = online("a"), online("b")
    link = up(a, "b")
    a.outgoing(0.0)
    return a, b, link


# --- speaking and listening


def test_a_name_is_looked_up_once():
    peer = online("a")
    peer.link("b")
    peer.link("b")

    words = [decode_word(message[1]) for message in peer.outgoing(0.0)]

    assert words == [Resolve("b", 0)]


def test_nothing_goes_out_without_a_connection(pair):
    a, _, link = pair
    a.disconnected()
    tell(a, link)

    assert a.outgoing(0.0) == []


def test_an_ask_is_answered(pair):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)
    handle(b)
    carry(b, a)

    assert [one.payload for one in sink.taken] == [b"!"]
    assert len(a.calls) == 0
    assert link.out.idle


def test_a_party_can_ask_itself():
    a = online("a")
    link = up(a, "a")
    sink, _ = ask(a, link)
    for step in range(4):
        carry(a, a, step)
        while a.deliveries:
            handle(a, step)
        a.tick(step + 0.5)

    assert [one.payload for one in sink.taken] == [b"!"]
    assert link.out.unfinished == 0


def test_what_waits_for_one_name_leaves_as_one_wire_message(pair):
    a, b, link = pair
    for _ in range(100):
        tell(a, link)

    assert carry(a, b) == 1
    assert len(b.deliveries) == 100


def test_array_frames_reach_the_envelope_they_belong_to(pair):
    a, b, link = pair
    for frames in ([b"1", b"2"], [], [b"3"]):
        envelope = Envelope(Kind.TELL, 0, 0, "m:M", b"", len(frames))
        a.post(link, Letter(envelope, tuple(frames)))
    carry(a, b)

    assert [list(one.frames) for one in b.deliveries] == [[b"1", b"2"], [], [b"3"]]


def test_a_deadline_is_carried_over_to_the_other_clock(pair):
    a, b, link = pair
    a.post(link, Letter(Envelope(Kind.TELL, 0, 0, "m:M", b"", 0, 105.0)))
    [message] = a.outgoing(100.0)

    b.receive(message, 7.0)

    assert b.deliveries[0].deadline == 12.0


# --- acknowledgements


def test_a_flood_is_acknowledged_once_in_many_messages(pair):
    a, b, link = pair
    acknowledgements = 0
    for _ in range(10 * ACK_EVERY):
        tell(a, link)
        carry(a, b)
        handle(b)
        acknowledgements += carry(b, a)

    assert acknowledgements == 10


def test_a_lone_message_is_acknowledged_after_a_moment(pair):
    a, b, link = pair
    tell(a, link)
    carry(a, b)
    handle(b)
    assert carry(b, a) == 1, "the first word to a party that has just been met does not wait"
    tell(a, link)
    carry(a, b)
    handle(b)
    assert carry(b, a) == 0
    assert b.next_due() == pytest.approx(ACK_DELAY)

    b.tick(ACK_DELAY)

    assert carry(b, a) == 1
    assert link.out.idle


def test_whoever_leaves_hears_at_once_when_its_last_message_is_handled(pair):
    a, b, link = pair
    for _ in range(40):
        tell(a, link)
    a.demand()
    carry(a, b)
    carry(b, a)
    acknowledgements = 0
    while b.deliveries:
        handle(b)
        acknowledgements += carry(b, a)

    assert link.out.idle
    assert acknowledgements <= 3


@pytest.mark.parametrize("mailbox", [1, 2, 3, 5])
def test_a_small_mailbox_never_waits_for_a_late_acknowledgement(mailbox):
    a, b = online("a"), online("b", mailbox=mailbox)
    link = up(a, "b", mailbox=mailbox)
    for _ in range(20):
        while not link.out.full:
            tell(a, link)
        carry(a, b)
        while b.deliveries:
            handle(b)
        carry(b, a)

        assert not link.out.full


def test_senders_share_a_mailbox_and_those_who_only_answer_have_no_share():
    b = online("b", mailbox=100)
    senders = [online(name) for name in "acd"]
    for peer in senders[:2]:
        link = up(peer, "b")
        tell(peer, link)
        carry(peer, b)
    answering = up(b, "d")
    ask(b, answering)
    carry(b, senders[2])
    up(senders[2], "b")
    handle(senders[2])
    carry(senders[2], b)

    assert b.credit == 50


def test_a_share_returns_when_its_sender_ends():
    b = online("b", mailbox=100)
    for name in "ac":
        peer = online(name)
        tell(peer, up(peer, "b"))
        carry(peer, b)
    assert b.credit == 50

    hear(b, Obituary("a", 1, "killed", None))

    assert b.credit == 100


def test_a_lost_batch_is_asked_for_and_handled_once(pair):
    a, b, link = pair
    tell(a, link, b"1")
    a.outgoing(0.0)
    tell(a, link, b"2")
    carry(a, b)
    assert not b.deliveries
    carry(b, a)
    carry(a, b)

    assert [one.envelope.payload for one in b.deliveries] == [b"1", b"2"]


def test_a_gap_makes_the_sender_repeat_itself_once_only(pair):
    a, b, link = pair
    tell(a, link)
    a.outgoing(0.0)
    demands = 0
    for _ in range(20):
        tell(a, link)
        carry(a, b)
        demands += len(b.outgoing(0.0))

    assert demands == 1


def test_a_long_repetition_is_not_taken_for_another_gap(pair):
    a, b, link = pair
    for _ in range(1000):
        tell(a, link)
    a.outgoing(0.0)
    a.demand()
    carry(a, b)
    carry(b, a)
    sent = carry(a, b)

    assert len(b.deliveries) == 1000
    assert sent == 4
    assert sum(bool(decode_batch(m[1]).flags & 2) for m in b.outgoing(0.0)) == 0


def test_a_sender_without_progress_probes(pair):
    a, b, link = pair
    tell(a, link)
    a.outgoing(0.0)
    now = 0.0
    while not b.deliveries and now < 5 * PROBE_DELAY:
        now += PROBE_DELAY
        a.tick(now)
        carry(a, b, now)
        carry(b, a, now)
        carry(a, b, now)

    assert len(b.deliveries) == 1
    # The first look, a moment after it was sent, may have come too early for progress.
    assert now == 2 * PROBE_DELAY


def test_a_lone_message_is_acknowledged_after_a_moment_not_at_once(pair):
    a, b, link = pair
    tell(a, link)
    carry(a, b)
    assert carry(b, a) == 0
    delivery = b.deliveries.popleft()
    b.finished(delivery.link, delivery.inbound, delivery.envelope.seq, 0.0)
    assert carry(b, a) == 0

    b.tick(ACK_DELAY)

    assert carry(b, a, ACK_DELAY) == 1
    assert link.out.idle


def test_a_name_that_nobody_had_may_come_to_life_and_write():
    me, newcomer = online("me"), online("b")
    me.link("b")
    hear(me, Stands("b", Standing.UNKNOWN, 0))
    tell(newcomer, up(newcomer, "me"))

    carry(newcomer, me)

    assert len(me.deliveries) == 1


# --- the broker comes and goes


def test_whoever_may_only_listen_still_hears_after_a_reconnection(pair):
    a, viewer, link = pair
    tell(a, link)
    carry(a, viewer)
    viewer.disconnected()
    viewer.connected()

    hear(viewer, Stands("a", Standing.DENIED, 0, reason="it may look"))
    tell(a, link)
    carry(a, viewer)

    assert len(viewer.deliveries) == 2
    assert carry(viewer, a) == 1  # what came before, and this


def test_whoever_came_over_the_network_asks_before_it_writes_to_who_has_written_to_it():
    a, viewer = online("a"), online("client-net-1")
    link = up(a, viewer.name)
    tell(a, link)
    carry(a, viewer)
    assert viewer.links["a"].standing is None

    viewer.link("a")
    viewer.link("a")  # it has asked already

    assert [decode_word(word) for _, word in viewer.outgoing(0.0) if word] == [Resolve("a")]
    hear(viewer, Stands("a", Standing.DENIED, 0, reason="it may look"))
    denied = viewer.links["a"]
    assert (denied.standing, denied.reason) == (Standing.DENIED, "it may look")
    tell(a, link)
    carry(a, viewer)
    assert len(viewer.deliveries) == 2


def test_whoever_hears_of_no_new_life_asks_when_it_writes_whether_the_old_one_has_ended():
    # Recorded: a viewer that had missed an obituary acknowledged nothing of the lives after it.
    first, viewer = online("a"), online("client-net-1")
    tell(first, up(first, viewer.name))
    carry(first, viewer)
    next_one = online("a", incarnation=2)
    link = up(next_one, viewer.name)
    for _ in range(3):
        tell(next_one, link)
        carry(next_one, viewer)
    asked = [decode_word(word) for _, word in viewer.outgoing(0.0) if word]

    assert asked == [Resolve("a", 1)]
    hear(viewer, Obituary("a", 1, "killed", None))
    hear(viewer, Stands("a", Standing.DENIED, 0, reason="it may look"))
    # So it acknowledges what this life sends.
    assert (viewer.links["a"].standing, viewer.links["a"].out.incarnation) == (Standing.DENIED, 2)


def test_after_a_reconnection_everybody_is_looked_up_before_anything_is_sent(pair):
    a, _, link = pair
    tell(a, link)
    a.outgoing(0.0)
    a.disconnected()
    a.connected()
    words = [decode_word(message[1]) for message in a.outgoing(0.0)]
    assert words == [Hello("a", 1), Resolve("b", 1)]

    hear(a, Stands("b", Standing.UP, 1))

    [probe] = a.outgoing(0.0)
    assert decode_batch(probe[1]).flags == 1


def test_words_of_an_old_connection_are_not_said_to_a_new_one():
    a = Peer("a", 1)
    for _ in range(3):
        a.connected()
        a.disconnected()
    a.say(Goodbye())
    a.connected()

    assert [type(decode_word(m[1])) for m in a.outgoing(0.0)] == [Hello]


def test_a_broker_that_does_not_know_us_hears_hello_once(pair):
    a, _, _ = pair
    for _ in range(5):
        hear(a, Refused("unregistered", ""))

    hellos = [decode_word(m[1]) for m in a.outgoing(0.0)]
    assert [type(word) for word in hellos] == [Hello, Resolve]


def test_the_end_of_the_system_and_our_own_expulsion_are_noted(pair):
    a, b, _ = pair
    hear(a, Closing("that was all"))
    hear(b, Refused("expelled", "b is gone: it left"))

    assert a.ended == "that was all"
    assert "it left" in b.ended


def test_refusals_do_not_pile_up(pair):
    a, _, _ = pair
    for _ in range(1000):
        hear(a, Refused("no-route", ""))

    assert len(a.refusals) < 100


# --- how calls end


def test_an_ask_in_progress_at_a_death_is_of_unknown_outcome(pair):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)

    hear(a, Obituary("b", 1, "killed", LaneRecord(0, (), (1,))))

    [error] = sink.failed
    assert type(error) is OutcomeUnknown
    assert error.reason == "killed"


def test_an_ask_that_was_not_begun_goes_to_the_next_life(pair):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)
    hear(a, Obituary("b", 1, "killed", None))
    assert not sink.failed
    second = online("b", 2)
    hear(a, Stands("b", Standing.UP, 2))
    carry(a, second)
    handle(second)
    carry(second, a)

    assert len(sink.taken) == 1


def test_an_answer_that_its_obituary_overtook_still_counts(pair):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)
    tell(b, up(b, "a"))
    carry(b, a)
    handle(b)
    hear(a, Obituary("b", 1, "killed", LaneRecord(1)))
    carry(b, a)

    assert len(sink.taken) == 1
    assert not sink.failed


@pytest.mark.parametrize("acknowledged", [False, True])
def test_an_answer_that_does_not_come_in_time_is_lost(pair, acknowledged):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)
    if acknowledged:
        route = encode_route(Route(MAGIC, "a", 1, "b", 1))
        a.receive([route, encode_batch(Batch(0.0, 1, 0, 1, 1, [], 10, 0, []))], 0.0)
        assert link.out.idle
    hear(a, Obituary("b", 1, "killed", LaneRecord(1)), 0.5)
    a.tick(0.49 + ANSWER_GRACE)
    assert not sink.failed
    assert a.next_due() <= 0.5 + ANSWER_GRACE

    a.tick(0.5 + ANSWER_GRACE)

    assert [type(error) for error in sink.failed] == [AnswerLost]


def test_messages_of_a_dead_life_are_refused(pair):
    a, b, link = pair
    tell(a, link)
    carry(a, b)
    hear(b, Obituary("a", 1, "killed", None))
    tell(a, link)
    carry(a, b)

    assert len(b.deliveries) == 1


def test_an_obituary_that_is_repeated_changes_nothing(pair):
    a, _, link = pair
    for _ in range(2):
        hear(a, Obituary("b", 1, "killed", None))
    sink, _ = ask(a, link)
    hear(a, Obituary("b", 1, "killed", None))

    assert not sink.failed
    assert list(a.departed) == [("b", 1)]


def test_letters_wait_for_the_obituary_even_when_the_next_life_writes_first(pair):
    a, _, link = pair
    first, _ = ask(a, link)
    second, _ = ask(a, link)
    a.outgoing(0.0)
    again = online("b", 2)
    tell(again, up(again, "a"))
    carry(again, a)
    assert carry(a, again) == 0

    hear(a, Obituary("b", 1, "killed", LaneRecord(0, (), (1,))))

    assert [type(error) for error in first.failed] == [OutcomeUnknown]
    assert not second.failed
    assert carry(a, again) == 1


def test_a_lost_obituary_is_asked_for_before_anything_counts_as_unknown(pair):
    a, b, link = pair
    first, _ = ask(a, link)
    second, _ = ask(a, link)
    carry(a, b)

    hear(a, Stands("b", Standing.UP, 2))

    words = [decode_word(m[1]) for m in a.outgoing(0.0) if is_word(m)]
    assert words == [Resolve("b", 1)]
    assert not first.failed
    hear(a, Obituary("b", 1, "killed", LaneRecord(0, (), (1,))))
    hear(a, Stands("b", Standing.UP, 2))
    assert [type(error) for error in first.failed] == [OutcomeUnknown]
    assert not second.failed
    assert carry(a, online("b", 2)) == 1


def test_an_answer_that_left_before_the_asker_s_former_life_was_buried_arrives(pair):
    a, _, _ = pair
    again = online("b", 2)
    sink, _ = ask(again, up(again, "a"))
    carry(again, a)
    handle(a)
    carry(a, again)
    assert not sink.taken, "it went to the life that is over"

    hear(a, Obituary("b", 1, "killed", None))
    carry(a, again)

    assert [envelope.payload for envelope in sink.taken] == [b"!"]


def test_an_answer_never_goes_to_another_life_of_the_asker(pair):
    a, b, link = pair
    ask(a, link)
    carry(a, b)
    hear(b, Obituary("a", 1, "killed", None))
    handle(b)
    hear(b, Stands("a", Standing.UP, 2))

    assert all(not decode_batch(m[1]).envelopes for m in b.outgoing(0.0))
    assert len(b.settled) == 1


def test_a_name_that_is_gone_gives_back_what_waits(pair):
    a, _, link = pair
    hear(a, Obituary("b", 1, "killed", None))
    sink, _ = ask(a, link)
    tell(a, link, b"text")

    hear(a, Stands("b", Standing.GONE, 0, reason="stopped"))

    assert [type(error) for error in sink.failed] == [ActorStopped]
    assert [(loss.envelope.payload, loss.reason) for loss in a.losses] == [(b"text", "stopped")]
    assert "b" not in a.links


def test_an_unknown_name_is_no_such_actor():
    a = online("a")
    sink, _ = ask(a, a.link("b"))

    hear(a, Stands("b", Standing.UNKNOWN, 0))

    assert [type(error) for error in sink.failed] == [NoSuchActor]


def test_a_message_posted_to_a_closed_link_comes_back(pair):
    a, _, link = pair
    hear(a, Stands("b", Standing.GONE, 0))
    tell(a, link)
    sink, _ = ask(a, link)

    assert len(a.losses) == 1
    assert [type(error) for error in sink.failed] == [ActorStopped]
    assert len(a.calls) == 0


def test_what_was_sent_to_a_name_that_is_gone_without_a_record_has_an_unknown_outcome(pair):
    a, b, link = pair
    sink, _ = ask(a, link)
    carry(a, b)

    hear(a, Stands("b", Standing.GONE, 0))

    assert [type(error) for error in sink.failed] == [OutcomeUnknown]


def test_a_life_of_a_name_that_is_gone_cannot_write_any_more(pair):
    a, b, link = pair
    tell(a, link)
    carry(a, b)
    handle(b)
    hear(b, Stands("a", Standing.GONE, 0))
    a.demand()
    tell(a, link)
    carry(a, b)

    assert not b.deliveries
    assert "a" not in b.links


def test_an_ask_that_never_left_expires_and_one_that_did_exceeds_its_deadline(pair):
    a, b, link = pair
    sent, _ = ask(a, link, deadline=1.0)
    carry(a, b)
    waiting, _ = ask(a, link, deadline=1.0)

    a.tick(1.0)
    carry(a, b)

    assert [type(error) for error in sent.failed] == [DeadlineExceeded]
    assert [type(error) for error in waiting.failed] == [Expired]
    assert [signal.envelope.kind for signal in b.signals] == [Kind.CANCEL]


def test_a_cancelled_ask_is_withdrawn_or_its_handler_is_told(pair):
    a, b, link = pair
    _, sent = ask(a, link)
    carry(a, b)
    _, waiting = ask(a, link)
    a.cancel(waiting)
    a.cancel(sent)
    a.cancel(sent)
    carry(a, b)

    assert len(b.deliveries) == 1
    assert len(b.signals) == 1
    assert len(a.calls) == 0


def test_a_stream_ends_with_its_writer_after_what_is_on_the_way(pair):
    a, b, link = pair
    sink, call = ask(a, link, kind=Kind.STREAM)
    carry(a, b)
    delivery = handle(b)
    item = Envelope(Kind.ITEM, 0, call.correlation, "", b"1")
    b.answer(delivery.link, 1, Letter(item))
    carry(b, a)
    b.answer(delivery.link, 1, Letter(Envelope(Kind.ITEM, 0, call.correlation, "", b"2")))
    hear(a, Obituary("b", 1, "killed", LaneRecord(1)))
    carry(b, a)
    a.tick(1.0)

    assert [one.payload for one in sink.taken] == [b"1", b"2"]
    assert [type(error) for error in sink.failed] == [OutcomeUnknown]


def test_a_program_without_handlers_says_so(pair):
    a, _, _ = pair
    client = online("client-1", mailbox=0)
    link = up(a, "client-1")
    sink, _ = ask(a, link)
    tell(a, link)
    carry(a, client)
    carry(client, a)

    assert type(unpack_error(sink.taken[0].payload)) is UnknownMessage
    assert [loss.target for loss in client.losses] == ["client-1"]
    assert not client.deliveries


# --- bytes that are not ours


@given(frames=st.lists(st.binary(max_size=60), max_size=4))
def test_garbage_is_counted_and_dropped(frames):
    peer = online("a")

    peer.receive(frames, 0.0)

    assert peer.bad_frames == 1
    assert not peer.links


@given(data=st.data())
def test_garbage_behind_a_right_route_is_counted_and_dropped(data):
    peer = online("a")
    route = encode_route(Route(MAGIC, "a", 1, data.draw(st.sampled_from(["", "b"])), 1))
    whole = encode_batch(Batch(0.0, 1, 1, 0, 0, [], 1, 0, [Envelope(1, 1, 0, "t", b"", 1)]))
    at = data.draw(st.integers(0, len(whole)))
    damaged = whole[:at] + data.draw(st.binary(max_size=9)) + whole[at + 1 :]

    peer.receive([route, damaged], 0.0)
    peer.tick(100.0)
    peer.outgoing(100.0)


def test_an_envelope_whose_frames_are_missing_is_not_delivered_and_the_lane_goes_on(pair):
    a, b, link = pair
    a.post(link, Letter(Envelope(Kind.TELL, 0, 0, "m:M", b"", 1), (b"frame",)))
    [message] = a.outgoing(0.0)
    b.receive(message[:2], 0.0)
    assert b.bad_frames == 1
    carry(b, a)
    carry(a, b)

    assert [one.frames for one in b.deliveries] == [[b"frame"]]


def test_another_spelling_of_a_route_begins_no_second_lane(pair):
    a, b, link = pair
    tell(a, link)
    [message] = a.outgoing(0.0)
    b.receive(message, 0.0)
    spelled = b"\xdc\x00\x06" + message[0][1:]

    b.receive([spelled, message[1]], 0.0)

    assert len(b.deliveries) == 1


def test_a_batch_for_another_life_of_ours_is_refused(pair):
    a, _, link = pair
    tell(a, link)
    second = online("b", 2)
    carry(a, second)

    assert second.bad_frames == 1
    assert not second.deliveries


def test_what_was_received_from_one_life_is_not_told_to_the_next(pair):
    a, b, link = pair
    tell(a, link)
    carry(a, b)
    handle(b)
    back = up(b, "a")
    hear(b, Obituary("a", 1, "killed", None))
    hear(b, Stands("a", Standing.UP, 2))
    tell(b, back)

    [message] = [m for m in b.outgoing(0.0) if not is_word(m)]
    batch = decode_batch(message[1])
    assert (batch.received, batch.handled) == (0, 0)


def test_an_ask_that_expires_says_what_was_given_and_by_how_much_it_is_late(pair):
    a, _, link = pair
    sink, call = ask(a, link, deadline=2.0)
    call.timeout = 1.5
    a.outgoing(0.0)

    a.tick(2.25)

    assert (sink.failed[0].timeout, type(sink.failed[0])) == (1.5, DeadlineExceeded)
    down = a.link("c")
    hear(a, Stands("c", Standing.DOWN, 1, reason="since 12:00:00"))
    waiting, _ = ask(a, down, deadline=3.0)
    a.tick(3.25)
    expired = waiting.failed[0]
    assert (expired.late, expired.reason) == (0.25, "since 12:00:00")
    assert "c is down: since 12:00:00" in str(expired)


def test_a_new_sender_waits_after_its_first_messages_until_it_was_answered(pair):
    a, b, link = pair
    for _ in range(1000):
        tell(a, link)

    assert carry(a, b) == 1
    assert len(b.deliveries) == FIRST_WINDOW
    carry(b, a)  # it was asked to acknowledge at once, and says how much it takes
    while carry(a, b):
        pass
    assert len(b.deliveries) == 1000


def test_a_one_way_flood_is_acknowledged_at_most_once_in_128_messages(pair):
    a, b, link = pair
    words = 0
    for n in range(200):
        now = n / 1000
        for _ in range(50):
            tell(a, link)
        carry(a, b, now)
        while b.deliveries:
            handle(b, now)
            words += carry(b, a, now)

    assert words <= 200 * 50 / ACK_EVERY + 1
    assert link.out.unfinished < 2 * ACK_EVERY


def test_with_large_messages_a_sender_may_send_fewer(pair):
    a, b, link = pair
    tell(a, link, bytes(16 << 20))
    carry(a, b)
    handle(b)
    b.demand()
    a.demand()
    carry(a, b)
    carry(b, a)

    assert link.out.credit == 4
    for _ in range(200):
        tell(a, link)
        carry(a, b)
        while b.deliveries:
            handle(b)
        a.demand()
        carry(a, b)
        carry(b, a)
    assert link.out.credit == 10_000


@pytest.mark.parametrize("host", [b"here", b""])
def test_a_message_that_has_waited_on_its_way_has_no_more_time_for_it(host):
    a, b = online("a", host=host), online("b", host=host)
    link = up(a, "b")
    tell(a, link)
    carry(a, b, 0.0)  # the clocks agree
    _, call = ask(a, link, deadline=2.0)
    call.letter.envelope.deadline = 2.0
    (message,) = [m for m in a.outgoing(1.0) if not is_word(m)]

    b.receive([bytes(frame) for frame in message], 5.0)

    assert b.deliveries[-1].deadline == pytest.approx(
        2.0, abs=0.001
    )  # what the clocks may drift meanwhile


def test_who_leaves_knows_whether_its_answers_have_arrived(pair):
    a, b, link = pair
    ask(a, link)
    carry(a, b)
    delivery = b.deliveries.popleft()
    reply = Envelope(Kind.REPLY, 0, delivery.envelope.correlation, "", b"1")
    b.answer(delivery.link, delivery.incarnation, Letter(reply))
    b.finished(delivery.link, delivery.inbound, delivery.envelope.seq, 0.0)
    assert b.answering == [delivery.link], "it waits to leave"
    carry(b, a)
    assert b.answering == [delivery.link], "it has left"

    b.ask_for_news()
    carry(b, a)
    carry(a, b)

    assert b.answering == []


def test_nothing_is_kept_of_an_actors_own_timers_that_are_finished_out_of_order():
    peer, timers, link = Peer("clock", 1), Inbound(1), Link("@timer")
    for seq in range(1, 101):
        timers.accept(seq)
    for seq in range(100, 0, -1):
        peer.finished(link, timers, seq, 0.0)

    assert timers.handled == 100
    assert timers._news == []
