"""One zygote, always: started, listened to, guarded, and replaced when it dies.

                 ┌──────────────── dies ◄───────────────┐
                 ▼                                      │
    start ─► started ─► Ready ─► Fork / Forked … ─► Quit ─► ended

The next one is started the moment the old one is seen dead, so the launch that needs it waits for
less. It is told which children live, because it is also their sweeper.

A module of the program's that cannot be preloaded is an error as long as there was no zygote. Later
nothing falls for it: the next zygote goes on without, and its actors import it for themselves.
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
from typing import Any, Final, assert_never, final

import msgspec

from actors.imported import Imported
from actors.log import logger
from supervisor.launcher.attempts import Attempts
from supervisor.launcher.interpreter import start_interpreter
from supervisor.launcher.kernel import adopt_orphans, is_single_threaded, limit_pools
from supervisor.launcher.order import Life
from supervisor.launcher.preload import CannotPreloadError
from supervisor.launcher.promises import LostError, Zygote, fail, resolve
from supervisor.launcher.reaper import Reaper
from supervisor.launcher.zygote import (
    LARGEST_WORD,
    Answer,
    Broken,
    Check,
    Current,
    Forget,
    Fork,
    Forked,
    Guard,
    Loading,
    NotForked,
    Quit,
    Reads,
    Ready,
    Stale,
    Theirs,
    Word,
    begin,
)

_ANSWER_SECONDS: Final = 5.0  # a zygote that forks nothing for so long is stuck (SIGSTOP)
READY_SECONDS: Final = 60.0
"""Until a zygote has imported everything; a cold disk may make it slow."""

_CHECKS: Final = 3  # a file that changes again and again must not hold up a launch for ever
_END_SECONDS: Final = 2.0

_answers: Final = msgspec.msgpack.Decoder(Answer)
_pack: Final = msgspec.msgpack.Encoder().encode


@final
class Zygotes:
    """Keeps one zygote ready, and the list of the children that live."""

    def __init__(self, needed: Sequence[str], theirs: Theirs, reaper: Reaper) -> None:
        self._needed: Final = tuple(needed)
        self._theirs: Final = theirs
        # Modules that could not be imported, with all the files that this may be due to.
        self._omitted: dict[str, Imported] = {}
        self._was_ready = False
        self._reaper: Final = reaper
        self._zygote: Zygote | None = None  # the one in use, perhaps not ready yet
        self._leaving: set[Zygote] = set()  # those that end by themselves
        self._living: dict[int, Life] = {}  # children not reaped; a new zygote guards them
        self._directory = b""  # the zygote removes it should we die; empty: none
        self._requests = count(1)
        self._attempts = Attempts()
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
            begin(theirs.detach(), *self._what_to_import())
        theirs.close()
        self._zygote = Zygote(ours, pid)

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
            CannotPreloadError: nor could the first zygote, a module.
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

    async def check(self) -> None:
        """Have a zygote that has imported what is on disk now; see `fork` for what it raises."""
        for _ in range(_CHECKS if self._theirs.modules else 0):
            await self._look_at_omitted()
            zygote = await self._ready()
            request = next(self._requests)
            self._tell(zygote, Check(request))
            current = zygote.checks[request] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await current
            except LostError:
                continue
            except TimeoutError:
                self._kill(zygote)
            else:
                return

    async def _look_at_omitted(self) -> None:
        """Get another zygote when a module that could not be imported may have been mended."""
        for omitted in list(self._omitted.values()):
            if file := await asyncio.to_thread(omitted.changed):
                zygote = await self._ready()
                self._take_news(zygote, Stale(file))
                self._kill(zygote)  # it would look at those files only that it has imported
                return

    def is_current(self, life: Life) -> bool:
        """Tell whether a child that lives has what the zygote in use has imported."""
        zygote = self._zygote
        return not self._theirs.modules or (zygote is not None and life.pid in zygote.forked)

    async def close(self) -> None:
        """Kill every child and end the zygote."""
        self._closed = True
        for life in self._living.values():
            self._reaper.signal(life.pid, signal.SIGKILL)
        zygote, self._zygote = self._zygote, None
        for each in [*self._leaving, *([zygote] if zygote else [])]:
            await self._end(each)  # its last words may tell of children, which it has killed
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
            self._zygote.forked.discard(pid)
            self._tell(self._zygote, Forget(pid))

    def _what_to_import(self) -> tuple[Sequence[str], dict[str, Any]]:
        theirs = msgspec.structs.replace(self._theirs, omitted=sorted(self._omitted))
        return self._needed, msgspec.to_builtins(theirs)

    async def _ready(self) -> Zygote:
        while not self._closed:
            zygote = self._zygote or self._start_fresh()
            ready = zygote.ready or self._watch(zygote)
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await asyncio.shield(ready)
            except LostError:
                continue
            except TimeoutError:
                if zygote.loading:
                    self._blame(zygote, f"{zygote.loading} was not imported in {READY_SECONDS:g} s")
                self._kill(zygote)
                continue
            return zygote
        raise OSError("the launcher is closed")

    def _start_fresh(self) -> Zygote:
        """Start a zygote in an interpreter of its own, for this process may have threads."""
        ours, theirs = _socket_pair()
        env = dict(os.environ)
        limit_pools(env, 1)  # from its first import on: a pool of threads does not survive a fork
        try:
            pid = start_interpreter(
                "supervisor.launcher.zygote:begin",
                [theirs.fileno(), *self._what_to_import()],
                keep=[theirs.fileno()],
                env=env,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        zygote = self._zygote = Zygote(ours, pid)
        self._watch(zygote)
        return zygote

    def _watch(self, zygote: Zygote) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        adopt_orphans()
        ready = zygote.ready = loop.create_future()
        zygote.life = self._reaper.expect(zygote.pid)
        loop.add_reader(zygote.line, self._hear, zygote)
        self._tell(zygote, Guard(sorted(self._living), self._directory))
        return ready

    def _tell(self, zygote: Zygote, word: Word, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(zygote.line, [_pack(word)], list(descriptors))
        except BlockingIOError:
            # Its socket is full because it has not read for a long time. The next one gets a
            # complete list, so nothing is lost with the words.
            self._kill(zygote)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is dead: what `_hear` is about to find out

    def _hear(self, zygote: Zygote) -> None:
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

    def _take(self, zygote: Zygote, answer: Answer) -> None:
        match answer:
            case Current(request):
                resolve(zygote.checks.pop(request), None)
            case Forked(request, pid):
                waiting = zygote.asked.pop(request)
                # Watched even when its caller was cancelled: somebody has to reap it.
                try:
                    resolve(waiting, self._expect(pid))
                    zygote.forked.add(pid)
                except ProcessLookupError:  # killed and reaped before we heard of it
                    fail(waiting, LostError())
            case NotForked(request, code):
                text = f"no new process: {os.strerror(code)}"
                fail(zygote.asked.pop(request), OSError(code, text))
            case _:
                self._take_news(zygote, answer)

    def _take_news(self, zygote: Zygote, news: Loading | Reads | Ready | Broken | Stale) -> None:
        match news:
            case Loading(module, began):
                zygote.loading, zygote.began = module, began
                zygote.reads.clear()
            case Reads(file):
                zygote.reads.add(os.fsdecode(file))
            case Ready():
                self._attempts, self._was_ready, zygote.loading = Attempts(), True, ""
                zygote.reads.clear()
                resolve(zygote.ready, None)
            case Broken(text, module, trace):
                zygote.loading = module
                self._blame(zygote, text, trace)
            case Stale(file):
                logger.info("%s has changed: what is preloaded is imported again", file)
                self._omitted.clear()
                self._leave(zygote)
            case _:
                assert_never(news)

    def _died(self, zygote: Zygote) -> None:
        asyncio.get_running_loop().remove_reader(zygote.line)
        zygote.line.close()
        self._leaving.discard(zygote)
        if zygote is self._zygote:
            self._zygote = None
            self._replace(zygote)
        zygote.lose()

    def _blame(self, zygote: Zygote, text: str, trace: str = "") -> None:
        """A zygote cannot go on: for a module, the next one does without it."""
        if zygote.loading:
            text = f"preload: {text}"
        if not (self._was_ready and zygote.loading):
            fail(zygote.ready, CannotPreloadError(text, zygote.loading, trace))
            return
        logger.warning(
            "%s. Actors import it for themselves until a file that it reads changes.", text
        )
        self._omitted[zygote.loading] = Imported(zygote.reads, zygote.began)
        fail(zygote.ready, LostError())
        self._leave(zygote)

    def _leave(self, zygote: Zygote) -> None:
        """A zygote is about to end: use the next one."""
        self._leaving.add(zygote)
        if zygote is self._zygote:
            self._zygote = None
        self._try_fresh()

    def _replace(self, dead: Zygote) -> None:
        """Start the next one at once, unless that has failed too often: then a launch does."""
        if self._closed or dead.ready is None:
            return
        if not dead.ready.done():
            if text := self._attempts.died(dead.loading):
                exit_ = None if dead.life is None else dead.life.exit
                text += f"{f' ({exit_})' if exit_ else ''}; see their stderr"
                if self._attempts.module:
                    self._blame(dead, text)
                else:
                    fail(dead.ready, OSError(text))
                return
        elif dead.ready.exception() is not None:
            return  # it could not preload, and neither could another
        self._try_fresh()

    def _try_fresh(self) -> None:
        if self._zygote is None and not self._closed:
            # No process to be had now? Then the next launch tries again, and says if it cannot.
            with suppress(OSError):
                self._start_fresh()

    def _kill(self, zygote: Zygote) -> None:
        if zygote.life is not None and zygote.life.exit is None:
            with suppress(ProcessLookupError):  # what a module has started while it was imported
                os.killpg(zygote.pid, signal.SIGKILL)
        self._reaper.signal(zygote.pid, signal.SIGKILL)

    async def _end(self, zygote: Zygote) -> None:
        if zygote.life is None:  # forked, but never started: the end of its line is enough
            zygote.line.close()
            os.waitpid(zygote.pid, 0)  # noqa: ASYNC222 - nothing to kill, it ends at once
            return
        if zygote.ready is None or not zygote.ready.done():
            self._kill(zygote)  # it hears nothing while it imports what may take for ever
        self._tell(zygote, Quit())
        try:
            async with asyncio.timeout(_END_SECONDS):
                await zygote.life.wait_ended()
        except TimeoutError:
            self._kill(zygote)
            await zygote.life.wait_ended()
        if zygote.line.fileno() >= 0:
            self._hear(zygote)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs
