"""What comes in from other parties: who is heard, what is kept, when it is acknowledged."""

from __future__ import annotations

import math

import pytest

from actors.arrivals import ACK_EVERY, GONE_NAMES, LIGHT, RETIRED_ROUTES
from actors.control import LaneRecord, Obituary, Standing, Stands
from actors.departures import ACK_DELAY
from actors.envelope import (
    MAGIC,
    Batch,
    Envelope,
    Flags,
    Kind,
    Route,
    decode_batch,
    encode_batch,
    encode_route,
)
from actors.letter import Letter
from actors.link import Link
from actors.outbox import OUTBOX_BYTES, OUTBOX_MESSAGES
from tests.actors.test_peer import ask, carry, handle, hear, is_word, online, tell, up

MANY = 1 << 20


def writes(peer, name, life=1, *, envelopes=(), flags=0, last=None, frames=()):
    """Let `peer` receive a wire message of a life."""
    route = encode_route(Route(MAGIC, peer.name, peer.incarnation, name, life))
    last = len(envelopes) if last is None else last
    batch = Batch(0.0, 1, last, 0, 0, [], MANY, flags, list(envelopes))
    peer.receive([route, encode_batch(batch), *frames], 0.0)


def told(number=1, *, tag="m:M", size=0):
    return Envelope(Kind.TELL, number, 0, tag, bytes(size))


def said(peer, now=0.0):
    """Return the batches that a party has to say."""
    return [decode_batch(bytes(m[1])) for m in peer.outgoing(now) if not is_word(m)]


def met():
    a, b = online("a"), online("b")
    link = up(a, "b")
    a.outgoing(0.0)
    return a, b, link


# --- who is heard


def test_a_life_whose_end_was_heard_of_first_cannot_begin_to_write():
    peer = online("me")
    up(peer, "a")
    hear(peer, Obituary("a", 1, "killed", None))

    writes(peer, "a", envelopes=[told()])

    assert (peer.bad_frames, len(peer.deliveries)) == (1, 0)


def test_a_life_of_a_name_that_is_gone_cannot_begin_to_write():
    peer = online("me")
    up(peer, "a")
    hear(peer, Stands("a", Standing.GONE, 0))

    writes(peer, "a", envelopes=[told()])
    assert (peer.bad_frames, len(peer.deliveries)) == (1, 0)

    writes(peer, "a", 2, envelopes=[told()])
    assert len(peer.deliveries) == 1


def test_a_former_life_cannot_begin_to_write_once_the_next_is_known():
    peer = online("me")
    up(peer, "a", 2)

    writes(peer, "a", 1, envelopes=[told()])

    assert (peer.bad_frames, len(peer.deliveries)) == (1, 0)


def test_names_that_are_gone_are_remembered_up_to_a_bound():
    arrivals = online("me")._arrivals
    for number in range(GONE_NAMES + 1):
        link = Link(f"client-{number}")
        arrivals.forget(link)  # nobody had that name: one that comes to life may write
        link.known = 1
        arrivals.forget(link)

    assert len(arrivals._gone) == GONE_NAMES
    assert "client-0" not in arrivals._gone


def test_of_lives_that_are_over_the_last_are_still_heard():
    peer = online("me")
    for life in range(1, RETIRED_ROUTES + 20):
        writes(peer, "a", life, envelopes=[told()])

    assert len(peer._arrivals._senders) == RETIRED_ROUTES + 1
    writes(peer, "a", 2, envelopes=[told()])
    writes(peer, "a", RETIRED_ROUTES, envelopes=[told()])
    assert peer.bad_frames == 1


def test_whoever_writes_is_there_and_can_be_written_to_at_once():
    peer, _, link = met()
    peer.disconnected()
    peer.connected()
    peer.outgoing(0.0)
    tell(peer, link)
    assert said(peer) == []

    writes(peer, "b", envelopes=[told()])

    assert [len(one.envelopes) for one in said(peer)] == [1]


def test_the_probe_of_a_life_that_is_over_moves_nothing():
    peer = online("me")
    writes(peer, "a", envelopes=[told()])
    writes(peer, "a", 2, envelopes=[told()])
    link = peer.links["a"]
    said(peer)
    peer.disconnected()
    peer.connected()
    link.prompt = False

    writes(peer, "a", 1, flags=Flags.ACKNOWLEDGE, last=1)

    assert (link.held, link.prompt) == (True, False)


def test_a_member_that_writes_makes_its_pool_up():
    peer = online("me")
    front = peer.link("p")
    hear(peer, Stands("p", Standing.UP, 0, 100, members=["p#1", "p#2"]))
    assert front.standing is Standing.DOWN

    writes(peer, "p#1", envelopes=[told()])

    assert front.standing is Standing.UP


# --- what is kept


def test_a_program_takes_events_of_the_classes_it_has_asked_for():
    client = online("client-1", mailbox=0)
    client.take_events("m:E")

    writes(client, "a", envelopes=[told(1, tag="m:E"), told(2, tag="m:M"), told(3, tag="m:E")])

    assert [one.envelope.seq for one in client.deliveries] == [1, 3]
    assert [loss.envelope.seq for loss in client.losses] == [2]
    assert client.credit == OUTBOX_MESSAGES


def test_a_program_declines_as_much_as_is_sent():
    client = online("client-1", mailbox=0)
    for sender in ("a", "b"):
        writes(client, sender, envelopes=[told()])

    assert client.credit == OUTBOX_MESSAGES // 2
    assert len(client.losses) == 2


@pytest.mark.parametrize(
    ("mailbox", "every"),
    [(1, 1), (2, 1), (3, 1), (4, 2), (2 * ACK_EVERY, ACK_EVERY), (3 * ACK_EVERY, ACK_EVERY)],
)
def test_with_little_credit_its_sender_hears_more_often(mailbox, every):
    peer = online("me", mailbox=mailbox)
    writes(peer, "a", envelopes=[told(n + 1) for n in range(mailbox)])
    said(peer)
    done = 0
    while not said(peer):
        handle(peer)
        done += 1

    assert done == every


def test_senders_share_the_room_for_large_messages_too():
    peer = online("me")
    for name in ("a", "b"):
        writes(peer, name, envelopes=[told(size=8 << 20)])
    assert peer.credit == OUTBOX_BYTES // 2 // (8 << 20)

    for number in range(2, 200):
        writes(peer, "a", envelopes=[told(number)])
    assert peer.credit == OUTBOX_MESSAGES // 2


def test_a_size_that_a_mailbox_has_room_for_by_number_changes_nothing():
    peer = online("me")

    writes(peer, "a", envelopes=[told(size=LIGHT)])
    assert peer.credit == OUTBOX_MESSAGES
    writes(peer, "a", envelopes=[told(), told(2, size=2 * LIGHT + 2)])
    assert peer.credit == OUTBOX_BYTES // (2 * LIGHT + 2)


def test_the_largest_message_yet_counts_and_fades():
    peer = online("me")
    writes(peer, "a", envelopes=[told(size=16 << 20)])
    assert peer.credit == 4

    writes(peer, "a", envelopes=[told(), told(2, size=8 << 20)])

    assert peer.credit == OUTBOX_BYTES // ((16 << 20) * 9 // 10)


def test_a_mailbox_of_one_is_not_divided_any_further():
    peer = online("me", mailbox=1)
    for name in ("a", "b"):
        writes(peer, name, envelopes=[told()])

    assert peer.credit == 1


@pytest.mark.parametrize(
    ("theirs", "ours", "deadline"),
    [(b"here", b"here", 105.0), (b"there", b"here", 12.0), (b"", b"", 12.0)],
)
def test_two_of_one_host_have_one_clock(theirs, ours, deadline):
    sender, receiver = online("a", host=theirs), online("b", host=ours)
    link = up(sender, "b")
    sender.post(link, Letter(Envelope(Kind.TELL, 0, 0, "m:M", b"", 0, 105.0)))
    (message,) = (m for m in sender.outgoing(100.0) if not is_word(m))

    receiver.receive([bytes(frame) for frame in message], 7.0)

    assert receiver.deliveries[0].deadline == deadline


def test_a_share_is_given_back_once_for_each_life():
    peer = online("me", mailbox=100)
    writes(peer, "a", envelopes=[told()])
    assert peer.credit == 100
    writes(peer, "a", 2, envelopes=[told()])  # before the end of the first is known
    assert peer.credit == 100
    hear(peer, Obituary("a", 2, "killed", None))
    assert peer.credit == 100

    for name, life in (("a", 3), ("b", 1)):
        writes(peer, name, life, envelopes=[told()])

    assert peer.credit == 50


# --- answers


def test_an_answer_counts_from_whoever_was_asked_only():
    peer, _, link = met()
    sink, call = ask(peer, link)
    reply = Envelope(Kind.REPLY, 1, call.correlation, "", b"!")

    writes(peer, "c", envelopes=[reply])
    assert not sink.taken
    writes(peer, "b", envelopes=[reply])
    assert len(sink.taken) == 1


def test_a_stream_is_open_until_its_end():
    peer, _, link = met()
    sink, call = ask(peer, link, kind=Kind.STREAM)
    kinds = (Kind.ITEM, Kind.END, Kind.ITEM)

    writes(
        peer,
        "b",
        envelopes=[Envelope(k, n, call.correlation, "", b"") for n, k in enumerate(kinds, 1)],
    )

    assert [one.kind for one in sink.taken] == [Kind.ITEM, Kind.END]


@pytest.mark.parametrize("kind", [Kind.GRANT, Kind.CANCEL])
def test_words_about_a_call_are_for_whoever_runs_it(kind):
    peer = online("me")
    writes(peer, "a", envelopes=[Envelope(kind, 1, 7, "", b"")])

    ((link, life, envelope),) = peer.signals
    assert (link.name, life, envelope.correlation) == ("a", 1, 7)


def late(record=LaneRecord(1), kind=Kind.ASK):  # noqa: B008 - frozen
    """Ask a life that then ends."""
    peer, other, link = met()
    sink, call = ask(peer, link, kind=kind)
    carry(peer, other)
    writes(peer, "b", envelopes=[told()])
    hear(peer, Obituary("b", 1, "killed", record))
    return peer, sink, call


def test_a_late_answer_brings_its_arrays():
    peer, sink, call = late()
    frames = []
    sink.take = lambda envelope, more, **_: frames.append((envelope.payload, more)) or True
    nothing = Envelope(Kind.TELL, 2, 0, "m:M", b"", 1)
    reply = Envelope(Kind.REPLY, 3, call.correlation, "", b"!", 2)

    writes(peer, "b", envelopes=[nothing, reply], frames=[b"1", b"2", b"3"])

    assert frames == [(b"!", [b"2", b"3"])]
    assert len(peer.deliveries) == 1


def test_the_late_end_of_a_stream_counts():
    peer, sink, call = late(kind=Kind.STREAM)

    writes(peer, "b", envelopes=[told(), Envelope(Kind.END, 2, call.correlation, "", b"")])
    peer.tick(9.0)

    assert [one.kind for one in sink.taken] == [Kind.END]
    assert not sink.failed


def test_a_late_answer_whose_arrays_are_missing_is_none():
    peer, sink, call = late()
    reply = Envelope(Kind.REPLY, 2, call.correlation, "", b"!", 2)

    writes(peer, "b", envelopes=[reply], frames=[b"1"])

    assert not sink.taken


@pytest.mark.parametrize("kind", [Kind.TELL, Kind.GRANT, Kind.WANT])
def test_of_a_life_that_is_over_nothing_else_counts(kind):
    peer, _, call = late()

    writes(peer, "b", envelopes=[Envelope(kind, 2, call.correlation, "", b"")])

    assert (len(peer.deliveries), len(peer.signals)) == (1, 0)
    assert not peer._line.waiting


def test_a_late_answer_to_what_the_next_life_will_handle_is_none():
    peer, sink, call = late(record=LaneRecord(0))
    reply = Envelope(Kind.REPLY, 2, call.correlation, "", b"!")

    writes(peer, "b", envelopes=[reply])

    assert not sink.taken


# --- what is acknowledged


def test_what_was_handled_is_settled():
    a, b, link = met()
    letter = tell(a, link)
    carry(a, b)
    handle(b)
    carry(b, a)

    assert list(a.settled) == [letter]


def test_answers_are_acknowledged_too():
    a, b, link = met()
    ask(a, link)
    carry(a, b)
    handle(b)
    carry(b, a)
    assert not b.links["a"].out.idle

    a.tick(ACK_DELAY)
    carry(a, b)

    assert b.links["a"].out.idle


def test_whoever_repeats_itself_hears_again_after_a_moment():
    peer = online("me")
    writes(peer, "a", envelopes=[told()])
    handle(peer)
    peer.tick(ACK_DELAY)
    assert len(said(peer)) == 1
    assert peer.next_due() == math.inf

    writes(peer, "a", envelopes=[told()])

    assert said(peer) == []
    assert peer.next_due() == ACK_DELAY
    peer.tick(ACK_DELAY)
    assert [one.handled for one in said(peer)] == [1]


def test_whoever_was_waited_for_may_send_at_once_when_there_is_credit():
    a, b = online("a"), online("b", mailbox=1)
    link = up(a, "b", mailbox=1)
    for _ in range(2):
        a.post(link, Letter(Envelope(Kind.TELL, 0, 0, "m:M", b"x")))
    carry(a, b)
    handle(b)
    carry(b, a)

    assert carry(a, b) == 1
    assert len(b.deliveries) == 1
