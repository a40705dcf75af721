"""ZeroMQ as every carrier here uses it: its sockets, who is connected, and parts that are whole.

The sockets are plain PUB/SUB and PUSH/PULL, so any other program may be the other end.  They know
neither encryption nor passwords; `Configuration.place` therefore binds to this host.
"""

from __future__ import annotations

import errno
import math
import socket as socketlib
from contextlib import suppress
from typing import Final, final

import zmq
from zmq.utils.monitor import recv_monitor_message

from actors.errors import InvalidMessage
from actors.streams.carrier import Packed
from actors.streams.configuration import Configuration, Role
from actors.streams.packet import MOST_META, PARTS

LINGER: Final = 1000
"""Milliseconds that a closed socket may take to send what it has taken."""

RECONNECT: Final = 50, 1000
"""Milliseconds until the first try to reconnect, and at most."""

GIVEN_UP: Final = 0.3
"""Seconds without a word of another try, after which there is none."""

_FAILED: Final = (
    zmq.Event.HANDSHAKE_FAILED_AUTH
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
)
_TRIES: Final = zmq.Event.CONNECT_DELAYED | zmq.Event.CONNECT_RETRIED
_WATCHED: Final = _FAILED | zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED

_NOBODY_ASKED: Final = b"streams"
"""A domain of authentication without a handler: whoever speaks ZMTP 3 (libzmq 4) gets in.  Without
a domain whoever does not greet passes for a peer of ZMTP 1, which has no greeting: a browser would
be a reader, and packets be lost to it."""

_LONGEST_WORD: Final = 4096
"""Bytes in what a reader may say to a writer: the first bytes of the packets it wants."""


@final
class Endpoint:
    """One socket with a context of its own, so that closing it waits until its packets left."""

    def __init__(self, configuration: Configuration, kind: int) -> None:
        """Make the socket; a reader's has nothing to send that its end must wait for."""
        self._configuration = configuration
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(kind)
        reads = configuration.role is Role.READER
        pair: zmq.Socket[bytes] = self._context.socket(zmq.PAIR)
        self.peer_counter = PeerCounter(self.socket, pair, tries=reads and not configuration.binds)
        self._lost_at = math.inf
        for option, value in (
            (zmq.LINGER, 0 if reads else LINGER),
            (zmq.ZAP_DOMAIN, _NOBODY_ASKED),
            (zmq.SNDHWM, configuration.high_water_mark),
            (zmq.RCVHWM, configuration.high_water_mark),
            (zmq.RECONNECT_IVL, RECONNECT[0]),
            (zmq.RECONNECT_IVL_MAX, RECONNECT[1]),
            (
                zmq.MAXMSGSIZE,
                max(configuration.max_bytes, MOST_META) if reads else _LONGEST_WORD,
            ),
        ):
            self.socket.setsockopt(option, value)

    def open(self) -> None:
        """Bind or connect; closed when that is impossible.

        Raises:
            OSError: the place is taken, or no such place can be.
        """
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        place, binds = self._configuration.place, self._configuration.binds
        if binds and _listens(place):
            raise _refusal(self._configuration, errno.EADDRINUSE)
        try:
            (self.socket.bind if binds else self.socket.connect)(place)
        except zmq.ZMQError as error:
            raise _refusal(self._configuration, error.errno or errno.EINVAL) from None

    def send_nowait(self, packed: Packed) -> bool:
        """Hand a packet to the socket; False when it has no room."""
        try:
            self.socket.send_multipart([packed.meta, packed.data], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        return True

    def peers(self) -> int:
        """Return how many other ends are connected."""
        return self.peer_counter.count()

    def mend(self, now: float) -> None:
        """Connect anew when ZeroMQ has given up, as it does on who sent too large a packet."""
        counter = self.peer_counter
        counter.count()
        if self._configuration.binds or not counter.given_up:
            self._lost_at = math.inf
        elif self._lost_at == math.inf:
            self._lost_at = now
        elif now - self._lost_at > GIVEN_UP:
            counter.given_up = False
            place = self._configuration.place
            with suppress(zmq.ZMQError):  # or it would be the same connection, which is no more
                self.socket.disconnect(place)
            self.socket.connect(place)

    @property
    def descriptor(self) -> int:
        """What becomes readable when something may have changed."""
        return int(self.socket.get(zmq.FD))

    def readable(self) -> bool:
        """Return whether a message has come."""
        return bool(events(self.socket) & zmq.POLLIN)

    def writable(self) -> bool:
        """Return whether somebody has room for a message."""
        return bool(events(self.socket) & zmq.POLLOUT)

    def close(self) -> None:
        """Close; returns when what was taken has left, or after a second."""
        self.peer_counter.close()
        self.socket.close()
        self._context.term()


@final
class PeerCounter:
    """Counts those who are connected, from what the socket says of its connections.

    A connection that never finished its handshake ends with the same words as one that did, but is
    first said to have failed.
    """

    def __init__(self, socket: zmq.Socket[bytes], pair: zmq.Socket[bytes], *, tries: bool) -> None:
        """Watch a socket through a pair, before it is bound; `tries` for who is to `mend` it."""
        place = f"inproc://of-{id(self):x}"
        socket.monitor(place, _WATCHED | _TRIES if tries else _WATCHED)
        self.monitor = pair
        # Without limit: at a limit ZeroMQ's own thread would wait, and with it everything, until
        # somebody counts.
        pair.setsockopt(zmq.RCVHWM, 0)
        pair.connect(place)
        self.known = 0
        """As counted last."""
        self.given_up = False
        """The last one has gone, and nothing was said of another try."""
        self._socket = socket
        self._failed = 0

    def count(self) -> int:
        """Return how many there are now."""
        while events(self.monitor) & zmq.POLLIN:
            event = recv_monitor_message(self.monitor, zmq.NOBLOCK)["event"]
            if event & _TRIES:
                self.given_up = False
            elif event & _FAILED:
                self._failed += 1
            elif event & zmq.Event.HANDSHAKE_SUCCEEDED:
                self.known += 1
            elif self._failed:
                self._failed -= 1
            else:
                self.known = max(0, self.known - 1)
                self.given_up = not self.known
        return self.known

    def close(self) -> None:
        """Watch no longer."""
        self._socket.disable_monitor()
        self.monitor.close()


def events(socket: zmq.Socket[bytes]) -> int:
    """Return what is possible now; asking also makes ZeroMQ look at who has come and gone."""
    return int(socket.get(zmq.EVENTS))


def take_parts(socket: zmq.Socket[bytes]) -> list[memoryview] | None:
    """Return the parts of the packet that has arrived, without copying; None when none has.

    Raises:
        InvalidMessage: it had more parts; those are let go one by one, however many.
    """
    parts: list[memoryview] = []
    count = 0
    while True:
        try:
            frame = socket.recv(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        count += 1
        if count <= PARTS:
            parts.append(frame.buffer)
        if not frame.more:
            break
    if count > PARTS:
        reason = f"expected two parts, meta and data, got {count}"
        raise InvalidMessage(message="packet", reason=reason)
    return parts


def _listens(place: str) -> bool:
    """Return whether somebody listens at a path: ZeroMQ would take it away from them."""
    path = place.removeprefix("ipc://")
    if path == place or path.startswith("@"):
        return False
    with socketlib.socket(socketlib.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


_HERE: Final = "Name an address of this host: the other end connects to it"

_REMEDIES: Final = {
    errno.EADDRINUSE: "End who holds it, or choose another place",
    errno.EADDRNOTAVAIL: _HERE,
    errno.ENODEV: _HERE,
    errno.ENOENT: "Make the folder of the socket, or correct the path",
    errno.ENAMETOOLONG: f"Choose a shorter path, of {zmq.IPC_PATH_MAX_LEN} bytes at most",
    errno.EACCES: "Choose a port from 1024, or a folder that you may write to",
}


def _refusal(configuration: Configuration, number: int) -> OSError:
    act = "bind" if configuration.binds else "connect to"
    who = f"{configuration.carrier} {configuration.role.value}"
    remedy = _REMEDIES.get(number, "An endpoint is tcp://HOST:PORT or ipc://PATH")
    reason = f"cannot {act} {configuration.place}: {zmq.strerror(number)}"
    return OSError(number, f"{who}: {reason}. {remedy}.")
