"""How things stand, put together from three sources: the tree, the flight recorders, the monitor.

tree              state, incarnation, restarts, next start
flight recorder   mailbox, handled, failed, current message, heartbeat
monitor           memory and processor time, once a second
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from actors.address import CLIENT_PREFIX
from actors.arrays.census import Census
from actors.arrays.sharing import NOTHING, Sharing
from actors.errors import NoSuchActor
from actors.hints import no_such_actor, similar
from actors.message import class_name
from actors.notices import Terminated
from actors.roster import Member, Roster, Vital, Vitals
from supervisor import lifecycle as life
from supervisor.ceilings import explained
from supervisor.chronicle import in_the_middle_of
from supervisor.lives import ChildLife, KilledEarlyError
from supervisor.status import ActorStatus, CrashReport, SharedMemory, SharedPool

if TYPE_CHECKING:
    from actors.arrays.accounts import Accounts
    from supervisor.limits import Limits
    from supervisor.tree import TreeDecider

FAILURES: Final = 20
"""Unwanted ends kept for the status."""

LONGEST_LINE: Final = 200
"""Characters of a line in a crash report."""

_HERE: Final = Path(__file__).parent.parent

_OUR_FRAMES: Final = tuple(
    f'File "{_HERE / where}"' for where in ("actors/runtime.py", "actors/process.py")
)
"""Below these, every stack of an actor is the same."""

STACK_LINES: Final = 40
"""Lines of a stack in a crash report."""


@final
class Overview:
    """What is known of every child besides the tree's own view."""

    def __init__(self, lives: Mapping[str, ChildLife], tree: TreeDecider) -> None:
        self.last_exit: dict[str, str] = {}
        """Why the former incarnation of a name ended."""
        self.spare_of: Callable[[str], int | None] = lambda _name: None
        """Process id of what stands ready for a name's next life."""
        self._lives = lives
        self._tree = tree
        self.accounts: Accounts | None = None
        """What every process has set aside of shared memory; None where that is not kept."""
        self._vitals: dict[tuple[str, int], Vital] = {}
        self.failures: deque[str] = deque(maxlen=FAILURES)
        """The latest ends that nobody wanted, in a line each."""
        self.crashes: deque[CrashReport] = deque(maxlen=FAILURES)
        """The same in full."""

    def note_vitals(self, vitals: Vitals) -> None:
        """Keep what the monitor has measured."""
        for vital in vitals.vitals:
            child = self._lives.get(vital.name)
            if child is not None and child.incarnation == vital.incarnation:
                self._vitals[vital.name, vital.incarnation] = vital
                child.peak_memory = max(child.peak_memory or 0, vital.memory)

    def note_end(self, child: ChildLife, reason: life.ExitReason, text: str) -> CrashReport | None:
        """Keep how a life ended; return a report when nobody wanted that."""
        self.last_exit[child.name] = text
        self._vitals.pop((child.name, child.incarnation), None)
        if not child.expected and not child.killed:
            self.failures.append(f"{child.label} {text}")
            report = report_of(child, reason, text)
            self.crashes.append(report)
            return report
        return None

    def forget(self, name: str) -> None:
        """A child is gone for good."""
        self.last_exit.pop(name, None)

    def absence(self, name: str) -> NoSuchActor | None:
        """Return what to say to whoever names nobody; None when somebody has that name."""
        tree = self._tree
        return None if tree.members(name) else no_such_actor(name, "", similar(name, tree.names))

    def must_know(self, name: str) -> tuple[str, ...]:
        """Return the children a name stands for; raises `NoSuchActor`."""
        if missing := self.absence(name):
            raise missing
        return self._tree.members(name)

    def names_of(self, name: str) -> tuple[str, ...]:
        """Return a child's name, and that of the pool it is in."""
        pool = self._tree.pool_of(name)
        return (name,) if pool is None else (name, pool[0])

    def terms(self, child: life.ChildStatus | None) -> tuple[int, str]:
        """Return what senders hear of a child: how much its mailbox holds, and why it is down."""
        if child is None:
            return 0, ""
        return child.spec.limits.mailbox, self._why_down(child)

    def _why_down(self, child: life.ChildStatus) -> str:
        """Say since when a child is in back-off and why; "" for any other."""
        if child.state is not life.State.BACKOFF or child.next_start is None:
            return ""
        ago = time.time() - time.monotonic()  # what turns our clock into the one on the wall
        since, start = _clock(child.since + ago), _clock(child.next_start + ago)
        why = self.last_exit.get(child.name, "it did not start")
        return f"since {since}, next start at {start}; last time it ended because: {why}"

    def watched(self) -> Iterator[tuple[ChildLife, Limits]]:
        """Return every life of a child, with what it may use."""
        for child in list(self._lives.values()):
            if (status := self._tree.child(child.name)) is not None:
                yield child, status.spec.limits

    def roster(self, broker: int | None) -> Roster:
        """Say which processes live."""
        members = [
            Member(child.name, child.incarnation, child.pid, child.page_fd)
            for child in self._lives.values()
            if child.pid is not None
        ]
        if broker is not None and broker > 0:
            members.append(Member("@broker", 0, broker, -1))
        return Roster(os.getpid(), members)

    def look(
        self, children: Iterable[life.ChildStatus]
    ) -> tuple[list[ActorStatus], SharedPool | None]:
        """Say how actors stand, and what all processes share."""
        census = cache(Census)  # it is the same list for all, and needed when somebody shares
        actors = [self._actor(child, census) for child in children]
        return actors, None if self.accounts is None else _pool(self.accounts, census)

    def _actor(self, child: life.ChildStatus, census: Callable[[], Census]) -> ActorStatus:
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
            expired=record.expired if record else 0,
            current=class_name(record.in_progress[0].tag) if record and record.in_progress else "",
            memory=vital.memory if vital else None,
            cpu=vital.cpu if vital else None,
            heartbeat=max(0.0, now - record.alive_at) if record and record.alive_at else None,
            restart=child.restart.value,
            last_exit=self.last_exit.get(child.name, ""),
            next_start=max(0.0, child.next_start - now) if child.next_start else None,
            metadata=dict(child.spec.metadata),
            pool=child.pool or "",
            shared=_shared(record.sharing, alive.pid, census) if alive and record else None,
            spare=self.spare_of(child.name),
        )


def _shared(sharing: Sharing, pid: int | None, census: Callable[[], Census]) -> SharedMemory | None:
    if sharing == NOTHING:
        return None
    return SharedMemory(
        size=sharing.size,
        arrays=sharing.arrays,
        readers=census().readers_of(pid) if pid and sharing.arrays else 0,
        age=max(0.0, time.monotonic() - sharing.since) if sharing.since else 0.0,
        copied=sharing.copied,
        copied_bytes=sharing.copied_bytes,
        refused=sharing.refused,
    )


def _pool(accounts: Accounts, census: Callable[[], Census]) -> SharedPool:
    entries = accounts.living()
    programs = {
        entry.name: shared
        for entry in entries
        if entry.name.startswith(CLIENT_PREFIX)
        and (shared := _shared(entry.sharing, entry.pid, census)) is not None
    }
    return SharedPool(accounts.limit, sum(entry.taken for entry in entries), programs)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def unstarted(what: str, error: Exception) -> life.ExitReason:
    """Return why there is not even a process; what to raise, when the system allows no more."""
    if isinstance(error, KilledEarlyError):
        return life.ExitReason(life.ExitKind.SIGNALLED, signal=signal.SIGKILL, text=str(error))
    return life.ExitReason(life.ExitKind.START_FAILED, text=f"{what}: {explained(error)}")


def reason_of(child: ChildLife) -> life.ExitReason:
    """Return why a life ended: what it said itself, and what the operating system said."""
    how, failure = child.exit, child.failure
    if how is None:
        return life.ExitReason(life.ExitKind.START_FAILED, text="it could not be launched")
    if child.verdict is not None and how.signal == signal.SIGKILL and not child.killed:
        text = child.verdict.text
        return life.ExitReason(life.ExitKind.SIGNALLED, signal=how.signal, text=text)
    if failure is not None and not child.killed:
        kind = life.ExitKind.START_FAILED if failure.starting else life.ExitKind.RAISED
        return life.ExitReason(kind, code=how.code, text=failure.text)
    if how.signal is not None:
        text = f"{how} on its way out after {child.exiting}" if child.exiting else str(how)
        return life.ExitReason(life.ExitKind.SIGNALLED, signal=how.signal, text=text)
    if child.expected:
        return life.ExitReason(life.ExitKind.STOPPED)
    if how.code == 0:
        return life.ExitReason(life.ExitKind.NORMAL, code=0)
    return life.ExitReason(life.ExitKind.EXITED, code=how.code, text=str(how))


def obituary(child: ChildLife, reason: life.ExitReason) -> str:
    """Return how a life ended, in words, and in the middle of what."""
    text = str(reason)
    record = child.record()
    busy = in_the_middle_of(record)
    if busy and reason.kind is not life.ExitKind.STOPPED:
        seconds = max(0.0, time.monotonic() - record.in_progress[0].since)
        raised = reason.kind is life.ExitKind.RAISED  # how long that took says nothing
        text += f", in {busy}" if raised else f", after {seconds:.1f} s in {busy}"
    return text


def report_of(child: ChildLife, reason: life.ExitReason, text: str) -> CrashReport:
    """Return all that is known of an end that nobody wanted."""
    now = time.monotonic()
    record = child.record()
    item = record.in_progress[0] if record.in_progress else None
    how = child.exit
    return CrashReport(
        name=child.name,
        incarnation=child.incarnation,
        reason=text,
        at=time.time(),
        uptime=max(0.0, now - child.began),
        exit_code=how.code if how is not None else reason.code,
        signal=how.signal if how is not None else reason.signal,
        message=item.tag if item is not None else "",
        sender=item.sender if item is not None else "",
        seconds=max(0.0, now - item.since) if item is not None else None,
        peak_memory=child.peak_memory,
        last_lines=[line[:LONGEST_LINE] for line in child.last_lines],
        stack=_frames(child.stack()),
    )


def _frames(stack: str) -> str:
    """Leave out of a stack what helps nobody: our own frames below the user's, and what is long."""
    lines: list[str] = []
    ours = False
    for line in stack.splitlines():
        ours = bool(line) and (ours or any(mark in line for mark in _OUR_FRAMES))
        if line and not ours and not line.startswith("Extension modules"):
            lines.append(line)
    if len(lines) > STACK_LINES:
        lines[STACK_LINES:] = [f"... and {len(lines) - STACK_LINES} more lines"]
    return "\n".join(lines)


def notice_of(
    child: ChildLife, reason: life.ExitReason, text: str, *, restarting: bool
) -> Terminated:
    """Return what those who watch a child are told of the end of a life."""
    return Terminated(
        child.name,
        child.incarnation,
        text,
        reason.code,
        reason.signal,
        child.peak_memory,
        restarting,
    )
