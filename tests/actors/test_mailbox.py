"""Messages waiting for an actor."""

from __future__ import annotations

import math

from actors.envelope import Envelope, Kind
from actors.link import Delivery, Inbound, Link
from actors.mailbox import Mailbox, Timer


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
