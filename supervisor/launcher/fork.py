"""Children in milliseconds: forked from a zygote, one of them always in advance.

    lay wires ─► Fork ─► Forked(pid) ─► watch pid ─► [spare] ─► send order ─► Launched
       ▲                    │
       └── zygote died ◄────┘   the next one is already being started

A child runs nothing before its order came, and its order is sent only when its pid is known here.
So a launch that a dying zygote cut off is repeated with fresh wires; the first child, if there
was one, finds its lifeline closed and ends. And so a child can be forked before anybody wants it:
one spare always waits in the wings, which makes replacing a fallen actor a matter of a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from supervisor.launcher.child import pack_order
from supervisor.launcher.order import Launched, Life, Order
from supervisor.launcher.promises import LostError
from supervisor.launcher.reaper import Reaper
from supervisor.launcher.wires import Wires
from supervisor.launcher.zygote import Theirs
from supervisor.launcher.zygotes import Zygotes

PRELOAD: Final = (
    "actors.process", "supervisor", "numpy", "zmq", "msgspec", "attrs", "psutil", "asyncio",
)  # fmt: skip
"""What every child needs, imported once; whoever writes actors imports `supervisor` beside them."""

NOTHING: Final = Theirs()

_AT_ONCE: Final = 32  # forks under way; more would only fill the socket with descriptors
_ATTEMPTS: Final = 5

Bare = tuple[Wires, Life]
"""A child without an order."""


@final
class ForkLauncher:
    """Launches by forking a warm zygote, and gets a new zygote whenever one dies.

    One loop only; the thread it runs in must stay, because children die with it. The process
    becomes the parent of its orphaned descendants.
    """

    def __init__(
        self,
        *,
        preload: Sequence[str] = PRELOAD,
        theirs: Theirs = NOTHING,
        spare: bool = True,
        reaper: Reaper | None = None,
    ) -> None:
        self._own_reaper: Final = reaper is None
        self._reaper: Final = Reaper(strays=True) if reaper is None else reaper
        self._zygotes: Final = Zygotes(preload, theirs, self._reaper)
        self._turns: Final = asyncio.Semaphore(_AT_ONCE)
        self._keeps_spare: Final = spare
        self._spare: asyncio.Task[Bare | None] | None = None  # None result: it was refused
        self._closed = False

    @property
    def zygote_pid(self) -> int | None:
        """Process id of the zygote in use, None where there is none at the moment."""
        return self._zygotes.pid

    def fork_zygote(self) -> None:
        """Fork the zygote from this process; does nothing when it has threads already.

        Best called early, before the loop: what this process has in memory, all children have.
        numpy's OpenBLAS counts: imported without OPENBLAS_NUM_THREADS=1 it has threads.
        """
        self._zygotes.fork_here()

    async def start(self, *, threads_exist: bool = True) -> None:
        """Have a zygote that has everything preloaded. A `launch` without it gets one, too.

        Args:
            threads_exist: false allows to fork it from this process, if that is still safe.

        Raises:
            CannotPreloadError: a module to preload cannot be imported, or not be shared.
            OSError: no zygote can be started.
        """
        await self._zygotes.start(threads_exist=threads_exist)
        self._want_spare()

    def guard(self, directory: Path | str) -> None:
        """Have `directory` removed should this process die without `close`."""
        self._zygotes.guard(directory)

    async def launch(self, order: Order, /) -> Launched:
        """Start a child; returns when it is on its way into its entry.

        The death of a zygote meanwhile costs time and nothing else. When cancelled, the child
        ends without having run anything, or with its lifeline.

        Raises:
            OSError: the system refuses another process; the text says why.
            ImportError: there never was a zygote, for it cannot preload a module.
            LookupError: no such entry.
        """
        data = pack_order(order)
        if order.current:
            await self._zygotes.check()
        wires, life = await self._take_spare(order) or await self._fork()
        try:
            await wires.send(data, list(order.fds.values()))
        except BaseException:
            wires.cut()
            raise
        finally:
            self._want_spare()
        return self._reaper.launched(life, wires)

    async def close(self) -> None:
        """Kill what still lives, end the zygote, release everything. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.cancel()
            spare.add_done_callback(_cut)
            await asyncio.wait([spare])
        await self._zygotes.close()
        await self._reaper.settle()
        if self._own_reaper:
            self._reaper.close()

    async def _fork(self) -> Bare:
        async with self._turns:
            for _ in range(_ATTEMPTS):
                wires = Wires.lay()
                try:
                    life = await self._zygotes.fork(wires.child_ends)
                except LostError:
                    wires.cut()
                except BaseException:
                    wires.cut()
                    raise
                else:
                    wires.close_child_ends()
                    return wires, life
        raise OSError(f"cannot start a process: {_ATTEMPTS} zygotes died while forking it")

    def _want_spare(self) -> None:
        if self._keeps_spare and self._spare is None and not self._closed:
            self._spare = asyncio.create_task(self._make_spare())

    async def _make_spare(self) -> Bare | None:
        try:
            return await self._fork()
        except (OSError, ImportError):
            return None  # the launch that needs one says so

    async def _take_spare(self, order: Order) -> Bare | None:
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        try:
            bare = await spare
        except asyncio.CancelledError:
            spare.add_done_callback(_cut)  # cancelled too, or finished at the same moment
            raise
        if bare is None:
            return None
        wires, life = bare
        if life.exit is None and (not order.current or self._zygotes.is_current(life)):
            return bare
        wires.cut()
        return None


def _cut(spare: asyncio.Task[Bare | None]) -> None:
    bare = None if spare.cancelled() else spare.result()
    if bare is not None:
        bare[0].cut()
