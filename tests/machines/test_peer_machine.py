"""Whole conversations under faults: order, nothing lost, nothing twice, every ask ends.

The network and the naive account live in `network.py`; here Hypothesis chooses what happens.
"""

from __future__ import annotations

import random

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import rule

from actors.control import SUPERVISOR
from tests.machines.network import World
from tests.machines.talks import ACTORS, FEW, Talks

CLIENTS = st.sampled_from(["client-x", "client-y"])
SENDERS = st.one_of(ACTORS, CLIENTS)
ANYBODY = st.one_of(SENDERS, st.just(SUPERVISOR))
ANY_NAME = st.sampled_from(["a", "b", "a", "b", "client-x", "client-y", "nobody"])
ROUNDS = st.integers(0, 3)


class Conversations(Talks):
    programs = ("client-x", "client-y")

    # --- what programs do; afterwards the network works for a while, or not at all

    @rule(
        sender=SENDERS,
        receiver=ANY_NAME,
        tells=st.lists(st.booleans(), min_size=1, max_size=4),
        rounds=ROUNDS,
        begun=ROUNDS,
        ended=ROUNDS,
    )
    def send(self, sender, receiver, tells, rounds, begun, ended):
        for tell in tells:
            if tell and receiver in ("a", "b"):
                self.world.tell(sender, receiver)
            else:
                self.world.ask(sender, receiver)
        self.go(rounds)
        for _ in range(begun):
            self.world.begin(receiver)
        for _ in range(ended):
            self.world.end(receiver)

    @rule(sender=SENDERS, receiver=ACTORS, timeout=st.sampled_from([0.01, 0.5, 5.0]), rounds=ROUNDS)
    def ask_with_a_deadline(self, sender, receiver, timeout, rounds):
        self.world.ask(sender, receiver, timeout)
        self.go(rounds)

    @rule(sender=SENDERS)
    def cancel(self, sender):
        self.world.cancel(sender)

    @rule(name=ACTORS, begun=FEW, which=st.integers(0, 2), rounds=ROUNDS)
    def overlap(self, name, begun, which, rounds):
        for _ in range(begun):
            self.world.begin(name)
        self.world.end(name, which)
        self.go(rounds)

    # --- what the network does

    @rule(name=ANYBODY)
    def turn(self, name):
        self.world.turn(name)

    @rule(name=ANYBODY, count=st.integers(1, 10))
    def route(self, name, count):
        for node in [*self.world.corpses, *self.world.nodes.values()]:
            if node.name == name:
                for _ in range(count):
                    self.world.route_one(node)

    @rule(seconds=st.sampled_from([0.06, 0.2, 1.1, 6.0]))
    def wait(self, seconds):
        self.world.pass_time(seconds)

    # --- what goes wrong

    @rule(keep=st.booleans(), away=st.sets(ANYBODY), rounds=ROUNDS)
    def the_broker_is_replaced(self, keep, away, rounds):
        self.world.kill_broker(keep_unsent=keep)
        self.world.start_broker()
        self.world.cut |= away
        self.go(rounds)

    @rule(name=ANYBODY, reach=st.booleans(), rounds=ROUNDS)
    def direct_connections_break(self, name, reach, rounds):
        self.world.cut_wires(name)
        if not reach:
            self.world.unreachable.add(name)
        self.go(rounds)

    @rule(rounds=ROUNDS, away=st.sets(ANYBODY, min_size=1))
    def the_broker_is_away(self, rounds, away):
        """Meanwhile those who have talked go on talking."""
        self.world.kill_broker(keep_unsent=False)
        self.go(rounds)
        self.world.start_broker()
        self.world.cut |= away

    @rule(names=st.sets(ANYBODY, min_size=1))
    def some_are_cut_off_no_longer(self, names):
        self.world.cut -= names
        self.world.unreachable -= names

    @rule(name=ACTORS, others=st.sets(ANYBODY, max_size=2), rounds=ROUNDS)
    def die_while_the_broker_is_away(self, name, others, rounds):
        self.world.kill_broker()
        self.world.start_broker()
        self.world.cut |= others
        self.world.kill(name)
        self.go(rounds)

    @rule(name=ACTORS)
    def launch(self, name):
        self.world.launch(name)

    @rule(name=CLIENTS, politely=st.booleans(), rounds=ROUNDS)
    def client_goes(self, name, politely, rounds):
        if politely:
            self.world.leave(name)
        else:
            self.world.kill(name)
        self.go(rounds)


TestConversations = Conversations.TestCase
TestConversations.settings = settings(stateful_step_count=60)


# Hypothesis likes short stories, because they shrink well.  These are long ones, with the faults
# as rare as work is common, so that whole conversations are under way when something breaks.


def long_story(seed, steps=150):
    dice = random.Random(seed)
    world = World(dice.choice([1, 3, 100]))
    for name in ("a", "b"):
        world.launch(name)
    for name in ("client-x", "client-y"):
        world.join(name)
    for _ in range(steps):
        actor, somebody = dice.choice("ab"), dice.choice(["a", "b", "client-x", "client-y"])
        if dice.random() < 0.08:
            something_breaks(world, dice, actor, somebody)
        else:
            something_happens(world, dice, actor, somebody)
        if dice.random() < 0.3:
            world.round()
    world.heal()
    world.check()
    return world


def something_happens(world, dice, actor, somebody):
    match dice.choices(["send", "begin", "end", "carry", "wait"], [30, 30, 20, 12, 2])[0]:
        case "send":
            for _ in range(dice.randint(1, 3)):
                (world.tell if dice.random() < 0.4 else world.ask)(somebody, actor)
        case "begin":
            world.begin(actor)
        case "end":
            world.end(actor, dice.randint(0, 2))
        case "carry":
            world.turn(dice.choice(list(world.nodes)))
            world.route_one(dice.choice(list(world.nodes.values())))
        case _:
            world.pass_time(dice.choice([0.06, 0.2, 1.1, 6.0]))


def something_breaks(world, dice, actor, somebody):  # noqa: C901 - one clause per fault
    faults = ["kill", "broker", "both", "cut", "give up", "stop", "leave", "wires", "mend"]
    match dice.choices(faults, [4, 2, 2, 2, 2, 1, 1, 3, 4])[0]:
        case "kill":
            world.kill(actor)
        case "broker":
            world.kill_broker(keep_unsent=dice.random() < 0.5)
            world.start_broker()
        case "both":
            world.kill_broker()
            world.start_broker()
            world.cut |= {somebody, dice.choice([SUPERVISOR, "a", "b"])}
            world.kill(actor)
        case "cut":
            world.cut.add(somebody)
        case "give up":
            world.cancel(somebody)
            world.ask(somebody, actor, dice.choice([0.01, 0.5]))
        case "stop":
            world.stop(actor)
        case "leave":
            world.leave("client-y")
        case "wires":
            world.cut_wires(somebody)
            world.unreachable |= {actor} if dice.random() < 0.3 else set()
        case _:
            mend(world)


def mend(world):
    world.cut.clear()
    world.unreachable.clear()
    for name in ("a", "b"):
        world.launch(name)


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_long_stories_end_well(first):
    stories = [long_story(seed) for seed in range(first, first + 10)]

    assert sum(len(story.begun) for story in stories) > 200
    assert sum(story.changed for story in stories) > 200
