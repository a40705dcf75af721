"""Direct connections, as the deciders see them: two parties, the relay and one connection."""

from __future__ import annotations

import math

import pytest

from actors.calls import Call
from actors.control import (
    BROKER,
    Closing,
    Meet,
    Met,
    Obituary,
    Standing,
    Stands,
    Welcome,
    encode_word,
)
from actors.envelope import (
    MAGIC,
    Batch,
    Envelope,
    Kind,
    Route,
    decode_batch,
    encode_batch,
    encode_route,
)
from actors.letter import Letter
from actors.peer import Peer
from actors.roads import FEW, MOST_DIALS, MOST_ROADS, PATIENCE, RETIRED, SMALL

FROM_BROKER = encode_route(Route(MAGIC, "", 0, BROKER, 0))
NEAR = "ipc://dir/"
THERE = f"{NEAR}0123456789abcdef"
LINE = b"a line"


class Nowhere:
    def take(self, _envelope, _frames, *, near):
        return True

    def fail(self, _error):
        pass


def party(name, mailbox=100):
    peer = Peer(name, 1, mailbox=mailbox)
    peer.roads.near = (NEAR,)
    peer.connected()
    peer.receive([FROM_BROKER, encode_word(Welcome(""))], 0.0)
    peer.outgoing(0.0)
    return peer


def resolved(target="b", endpoint=THERE, name="a"):
    """A party that knows how `target` stands."""
    peer = party(name)
    link = peer.link(target)
    stand(peer, target, endpoint)
    peer.outgoing(0.0)
    return peer, link


def stand(peer, target, endpoint=THERE, incarnation=1):
    stands = Stands(target, Standing.UP, incarnation, 100, endpoint=endpoint)
    peer.receive([FROM_BROKER, encode_word(stands)], 0.0)


def tell(peer, link, text=b"m", frames=()):
    peer.post(link, Letter(Envelope(Kind.TELL, 0, 0, "m:M", text, len(frames)), frames))


def parcels(peer):
    found = [(road.id, [bytes(f) for f in frames]) for road, frames in peer.roads.parcels]
    peer.roads.parcels.clear()
    return found


def numbers(frames):
    return [envelope.seq for envelope in decode_batch(frames[-1]).envelopes]


def meet(one, other):
    """Carry the introduction from `one`, who dials, to `other` and back."""
    (road,) = one.roads.dials
    one.roads.dials.clear()
    ((number, frames),) = parcels(one)
    other.receive_direct([LINE, *frames], 0.0, dialled=False)
    other.outgoing(0.0)
    return number, road


def answer(one, other, number):
    for line, frames in parcels(other):
        assert line == LINE
        one.receive_direct([number, *frames], 0.0, dialled=True)


def test_the_first_letter_takes_the_relay_and_makes_the_party_dial():
    peer, link = resolved()

    tell(peer, link)
    (relayed,) = peer.outgoing(0.0)

    assert numbers(relayed) == [1]
    (road,) = peer.roads.dials
    assert (road.name, road.incarnation, road.endpoint, road.open) == ("b", 1, THERE, False)
    assert parcels(peer) == [(road.id, [link.route, encode_word(Meet())])]


def test_what_is_under_way_is_repeated_on_the_new_road_and_taken_once():
    one, link = resolved()
    other = party("b")
    tell(one, link, b"1")
    (relayed,) = one.outgoing(0.0)
    number, _ = meet(one, other)
    answer(one, other, number)
    tell(one, link, b"2")

    assert one.outgoing(0.0) == []
    direct = parcels(one)
    assert [numbers(frames) for _, frames in direct] == [[1], [2]]
    for _, frames in direct:
        other.receive_direct([LINE, *frames], 0.0, dialled=False)
    other.receive(relayed, 0.0)
    assert [d.envelope.payload for d in other.deliveries] == [b"1", b"2"]
    assert other.bad_frames == 0


def test_much_that_is_under_way_is_waited_for():
    one, link = resolved()
    other = party("b")
    for _ in range(50):
        tell(one, link)
    relayed = one.outgoing(0.0)
    number, road = meet(one, other)
    answer(one, other, number)
    tell(one, link, b"new")

    (probe,) = one.outgoing(0.0)
    assert numbers(probe) == []
    assert parcels(one) == []

    for frames in [*relayed, probe]:
        other.receive([bytes(frame) for frame in frames], 0.0)
    # The acknowledgement may come by either road.
    for frames in other.outgoing(0.0):
        one.receive(frames, 0.0)
    for _, frames in parcels(other):
        one.receive_direct([number, *frames], 0.0, dialled=True)
    assert one.outgoing(0.0) == []
    assert [numbers(frames) for _, frames in parcels(one)] == [[51]]
    assert link.way.road is road


@pytest.mark.parametrize("dead", [True, False])
def test_a_relay_that_does_not_answer_is_not_waited_for(dead):
    one, link = resolved()
    other = party("b")
    for _ in range(50):
        tell(one, link)
    one.outgoing(0.0)
    number, _ = meet(one, other)
    answer(one, other, number)
    assert len(one.outgoing(0.0)) == 1

    if dead:
        one.disconnected()
        assert one.outgoing(0.0) == []
    else:
        assert one.next_due() == PATIENCE
        one.tick(PATIENCE)
        one.outgoing(PATIENCE)

    sent = [seq for _, frames in parcels(one) for seq in numbers(frames)]
    assert sent == list(range(1, 51))


def test_the_other_side_answers_on_the_same_connection():
    one, link = resolved()
    other = party("b")
    letter = Letter(Envelope(Kind.ASK, 0, 0, "m:M", b"q"))
    one.call(link, letter, Call(Nowhere(), target="b", message="M", deadline=math.inf))
    (relayed,) = one.outgoing(0.0)
    number, _ = meet(one, other)
    answer(one, other, number)
    other.receive(relayed, 0.0)
    (delivery,) = other.deliveries

    other.disconnected()
    reply = Envelope(Kind.REPLY, 0, delivery.envelope.correlation, "", b"")
    other.answer(delivery.link, 1, Letter(reply))

    assert other.outgoing(0.0) == []
    ((line, frames),) = parcels(other)
    one.receive_direct([number, *frames], 0.0, dialled=True)
    assert (line, len(one.calls)) == (LINE, 0)


def established():
    one, link = resolved()
    other = party("b")
    tell(one, link)
    (relayed,) = one.outgoing(0.0)
    other.receive(relayed, 0.0)
    number, road = meet(one, other)
    answer(one, other, number)
    one.outgoing(0.0)
    parcels(one)
    assert link.way.road is road
    return one, link, other, road


def test_a_conversation_outlives_the_broker():
    one, link, _, road = established()

    one.disconnected()
    tell(one, link)
    assert one.outgoing(0.0) == []
    assert [line for line, _ in parcels(one)] == [road.id]

    one.connected()
    tell(one, link)
    words = one.outgoing(0.0)
    assert [len(parcels(one)), link.held] == [1, False]
    assert len(words) == 2  # Hello, Resolve; nothing is relayed


def test_a_broken_road_makes_way_for_the_relay():
    one, link, _, road = established()
    tell(one, link)
    one.outgoing(0.0)
    parcels(one)

    one.broken(road)
    (relayed,) = one.outgoing(0.0)

    # What was lost is repeated when the receiver says how far it came.
    batch = decode_batch(relayed[-1])
    assert (batch.flags & 1, batch.last) == (1, 2)
    assert link.way.road is None
    assert [r.id for r in one.roads.hangups] == [road.id]


def test_a_road_ends_with_the_life_it_leads_to_but_its_last_answers_arrive():
    one, link, _, road = established()
    obituary = Obituary("b", 1, "killed", None)
    one.receive([FROM_BROKER, encode_word(obituary)], 0.0)

    assert link.way.road is None
    assert road.open
    stand(one, "b", f"{NEAR}00", 2)
    tell(one, link)
    assert len(one.outgoing(0.0)) == 1
    assert [r.incarnation for r in one.roads.dials] == [2]


def test_roads_to_dead_lives_are_forgotten_in_the_end():
    other, _ = resolved("a", name="b")
    for life in range(1, RETIRED + 10):
        stand(other, "a", incarnation=life)
        route = encode_route(Route(MAGIC, "b", 1, "a", life))
        other.receive_direct([b"%d" % life, route, encode_word(Meet())], 0.0, dialled=False)
        obituary = Obituary("a", life, "killed", None)
        other.receive([FROM_BROKER, encode_word(obituary)], 0.0)

    assert len(other.roads.met) == RETIRED
    assert other.bad_frames == 0


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "tcp://127.0.0.1:1", "ipc://other/00", f"{NEAR}", f"{NEAR}../x", f"{NEAR}a/b",
        "inproc://x", f"{NEAR}a\0",
    ],
)  # fmt: skip
def test_nothing_outside_the_own_directory_is_dialled(endpoint):
    one, link = resolved(endpoint=endpoint)

    tell(one, link)
    assert len(one.outgoing(0.0)) == 1

    assert not one.roads.busy


def test_without_an_own_directory_everything_is_relayed():
    one, link = resolved()
    one.roads.near = ()

    tell(one, link)
    one.outgoing(0.0)

    assert not one.roads.busy


def test_a_dial_that_comes_to_nothing_is_tried_again_later_and_later():
    one, link = resolved()
    dialled = []
    for second in range(40):
        tell(one, link)
        one.outgoing(float(second))
        dialled += [second] * len(one.roads.dials)
        one.roads.dials.clear()

    assert dialled == [0, 1, 3, 7, 15, 31]
    assert len(one.roads.dialled) == 1
    assert len(one.roads.hangups) == 5


GOOD = encode_route(Route(MAGIC, "b", 1, "a", 1))
BATCH = encode_batch(Batch(0.0, 1, 1, 0, 0, [], 1, 0, [Envelope(Kind.TELL, 1, 0, "m:M", b"")]))


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"\xff" * 100, b""],
        [BATCH],
        [GOOD],
        [GOOD, b""],
        [GOOD, BATCH],
        [GOOD, encode_word(Met())],
        [GOOD, encode_word(Closing("over"))],
        [GOOD, encode_word(Meet()), b""],
        [GOOD + bytes(2000), encode_word(Meet())],
        [encode_route(Route(MAGIC, "b", 2, "a", 1)), encode_word(Meet())],
        [encode_route(Route(MAGIC, "c", 1, "a", 1)), encode_word(Meet())],
        [encode_route(Route(MAGIC, "b", 1, "b", 1)), encode_word(Meet())],
        [encode_route(Route(MAGIC, "b", 1, "", 0)), encode_word(Meet())],
        [encode_route(Route("us9", "b", 1, "a", 1)), encode_word(Meet())],
    ],
)
def test_a_connection_that_does_not_introduce_itself_is_not_heard(frames):
    other = party("b")

    other.receive_direct([LINE, *frames], 0.0, dialled=False)

    assert (other.bad_frames, len(other.roads.met), other.roads.busy) == (1, 0, False)


def test_only_the_broker_speaks_for_the_broker():
    other = party("b")
    other.receive_direct([LINE, GOOD, encode_word(Meet())], 0.0, dialled=False)
    assert len(other.roads.met) == 1

    for frames in ([encode_word(Closing("over"))], [FROM_BROKER, encode_word(Closing("over"))]):
        other.receive_direct([LINE, *frames], 0.0, dialled=False)

    assert (other.bad_frames, other.ended) == (2, "")


def test_an_answer_from_somebody_else_opens_no_road():
    one, link = resolved()
    tell(one, link)
    one.outgoing(0.0)
    (road,) = one.roads.dials
    wrong = encode_route(Route(MAGIC, "a", 1, "c", 1))

    one.receive_direct([road.id, wrong, encode_word(Met())], 0.0, dialled=True)
    one.receive_direct([b"road7", wrong, encode_word(Met())], 0.0, dialled=True)

    assert (one.bad_frames, road.open, link.way.better) == (2, False, None)


def test_so_many_connections_are_taken_and_no_more():
    other = party("b")
    for number in range(MOST_ROADS + 5):
        route = encode_route(Route(MAGIC, "b", 1, f"client-{number}", 1))
        other.receive_direct([b"%d" % number, route, encode_word(Meet())], 0.0, dialled=False)

    assert len(other.roads.met) == MOST_ROADS
    assert other.bad_frames == 5


def test_what_waits_leaves_before_the_party_does():
    one, link = resolved()
    other = party("b")
    for _ in range(50):
        tell(one, link)
    one.outgoing(0.0)
    number, _ = meet(one, other)
    answer(one, other, number)
    tell(one, link, b"last")
    one.outgoing(0.0)
    assert not one.roads.parcels

    one.leaving()

    assert [numbers(frames) for frames in one.outgoing(0.0)] == [[51]]


@pytest.mark.parametrize(
    ("count", "size", "at_once"),
    [(FEW, 1, True), (FEW + 1, 1, False), (1, SMALL - 64, True), (1, SMALL - 63, False)],
)
def test_few_and_small_letters_are_sent_twice_and_others_are_waited_for(count, size, at_once):
    one, link = resolved()
    other = party("b")
    for _ in range(5 + count):
        tell(one, link, bytes(size))
    one.outgoing(0.0)
    link.out.acknowledge(5, [], 0)
    number, _ = meet(one, other)
    answer(one, other, number)

    one.outgoing(0.0)

    assert [numbers(frames) for _, frames in parcels(one)] == [[*range(6, count + 6)]] * at_once
    assert (link.way.road is not None) == at_once


def test_what_has_arrived_already_is_not_under_way():
    one, link = resolved()
    other = party("b")
    for _ in range(2 * FEW):
        tell(one, link)
    one.outgoing(0.0)
    number, road = meet(one, other)
    answer(one, other, number)
    link.way.arrived = FEW

    one.outgoing(0.0)

    assert link.way.road is road
    assert [numbers(frames) for _, frames in parcels(one)] == [[*range(FEW + 1, 2 * FEW + 1)]]


def test_one_that_uses_a_direct_connection_does_not_change_to_a_second():
    one, link, other, road = established()
    second = encode_route(Route(MAGIC, "a", 1, "b", 1))

    one.receive_direct([b"line two", second, encode_word(Meet())], 0.0, dialled=False)

    assert link.way.better is None
    one.broken(road)
    assert link.way.better is one.roads.met[b"line two"]
    assert (road.open, other.bad_frames) == (False, 0)


def test_a_connection_to_a_former_life_is_not_changed_to():
    peer, link = resolved("b")
    stand(peer, "b", incarnation=1)
    former = encode_route(Route(MAGIC, "a", 1, "b", 7))

    peer.receive_direct([LINE, former, encode_word(Meet())], 0.0, dialled=False)

    assert link.way.better is None


def test_the_end_of_a_life_ends_its_connections_and_no_others():
    peer = party("b")
    for name, line in (("a", b"line a"), ("c", b"line c")):
        stand(peer, name, endpoint="")
        link = peer.link(name)
        stand(peer, name, endpoint="")
        route = encode_route(Route(MAGIC, "b", 1, name, 1))
        peer.receive_direct([line, route, encode_word(Meet())], 0.0, dialled=False)
        assert link.way.better is not None

    peer.receive([FROM_BROKER, encode_word(Obituary("a", 1, "killed", None))], 0.0)

    assert peer.links["a"].way.better is None
    assert peer.links["c"].way.better is not None
    assert [road.name for road in peer.roads._retired] == ["a"]
    assert list(peer.roads._lives) == [("c", 1)]


def test_the_next_life_is_tried_at_once_however_often_the_last_one_was():
    one, link = resolved()
    for second in range(70):
        tell(one, link)
        one.outgoing(float(second))
    assert link.way.dials == MOST_DIALS
    one.roads.dials.clear()

    one.receive([FROM_BROKER, encode_word(Obituary("b", 1, "killed", None))], 70.0)
    stand(one, "b", incarnation=2)
    tell(one, link)
    one.outgoing(70.0)

    assert [road.incarnation for road in one.roads.dials] == [2]
    assert link.way.dials == 1


def test_so_many_connections_are_made_and_no_more():
    peer = party("a")
    for number in range(MOST_ROADS + 5):
        name = f"b{number}"
        link = peer.link(name)
        stand(peer, name)
        tell(peer, link)
        peer.outgoing(0.0)

    assert len(peer.roads.dialled) == len(peer.roads.dials) == MOST_ROADS


def test_the_other_connection_to_a_life_is_used_when_one_breaks():
    peer, _ = resolved("b")
    route = encode_route(Route(MAGIC, "a", 1, "b", 1))
    for line in (b"line 1", b"line 2"):
        peer.receive_direct([line, route, encode_word(Meet())], 0.0, dialled=False)
    first, second = peer.roads.met.values()
    assert peer.roads._lives == {("b", 1): first}

    peer.broken(first)

    assert peer.roads._lives == {("b", 1): second}
    assert not peer.roads.hangups  # the one who dialled hangs up
