"""The supervisor's decider: what happened in, what to do out. No process, clock or thread here.

    event --> TreeDecider.handle(event, now) --> [StartChild, StopChild, SetTimer, ...]

The words are in supervisor/lifecycle.py, the nodes in supervisor/node.py, how a tree is kept in
supervisor/keeper.py. Here events are taken: names are looked up, and what cannot be is refused.

The rules are those of Erlang/OTP's `supervisor`. Where ours differ:
- A failed first start of a declared child is retried like any crash; OTP ends the supervisor.
- A restart may be delayed (Backoff). Siblings that restart with the child are stopped at once
  and wait with it.
- In ONE_FOR_ONE, children restart side by side; only a tree's first start goes one after the
  other, and it does not wait for a child in BACKOFF. A pool starts and stops all at once.
- A child that `stop` took down stays down, also when its siblings restart.
- A tree that is being taken down restarts nothing meanwhile.
- Deaths that are nobody's fault (`counted=False`) are followed by the same restarts, at once.
- Children added at run time are forgotten when they end for good, or when their tree restarts.
"""

from __future__ import annotations

from random import Random
from typing import assert_never, final

from actors.backoff import Backoff
from supervisor.keeper import Keeper
from supervisor.lifecycle import (
    ChildStatus,
    Command,
    Event,
    Exited,
    Gone,
    Origin,
    Refusal,
    Refused,
    RestartAsked,
    ShutdownAsked,
    Spawn,
    Started,
    StartFailed,
    StartupAsked,
    State,
    StopAsked,
    TimerFired,
    TreeStatus,
    Urgency,
)
from supervisor.node import ENDED, Group, Leaf, Wish, grow_tree, is_ready, leaf
from supervisor.spec import Pool, Restart, Tree, check_significant


@final
class TreeDecider:
    """Keeps a tree of children running.

    `handle` takes one event and returns what is to be done, in order:

        StartChild, StopChild, KillChild    to processes
        SetTimer                            answered by TimerFired
        ChildStopped, ChildGone             a child is down for good; what waits for it ends
        GiveUp, ShutDownComplete            the system ends; has ended
        Report                              for the log

    Raises:
        ValueError: the outermost tree has restart options, which nobody would heed.
    """

    def __init__(self, tree: Tree, random: Random) -> None:
        if tree.restart is not Restart.PERMANENT or tree.significant or tree.backoff != Backoff():
            raise ValueError(
                "the outermost tree has restart, backoff or significant, but no tree around it "
                "that could restart it. Leave them out, or put it into another Tree."
            )
        root = grow_tree(tree, None, "root")
        named = {group.spec.name: group for group in root.groups() if group.spec.name is not None}
        self._root = root
        self._nodes: dict[str, Leaf | Group] = {
            **named,
            **{one.label: one for one in root.leaves()},
        }
        self._keeper = Keeper(root, self._nodes, random)

    # ----------------------------------------------------------------------- asking

    @property
    def is_up(self) -> bool:
        """Whether every child is running or down for good."""
        return is_ready(self._root)

    @property
    def is_ending(self) -> bool:
        """Whether the system is going down, or is down, and will not come back."""
        root = self._root
        going = root.state is State.STOPPING and root.wish is not Wish.START_AGAIN
        return going or root.state in ENDED

    def status(self) -> tuple[ChildStatus, ...]:
        """Return how every child stands, in start order."""
        return tuple(child.status() for child in self._root.leaves())

    @property
    def names(self) -> list[str]:
        """Every child's name, in start order."""
        return [child.label for child in self._root.leaves()]

    def child(self, name: str) -> ChildStatus | None:
        """Return how one child stands; None when there is no child of that name."""
        node = self._nodes.get(name)
        return node.status() if isinstance(node, Leaf) else None

    def is_coming(self, name: str) -> bool:
        """Whether a child is up, or will be without anybody's doing."""
        node = self._nodes.get(name)
        return isinstance(node, Leaf) and node.is_coming

    def trees(self, now: float) -> tuple[TreeStatus, ...]:
        """Return how every tree and pool stands, outer ones first."""
        return tuple(group.status(now) for group in self._root.groups())

    def members(self, name: str) -> tuple[str, ...]:
        """Return the children a name stands for: itself, a pool's, a tree's; () if unknown."""
        node = self._nodes.get(name)
        if node is None:
            return ()
        return (name,) if isinstance(node, Leaf) else tuple(one.label for one in node.leaves())

    def is_serving(self, name: str) -> bool:
        """Whether a child is not down for good."""
        node = self._nodes.get(name)
        return node is not None and node.state not in ENDED

    def returning(self, name: str) -> list[str]:
        """Return the children that a restart of this name brings up, after it was asked for."""
        node = self._nodes[name]
        if isinstance(node, Leaf):
            return [name]
        leaves = (one for one in node.leaves() if one.origin is Origin.DECLARED)
        return [one.label for one in leaves if one.state not in ENDED]

    def pool_of(self, name: str) -> tuple[str, list[str], int] | None:
        """Return the pool a child is in: its name, who serves it, how many messages each takes."""
        node = self._nodes.get(name)
        if not isinstance(node, Leaf) or node.pool is None:
            return None
        serving = [one for one in self.members(node.pool) if self.is_serving(one)]
        return node.pool, serving, node.spec.limits.mailbox

    # ----------------------------------------------------------------------- events

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one event and return what is to be done, in order.

        `now` is in seconds of a monotonic clock. Reports of lives that are over, and tokens of
        timers that no longer matter, change nothing.

        Raises:
            Refused: a Spawn, StopAsked or RestartAsked that cannot be; nothing has changed.
        """
        self._keeper.now = now
        self._keeper.out = []
        self._take(event)
        self._keeper.settle()
        return self._keeper.out

    def _take(self, event: Event) -> None:
        match event:
            case StartupAsked():
                self._startup()
            case Spawn():
                self._spawn(event)
            case Started() | StartFailed() | Exited():
                self._life(event)
            case StopAsked():
                self._stop_asked(self._named(event.name))
            case RestartAsked():
                self._restart_asked(self._named(event.name))
            case TimerFired():
                self._keeper.timer_fired(event.token)
            case ShutdownAsked():
                self._shutdown(event.urgency)
            case _:
                assert_never(event)

    def _startup(self) -> None:
        if self._root.state is State.WAITING:
            self._keeper.start(self._root)

    def _life(self, event: Started | StartFailed | Exited) -> None:
        child = self._nodes.get(event.name)
        if not isinstance(child, Leaf) or child.incarnation != event.incarnation:
            return  # a life that is over
        if not child.is_live:
            return
        if isinstance(event, Started):
            self._keeper.up(child)
        else:
            self._keeper.down(child, event.reason, counted=event.counted)

    def _spawn(self, event: Spawn) -> None:
        name = event.spec.name
        tree = self._home(event.beside) if event.under is None else self._named(event.under)
        self._refuse_when_ending(name)
        if name in self._nodes:
            text = (
                f"the name {name!r} is taken. Choose another, or end who has it with "
                f"system.stop({name!r}) first; system.restart({name!r}) starts it again as it is."
            )
            raise Refused(Refusal.NAME_TAKEN, text)
        if isinstance(tree, Leaf) or not isinstance(tree.spec, Tree):
            raise Refused(Refusal.NOT_A_TREE, f"{event.under!r} is not a tree to spawn under.")
        if tree.state is not State.RUNNING or tree.is_recalled:
            raise Refused(Refusal.TREE_DOWN, f"the tree {tree.label!r} is not up. Try again later.")
        try:
            check_significant(event.spec, tree.auto_shutdown)
        except ValueError as error:
            raise Refused(Refusal.BAD_SPEC, str(error)) from error
        child = leaf(event.spec, tree, Origin.SPAWNED)
        self._nodes[name] = child
        tree.nodes.append(child)
        self._keeper.queue(child)

    def _home(self, spawner: str | None) -> Group:
        """Return the tree of what a child spawns: its own. Anybody else's is the outermost."""
        node = None if spawner is None else self._nodes.get(spawner)
        group = node.group if isinstance(node, Leaf) else None
        if group is not None and isinstance(group.spec, Pool):
            group = group.group
        return self._root if group is None else group

    def _stop_asked(self, node: Leaf | Group) -> None:
        if node is self._root:
            self._shutdown(Urgency.GRACEFUL)
            return
        node.wish = Wish.STAY_DOWN
        if isinstance(node, Group):
            node.fall = None  # its end is no longer its own doing
        if node.state in ENDED:
            return
        if not node.is_live:
            self._keeper.retire(node, State.STOPPED, Gone.STOPPED)
        elif node.state is not State.STOPPING:
            self._keeper.stop(node)

    def _restart_asked(self, node: Leaf | Group) -> None:
        self._refuse_when_ending(node.label)
        around = node.group
        while around is not None:
            if around.state in ENDED:
                text = f"the tree {around.label!r} around {node.label!r} is down. Restart that one."
                raise Refused(Refusal.TREE_DOWN, text)
            around = around.group
        if isinstance(node, Group):
            node.fall = None  # its end is no longer its own doing
        if not node.is_live:
            node.wish = Wish.RUN
            self._keeper.cancel_timer(node)
            self._keeper.queue(node)
            return
        node.wish = Wish.START_AGAIN
        if node.state is not State.STOPPING:
            self._keeper.stop(node)

    def _shutdown(self, urgency: Urgency) -> None:
        root = self._root
        if root.state in ENDED:
            return
        root.wish = Wish.STAY_DOWN
        match urgency:
            case Urgency.GRACEFUL:
                pass
            case Urgency.AT_ONCE:
                for child in root.leaves():
                    if child.is_live:
                        self._keeper.kill(child)
            case _:
                assert_never(urgency)
        if not root.is_live:
            self._keeper.complete()
        elif root.state is not State.STOPPING:
            self._keeper.stop(root)

    # ----------------------------------------------------------------------- refusing

    def _named(self, name: str) -> Leaf | Group:
        node = self._nodes.get(name)
        if node is None:
            raise Refused(Refusal.UNKNOWN_NAME, f"there is no child, pool or tree {name!r}.")
        return node

    def _refuse_when_ending(self, name: str) -> None:
        if self.is_ending:
            raise Refused(Refusal.ENDING, f"the system is ending: {name!r} is not started.")
