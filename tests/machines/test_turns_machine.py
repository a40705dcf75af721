"""Who looks at a program's connection, whoever comes and goes: always somebody, never two."""

from __future__ import annotations

import itertools
import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.turns import FLOOD, LONG, QUIET, STALE, Turns

LITTLE = QUIET / 4
SOON = QUIET + 1e-9  # the clock's numbers are not exact


class TurnsMachine(RuleBasedStateMachine):
    """Callers that wait, the I/O thread, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns()
        self.now = 100.0
        self.names = itertools.count(1)
        self.waiting: list[int] = []
        self.leader: int | None = None
        self.looks = True
        """The I/O thread sleeps at the descriptors; else until `until`, or until it is called."""
        self.until = math.inf
        self.stepped = 0.0
        self.called = False
        self.closed = False
        self.flood = False

    @rule(seconds=st.sampled_from([LITTLE, QUIET, 3 * QUIET, LONG, STALE]))
    def time_passes(self, seconds):
        self.now += seconds
        if not self.looks and self.now >= self.until:
            self.io_thread_asks()

    @rule()
    def a_caller_comes(self):
        caller = next(self.names)
        busy = self.flood and self.looks
        leads = self.turns.arrive(caller, self.now)
        assert leads == (not busy and not self.waiting and not self.closed), "if he is alone"
        self.waiting.append(caller)
        if leads:
            self.leader, self.stepped = caller, self.now
        elif self.leader is not None:
            self.leader = None
            self.somebody_must_look()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_caller_has_looked(self, data):
        caller = data.draw(st.sampled_from(self.waiting))
        leads = caller is self.leader
        assert self.turns.step(caller, self.now) == leads
        if leads:
            self.stepped = self.now

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_signals_handler_keeps_a_caller(self, data):
        caller = data.draw(st.sampled_from(self.waiting))
        led = caller is self.leader
        assert self.turns.give_way(caller) == led
        if led:
            self.leader = None
            self.somebody_must_look()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), more=st.booleans())
    def a_caller_goes(self, data, more):
        caller = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(caller)
        led = caller is self.leader
        if led:
            self.leader = None
        called = self.turns.leave(caller, self.now, more=more)
        assert led or not called, "who only followed leaves nothing behind"
        if called:
            self.somebody_must_look()
        elif more and led:
            assert not self.looks, "it would sleep at a descriptor that has spoken already"
        assert not self.turns.leave(caller, self.now), "twice is fine"

    @rule()
    def something_is_posted(self):
        self.flood = not self.turns.sends(self.now)
        if self.flood:
            self.somebody_must_look()

    def somebody_must_look(self):
        if self.turns.call():
            assert not self.looks
            self.called = True
        else:
            assert self.looks or self.leader, "nobody finds it in the pipe"

    @precondition(lambda self: self.called or self.looks)
    @rule()
    def io_thread_asks(self):
        """It was called, or has seen something."""
        pause = self.turns.aside(self.now)
        if self.leader is not None and self.now - self.stepped > STALE:
            self.leader = None
        self.called = False
        self.looks = pause == 0.0
        self.until = self.now + pause
        assert not (self.looks and self.leader), "two would take from the same sockets"
        assert pause <= SOON or self.leader, "it stays away though nobody looks"

    @precondition(lambda self: not self.closed)
    @rule()
    def it_ends(self):
        self.turns.close()
        self.closed, self.leader = True, None
        self.called = self.called or not self.looks

    @invariant()
    def somebody_looks_or_will_soon(self):
        assert self.turns.led == (self.leader is not None)
        if self.leader is None and not self.looks:
            assert self.called or self.until <= self.now + SOON
            assert self.called or not self.waiting, "they wait for nobody"


TestTurns = TurnsMachine.TestCase


def test_messages_that_follow_each_other_at_once_leave_together():
    turns, now = Turns(), 100.0

    assert turns.sends(now), "a lone one is not delayed"
    assert not turns.sends(now + FLOOD / 2)
    assert not turns.sends(now + FLOOD), "nor does a flood end by going on"
    assert turns.sends(now + 3 * FLOOD)

    turns.arrive(1, now + 3 * FLOOD)

    assert turns.sends(now + 3 * FLOOD), "who has waited since begins anew"


def test_the_io_thread_sleeps_while_a_caller_looks_for_long():
    turns, caller = Turns(), 1
    turns.arrive(caller, 100.0)

    assert turns.aside(100.0) == QUIET
    assert turns.aside(100.0 + 2 * LONG) == math.inf
    assert turns.leave(caller, 100.2), "nobody else would wake it"
    assert 0.0 < turns.aside(100.2) <= SOON


def test_whoever_does_not_come_back_from_looking_looks_no_more():
    turns, caller = Turns(), 1
    turns.arrive(caller, 100.0)
    assert turns.step(caller, 101.0)

    assert turns.aside(101.0 + STALE) > 0.0
    assert turns.aside(101.1 + STALE) == 0.0
    assert not turns.step(caller, 104.0)
