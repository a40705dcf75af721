"""The zygote: a warm, single-threaded process that forks children and outlives the supervisor.

    supervisor ── Fork + descriptors ──► zygote ─fork─► intermediate ─fork─► child
         ▲                                 │                │                  │
         │◄──────── Forked(pid) ───────────┤◄── its pid ────┘ ends             │
         │                                                                     │
         └───────── parent from now on (it adopts orphans) ◄───────────────────┘

One intermediate forks all the children that are asked for at the moment. The zygote answers
after it has waited for it, and a parent's death re-parents its
children before anybody can see it dead: so whoever reads `Forked` *is* the parent already.

It imports what all children need, and what `start(preload=...)` names, once for all of them.  When
a file of the latter has changed, it says so and ends, and the next zygote imports what is there.

It is also the sweeper: when its socket to the supervisor ends without `Quit`, the supervisor is
dead, and it kills the process groups of all living children, removes the runtime directory, and
ends. Nothing else may end it, so it has its own session and ignores the signals people send.
While it imports modules of the program's, which may take any time, a process forked before stands
in for it there.

One message of the socket is one word (SOCK_SEQPACKET), a tagged msgpack array.
"""

from __future__ import annotations

import array
import asyncio
import errno
import gc
import importlib
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, NoReturn, assert_never

import msgspec

from actors.failure import said_of
from actors.imported import PRELOADED
from supervisor.launcher.child import (
    become_child,
    default_signals,
    enter,
    fresh_stdio,
    receive_with_descriptors,
)
from supervisor.launcher.kernel import close_others, limit_pools, loaded_blas
from supervisor.launcher.preload import CannotPreloadError, Traces, preload
from supervisor.launcher.sweeper import Estate, ignore_requests_to_end

LARGEST_WORD: Final = 64 * 1024
"""Bytes in one word; a list of some 10,000 children fits."""

MOST_AT_ONCE: Final = 32
"""Children forked through one intermediate."""


class Fork(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Fork a child. Its descriptors come along: lifeline, stdout, stderr."""

    request: int


class Check(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Is what was imported still what is on disk?"""

    request: int


class Guard(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """These children live, and this directory is theirs (empty: none)."""

    pids: list[int]
    directory: bytes


class Forget(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """This child has ended and is about to be reaped: its number means nothing any more."""

    pid: int


class Quit(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The supervisor ends in good order and removes its directory itself."""


class Loading(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """A module of the program's is about to be imported."""

    module: str
    began: int
    """Nanoseconds of `time.time_ns`."""


class Reads(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """That import is about to read this file, or would if it were there."""

    file: bytes


class Ready(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Everything is preloaded."""


class Broken(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The zygote cannot work at all, and ends."""

    text: str
    module: str = ""
    """Which of the program's modules is to blame; "" for none."""
    traceback: str = ""


class Current(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """What was imported is what is on disk."""

    request: int


class Stale(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """A file was changed since it was imported: the zygote ends, and another has to begin."""

    file: str


class Forked(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The child of this request; it waits for its order."""

    request: int
    pid: int


class NotForked(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The system refused."""

    request: int
    code: int


Word = Fork | Check | Guard | Forget | Quit
Answer = Loading | Reads | Ready | Broken | Current | Stale | Forked | NotForked


class Theirs(msgspec.Struct, frozen=True):
    """What else to import for all children: modules of the program's."""

    modules: list[str] = []
    omitted: list[str] = []
    """Those of them that cannot be imported at the moment."""
    argv: list[str] = []
    """What the program was called with."""


_words: Final = msgspec.msgpack.Decoder(Word)
_pack: Final = msgspec.msgpack.Encoder().encode


def begin(control: int, needed: Sequence[str], theirs: Mapping[str, Any]) -> NoReturn:
    """Be the zygote, in a process just forked or just started, until the supervisor ends."""
    code = 70
    line = socket.socket(fileno=control)
    try:
        _leave_parent(control)
        line.setblocking(True)
        traces = _load(needed, msgspec.convert(theirs, Theirs), line)
        gc.collect()
        gc.freeze()  # or the children's first collection would copy every page they share
        _answer(line, Ready())
        _Zygote(line, traces).serve()
        code = 0
    except CannotPreloadError as error:
        _answer(line, Broken(str(error), error.module, error.remote_traceback))
        os.killpg(0, signal.SIGKILL)  # what the module may have started, too
    except BaseException:  # noqa: BLE001 - the last frame of a process: it must say why it ended
        traceback.print_exc()
    finally:
        os._exit(code)


def _leave_parent(control: int) -> None:
    # Frozen before any descriptor is closed: a socket object of the parent that were collected
    # later would close a number that is somebody else's by then.
    gc.freeze()
    asyncio._set_running_loop(None)  # noqa: SLF001 - documented for exactly such code
    with suppress(PermissionError):  # a fresh interpreter was started as a leader
        os.setsid()
    default_signals()
    ignore_requests_to_end()
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    try:
        os.fstat(2)
    except OSError:  # a supervisor without stderr: the number must not become a child's pipe
        os.dup2(nowhere, 2)
    close_others({0, 1, 2, control})
    fresh_stdio()


def _load(needed: Sequence[str], theirs: Theirs, line: socket.socket) -> Traces:
    limit_pools(os.environ, 1)  # a pool of threads would not survive a fork
    for name in needed:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises, it is the answer
            raise CannotPreloadError(
                f"the zygote cannot preload {name!r}: {said_of(error)}. "
                "Every child needs it: mend the import, or preload without it."
            ) from error
    traces = Traces()
    if theirs.modules:
        modules = [name for name in theirs.modules if name not in theirs.omitted]
        with _stand_in(line):
            traces = preload(modules, theirs.argv, partial(_announce, line), partial(_reads, line))
    loaded_blas()  # looked up once for all children
    return traces


@contextmanager
def _stand_in(line: socket.socket) -> Generator[None]:
    """Have another process be the sweeper while this one imports, perhaps for ever.

    It is nobody's child whom a module might wait for. In the zygote's process group it goes with
    it, as soon as a living supervisor sees the zygote dead.
    """
    done, writer = os.pipe()
    intermediate = os.fork()
    if intermediate == 0:
        try:
            os.close(writer)
            if os.fork() == 0:
                _sweep_if_needed(line, done)
        finally:
            os._exit(0)
    os.close(done)
    os.waitpid(intermediate, 0)
    yield  # an import that fails ends the whole group
    with suppress(BrokenPipeError):
        os.write(writer, b".")
    os.close(writer)


def _sweep_if_needed(line: socket.socket, done: int) -> None:
    """Wait until the import is done, or the supervisor dead: then there is nobody else."""
    either = select.poll()
    either.register(line, 0)  # its end: what it says is for the zygote
    either.register(done, select.POLLIN)
    while line.fileno() not in dict(either.poll()):
        if os.read(done, 1):
            return
        either.unregister(done)  # the zygote has died, perhaps because the supervisor has
    _Zygote(line, Traces()).serve()
    os.killpg(0, signal.SIGKILL)  # the import, and what it may have started


class _Zygote:
    """Forks on demand, and sweeps at the end."""

    def __init__(self, line: socket.socket, traces: Traces) -> None:
        self._line = line
        self._traces = traces
        self._estate = Estate()
        self._births: list[tuple[int, list[int]]] = []  # request and descriptors, not forked yet

    def serve(self) -> None:
        """Do what comes down the line until it ends."""
        while True:
            word, descriptors = self._next()
            match word:
                case None | Quit():
                    self._sweep(directory=word is None)
                    return
                case Guard(pids, directory):
                    self._estate.guard(pids, os.fsdecode(directory))
                case Forget(pid):
                    self._estate.forget(pid)
                case Fork(request):
                    self._births.append((request, descriptors))
                case Check(request):
                    self._check(request)
                case _:
                    assert_never(word)

    def _sweep(self, *, directory: bool) -> None:
        self._estate.kill_all()
        if directory:
            self._estate.remove_directory()

    def _check(self, request: int) -> None:
        file = next(filter(None, (each.changed() for each in PRELOADED)), "")
        self._say(Stale(file) if file else Current(request))
        if file:
            os._exit(0)

    def _next(self) -> tuple[Word | None, list[int]]:
        """Wait for the next word, and give birth before waiting."""
        waiting = bool(select.select([self._line], [], [], 0)[0])
        if self._births and (not waiting or len(self._births) >= MOST_AT_ONCE):
            self._give_birth()
        data, descriptors = receive_with_descriptors(self._line, LARGEST_WORD)
        return (_words.decode(data) if data else None), descriptors

    def _give_birth(self) -> None:
        """Fork the children that were asked for, and say so."""
        births, self._births = self._births, []
        pids = _fork_children([descriptors for _, descriptors in births], self._traces)
        for (request, descriptors), pid in zip(births, pids, strict=True):
            for descriptor in descriptors:
                os.close(descriptor)
            if pid > 0:
                self._estate.add(pid)
            self._say(Forked(request, pid) if pid > 0 else NotForked(request, -pid))

    def _say(self, answer: Answer) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the next receive sees the end
            _answer(self._line, answer)


def _fork_children(births: list[list[int]], traces: Traces) -> list[int]:
    """Fork through one intermediate; return the pids once it is gone, or negative error codes."""
    reader, writer = os.pipe()
    try:
        intermediate = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        return [-_code(error)] * len(births)
    if intermediate == 0:
        _be_intermediate(writer, births, traces)
    os.close(writer)
    with open(reader, "rb") as told:  # noqa: PTH123
        numbers = array.array("q", told.read())
    os.waitpid(intermediate, 0)
    # Fewer numbers than births: it was killed. Those it had forked have no order, and end.
    return [*numbers, *[-errno.EAGAIN] * (len(births) - len(numbers))]


def _be_intermediate(writer: int, births: list[list[int]], traces: Traces) -> NoReturn:
    try:
        for descriptors in births:
            try:
                pid = os.fork()
            except OSError as error:
                pid = -_code(error)
            if pid == 0:
                lifeline, stdout, stderr = descriptors
                become_child(lifeline, stdout, stderr, traces.descriptors)
                enter(lifeline, traces)
            os.write(writer, array.array("q", [pid]).tobytes())
    except BaseException:  # noqa: BLE001 - the last frame of a process: it must say why it ended
        traceback.print_exc()
    finally:
        os._exit(0)


def _code(error: OSError) -> int:
    return error.errno or errno.EAGAIN


def _announce(line: socket.socket, module: str) -> None:
    _answer(line, Loading(module, time.time_ns()))


def _reads(line: socket.socket, file: str) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # not the module's fault
        _answer(line, Reads(os.fsencode(file)))


def _answer(line: socket.socket, answer: Answer) -> None:
    line.send(_pack(answer))
