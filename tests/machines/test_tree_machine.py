"""The supervisor's decider against naive models (supervisor/tree.py).

OneForOne     a flat tree, every event in any order, the exact state predicted child by child
AnyTree       random nested trees and pools, events in any order: what must hold whatever
              happens, and that everything comes up again once the world behaves
OTP order     the sequence of exits, stops and starts equals that of Erlang/OTP's
              `supervisor`, retold here as the plain recursive program it is
"""

from __future__ import annotations

from collections import Counter
from random import Random

import attrs
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from supervisor.lifecycle import (
    ChildGone,
    ChildStopped,
    Exited,
    ExitKind,
    ExitReason,
    GiveUp,
    KillChild,
    Refused,
    RestartAsked,
    SetTimer,
    ShutdownAsked,
    ShutDownComplete,
    Spawn,
    StartChild,
    Started,
    StartFailed,
    StartupAsked,
    State,
    StopAsked,
    StopChild,
    TimerFired,
    Urgency,
)
from supervisor.spec import (
    Child,
    Intensity,
    Pool,
    Restart,
    Strategy,
    Tree,
)
from supervisor.tree import TreeDecider
from tests.machines.trees import Actor, trees

CRASH = ExitReason(ExitKind.SIGNALLED, signal=9)
NORMAL = ExitReason(ExitKind.NORMAL)
STOPPED = ExitReason(ExitKind.STOPPED)
BROKEN = ExitReason(ExitKind.START_FAILED)
REASONS = st.sampled_from([CRASH, NORMAL, STOPPED, ExitReason(ExitKind.EXITED, code=0), BROKEN])
GAPS = st.sampled_from([0.0, 0.05, 1.0, 2.5, 5.0, 5.5])


# ============================================================================= OneForOne


@attrs.define
class Expected:
    """What the naive model thinks of one child."""

    restart: Restart
    spawned: bool
    state: State = State.STARTING
    incarnation: int = 1
    after: str = "stay"  # what follows STOPPING: "stay" or "again"
    failures: int = 0
    up_since: float | None = None
    ever_up: bool = False


class OneForOne(RuleBasedStateMachine):
    """A flat ONE_FOR_ONE tree, predicted exactly."""

    @initialize(
        kinds=st.lists(st.sampled_from(Restart), max_size=4),
        restarts=st.integers(0, 4),
        seed=st.integers(0, 99),
    )
    def begin(self, kinds, restarts, seed):
        self.limit = Intensity(restarts, 5.0)
        children = [Child(Actor, name=f"d{i}", restart=kind) for i, kind in enumerate(kinds)]
        self.decider = TreeDecider(Tree(intensity=self.limit, children=children), Random(seed))
        self.now = 0.0
        self.timers: dict[int, float] = {}
        self.counted: list[float] = []
        self.last: dict[str, int] = {}
        self.ended = False
        self.model: dict[str, Expected] = {}
        self.send(StartupAsked())
        for child in children:
            self.model[child.name] = Expected(child.restart, spawned=False)
            self.send(Started(child.name, 1))
            self.came_up(child.name)

    def send(self, event):
        commands = self.decider.handle(event, self.now)
        self.timers |= {each.token: each.at for each in commands if isinstance(each, SetTimer)}
        return commands

    def came_up(self, name):
        child = self.model[name]
        child.ever_up = True
        child.state = State.RUNNING
        child.up_since = self.now

    def starts(self, name):
        child = self.model[name]
        child.state = State.STARTING
        child.incarnation += 1

    def ends_for_good(self, name, state):
        child = self.model[name]
        child.state = state
        if child.spawned:
            self.last[name] = child.incarnation
            del self.model[name]

    def forget_failures(self, child):
        if child.up_since is not None and self.now - child.up_since >= 5.0:
            child.failures = 0
        child.up_since = None

    def end(self, name, reason, counted):
        """Say what the end of a life means, without looking at the decider."""
        child = self.model[name]
        self.forget_failures(child)
        if child.state is State.STOPPING:
            if child.after == "again":
                self.starts(name)
            else:
                self.ends_for_good(name, State.STOPPED)
            return
        first = child.spawned and not child.ever_up
        normal = reason.kind in (ExitKind.NORMAL, ExitKind.STOPPED, ExitKind.EXITED)
        comes_back = child.restart is Restart.PERMANENT or (
            child.restart is Restart.TRANSIENT and not normal
        )
        if not comes_back or (first and counted):
            self.ends_for_good(name, State.STOPPED if normal else State.FAILED)
        elif not counted:
            self.starts(name)
        else:
            self.counted.append(self.now)
            if sum(at >= self.now - 5.0 for at in self.counted) > self.limit.restarts:
                self.ended = True
                return
            child.failures += 1
            if child.failures == 1:
                self.starts(name)
            else:
                child.state = State.BACKOFF

    @rule(gap=GAPS)
    def time_passes(self, gap):
        self.now += gap

    @precondition(lambda self: not self.ended)
    @rule(data=st.data())
    def a_start_succeeds(self, data):
        names = [name for name, each in self.model.items() if each.state is State.STARTING]
        if names:
            name = data.draw(st.sampled_from(sorted(names)))
            assert self.send(Started(name, self.model[name].incarnation)) == []
            self.came_up(name)

    @precondition(lambda self: not self.ended)
    @rule(data=st.data(), reason=REASONS, counted=st.booleans())
    def a_life_ends(self, data, reason, counted):
        live = (State.STARTING, State.RUNNING, State.STOPPING)
        names = [name for name, each in self.model.items() if each.state in live]
        if not names:
            return
        name = data.draw(st.sampled_from(sorted(names)))
        before = self.model[name]
        event = StartFailed if before.state is State.STARTING and reason is BROKEN else Exited
        commands = self.send(event(name, before.incarnation, reason, counted=counted))
        self.end(name, reason, counted)

        assert any(isinstance(each, GiveUp) for each in commands) == self.ended
        if self.ended:
            return
        after = self.model.get(name)
        started = [each.incarnation for each in commands if isinstance(each, StartChild)]
        is_started = after is not None and after.state is State.STARTING
        assert started == ([after.incarnation] if is_started else [])
        assert any(isinstance(each, ChildGone) for each in commands) == (after is None)
        if after is not None and after.state is State.BACKOFF:
            delay = self.decider.child(name).next_start - self.now
            assert 0 < delay <= min(10.0, 0.1 * 2 ** (after.failures - 2))

    @precondition(lambda self: not self.ended)
    @rule(name=st.sampled_from(["s0", "s1", "d0"]), kind=st.sampled_from(Restart))
    def somebody_spawns(self, name, kind):
        taken = name in self.model
        try:
            commands = self.send(Spawn(Child(Actor, name=name, restart=kind)))
        except Refused:
            assert taken
            return
        assert not taken
        incarnation = self.last.get(name, 0) + 1
        self.model[name] = Expected(kind, spawned=True, incarnation=incarnation)
        assert [each.incarnation for each in commands] == [incarnation]

    @precondition(lambda self: not self.ended)
    @rule(name=st.sampled_from(["d0", "d1", "s0", "s1"]))
    def somebody_stops(self, name):
        child = self.model.get(name)
        try:
            self.send(StopAsked(name))
        except Refused:
            assert child is None
            return
        child.after = "stay"
        if child.state in (State.STARTING, State.RUNNING):
            child.state = State.STOPPING
        elif child.state is State.BACKOFF:
            self.ends_for_good(name, State.STOPPED)

    @precondition(lambda self: not self.ended)
    @rule(name=st.sampled_from(["d0", "d1", "s0", "s1"]))
    def somebody_restarts(self, name):
        child = self.model.get(name)
        try:
            self.send(RestartAsked(name))
        except Refused:
            assert child is None
            return
        child.after = "again"
        if child.state in (State.STARTING, State.RUNNING):
            child.state = State.STOPPING
        elif child.state is not State.STOPPING:
            self.starts(name)

    @precondition(lambda self: not self.ended and self.timers)
    @rule(data=st.data())
    def a_timer_fires(self, data):
        token = data.draw(st.sampled_from(sorted(self.timers)))
        self.now = max(self.now, self.timers.pop(token))
        for command in self.send(TimerFired(token)):
            child = self.model[command.name]
            if isinstance(command, StartChild):
                assert child.state is State.BACKOFF
                self.starts(command.name)
            else:
                assert isinstance(command, KillChild)
                assert child.state is State.STOPPING

    @precondition(lambda self: not self.ended)
    @rule(name=st.sampled_from(["d0", "d1", "s0"]), back=st.integers(1, 3))
    def an_old_life_is_reported_late(self, name, back):
        incarnation = self.last.get(name, 0)
        if name in self.model:
            incarnation = self.model[name].incarnation - back
        assert self.send(Exited(name, incarnation, CRASH)) == []

    @invariant()
    def the_decider_agrees(self):
        if not getattr(self, "ended", True):
            actual = {each.name: (each.state, each.incarnation) for each in self.decider.status()}
            assert actual == {
                name: (each.state, each.incarnation) for name, each in self.model.items()
            }

    @invariant()
    def backoff_always_ends(self):
        if not getattr(self, "ended", True):
            for each in self.decider.status():
                if each.state is State.BACKOFF:
                    assert each.next_start in self.timers.values()


TestOneForOne = OneForOne.TestCase

# ============================================================================= AnyTree


def siblings(spec, into=None):
    """For each child, pool or tree: (its tree, what comes before it, what comes after it)."""
    into = {} if into is None else into
    if isinstance(spec, Tree):
        for i, each in enumerate(spec.children):
            into[each.name] = (spec, spec.children[:i], spec.children[i + 1 :])
            siblings(each, into)
    return into


def names_below(spec):
    match spec:
        case Child():
            return [spec.name]
        case Pool():
            return [each.name for each in spec.members]
        case Tree():
            return [name for each in spec.children for name in names_below(each)]


class AnyTree(RuleBasedStateMachine):
    """Any tree: what must hold whatever happens."""

    @initialize(spec=trees(), seed=st.integers(0, 99))
    def begin(self, spec, seed):
        self.spec = spec
        note(f"{spec}")
        self.around = siblings(spec)
        self.declared = set(names_below(spec))
        self.decider = TreeDecider(spec, Random(seed))
        self.now = 0.0
        self.timers: dict[int, float] = {}
        self.alive: dict[str, int] = {}  # processes as the doer knows them
        self.starting: set[str] = set()
        self.asked: set[str] = set()  # StopChild was sent to this life
        self.last: Counter[str] = Counter()
        self.kept_down: set[str] = set()  # by `stop`
        self.by_hand: set[str] = set()  # stop or restart asked for its life, or a tree around it
        self.complete = False
        self.risen: set[str] = set()
        self.send(StartupAsked())

    # ------------------------------------------------------------- the doer

    def send(self, event):
        assert not self.complete or isinstance(event, ShutdownAsked | StopAsked | TimerFired)
        commands = self.decider.handle(event, self.now)
        if self.complete:
            assert commands == []
        for command in commands:
            assert not self.complete
            self.perform(command)
        self.note_who_has_risen()
        return commands

    def note_who_has_risen(self):
        """Trees that were all up since they started: what falls in them later is their affair."""
        standing = (State.RUNNING, State.STOPPED, State.FAILED)
        states = {each.name: each.state for each in self.decider.status()}
        for tree in self.decider.trees(self.now):
            name = tree.path[-1]
            up = all(states[each] in standing for each in self.decider.members(name))
            if tree.state is not State.RUNNING:
                self.risen.discard(name)
            elif up and name in self.around:
                self.risen.add(name)

    def perform(self, command):
        match command:
            case StartChild():
                name = command.name
                assert name not in self.alive, "never two lives at a time"
                assert command.incarnation > self.last[name], "incarnations only grow"
                assert name not in self.kept_down, "stopped by hand"
                self.check_start_order(name)
                self.last[name] = self.alive[name] = command.incarnation
                self.starting.add(name)
            case StopChild():
                assert self.alive.get(command.name) == command.incarnation
                assert command.name not in self.asked, "asked once"
                self.check_stop_order(command.name)
                self.asked.add(command.name)
            case KillChild():
                assert self.alive.get(command.name) == command.incarnation
            case SetTimer():
                assert command.at >= self.now
                self.timers[command.token] = command.at
            case ChildGone() | ChildStopped():
                assert command.name not in self.alive
                known = self.decider.child(command.name) is not None
                assert (command.name in self.declared) == known == (type(command) is ChildStopped)
            case ShutDownComplete():
                assert not self.alive
                self.complete = True
            case _:
                pass

    def check_start_order(self, name):
        """Where children depend on each other, all before it are up, or down for good."""
        tree, before, _ = self.around.get(name, (None, (), ()))
        if tree is None or tree.strategy is Strategy.ONE_FOR_ONE:
            return
        # The states are those after the whole event, so WAITING and STARTING mean "not yet up".
        states = {each.name: each.state for each in self.decider.status()}
        starting = [each for each in before if each.name not in self.risen]
        for other in (each for sibling in starting for each in names_below(sibling)):
            assert states[other] in (State.RUNNING, State.STOPPED, State.FAILED), (name, other)

    def check_stop_order(self, name):
        """Unless somebody stops it by hand, all after it in its tree are down."""
        if name in self.by_hand or name not in self.around:
            return
        _, _, after = self.around[name]
        for other in (each for sibling in after for each in names_below(sibling)):
            assert other not in self.alive, (name, other)

    def over(self, name):
        del self.alive[name]
        self.starting.discard(name)
        self.asked.discard(name)
        self.by_hand.discard(name)

    # ------------------------------------------------------------- the world

    @rule(gap=GAPS)
    def time_passes(self, gap):
        self.now += gap

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), reason=REASONS, counted=st.sampled_from([True, True, False]))
    def a_life_ends(self, data, reason, counted):
        name = data.draw(st.sampled_from(sorted(self.alive)))
        event = StartFailed if name in self.starting else Exited
        incarnation = self.alive[name]
        self.over(name)
        self.send(event(name, incarnation, reason, counted=counted))

    @precondition(lambda self: self.starting)
    @rule(data=st.data())
    def a_start_succeeds(self, data):
        name = data.draw(st.sampled_from(sorted(self.starting)))
        self.starting.discard(name)
        self.send(Started(name, self.alive[name]))

    @precondition(lambda self: self.timers and not self.complete)
    @rule(data=st.data())
    def a_timer_fires(self, data):
        token = data.draw(st.sampled_from(sorted(self.timers)))
        self.now = max(self.now, self.timers.pop(token))
        self.send(TimerFired(token))

    @precondition(lambda self: not self.complete)
    @rule(data=st.data())
    def somebody_stops(self, data):
        name = data.draw(st.sampled_from(sorted(self.around)))
        below = self.decider.members(name)
        self.by_hand |= set(below) & set(self.alive)
        if name in self.declared:
            self.kept_down.add(name)
        self.send(StopAsked(name))

    @precondition(lambda self: not self.complete)
    @rule(data=st.data())
    def somebody_restarts(self, data):
        name = data.draw(st.sampled_from(sorted(self.around)))
        was_down = name in self.kept_down
        by_hand = set(self.decider.members(name)) & set(self.alive)
        self.kept_down.discard(name)
        self.by_hand |= by_hand
        try:
            self.send(RestartAsked(name))
        except Refused:
            self.by_hand -= by_hand
            if was_down:
                self.kept_down.add(name)

    @precondition(lambda self: not self.complete)
    @rule(data=st.data(), restart=st.sampled_from(Restart))
    def somebody_spawns(self, data, restart):
        inner = [name for name in self.around if name not in self.declared]
        under = data.draw(st.sampled_from([None, *sorted(inner)]))
        name = data.draw(st.sampled_from(["s0", "s1"]))
        taken = self.decider.child(name) is not None
        try:
            self.send(Spawn(Child(Actor, name=name, restart=restart), under=under))
        except Refused:
            return
        assert not taken

    @precondition(lambda self: not self.complete)
    @rule(urgency=st.sampled_from(Urgency), seldom=st.integers(0, 4))
    def the_system_is_ended(self, urgency, seldom):
        if seldom == 0:
            self.send(ShutdownAsked(urgency))

    @rule()
    def the_world_behaves(self):
        """Answer everything as asked: whatever is to run is then running."""
        coming = self.who_comes()
        for _ in range(500):
            if self.starting - self.asked:
                name = min(self.starting - self.asked)
                self.starting.discard(name)
                self.send(Started(name, self.alive[name]))
            elif self.stopping():
                name = min(self.stopping())
                incarnation = self.alive[name]
                self.over(name)
                self.send(Exited(name, incarnation, STOPPED))
            elif self.timers and not self.complete:
                token = min(self.timers, key=self.timers.__getitem__)
                self.now = max(self.now, self.timers.pop(token))
                self.send(TimerFired(token))
            else:
                break
        states = {each.name: each.state for each in self.decider.status()}
        if self.decider.is_ending:
            assert self.complete
        else:
            assert set(states.values()) <= {State.RUNNING, State.STOPPED, State.FAILED}
            assert self.decider.is_up
        assert {name for name, state in states.items() if state is State.RUNNING} == set(self.alive)
        assert {name: name in self.alive for name in coming} == coming

    def who_comes(self):
        """Whether those that wait come up, if that is decided."""
        trees = self.decider._root.groups()
        if any(tree.state is State.STOPPING and tree.fall is not None for tree in trees):
            return {}  # it may take others along, or be one too many for the tree around
        held = (State.WAITING, State.BACKOFF)
        waiting = [each.name for each in self.decider.status() if each.state in held]
        return {name: self.decider.is_coming(name) for name in waiting}

    def stopping(self):
        states = {each.name: each.state for each in self.decider.status()}
        return {name for name in self.alive if states[name] is State.STOPPING}

    # ------------------------------------------------------------- always

    @invariant()
    def what_is_alive_is_what_the_decider_thinks_is_alive(self):
        if hasattr(self, "decider"):
            live = {State.STARTING, State.RUNNING, State.STOPPING}
            status = self.decider.status()
            assert {e.name: e.incarnation for e in status if e.state in live} == self.alive

    @invariant()
    def what_is_held_back_has_a_timer(self):
        if hasattr(self, "decider"):
            trees = self.decider.trees(self.now)
            for each in (*self.decider.status(), *trees):
                assert (each.next_start is not None) == (each.state is State.BACKOFF)
                assert each.next_start is None or each.next_start in self.timers.values()

    @invariant()
    def declared_children_are_always_known(self):
        if hasattr(self, "decider"):
            assert self.declared <= {each.name for each in self.decider.status()}


TestAnyTree = AnyTree.TestCase
