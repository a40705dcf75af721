"""The ways out of a process: threads, sockets, sleeping, subprocesses, files.

Inside the simulation each of them raises `SimEscape`, naming the call and what to write instead.
`staged` puts that in place, and the clock and chance of `senses.py`, and the order of
`numbered.py`, once for many runs.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, final

from actors.testing.numbered import replacements as in_order
from actors.testing.senses import calendar, chance, replacements
from actors.testing.stage import STAGE, Replacement, present
from actors.testing.sweeping import kept_out

SLEEP: Final = "write `await asyncio.sleep(seconds)`, which takes virtual time"
THREAD: Final = (
    "use asyncio inside actors (tasks, locks and queues run under virtual time); work that needs "
    "a thread belongs in an actor of its own"
)
OUTSIDE: Final = (
    "put what talks to the outside into an actor of its own, and let the scenario spawn another "
    "class under its name"
)
FILES: Final = (
    "say files=True if every run may use the same files, or put what uses them into an actor of "
    "its own, and let the scenario spawn another class under its name"
)


@final
class SimEscape(RuntimeError):  # noqa: N818 - it says what happened
    """Code inside the simulation tried to leave it; the run cannot be repeated then."""

    def __init__(self, call: str, instead: str = THREAD) -> None:
        super().__init__(
            f"{call} leaves the simulation: its outcome would differ from run to run. "
            f"Instead {instead}."
        )
        self.call = call


class _Exit(NamedTuple):
    """A way out."""

    owner: Any
    name: str
    called: str
    instead: str


def _exits() -> list[_Exit]:
    """Return the ways out, those of modules that are loaded only."""
    found = [
        _Exit(time, "sleep", "time.sleep", SLEEP),
        _Exit(threading.Thread, "start", "threading.Thread.start", THREAD),
        # An event that is set, or a queue that has something, does not come here.
        _Exit(threading.Condition, "wait", "waiting for another thread", THREAD),
        _Exit(socket.socket, "__init__", "socket.socket", OUTSIDE),
        _Exit(socket, "getaddrinfo", "socket.getaddrinfo", OUTSIDE),
        _Exit(subprocess.Popen, "__init__", "subprocess.Popen", OUTSIDE),
    ]
    found += [
        _Exit(os, name, f"os.{name}", OUTSIDE)
        for name in ("system", "fork", "forkpty", "execv", "execve", "posix_spawn", "posix_spawnp")
        if hasattr(os, name)
    ]
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        called = "multiprocessing.Process.start"
        found.append(_Exit(processes.BaseProcess, "start", called, OUTSIDE))
    return found


_WRITING: Final = ("mkdir", "makedirs", "remove", "unlink", "rmdir", "rename", "replace", "open")
"""Of `os`: what has to do with files."""


def _refused(way: _Exit) -> Callable[..., Any]:
    real = getattr(way.owner, way.name)

    @functools.wraps(real)
    def refuse(*args: Any, **options: Any) -> Any:
        world = present()
        if world is None or STAGE.chance is not None:
            return real(*args, **options)
        escape = SimEscape(way.called, way.instead)
        world.escaped(escape)
        raise escape

    return refuse


def _opened(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def opened(*args: Any, **options: Any) -> Any:
        world = present()
        if world is None or world.files or STAGE.chance is not None or _is_source(args):
            return real(*args, **options)
        escape = SimEscape(f"{name}({args[0]!r})" if args else name, FILES)
        world.escaped(escape)
        raise escape

    return opened


def _is_source(args: tuple[Any, ...]) -> bool:
    """Tracebacks read the source: that changes nothing."""
    return bool(args) and isinstance(args[0], str) and args[0].endswith((".py", ".pyc"))


def _exit(real: Callable[[int], Any]) -> Callable[[int], Any]:
    def leave(code: int) -> Any:
        world = present()
        return real(code) if world is None else world.exit_current(code)

    return leave


def _replacements() -> list[Replacement]:
    found = replacements() + in_order()
    found += [Replacement(way.owner, way.name, _refused(way)) for way in _exits()]
    found += [Replacement(os, name, _opened(f"os.{name}", getattr(os, name))) for name in _WRITING]
    found += [Replacement(owner, "open", _opened("open", open)) for owner in (builtins, io)]
    sqlite: Any = sys.modules.get("sqlite3")
    if sqlite is not None:
        found.append(Replacement(sqlite, "connect", _opened("sqlite3.connect", sqlite.connect)))
    found.append(Replacement(os, "_exit", _exit(os._exit)))
    return found


def _imported_by_name(replaced: Iterable[Replacement]) -> list[Replacement]:
    """Return the places where users' modules hold one of these functions themselves.

    `from time import monotonic` is another way to the same clock.
    """
    news = {id(getattr(one.owner, one.name)): one.new for one in replaced}
    standard = sys.stdlib_module_names | {"actors", "supervisor"}
    return [
        Replacement(module, name, news[id(value)])
        for title, module in list(sys.modules.items())
        if title.partition(".")[0] not in standard
        for name, value in _names_in(module)
        if id(value) in news
    ]


def _names_in(module: object) -> list[tuple[str, Any]]:
    names: dict[str, Any] = getattr(module, "__dict__", {})
    return list(names.items())


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
    replaced += _imported_by_name(replaced)
    former: list[Replacement] = [
        Replacement(owner, name, vars(owner)[name]) for owner, name, _ in replaced
    ]
    with chance(), calendar(), kept_out():
        STAGE.depth, STAGE.thread = 1, threading.get_ident()
        for owner, name, new in replaced:
            setattr(owner, name, new)
        try:
            yield
        finally:
            for owner, name, old in former:
                setattr(owner, name, old)
            STAGE.depth = 0
