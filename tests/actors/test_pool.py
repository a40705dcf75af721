"""Both halves of a pool where its machine does not look: what is due, and what is forgotten."""

from __future__ import annotations

import math

from actors.control import Obituary, Standing, Stands
from actors.envelope import Envelope, Kind
from actors.pool import PATIENCE
from tests.actors.test_arrivals import told, writes
from tests.actors.test_peer import handle, hear, online


def word(kind, number=1):
    return Envelope(kind, number, 0, "", b"")


def member_with_two_senders():
    peer = online("p#1")
    for name in ("a", "b"):
        writes(peer, name, envelopes=[word(Kind.WANT)])
    return peer


def offered_to(peer):
    return [
        name
        for name, link in peer.links.items()
        for letter in link.out.flying.values()
        if letter.envelope.kind == Kind.OFFER
    ]


def test_the_next_in_turn_is_due_when_the_one_before_has_not_answered():
    peer = member_with_two_senders()
    assert peer._line.next_due == math.inf, "nobody was offered anything yet"

    peer.outgoing(10.0)

    assert offered_to(peer) == ["a"]
    assert peer.next_due() <= peer._line.next_due == 10.0 + PATIENCE
    peer.outgoing(10.0 + PATIENCE - 0.01)
    assert offered_to(peer) == ["a"]
    peer.outgoing(10.0 + PATIENCE)
    assert offered_to(peer) == ["a", "b"]
    assert peer._line.next_due == math.inf, "nobody else waits"


def test_a_member_at_work_offers_nothing_and_is_not_due():
    peer = member_with_two_senders()
    peer.outgoing(0.0)

    writes(peer, "a", envelopes=[word(Kind.WANT), told(2)])
    peer.outgoing(9.0)

    assert offered_to(peer) == ["a"]
    assert peer._line.next_due == math.inf
    handle(peer, 9.0)
    peer.outgoing(9.0)
    assert offered_to(peer) == ["a", "b"]


def test_one_that_has_no_work_any_more_makes_way_at_once():
    peer = member_with_two_senders()
    peer.outgoing(0.0)

    writes(peer, "a", envelopes=[word(Kind.WANT), word(Kind.PASS, 2)])
    peer.outgoing(0.0)

    assert offered_to(peer) == ["a", "b"]


def test_a_sender_that_died_waits_in_no_line():
    peer = member_with_two_senders()

    hear(peer, Obituary("a", 1, "killed", None))

    assert [link.name for link in peer._line.waiting] == ["b"]
    peer.outgoing(0.0)
    assert offered_to(peer) == ["b"]


def test_a_pool_that_is_gone_is_forgotten_with_its_members():
    peer = online("me")
    peer.link("p")
    hear(peer, Stands("p", Standing.UP, 0, 100, members=["p#1", "p#2"]))
    assert len(peer._pools._of) == 2

    hear(peer, Stands("p", Standing.GONE, 0))

    assert (peer._pools.all, peer._pools._of) == ({}, {})


def test_a_pool_whose_members_are_known_already_is_up_at_once():
    peer = online("me")
    peer.link("p#1")
    hear(peer, Stands("p#1", Standing.UP, 1))
    front = peer.link("p")

    hear(peer, Stands("p", Standing.UP, 0, 100, members=["p#1"]))

    assert front.standing is Standing.UP


def test_a_pool_is_where_all_its_members_are_and_down_with_the_last():
    peer = online("me")
    front = peer.link("p")
    hear(peer, Stands("p", Standing.UP, 0, 100, members=["p#1", "p#2"]))
    hear(peer, Stands("p#1", Standing.UP, 1, 100, "", b"here"))
    assert (front.standing, front.host) == (Standing.UP, b"here")

    hear(peer, Stands("p#2", Standing.UP, 1, 100, "", b"there"))
    assert front.host == b"", "arrays must reach either"

    hear(peer, Obituary("p#2", 1, "killed", None))
    assert (front.standing, front.host) == (Standing.UP, b"here")
    hear(peer, Obituary("p#1", 1, "killed", None))
    assert (front.standing, front.host) == (Standing.DOWN, b"")
