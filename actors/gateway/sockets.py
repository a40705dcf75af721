"""One plain ZeroMQ socket, watched by the loop of the actor that has it.

ZeroMQ's descriptor is edge-like: it speaks once, and then only after EVENTS was read.  Sending and
receiving may take that word away from somebody who waits for it, so after each of them EVENTS is
read again, and whoever can go on is woken.  A task receives and a task sends, at most.
"""

from __future__ import annotations

import asyncio
import errno
from enum import Enum
from typing import Final, cast, final

import zmq

from actors.gateway.place import Bind, Place

LARGEST_FRAME: Final = 64 << 20
"""Bytes from which ZeroMQ cuts a connection: it must not fill memory before we can refuse."""

QUEUE: Final = 100
"""Messages of one connection that ZeroMQ keeps for us; the other side keeps the rest."""

BACKLOG: Final = 1_000
"""Messages that ZeroMQ keeps for one who is slow; then a `Push` waits, and a `Pub` leaves out."""

RECEIVE_CAP: Final = 100
"""Messages taken before others have their turn."""

LINGER: Final = 1.0
"""Seconds that what was sent has to leave when the socket is closed."""

_TAKEN: Final = "Somebody has it already: choose another, or end who has it."
_ELSEWHERE: Final = "Give an address of this host, such as 127.0.0.1."
_REMEDIES: Final = {
    errno.EADDRINUSE: _TAKEN,
    errno.EADDRNOTAVAIL: _ELSEWHERE,
    errno.ENODEV: _ELSEWHERE,
    errno.EACCES: "Take a port above 1023, or a path where you may write.",
    errno.ENOENT: "Make its folder first.",
}

_POLLIN: Final = int(zmq.POLLIN)
_POLLOUT: Final = int(zmq.POLLOUT)
_NOBLOCK: Final = int(zmq.NOBLOCK)


@final
class Kind(Enum):
    """What a socket does."""

    ROUTER = zmq.ROUTER
    REQ = zmq.REQ
    PUB = zmq.PUB
    SUB = zmq.SUB
    PUSH = zmq.PUSH
    PULL = zmq.PULL


@final
class PlainSocket:
    """A bound or connected socket.  Everything belongs to the thread of the running loop.

    Whoever sends a frame of more than `largest` bytes is cut off.  Raises `OSError` when the place
    cannot be had, and `RuntimeError` where no loop runs.
    """

    def __init__(
        self,
        kind: Kind,
        place: Place,
        *,
        topics: tuple[bytes, ...] = (),
        largest: int = LARGEST_FRAME,
    ) -> None:
        self._loop = _running_loop()
        # Parties of one process meet in one context; any other socket has a context, and an I/O
        # thread, of its own, which ends with it: so what is on its way can be waited for.
        self._shared = place.endpoint.startswith("inproc:")
        self._context: zmq.Context[zmq.Socket[bytes]] = (
            zmq.Context.instance() if self._shared else zmq.Context()
        )
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._taken = 0
        self._socket = self._context.socket(kind.value)
        try:
            self._socket.setsockopt(zmq.MAXMSGSIZE, largest)
            self._open(kind, place, topics)
            self._descriptor = self._socket.fileno()
            self._loop.add_reader(self._descriptor, self._look)
        except BaseException as error:
            self._free()
            if isinstance(error, zmq.ZMQError):
                raise _refused(place, error) from None
            raise

    def _open(self, kind: Kind, place: Place, topics: tuple[bytes, ...]) -> None:
        socket = self._socket
        socket.setsockopt(zmq.SNDHWM, BACKLOG)
        socket.setsockopt(zmq.RCVHWM, QUEUE)
        socket.setsockopt(zmq.LINGER, 0)
        if kind is Kind.REQ:
            # After a time-out the next question may be asked, and a late answer is not taken for
            # its own: it carries the number of the other question.
            socket.setsockopt(zmq.REQ_RELAXED, 1)
            socket.setsockopt(zmq.REQ_CORRELATE, 1)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        if isinstance(place, Bind):
            socket.bind(place.endpoint)
        else:
            socket.connect(place.endpoint)
        self.endpoint = cast("bytes", socket.getsockopt(zmq.LAST_ENDPOINT)).decode().rstrip("\0")

    # --- what is there

    def _look(self) -> int:
        """Read EVENTS, which makes the descriptor speak again, and wake whoever can go on."""
        events = cast("int", self._socket.get(zmq.EVENTS))
        for flag, waiter in self._waiters.items():
            if events & flag and not waiter.done():
                waiter.set_result(None)
        return events

    async def _until(self, flag: int) -> None:
        while True:
            self._check_open()
            if self._look() & flag:
                return
            waiter = self._waiters[flag] = self._loop.create_future()
            try:
                await waiter
            finally:
                del self._waiters[flag]

    # --- messages

    async def receive(self) -> list[bytes]:
        """Return the next message, whole."""
        self._taken = (self._taken + 1) % RECEIVE_CAP
        if not self._taken:
            await asyncio.sleep(0)
        while True:
            await self._until(_POLLIN)
            try:
                return self._socket.recv_multipart(_NOBLOCK)
            except zmq.Again:
                continue  # a REQ has thrown away the late answer of which EVENTS spoke
            finally:
                self._look()

    async def send(self, frames: list[bytes]) -> None:
        """Send a message as soon as somebody can take it."""
        await self._until(_POLLOUT)
        self.send_now(frames)

    def send_now(self, frames: list[bytes]) -> None:
        """Send a message to whoever can take it now."""
        self._check_open()
        self._socket.send_multipart(frames, _NOBLOCK)
        self._look()

    # --- the end

    @property
    def closed(self) -> bool:
        """Whether nothing comes or goes any more."""
        return self._socket.closed

    def close(self) -> None:
        """Close; what was sent has a second to leave, and who waits is told.  Twice is fine."""
        if not self.closed:
            self._loop.remove_reader(self._descriptor)
            self._free(LINGER)
            for waiter in self._waiters.values():
                if not waiter.done():
                    waiter.set_result(None)

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeError(f"the door at {self.endpoint} is closed: make a new one")

    def _free(self, linger: float = 0.0) -> None:
        self._socket.close(int(linger * 1000))
        if not self._shared:
            self._context.term()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a door lives on the event loop of its actor, and no loop runs here: make it in "
            "on_start, or in a handler"
        ) from None


def _refused(place: Place, error: zmq.ZMQError) -> OSError:
    number = error.errno or 0
    what = "bound" if isinstance(place, Bind) else "connected to"
    remedy = _REMEDIES.get(number, "Choose another.")
    text = f"{place.endpoint} cannot be {what}: {zmq.strerror(number)}. {remedy}"
    return OSError(number, text)
