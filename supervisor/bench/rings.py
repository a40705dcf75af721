"""Live frames of 8 MB: how many the writer writes, and how many its readers see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

import supervisor
from actors import Actor, ActorRef, Request, message, receive
from supervisor.bench.figures import Figure, compared, rounds

COUNT: Final = 1_000_000
"""Numbers in a frame: 8 MB."""

SECONDS: Final = 0.3
READERS: Final = (1, 3)
BEAT: Final = np.zeros(1)

OURS: Final = "ours"
APART: Final = "as many copies, no ring"
COPY: Final = "one memcpy"
IN_TURN: Final = "memcpy to two places in turn"
TURNS: Final = 20

Rates: TypeAlias = tuple[float, float]
"""Frames a second that were written, and that each reader has seen."""


@message
class Draw(Request[float]):
    """Write frames for so long; how many were they a second?"""

    seconds: float
    shared: bool
    """Into the ring; else into memory of its own, and the ring only says that it is done."""


@message
class Look(Request[float]):
    """Copy frames for so long; how many were they a second?"""

    seconds: float
    shared: bool
    """Out of the ring; else memory of its own, whenever the ring says that a frame is done."""


class Screen(Actor):
    """Writes."""

    def on_start(self) -> None:
        """Make the rings."""
        self.picture, self.own = np.ones(COUNT), np.empty(COUNT)
        self.ring, self.beat = self.context.ring("screen"), self.context.ring("beat")
        self.ring.write(self.picture)
        self.beat.write(BEAT)

    @receive
    def draw(self, msg: Draw) -> float:
        """Write as fast as it goes."""
        write = self.write if msg.shared else self.write_here
        count, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < msg.seconds:
            write()
            count += 1
        return count / took

    def write(self) -> None:
        """For everybody."""
        self.ring.write(self.picture)

    def write_here(self) -> None:
        """For nobody."""
        np.copyto(self.own, self.picture)
        self.beat.write(BEAT)


class Watcher(Actor):
    """Reads."""

    def on_start(self) -> None:
        """Look for the rings."""
        self.frames = self.context.frames("screen", "screen")
        self.beats = self.context.frames("screen", "beat")
        self.picture, self.own = np.empty(COUNT), np.ones(COUNT)

    @receive
    async def look(self, msg: Look) -> float:
        """Copy each new frame that is seen."""
        copy = self.copy if msg.shared else self.copy_own
        count, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < msg.seconds:
            if copy():
                count += 1
            else:
                await asyncio.sleep(0.0005)
        return count / took

    def copy(self) -> bool:
        """Copy a frame, if there is a new one."""
        return self.frames.newest(self.picture) is not None

    def copy_own(self) -> bool:
        """Copy as much, when there would be a new one."""
        if self.beats.newest() is None:
            return False
        np.copyto(self.picture, self.own)
        return True


def rings(repeats: int, others: Mapping[str, Callable[[int], Rates]] | None = None) -> list[Figure]:
    """Frames a second with one reader and with three.

    Beside each stand the same copies without a ring: as many processes copy as many frames, each
    in memory of its own.  `others` are further rings; each is called with a number of readers.
    """
    with supervisor.start() as system:
        screen = system.spawn(Screen, name="screen")
        watchers = [system.spawn(Watcher, name=f"watcher-{n}") for n in range(max(READERS))]
        for watcher in watchers:
            _attach(watcher)

        def drawn(readers: int, *, shared: bool) -> Rates:
            looks = [watcher.ask(Look(SECONDS, shared)) for watcher in watchers[:readers]]
            written = screen.ask(Draw(SECONDS, shared)).result()
            return written, sum(look.result() for look in looks) / max(1, readers)

        kinds = {OURS: partial(drawn, shared=True), APART: partial(drawn, shared=False)}
        return _played(repeats, {**kinds, **(others or {})})


def _played(repeats: int, kinds: Mapping[str, Callable[[int], Rates]]) -> list[Figure]:
    seen: dict[str, list[float]] = {}

    def drawn(kind: str, readers: int) -> float:
        written, looked = kinds[kind](readers)
        seen.setdefault(f"{kind} {readers}", []).append(looked)
        return written

    source, first, second = np.ones(COUNT), np.empty(COUNT), np.empty(COUNT)
    variants: dict[str, Callable[[], float]] = {
        COPY: partial(_copies, source, first),
        IN_TURN: partial(_copies, source, first, second),
    }
    for count in (0, *READERS):
        variants |= {f"{kind} {count}": partial(drawn, kind, count) for kind in kinds}
    found = rounds(repeats, variants)
    figures: list[Figure] = []
    for count in (0, *READERS):
        name = f"8 MB frames, {count or 'no'} reader{'s' * (count > 1)}"
        written, read = found[f"{OURS} {count}"], seen[f"{OURS} {count}"][1:]
        beside = {COPY: found[COPY], **({} if count else {IN_TURN: found[IN_TURN]})}
        beside |= {kind: found[f"{kind} {count}"] for kind in kinds if kind != OURS}
        figures += [
            compared(f"{name}: written", "/s", written, other, beside=kind)
            for kind, other in beside.items()
        ]
        figures += [
            compared(f"{name}: seen by each", "/s", read, seen[f"{kind} {count}"][1:], beside=kind)
            for kind in kinds
            if count and kind != OURS
        ]
    return figures


def _copies(source: npt.NDArray[np.float64], *targets: npt.NDArray[np.float64]) -> float:
    """Return how often a second a frame is copied, to one target after the other."""
    begun = time.perf_counter()
    for turn in range(TURNS):
        np.copyto(targets[turn % len(targets)], source)
    return TURNS / (time.perf_counter() - begun)


def _attach(watcher: ActorRef) -> None:
    """Have it read once, so that it has found the ring."""
    for shared in (True, False):
        while not watcher.ask(Look(0.05, shared)).result():
            pass
