"""The words between the tree's decider and its doer: what happened, what to do, how things stand.

    doer                    event  ->  TreeDecider.handle(event, now)  ->  commands    doer
    process ended           Exited                 |                       StartChild  launch
    on_start succeeded      Started                v                       StopChild   ask it
    timer is due            TimerFired      children, trees                KillChild   SIGKILL
    system.spawn, stop, ... Spawn, ...                                     SetTimer    timer
                                                                           ChildGone   tell users

What the doer owes: every StartChild is answered once by Started or StartFailed, and every Started
life ends in one Exited (an Exited before Started is taken as a StartFailed). A StopChild or
KillChild may arrive while the process is still being launched; it holds for that life all the
same. Commands are performed in the order of the list.
"""

from __future__ import annotations

import enum
from typing import Final, assert_never, final

import attrs

from supervisor.spec import Child, Restart, Strategy

# ------------------------------------------------------------------------------- how lives end


@final
class ExitKind(enum.Enum):
    """How a life ended."""

    NORMAL = "normal"  # the actor ended itself in good order
    STOPPED = "stopped"  # it was asked to stop; also a tree that gave up or shut itself down
    RAISED = "raised"  # a handler or hook raised and the actor ended for it
    EXITED = "exited"  # the process called exit: see `code`
    SIGNALLED = "signalled"  # a signal ended the process: see `signal`
    START_FAILED = "start failed"  # it never came up: see `text`


@final
@attrs.frozen
class ExitReason:
    """Why a life ended, as plain data."""

    kind: ExitKind
    code: int | None = None  # the exit code, with EXITED
    signal: int | None = None  # the signal's number, with SIGNALLED
    text: str = ""  # for people: error type and text, the signal's name, ...

    @property
    def is_normal(self) -> bool:
        """Whether a TRANSIENT child stays down after it."""
        match self.kind:
            case ExitKind.NORMAL | ExitKind.STOPPED:
                return True
            case ExitKind.EXITED:
                return self.code == 0
            case ExitKind.RAISED | ExitKind.SIGNALLED | ExitKind.START_FAILED:
                return False

    def __str__(self) -> str:
        match self.kind:
            case ExitKind.NORMAL:
                return self.text or "ended by itself"
            case ExitKind.STOPPED:
                return self.text or "stopped"
            case ExitKind.RAISED:
                return f"raised {self.text or 'an exception'}"
            case ExitKind.EXITED:
                return self.text if self.code is None else f"exited with code {self.code}"
            case ExitKind.SIGNALLED:
                return self.text or f"killed by signal {self.signal}"
            case ExitKind.START_FAILED:
                return f"did not start: {self.text}" if self.text else "did not start"
            case _:
                assert_never(self.kind)


# ------------------------------------------------------------------------------- events


@final
@attrs.frozen
class StartupAsked:
    """Bring the declared tree up. Once, as the first event."""


@final
@attrs.frozen
class Spawn:
    """Add a child at run time and start it.

    When its first start fails nothing is added: ChildGone(FIRST_START_FAILED) takes it back.
    """

    spec: Child
    under: str | None = None  # the name of a tree; None: the outermost one, or
    beside: str | None = None  # the tree of this child, which spawns it


@final
@attrs.frozen
class Started:
    """The child is up: `on_start` succeeded."""

    name: str
    incarnation: int


@final
@attrs.frozen
class StartFailed:
    """The child did not come up, and its process is gone."""

    name: str
    incarnation: int
    reason: ExitReason
    counted: bool = True  # False: not the child's fault; it is tried again at once


@final
@attrs.frozen
class Exited:
    """The child's process is gone."""

    name: str
    incarnation: int
    reason: ExitReason
    counted: bool = True  # False: `kill`, or the infrastructure; it restarts at once


@final
@attrs.frozen
class StopAsked:
    """Stop a child, a pool or a tree by name and keep it stopped."""

    name: str


@final
@attrs.frozen
class RestartAsked:
    """Stop a child, a pool or a tree by name, within its grace, and start it at once."""

    name: str


@final
@attrs.frozen
class TimerFired:
    """The time of a SetTimer has come. Tokens that are no longer wanted are ignored."""

    token: int


@final
class Urgency(enum.Enum):
    """How to end the system."""

    GRACEFUL = "graceful"  # one after the other, each within its grace
    AT_ONCE = "at once"  # SIGKILL to all


@final
@attrs.frozen
class ShutdownAsked:
    """End everything. May be sent again to make it AT_ONCE."""

    urgency: Urgency = Urgency.GRACEFUL


Event = (
    StartupAsked
    | Spawn
    | Started
    | StartFailed
    | Exited
    | StopAsked
    | RestartAsked
    | TimerFired
    | ShutdownAsked
)

# ------------------------------------------------------------------------------- commands


@final
@attrs.frozen
class StartChild:
    """Launch this incarnation."""

    name: str
    incarnation: int
    spec: Child
    pool: str | None = None  # the pool it is a member of


@final
@attrs.frozen
class StopChild:
    """Ask this incarnation to stop; the decider sets the timer of its grace itself."""

    name: str
    incarnation: int
    grace: float  # seconds, above 0; math.inf: for ever


@final
@attrs.frozen
class KillChild:
    """End this incarnation with SIGKILL."""

    name: str
    incarnation: int


@final
@attrs.frozen
class SetTimer:
    """Send TimerFired(token) when `now` is `at`."""

    token: int
    at: float


@final
@attrs.frozen
class ChildStopped:
    """A declared child is down and stays down until it or its tree is started by hand.

    Its name stays taken. A child that is merely between two lives is not reported so.
    """

    name: str
    incarnation: int  # its last; 0: it never started
    reason: ExitReason


@final
class Gone(enum.Enum):
    """Why a child that was added at run time is no more."""

    FIRST_START_FAILED = "its first start failed"  # SpawnError
    ENDED = "it ended and its restart kind keeps it down"
    STOPPED = "it was stopped"  # by `stop`, with its tree, or with the system


@final
@attrs.frozen
class ChildGone:
    """A child that was added at run time is no more, and its name is free."""

    name: str
    incarnation: int
    why: Gone
    reason: ExitReason


@final
class Context(enum.Enum):
    """What a report is about, in the words of Erlang/OTP's supervisor reports."""

    START_ERROR = "start_error"  # it did not come up
    CHILD_TERMINATED = "child_terminated"  # it ended by itself
    SHUTDOWN_ERROR = "shutdown_error"  # it did not stop within its grace, and was killed
    SHUTDOWN = "shutdown"  # its tree gives up or shuts itself down because of it


@final
@attrs.frozen
class Report:
    """Something for the log; nothing to do."""

    supervisor: tuple[str, ...]  # path of the tree, outermost first
    context: Context
    reason: ExitReason
    offender: str  # the child, or the inner tree
    incarnation: int  # of the offender; 0 for a tree

    def __str__(self) -> str:
        who = f"{self.offender}/{self.incarnation}" if self.incarnation else self.offender
        return f"{'/'.join(self.supervisor)}: {self.context.value}: {who}: {self.reason}"


WORK_DONE: Final = "its work is done"  # begins the reason of a tree that ended as it was to
SHUT_DOWN: Final = "it was shut down"  # the reason of a system that was told to end


@final
@attrs.frozen
class GiveUp:
    """The outermost tree ends, and the system with it; calls fail from now on with `reason`.

    Comes once, before the children are stopped; ShutDownComplete follows when all are down.
    """

    reason: str


@final
@attrs.frozen
class ShutDownComplete:
    """Nothing is alive any more, and nothing will be started. The last command of all."""


Command = (
    StartChild
    | StopChild
    | KillChild
    | SetTimer
    | ChildStopped
    | ChildGone
    | Report
    | GiveUp
    | ShutDownComplete
)

# ------------------------------------------------------------------------------- how things stand


@final
class State(enum.Enum):
    """Where a child, or a tree as a whole, stands."""

    WAITING = "waiting"  # to be started as soon as its turn comes
    STARTING = "starting"  # a child only: launched, `on_start` not yet done
    RUNNING = "running"  # for a tree: its children are being kept running
    STOPPING = "stopping"  # asked to stop, or killed; not yet down
    BACKOFF = "backoff"  # down until its next start is due
    STOPPED = "stopped"  # down for good, in good order
    FAILED = "failed"  # down for good, after an abnormal end


@final
class Origin(enum.Enum):
    """Where a child comes from."""

    DECLARED = "declared"  # in the tree the system was started with: known even when stopped
    SPAWNED = "spawned"  # added at run time: forgotten when it is stopped


@final
@attrs.frozen
class ChildStatus:
    """One child, as `System.status()` shows it."""

    name: str
    path: tuple[str, ...]  # the trees it is in, outermost first, then its name
    state: State
    since: float  # when it came into this state
    incarnation: int  # the current or last one; 0: it never started
    restarts: int  # starts after the first one, failed ones included
    restart: Restart
    origin: Origin
    pool: str | None  # the pool it is a member of
    last_exit: ExitReason | None  # of its last life that ended
    next_start: float | None  # only in BACKOFF
    spec: Child


@final
@attrs.frozen
class TreeStatus:
    """One tree or pool, as `System.status()` shows it."""

    path: tuple[str, ...]  # outermost first, then its own label
    state: State
    strategy: Strategy
    restarts_used: int  # within the period that ends now
    restarts_allowed: int
    period: float  # seconds
    next_start: float | None  # only in BACKOFF


@final
class Refusal(enum.Enum):
    """Why an event was refused."""

    NAME_TAKEN = "name taken"
    UNKNOWN_NAME = "unknown name"
    NOT_A_TREE = "not a tree"
    TREE_DOWN = "tree down"
    BAD_SPEC = "bad spec"
    ENDING = "ending"


@final
class Refused(Exception):  # noqa: N818 - what happened; the doer turns it into SpawnError etc.
    """The decider did nothing: the event asks for something that cannot be."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal
