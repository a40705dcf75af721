"""Serves one client that cannot look into the memory of the computation's host.

    ComputeServer ── shared memory ──► ClientHandler ◄── Look ── a viewer elsewhere
                                                     ── Frame ──►

One frame is under way at a time, and it is the newest of the moment it leaves: a slow client gets
fewer frames, not older ones, and the computation does not notice.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from actors.actor import Actor
from actors.arrays.reader import RingReader
from actors.compute.settings import unknown
from actors.compute.stage import moment_of
from actors.compute.words import DescriptionRequest, Frame, Leave, Look
from actors.control import SUPERVISOR
from actors.errors import NoSuchActor
from actors.handler import receive
from actors.message import message
from actors.notices import Terminated
from actors.ref import ActorRef
from actors.requests import StopActor

LONGEST_LOOK: Final = 10.0
GLANCE_SECONDS: Final = 0.004
"""Seconds between two looks at the ring while a client waits."""


@message(tag="understudy:compute.Serving")
class Serving:
    """From a handler to its computation: I serve this client, or no longer."""

    client: str
    over: bool = False


class ClientHandler(Actor):
    """Reads the rings of a computation for one client, and ends with it."""

    server: ActorRef
    client: ActorRef

    def on_start(self) -> None:
        """Notice when the client goes, or the computation ends for good."""
        self.readers: dict[str, RingReader] = {}
        self.frames: dict[str, Frame] = {}
        self.over = False
        self.context.watch(self.client)
        self.context.watch(self.server)
        if self.context.incarnation > 1:  # its former life may have been restarted by hand
            self._say()

    @receive(concurrent=True)
    async def look(self, msg: Look) -> Frame | None:
        """Return the newest frame when it is later than what the client has.

        Raises `LookupError` for an output that is no array.
        """
        if msg.output not in self.readers:
            await self.open(msg.output)
        end = time.monotonic() + min(msg.seconds, LONGEST_LOOK)
        while True:
            frame = self.newest(msg.output)
            if frame is not None and _order(frame) > msg.after:
                return frame
            if self.over or time.monotonic() >= end:  # an end waits for those who look
                return None
            await asyncio.sleep(GLANCE_SECONDS)

    async def open(self, output: str) -> None:
        """Read an output from now on."""
        description = await self.server.ask(DescriptionRequest())
        arrays = [one.name for one in description.outputs if one.array]
        if output not in arrays:
            raise LookupError(unknown(output, "array", arrays))
        if output not in self.readers:  # nobody else was faster
            self.readers[output] = self.context.frames(self.server, output)

    def newest(self, output: str) -> Frame | None:
        """Return the newest frame of an output."""
        seen = self.readers[output].newest()
        if seen is not None:
            self.frames[output] = Frame(moment_of(seen.meta), seen.array)
        return self.frames.get(output)

    @receive
    def gone(self, msg: Terminated) -> None:
        """End with the client, or with the computation; a life of that which follows is told."""
        if msg.name != self.server.name:
            self._leave()
        elif msg.restarting:
            self._say()
        else:
            self._end()

    @receive
    def leave(self, _msg: Leave) -> None:
        """End: its client has closed what it looked through, and may go on with other things."""
        self._leave()

    def _say(self, *, over: bool = False) -> None:
        with suppress(NoSuchActor):  # a computation that is gone counts nobody any more
            self.server.tell(Serving(self.client.name, over=over))

    def _leave(self) -> None:
        self._say(over=True)
        self._end()

    def _end(self) -> None:
        self.over = True
        self.context.actor(SUPERVISOR).tell(StopActor(self.context.name))


def _order(frame: Frame) -> tuple[int, int]:
    return frame.moment.incarnation, frame.moment.frame
