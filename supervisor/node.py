"""The tree as it stands: one Leaf per child, one Group per tree or pool.

         Group "root"  RUNNING
         ├── Leaf "camera"    RUNNING          WAITING -> STARTING -> RUNNING
         ├── Group "convert"  RUNNING             ^          |          |
         │   ├── Leaf "convert#1" BACKOFF         |       STOPPING <----+
         │   └── Leaf "convert#2" RUNNING         |          |          |
         └── Group "tree#3"   STOPPING            +------ BACKOFF <-----+
             └── Leaf "viewer" STOPPING                   STOPPED, FAILED

A Group goes through the same states, without STARTING. Nodes hold facts and answer questions;
every decision is made in supervisor/tree.py, which is also the only one to call `enter`.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator
from typing import assert_never, final

import attrs

from actors.backoff import Retries
from supervisor.intensity import recent
from supervisor.lifecycle import WORK_DONE, ChildStatus, ExitReason, Origin, State, TreeStatus
from supervisor.spec import AutoShutdown, Child, Intensity, Pool, Restart, Strategy, Tree

LIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""States with a process (a Leaf), or with children to look after (a Group)."""

ENDED = frozenset({State.STOPPED, State.FAILED})
"""States that last until somebody, or a restart of the whole tree, starts the node again."""


@final
class Wish(enum.Enum):
    """What users want of a node; it outlives restarts of the tree around."""

    RUN = "run"  # as its restart kind says
    STAY_DOWN = "stay down"  # `stop`
    START_AGAIN = "start again"  # `restart`, until it is down; then RUN


@attrs.define(eq=False)
class Node:
    """What children and trees have in common."""

    label: str  # the name; "root" or "tree#2" for a tree without one
    group: Group | None  # the tree it is in; None: the outermost tree
    restart: Restart
    significant: bool
    retries: Retries
    state: State = State.WAITING
    since: float = 0.0  # when it came into this state
    wish: Wish = Wish.RUN
    timer: int | None = None  # token of the timer that matters: grace, or next start
    next_start: float | None = None  # only in BACKOFF
    last_exit: ExitReason | None = None

    def enter(self, state: State, now: float) -> None:
        """Change the state. Nothing else does."""
        self.state = state
        self.since = now
        if state is not State.BACKOFF:
            self.next_start = None

    @property
    def is_live(self) -> bool:
        """Whether it has to be stopped before it is down."""
        return self.state in LIVE

    @property
    def ended_well(self) -> bool:
        """Whether its last end was a good one."""
        return self.last_exit is not None and self.last_exit.is_normal

    @property
    def is_recalled(self) -> bool:
        """Whether a tree around it is taking it down, so that it is not to be restarted alone."""
        group = self.group
        return group is not None and (
            group.state is State.STOPPING or self in group.halting or group.is_recalled
        )

    @property
    def is_new(self) -> bool:
        """Whether it was added at run time and has never been up."""
        return False

    def returns_after(self, reason: ExitReason) -> bool:
        """Tell whether its kind is started again after such an end."""
        match self.restart:
            case Restart.PERMANENT:
                return True
            case Restart.TRANSIENT:
                return not reason.is_normal
            case Restart.TEMPORARY:
                return False
            case _:
                assert_never(self.restart)

    @property
    def final_state(self) -> State:
        """The state it has when it is down for good, by how it ended last."""
        failed = self.last_exit is not None and not self.last_exit.is_normal
        return State.FAILED if failed else State.STOPPED

    @property
    def path(self) -> tuple[str, ...]:
        """The labels from the outermost tree down to it."""
        return (*(self.group.path if self.group is not None else ()), self.label)


@final
@attrs.define(eq=False)
class Leaf(Node):
    """One child."""

    spec: Child = attrs.field(kw_only=True)
    origin: Origin = attrs.field(kw_only=True)
    incarnation: int = 0  # the current or last one; 0: it never started
    starts: int = 0  # StartChild commands
    ups: int = 0  # Started events

    @property
    def is_new(self) -> bool:
        """Whether it was added at run time and has never been up."""
        return self.origin is Origin.SPAWNED and not self.ups

    @property
    def pool(self) -> str | None:
        """The name of the pool it is a member of."""
        group = self.group
        return group.label if group is not None and isinstance(group.spec, Pool) else None

    @property
    def is_coming(self) -> bool:
        """Whether it is up, or will be without anybody's doing."""
        if self.is_live:
            return self.state is not State.STOPPING
        return self.state not in ENDED and (self.group is None or self.group.remains)

    def status(self) -> ChildStatus:
        """Return how it stands."""
        return ChildStatus(
            name=self.label,
            path=self.path,
            state=self.state,
            since=self.since,
            incarnation=self.incarnation,
            restarts=max(0, self.starts - 1),
            restart=self.restart,
            origin=self.origin,
            pool=self.pool,
            last_exit=self.last_exit,
            next_start=self.next_start,
            spec=self.spec,
        )


@final
@attrs.define(eq=False)
class Group(Node):
    """One tree or pool."""

    spec: Tree | Pool = attrs.field(kw_only=True)
    strategy: Strategy = attrs.field(kw_only=True)
    intensity: Intensity = attrs.field(kw_only=True)
    auto_shutdown: AutoShutdown = attrs.field(kw_only=True)
    nodes: list[Leaf | Group] = attrs.field(factory=list["Leaf | Group"])  # in start order
    inner: list[Group] = attrs.field(factory=list["Group"])  # those of `nodes` that are groups
    history: tuple[float, ...] = ()  # its recent restarts, see supervisor/intensity.py
    halting: list[Leaf | Group] = attrs.field(factory=list["Leaf | Group"])
    # ^ to be taken down, the last one first; in start order
    fall: ExitReason | None = None  # why it ends by itself; None while it does not
    outlived: Leaf | Group | None = None
    # ^ the significant child whose end would have ended it, but for others' first starts
    risen: bool = False  # all of it was up at once since its last start; later ones do not wait

    @property
    def is_ordered(self) -> bool:
        """Whether its children start and stop one after the other."""
        return isinstance(self.spec, Tree)

    @property
    def ended_well(self) -> bool:
        """Whether it shut itself down, and who had to end for that has ended well."""
        return str(self.last_exit).startswith(WORK_DONE)

    @property
    def remains(self) -> bool:
        """Whether what waits in it will be started: it is not taken down, or it comes back.

        Who falls with it again and again may exceed the limit of the tree around: nobody knows yet.
        """
        around = self.group
        if self.state in ENDED or (around is not None and not around.remains):
            return False
        if self.state is not State.STOPPING and not self.is_recalled:
            return True
        if self.wish is not Wish.RUN or around is None:
            return self.wish is Wish.START_AGAIN
        if not self.is_recalled:
            return self.fall is not None and self.returns_after(self.fall)
        with_its_tree = around.state is State.STOPPING or around.is_recalled
        return with_its_tree or self.restart is not Restart.TEMPORARY

    def why_shut_down(self, ended: Leaf | Group) -> str:
        """Say why it shuts itself down, now that a significant child has ended: well, or not."""
        # Whoever was stopped on request had no end of its own.
        others = [one for one in self.nodes if one.significant and one.wish is not Wish.STAY_DOWN]
        well = all(one.ended_well for one in (ended, *others) if one.state in ENDED)
        done = f"{WORK_DONE}: " if well else ""
        return f"{done}the significant child {ended.label} has ended: {ended.last_exit}"

    def leaves(self) -> Iterator[Leaf]:
        """Go through all children below it, in start order."""
        for node in self.nodes:
            if isinstance(node, Leaf):
                yield node
            else:
                yield from node.leaves()

    def groups(self) -> Iterator[Group]:
        """Go through itself and all trees and pools below it, outer ones first."""
        yield self
        for group in self.inner:
            yield from group.groups()

    def status(self, now: float) -> TreeStatus:
        """Return how it stands."""
        return TreeStatus(
            path=self.path,
            state=self.state,
            strategy=self.strategy,
            restarts_used=len(recent(self.history, now, self.intensity)),
            restarts_allowed=self.intensity.restarts,
            period=self.intensity.period,
            next_start=self.next_start,
        )


def is_ready(node: Leaf | Group) -> bool:
    """Tell whether all of the node is up, or down for good."""
    if isinstance(node, Leaf) or node.state is not State.RUNNING:
        return node.state is State.RUNNING or node.state in ENDED
    return all(is_ready(child) for child in node.nodes)


def has_risen(node: Leaf | Group) -> bool:
    """Tell whether the start of the node is over, so that the next in order may start.

    A tree whose children fell again later has risen all the same: that is its own affair.
    """
    if isinstance(node, Leaf) or node.state is not State.RUNNING:
        return node.state is State.RUNNING or node.state in ENDED
    return node.risen


def is_coming_up(node: Leaf | Group) -> bool:
    """Tell whether the node is on its way up, without a pause before its next try."""
    if isinstance(node, Leaf):
        return node.state is State.STARTING
    if node.state is not State.RUNNING:
        return False
    states = {child.state for child in node.nodes}
    waits = State.WAITING in states and State.BACKOFF not in states and not node.halting
    return waits or any(is_coming_up(child) for child in node.nodes)


def grow(spec: Child | Pool | Tree, group: Group | None, label: str) -> Leaf | Group:
    """Build the nodes of a declared spec; the `label` is for a tree without a name."""
    match spec:
        case Child():
            return leaf(spec, group, Origin.DECLARED)
        case Pool():
            template = spec.template
            # Members that are restarted at all are so for ever, even when they are TRANSIENT:
            # a pool that gave up must come back, so it is PERMANENT itself.
            once = template.restart is Restart.TEMPORARY
            pool = Group(
                label=spec.name,
                group=group,
                restart=Restart.TEMPORARY if once else Restart.PERMANENT,
                significant=False,
                retries=Retries(template.backoff),
                spec=spec,
                strategy=Strategy.ONE_FOR_ONE,
                intensity=spec.intensity,
                auto_shutdown=AutoShutdown.NEVER,
            )
            pool.nodes = [leaf(member, pool, Origin.DECLARED) for member in spec.members]
            return pool
        case Tree():
            return grow_tree(spec, group, label)


def grow_tree(spec: Tree, group: Group | None, label: str) -> Group:
    """Build the nodes of a tree."""
    tree = Group(
        label=label if spec.name is None else spec.name,
        group=group,
        restart=spec.restart,
        significant=spec.significant,
        retries=Retries(spec.backoff),
        spec=spec,
        strategy=spec.strategy,
        intensity=spec.intensity,
        auto_shutdown=spec.auto_shutdown,
    )
    tree.nodes = [grow(child, tree, f"tree#{i}") for i, child in enumerate(spec.children, 1)]
    tree.inner = [node for node in tree.nodes if isinstance(node, Group)]
    return tree


def leaf(spec: Child, group: Group | None, origin: Origin) -> Leaf:
    """Build the node of one child."""
    return Leaf(
        label=spec.name,
        group=group,
        restart=spec.restart,
        significant=spec.significant,
        retries=Retries(spec.backoff),
        spec=spec,
        origin=origin,
    )


@final
@attrs.define
class Incarnations:
    """The last incarnation number of every name: it only ever grows.

    Of names that are free again, the last `remembered` are kept one by one. When one is forgotten
    its number becomes the floor of all names not known, so even then no number comes twice, and
    a system that spawns for years stays small.
    """

    remembered: int = 65_536
    _taken: dict[str, int] = attrs.field(factory=dict[str, int])
    _free: OrderedDict[str, int] = attrs.field(factory=OrderedDict[str, int])
    _floor: int = 0

    def next(self, name: str) -> int:
        """Return the number of the name's next life; the name is taken from now on."""
        last = self._taken.get(name)
        if last is None:
            last = self._free.pop(name, self._floor)
        self._taken[name] = last + 1
        return last + 1

    def release(self, name: str) -> None:
        """Note that the name is free again."""
        last = self._taken.pop(name, None)
        if last is None:
            return
        self._free[name] = last
        if len(self._free) > self.remembered:
            _, forgotten = self._free.popitem(last=False)
            self._floor = max(self._floor, forgotten)
