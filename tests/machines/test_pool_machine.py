"""Pools: several senders, several members, one name (actors/pool.py).

Pulling      nothing fails: no member ever holds more than it works on, none is idle while work
             waits, and everything is handled
PoolStories  the network and the naive account of network.py: what senders were promised holds
             whatever dies; only the order is not promised
"""

from __future__ import annotations

import random

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.control import SUPERVISOR, Declare, Standing
from tests.machines.network import World

POOL = "p"
MEMBERS = ("p#1", "p#2", "p#3")
SENDERS = ("a", "client-x", "client-y")


class PoolWorld(World):
    """A world with a pool; actor "a" sends to it too."""

    def __init__(self, mailbox=100):
        super().__init__(mailbox)
        self.pooled = MEMBERS
        for name in (*MEMBERS, "a"):
            self.launch(name)
        for name in ("client-x", "client-y"):
            self.join(name)

    def launch(self, name):
        super().launch(name)
        self.declare_pool()

    def stop(self, name):
        super().stop(name)
        self.declare_pool()

    def declare_pool(self):
        serving = [name for name in MEMBERS if name in self.lives and name not in self.stopped()]
        if serving:
            word = Declare(POOL, Standing.UP, 0, mailbox=self.mailbox, members=serving)
        else:
            word = Declare(POOL, Standing.GONE, 0, reason="all its members have ended")
        self.exchange.declare(word)

    def settle(self):
        """Let everybody talk until they have nothing more to say, without handling anything."""
        for _ in range(10):
            self.round()

    def queued(self):
        """Messages in senders' queues, which no member has got."""
        links = [node.peer.links.get(POOL) for node in self.nodes.values()]
        return sum(link.out.unfinished for link in links if link is not None)

    def holds(self, member):
        node = self.nodes[member]
        return len(node.jobs) + len(node.mailbox)


class Pulling(RuleBasedStateMachine):
    """No faults: work goes to whoever is idle, whoever has it."""

    @initialize()
    def begin(self):
        self.world = PoolWorld()
        self.world.settle()

    @rule(sender=st.sampled_from(SENDERS), tells=st.lists(st.booleans(), max_size=5))
    def send(self, sender, tells):
        for tell in tells:
            (self.world.tell if tell else self.world.ask)(sender, POOL)

    @rule(member=st.sampled_from(MEMBERS))
    def member_works(self, member):
        self.world.begin(member)

    @rule(member=st.sampled_from(MEMBERS))
    def member_finishes(self, member):
        self.world.end(member)

    @rule(name=st.sampled_from((*MEMBERS, *SENDERS)))
    def one_turn(self, name):
        self.world.turn(name)
        self.world.route_one(self.world.nodes[name])

    @rule()
    def everything_arrives(self):
        self.world.settle()
        idle = [name for name in MEMBERS if not self.world.holds(name)]
        assert not idle or not self.world.queued(), "idle while work waits"

    @invariant()
    def no_member_holds_work_that_another_could_do(self):
        if hasattr(self, "world"):
            assert all(self.world.holds(name) <= 1 for name in MEMBERS)

    def teardown(self):
        if hasattr(self, "world"):
            self.world.heal()
            self.world.check()
            assert self.world.finished == set(self.world.sent), "all were handled"


TestPulling = Pulling.TestCase
TestPulling.settings = settings(stateful_step_count=40)


# --- what fails


def story(seed, steps=150):
    dice = random.Random(seed)
    world = PoolWorld(dice.choice([1, 3, 100]))
    world.settle()
    for _ in range(steps):
        if dice.random() < 0.08:
            something_breaks(world, dice)
        else:
            something_happens(world, dice)
        if dice.random() < 0.3:
            world.round()
    world.heal()
    world.check()
    return world


def something_happens(world, dice):
    member, sender = dice.choice(MEMBERS), dice.choice(SENDERS)
    match dice.choices(["send", "begin", "end", "carry", "direct", "wait"], [30, 30, 20, 12, 3, 2])[
        0
    ]:
        case "send":
            for _ in range(dice.randint(1, 3)):
                (world.tell if dice.random() < 0.4 else world.ask)(sender, POOL)
        case "begin":
            world.begin(member)
        case "end":
            world.end(member, dice.randint(0, 2))
        case "carry":
            world.turn(dice.choice(list(world.nodes)))
            world.route_one(dice.choice(list(world.nodes.values())))
        case "direct":
            world.ask(sender, member)
        case _:
            world.pass_time(dice.choice([0.06, 0.2, 1.1, 6.0]))


def something_breaks(world, dice):  # noqa: C901 - one clause per fault
    member, sender = dice.choice(MEMBERS), dice.choice(SENDERS)
    faults = ["kill", "sender", "broker", "both", "cut", "give up", "stop", "leave", "mend"]
    match dice.choices(faults, [6, 1, 2, 2, 2, 3, 1, 1, 4])[0]:
        case "kill":
            world.kill(member)
        case "sender":
            world.kill("a")
        case "broker":
            world.kill_broker(keep_unsent=dice.random() < 0.5)
            world.start_broker()
        case "both":
            world.kill_broker()
            world.start_broker()
            world.cut |= {sender, dice.choice([SUPERVISOR, *MEMBERS])}
            world.kill(member)
        case "cut":
            world.cut.add(dice.choice([sender, member]))
        case "give up":
            world.cancel(sender)
            world.ask(sender, POOL, dice.choice([0.01, 0.5]))
        case "stop":
            world.stop(member)
        case "leave":
            world.leave("client-y")
        case _:
            world.cut.clear()
            for name in (*MEMBERS, "a"):
                world.launch(name)


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_whatever_dies_what_senders_were_promised_holds(first):
    handled = [len(story(seed).begun) for seed in range(first, first + 10)]

    assert sum(handled) > 200


@pytest.mark.parametrize("kind", ["tell", "ask"])
def test_a_pool_that_is_stopped_gives_its_queue_back(kind):
    world = PoolWorld()
    world.settle()
    for _ in range(8):
        getattr(world, kind)("client-x", POOL)
    world.settle()
    for member in MEMBERS:
        world.begin(member)
        world.stop(member)
    world.heal()

    world.check()
    assert len(world.begun) == len(world.interrupted) == 3
    assert world.finished == set()


def test_the_work_of_a_dead_member_that_it_had_not_begun_is_done_by_others():
    world = PoolWorld()
    world.settle()
    for _ in range(3):
        world.ask("client-x", POOL)
    world.settle()
    assert [world.holds(member) for member in MEMBERS] == [1, 1, 1]

    world.cut.add("p#2")  # nobody restarts it
    world.kill("p#2")
    for _ in range(2):
        world.settle()
        for member in ("p#1", "p#3"):
            world.begin(member)
            world.end(member)

    assert len(world.finished) == 3
    world.heal()
    world.check()


def test_one_that_does_not_answer_an_offer_does_not_keep_a_member_idle_for_long():
    world = PoolWorld()
    for sender, count in (("client-y", 3), ("client-x", 1), ("client-y", 1)):  # in this turn
        for _ in range(count):
            world.ask(sender, POOL)
        world.settle()
        for member in MEMBERS:
            world.begin(member)
    assert [world.holds(member) for member in MEMBERS] == [1, 1, 1]

    world.frozen.add("client-x")  # as SIGSTOP does: all three are offered to it first
    for member in MEMBERS:
        world.end(member)
    world.settle()
    assert world.queued() == 2
    world.pass_time(0.6)
    world.settle()
    assert world.queued() == 1

    world.frozen.clear()
    world.heal()
    world.check()


def test_a_member_that_asks_its_own_pool_is_not_given_its_own_work():
    world = PoolWorld()
    world.settle()
    for _ in range(3):
        world.tell("p#1", POOL)
    world.settle()

    assert [world.holds(member) for member in MEMBERS] == [0, 1, 1]


def test_a_pool_is_up_while_one_of_its_members_is():
    world = PoolWorld()
    world.tell("client-x", POOL)
    world.settle()
    front = world.nodes["client-x"].peer.links[POOL]
    assert front.standing is Standing.UP

    for member in MEMBERS:
        assert front.standing is Standing.UP
        world.cut.add(member)  # nobody restarts it
        world.kill(member)
        world.settle()
    assert front.standing is Standing.DOWN

    world.cut.clear()
    world.settle()
    assert front.standing is Standing.UP
