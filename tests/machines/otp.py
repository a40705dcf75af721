"""Erlang/OTP's `supervisor`, retold from its documentation as plain recursive calls.

Sources: the manual page supervisor(3) and the chapter "Supervisor Behaviour" of OTP Design
Principles. Nothing of our own supervisor is used but the words of its specs.

One call follows the other, because OTP's supervisor does one thing at a time: a child that dies
while its supervisor is at work is noticed when that work is done. So a child's death and the
notice of it are two things here, and `World` keeps the notices that wait. A restart that failed is
such a notice too: OTP's supervisor tells itself to try again, after what it was told before.

Where the project differs from OTP on purpose (supervisor/tree.py says where), the model does not
follow: it raises `OutsideOtp`, and the comparison ends there.
"""

from __future__ import annotations

from collections import Counter, deque

import attrs

from supervisor.spec import AutoShutdown, Restart, Strategy, Tree


class Ends(Exception):  # noqa: N818 - what happens, not an error
    """A supervisor ended, reason `shutdown`."""


class OutsideOtp(Exception):  # noqa: N818 - what happens, not an error
    """From here on the project behaves otherwise than OTP, and says so."""


RESTARTING = "restarting"


@attrs.define
class World:
    """The processes: who lives, who dies by itself and when, which notices wait.

    `fails` says how many of the next starts of a child fail. `deaths` says who dies by itself
    right after the n-th start or termination from now on: in the middle of its supervisor's work.
    """

    log: list = attrs.field(factory=list)  # (start | failed | exit | terminate, child)
    alive: set = attrs.field(factory=set)
    fails: Counter = attrs.field(factory=Counter)
    deaths: dict = attrs.field(factory=dict)  # n -> [(child, how), ...]
    notices: deque = attrs.field(factory=deque)  # (child, how): crash, normal, or broken
    steps: int = 0

    def plan(self, fails, deaths):
        """Say what goes wrong from now on."""
        self.fails, self.deaths, self.steps = Counter(fails), dict(deaths), 0

    def start(self, name):
        """A child's start function is called; tell whether it succeeds."""
        self.log.append(("start", name))
        succeeds = not self.fails[name]
        if succeeds:
            self.alive.add(name)
        else:
            self.fails[name] -= 1
            self.log.append(("failed", name))
        self._step(name)
        if not succeeds:  # who died meanwhile is noticed first
            self.notices.append((name, "broken"))
        return succeeds

    def terminate(self, name):
        """A child is asked to stop, and does; one that is dead already has nobody to ask."""
        if name not in self.alive:
            self.notices = deque(one for one in self.notices if one[0] != name)
            return
        self.log.append(("terminate", name))
        self.alive.remove(name)
        self._step()

    def die(self, name, how):
        """A child ends by itself."""
        if name in self.alive:
            self.log.append(("exit", name))
            self.alive.remove(name)
            self.notices.append((name, how))

    def _step(self, started=None):
        self.steps += 1
        dying = self.deaths.get(self.steps, ())
        # The one that has just started must first have told its supervisor so.
        for name, how in sorted(dying, key=lambda one: one[0] == started):
            self.die(name, how)


@attrs.define(eq=False)
class OtpSupervisor:
    """One supervisor. In `up`, a child that is down is False, one to be tried again RESTARTING."""

    spec: Tree
    world: World
    order: list = attrs.field(factory=list)  # child specs, in start order
    up: dict = attrs.field(factory=dict)  # name -> False | True | RESTARTING | OtpSupervisor
    added: set = attrs.field(factory=set)  # names of children added by `start_child`
    restarts: list = attrs.field(factory=list)  # times
    now: float = 0.0

    def begin(self, now):
        """`init`: start every child in order."""
        self.now = now
        self.order = list(self.spec.children)
        self.up = {each.name: False for each in self.order}
        if self.start_all(self.order) is not None:
            raise OutsideOtp("a first start fails: OTP ends the supervisor, ours tries again")
        return self

    def start_all(self, specs):
        """Start in order; return the one that failed, if any."""
        for each in specs:
            if not self.start(each):
                return each
        return None

    def start(self, each):
        if isinstance(each, Tree):
            self.up[each.name] = OtpSupervisor(each, self.world).begin(self.now)
            return True
        if not self.world.start(each.name):
            return False
        self.up[each.name] = True
        return True

    def start_child(self, each):
        """Add a child at run time; when it does not start, it is not added."""
        if self.start(each):
            self.order.append(each)
            self.added.add(each.name)

    def terminate_all(self, specs):
        """Terminate in reverse start order; temporary children are then removed."""
        for each in reversed(specs):
            life = self.up[each.name]
            if isinstance(life, OtpSupervisor):
                life.terminate_all(life.order)
            elif life:
                self.world.terminate(each.name)
            self.up[each.name] = False
            if each.restart is Restart.TEMPORARY:
                self.remove(each)

    def remove(self, each):
        self.order = [other for other in self.order if other is not each]

    def find(self, name):
        """Return the supervisors from here down to the one of a child, outermost first."""
        for each in self.order:
            life = self.up[each.name]
            if each.name == name and life in (True, RESTARTING):
                return [self]
            if isinstance(life, OtpSupervisor) and (path := life.find(name)):
                return [self, *path]
        return []

    def tree(self, name):
        """Return a running supervisor by its name; None: this one."""
        if name in (None, self.spec.name):
            return self
        below = [life for life in self.up.values() if isinstance(life, OtpSupervisor)]
        return next((found for life in below if (found := life.tree(name)) is not None), None)

    def exited(self, each, how, now):
        """Handle {'EXIT', Pid, Reason}, or try again; Ends: this supervisor ends too."""
        self.now = now
        transient = each.restart is Restart.TRANSIENT and how != "normal"
        if each.restart is Restart.PERMANENT or transient or self.up[each.name] is RESTARTING:
            self.restart(each)
            return
        self.up[each.name] = False
        # A transient child keeps its place in OTP; ours forgets one that was added at run time.
        if each.restart is Restart.TEMPORARY or each.name in self.added:
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

    def restart(self, each):
        oldest = self.now - self.spec.intensity.period
        self.restarts = [at for at in self.restarts if at >= oldest]
        self.restarts.append(self.now)
        self.up[each.name] = False
        if len(self.restarts) > self.spec.intensity.restarts:
            self.end()
        failed = self.restart_by_strategy(each)
        if failed is not None:
            self.up[failed.name] = RESTARTING

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


@attrs.define
class OtpSystem:
    """A tree of OTP supervisors and its world."""

    spec: Tree
    world: World = attrs.field(factory=World)
    ended: bool = False
    top: OtpSupervisor = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.top = OtpSupervisor(self.spec, self.world).begin(0.0)

    @property
    def log(self):
        return self.world.log

    def plan(self, fails, deaths):
        self.world.plan(fails, deaths)

    def exits(self, deaths, now):
        """Let children end by themselves, all at once, and the supervisors see to it."""
        for name, how in deaths:
            self.world.die(name, how)
        self.settle(now)

    def spawn(self, child, under, now):
        """Add a child to a running supervisor."""
        tree = self.top.tree(under)
        tree.now = now
        tree.start_child(child)
        self.settle(now)

    def shut_down(self):
        self.top.terminate_all(self.top.order)
        self.ended = True

    def settle(self, now):
        """Handle the notices that wait, one by one."""
        while self.world.notices and not self.ended:
            name, how = self.world.notices.popleft()
            try:
                self._exited(name, how, now)
            except Ends:
                self.ended = True

    def _exited(self, name, how, now):
        """The end of a supervisor is an exit, reason `shutdown`, one floor up."""
        path = self.top.find(name)
        if not path:
            return  # it was never added, or went with its supervisor
        child = next(each for each in path[-1].order if each.name == name)
        while path:
            supervisor = path.pop()
            try:
                supervisor.exited(child, how, now)
            except Ends:
                child, how = supervisor.spec, "normal"
            else:
                return
        raise Ends
