"""Direct connections of one host without ZeroMQ: stream sockets of AF_UNIX.

    send      straight into the kernel; what it has no room for leaves from a thread of its own
    receive   what has arrived on any of them, and which have ended

ZeroMQ hands each message to a thread of its own, on either side; here the party's own thread writes
to and reads from the kernel, which saves half of the hand-overs of a round trip.  What the kernel
has taken is in the receiver's buffer, and stays there when the sender is killed.

All sockets are watched by one epoll descriptor, which a loop or a poll watches in turn.  It goes on
speaking of what is not taken.
"""

from __future__ import annotations

import itertools
import mmap
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from actors.errors import MessageError
from actors.framing import Assembler, Message, Received, head
from actors.link import Road
from actors.waker import Waker

SCHEME: Final = "unix://"

PORTION: Final = 128 << 10
"""Bytes read at once."""

MOST_PORTIONS: Final = 8
"""Read from one connection before the others have their turn."""

MOST_LINES: Final = 320
"""Connections that others have made to us; `roads.MOST_ROADS` of them are of use."""

MOST_EVENTS: Final = 64
"""Connections looked at in one turn."""

SMALL: Final = 16 << 10
"""Bytes of a frame that is rather copied behind its head than given to the kernel on its own."""

MOST_GATHERED: Final = 512
"""Pieces given to the kernel at once; it takes 1,024 at the most."""


def available() -> bool:
    """Whether this platform has all that is needed."""
    wanted = os.environ.get("UNDERSTUDY_LOCAL_SOCKETS", "1") != "0"
    return wanted and hasattr(select, "epoll") and hasattr(socket, "AF_UNIX")


@final
class Line:
    """One connection."""

    __slots__ = ("assembler", "dialled", "id", "socket", "waiting")

    def __init__(self, line_id: bytes, connected: socket.socket, *, dialled: bool) -> None:
        self.id = line_id
        self.dialled = dialled
        self.socket = connected
        self.assembler = Assembler()
        self.waiting: deque[memoryview] = deque()
        """What the kernel had no room for: only its owner adds, only the outflow takes."""


@final
class LocalSockets:
    """The direct connections of one party, made by it and by others.  For one thread."""

    def __init__(self, path: str = "") -> None:
        """Listen at `path`, if there is one.

        Raises:
            OSError: no socket can be there.
        """
        self._epoll = select.epoll()
        self._listener = _listen(path) if path else None
        self.endpoint = f"{SCHEME}{path}" if path else ""
        self._path = path
        self.descriptor = self._epoll.fileno()
        self._lines: dict[int, Line] = {}
        """By descriptor."""
        self._dialled: dict[bytes, Line] = {}
        self._accepted: dict[bytes, Line] = {}
        self._deaf = False
        """Whether the listener is not watched: there was no descriptor for who wanted to come."""
        self._serial = 0
        # A map and not a bytearray: what is never received into takes no memory.
        self._buffer = memoryview(mmap.mmap(-1, PORTION))
        self._outflow: Outflow | None = None
        """Made when a receiver is behind for the first time."""
        self.ended: deque[Line] = deque()
        """Connections that are over, for whoever used them."""
        self.knows: Callable[[bytes], bool] = lambda _line_id: True
        """Whether the other end of a connection has said who he is."""
        if self._listener is not None:
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)

    # --- connections -----------------------------------------------------------------------------

    def dial(self, road: Road) -> None:
        """Connect to a road's endpoint; where nobody listens, sending will fail."""
        try:
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError:  # no descriptors are left
            return
        try:
            connected.setblocking(False)
            connected.connect(road.endpoint.removeprefix(SCHEME))
        except OSError:  # nobody is there, or too many wait to be let in
            connected.close()
            return
        line = Line(road.id, connected, dialled=True)
        self._dialled[road.id] = line
        self._watch(line)

    def hang_up(self, road: Road) -> None:
        """End the connection that a road has dialled, if it has not ended by itself."""
        line = self._dialled.get(road.id)
        if line is not None:
            self._end(line)

    def _watch(self, line: Line) -> None:
        self._lines[line.socket.fileno()] = line
        self._epoll.register(line.socket.fileno(), select.EPOLLIN)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no descriptors are left; it would be said again and again
                self._epoll.modify(listener.fileno(), 0)
                self._deaf = True
                return
            if len(self._accepted) >= MOST_LINES and not self._make_room():
                connected.close()
                continue
            connected.setblocking(False)
            self._serial += 1
            line = Line(b"line%d" % self._serial, connected, dialled=False)
            self._accepted[line.id] = line
            self._watch(line)

    def _make_room(self) -> bool:
        """End the oldest connection of somebody who has not said who he is; whether one was."""
        stranger = next((line for line in self._accepted.values() if not self.knows(line.id)), None)
        if stranger is None:
            return False
        self._end(stranger)
        return True

    def _end(self, line: Line) -> None:
        descriptor = line.socket.fileno()
        if self._lines.pop(descriptor, None) is None:
            return
        (self._dialled if line.dialled else self._accepted).pop(line.id, None)
        self._epoll.unregister(descriptor)
        if self._outflow is not None:
            self._outflow.forget(line)
        _break(line)
        line.socket.close()
        self._listen_again()

    def _listen_again(self) -> None:
        """There may be a descriptor again for who wants to come."""
        if self._deaf and self._listener is not None:
            self._deaf = False
            self._epoll.modify(self._listener.fileno(), select.EPOLLIN)

    # --- messages --------------------------------------------------------------------------------

    def send(self, road: Road, message: Message) -> None:
        """Send one message.

        One that its connection does not take any more is lost: that the connection has ended is
        told when all that has arrived on it is taken.

        Raises:
            BrokenPipeError: there is no such connection any more.
        """
        line = (self._dialled if road.dialled else self._accepted).get(road.id)
        if line is None:
            raise BrokenPipeError
        parts: list[bytes | memoryview] = [head(message), *message]
        if len(parts) == 2 and len(parts[1]) < SMALL:  # noqa: PLR2004 - a head and a lone frame
            parts = [b"".join(parts)]
        if line.waiting:  # nothing may overtake it
            self._send_later(line, parts, 0)
            return
        try:
            sent = line.socket.sendmsg(parts[:MOST_GATHERED], (), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            _break(line)
            return
        if len(parts) > 1 or sent < len(parts[0]):
            self._send_later(line, parts, sent)

    def _send_later(self, line: Line, parts: Message, sent: int) -> None:
        total = sum(memoryview(part).nbytes for part in parts)
        if sent < total:
            if self._outflow is None:
                try:
                    self._outflow = Outflow()
                except (OSError, RuntimeError):  # no descriptors, or no threads, are left
                    _break(line)  # half of a message is of no use to anybody
                    return
            self._outflow.add(line, parts, sent)

    def receive(self) -> tuple[list[Received], bool]:
        """Return the messages that have arrived, and whether more may wait."""
        received: list[Received] = []
        self._listen_again()
        ready = self._epoll.poll(0, MOST_EVENTS)
        more = len(ready) == MOST_EVENTS
        for descriptor, _ in ready:
            line = self._lines.get(descriptor)
            if line is not None:
                more |= self._read(line, received)
            elif self._listener is not None:
                self._accept(self._listener)
                more |= not self._deaf
        return received, more

    def _read(self, line: Line, received: list[Received]) -> bool:
        for _ in range(MOST_PORTIONS):
            try:
                size = line.socket.recv_into(self._buffer)
            except BlockingIOError:
                return False
            except OSError:
                size = 0
            if not size:
                self._fail(line)
                return False
            try:
                messages = line.assembler.feed(self._buffer[:size])
            except MessageError:
                self._fail(line)
                return False
            for message in messages:
                message.insert(0, line.id)
                received.append((line.dialled, message))
            if size < PORTION:
                return False
        return True

    def _fail(self, line: Line) -> None:
        self.ended.append(line)
        self._end(line)

    def close(self, linger: float = 0.0) -> None:
        """Close all; what is on its way may take `linger` seconds to leave."""
        if self._outflow is not None:
            self._outflow.stop(linger)
        for line in [*self._lines.values()]:
            _break(line)
            line.socket.close()
        if self._listener is not None:
            self._listener.close()
            with suppress(OSError):
                Path(self._path).unlink()
        self._epoll.close()


@final
class Outflow:
    """Sends what the kernel had no room for, while the party's own thread does something else.

    A receiver that reads slowly, or not at all, must delay nobody: neither the sender's thread,
    which may be busy with a handler for long, nor what is meant for others.
    """

    def __init__(self) -> None:
        """Begin.

        Raises:
            OSError: no descriptors are left.
            RuntimeError: no thread is to be had.
        """
        self._change = threading.Condition()
        """Guards the lines and what waits in them."""
        self._lines: dict[int, Line] = {}
        self._stopping = False
        self._epoll = select.epoll()
        self._waker = Waker()
        self._epoll.register(self._waker.descriptor, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="understudy-outflow", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._waker.close()
            raise

    def add(self, line: Line, parts: Message, skip: int) -> None:
        """Send `parts`, but for their first `skip` bytes, after what waits already."""
        rest: list[memoryview] = []
        for part in parts:
            view = memoryview(part).cast("B")
            if skip < len(view):
                rest.append(view[skip:])
            skip = max(0, skip - len(view))
        descriptor = line.socket.fileno()
        with self._change:
            line.waiting.extend(rest)
            if descriptor not in self._lines:
                self._lines[descriptor] = line
                self._epoll.register(descriptor, select.EPOLLOUT)

    def forget(self, line: Line) -> None:
        """A connection is over, whatever waits for it."""
        with self._change:
            line.waiting.clear()
            if self._lines.pop(line.socket.fileno(), None) is not None:
                self._epoll.unregister(line.socket.fileno())
                self._change.notify_all()

    def stop(self, linger: float) -> None:
        """End, once all has left, or after `linger` seconds."""
        with self._change:
            self._change.wait_for(lambda: not self._lines, linger)
            self._stopping = True
        self._waker.wake()
        self._thread.join()
        self._epoll.close()
        self._waker.close()

    def _run(self) -> None:
        while not self._stopping:
            ready = self._epoll.poll()
            with self._change:
                for descriptor, _ in ready:
                    line = self._lines.get(descriptor)
                    if line is not None:
                        self._send(line)

    def _send(self, line: Line) -> None:
        pieces = [*itertools.islice(line.waiting, MOST_GATHERED)]
        try:
            sent = line.socket.sendmsg(pieces, (), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self.forget(line)
            _break(line)
            return
        for piece in pieces:
            if sent < len(piece):
                line.waiting[0] = piece[sent:]
                return
            sent -= len(piece)
            line.waiting.popleft()
        if not line.waiting:
            self.forget(line)


def _break(line: Line) -> None:
    """End a connection for both sides, even if a forked process has a copy of it.

    What has arrived can still be read, and behind it the end; nothing can be sent.
    """
    with suppress(OSError):  # the other side has ended it entirely
        line.socket.shutdown(socket.SHUT_RDWR)


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        listener.bind(path)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener
