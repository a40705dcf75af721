"""Live frames of 8 MB: how many the writer writes, and how many its readers see."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import numpy as np

import supervisor
from actors import Actor, ActorRef, Request, message, receive
from supervisor.bench.figures import Figure, compared, rounds

COUNT: Final = 1_000_000
"""Numbers in a frame: 8 MB."""

SECONDS: Final = 0.3
READERS: Final = (1, 3)
COPY: Final = "one memcpy"


@message
class Draw(Request[float]):
    """Write frames for so long; how many were they a second?"""

    seconds: float


@message
class Look(Request[float]):
    """Read frames for so long; how many were they a second?"""

    seconds: float


class Screen(Actor):
    """Writes."""

    def on_start(self) -> None:
        """Make the ring."""
        self.ring = self.context.ring("screen")
        self.picture = np.ones(COUNT)
        self.ring.write(self.picture)

    @receive
    def draw(self, msg: Draw) -> float:
        """Write as fast as it goes."""
        count, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < msg.seconds:
            self.ring.write(self.picture)
            count += 1
        return count / took


class Watcher(Actor):
    """Reads."""

    def on_start(self) -> None:
        """Look for the ring."""
        self.frames = self.context.frames("screen", "screen")
        self.picture = np.empty(COUNT)

    @receive
    async def look(self, msg: Look) -> float:
        """Copy each new frame that is seen."""
        before, begun = self.frames.seen, time.perf_counter()
        while (took := time.perf_counter() - begun) < msg.seconds:
            if self.frames.newest(self.picture) is None:
                await asyncio.sleep(0.0005)
        return (self.frames.seen - before) / took


def rings(repeats: int) -> list[Figure]:
    """Frames a second with one reader and with three."""
    source, target = np.ones(COUNT), np.empty(COUNT)
    read: dict[int, list[float]] = {count: [] for count in (0, *READERS)}

    def copy() -> float:
        turns, begun = 20, time.perf_counter()
        for _ in range(turns):
            np.copyto(target, source)
        return turns / (time.perf_counter() - begun)

    with supervisor.start() as system:
        screen = system.spawn(Screen, name="screen")
        watchers = [system.spawn(Watcher, name=f"watcher-{n}") for n in range(max(READERS))]
        for watcher in watchers:
            _attach(watcher)

        def drawn(readers: int) -> float:
            looks = [watcher.ask(Look(SECONDS)) for watcher in watchers[:readers]]
            written = screen.ask(Draw(SECONDS)).result()
            read[readers].append(sum(look.result() for look in looks) / max(1, readers))
            return written

        found = rounds(
            repeats,
            {"1": lambda: drawn(1), "3": lambda: drawn(3), "alone": lambda: drawn(0)}
            | {"copy": copy},
        )
    copies = found["copy"]
    figures = [
        compared("8 MB frames written, no reader", "/s", found["alone"], copies, beside=COPY)
    ]
    for count in READERS:
        name = f"8 MB frames, {count} reader{'s' * (count > 1)}"
        figures += [
            compared(f"{name}: written", "/s", found[str(count)], copies, beside=COPY),
            compared(f"{name}: seen by each", "/s", read[count][1:], copies, beside=COPY),
        ]
    return figures


def _attach(watcher: ActorRef) -> None:
    """Have it read once, so that it has found the ring."""
    while not watcher.ask(Look(0.05)).result():
        pass
