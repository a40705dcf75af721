"""How a system stands, as plain data: what `System.status()` and `understudy status` show."""

from __future__ import annotations

import attrs

from actors.hints import no_such_status
from actors.message import Request, StreamRequest, message
from actors.notices import Terminated


@message(tag="understudy:SharedMemory")
class SharedMemory:
    """What the arrays of one actor, or of one program, take of the memory that it shares."""

    size: int
    """Bytes."""
    arrays: int
    """On their way, kept by it, or read by others; a ring with all its slots is one."""
    readers: int
    """How many of them are read in place by other processes, counted once for each reader: frames
    of a ring while they are copied."""
    age: float
    """Seconds since the oldest of them was made; 0.0 when there is none."""
    copied: int = 0
    """Arrays that it has copied into shared memory, since its start, when it sent them: all but
    those that were born there, or received, and are whole."""
    copied_bytes: int = 0
    refused: int = 0
    """Arrays, and rings or frames of rings, for which it could set nothing aside, since its start:
    sent arrays travelled as frames of their messages."""


@message(tag="understudy:SharedPool")
class SharedPool:
    """What all processes of a system share."""

    limit: int
    """Bytes that they may set aside together."""
    size: int
    """Bytes that they have set aside: in use, or kept for the next array."""
    programs: dict[str, SharedMemory]
    """What of it programs that have joined use, by their name; a second old."""


@message(tag="understudy:ActorStatus")
class ActorStatus:
    """One actor."""

    name: str
    state: str
    """waiting, starting, running, busy, stopping, backoff, stopped, failed."""
    pid: int | None
    incarnation: int
    restarts: int
    uptime: float
    """Seconds since this incarnation was launched; 0 when none lives."""
    mailbox: int
    """Messages waiting."""
    handled: int
    failed: int
    """Handlers of this incarnation that raised."""
    expired: int
    """Messages of this incarnation whose deadline had passed before they were begun."""
    current: str
    """Class of the message being handled, "" when idle."""
    memory: int | None
    """Bytes of resident memory, as the monitor saw it last; shared memory that it reads or writes
    counts in every process that does."""
    cpu: float | None
    """Cores, over the monitor's last period."""
    heartbeat: float | None
    """Seconds since its loop last turned."""
    restart: str
    last_exit: str
    """Why the former incarnation ended, "" when there was none."""
    next_start: float | None
    """Seconds until the next start, in backoff."""
    metadata: dict[str, str | int | float | bool]
    pool: str = ""
    """The pool it serves, "" for none."""
    shared: SharedMemory | None = None
    """None when it has put nothing into shared memory so far; a second old."""
    spare: int | None = None
    """Process id of what stands ready for its next life (`Child(spare=1)`); None: nothing."""


@message(tag="understudy:CrashReport")
class CrashReport:
    """How an incarnation ended that should not have."""

    name: str
    incarnation: int
    reason: str
    """In plain words."""
    at: float
    """When, in seconds since 1970."""
    uptime: float
    """Seconds that it lived."""
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    """Tag of the class of the message it was handling; "" when it was handling none."""
    sender: str = ""
    """Name and incarnation of whoever had sent it."""
    seconds: float | None = None
    """How long it had been handling it."""
    peak_memory: int | None = None
    """Bytes that were resident at the most."""
    last_lines: list[str] = attrs.field(factory=list[str])
    """What it printed and logged last, oldest first."""
    stack: str = ""
    """Where it stood, when it crashed in C or hung; most recent call first."""


@message(tag="understudy:SystemStatus")
class SystemStatus:
    """The whole system."""

    name: str
    pid: int
    """Of the supervisor."""
    uptime: float
    endpoint: str
    listening: list[str]
    """tcp endpoints."""
    broker_pid: int | None
    broker_restarts: int
    actors: list[ActorStatus]
    failures: list[str]
    """The latest ends that were not wanted, oldest first."""
    dead_letters: int
    crashes: list[CrashReport] = attrs.field(factory=list[CrashReport])
    """The same ends in full."""
    relay: bool = False
    """Whether every message goes through the broker; else those of one host connect directly."""
    shared: SharedPool | None = None
    """None where no accounts are kept of it: without Linux's locks."""

    @property
    def degraded(self) -> bool:
        """Whether some actor that should run does not."""
        return any(actor.state in ("backoff", "failed") for actor in self.actors)

    def actor(self, name: str) -> ActorStatus:
        """Return one actor's; raises a `KeyError` that names those there are."""
        for actor in self.actors:
            if actor.name == name:
                return actor
        raise KeyError(no_such_status(name, [actor.name for actor in self.actors]))


@message(tag="understudy:StatusRequest")
class StatusRequest(Request[SystemStatus]):
    """How does the system stand?"""


@message(tag="understudy:Endings")
class Endings(StreamRequest[Terminated]):
    """Every ended incarnation of every actor, from now on."""
