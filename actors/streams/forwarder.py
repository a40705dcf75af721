"""An actor that reads one stream and writes what comes to another.

    detector ═ zmq_pushpull ═► Forwarder ═ zmq_pubsub ═► viewers

It is supervised like any other: killed, it comes back and goes on.  Packets that were on the way
through it then are lost.
"""

from __future__ import annotations

import asyncio
from typing import Final

from actors.actor import Actor
from actors.errors import InvalidMessage
from actors.handler import receive
from actors.message import Request, message
from actors.streams.reader import Reader
from actors.streams.writer import Writer

SLICE: Final = 0.5
"""Seconds that it reads before it looks whether it shall stop."""

PAUSE: Final = 0.005
"""Seconds in which it stops, if it shall: an actor ends when it handles nothing."""

Value = str | int | bool | list[str] | dict[str, str]


@message
class Forward:
    """Go on reading."""


@message
class Passed:
    """What a forwarder has done in this life, in packets."""

    received: int
    sent: int
    dropped: int
    """By its writer: nobody was there, or not ready."""
    invalid: int
    """Were no packets, and were left out; the first is logged."""


@message
class PassedRequest(Request[Passed]):
    """What has passed so far?"""


class Forwarder(Actor):
    """Writes every packet that it reads; a slow target makes it drop, not wait."""

    source: dict[str, Value]
    """Configuration of the reader."""
    target: dict[str, Value]
    """Configuration of the writer."""

    def on_start(self) -> None:
        """Open both ends; what is wrong with them makes the start fail."""
        self._reader, self._writer = Reader(self.source), Writer(self.target)
        self._warned = False
        self._writer.activate()
        self._reader.activate()
        self.context.tell_after(0, Forward())

    @receive(concurrent=True)
    async def forward(self, _msg: Forward) -> None:
        """Forward for a while; other messages are handled meanwhile."""
        try:
            async with asyncio.timeout(SLICE):
                while True:
                    packet = await self._reader.next_async()
                    self._writer.write(packet.meta, packet.data)
        except TimeoutError:
            pass  # of the slice, or the reader's own
        except InvalidMessage as error:
            if not self._warned:  # a stranger must not fill the log
                self._warned = True
                text = "%s: left out: %s; further ones are counted in Passed.invalid"
                self.context.log.warning(text, self._reader.title, error)
        self.context.tell_after(PAUSE, Forward())

    @receive
    def passed(self, _msg: PassedRequest) -> Passed:
        """Count."""
        read, written = self._reader.stats(), self._writer.stats()
        return Passed(read.received, written.sent, written.dropped, read.invalid)

    def on_stop(self, reason: str) -> None:
        """Send what waits, then end."""
        del reason
        self._reader.close()
        self._writer.close()
