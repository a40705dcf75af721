"""The door to the network: one DEALER socket to the broker.

    receive   what is there, without waiting
    send      what the deciders command
    wait      until something is there, the time is over, or another thread calls `wake`

ZeroMQ's descriptor is edge-like: it may stay silent although messages wait.  So `receive` drains
until nothing is left, and whoever watches the descriptor asks `readable` after every send.
Only one thread may watch it: a second watcher loses wake-ups.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Final, cast, final

import attrs
import zmq
from zmq.utils.monitor import parse_monitor_message

from actors.peer import Peer

RECEIVE_CAP: Final = 100
"""Wire messages taken at a time, so that sending and handling get their turn."""

RECONNECT_MS: Final = 20
"""A new broker is back within this time of its start."""

LARGE: Final = 64 << 10
"""Bytes from which a frame is handed to ZeroMQ without copying."""

RECONNECT_MOST_MS: Final = 2000
"""Over the network, attempts become rarer up to this: a server that refuses us is not flooded."""

HEARTBEAT_MS: Final = 2000
"""Between two signs of life on a connection over the network; three missing ones end it."""

_REFUSALS: Final = {
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "the key of this machine is not allowed there",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "no understudy system listens there, or it has "
    "another key than the one expected",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "no understudy system listens there, or it has "
    "another key than the one expected",
}
_EVENTS: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | sum(_REFUSALS)

# Plain numbers: `&` and `|` of pyzmq's flags cost more than the calls they are used in.
_POLLIN: Final = int(zmq.POLLIN)
_NOBLOCK: Final = int(zmq.NOBLOCK)
_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)


@attrs.frozen
class Curve:
    """Keys for a connection over the network, 32 bytes each: the server's, and our pair."""

    server: bytes
    public: bytes
    secret: bytes = attrs.field(repr=False)


@final
class Connection:
    """One party's socket.  Everything but `wake` belongs to one thread."""

    def __init__(self, endpoint: str, routing_id: bytes, curve: Curve | None = None) -> None:
        self.endpoint = endpoint
        self.refused = ""
        """Why the other side would not shake hands, the last time it would not."""
        # A thread of this process cannot lose its broker, and inproc reports no handshake.
        self._always_online = endpoint.startswith("inproc:")
        # Parties of one process meet in one context; any other gets a context, and an I/O thread,
        # of its own, which ends with it.
        self._context: zmq.Context[zmq.Socket[bytes]] = (
            zmq.Context.instance() if self._always_online else zmq.Context()
        )
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.LINGER, 0)
        # Outboxes are bounded by the links; a limit here would only drop without saying so.
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        if curve is not None:
            _lock(self._socket, curve)
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        # The descriptors themselves: `zmq.Poller` would ask every socket before and after.
        self._poller = select.poll()
        for descriptor in self.descriptors:
            self._poller.register(descriptor, select.POLLIN)
        self._monitor_poller = select.poll()
        self._monitor_poller.register(self._monitor, select.POLLIN)
        self._monitor_drained = False
        self._unsure = True
        """Whether the socket was used since it last said that nothing waits."""
        self._wake_lock = threading.Lock()
        self._socket.connect(endpoint)

    def pump(self, peer: Peer, now: float) -> bool:
        """Receive what is there, let the deciders decide, send what they command.

        Returns whether more is waiting to be received.
        """
        self._notice_connection(peer)
        more = self._receive(peer, now)
        if now >= peer.next_due():
            peer.tick(now)
        self.flush(peer, now)
        return more or self.readable

    def flush(self, peer: Peer, now: float) -> None:
        """Send what the deciders want to go out."""
        send = self._socket.send  # `send_multipart` takes three times as long
        for message in peer.outgoing(now):
            *heads, last = message
            copy = len(heads) == 1 and len(last) < LARGE
            self._unsure = True
            try:
                for part in heads:
                    send(part, _MORE, copy)
                send(last, _NOBLOCK, copy)
            except zmq.Again:
                # The broker has gone and taken its pipe along.  What is lost here is in the
                # outboxes still, and is repeated once there is a connection again.
                peer.disconnected()
                return

    def _receive(self, peer: Peer, now: float) -> bool:
        receive = self._socket.recv
        self._unsure = True
        for _ in range(RECEIVE_CAP):
            if not self.readable:  # costs half as much as the exception that the end would be
                return False
            frame = receive(_NOBLOCK, copy=False)
            frames = [frame.bytes]
            while frame.more:  # of a frame it costs a tenth of what it costs of the socket
                frame = receive(_NOBLOCK, copy=False)
                frames.append(frame.bytes)
            peer.receive(frames, now)
        return True

    def _notice_connection(self, peer: Peer) -> None:
        if self._always_online:
            if not peer.online:
                peer.connected()
            return
        # Once it has been found empty, its descriptor speaks of whatever comes.
        if self._monitor_drained and not self._monitor_poller.poll(0):
            return
        self._monitor_drained = True
        while _holds(self._monitor):
            event = parse_monitor_message(self._monitor.recv_multipart(_NOBLOCK))
            if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                peer.connected()
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                peer.disconnected()
            else:
                self.refused = _REFUSALS[int(event["event"])]

    @property
    def readable(self) -> bool:
        """Whether something waits of which the descriptors may not speak again."""
        if self._unsure:
            self._unsure = _holds(self._socket)
        return self._unsure

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What an event loop watches: socket, monitor, wake-up."""
        return (self._socket.fileno(), self._monitor.fileno(), self._wake_read)

    def wait(self, seconds: float) -> None:
        """Wait until something is there, somebody woke us, or the time is over."""
        ready = self._poller.poll(min(seconds, 3600.0) * 1000)
        if (self._wake_read, select.POLLIN) in ready:
            self.clear_wake()

    def clear_wake(self) -> None:
        """Take the wake-ups that have arrived."""
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    def wake(self) -> None:
        """Make `wait`, or the loop that watches `descriptors`, return.  For any thread."""
        # Under a lock, because a descriptor closed meanwhile may be somebody else's file by now.
        with self._wake_lock:
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    return  # a full pipe wakes too

    def close(self, linger: float = 0.0) -> None:
        """Close; what is on its way may take `linger` seconds to leave."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(int(linger * 1000))
        with self._wake_lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = -1
        if not self._always_online:
            self._context.term()


def _lock(socket: zmq.Socket[bytes], curve: Curve) -> None:
    """Make a socket speak to one server only, over a network that may vanish."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, curve.server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, curve.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, curve.secret)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)


def _holds(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message waits in `socket`; after a "no" its descriptor speaks of the next."""
    return bool(cast("int", socket.get(zmq.EVENTS)) & _POLLIN)
