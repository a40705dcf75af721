"""The reading end of a stream."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, final

from actors.streams.carrier import ReaderCarrier
from actors.streams.carriers import reader_carrier
from actors.streams.configuration import Role
from actors.streams.data import Data
from actors.streams.end import End
from actors.streams.packet import Buffer, Packet, unpack

SLICE: Final = 0.1
"""Seconds that asyncio's readers wait in their thread, so that a program can end."""


@final
class Reader(End[ReaderCarrier]):
    """Reads packets.

        with Reader({"class_name": "zmq_pubsub", "endpoint": "tcp://localhost:15000"}) as reader:
            for packet in reader:
                print(packet.meta, packet.data.nbytes)

    Making one does nothing yet; `activate`, `with` or the first read opens it.  It may come before
    its writer, and goes on with the writer's next life.  Iterating never ends by itself; `async
    for` does the same in asyncio code and `async` handlers.  For one thread at a time, but `close`
    may be called from any.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        """Check a configuration (docs/reference/streams.md has the keys).

        Raises:
            TypeError: it is no dict.
            ValueError: a key is missing or wrong.
        """
        super().__init__(configuration, Role.READER)
        self._topics = self._configuration.topics
        self._thread: ThreadPoolExecutor | None = None
        self._coming: Future[Packet | None] | None = None
        """What the thread is to bring, after a waiting that was cancelled."""
        self._awaited = False

    def read(self, meta: dict[str, Any], data: Data, *, clear: bool = False) -> None:
        """Wait for a packet; put its items into `meta` and its bytes into `data.memoryview`.

        Other items of `meta` stay, unless `clear`.  When `recv_timeout_milliseconds` has passed
        without a packet, `meta` is empty and `data.memoryview` None.

        Raises:
            InvalidMessage: what came is no packet; the next read goes on with the next.
        """
        if not isinstance(data, Data):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"data: expected a Data to put bytes into, got {type(data).__name__}")
        packet = self._receive(self._configuration.timeout)
        if clear or packet is None:
            meta.clear()
        if packet is not None:
            meta.update(packet.meta)
        data.memoryview = None if packet is None else packet.data

    def next(self, timeout: float | None = None) -> Packet:
        """Return the next packet.

        Args:
            timeout: Seconds; None for the configuration's, or for ever.

        Raises:
            TimeoutError: the built-in one: there was none.
            InvalidMessage: what came is no packet; the next read goes on with the next.
            RuntimeError: it was closed.
        """
        timeout = self._configuration.timeout if timeout is None else timeout
        packet = self._receive(timeout)
        if packet is None:
            raise self._nothing(timeout)
        return packet

    async def next_async(self) -> Packet:
        """Return the next packet, in asyncio code; raises as `next` does.

        Nothing is lost when the waiting is cancelled, as `asyncio.timeout` does: whoever waits
        next gets the packet.  One task waits at a time: for a second one it is a `RuntimeError`.
        """
        if self._awaited:
            raise RuntimeError(f"{self.title}: another task waits for the next packet")
        self._awaited = True
        try:
            return await self._next()
        finally:
            self._awaited = False

    async def _next(self) -> Packet:
        timeout = self._configuration.timeout
        loop = asyncio.get_running_loop()
        end = math.inf if timeout is None else loop.time() + timeout
        while True:
            packet = await self._arrival(min(SLICE, max(0.0, end - loop.time())))
            if packet is not None:
                return packet
            if self._closed:
                raise RuntimeError(f"{self.title} was closed while it was read")
            if loop.time() >= end:
                raise self._nothing(timeout)

    async def _arrival(self, seconds: float) -> Packet | None:
        coming, self._coming = self._coming, None
        if coming is None or coming.cancelled():
            coming = self._ask(seconds)
        try:
            return await asyncio.wrap_future(coming)
        except asyncio.CancelledError:
            self._coming = coming  # for whoever waits next, maybe in another loop
            raise

    def __iter__(self) -> Iterator[Packet]:
        """Return the packets as they come, in plain code."""
        while True:
            yield self.next()

    async def __aiter__(self) -> AsyncIterator[Packet]:
        """Return the packets as they come, in asyncio code."""
        while True:
            yield await self.next_async()

    def close(self) -> None:
        """End; whoever waits for a packet in another thread is told.  Twice is fine."""
        super().close()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _new_carrier(self) -> ReaderCarrier:
        return reader_carrier(self._configuration, self._unpack)

    def _receive(self, timeout: float | None) -> Packet | None:
        packet = self._opened().receive(math.inf if timeout is None else max(0.0, timeout))
        if packet is None and self._closed:
            raise RuntimeError(f"{self.title} was closed while it was read")
        return packet

    def _ask(self, seconds: float) -> Future[Packet | None]:
        carrier = self._opened()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, f"understudy {self.title}")
        return self._thread.submit(carrier.receive, seconds)

    def _unpack(self, parts: Sequence[Buffer]) -> Packet | None:
        packet = unpack(parts)
        topic = packet.meta.get("topic")  # whatever JSON can say
        wanted = not self._topics or (isinstance(topic, str) and topic in self._topics)
        return packet if wanted else None

    def _nothing(self, timeout: float | None) -> TimeoutError:
        given = "" if timeout is None else f" within {timeout:g} s"
        return TimeoutError(f"{self.title}: no packet came{given}")
