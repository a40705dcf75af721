"""How a tree is kept: what one start, one stop and one death mean for the nodes around.

    note it on its node --> let every tree move on, inner ones first --> commands
                              taking down?  stop the last child that is up, wait
                              else          start the next child whose turn it is

An event changes the state of a node or two; `settle` then goes through the trees until nothing
moves. So a child that dies while its siblings are being stopped, a `stop` in the middle of a
start, a tree that gives up while its parent restarts it: all are the same two lines above, and
need no case of their own. The events themselves are taken in supervisor/tree.py.
"""

from __future__ import annotations

import math
from random import Random
from typing import assert_never, final

import attrs

from supervisor.intensity import add_restart, is_exceeded
from supervisor.lifecycle import (
    ChildGone,
    ChildStopped,
    Command,
    Context,
    ExitKind,
    ExitReason,
    GiveUp,
    Gone,
    KillChild,
    Origin,
    Report,
    SetTimer,
    ShutDownComplete,
    StartChild,
    State,
    StopChild,
)
from supervisor.node import ENDED, Group, Incarnations, Leaf, Wish, has_risen, is_coming_up
from supervisor.spec import AutoShutdown, Restart, Strategy
from supervisor.strategy import affected

STOPPED = ExitReason(ExitKind.STOPPED)


@final
@attrs.define(eq=False)
class Keeper:
    """Starts, stops and restarts the nodes of one tree."""

    root: Group
    nodes: dict[str, Leaf | Group]  # name -> its node: children, pools, named trees
    random: Random
    now: float = 0.0  # of the event being handled
    out: list[Command] = attrs.field(factory=list[Command])  # of the event being handled
    _moved: bool = False  # a state changed since the last round of `settle`
    _incarnations: Incarnations = attrs.field(factory=Incarnations)
    _timers: dict[int, Leaf | Group] = attrs.field(factory=dict[int, "Leaf | Group"])
    # ^ token -> whose; only those that still matter
    _tokens: int = 0  # the last one given out

    def settle(self) -> None:
        """Do all that can be done without waiting for an event."""
        while self._moved:
            self._moved = False
            self._advance(self.root)

    # ----------------------------------------------------------------------- up and down

    def queue(self, node: Leaf | Group) -> None:
        """Start a node that is down: now if its siblings do not matter to it, else in its turn."""
        group = node.group
        assert group is not None
        alone = group.strategy is Strategy.ONE_FOR_ONE
        if alone and group.state is State.RUNNING and not node.is_recalled:
            self.start(node)
        else:
            self._enter(node, State.WAITING)

    def start(self, node: Leaf | Group) -> None:
        """Start a node that is down; a tree starts afresh, as if declared just now."""
        if node.group is not None and node.group.outlived is node:
            node.group.outlived = None  # it is back, and may end in another way
        if isinstance(node, Leaf):
            node.starts += 1
            node.incarnation = self._incarnations.next(node.label)
            self._enter(node, State.STARTING)
            self.out.append(StartChild(node.label, node.incarnation, node.spec, node.pool))
            return
        node.history = ()
        node.fall, node.outlived, node.risen = None, None, False
        node.retries.succeeded(self.now)
        self._enter(node, State.RUNNING)
        for child in node.nodes:
            if child.wish is not Wish.STAY_DOWN:
                self._enter(child, State.WAITING)

    def stop(self, node: Leaf | Group) -> None:
        """Begin to take down a node that is live; `node.wish` and its tree say what comes after."""
        self._enter(node, State.STOPPING)
        if isinstance(node, Leaf):
            self._stop_leaf(node)
            return
        for child in list(node.nodes):
            if not child.is_live and child.state not in ENDED:
                self._settle_stopped(child)
        node.halting = [child for child in node.nodes if child.is_live]

    def down(self, node: Leaf | Group, reason: ExitReason, *, counted: bool) -> None:
        """Decide what a node's end means; it was live until now."""
        self.cancel_timer(node)
        node.last_exit = reason
        group = node.group
        if group is None:
            self._root_down()
            return
        self._report_end(group, node, reason)
        fell = isinstance(node, Group) and node.fall is not None
        first = node.is_new
        broken = first and counted and reason.kind is ExitKind.START_FAILED
        never = broken and node.is_recalled and node.wish is Wish.RUN  # it was never added
        if not never and (node.is_recalled or (node.state is State.STOPPING and not fell)):
            node.retries.ended(self.now)
            self._settle_stopped(node)
            return
        if node.returns_after(reason) and not (first and counted):
            self._restart(group, node, reason, counted=counted)
            return
        self.retire(node, node.final_state, Gone.FIRST_START_FAILED if first else Gone.ENDED)
        if node.significant and not first:
            self._auto_shutdown(group, node)

    def retire(self, node: Leaf | Group, state: State, why: Gone) -> None:
        """Put a node that is not live down for good; one added at run time is forgotten."""
        self.cancel_timer(node)
        self._enter(node, state)
        if isinstance(node, Group):
            asked = node.wish is Wish.STAY_DOWN  # then it has not failed, however its lives ended
            for child in list(node.nodes):
                if child.state not in ENDED:
                    how = State.STOPPED if asked else child.final_state
                    self.retire(child, how, Gone.STOPPED)
            return
        reason = STOPPED if node.last_exit is None else node.last_exit
        match node.origin:
            case Origin.DECLARED:
                self.out.append(ChildStopped(node.label, node.incarnation, reason))
            case Origin.SPAWNED:
                self._forget(node)
                self.out.append(ChildGone(node.label, node.incarnation, why, reason))
                if node.significant and node.is_new:
                    self._never_added(node)
            case _:
                assert_never(node.origin)

    def complete(self) -> None:
        """End for ever: everything is down."""
        fell = self.root.fall is not None
        self.retire(self.root, State.FAILED if fell else State.STOPPED, Gone.STOPPED)
        self.out.append(ShutDownComplete())

    def up(self, child: Leaf) -> None:
        """Note that a child's start succeeded."""
        child.ups += 1
        if child.significant and child.group is not None:
            child.group.outlived = None  # now the tree waits for this one's end
        if child.state is State.STARTING:
            child.retries.succeeded(self.now)
            self._enter(child, State.RUNNING)

    def kill(self, child: Leaf) -> None:
        """End a live child without grace."""
        self.cancel_timer(child)
        if child.state is not State.STOPPING:
            self._enter(child, State.STOPPING)
        self.out.append(KillChild(child.label, child.incarnation))

    # ----------------------------------------------------------------------- timers

    def set_timer(self, node: Leaf | Group, at: float) -> None:
        """Give the node the one timer that matters to it from now on."""
        self.cancel_timer(node)
        self._tokens += 1
        node.timer = self._tokens
        self._timers[node.timer] = node
        self.out.append(SetTimer(node.timer, at))

    def cancel_timer(self, node: Leaf | Group) -> None:
        """Let the node's timer fire in vain."""
        if node.timer is not None:
            self._timers.pop(node.timer, None)
            node.timer = None

    def timer_fired(self, token: int) -> None:
        """Start what was held back, or kill what did not stop in time."""
        node = self._timers.pop(token, None)
        if node is None:
            return
        node.timer = None
        if node.state is State.BACKOFF:
            self.queue(node)
        elif isinstance(node, Leaf) and node.state is State.STOPPING:
            self.kill(node)

    # ----------------------------------------------------------------------- moving on

    def _advance(self, group: Group) -> None:
        """Do what is next in this tree and those below."""
        for inner in group.inner:
            self._advance(inner)
        if group.halting:
            self._halt(group)
        if group.halting:
            return
        if group.state is State.STOPPING:
            self.down(group, STOPPED if group.fall is None else group.fall, counted=True)
        elif group.state is State.RUNNING and not group.is_recalled:
            self._start_waiting(group)
            if not group.risen and all(map(has_risen, group.nodes)):
                group.risen = self._moved = True

    def _halt(self, group: Group) -> None:
        """Stop what is to be stopped: in reverse start order, a pool all at once."""
        while group.halting and not group.halting[-1].is_live:
            group.halting.pop()
        for node in reversed(group.halting):
            if node.is_live and node.state is not State.STOPPING:
                self.stop(node)
            if group.is_ordered:
                return

    def _start_waiting(self, group: Group) -> None:
        """Start the nodes whose turn it is, in start order."""
        if all(node.state is not State.WAITING for node in group.nodes):
            return
        together = group.strategy is not Strategy.ONE_FOR_ONE
        if group.strategy is Strategy.ONE_FOR_ALL and any(
            node.state is State.BACKOFF for node in group.nodes
        ):
            return  # all wait for the one that fell
        for node in group.nodes:
            if node.state is State.WAITING:
                self.start(node)
            waits = not has_risen(node) if together else is_coming_up(node)
            if waits and group.is_ordered:
                return

    # ----------------------------------------------------------------------- after an end

    def _settle_stopped(self, node: Leaf | Group) -> None:
        """Put a node that is down where it belongs: it was stopped, or fell with its tree."""
        group = node.group
        assert group is not None
        again = node.wish is Wish.START_AGAIN
        if again:
            node.wish = Wish.RUN
        self.cancel_timer(node)
        if node.wish is Wish.STAY_DOWN:
            self.retire(node, State.STOPPED, Gone.STOPPED)
        elif group.state is State.STOPPING or group.is_recalled:
            if isinstance(node, Leaf) and node.origin is Origin.SPAWNED:
                self.retire(node, node.final_state, Gone.STOPPED)
            else:
                self._enter(node, State.WAITING)  # comes back, or is retired, with its tree
        elif again:
            self.queue(node)
        elif node.restart is Restart.TEMPORARY:
            self.retire(node, node.final_state, Gone.ENDED)
        else:
            self._enter(node, State.WAITING)

    def _restart(
        self, group: Group, node: Leaf | Group, reason: ExitReason, *, counted: bool
    ) -> None:
        """Start a node that fell again, now or later, with the siblings that go along."""
        if not counted:
            node.retries.ended(self.now)
            self._take_along(group, node)
            self.queue(node)
            return
        group.history = add_restart(group.history, self.now, group.intensity)
        if is_exceeded(group.history, group.intensity):
            limit = f"{group.intensity.restarts} restarts in {group.intensity.period:g} s"
            text = f"{node.label} needs more than the {limit} of its tree; its last end: {reason}"
            self._fall(group, node, ExitReason(ExitKind.STOPPED, text=text))
            self._settle_stopped(node)
            return
        delay = node.retries.failed(self.now, self.random)
        self._take_along(group, node)
        if delay:
            self._enter(node, State.BACKOFF)
            node.next_start = self.now + delay
            self.set_timer(node, node.next_start)
        else:
            self.queue(node)

    def _take_along(self, group: Group, fallen: Leaf | Group) -> None:
        """Recall the siblings that restart with a fallen node."""
        recalled = set(map(id, group.halting))
        for node in affected(group.strategy, group.nodes, fallen):
            if node is fallen:
                continue
            if node.is_live:
                recalled.add(id(node))
            elif (
                node.state in ENDED
                and node.wish is not Wish.STAY_DOWN
                and node.restart is not Restart.TEMPORARY
            ):
                self._enter(node, State.WAITING)
        group.halting = [node for node in group.nodes if id(node) in recalled]

    def _auto_shutdown(self, group: Group, ended: Leaf | Group) -> None:
        """End the tree when its significant children have ended, if it is that kind of tree."""
        match group.auto_shutdown:
            case AutoShutdown.NEVER:
                return
            case AutoShutdown.ANY_SIGNIFICANT:
                pass
            case AutoShutdown.ALL_SIGNIFICANT:
                others = [one for one in group.nodes if one.significant and one.state not in ENDED]
                if others:
                    # Who has yet to start for the first time may never have been added.
                    group.outlived = ended if all(one.is_new for one in others) else None
                    return
            case _:
                assert_never(group.auto_shutdown)
        text = group.why_shut_down(ended)
        self._fall(group, ended, ExitReason(ExitKind.STOPPED, text=text))

    def _never_added(self, child: Leaf) -> None:
        """End the tree if only this child's first start has kept it from ending."""
        group = child.group
        assert group is not None
        stays = group.state is State.RUNNING and not group.is_recalled
        if stays and group.outlived is not None:
            self._auto_shutdown(group, group.outlived)

    def _fall(self, group: Group, offender: Leaf | Group, reason: ExitReason) -> None:
        """End a tree from within: it stops its children, then its own end is decided upon."""
        self._report(group, Context.SHUTDOWN, offender, reason)
        if group is self.root:
            self.out.append(GiveUp(reason.text))
        group.fall = reason
        self.stop(group)

    def _root_down(self) -> None:
        root = self.root
        if root.wish is Wish.START_AGAIN:
            root.wish = Wish.RUN
            self.start(root)
        else:
            self.complete()

    # ----------------------------------------------------------------------- small steps

    def _stop_leaf(self, child: Leaf) -> None:
        grace = child.spec.grace
        if not grace:
            self.kill(child)
            return
        self.out.append(StopChild(child.label, child.incarnation, grace))
        if grace < math.inf:
            self.set_timer(child, self.now + grace)

    def _forget(self, child: Leaf) -> None:
        group = child.group
        assert group is not None
        group.nodes.remove(child)
        del self.nodes[child.label]
        self._incarnations.release(child.label)

    def _enter(self, node: Leaf | Group, state: State) -> None:
        node.enter(state, self.now)
        self._moved = True

    def _report_end(self, group: Group, node: Leaf | Group, reason: ExitReason) -> None:
        """Report what ended by itself, unless that is its normal way; and what did not stop."""
        match node.state:
            case State.STARTING:
                self._report(group, Context.START_ERROR, node, reason)
            case State.STOPPING if isinstance(node, Leaf):
                if node.spec.grace and not reason.is_normal:
                    self._report(group, Context.SHUTDOWN_ERROR, node, reason)
            case State.STOPPING if isinstance(node, Group) and node.fall is None:
                pass  # it was asked to
            case _:
                if node.restart is Restart.PERMANENT or not reason.is_normal:
                    self._report(group, Context.CHILD_TERMINATED, node, reason)

    def _report(
        self, group: Group, context: Context, offender: Leaf | Group, reason: ExitReason
    ) -> None:
        incarnation = offender.incarnation if isinstance(offender, Leaf) else 0
        self.out.append(Report(group.path, context, reason, offender.label, incarnation))
