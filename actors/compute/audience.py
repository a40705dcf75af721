"""Those who use the live superfluid: viewers that look, and a controller that steers."""

from __future__ import annotations

import math
import time
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from actors.actor import Actor
from actors.arrays.spec import Shape
from actors.compute.live import Frame, Newest, Press, Steer
from actors.handler import receive
from actors.message import Request, message
from actors.ref import ActorRef

LOOKS_PER_SECOND: Final = 25.0

TURNS_PER_SECOND: Final = 0.15
"""Turns of the stirrer's target."""

STEERS_PER_SECOND: Final = 20.0


@message
class Look:
    """Time to fetch a frame."""


@message
class Seen:
    """What one viewer has seen so far."""

    frames: int
    incarnations: list[int]
    """Of the servers whose frames it has seen, in order."""
    longest_gap: float
    """Seconds between two frames, at the most."""
    worst_norm: float
    """Largest deviation of a frame's norm from the first one's, relative."""
    disorder: int
    """Frames that were older than the one before, in one incarnation."""
    latency: float
    """Mean seconds from the server's array to the viewer's."""


@message
class SeenRequest(Request[Seen]):
    """What have you seen?"""


@message
class Picture:
    """The frame a viewer has before it now."""

    density: Annotated[NDArray[np.float64], Shape(None, None)]


@message
class PictureRequest(Request[Picture | None]):
    """What do you see?"""


class Viewer(Actor):
    """Fetches the newest frame from its handler and checks it."""

    handler: ActorRef

    def on_start(self) -> None:
        """Begin to look."""
        self.frame: Frame | None = None
        self.seen = Seen(0, [], 0.0, 0.0, 0, 0.0)
        self.norm = 0.0
        self.at = 0.0
        self.context.tell_every(1.0 / LOOKS_PER_SECOND, Look())

    @receive
    async def look(self, _msg: Look) -> None:
        """Fetch the newest frame."""
        before = self.frame
        after = before.number if before is not None else 0
        frame = await self.handler.ask(Newest(after), timeout=10.0)
        if frame is None:
            # A server that went on from its snapshot counts from there again.
            frame = await self.handler.ask(Newest(0), timeout=10.0)
            if frame is None or before is None or frame.incarnation == before.incarnation:
                return
        self.check(frame, before)
        self.frame = frame

    def check(self, frame: Frame, before: Frame | None) -> None:
        """Note what can be seen of a frame."""
        now, seen = time.monotonic(), self.seen
        norm = float(np.sum(frame.density))
        self.norm = self.norm or norm
        gap = now - self.at if self.at else 0.0
        self.at = now
        same = before is not None and before.incarnation == frame.incarnation
        self.seen = Seen(
            seen.frames + 1,
            seen.incarnations if same else [*seen.incarnations, frame.incarnation],
            max(seen.longest_gap, gap),
            max(seen.worst_norm, abs(norm / self.norm - 1)),
            seen.disorder + (same and before is not None and frame.number <= before.number),
            (seen.latency * seen.frames + now - frame.taken) / (seen.frames + 1),
        )

    @receive
    def report(self, _msg: SeenRequest) -> Seen:
        """Say what was seen."""
        return self.seen

    @receive
    def picture(self, _msg: PictureRequest) -> Picture | None:
        """Show the frame of this moment."""
        return None if self.frame is None else Picture(self.frame.density)


@message
class Turn:
    """Time to move the target."""


class Controller(Actor):
    """Moves the stirrer in a circle, live."""

    server: ActorRef
    radius: float
    strength: float = 1.0

    def on_start(self) -> None:
        """Press the stirrer into the fluid, then move it."""
        self.began = time.monotonic()
        self.server.ask(Press(self.strength)).result()
        self.context.tell_every(1.0 / STEERS_PER_SECOND, Turn())

    @receive
    def turn(self, _msg: Turn) -> None:
        """Move the target on along its circle."""
        angle = 2 * math.pi * TURNS_PER_SECOND * (time.monotonic() - self.began)
        self.server.tell(Steer(self.radius * math.cos(angle), self.radius * math.sin(angle)))
