"""The supervisor's doer: performs what the tree decides, and feeds back what happened.

    TreeDecider ── StartChild, StopChild, KillChild, SetTimer ──► processes, timers
                ◄── Started, StartFailed, Exited, TimerFired ───
    Exchange    ── which lives begin and end ──► broker ──► everybody concerned

It never decodes a user's message and never imports a user's module.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, final

from actors.blackbox import Record
from actors.control import Boot, ClassName, Declare, Failed, Logged, Saved, Standing, Started, Stop, Stopped, Word
from actors.errors import NoSuchActor, SpawnError
from actors.log import logger
from actors.notices import Terminated
from actors.roster import Member, Roster, Vital, Vitals
from supervisor import lifecycle as life
from supervisor.launcher import Exit, Order
from supervisor.limits import Limits
from supervisor.lives import ChildLife
from supervisor.plan import Launch
from supervisor.spec import Child, Restart, Tree
from supervisor.status import ActorStatus, SystemStatus
from supervisor.tree import TreeDecider

if TYPE_CHECKING:
    from actors.requests import SpawnActor
    from supervisor.boot import SupervisorBoot
    from supervisor.desk import Desk
    from supervisor.exchange import Exchange
    from supervisor.launcher import Launcher

FAILURES: Final = 20
"""Unwanted ends kept for the status."""


@final
class Supervisor:
    """Every child of one system."""

    def __init__(self, boot: SupervisorBoot, tree: Tree, launches: dict[str, Launch]) -> None:
        self.boot = boot
        self.launcher: Launcher
        self.exchange: Exchange
        self.desk: Desk
        self.endpoint = ""
        self.listening: list[str] = []
        self.broker: Callable[[], tuple[int | None, int]] = lambda: (None, 0)
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the system is over."""
        self._began = time.monotonic()
        self._tree = TreeDecider(tree, random.Random(os.urandom(16)))
        self._launches = launches
        self._lives: dict[str, ChildLife] = {}
        self._snapshots: dict[str, Saved] = {}
        self._last_exit: dict[str, str] = {}
        self._failed: dict[str, Failed] = {}
        self._starts: dict[str, asyncio.Future[int]] = {}
        self._stops: dict[str, list[asyncio.Future[None]]] = {}
        self._vitals: dict[tuple[str, int], Vital] = {}
        self._failures: deque[str] = deque(maxlen=FAILURES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._reason = ""
        self._unhandled = 0

    # --- events ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the declared children."""
        for status in self._tree.status():
            self._declare(status.name, Standing.DOWN, 0)
        self._handle(life.StartupAsked())

    def _handle(self, event: life.Event) -> None:
        """Give the tree an event and perform what it commands."""
        commands = self._tree.handle(event, time.monotonic())
        for command in commands:
            self._perform(command)

    def _perform(self, command: life.Command) -> None:
        match command:
            case life.StartChild():
                self._start(command)
            case life.StopChild():
                self._stop(command)
            case life.KillChild():
                self._kill(command)
            case life.SetTimer():
                delay = max(0.0, command.at - time.monotonic())
                fired = life.TimerFired(command.token)
                asyncio.get_running_loop().call_later(delay, self._handle, fired)
            case life.ChildStopped():
                self._gone(command.name, str(command.reason))
            case life.ChildGone():
                self._child_gone(command)
            case life.Report():
                self._report(command)
            case life.GiveUp():
                self._reason = command.reason
                logger.error("the system ends: %s", command.reason)
            case life.ShutDownComplete():
                if not self.done.done():
                    self.done.set_result(self._reason or "it was shut down")

    # --- starting --------------------------------------------------------------------------------

    def _start(self, command: life.StartChild) -> None:
        child = ChildLife(command.name, command.incarnation, on_word=self._hear)
        self._lives[command.name] = child
        self._declare(command.name, Standing.DOWN, command.incarnation, child.routing_id)
        self._run(self._live(child, command.spec))

    async def _live(self, child: ChildLife, spec: Child) -> None:
        """Launch one life and see it to its end."""
        launch = self._launches[child.name]
        order = Order(
            name=child.label,
            entry="actor",
            incarnation=child.incarnation,
            env=self.boot.env,
            cwd=self.boot.cwd,
            sys_path=self.boot.sys_path,
            fds={"recorder": child.page_fd},
            threads=spec.threads,
        )
        try:
            await child.launch(self.launcher, order, self._boot(child, spec, launch))
        except (OSError, ImportError) as error:
            reason = life.ExitReason(life.ExitKind.START_FAILED, text=f"it could not be launched: {error}")
            self._ended(child, reason, None)
            return
        how = await child.ended
        self._ended(child, self._reason_of(child, how), child.record())

    def _boot(self, child: ChildLife, spec: Child, launch: Launch) -> Boot:
        saved = self._snapshots.get(child.name)
        return Boot(
            child.name,
            child.incarnation,
            child.routing_id,
            self.endpoint,
            launch.actor,
            dict(launch.fields),
            spec.limits.mailbox,
            self.boot.ask_timeout,
            saved.payload if saved else b"",
            saved.tag if saved else "",
        )

    def _hear(self, child: ChildLife, word: Word) -> None:
        """A child says something on its lifeline."""
        match word:
            case Started():
                child.up = True
                status = self._tree.child(child.name)
                self._declare(child.name, Standing.UP, child.incarnation, child.routing_id)
                if status is not None:
                    self._handle(life.Started(child.name, child.incarnation))
                self._resolve_start(child.name, child.incarnation)
            case Logged():
                self._log(child, word)
            case Saved():
                self._snapshots[child.name] = word
            case Stopped():
                child.expected = True
                self._unhandled += word.unhandled
            case _:
                return

    def _log(self, child: ChildLife, word: Logged) -> None:
        record = logging.LogRecord(word.logger, word.level, "", 0, word.text, None, None)
        record.created = word.created
        record.actor, record.incarnation = child.name, child.incarnation
        logging.getLogger(word.logger).handle(record)

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
            child.killed = True
            child.kill()

    def _reason_of(self, child: ChildLife, how: Exit) -> life.ExitReason:
        failure = child.failure
        if failure is not None and not child.killed:
            kind = life.ExitKind.START_FAILED if failure.starting else life.ExitKind.RAISED
            return life.ExitReason(kind, code=how.code, text=failure.text)
        if how.signal is not None:
            return life.ExitReason(life.ExitKind.SIGNALLED, signal=how.signal, text=str(how))
        if child.expected:
            return life.ExitReason(life.ExitKind.STOPPED)
        if how.code == 0:
            return life.ExitReason(life.ExitKind.NORMAL, code=0)
        return life.ExitReason(life.ExitKind.EXITED, code=how.code, text=str(how))

    def _ended(self, child: ChildLife, reason: life.ExitReason, record: Record | None) -> None:
        """A life is over: tell the senders, the tree and the watchers, in this order."""
        text = self._obituary(child, reason, record)
        self._last_exit[child.name] = text
        self.exchange.ended(child.name, child.incarnation, text, record)
        self._vitals.pop((child.name, child.incarnation), None)
        if self._lives.get(child.name) is child:
            del self._lives[child.name]
        was_up, final = child.up, child.failure is not None and child.failure.final
        if child.failure is not None:
            self._failed[child.name] = child.failure
        child.close()
        if not child.expected and not child.killed:
            self._failures.append(f"{child.label} {text}")
        if final:
            # The actor's own policy: it shall stay down.
            self._handle(life.StopAsked(child.name))
        counted = not child.killed
        if was_up:
            self._handle(life.Exited(child.name, child.incarnation, reason, counted))
        else:
            self._handle(life.StartFailed(child.name, child.incarnation, reason, counted))
        status = self._tree.child(child.name)
        restarting = status is not None and status.state in _COMING
        self.desk.terminated(
            Terminated(
                child.name,
                child.incarnation,
                text,
                reason.code,
                reason.signal,
                child.peak_memory,
                restarting,
            )
        )
        if not restarting:
            self._resolve_stop(child.name)

    def _obituary(self, child: ChildLife, reason: life.ExitReason, record: Record | None) -> str:
        text = str(reason)
        if record is not None and record.in_progress and reason.kind is not life.ExitKind.STOPPED:
            item = record.in_progress[0]
            seconds = max(0.0, time.monotonic() - item.since)
            text += f", after {seconds:.1f} s in {item.tag}"
        return text

    def _child_gone(self, command: life.ChildGone) -> None:
        name, reason = command.name, command.reason
        future = self._starts.pop(name, None)
        if future is not None and not future.done():
            future.set_exception(self._spawn_error(name, reason))
        self._launches.pop(name, None)
        self._snapshots.pop(name, None)
        self.desk.forget(name)
        self._gone(name, str(reason))

    def _gone(self, name: str, reason: str) -> None:
        self.exchange.declare(Declare(name, Standing.GONE, 0, reason=reason))
        self._resolve_stop(name)

    def _spawn_error(self, name: str, reason: life.ExitReason) -> SpawnError:
        failure = self._failed.pop(name, None)
        trace = failure.traceback if failure is not None else ""
        return SpawnError(actor=name, reason=reason.text or str(reason), remote_traceback=trace)

    # --- what the desk asks ----------------------------------------------------------------------

    async def spawn(self, msg: SpawnActor) -> int:
        """Add a child and start it; returns its incarnation."""
        limits = {k: v for k, v in (msg.limits or {}).items() if v is not None}
        try:
            spec = Child(
                object,
                name=msg.name,
                restart=Restart(msg.restart) if msg.restart else Restart.PERMANENT,
                limits=Limits(**limits),
            )
            known = self._launches.get(msg.name)
            actor = ClassName(msg.module, msg.qualname, msg.script, msg.definition)
            self._launches[msg.name] = Launch(actor, msg.fields)
            self._handle(life.Spawn(spec))
        except life.Refused as error:
            if known is not None:
                self._launches[msg.name] = known
            raise SpawnError(actor=msg.name, reason=str(error)) from None
        except (ValueError, TypeError) as error:
            raise SpawnError(actor=msg.name, reason=str(error)) from None
        if not msg.wait:
            return 0
        future = self._starts[msg.name] = asyncio.get_running_loop().create_future()
        return await future

    async def stop_child(self, name: str) -> None:
        """Stop a child for good; returns when it is down."""
        self._must_know(name)
        future = asyncio.get_running_loop().create_future()
        self._stops.setdefault(name, []).append(future)
        self._handle(life.StopAsked(name))
        if name not in self._lives:
            self._resolve_stop(name)
        await future

    async def restart_child(self, name: str) -> int:
        """Stop a child in good order and start it again; returns the new incarnation."""
        self._must_know(name)
        future = self._starts[name] = asyncio.get_running_loop().create_future()
        self._handle(life.RestartAsked(name))
        return await future

    async def kill_child(self, name: str) -> int | None:
        """SIGKILL; returns the incarnation once it is reaped, None when none was alive."""
        self._must_know(name)
        child = self._lives.get(name)
        if child is None:
            return None
        child.killed = True
        child.kill()
        await asyncio.shield(child.ended)
        return child.incarnation

    async def shut_down(self, *, drain: bool) -> int:
        """End every child in reverse order; returns how many messages stayed unhandled."""
        self._draining = drain
        if not self.done.done():
            self._handle(life.ShutdownAsked())
        await asyncio.shield(self.done)
        return self._unhandled

    @property
    def ending(self) -> bool:
        """Whether the system is going down."""
        return self._tree.is_ending

    def begin_shut_down(self) -> None:
        """End every child in reverse order, after what they have."""
        self._run(self._shut_down_quietly())

    async def _shut_down_quietly(self) -> None:
        await self.shut_down(drain=True)

    def shut_down_at_once(self, reason: str) -> None:
        """Kill every child."""
        self._reason = self._reason or reason
        for child in self._lives.values():
            child.killed = True
        self._handle(life.ShutdownAsked(life.Urgency.AT_ONCE))

    def knows(self, name: str) -> bool:
        """Whether a child has this name."""
        return self._tree.child(name) is not None

    def _must_know(self, name: str) -> None:
        if not self.knows(name):
            raise NoSuchActor(target=name)

    # --- how things stand ------------------------------------------------------------------------

    def roster(self) -> Roster:
        """Say which processes live."""
        members = [
            Member(child.name, child.incarnation, child.pid, child.page_fd)
            for child in self._lives.values()
            if child.pid is not None
        ]
        broker, _ = self.broker()
        if broker is not None and broker > 0:
            members.append(Member("@broker", 0, broker, -1))
        return Roster(os.getpid(), members)

    def note_vitals(self, vitals: Vitals) -> None:
        """Keep what the monitor has measured."""
        for vital in vitals.vitals:
            self._vitals[vital.name, vital.incarnation] = vital
            child = self._lives.get(vital.name)
            if child is not None and child.incarnation == vital.incarnation:
                child.peak_memory = max(child.peak_memory or 0, vital.memory)

    def status(self, dead_letters: int) -> SystemStatus:
        """Say how everything stands."""
        pid, restarts = self.broker()
        return SystemStatus(
            name=self.boot.name,
            pid=os.getpid(),
            uptime=time.monotonic() - self._began,
            endpoint=self.endpoint,
            listening=self.listening,
            broker_pid=pid,
            broker_restarts=restarts,
            actors=[self._actor_status(child) for child in self._tree.status()],
            failures=list(self._failures),
            dead_letters=dead_letters,
        )

    def _actor_status(self, child: life.ChildStatus) -> ActorStatus:
        alive = self._lives.get(child.name)
        record = alive.record() if alive is not None else None
        vital = self._vitals.get((child.name, child.incarnation))
        now = time.monotonic()
        busy = record is not None and bool(record.in_progress) and child.state is life.State.RUNNING
        return ActorStatus(
            name=child.name,
            state="busy" if busy else child.state.value,
            pid=alive.pid if alive is not None else None,
            incarnation=child.incarnation,
            restarts=child.restarts,
            uptime=now - alive.began if alive is not None else 0.0,
            mailbox=record.mailbox if record else 0,
            handled=record.handled if record else 0,
            failed=record.failed if record else 0,
            current=record.in_progress[0].tag if record and record.in_progress else "",
            memory=vital.memory if vital else None,
            cpu=vital.cpu if vital else None,
            heartbeat=max(0.0, now - record.alive_at) if record and record.alive_at else None,
            restart=child.restart.value,
            last_exit=self._last_exit.get(child.name, ""),
            next_start=max(0.0, child.next_start - now) if child.next_start else None,
            metadata=dict(child.spec.metadata),
        )

    # --- inside ----------------------------------------------------------------------------------

    def _declare(self, name: str, standing: Standing, incarnation: int, party: bytes = b"") -> None:
        status = self._tree.child(name)
        mailbox = status.spec.limits.mailbox if status is not None else 0
        self.exchange.declare(Declare(name, standing, incarnation, party, mailbox))

    def _resolve_start(self, name: str, incarnation: int) -> None:
        future = self._starts.pop(name, None)
        if future is not None and not future.done():
            future.set_result(incarnation)

    def _resolve_stop(self, name: str) -> None:
        for future in self._stops.pop(name, []):
            if not future.done():
                future.set_result(None)

    def _report(self, report: life.Report) -> None:
        logger.warning("%s", report)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.critical("the supervisor itself failed", exc_info=error)
            self.shut_down_at_once(f"the supervisor itself failed: {error}")


_COMING: Final = frozenset(
    {life.State.WAITING, life.State.STARTING, life.State.RUNNING, life.State.BACKOFF}
)
