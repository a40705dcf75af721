"""Spares against a naive model: a list of processes that a doer really holds.

However starts, ends, takes and dismissals follow each other: a child has one spare at most, what it
is given is a living process that has imported its class, nobody is given the same one, and a
process that is wanted no more is killed or was given away.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.spares import End, GiveUp, Make, Spares

NAMES = st.sampled_from(["camera", "stage"])


class SparesMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.spares = Spares()
        self.now = 0.0
        self.timers = []
        self.processes = {}  # number: (name, imported)
        self.given = set()
        self.closed = False

    def perform(self, commands):
        for command in commands:
            match command:
                case Make():
                    assert not self.closed
                    assert command.at >= self.now
                    self.timers.append(command)
                case End():
                    name, _ = self.processes.pop(command.number)
                    assert name == command.name
                case GiveUp():
                    assert not self.closed
                    assert self.those_of(command.name) == []

    def those_of(self, name):
        return sorted(number for number, (owner, _) in self.processes.items() if owner == name)

    @rule(name=NAMES)
    def start(self, name):
        self.perform(self.spares.started(name, self.now))

    @rule(data=st.data())
    def let_a_timer_fire(self, data):
        if self.timers:
            make = self.timers.pop(data.draw(st.integers(0, len(self.timers) - 1)))
            self.now = max(self.now, make.at)
            if self.spares.due(make.name, make.number):
                assert make.number not in self.processes
                self.processes[make.number] = (make.name, False)

    @rule(name=NAMES)
    def import_the_class(self, name):
        for number in self.those_of(name):
            self.spares.ready(name, number, self.now)
            self.processes[number] = (name, True)

    @rule(name=NAMES, seconds=st.sampled_from([0.0, 1.0, 100.0]))
    def let_the_spare_end(self, name, seconds):
        self.now += seconds
        for number in self.those_of(name):
            del self.processes[number]
            self.perform(self.spares.ended(name, number, self.now))

    @rule(name=NAMES)
    def take(self, name):
        ready = [number for number in self.those_of(name) if self.processes[number][1]]
        number = self.spares.take(name)

        assert [number] == (ready or [None])
        if number is not None:
            assert number not in self.given
            self.given.add(number)
            del self.processes[number]

    @rule(name=NAMES)
    def say_again_what_is_over(self, name):
        for number in self.given:
            self.spares.ready(name, number, self.now)
            assert self.spares.ended(name, number, self.now) == []

    @rule(name=NAMES)
    def dismiss(self, name):
        self.perform(self.spares.dismiss(name))
        assert self.those_of(name) == []

    def teardown(self):
        self.closed = True
        self.perform(self.spares.close())
        assert not self.processes
        self.perform(self.spares.started("camera", self.now))

    @invariant()
    def a_child_has_one_spare_at_most(self):
        assert all(len(self.those_of(name)) <= 1 for name in ("camera", "stage"))

    @invariant()
    def the_status_shows_those_that_could_be_taken(self):
        for name in ("camera", "stage"):
            number = self.spares.number(name)
            ready = number is not None and self.spares.is_ready(name, number)
            assert self.those_of(name) == ([] if number is None else [number])
            assert ready == any(self.processes[one][1] for one in self.those_of(name))


TestSpares = SparesMachine.TestCase
