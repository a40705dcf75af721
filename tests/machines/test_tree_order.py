"""The order of exits, stops and starts equals that of Erlang/OTP's `supervisor`.

OTP's supervisor is retold here as the plain recursive program it is, after its documentation: one
call after the other, nothing concurrent. Ours takes events; with well-behaved processes and
without backoff both must write the same log, whatever exits and whichever restarts fail.
"""

from __future__ import annotations

from collections import Counter, deque
from random import Random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.backoff import Backoff
from supervisor.lifecycle import (
    Exited,
    ExitKind,
    ExitReason,
    ShutDownComplete,
    StartChild,
    Started,
    StartFailed,
    StartupAsked,
    State,
    StopChild,
)
from supervisor.spec import AutoShutdown, Child, Restart, Strategy, Tree
from supervisor.tree import TreeDecider
from tests.machines.trees import Actor, trees

CRASH = ExitReason(ExitKind.SIGNALLED, signal=9)
NORMAL = ExitReason(ExitKind.NORMAL)
STOPPED = ExitReason(ExitKind.STOPPED)
BROKEN = ExitReason(ExitKind.START_FAILED)


class Ends(Exception):  # noqa: N818 - what happens, not an error
    """A supervisor of the model ended, reason `shutdown`."""


@attrs.define
class OtpSupervisor:
    """Erlang/OTP's `supervisor` as its documentation tells it, one call after the other.

    `log` takes (start | failed | exit | terminate, child); `fails` says how often the next starts
    of a child fail. A child that is down has the value False; a temporary one that has ended is
    removed, as there.
    """

    spec: Tree
    log: list
    fails: Counter
    up: dict = attrs.field(factory=dict)  # name -> False | True | OtpSupervisor
    order: list = attrs.field(factory=list)
    restarts: list = attrs.field(factory=list)

    def begin(self):
        self.order = list(self.spec.children)
        self.up = {each.name: False for each in self.order}
        failed = self.start_all(self.order)
        assert failed is None, "first starts do not fail in this model"
        return self

    def start_all(self, specs):
        """Start in order; return the one that failed, if any."""
        for each in specs:
            if not self.start(each):
                return each
        return None

    def start(self, each):
        if isinstance(each, Tree):
            self.up[each.name] = OtpSupervisor(each, self.log, self.fails).begin()
            return True
        self.log.append(("start", each.name))
        if self.fails[each.name]:
            self.fails[each.name] -= 1
            self.log.append(("failed", each.name))
            return False
        self.up[each.name] = True
        return True

    def terminate_all(self, specs):
        """Terminate in reverse start order; temporary children are then removed."""
        for each in reversed(specs):
            life = self.up[each.name]
            if isinstance(life, OtpSupervisor):
                life.terminate_all(life.order)
            elif life:
                self.log.append(("terminate", each.name))
            self.remove(each)

    def remove(self, each):
        self.up[each.name] = False
        if each.restart is Restart.TEMPORARY:
            self.order = [other for other in self.order if other is not each]

    def find(self, name):
        """Return the supervisors from here down to the child, outermost first."""
        for each in self.order:
            life = self.up[each.name]
            if each.name == name and life is True:
                return [self]
            if isinstance(life, OtpSupervisor) and (path := life.find(name)):
                return [self, *path]
        return []

    def exited(self, each, normal, now):
        """Handle {'EXIT', Pid, Reason}; Ends: this supervisor ends too."""
        if each.restart is Restart.PERMANENT or (each.restart is Restart.TRANSIENT and not normal):
            self.restart(each, now)
            return
        self.remove(each)
        if not each.significant:
            return
        match self.spec.auto_shutdown:
            case AutoShutdown.ANY_SIGNIFICANT:
                self.end()
            case AutoShutdown.ALL_SIGNIFICANT:
                if not any(o.significant and self.up[o.name] for o in self.order):
                    self.end()
            case AutoShutdown.NEVER:
                pass

    def restart(self, each, now):
        failed = each
        while failed is not None:  # "try again"
            self.restarts = [at for at in self.restarts if at >= now - self.spec.intensity.period]
            self.restarts.append(now)
            self.up[failed.name] = False
            if len(self.restarts) > self.spec.intensity.restarts:
                self.end()
            failed = self.restart_by_strategy(failed)

    def restart_by_strategy(self, each):
        match self.spec.strategy:
            case Strategy.ONE_FOR_ONE:
                return self.start_all([each])
            case Strategy.ONE_FOR_ALL:
                specs = self.order
            case Strategy.REST_FOR_ONE:
                specs = self.order[self.order.index(each) :]
        self.terminate_all(specs)
        return self.start_all([other for other in specs if other in self.order])

    def end(self):
        self.terminate_all(self.order)
        raise Ends


def otp_exit(top, name, normal, now):
    """Let a child exit; the end of a supervisor is an exit, reason `shutdown`, one floor up."""
    path = top.find(name)
    path[-1].log.append(("exit", name))
    child = next(each for each in path[-1].order if each.name == name)
    while path:
        supervisor = path.pop()
        try:
            supervisor.exited(child, normal, now)
        except Ends:
            child, normal = supervisor.spec, True
        else:
            return
    raise Ends


class Ours:
    """Our decider with well-behaved processes and without backoff; writes the same log."""

    def __init__(self, spec, fails):
        self.decider = TreeDecider(spec, Random(0))
        self.log: list[tuple[str, str]] = []
        self.fails = fails
        self.ended = False
        self.now = 0.0
        self.run(StartupAsked())

    def run(self, event):
        todo = deque([event])
        while todo:
            for command in self.decider.handle(todo.popleft(), self.now):
                match command:
                    case StartChild(name=name, incarnation=life):
                        todo.append(self.start(name, life))
                    case StopChild(name=name, incarnation=life):
                        self.log.append(("terminate", name))
                        todo.append(Exited(name, life, STOPPED))
                    case ShutDownComplete():
                        self.ended = True
                    case _:
                        pass

    def start(self, name, life):
        self.log.append(("start", name))
        if self.fails[name]:
            self.fails[name] -= 1
            self.log.append(("failed", name))
            return StartFailed(name, life, BROKEN)
        return Started(name, life)

    def exit(self, name, normal, now):
        self.log.append(("exit", name))
        self.now = now
        life = self.decider.child(name).incarnation
        self.run(Exited(name, life, NORMAL if normal else CRASH))

    def running(self):
        return [each.name for each in self.decider.status() if each.state is State.RUNNING]


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


def same_order(spec, fails, data):
    """Let children exit one after the other; both worlds must write the same log throughout."""
    log: list[tuple[str, str]] = []
    otp = OtpSupervisor(spec, log, Counter()).begin()
    ours = Ours(spec, Counter())
    assert ours.log == log
    now = 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        running = ours.running()
        if not running:
            break
        now += data.draw(st.sampled_from([0, 1, 2, 5, 6]))
        name = data.draw(st.sampled_from(sorted(running)))
        normal = data.draw(st.booleans())
        failing = Counter(data.draw(fails))
        otp.fails.update(failing)
        ours.fails.update(failing)
        ours.exit(name, normal, now)
        try:
            otp_exit(otp, name, normal, now)
        except Ends:
            assert ours.log == log
            assert ours.ended
            return
        assert ours.log == log
        assert not ours.ended


@given(trees(depth=2, pools=False).map(outermost), st.data())
@settings(max_examples=200)
def test_nested_trees_exit_stop_and_start_in_the_order_of_otp(spec, data):
    same_order(spec, st.just([]), data)


@given(trees(depth=0, pools=False).map(outermost), st.data())
@settings(max_examples=200)
def test_failed_restarts_are_tried_again_in_the_order_of_otp(spec, data):
    same_order(spec, st.lists(st.sampled_from(["a", "b", "c"]), max_size=3), data)
