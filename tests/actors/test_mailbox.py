"""Messages waiting for an actor."""

from __future__ import annotations

import math

import pytest

from actors.envelope import Envelope, Kind
from actors.letter import Letter
from actors.link import Delivery, Inbound, Link
from actors.mailbox import Mailbox, Timer
from actors.outbox import MOST_ANSWER_BYTES


def delivery(correlation, *, sender="a", incarnation=1):
    envelope = Envelope(Kind.ASK, 1, correlation, "m:M", b"")
    return Delivery(Link(sender), incarnation, Inbound(1, incarnation), envelope, [], math.inf)


def test_messages_and_timers_come_out_in_the_order_they_went_in():
    mailbox = Mailbox()
    items = [delivery(1), Timer("tick"), delivery(2)]
    for item in items:
        mailbox.put(item)

    assert len(mailbox) == 3
    assert [mailbox.take() for _ in range(4)] == [*items, None]


def test_a_request_that_was_given_up_is_taken_out_and_the_others_stay():
    mailbox = Mailbox()
    first, second, third = delivery(1), delivery(2), delivery(3)
    timer = Timer("tick")
    for item in (first, timer, second, third):
        mailbox.put(item)

    assert mailbox.withdraw("a", 1, 2) is second
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [first, timer, third]


def test_a_timer_knows_whether_it_waits():
    mailbox, timer = Mailbox(), Timer("tick")
    states = [timer.waiting]
    mailbox.put(timer)
    states.append(timer.waiting)
    mailbox.take()
    states.append(timer.waiting)

    assert states == [False, True, False]


def test_only_the_life_that_asked_can_give_up():
    mailbox = Mailbox()
    mailbox.put(delivery(1, incarnation=1))

    assert mailbox.withdraw("a", 2, 1) is None
    assert mailbox.withdraw("b", 1, 1) is None
    assert len(mailbox) == 1


def test_requests_that_need_not_wait_have_a_way_of_their_own_and_count():
    mailbox = Mailbox()
    mailbox.put(delivery(1))
    admitted = [delivery(2), delivery(3)]
    for one in admitted:
        mailbox.admit(one)

    assert len(mailbox) == 3
    assert [mailbox.take_admitted() for _ in range(3)] == [*admitted, None]
    assert len(mailbox) == 1


def test_a_request_that_need_not_wait_can_be_given_up_too():
    mailbox = Mailbox()
    first, second = delivery(1), delivery(2)
    mailbox.admit(first)
    mailbox.admit(second)

    assert mailbox.withdraw("a", 1, 2) is second
    assert [mailbox.take_admitted(), mailbox.take_admitted()] == [first, None]


def test_it_knows_whose_messages_wait():
    mailbox = Mailbox()
    mailbox.put(Timer("tick"))
    empty = mailbox.holds("a", 1)
    mailbox.put(delivery(1, sender="a", incarnation=1))
    mailbox.put(delivery(2, sender="b", incarnation=1))

    assert not empty
    assert mailbox.holds("a", 1)
    assert mailbox.holds("b", 1)
    assert not mailbox.holds("a", 2)
    assert not mailbox.holds("c", 1)
    assert Timer("tick").message == "tick"


def answered(link, size=MOST_ANSWER_BYTES):
    """Let a sender be behind: it has not acknowledged a large answer."""
    link.out.bind(1, 0)
    link.out.offer(Letter(Envelope(Kind.REPLY, 0, 1, "", b"", 1), (bytes(size),)))
    link.out.take()


def acknowledge(link):
    while link.out.take():
        link.out.acknowledge(link.out.last, [], 0)
    link.out.acknowledge(link.out.last, [], 0)


@pytest.fixture
def behind():
    """Three messages of a program on the network, which is behind, and one of an actor."""
    mailbox, guest = Mailbox(), Link("client-net-1")
    first, second, third = (delivery(number) for number in (1, 2, 3))
    for one in (first, second, third):
        one.link = guest
    other = delivery(4)
    for one in (first, second, other, third):
        mailbox.put(one)
    answered(guest)
    return mailbox, guest, [first, second, third], other


def test_what_a_sender_asks_that_is_behind_waits_and_the_others_do_not(behind):
    mailbox, guest, held, other = behind
    assert [mailbox.take(), mailbox.take()] == [other, None]
    assert (len(mailbox), mailbox.held) == (3, 3)
    assert mailbox.holds("client-net-1", 1)

    acknowledge(guest)
    last = delivery(5)
    mailbox.put(last)
    assert [mailbox.take() for _ in range(5)] == [*held, last, None]
    assert (len(mailbox), mailbox.held) == (0, 0)


def test_one_that_is_behind_again_keeps_its_order(behind):
    mailbox, guest, held, _ = behind
    mailbox.take()
    acknowledge(guest)
    assert mailbox.take() is held[0]

    answered(guest)
    assert mailbox.take() is None
    acknowledge(guest)
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [*held[1:], None]


def test_what_is_held_can_be_given_up(behind):
    mailbox, guest, held, _ = behind
    mailbox.take()

    assert mailbox.withdraw("client-net-1", 1, 2) is held[1]
    acknowledge(guest)
    assert [mailbox.take(), mailbox.take(), mailbox.take()] == [held[0], held[2], None]


@pytest.fixture
def looks(monkeypatch):
    """How often it was looked whether somebody is behind."""
    seen = []
    real = Link.behind.fget
    monkeypatch.setattr(Link, "behind", property(lambda link: seen.append(link) or real(link)))
    return seen


def test_one_acknowledgement_moves_one_message_however_many_wait(looks):
    # Recorded: all were taken up and laid down again for each, and the others had to wait for it.
    mailbox, guest = Mailbox(), Link("client-net-1")
    waiting = [delivery(number) for number in range(1000)]
    for one in waiting:
        one.link = guest
        mailbox.put(one)
    answered(guest)
    assert mailbox.take() is None
    looks.clear()

    for one in waiting[:10]:
        acknowledge(guest)
        assert mailbox.take() is one
        answered(guest)
        assert mailbox.take() is None
    assert len(looks) < 50


def test_what_is_given_up_before_its_turn_takes_nothing_along_that_is_held(behind):
    # Recorded: while this was written, what was held went with the last one that was not yet.
    mailbox, guest, held, _ = behind
    mailbox.take()
    assert mailbox.take() is None
    late = delivery(5)
    late.link = guest
    mailbox.put(late)

    assert mailbox.withdraw("client-net-1", 1, 5) is late
    acknowledge(guest)
    assert [mailbox.take() for _ in range(4)] == [*held, None]


def test_who_has_given_up_all_that_was_held_leaves_nothing(behind):
    mailbox, guest, held, _ = behind
    mailbox.take()
    for number in (1, 2, 3):
        mailbox.withdraw("client-net-1", 1, number)

    assert (len(mailbox), mailbox.held) == (0, 0)
    acknowledge(guest)
    mailbox.put(held[0])
    assert [mailbox.take(), mailbox.take()] == [held[0], None]


def test_a_request_that_need_not_wait_waits_for_a_sender_that_is_behind():
    mailbox, mine = Mailbox(), delivery(1, sender="client-net-1")
    mailbox.admit(mine)
    answered(mine.link)
    assert mailbox.take_admitted() is None

    acknowledge(mine.link)
    assert mailbox.take() is mine


@pytest.mark.parametrize(
    ("name", "size", "waits"),
    [
        ("client-net-1", MOST_ANSWER_BYTES, True),
        ("client-net-1", MOST_ANSWER_BYTES // 2, False),
        ("client-1", MOST_ANSWER_BYTES, False),
        ("viewer", MOST_ANSWER_BYTES, False),
    ],
)
def test_only_programs_on_the_network_wait_and_only_for_much(name, size, waits):
    link = Link(name)
    answered(link, size)

    assert link.behind == waits
