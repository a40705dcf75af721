"""A superfluid that runs live: the compute server, and one handler for each of its clients.

    controller ── Steer ──► FluidServer ── Frames, ──► FluidHandler 1 ◄── Newest ── viewer 1
                                        a stream   ──► FluidHandler 2 ◄── Newest ── viewer 2

The server steps; a handler keeps the newest frame for its client, so a slow client costs the
server nothing.  The server's state is kept as a snapshot: when it is killed, its next incarnation
goes on from there, and the handlers subscribe again by themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from actors.actor import Actor
from actors.arrays.spec import Shape
from actors.compute.medium import Grid, Medium
from actors.compute.state import State
from actors.compute.stirrer import Finger
from actors.compute.superfluid import STEPS_PER_FRAME, Superfluid
from actors.errors import ActorError, OutcomeUnknown
from actors.handler import receive
from actors.log import logger
from actors.message import Request, StreamRequest, message
from actors.ref import ActorRef

FRAMES_PER_SECOND: Final = 30.0

PAUSE_SECONDS: Final = 0.02
"""Before a server whose stream has ended is asked again; one may end it at once, for ever."""


@message
class Frame:
    """One picture of the fluid."""

    number: int
    """Frames since the very beginning, restarts included."""
    incarnation: int
    """Of the server that computed it."""
    time: float
    """Of the simulation."""
    taken: float
    """Seconds, `time.monotonic` of the server's host."""
    density: Annotated[NDArray[np.float64], Shape(None, None)]


@message
class Health:
    """How well the computation conserves what must be conserved."""

    incarnation: int
    frames: int
    steps: int
    """Steps of this incarnation."""
    steps_per_second: float
    norm_drift: float
    """(N - N0) / N0 since the very beginning."""
    energy_drift: float
    """(E - E0 - work) / E0 since the very beginning."""
    resumed_from: int
    """The frame a snapshot brought back; 0 for a fresh start."""
    strength: float
    """Of the stirrer now, in chemical potentials."""


@message
class Checkpoint:
    """What the next incarnation needs to go on."""

    state: State
    frames: int
    norm: float
    """At the very beginning."""
    energy: float


@message
class Advance:
    """Compute the next frame."""


@message
class Frames(StreamRequest[Frame]):
    """Send every new frame; a reader that is slow misses some."""


@message
class HealthRequest(Request[Health]):
    """How does the computation fare?"""


@message
class Steer:
    """Move the stirrer's target."""

    x: float
    y: float


@message
class Press(Request[None]):
    """Change the stirrer's strength, in chemical potentials."""

    strength: float


class FluidServer(Actor):
    """Solves the Gross-Pitaevskii equation, a frame at a time."""

    size: int = 64
    frames_per_second: float = FRAMES_PER_SECOND

    snapshot_seconds = 0.5

    def on_start(self) -> None:
        """Begin with the fluid at rest, its density that of the pressed stirrer."""
        medium = Medium(grid=Grid(nx=self.size, ny=self.size))
        self.fluid = Superfluid(medium, Finger(strength=0.0))
        self.norm, self.energy = self.fluid.norm(), self.fluid.energy()
        self.frames = self.steps = self.resumed_from = 0
        self.began = time.monotonic()
        self.frame: Frame | None = None
        self.news = asyncio.Event()
        self.context.tell_every(1.0 / self.frames_per_second, Advance())

    def snapshot(self) -> Checkpoint:
        """Keep everything, to the bit."""
        return Checkpoint(self.fluid.state(), self.frames, self.norm, self.energy)

    def restore(self, state: Checkpoint) -> None:
        """Go on where the former incarnation was at its last snapshot."""
        self.fluid = Superfluid.from_state(state.state)
        self.frames = self.resumed_from = state.frames
        self.norm, self.energy = state.norm, state.energy

    @receive
    def advance(self, _msg: Advance) -> None:
        """Compute a frame and wake whoever waits for it."""
        self.fluid.step(STEPS_PER_FRAME)
        self.steps += STEPS_PER_FRAME
        self.frames += 1
        self.frame = Frame(
            self.frames,
            self.context.incarnation,
            self.fluid.time,
            time.monotonic(),
            self.fluid.density(),
        )
        self.news.set()
        self.news = asyncio.Event()

    @receive
    async def watch(self, _msg: Frames) -> AsyncIterator[Frame]:
        """Send the newest frame, each once."""
        sent = 0
        while True:
            if self.frame is None or self.frame.number == sent:
                await self.news.wait()
                continue
            sent = self.frame.number
            yield self.frame

    @receive
    def health(self, _msg: HealthRequest) -> Health:
        """Compare with the beginning."""
        fluid = self.fluid
        return Health(
            self.context.incarnation,
            self.frames,
            self.steps,
            self.steps / (time.monotonic() - self.began),
            fluid.norm() / self.norm - 1,
            (fluid.energy() - self.energy - fluid.work) / self.energy,
            self.resumed_from,
            fluid.finger.strength if fluid.finger else 0.0,
        )

    @receive
    def steer(self, msg: Steer) -> None:
        """Move the stirrer's target."""
        self.fluid.aim(msg.x, msg.y)

    @receive
    def press(self, msg: Press) -> None:
        """Change the stirrer's strength."""
        self.fluid.press(msg.strength)


@message
class Newest(Request[Frame | None]):
    """The newest frame that the client has not had; None when there is none yet."""

    after: int
    """Number of the frame the client had last."""


class FluidHandler(Actor):
    """Serves one client: keeps the newest frame for it."""

    server: ActorRef

    def on_start(self) -> None:
        """Follow the server from now on, whichever incarnation it has."""
        self.frame: Frame | None = None
        self.following = asyncio.get_running_loop().create_task(self.follow())

    async def follow(self) -> None:
        """Keep the newest frame, of whichever life; until the server is gone for good."""
        while True:
            try:
                async for frame in self.server.stream(Frames()):
                    self.frame = frame
            except OutcomeUnknown:
                pass  # its next incarnation takes the request as soon as it is up
            except ActorError as error:
                logger.info("a client is shown no further frames: %s", error)
                return
            await asyncio.sleep(PAUSE_SECONDS)

    @receive
    def newest(self, msg: Newest) -> Frame | None:
        """Hand out the newest frame."""
        if self.frame is None or self.frame.number <= msg.after:
            return None
        return self.frame
