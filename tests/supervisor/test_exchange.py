"""What the supervisor says to a broker, and says again to the next one."""

from __future__ import annotations

import attrs
import pytest

from actors.blackbox import InProgress, LinkRecord, read
from actors.control import (
    BROKER,
    SUPERVISOR,
    Declare,
    Ended,
    Heard,
    LaneRecord,
    Standing,
    Synced,
    decode_word,
    encode_word,
)
from actors.envelope import MAGIC, Route, encode_route
from actors.peer import Peer
from actors.recorder import Recorder
from supervisor.exchange import GONE, Exchange, lanes_of

ONE, TWO = b"1" * 16, b"2" * 16
BLANK = read(Recorder.blank())


def exchange():
    peer = Peer(SUPERVISOR, 1)
    woken = []
    return (
        Exchange(peer, lambda: woken.append(True)),
        peer,
        woken,
    )


def words(peer):
    return [decode_word(message[1]) for message in peer.outgoing(0.0)][1:]


def test_what_is_said_without_a_broker_is_said_once_there_is_one():
    exchange_, peer, woken = exchange()
    up = Declare("a", Standing.UP, 1, ONE)
    exchange_.declare(up)
    assert woken == []

    peer.connected()

    assert words(peer) == [up, Synced()]


def test_news_is_said_at_once():
    exchange_, peer, woken = exchange()
    peer.connected()
    words(peer)

    exchange_.declare(Declare("a", Standing.UP, 1, ONE))

    assert woken == [True]
    assert len(peer.outgoing(0.0)) == 1


def test_a_new_broker_hears_how_every_life_ended_before_how_names_stand():
    exchange_, peer, _ = exchange()
    exchange_.declare(Declare("a", Standing.UP, 1, ONE, 10))
    exchange_.ended("a", 1, "killed", BLANK)
    peer.connected()

    ended, declared, synced = words(peer)

    assert ended == Ended("a", 1, "killed", {})
    assert declared == Declare("a", Standing.DOWN, 1, mailbox=10, reason="killed")
    assert synced == Synced()


FROM_BROKER = encode_route(Route(MAGIC, SUPERVISOR, 1, BROKER, 0))


def hears(number):
    """Return the broker's word that it has heard so much."""
    return [FROM_BROKER, encode_word(Heard(number))]


@pytest.mark.parametrize(
    ("happens", "enough"),
    [
        (lambda peer: peer.receive(hears(1), 0.0), True),
        (lambda peer: peer.disconnected(), True),
        (lambda peer: peer.receive(hears(0), 0.0), False),
        (lambda peer: None, False),
    ],
    ids=["it says so", "it is gone", "it has heard what came before", "nothing"],
)
def test_a_name_is_known_when_the_broker_says_so_or_the_next_one_hears_it_first(happens, enough):
    exchange_, peer, _ = exchange()
    peer.connected()
    words(peer)
    up = Declare("a", Standing.DOWN, 1, ONE)
    exchange_.declare(up)
    heard = exchange_.heard()
    assert [decode_word(message[1]) for message in peer.outgoing(0.0)] == [up, Synced(1)]
    assert not heard()

    happens(peer)

    assert heard() is enough


def test_names_that_are_gone_are_said_again_up_to_a_limit():
    exchange_, peer, _ = exchange()
    for number in range(GONE + 10):
        exchange_.ended(f"n{number}", 1, "stopped", BLANK)
        exchange_.declare(Declare(f"n{number}", Standing.GONE, 0))
    peer.connected()

    said = words(peer)

    assert len(said) == 2 * GONE + 1
    assert said[-2] == Declare(f"n{GONE + 9}", Standing.GONE, 0)


def test_a_name_that_comes_back_is_not_gone():
    exchange_, peer, _ = exchange()
    exchange_.declare(Declare("a", Standing.GONE, 0))
    exchange_.declare(Declare("a", Standing.UP, 2, ONE))
    peer.connected()

    assert words(peer) == [Declare("a", Standing.UP, 2, ONE), Synced()]


def test_a_record_that_is_missing_or_damaged_is_not_believed():
    exchange_, peer, _ = exchange()
    exchange_.ended("a", 1, "killed", None)
    exchange_.ended("b", 1, "killed", attrs.evolve(BLANK, intact=False))
    peer.connected()

    assert [word.known for word in words(peer)[:-1]] == [False, False]


def test_each_sender_gets_its_own_lane():
    record = attrs.evolve(
        BLANK,
        links={ONE: LinkRecord(3, (5, 6))},
        in_progress=(InProgress(ONE, 4, "t", 0.0), InProgress(TWO, 1, "t", 0.0)),
    )

    assert lanes_of(record) == {
        ONE: LaneRecord(3, (5, 6), (4,)),
        TWO: LaneRecord(0, (), (1,)),
    }
