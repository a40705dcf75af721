"""The clock, chance, and the ways out of a process, as code inside the simulation finds them.

    time, random, os.urandom      of the simulated process that runs at the moment
    threads, sockets, sleeping,   `SimEscape`, naming the call
    subprocesses, files

Everything is put in place once for many runs.  Outside a run, and in every other thread, the real
functions are called.
"""

from __future__ import annotations

import builtins
import io
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from actors.testing.world import World

EPOCH: Final = 1_750_000_000.0
"""`time.time()` at the beginning of every run, when the monotonic clock says 0."""


@final
class SimEscape(RuntimeError):  # noqa: N818 - it says what happened
    """Code inside the simulation tried to leave it; the run cannot be repeated then."""

    def __init__(self, call: str) -> None:
        super().__init__(
            f"{call} leaves the simulation: its outcome would differ from run to run. "
            "Use asyncio inside actors (asyncio.sleep, tasks, locks and queues run under virtual "
            "time), and put what must leave into an actor of its own that the scenario replaces."
        )
        self.call = call


class _Stage:
    """Which run is on; there is one at a time."""

    __slots__ = ("depth", "thread", "world")

    def __init__(self) -> None:
        self.world: World | None = None
        self.thread = 0
        self.depth = 0


STAGE: Final = _Stage()
"""The run that is on, if any."""


def _world() -> World | None:
    """Return the run that the calling code is part of."""
    world = STAGE.world
    if world is None or world.current is None or threading.get_ident() != STAGE.thread:
        return None
    return world


def _timed(real: Callable[[], Any], virtual: Callable[[float], Any]) -> Callable[[], Any]:
    def clock() -> Any:
        world = STAGE.world
        if world is None or threading.get_ident() != STAGE.thread:
            return real()
        return virtual(world.now)

    return clock


def _drawn(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def draw(*args: Any, **options: Any) -> Any:
        world = _world()
        return (
            real(*args, **options)
            if world is None
            else getattr(world.random, name)(*args, **options)
        )

    return draw


def _refused(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        world = _world()
        if world is None:
            return real(*args, **options)
        escape = SimEscape(name)
        world.escaped(escape)
        raise escape

    return refuse


def _opened(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def opened(*args: Any, **options: Any) -> Any:
        world = _world()
        if world is None or world.files or _is_source(args):
            return real(*args, **options)
        escape = SimEscape(f"{name}({args[0]!r})" if args else name)
        world.escaped(escape)
        raise escape

    return opened


def _is_source(args: tuple[Any, ...]) -> bool:
    """Tracebacks read the source: that changes nothing."""
    return bool(args) and isinstance(args[0], str) and args[0].endswith((".py", ".pyc"))


def _exit(real: Callable[[int], Any]) -> Callable[[int], Any]:
    def leave(code: int) -> Any:
        world = _world()
        return real(code) if world is None else world.exit_current(code)

    return leave


_CLOCKS: Final[dict[str, Callable[[float], Any]]] = {
    "monotonic": lambda now: now,
    "monotonic_ns": lambda now: round(now * 1e9),
    "perf_counter": lambda now: now,
    "perf_counter_ns": lambda now: round(now * 1e9),
    "time": lambda now: EPOCH + now,
    "time_ns": lambda now: round((EPOCH + now) * 1e9),
}
_DRAWS: Final = (
    "betavariate", "choice", "choices", "expovariate", "gammavariate", "gauss", "getrandbits",
    "lognormvariate", "normalvariate", "paretovariate", "randbytes", "randint", "random",
    "randrange", "sample", "shuffle", "triangular", "uniform", "vonmisesvariate",
    "weibullvariate",
)  # fmt: skip
_WAYS_OUT: Final[tuple[tuple[Any, str, str], ...]] = (
    (time, "sleep", "time.sleep"),
    (threading.Thread, "start", "threading.Thread.start"),
    (socket.socket, "__init__", "socket.socket"),
    (socket, "getaddrinfo", "socket.getaddrinfo"),
    (subprocess.Popen, "__init__", "subprocess.Popen"),
    (os, "system", "os.system"),
    (os, "fork", "os.fork"),
    (os, "open", "os.open"),
)


def _replacements() -> list[tuple[Any, str, Any]]:
    found: list[tuple[Any, str, Any]] = []
    found += [(time, name, _timed(getattr(time, name), to)) for name, to in _CLOCKS.items()]
    found += [(random, name, _drawn(name, getattr(random, name))) for name in _DRAWS]
    for owner, name, called in _WAYS_OUT:
        wrap = _opened if name == "open" else _refused
        found.append((owner, name, wrap(called, getattr(owner, name))))
    found += [(owner, "open", _opened("open", open)) for owner in (builtins, io)]
    chance = _urandom(os.urandom)
    found += [(os, "urandom", chance), (random, "_urandom", chance)]
    found.append((os, "_exit", _exit(os._exit)))
    return found


def _urandom(real: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def urandom(size: int) -> bytes:
        world = _world()
        return real(size) if world is None else world.random.randbytes(size)

    return urandom


@contextmanager
def staged() -> Generator[None]:
    """Put everything in place for the runs in this block, and take it away again."""
    if STAGE.depth:
        STAGE.depth += 1
        try:
            yield
        finally:
            STAGE.depth -= 1
        return
    replaced = _replacements()
    former = [(owner, name, owner.__dict__[name]) for owner, name, _ in replaced]
    state = random.getstate()
    STAGE.depth, STAGE.thread = 1, threading.get_ident()
    for owner, name, new in replaced:
        setattr(owner, name, new)
    try:
        yield
    finally:
        for owner, name, old in former:
            setattr(owner, name, old)
        STAGE.depth = 0
        random.setstate(state)
