"""What goes out of a party: what shares a wire message, and when something is due."""

from __future__ import annotations

import math

import pytest

from actors.control import Obituary, Standing, Stands
from actors.departures import ACK_DELAY, PROBE_DELAY
from actors.envelope import Envelope, Flags, Kind
from actors.letter import Letter
from actors.outbox import FIRST_WINDOW
from tests.actors.test_arrivals import met, said, told, writes
from tests.actors.test_peer import ask, carry, handle, hear, online, tell, up

RESEND = int(Flags.RESEND)


def reply(correlation=1):
    return Letter(Envelope(Kind.REPLY, 0, correlation, "", b"!"))


# --- what is not sent frees its memory


def test_an_answer_to_a_life_that_is_over_is_settled_at_once():
    peer = online("me")
    writes(peer, "a", 2, envelopes=[told()])
    link = peer.links["a"]
    answers = [reply() for _ in range(4)]

    peer.answer(link, 1, answers[0])
    peer.answer(link, 3, answers[1])
    assert list(peer.settled) == answers[:2]
    hear(peer, Obituary("a", 2, "killed", None))
    peer.answer(link, 2, answers[2])
    assert list(peer.settled) == answers[:3]
    hear(peer, Stands("a", Standing.GONE, 0))
    peer.answer(link, 2, answers[3])
    assert list(peer.settled) == answers


def test_a_word_about_a_call_that_no_life_can_hear_is_settled_at_once():
    peer = online("me")
    link = peer.link("b")
    word = Letter(Envelope(Kind.CANCEL, 0, 1, "", b""))

    peer.post(link, word)

    assert list(peer.settled) == [word]
    assert link.out.idle


def test_a_message_waits_for_the_next_life_and_a_word_does_not():
    peer, _, link = met()
    hear(peer, Obituary("b", 1, "killed", None))
    message = tell(peer, link)
    word = Letter(Envelope(Kind.GRANT, 0, 1, "", b""))
    peer.post(link, word)

    assert list(peer.settled) == [word]
    assert list(link.out.waiting) == [message]


# --- when something is due


def test_nothing_is_due_while_nobody_waits():
    peer, other, link = met()
    assert peer.next_due() == math.inf
    tell(peer, link)
    carry(peer, other)
    assert peer.next_due() == PROBE_DELAY
    handle(other)
    other.tick(ACK_DELAY)
    carry(other, peer)

    peer.tick(PROBE_DELAY)

    assert peer.next_due() == math.inf


def test_an_acknowledgement_is_due_a_moment_after_the_first_that_is_owed():
    peer = online("me")
    writes(peer, "a", envelopes=[told(), told(2)])
    said(peer)
    for now in (1.0, 1.02):
        handle(peer, now)

    assert peer.next_due() == 1.0 + ACK_DELAY
    peer.tick(1.0)
    assert said(peer) == []
    peer.tick(1.0 + ACK_DELAY)
    assert [one.handled for one in said(peer)] == [2]
    assert peer.next_due() == math.inf


def test_a_late_acknowledgement_is_for_those_it_is_owed_to():
    peer = online("me")
    for name in ("a", "b"):
        writes(peer, name, envelopes=[told()])
    peer.link("c")
    said(peer)
    handle(peer)

    peer.tick(ACK_DELAY)

    assert len(said(peer)) == 1


def test_a_probe_comes_after_a_second_without_progress_and_then_every_second():
    peer, _, link = met()
    tell(peer, link)
    peer.outgoing(0.0)  # lost
    probes = []
    for tenth in range(5, 50, 5):
        peer.tick(tenth / 10)
        probes += [tenth / 10 for one in said(peer, tenth / 10) if one.flags]

    assert probes == [2.0, 3.0, 4.0]


def test_progress_puts_the_probe_off():
    peer, _, link = met()
    flags = []
    for second in range(6):
        tell(peer, link)
        flags += [one.flags for one in said(peer, float(second))]
        link.out.acknowledge(second, [], 100)  # the one before it is done
        peer.tick(second + PROBE_DELAY)

    assert flags == [0] * 6


# --- what shares a wire message


def test_an_answer_takes_the_acknowledgement_along():
    peer = online("me")
    writes(peer, "a", envelopes=[Envelope(Kind.ASK, 1, 9, "m:M", b"")])
    said(peer)

    handle(peer)

    ((batch),) = said(peer)
    assert (len(batch.envelopes), batch.received, batch.handled) == (1, 1, 1)
    assert peer._departures._dirty == {}


def test_what_one_wire_message_has_said_the_next_does_not_repeat():
    peer = online("me")
    writes(peer, "a", envelopes=[told(1), told(2), told(3)], last=9)
    link, inbound = peer.links["a"], peer.links["a"].inbound
    peer.finished(link, inbound, 2, 0.0)
    link.out.acknowledge(0, [], 10_000)
    for _ in range(300):
        tell(peer, link)

    first, second = said(peer)

    assert (first.flags & RESEND, first.finished, len(first.envelopes)) == (RESEND, [2, 2], 256)
    assert (second.flags & RESEND, second.finished, len(second.envelopes)) == (0, [], 44)
    assert (first.last, second.last, second.received) == (256, 300, 3)


def test_a_probe_is_asked_once_and_all_is_said_to_whoever_asks():
    peer = online("me")
    writes(peer, "a", envelopes=[told(1), told(2)])
    link = peer.links["a"]
    peer.finished(link, link.inbound, 2, 0.0)
    said(peer)

    writes(peer, "a", flags=1, last=2)
    assert [one.finished for one in said(peer)] == [[2, 2]]
    assert not link.prompt
    writes(peer, "a", flags=0, last=2)
    assert said(peer) == []


def test_a_new_life_is_asked_to_acknowledge_when_more_waits_than_it_may_get():
    peer, _, link = met()
    for _ in range(FIRST_WINDOW):
        tell(peer, link)
    assert [one.flags for one in said(peer)] == [0]
    tell(peer, link)
    assert said(peer) == []
    again, _, link = met()
    for _ in range(FIRST_WINDOW + 1):
        tell(again, link)
    assert [one.flags for one in said(again)] == [1]


@pytest.mark.parametrize(("size", "flags"), [((32 << 20) - 64, 1), ((32 << 20) - 65, 0)])
def test_large_messages_ask_to_be_acknowledged(size, flags):
    peer, _, link = met()
    tell(peer, link, bytes(size))

    assert [one.flags for one in said(peer)] == [flags]


def test_whoever_leaves_and_has_nothing_under_way_asks_for_nothing():
    peer, other, link = met()
    sink, _ = ask(peer, link)
    carry(peer, other)
    handle(other)
    carry(other, peer)
    assert sink.taken

    peer.demand()
    peer._departures.probe(link)
    said(peer)

    assert link.mark == link.out.base


# --- who is written to


def test_without_a_life_nothing_leaves_and_with_one_everything():
    peer = online("me")
    link = peer.link("b")
    tell(peer, link)
    assert said(peer) == []

    hear(peer, Stands("b", Standing.UP, 1))

    assert [len(one.envelopes) for one in said(peer)] == [1]


def test_what_could_not_leave_without_a_connection_leaves_with_one():
    peer, _, link = met()
    peer.disconnected()
    tell(peer, link)
    assert peer.outgoing(0.0) == []
    assert peer.outgoing(0.0) == []

    peer.online = True

    assert [len(one.envelopes) for one in said(peer)] == [1]


def test_a_link_that_is_closed_has_nothing_to_say():
    peer, _, link = met()
    tell(peer, link)

    hear(peer, Stands("b", Standing.GONE, 0))

    assert said(peer) == []
    assert peer._departures._dirty == {}


def test_binding_a_life_again_keeps_its_route_and_its_road():
    peer, _, link = met()
    route = link.route
    up(peer, "b")
    assert link.route is route

    hear(peer, Obituary("b", 1, "killed", None))
    up(peer, "b", 2)

    assert link.route != route
