"""The order of exits, stops and starts equals that of Erlang/OTP's `supervisor`.

OTP's supervisor is retold in tests/machines/otp.py. Ours takes events; with well-behaved processes
and without backoff both must write the same log of (start | exit | terminate, child), whatever
exits, whenever it does, whichever restarts fail and whatever is added at run time. Beyond the
log, both must agree on who lives and on whether the system is over.

    HYPOTHESIS_PROFILE=long pytest tests/machines/test_tree_order.py      20,000 trees
"""

from __future__ import annotations

import os
from collections import Counter, deque
from random import Random

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from actors.backoff import Backoff
from supervisor.lifecycle import (
    Exited,
    ExitKind,
    ExitReason,
    ShutdownAsked,
    ShutDownComplete,
    Spawn,
    StartChild,
    Started,
    StartFailed,
    StartupAsked,
    State,
    StopChild,
)
from supervisor.spec import AutoShutdown, Child, Restart, Tree
from supervisor.tree import TreeDecider
from tests.machines.otp import OtpSystem, OutsideOtp, World
from tests.machines.trees import Actor, trees

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES = 10_000 if LONG else 120

REASONS = {
    "crash": ExitReason(ExitKind.SIGNALLED, signal=9),
    "normal": ExitReason(ExitKind.NORMAL),
    "stopped": ExitReason(ExitKind.STOPPED),
    "broken": ExitReason(ExitKind.START_FAILED),
}


@attrs.define
class Ours:
    """Our decider in the same world: well-behaved processes, no backoff.

    A death is noticed when the supervisor has nothing else to do, as in OTP; but one that is asked
    to stop is dead at once, and says how it really ended.
    """

    spec: Tree
    world: World = attrs.field(factory=World)
    ended: bool = False
    now: float = 0.0
    todo: deque = attrs.field(factory=deque)
    decider: TreeDecider = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.decider = TreeDecider(self.spec, Random(0))
        self.run(StartupAsked())

    @property
    def log(self):
        return self.world.log

    def plan(self, fails, deaths):
        self.world.plan(fails, deaths)

    def run(self, *events):
        """Handle events, what follows from them, and then the notices that wait."""
        self.todo += events
        while self.todo or self.world.notices:
            if not self.todo:
                self.todo.append(self.notice(*self.world.notices.popleft()))
            for command in self.decider.handle(self.todo.popleft(), self.now):
                self.perform(command)

    def perform(self, command):
        match command:
            case StartChild(name=name, incarnation=life):
                if self.world.start(name):
                    self.todo.append(Started(name, life))
            case StopChild(name=name):
                how = dict(self.world.notices).get(name, "stopped")
                self.world.terminate(name)
                self.todo.append(self.notice(name, how))
            case ShutDownComplete():
                self.ended = True
            case _:
                pass

    def notice(self, name, how):
        kind = StartFailed if how == "broken" else Exited
        return kind(name, self.decider.child(name).incarnation, REASONS[how])

    def exits(self, deaths, now):
        self.now = now
        for name, how in deaths:
            self.world.die(name, how)
        self.run()

    def spawn(self, child, under, now):
        self.now = now
        self.run(Spawn(child, under))

    def shut_down(self):
        self.run(ShutdownAsked())

    def running(self):
        return {each.name for each in self.decider.status() if each.state is State.RUNNING}


def without_backoff(spec):
    """Return the same spec where nothing ever waits."""
    none = {} if spec.restart is Restart.TEMPORARY else {"backoff": Backoff.none()}
    match spec:
        case Child():
            options = {"restart": spec.restart, "significant": spec.significant}
            return Child(Actor, name=spec.name, **options, **none)
        case Tree():
            inner = [without_backoff(each) for each in spec.children]
            return attrs.evolve(spec, children=inner, **none)


def outermost(spec):
    """Return the spec as a root, which takes no backoff of its own."""
    return attrs.evolve(without_backoff(spec), backoff=Backoff())


def names_in(spec):
    for each in spec.children:
        yield from names_in(each) if isinstance(each, Tree) else [each.name]


def auto_shutdowns(spec):
    """Return the trees by name, and whether each takes significant children."""
    found = {spec.name: spec.auto_shutdown is not AutoShutdown.NEVER}
    for each in spec.children:
        if isinstance(each, Tree):
            found |= auto_shutdowns(each)
    return found


ADDED = ("s0", "s1")
HOW = st.sampled_from(["crash", "normal"])


@st.composite
def deaths(draw, names):
    """Draw who dies by itself, and how, each once."""
    chosen = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    return [(name, draw(HOW)) for name in chosen]


def same_order(spec, data):
    """Let things happen; both worlds must write the same log throughout."""
    otp, ours = OtpSystem(spec), Ours(spec)
    assert ours.log == otp.log
    names = [*names_in(spec), *ADDED]
    fate, now = data.draw, 0.0
    for _ in range(fate(st.integers(1, 12))):
        now += fate(st.sampled_from([0, 0, 0, 1, 5, 6]))
        fails = Counter(fate(st.lists(st.sampled_from(names), max_size=3)))
        during = fate(st.dictionaries(st.integers(1, 6), deaths(names), max_size=3))
        for system in (otp, ours):
            system.plan(fails, during)
        try:
            end = happens(spec, otp, ours, now, fate)
        except OutsideOtp:
            event("ends where ours differs on purpose")
            assert ours.log[: len(otp.log)] == otp.log
            return
        assert ours.log == otp.log
        assert ours.ended == otp.ended
        assert ours.running() == otp.world.alive
        if end or otp.ended:
            return


def happens(spec, otp, ours, now, fate):
    """Do one thing to both; return whether it was the last one. Ours first: OTP's may refuse."""
    exits = ["exit"] * 4 if otp.world.alive else []
    match fate(st.sampled_from([*exits, "spawn", "shutdown"])):
        case "exit":
            # One child that dies again and again makes its tree give up: that needs a favourite.
            alive = sorted(otp.world.alive)
            first = fate(st.sampled_from([alive[0]] * len(alive) + alive))
            also = [one for one in fate(deaths(sorted(otp.world.alive))) if one[0] != first]
            ending = [(first, fate(HOW)), *also]
            event(f"{len(ending)} exit at once")
            ours.exits(ending, now)
            otp.exits(ending, now)
        case "spawn":
            trees = auto_shutdowns(spec)
            under = fate(st.sampled_from(sorted(trees, key=str, reverse=True)))  # not the outermost
            free = [name for name in ADDED if ours.decider.child(name) is None]
            if not free or otp.top.tree(under) is None:
                return False
            restart = fate(st.sampled_from(Restart))
            may = trees[under] and restart is not Restart.PERMANENT
            significant = may and fate(st.booleans())
            child = Child(Actor, name=free[0], restart=restart, significant=significant)
            event("spawn")
            child = without_backoff(child)
            ours.spawn(child, under, now)
            otp.spawn(child, under, now)
        case "shutdown":
            event("shutdown")
            ours.shut_down()
            otp.shut_down()
            return True
    return False


@pytest.mark.timeout(7200 if LONG else 180)
@given(trees(depth=2, pools=False).map(outermost), st.data())
@settings(max_examples=EXAMPLES)
def test_nested_trees_exit_stop_and_start_in_the_order_of_otp(spec, data):
    same_order(spec, data)


@pytest.mark.timeout(7200 if LONG else 180)
@given(trees(depth=0, pools=False).map(outermost), st.data())
@settings(max_examples=EXAMPLES)
def test_flat_trees_exit_stop_and_start_in_the_order_of_otp(spec, data):
    same_order(spec, data)
