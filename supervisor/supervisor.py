"""The supervisor's doer: performs what the tree decides, and feeds back what happened.

    TreeDecider ── StartChild, StopChild, KillChild, SetTimer ──► processes, timers
                ◄── Started, StartFailed, Exited, TimerFired ───
    Exchange    ── which lives begin and end ──► broker ──► everybody concerned

It never decodes a user's message and never imports a user's module.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from actors.control import (
    ClassName,
    Declare,
    Ending,
    Failed,
    Kept,
    Logged,
    Saved,
    Standing,
    Started,
    Stop,
    Stopped,
    Word,
)
from actors.errors import SpawnError
from supervisor import lifecycle as life
from supervisor.birth import first_word, order_for
from supervisor.lives import ChildLife, doorway
from supervisor.narrator import Narrator
from supervisor.output import log_for
from supervisor.overview import Overview, notice_of, obituary, reason_of, unstarted
from supervisor.plan import Launch, spec_of
from supervisor.spec import Child, Tree
from supervisor.states import States
from supervisor.status import SystemStatus
from supervisor.tree import TreeDecider
from supervisor.waiters import Waiters
from supervisor.wings import Wings

if TYPE_CHECKING:
    from actors.requests import SpawnActor
    from supervisor.boot import SupervisorBoot
    from supervisor.desk import Desk
    from supervisor.exchange import Exchange
    from supervisor.launcher import Launcher


LAST_SECONDS: Final = 5.0
"""Seconds that children have to die in when the supervisor itself has failed."""


@final
class Supervisor:
    """Every child of one system."""

    def __init__(self, boot: SupervisorBoot, tree: Tree, launches: dict[str, Launch]) -> None:
        self.boot = boot
        self.child_life: Callable[..., ChildLife] = ChildLife
        """Makes what holds one life of a child; the simulation's is no process."""
        self.launcher: Launcher
        self.exchange: Exchange
        self.desk: Desk
        self.wings = Wings(boot, None, launches)
        self.endpoint = ""
        self.listening: list[str] = []
        self.broker: Callable[[], tuple[int | None, int]] = lambda: (None, 0)
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the system is over."""
        self._began = time.monotonic()
        self._tree = TreeDecider(tree, random.Random(os.urandom(16)))
        self._launches = launches
        self._lives: dict[str, ChildLife] = {}
        self.states = States()
        self.overview = Overview(self._lives, self._tree)
        self._waiters = Waiters()
        self._narrator = Narrator(self._tree, self._waiters.for_start)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = self._doomed = False
        self._reason = ""
        self._unhandled = 0

    # --- events ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the declared children."""
        for status in self._tree.status():
            self._declare(status.name, Standing.DOWN, 0)
            self._declare_pool(status.name)
        self._handle(life.StartupAsked())

    def _handle(self, event: life.Event, decided: Callable[[], None] = lambda: None) -> None:
        """Give the tree an event, say what it `decided`, and perform what it commands."""
        try:
            commands = self._tree.handle(event, time.monotonic())
            decided()
            for command in commands:
                self._perform(command)
        except life.Refused:
            raise  # nothing has changed
        except Exception as error:
            self._fail(error)
            raise

    def _perform(self, command: life.Command) -> None:  # noqa: C901 - one clause per command
        match command:
            case life.StartChild():
                self._start(command)
            case life.StopChild():
                self._stop(command)
            case life.KillChild():
                self._kill(command)
            case life.SetTimer():
                loop, delay = asyncio.get_running_loop(), command.at - time.monotonic()
                loop.call_later(max(0.0, delay), self._handle, life.TimerFired(command.token))
            case life.ChildStopped():
                self._gone(command.name, command.reason)
            case life.ChildGone():
                self._child_gone(command)
            case life.Report():
                self._narrator.report(command)
            case life.GiveUp():
                self._reason = command.reason
                self._narrator.gives_up(command.reason)
            case life.ShutDownComplete():
                self._over(life.SHUT_DOWN)

    # --- starting --------------------------------------------------------------------------------

    def _start(self, command: life.StartChild) -> None:
        try:
            child = self.child_life(command.name, command.incarnation, on_word=self._hear)
        except OSError as error:
            reason = unstarted("no page for it", error)
            failed = life.StartFailed(command.name, command.incarnation, reason)
            asyncio.get_running_loop().call_soon(self._handle, failed)
            return
        self._lives[command.name] = child
        self._declare(command.name, Standing.DOWN, command.incarnation, child.routing_id)
        self._declare_pool(command.name)
        self._run(self._live(child, command.spec))

    async def _live(self, child: ChildLife, spec: Child) -> None:
        """Launch one life and see it to its end."""
        launch, saved = self._launches[child.name], self.states.get(child.name)
        child.direct = "" if self.boot.relay else doorway(self.endpoint)
        boot = first_word(child, self.boot, spec, launch, saved, self.endpoint)
        await self.wings.lend(child)
        try:
            await child.launch(self.launcher, order_for(child, self.boot, spec), boot)
        except (OSError, ImportError) as error:
            child.abandon()
            self._ended(child, unstarted("it could not be launched", error))
            return
        await child.ended
        self._ended(child, reason_of(child))

    def _hear(self, child: ChildLife, word: Word) -> None:
        """A child says something on its lifeline."""
        match word:
            case Started():
                child.up = True
                self._declare(child.name, Standing.UP, child.incarnation, child.routing_id)
                if (status := self._tree.child(child.name)) is not None:
                    self._handle(life.Started(child.name, child.incarnation))
                    self.wings.started(status.spec)
                self._waiters.started(child)
            case Logged():
                log_for(child.name, child.incarnation, word)
            case Saved():
                self.states.keep(child.name, word, partial(child.say, Kept(word.number)))
            case Stopped():
                child.expected = True
                if self.ending:  # at a restart the next life takes them
                    self._unhandled += word.unhandled
            case Failed() | Ending() if (status := self._tree.child(child.name)) is not None:
                # It ends by itself now; its `on_stop` has no more time than at a stop.
                asyncio.get_running_loop().call_later(status.spec.grace, child.kill)
            case _:
                return

    # --- ending ----------------------------------------------------------------------------------

    def _stop(self, command: life.StopChild) -> None:
        child = self._lives.get(command.name)
        if child is not None and child.incarnation == command.incarnation:
            child.expected = True
            reason = "the system is shut down" if self._tree.is_ending else "it was asked to stop"
            child.say(Stop(reason, self._draining))

    def _kill(self, command: life.KillChild) -> None:
        child = self._lives.get(command.name)
        if child is not None and child.incarnation == command.incarnation:
            self._narrator.killing(child)
            child.killed = True
            child.kill()

    def _ended(self, child: ChildLife, reason: life.ExitReason) -> None:
        """A life is over: tell the senders, the tree and the watchers, in this order."""
        child.listen_to_the_end()
        text = obituary(child, reason)
        report = self.overview.note_end(child, reason, text)
        record = child.record()
        self.exchange.ended(child.name, child.incarnation, text, record)
        if self._lives.get(child.name) is child:
            del self._lives[child.name]
        counted = child.begun and not child.killed
        child.close()
        failure = child.failure
        self._waiters.note(child.name, failure)
        if failure is not None and failure.final and self.knows(child.name):
            # The actor's own policy: it shall stay down.
            self._handle(life.StopAsked(child.name))
        over = life.Exited if child.up else life.StartFailed
        self._handle(
            over(child.name, child.incarnation, reason, counted),
            partial(self._narrator.ended, child, reason, record, report),
        )
        restarting = self._tree.is_coming(child.name)
        if child.name not in self._lives and restarting:  # it is in back-off
            self._declare(child.name, Standing.DOWN, child.incarnation)
        self.desk.terminated(notice_of(child, reason, text, restarting=restarting))
        if not restarting:
            self._waiters.down(child.name, reason)
        elif counted:
            self._waiters.failed(child, reason)

    def _child_gone(self, command: life.ChildGone) -> None:
        name = command.name
        failed = command.why is life.Gone.FIRST_START_FAILED
        self._gone(name, command.reason, Standing.FAILED if failed else Standing.GONE)
        self._launches.pop(name, None)
        if not failed and not self.ending:
            self.states.forget(name)
        self.overview.forget(name)
        self.desk.forget(name)

    def _gone(self, name: str, reason: life.ExitReason, standing: Standing = Standing.GONE) -> None:
        why = f"the system is ending: {self._reason}" if self._reason else str(reason)
        self.exchange.declare(Declare(name, standing, 0, reason=why))
        self._declare_pool(name)
        self.wings.dismiss(name)
        self._waiters.down(name, reason)
        self.desk.silence(name)

    # --- what the desk asks ----------------------------------------------------------------------

    async def spawn(self, msg: SpawnActor, spawner: str | None = None) -> int:
        """Add a child to the tree of its spawner and start it; returns its incarnation."""
        name = msg.name
        actor = ClassName(msg.module, msg.qualname, msg.script, msg.definition)
        mine = Launch(actor, msg.fields)
        launch = self._launches.setdefault(name, mine)
        try:
            self._handle(life.Spawn(spec_of(msg), beside=spawner))
        except (life.Refused, ValueError, TypeError) as error:
            if launch is mine:
                del self._launches[name]
            raise SpawnError(actor=name, reason=str(error)) from None
        try:
            return await self._waiters.start(name) if msg.wait else 0
        except asyncio.CancelledError:
            if self.knows(name):  # its spawner has given up: no child is added
                self._handle(life.StopAsked(name))
            raise

    async def stop_child(self, name: str) -> None:
        """Stop a child, a pool or a tree for good; returns when it is down.

        It is down once the lives of this moment are over, also when a `restart` that was asked for
        after it has brought up the next ones meanwhile.
        """
        names = self.overview.must_know(name)
        self._handle(life.StopAsked(name))
        await asyncio.gather(*(self._waiters.end(one) for one in names if one in self._lives))

    async def restart_child(self, name: str) -> int:
        """Restart a child, a pool or a tree; returns the (highest) new incarnation."""
        self.overview.must_know(name)
        try:
            self._handle(life.RestartAsked(name))
        except life.Refused as error:
            raise SpawnError(actor=name, reason=str(error)) from None
        coming = map(self._tree.child, self._tree.returning(name))
        return await self._waiters.restart({one.name: one.spec.grace for one in coming if one})

    async def kill_child(self, name: str) -> int | None:
        """SIGKILL to a child, or to every one of a pool or a tree.

        Returns the (highest) incarnation once all are reaped, None when none was alive.
        """
        children = [self._lives[one] for one in self.overview.must_know(name) if one in self._lives]
        for child in children:
            child.killed = True
            child.kill()
        if children:
            await asyncio.wait([child.ended for child in children])
        return max((child.incarnation for child in children), default=None)

    async def shut_down(self, *, drain: bool) -> int:
        """End every child in reverse order; returns how many messages stayed unhandled."""
        self.begin_shut_down(drain=drain)
        await asyncio.shield(self.done)
        return self._unhandled

    @property
    def ending(self) -> bool:
        """Whether the system is going down."""
        return self._tree.is_ending

    @property
    def settled(self) -> bool:
        """Whether every child is running, or down for good."""
        return self._tree.is_up

    def begin_shut_down(self, *, drain: bool = True) -> None:
        """End every child in reverse order, after what they have (`drain`) or at once."""
        self._draining = drain
        if not self.done.done():
            self._handle(life.ShutdownAsked())

    def shut_down_at_once(self, reason: str) -> None:
        """Kill every child."""
        self._reason = self._reason or reason
        for child in self._lives.values():
            child.killed = True
        self._handle(life.ShutdownAsked(life.Urgency.AT_ONCE))

    def knows(self, name: str) -> bool:
        """Whether a child has this name."""
        return self._tree.child(name) is not None

    def means(self, name: str) -> bool:
        """Whether a child, a pool or a tree has this name."""
        return bool(self._tree.members(name))

    # --- how things stand ------------------------------------------------------------------------

    def status(self, dead_letters: int) -> SystemStatus:
        """Say how everything stands."""
        actors, shared = self.overview.look(self._tree.status())
        return SystemStatus(
            name=self.boot.name,
            pid=os.getpid(),
            uptime=time.monotonic() - self._began,
            endpoint=self.endpoint,
            listening=self.listening,
            broker_pid=self.broker()[0],
            broker_restarts=self.broker()[1],
            actors=actors,
            failures=list(self.overview.failures),
            dead_letters=dead_letters,
            crashes=list(self.overview.crashes),
            relay=self.boot.relay,
            shared=shared,
        )

    def _declare(self, name: str, standing: Standing, incarnation: int, party: bytes = b"") -> None:
        terms = self.overview.terms(self._tree.child(name))
        self.exchange.declare(Declare(name, standing, incarnation, party, *terms))

    def _declare_pool(self, member: str) -> None:
        """Say who serves the pool of a child, if it is in one."""
        pool = self._tree.pool_of(member)
        if pool is not None:
            self.exchange.serve(*pool)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.get_running_loop().create_task(work))
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """The supervisor's own code raised: nothing is certain any more, so everything ends."""
        if self._doomed:
            return
        self._doomed = True
        self._narrator.failed(error)
        reason = f"the supervisor itself failed: {error}"
        # The tree may wait for what was decided and never done: the launcher kills who is left.
        asyncio.get_running_loop().call_later(LAST_SECONDS, self._over, reason)
        self.shut_down_at_once(reason)

    def _over(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_result(self._reason or reason)
