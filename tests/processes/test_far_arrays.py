"""Large arrays over the network: whole, passed by small messages, and safe from kills."""

from __future__ import annotations

import math
import os
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

import supervisor
from actors import Actor, Request, message, receive
from actors.outbox import MOST_ANSWER_BYTES
from tests.benchmarks.narrow import narrowed

pytestmark = pytest.mark.process

RATE = 20e6  # bytes a second
COUNT = 2_000_000  # numbers of 8 bytes: 0.8 s at this rate


@message
class Sum(Request[int]):
    data: NDArray[np.int64]


@message
class Numbers(Request[NDArray[np.int64]]):
    count: int


@message
class Double(Request[int]):
    n: int


class Store(Actor):
    @receive
    def add(self, msg: Sum) -> int:
        return int(msg.data.sum())

    @receive
    def numbers(self, msg: Numbers) -> NDArray[np.int64]:
        return np.arange(msg.count)


class Player(Actor):
    @receive
    def double(self, msg: Double) -> int:
        return 2 * msg.n


@contextmanager
def behind_a_slow_line(keys):
    """Return a system, and a program on the network that has joined it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_KEYS", str(keys / "keys"))
        with supervisor.start(listen="tcp://127.0.0.1:*") as host:
            host.spawn(Store, name="store")
            host.spawn(Player, name="player")
            with (
                narrowed(host.status().listening[0], RATE) as endpoint,
                supervisor.connect(endpoint) as guest,
            ):
                guest.ref("player").ask(Double(1)).result()
                yield host, guest


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    with behind_a_slow_line(tmp_path_factory.mktemp("far")) as (_, guest):
        yield guest


def small_asks(guest, reply, most=math.inf):
    """Ask another actor until a large answer is there; return how often it has answered."""
    player, count = guest.ref("player"), 0
    while not reply.done() and count < most:
        assert player.ask(Double(count)).result() == 2 * count
        count += 1
    return count


def test_small_messages_pass_a_large_one_on_its_way_to_an_actor(guest):
    data = np.arange(COUNT)
    reply = guest.ref("store").ask(Sum(data))

    assert small_asks(guest, reply) > 5
    assert reply.result() == data.sum()


def test_small_messages_pass_a_large_one_on_its_way_to_a_program(guest):
    store, own = guest.ref("store"), 0
    reply = store.ask(Numbers(COUNT))

    while not reply.done():  # the same actor answers others too
        assert store.ask(Sum(np.arange(own))).result() == own * (own - 1) // 2
        own += small_asks(guest, reply, 1)
    assert own > 5
    got = reply.result()
    np.testing.assert_array_equal(got, np.arange(COUNT))
    assert not got.flags.writeable


def test_a_program_behind_a_slow_line_gets_all_it_has_asked_for_though_it_is_much(guest):
    store = guest.ref("store")
    many = MOST_ANSWER_BYTES // (8 * COUNT) + 2
    replies = [store.ask(Numbers(COUNT - n), timeout=120.0) for n in range(many)]

    assert [len(reply.result()) for reply in replies] == [COUNT - n for n in range(many)]
    assert store.ask(Sum(np.arange(5))).result() == 10


def test_a_large_ask_that_is_given_up_stands_in_nobodys_way(guest):
    reply = guest.ref("store").ask(Sum(np.arange(COUNT)))
    assert guest.ref("player").ask(Double(1)).result() == 2

    reply.cancel()

    assert guest.ref("store").ask(Sum(np.arange(5))).result() == 10
    assert guest.ref("store").ask(Sum(np.arange(COUNT // 8))).result() > 0


def test_a_large_message_survives_the_broker_and_its_receiver(tmp_path):
    """Both are killed while it is on its way; it is handled once, by the next life."""
    data = np.arange(2 * COUNT)
    with behind_a_slow_line(tmp_path) as (host, guest):
        store, player = guest.ref("store"), guest.ref("player")
        replies = [store.ask(Sum(data)), store.ask(Numbers(COUNT))]
        assert player.ask(Double(1)).result() == 2
        host.kill("store")
        assert player.ask(Double(2)).result() == 4
        os.kill(host.status().broker_pid, signal.SIGKILL)

        assert replies[0].result() == data.sum()
        np.testing.assert_array_equal(replies[1].result(), data[:COUNT])
