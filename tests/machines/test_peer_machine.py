"""Whole conversations under faults: order, nothing lost, nothing twice, every ask ends.

The network and the naive account live in `network.py`; here Hypothesis chooses what happens.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule


from actors.control import SUPERVISOR
from tests.machines.network import World

ACTORS = st.sampled_from(["a", "b"])
CLIENTS = st.sampled_from(["client-x", "client-y"])
SENDERS = st.one_of(ACTORS, CLIENTS)
ANYBODY = st.one_of(SENDERS, st.just(SUPERVISOR))
FEW = st.integers(1, 4)


class Conversations(RuleBasedStateMachine):
    @initialize(mailbox=st.sampled_from([1, 2, 100]))
    def begin_world(self, mailbox):
        self.world = World(mailbox)
        self.world.connect(SUPERVISOR)
        for name in ("a", "b"):
            self.world.launch(name)
        for name in ("client-x", "client-y"):
            self.world.join(name)
        for name in list(self.world.nodes):
            self.world.connect(name)
            self.world.ready(name) if name in "ab" else None
        for _ in range(3):
            self.world.round()

    # --- what programs do

    @rule(sender=SENDERS, receiver=ACTORS, count=FEW)
    def tell(self, sender, receiver, count):
        for _ in range(count):
            self.world.tell(sender, receiver)

    @rule(sender=SENDERS, receiver=st.one_of(ACTORS, CLIENTS, st.just("nobody")), count=FEW)
    def ask(self, sender, receiver, count):
        for _ in range(count):
            self.world.ask(sender, receiver)

    @rule(sender=SENDERS, receiver=ACTORS, timeout=st.sampled_from([0.01, 0.5, 5.0]))
    def ask_with_a_deadline(self, sender, receiver, timeout):
        self.world.ask(sender, receiver, timeout)

    @rule(sender=SENDERS)
    def cancel(self, sender):
        self.world.cancel(sender)

    @rule(name=ACTORS, count=FEW)
    def handle(self, name, count):
        for _ in range(count):
            self.world.begin(name)
            self.world.end(name)

    @rule(name=ACTORS)
    def begin(self, name):
        self.world.begin(name)

    @rule(name=ACTORS, which=st.integers(0, 2))
    def end(self, name, which):
        self.world.end(name, which)

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

    @rule(count=FEW)
    def everybody(self, count):
        for _ in range(count):
            self.world.round()

    @rule(seconds=st.sampled_from([0.02, 0.06, 0.2, 1.1]))
    def wait(self, seconds):
        self.world.pass_time(seconds)

    # --- what goes wrong

    @rule(keep=st.booleans())
    def kill_broker(self, keep):
        self.world.kill_broker(keep)

    @rule()
    def start_broker(self):
        self.world.start_broker()

    @rule(name=ANYBODY)
    def reconnect(self, name):
        self.world.connect(name)

    @precondition(lambda self: self.world.routing is None)
    @rule()
    def the_broker_is_back(self):
        self.world.start_broker()
        for name in list(self.world.nodes):
            self.world.connect(name)

    @rule(name=ACTORS)
    def kill(self, name):
        self.world.kill(name)

    @rule(name=ACTORS)
    def kill_and_restart(self, name):
        self.world.kill(name)
        self.world.launch(name)
        self.world.connect(name)
        self.world.ready(name)

    @rule(name=ACTORS)
    def launch(self, name):
        self.world.launch(name)
        self.world.connect(name)

    @rule(name=ACTORS)
    def ready(self, name):
        self.world.ready(name)

    @rule(name=ACTORS)
    def stop(self, name):
        self.world.stop(name)

    @rule(name=CLIENTS, politely=st.booleans())
    def client_goes(self, name, politely):
        if politely:
            self.world.leave(name)
        else:
            self.world.kill(name)

    def teardown(self):
        if hasattr(self, "world"):
            self.world.heal()
            self.world.check()


TestConversations = Conversations.TestCase
TestConversations.settings = settings(stateful_step_count=40)
