"""A world of two actors and two programs that Hypothesis talks in: what every such machine does.

Which programs there are, what is sent and what else goes wrong, a machine says itself.
"""

from __future__ import annotations

from typing import ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.machines.network import World

ACTORS = st.sampled_from(["a", "b"])
FEW = st.integers(1, 4)


class Talks(RuleBasedStateMachine):
    programs: ClassVar[tuple[str, ...]]

    @initialize(mailbox=st.sampled_from([1, 2, 100]))
    def begin_world(self, mailbox):
        self.world = World(mailbox)
        for name in ("a", "b"):
            self.world.launch(name)
        for name in self.programs:
            self.world.join(name)
        self.go(4)

    def go(self, rounds):
        for _ in range(rounds):
            self.world.round()

    @rule(name=ACTORS, count=FEW, rounds=st.integers(0, 3))
    def handle(self, name, count, rounds):
        for _ in range(count):
            self.world.begin(name)
            self.world.end(name)
        self.go(rounds)

    @rule(
        name=ACTORS,
        count=st.integers(0, 4),
        begun=st.integers(0, 2),
        ended=st.integers(0, 2),
        slow=st.booleans(),
        rounds=st.integers(0, 3),
    )
    def kill(self, name, count, begun, ended, slow, rounds):
        for _ in range(count):
            self.world.tell("client-y", name)
        self.go(count)
        for _ in range(begun):  # it dies with something in progress,
            self.world.begin(name)
        for _ in range(ended):  # and before anybody has heard of what it has done
            self.world.end(name)
        self.world.kill(name)
        if slow:
            self.world.cut.add(name)
        self.go(rounds)

    @rule(name=ACTORS, rounds=st.integers(0, 3))
    def stop(self, name, rounds):
        if name in self.world.nodes:
            self.world.stop(name)
        self.go(rounds)

    def teardown(self):
        if hasattr(self, "world"):
            self.world.heal()
            self.world.check()
