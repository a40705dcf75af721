"""What the supervisor process runs: the one place where its parts are built and joined.

boot ─► runtime directory ─► zygote ─► broker ─► own connection ─► children ─► ready
     ─► until shut down, given up, or the starting program is gone
     ─► children down ─► broker told why ─► directory removed
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Final, final

import msgspec
import psutil

from actors.arrays import locks
from actors.arrays.accounts import Accounts
from actors.arrays.segment import host_key
from actors.attachments import ACCOUNTS_FILE, Memory
from actors.connection import Connection
from actors.context import Context
from actors.control import SUPERVISOR, Word
from actors.errors import ActorError
from actors.failure import trace_of
from actors.log import set_levels
from actors.peer import Peer
from actors.portal import Portal
from actors.pump import LoopPump
from actors.recorder import UnreadRecorder
from actors.runtime import Runtime
from supervisor import rundir
from supervisor.boot import (
    Deframer,
    SupervisorBoot,
    SupervisorEnded,
    SupervisorFailed,
    SupervisorReady,
    frame,
)
from supervisor.ceilings import take_descriptors
from supervisor.desk import Desk
from supervisor.exchange import Exchange
from supervisor.infrastructure import Infrastructure
from supervisor.launcher import (
    CannotPreloadError,
    ForkLauncher,
    Launcher,
    SpawnLauncher,
    Theirs,
    ThreadLauncher,
)
from supervisor.launcher.kernel import open_pidfd
from supervisor.lives import doorway
from supervisor.output import standard_streams
from supervisor.plan import Launch, tree_of
from supervisor.roles import admit
from supervisor.states import StateFile, States
from supervisor.supervisor import Supervisor
from supervisor.watchdog import Watchdog
from supervisor.wings import Wings

LINGER: Final = 0.2

LEAST_SHARED: Final = 1 << 30
"""Bytes that the processes of a system may share together at least, on a small machine."""

LAST_LINES: Final = 0.4
"""Seconds each stream has to take what is still to be printed."""


def main(descriptor: int) -> None:
    """Be a supervisor process; its lifeline is an inherited descriptor."""
    lifeline = socket.socket(fileno=descriptor)
    lifeline.set_inheritable(False)
    code = serve(lifeline)
    for printer in standard_streams():
        printer.finish(LAST_LINES)
    os._exit(code)


def serve(lifeline: socket.socket) -> int:
    """Run one system until it is over; return the exit code."""
    boot = _await_boot(lifeline)
    if boot is None:
        return 1
    with lifeline:
        try:
            # First of all, so that a name that is taken costs nothing and disturbs nobody.
            directory = rundir.create(boot.name)
        except (OSError, ValueError, ActorError) as error:
            lifeline.sendall(_failed(error))
            return 1
        if boot.launcher != "thread":
            take_descriptors()  # before the zygote is forked: those it forks may have as many
        with directory, asyncio.Runner() as runner:
            launcher = _launcher(boot)
            if isinstance(launcher, ForkLauncher):
                # Before there is any thread: a fork would copy locks that nobody can release.
                launcher.fork_zygote()
            if boot.launcher != "thread":
                _configure_logging()
                set_levels(boot.levels)
            return runner.run(SupervisorProcess(boot, launcher, lifeline, directory).live())


def _launcher(boot: SupervisorBoot) -> Launcher:
    if boot.launcher == "fork":
        argv = [os.fsdecode(text) for text in boot.argv]
        return ForkLauncher(theirs=Theirs(modules=boot.preload, argv=argv))
    return SpawnLauncher() if boot.launcher == "spawn" else ThreadLauncher()


def _failed(error: Exception) -> bytes:
    text, kind = str(error), type(error).__name__
    if isinstance(error, CannotPreloadError):
        return frame(SupervisorFailed(text, kind, error.remote_traceback, error.module))
    return frame(SupervisorFailed(text, kind, trace_of(error)))


def _await_boot(lifeline: socket.socket) -> SupervisorBoot | None:
    deframer = Deframer()
    lifeline.setblocking(True)
    while data := lifeline.recv(1 << 20):
        for word in deframer.feed(data):
            if isinstance(word, SupervisorBoot):
                return word
    return None


class _Formatter(logging.Formatter):
    """Puts the actor's name and incarnation into every line."""

    def format(self, record: logging.LogRecord) -> str:
        name = getattr(record, "actor", "supervisor")
        incarnation = getattr(record, "incarnation", 0)
        who = f"{name}/{incarnation}" if incarnation else name
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = super().format(record)
        return f"{clock} {record.levelname:7} {who}: {text}"


def _configure_logging() -> None:
    handler = logging.StreamHandler(standard_streams()[1])
    handler.setFormatter(_Formatter("%(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


@final
class SupervisorProcess:
    """The parts of one supervisor process, joined."""

    def __init__(
        self,
        boot: SupervisorBoot,
        launcher: Launcher,
        lifeline: socket.socket,
        directory: rundir.RunDir,
    ) -> None:
        self._boot = msgspec.structs.replace(boot, directory=str(directory.path))
        self._launcher = launcher
        self._lifeline = lifeline
        self._directory = directory
        self._supervisor: Supervisor | None = None
        self._running: asyncio.Task[int] | None = None
        self._states = States()
        self._accounts: Accounts | None = None
        self._orphaned = self._told = False
        self._parent_pidfd = -1

    async def live(self) -> int:
        """Run to the end; return the exit code."""
        self._running = asyncio.current_task()
        try:
            reason = await self._run()
        except asyncio.CancelledError:
            return 1  # nobody waits for it any more
        except Exception as error:  # noqa: BLE001 - whatever it is, the starting program must hear it
            self._say(_failed(error))
            return 1
        finally:
            self._running = None  # this much is done to its end, whoever may be gone by now
            await asyncio.to_thread(self._states.close)
            await self._launcher.close()
            if self._accounts is not None:
                self._accounts.close()
            self._directory.close()
        self._say(frame(SupervisorEnded(reason)))
        return 0

    async def _run(self) -> str:
        directory, routing_id = self._directory, os.urandom(16)
        self._watch_parent()  # first: what is preloaded may take its time
        await self._start_launcher()
        # Opened after the zygote was forked, which would hold its lock.
        if self._boot.state_dir:
            self._states = States(StateFile(Path(self._boot.state_dir)))
        infrastructure = Infrastructure(self._boot, self._launcher, routing_id)
        await infrastructure.start_broker([self._local_endpoint(directory), *self._boot.listen])
        local, *listening = infrastructure.endpoints
        supervisor = self._supervisor = self._cast(infrastructure)
        memory = Memory()
        pump = self._open_desk(supervisor, memory, self._connect(local, routing_id))
        version = self._boot.version
        directory.write_system(endpoint=local, version=version, started=time.time())
        watchdog = self._watch(supervisor, infrastructure)
        reason = ""
        try:
            supervisor.begin()  # if it fails, `start` raises why
            self._say(frame(SupervisorReady(local, str(directory.path), listening, os.getpid())))
            infrastructure.start_monitor(supervisor.exchange)
            rundir.clean_stale()
            reason = await supervisor.done
            # Answers to whoever asked for the end leave before the broker does.
            for _ in range(3):
                pump.flush()
                await asyncio.sleep(0.01)
        finally:
            supervisor.desk.letter_log.close()
            watchdog.close()
            await infrastructure.close("" if self._orphaned else reason)
            pump.close(LINGER)
            memory.close()
        return reason

    def _watch(self, supervisor: Supervisor, infrastructure: Infrastructure) -> Watchdog:
        watchdog = Watchdog(lambda: [*supervisor.overview.watched(), *infrastructure.watched()])
        # A replayed schedule decides by itself who stands still, and for how long.
        if self._boot.launcher != "thread" and not self._boot.faults:
            watchdog.start()
        return watchdog

    async def _start_launcher(self) -> None:
        launcher = self._launcher
        if not isinstance(launcher, ThreadLauncher):
            launcher.guard(self._directory.path)  # first: what is preloaded may take its time
        if isinstance(launcher, ForkLauncher):
            await launcher.start(threads_exist=False)
        else:
            await launcher.start()

    def _cast(self, infrastructure: Infrastructure) -> Supervisor:
        launches: dict[str, Launch] = {}
        supervisor = Supervisor(self._boot, tree_of(self._boot.tree, launches), launches)
        supervisor.launcher = self._launcher
        if not isinstance(self._launcher, ThreadLauncher):  # a thread has nothing to have ready
            supervisor.wings = Wings(self._boot, self._launcher, launches)
            supervisor.overview.spare_of = supervisor.wings.pid
            supervisor.done.add_done_callback(lambda _: supervisor.wings.close())
        supervisor.states = self._states
        supervisor.endpoint, *supervisor.listening = infrastructure.endpoints
        supervisor.broker = lambda: (infrastructure.broker_pid, infrastructure.broker_restarts)
        if locks.HAS_LOCKS:
            half = max(LEAST_SHARED, psutil.virtual_memory().total // 2)
            path, limit = self._directory.path / ACCOUNTS_FILE, self._boot.shared_memory or half
            self._accounts = supervisor.overview.accounts = Accounts.create(path, limit)
        return supervisor

    def _connect(self, broker: str, routing_id: bytes) -> Connection:
        direct = "" if self._boot.relay else doorway(broker)
        return Connection(broker, routing_id, direct=direct)

    def _open_desk(
        self, supervisor: Supervisor, memory: Memory, connection: Connection
    ) -> LoopPump:
        """Make "@supervisor" an actor like any other, which speaks for the supervisor."""
        peer = Peer(SUPERVISOR, 1, host=host_key())
        portal = Portal(peer, memory, ask_timeout=self._boot.ask_timeout)
        recorder, owner = UnreadRecorder(UnreadRecorder.blank()), _Owner()
        desk = supervisor.desk = Desk().open(supervisor, portal)
        runtime = Runtime(desk, portal, recorder=recorder, owner=owner, own_errors=True)
        pump = LoopPump(portal, connection, handle=runtime.turn, alive=recorder.alive)
        runtime.pump = pump
        runtime.dispatch.admit = lambda sender, request: admit(peer.asides.roles, sender, request)
        supervisor.exchange = Exchange(peer, pump.again)
        desk.context = Context(portal, owner)
        runtime.open = True
        return pump

    def _local_endpoint(self, directory: rundir.RunDir) -> str:
        if self._boot.launcher == "thread":
            return f"inproc://understudy-{self._boot.name}"
        return f"ipc://{directory.ipc_path('broker')}"

    # --- whoever started us ----------------------------------------------------------------------

    def _watch_parent(self) -> None:
        loop = asyncio.get_running_loop()
        self._lifeline.setblocking(False)
        loop.add_reader(self._lifeline.fileno(), self._parent_speaks)
        if self._boot.launcher == "thread":
            return
        # A child of the starting program may hold the lifeline's other end open, so its process
        # is watched too.
        pidfd = open_pidfd(self._boot.parent)
        if pidfd >= 0:
            self._parent_pidfd = pidfd
            loop.add_reader(pidfd, self._parent_gone)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_end)

    def _parent_speaks(self) -> None:
        try:
            data = self._lifeline.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._lifeline.fileno())
            self._parent_gone()

    def _parent_gone(self) -> None:
        if self._orphaned:
            return
        self._orphaned = True
        if self._parent_pidfd >= 0:  # it would go on saying so
            asyncio.get_running_loop().remove_reader(self._parent_pidfd)
        if self._supervisor is None:
            self._give_up()
        else:
            self._supervisor.shut_down_at_once("the program that started the system is gone")

    def _give_up(self) -> None:
        """It is to end before it has begun."""
        if self._running is not None:
            self._running.cancel()

    def _asked_to_end(self) -> None:
        """SIGTERM: in good order; a second one: at once."""
        if self._supervisor is None:
            self._give_up()
        elif self._told:
            self._supervisor.shut_down_at_once("it was told to end, twice")
        elif not self._supervisor.ending:  # else whoever has begun that lets the actors finish
            self._supervisor.begin_shut_down()
        self._told = True

    def _say(self, data: bytes) -> None:
        self._lifeline.setblocking(True)
        try:
            self._lifeline.sendall(data)
        except OSError:
            return
        finally:
            self._lifeline.setblocking(False)


@final
class _Owner:
    """The desk lives as long as the supervisor: it never ends by itself."""

    def say(self, word: Word) -> None:
        """Nobody is above the supervisor."""

    def end(self, code: int, reason: str) -> None:
        """A request that raised is answered with its error; the desk goes on."""

    def tell_self(self, msg: object) -> None:
        """The desk uses no timers."""

    def save(self, state: object) -> None:
        """The desk has no state to save."""

    def progress(self) -> None:
        """The desk is never judged."""
