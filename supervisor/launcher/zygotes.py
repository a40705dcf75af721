"""One zygote, always: started, listened to, guarded, and replaced when it dies.

                 ┌──────────────── dies ◄───────────────┐
                 ▼                                      │
    start ─► started ─► Ready ─► Fork / Forked … ─► Quit ─► ended

The next one is started the moment the old one is seen dead, so the launch that needs it waits for
less. It is told which children live, because it is also their sweeper.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar, assert_never, final

import attrs
import msgspec

from supervisor.launcher.interpreter import start_interpreter
from supervisor.launcher.kernel import adopt_orphans, is_single_threaded, limit_pools
from supervisor.launcher.order import Life
from supervisor.launcher.reaper import Reaper
from supervisor.launcher.zygote import (
    LARGEST_WORD,
    Answer,
    Broken,
    Forget,
    Fork,
    Forked,
    Guard,
    NotForked,
    Quit,
    Ready,
    Word,
    begin,
)

_ATTEMPTS: Final = 5  # zygotes in a row that die before they are ready
_ANSWER_SECONDS: Final = 5.0  # a zygote that forks nothing for so long is stuck (SIGSTOP)
_READY_SECONDS: Final = 60.0  # a cold disk may make the preload slow
_END_SECONDS: Final = 2.0

T = TypeVar("T")

_answers: Final = msgspec.msgpack.Decoder(Answer)
_pack: Final = msgspec.msgpack.Encoder().encode


class LostError(Exception):
    """The zygote, or the child before it had its order, was killed: do it again."""


@final
@attrs.define(eq=False)
class _Zygote:
    line: socket.socket
    pid: int
    life: Life | None = None  # None until a loop watches it
    ready: asyncio.Future[None] | None = None  # likewise
    asked: dict[int, asyncio.Future[Life]] = attrs.field(factory=dict[int, asyncio.Future[Life]])


@final
class Zygotes:
    """Keeps one zygote ready, and the list of the children that live."""

    def __init__(self, preload: Sequence[str], reaper: Reaper) -> None:
        self._preload: Final = tuple(preload)
        self._reaper: Final = reaper
        self._zygote: _Zygote | None = None  # the one in use, perhaps not ready yet
        self._living: dict[int, Life] = {}  # children not reaped; a new zygote guards them
        self._directory = b""  # the zygote removes it should we die; empty: none
        self._requests = count(1)
        self._failures = 0  # zygotes in a row that died before they were ready
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the zygote in use, None where there is none at the moment."""
        return None if self._zygote is None else self._zygote.pid

    def fork_here(self) -> None:
        """Fork the zygote from this process, unless it has threads."""
        if not is_single_threaded():
            return
        ours, theirs = _socket_pair()
        pid = os.fork()
        if pid == 0:
            begin(theirs.detach(), self._preload)
        theirs.close()
        self._zygote = _Zygote(ours, pid)

    async def start(self, *, threads_exist: bool) -> None:
        """Have a zygote that has everything preloaded; see `ForkLauncher.start`."""
        if self._zygote is None and not threads_exist:
            self.fork_here()
        await self._ready()

    def guard(self, directory: Path | str) -> None:
        """Have `directory` removed should this process die without `close`."""
        self._directory = os.fsencode(directory)
        zygote = self._zygote
        if zygote is not None and zygote.ready is not None:
            self._tell(zygote, Guard([], self._directory))

    async def fork(self, child_ends: Sequence[int]) -> Life:
        """Fork a child with these descriptors: lifeline, stdout, stderr. It waits for its order.

        When cancelled, a child that is forked all the same is reaped all the same.

        Raises:
            LostError: nothing runs, try again.
            OSError: the system refuses another process.
            ImportError: the zygote cannot preload a module.
        """
        zygote = await self._ready()
        request = next(self._requests)
        self._tell(zygote, Fork(request), child_ends)
        answer: asyncio.Future[Life] = asyncio.get_running_loop().create_future()
        zygote.asked[request] = answer
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            self._kill(zygote)
            raise LostError from None

    async def close(self) -> None:
        """Kill every child and end the zygote."""
        self._closed = True
        for life in self._living.values():
            self._reaper.signal(life.pid, signal.SIGKILL)
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await self._end(zygote)  # its last words may tell of children, which it has killed
        for life in list(self._living.values()):
            await life.wait_ended()
        if zygote is not None:
            adopt_orphans(on=False)

    def _expect(self, pid: int) -> Life:
        life = self._living[pid] = self._reaper.expect(pid, self._forget)
        return life

    def _forget(self, pid: int) -> None:
        self._living.pop(pid, None)
        if self._zygote is not None and self._zygote.life is not None:
            self._tell(self._zygote, Forget(pid))

    async def _ready(self) -> _Zygote:
        while not self._closed:
            zygote = self._zygote or self._start_fresh()
            ready = zygote.ready or self._watch(zygote)
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    await asyncio.shield(ready)
            except LostError:
                continue
            except TimeoutError:
                self._kill(zygote)
                continue
            return zygote
        raise OSError("the launcher is closed")

    def _start_fresh(self) -> _Zygote:
        """Start a zygote in an interpreter of its own, for this process may have threads."""
        ours, theirs = _socket_pair()
        env = dict(os.environ)
        limit_pools(env, 1)  # from its first import on: a pool of threads does not survive a fork
        try:
            pid = start_interpreter(
                "supervisor.launcher.zygote:begin",
                [theirs.fileno(), self._preload],
                keep=[theirs.fileno()],
                env=env,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        zygote = self._zygote = _Zygote(ours, pid)
        self._watch(zygote)
        return zygote

    def _watch(self, zygote: _Zygote) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        adopt_orphans()
        ready = zygote.ready = loop.create_future()
        zygote.life = self._reaper.expect(zygote.pid)
        loop.add_reader(zygote.line, self._hear, zygote)
        self._tell(zygote, Guard(sorted(self._living), self._directory))
        return ready

    def _tell(self, zygote: _Zygote, word: Word, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(zygote.line, [_pack(word)], list(descriptors))
        except BlockingIOError:
            # Its socket is full because it has not read for a long time. The next one gets a
            # complete list, so nothing is lost with the words.
            self._kill(zygote)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is dead: what `_hear` is about to find out

    def _hear(self, zygote: _Zygote) -> None:
        while True:
            try:
                data = zygote.line.recv(LARGEST_WORD)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self._died(zygote)
                return
            self._take(zygote, _answers.decode(data))

    def _take(self, zygote: _Zygote, answer: Answer) -> None:
        match answer:
            case Ready():
                self._failures = 0
                _resolve(zygote.ready, None)
            case Broken(text):
                _fail(zygote.ready, ImportError(text))
            case Forked(request, pid):
                waiting = zygote.asked.pop(request)
                # Watched even when its caller was cancelled: somebody has to reap it.
                try:
                    _resolve(waiting, self._expect(pid))
                except ProcessLookupError:  # killed and reaped before we heard of it
                    _fail(waiting, LostError())
            case NotForked(request, code):
                text = f"no new process: {os.strerror(code)}"
                _fail(zygote.asked.pop(request), OSError(code, text))
            case _:
                assert_never(answer)

    def _died(self, zygote: _Zygote) -> None:
        asyncio.get_running_loop().remove_reader(zygote.line)
        zygote.line.close()
        if zygote is self._zygote:
            self._zygote = None
            self._replace(zygote)
        _fail(zygote.ready, LostError())
        for answer in zygote.asked.values():
            _fail(answer, LostError())
        zygote.asked.clear()

    def _replace(self, dead: _Zygote) -> None:
        """Start the next one at once, unless that has failed too often: then a launch does."""
        if self._closed or dead.ready is None:
            return
        if not dead.ready.done():
            self._failures += 1
            if self._failures >= _ATTEMPTS:
                text = f"{_ATTEMPTS} zygotes in a row died while they started; see their stderr"
                _fail(dead.ready, OSError(text))
                self._failures -= 1  # a later launch gets one more attempt
                return
        elif dead.ready.exception() is not None:
            return  # it could not preload, and neither could another
        # No process to be had now? Then the next launch tries again, and says so if it cannot.
        with suppress(OSError):
            self._start_fresh()

    def _kill(self, zygote: _Zygote) -> None:
        self._reaper.signal(zygote.pid, signal.SIGKILL)

    async def _end(self, zygote: _Zygote) -> None:
        if zygote.life is None:  # forked, but never started: the end of its line is enough
            zygote.line.close()
            os.waitpid(zygote.pid, 0)  # noqa: ASYNC222 - nothing to kill, it ends at once
            return
        self._tell(zygote, Quit())
        try:
            async with asyncio.timeout(_END_SECONDS):
                await zygote.life.wait_ended()
        except TimeoutError:
            self._kill(zygote)
            await zygote.life.wait_ended()
        if zygote.line.fileno() >= 0:
            self._hear(zygote)


def _resolve(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any] | None, error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # seen: asyncio need not complain when nobody waits for it


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs
