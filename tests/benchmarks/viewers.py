"""What viewers of a computation see, and what they cost it: through shared memory, and by tcp."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from contextlib import ExitStack
from unittest.mock import patch

import attrs
import numpy as np
from numpy.typing import NDArray

import supervisor
from actors import Actor, ActorRef, Request, message, receive
from actors.compute.client import Computation, View
from actors.compute.interface import output
from actors.compute.server import ComputeServer
from supervisor.bench.figures import Figure, compared, rounds

SIDES = (64, 256, 1024)
COUNTS = (1, 2, 4, 8)
SECONDS = 1.0
FRAMES_PER_SECOND = 30.0
STEPS_PER_FRAME = 10
STEP_SECONDS = 0.002
"""Ten of them fill 60 % of the time between two frames."""

ALONE = "nobody looks"


@message
class Watch(Request[float]):
    """Look on for so long; how many frames did you see a second?"""

    seconds: float


class Plate(ComputeServer):
    """Does as much in a step as takes a processor 2 ms, on an array of this size."""

    side: int = attrs.field(default=64, on_setattr=attrs.setters.frozen)

    def begin(self) -> None:
        self.plate = np.ones((self.side, self.side))
        begun, passes = time.perf_counter(), 0
        while time.perf_counter() - begun < 0.2:
            self.work()
            passes += 1
        self.passes = max(1, round(passes * STEP_SECONDS / (time.perf_counter() - begun)))

    def work(self) -> None:
        np.multiply(self.plate, 1.0, out=self.plate)

    def step(self) -> None:
        for _ in range(self.passes):
            self.work()

    @output
    def picture(self) -> NDArray[np.float64]:
        """The plate."""
        return self.plate


class Onlooker(Actor):
    """Looks at each new frame, in a process of its own."""

    plate: str

    def on_start(self) -> None:
        self.frames = self.context.frames(self.plate, "picture")

    @receive
    async def watch(self, msg: Watch) -> float:
        seen, end = self.frames.seen, time.perf_counter() + msg.seconds
        while time.perf_counter() < end:
            if self.frames.newest() is None:
                await asyncio.sleep(0.002)
        return (self.frames.seen - seen) / msg.seconds


def viewers(repeats: int) -> list[Figure]:
    """Frames a viewer sees, and steps the computation makes, with 0 to 8 viewers."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        keys = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(patch.dict(os.environ, UNDERSTUDY_KEYS=f"{keys}/keys"))
        host = stack.enter_context(supervisor.start(listen="tcp://127.0.0.1:*"))
        (endpoint,) = host.status().listening
        guests = [stack.enter_context(supervisor.connect(endpoint)) for _ in range(max(COUNTS))]
        for side in SIDES:
            figures += _side(host, guests, side, max(1, repeats // 5))
    return figures


def _side(
    host: supervisor.System, guests: list[supervisor.System], side: int, repeats: int
) -> list[Figure]:
    name = f"plate-{side}"
    plate = host.spawn(
        Plate,
        name=name,
        side=side,
        steps_per_frame=STEPS_PER_FRAME,
        frames_per_second=FRAMES_PER_SECOND,
    )
    near = [host.spawn(Onlooker, name=f"{name}-{n}", plate=name) for n in range(max(COUNTS))]
    far = [Computation(guest, name).view("picture", by_message=True) for guest in guests]
    seen: dict[str, list[float]] = {}

    def looked_at(road: str, count: int) -> float:
        before, begun = Computation(host, name).heartbeat().steps, time.perf_counter()
        rate = _near(near[:count]) if road == "shared" else _far(far[:count])
        steps = Computation(host, name).heartbeat().steps - before
        seen.setdefault(f"{road} {count}", []).append(rate)
        return steps / (time.perf_counter() - begun)

    variants = {
        f"{road} {count}": lambda road=road, count=count: looked_at(road, count)
        for road in ("shared", "tcp")
        for count in COUNTS
    }
    steps = rounds(repeats, {ALONE: lambda: looked_at("shared", 0), **variants})
    for view in far:
        view.close()
    for ref in (*near, plate):
        host.stop(ref)
    figures = [compared(f"{side}^2: steps, {ALONE}", "/s", steps[ALONE])]
    for variant in variants:
        rates = seen[variant][1:]
        title = f"{side}^2, {variant} viewer{'s' * (not variant.endswith(' 1'))}"
        figures += [
            compared(f"{title}: steps", "/s", steps[variant], steps[ALONE], beside=ALONE),
            compared(f"{title}: frames seen", "/s", rates),
        ]
    return figures


def _near(onlookers: list[ActorRef]) -> float:
    replies = [onlooker.ask(Watch(SECONDS)) for onlooker in onlookers]
    if not replies:
        time.sleep(SECONDS)
    return sum(reply.result() for reply in replies) / max(1, len(replies))


def _far(views: list[View]) -> float:
    counts: list[int] = []

    def look(view: View) -> None:
        count, end = 0, time.perf_counter() + SECONDS
        while (left := end - time.perf_counter()) > 0:
            try:
                view.wait(left)
            except TimeoutError:
                break
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=look, args=(view,)) for view in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS / len(views)
