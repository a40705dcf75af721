"""Routing against a plain account of who is connected and who has asked about whom."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors.control import (
    SUPERVISOR,
    Declare,
    Ended,
    Goodbye,
    Hello,
    LaneRecord,
    Obituary,
    Refused,
    Resolve,
    Standing,
    Stands,
    Synced,
    Welcome,
    lane_key,
)
from actors.envelope import MAGIC, Route, encode_route
from supervisor.routing import Routing

BOSS = b"s" * 16
NAMES = st.sampled_from(["a", "b", "client-1", "client-2"])
ACTORS = st.sampled_from(["a", "b"])


def party_of(name, life):
    return f"{name}/{life}".encode().ljust(16)[:16]


class Broker(RuleBasedStateMachine):
    @initialize(synced=st.booleans())
    def begin(self, synced):
        self.now = 0.0
        self.routing = Routing(BOSS)
        self.hear(BOSS, SUPERVISOR, 1, Hello(SUPERVISOR, 1))
        self.synced = False
        self.life = {"a": 0, "b": 0, "client-1": 1, "client-2": 1}
        self.up = {}  # actor -> declared standing of its present life
        self.connected, self.gone = set(), set()
        self.knows = {}  # party -> name -> what it was told last
        self.asked = {}  # party -> names it will hear about
        if synced:
            self.sync()

    def hear(self, party, name, life, word):
        route = Route(MAGIC, "", 0, name, life)
        return self.take(self.routing.hear(party, route, word, self.now))

    def take(self, sends):
        """Note what everybody is told."""
        for send in sends:
            if isinstance(send.word, Stands) and send.party != BOSS:
                assert send.party in {party_of(n, self.life[n]) for n in self.life}
                self.knows.setdefault(send.party, {})[send.word.name] = send.word
                if send.word.standing in {Standing.GONE, Standing.UNKNOWN}:
                    self.asked.get(send.party, set()).discard(send.word.name)
            elif isinstance(send.word, Obituary):
                # It says that nobody is up, as well as a word about the name would.
                self.knows.get(send.party, {}).pop(send.word.name, None)
        return sends

    @rule()
    def sync(self):
        self.hear(BOSS, SUPERVISOR, 1, Synced())
        self.synced = True

    @rule(name=ACTORS)
    def launch(self, name):
        if name in self.up:
            return
        self.life[name] += 1
        self.up[name] = Standing.DOWN
        if name in self.gone:
            # Whoever has heard that it was gone knows nothing of the one that comes now.
            self.gone.discard(name)
            for told in self.knows.values():
                told.pop(name, None)
        life = self.life[name]
        self.hear(BOSS, SUPERVISOR, 1, Declare(name, Standing.DOWN, life, party_of(name, life)))

    @rule(name=ACTORS)
    def ready(self, name):
        if name in self.up:
            self.up[name] = Standing.UP
            life = self.life[name]
            word = Declare(name, Standing.UP, life, party_of(name, life), 10)
            self.hear(BOSS, SUPERVISOR, 1, word)

    @rule(name=NAMES)
    def hello(self, name):
        life = self.life[name]
        party = party_of(name, life)
        sends = self.hear(party, name, life, Hello(name, life))
        welcomed = any(isinstance(x.word, Welcome) and x.party == party for x in sends)
        if name in self.up or (name.startswith("client") and name not in self.gone):
            assert welcomed
            self.connected.add(name)
        else:
            assert not welcomed

    @rule(name=NAMES)
    def another_party_cannot_take_a_name(self, name):
        if name in self.connected:
            sends = self.hear(b"?" * 16, name, self.life[name], Hello(name, self.life[name]))

            assert [type(x.word) for x in sends] == [Refused]

    @rule(name=ACTORS, lane=st.integers(0, 9))
    def ends(self, name, lane):
        if name not in self.up:
            return
        del self.up[name]
        self.connected.discard(name)
        life = self.life[name]
        lanes = {lane_key("client-1", 1): LaneRecord(lane)}
        sends = self.hear(BOSS, SUPERVISOR, 1, Ended(name, life, "killed", lanes))
        for send in sends:
            if isinstance(send.word, Obituary) and send.party == party_of("client-1", 1):
                assert send.word.lane == LaneRecord(lane)
            elif isinstance(send.word, Obituary):
                assert send.word.lane is None

    @rule(name=ACTORS)
    def is_given_up(self, name):
        self.ends(name, 0)
        self.gone.add(name)
        self.hear(BOSS, SUPERVISOR, 1, Declare(name, Standing.GONE, 0, reason="stopped"))

    @rule(name=st.sampled_from(["client-1", "client-2"]))
    def leaves(self, name):
        if name in self.connected:
            self.hear(party_of(name, 1), name, 1, Goodbye())
            self.connected.discard(name)
            self.gone.add(name)

    @rule(name=NAMES, other=NAMES)
    def asks_about(self, name, other):
        if name in self.connected:
            party = party_of(name, self.life[name])
            self.asked.setdefault(party, set()).add(other)
            self.hear(party, name, self.life[name], Resolve(other))

    @rule(name=NAMES, other=NAMES)
    def writes(self, name, other):
        if name not in self.connected:
            return
        party, life = party_of(name, self.life[name]), self.life[other]
        frame = encode_route(Route(MAGIC, other, life, name, self.life[name]))

        target = self.routing.forward(party, frame)

        if other in self.connected:
            assert target == party_of(other, life)
        else:
            assert isinstance(target, Refused)

    @rule(seconds=st.sampled_from([1.0, 3.0, 20.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.take(self.routing.tick(self.now))

    @invariant()
    def what_parties_were_told_is_true(self):
        for name in self.connected if hasattr(self, "connected") else ():
            told = self.knows.get(party_of(name, self.life[name]), {})
            for other, word in told.items():
                self.check(other, word)

    def check(self, other, word):
        if word.standing is Standing.UP:
            assert other in self.connected
            assert word.incarnation == self.life[other]
            assert self.up.get(other, Standing.UP) is Standing.UP
        elif word.standing is Standing.UNKNOWN:
            assert other not in self.connected or word.incarnation == 0
            assert self.synced
        elif word.standing is Standing.GONE:
            assert other in self.gone

    @invariant()
    def whoever_has_asked_knows_of_everybody_who_is_up(self):
        for name in self.connected if hasattr(self, "connected") else ():
            party = party_of(name, self.life[name])
            for other in self.asked.get(party, ()):
                if other in self.connected and self.up.get(other, Standing.UP) is Standing.UP:
                    assert self.knows[party][other].standing is Standing.UP

    @invariant()
    def everybody_who_was_let_in_is_still_there(self):
        if hasattr(self, "connected"):
            parties = {party_of(name, self.life[name]) for name in self.connected}
            assert set(self.routing.parties) == {BOSS, *parties}

    @invariant()
    def no_route_leads_to_the_dead(self):
        for target in self.routing.routes.values() if hasattr(self, "routing") else ():
            assert target in {party_of(n, self.life[n]) for n in self.connected}


TestBroker = Broker.TestCase
TestBroker.settings = settings(stateful_step_count=40)
