"""The doors to the network: a DEALER to the broker, and two ROUTERs for direct connections.

    receive   what is there, without waiting
    send      what the deciders command
    wait      until something is there, the time is over, or another thread calls `wake`

    broker    DEALER   the relay, and the broker's own words
    inbound   ROUTER   bound in the system's own directory: others connect to us
    outbound  ROUTER   made with the first connection of ours to another party

One ROUTER that binds and connects would end the process when two peers have the same id: the ids
of those who connect are theirs to choose.  A connection that breaks is not made again by ZeroMQ:
its letters go over the relay until `roads.py` dials once more.

ZeroMQ's descriptor is edge-like: it may stay silent although messages wait.  So a socket that was
used is `unsure` until it has said that nothing waits, and only then its descriptor is believed.
Only one thread may watch it: a second watcher loses wake-ups.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, cast, final

import attrs
import zmq
from zmq.utils.monitor import parse_monitor_message

from actors.envelope import LARGEST_FRAME
from actors.link import Road
from actors.peer import Peer

RECEIVE_CAP: Final = 100
"""Wire messages taken at a time, so that sending and handling get their turn."""

MOST_SKIPPED: Final = 20
"""Pumps in a row that take nothing from the broker."""

RECONNECT_MS: Final = 20
"""A new broker is back within this time of its start."""

HANDSHAKE_MS: Final = 3000
"""Whoever has not said who he is by then is cut off."""

LARGE: Final = 64 << 10
"""Bytes from which a frame is handed to ZeroMQ without copying."""

RECONNECT_MOST_MS: Final = 2000
"""Over the network, attempts become rarer up to this: a server that refuses us is not flooded."""

HEARTBEAT_MS: Final = 2000
"""Between two signs of life on a connection over the network; three missing ones end it."""

_OTHER: Final = "no understudy system listens there, or it has another key than the one expected"
_REFUSALS: Final = {
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "the key of this machine is not allowed there",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): _OTHER,
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): _OTHER,
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
class _Door:
    """One socket, and whether it may hold messages of which its descriptor does not speak."""

    __slots__ = ("descriptor", "socket", "unsure")

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int) -> None:
        self.socket = context.socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        # Outboxes are bounded by the links; a limit here would only drop without saying so.
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.descriptor = self.socket.fileno()
        self.unsure = True

    def holds(self) -> bool:
        """Whether a message waits; after a "no" the descriptor speaks of the next."""
        if self.unsure:
            self.unsure = bool(cast("int", self.socket.get(zmq.EVENTS)) & _POLLIN)
        return self.unsure

    def take(self) -> list[bytes]:
        """Take one wire message; empty when none waits."""
        if not self.holds():  # costs half as much as the exception that the end would be
            return []
        receive = self.socket.recv
        try:
            frame = receive(_NOBLOCK, copy=False)
        except zmq.Again:  # seen once, when whoever had sent it was ending: EVENTS was mistaken
            self.unsure = False
            return []
        frames = [frame.bytes]
        while frame.more:  # of a frame it costs a tenth of what it costs of the socket
            frame = receive(_NOBLOCK, copy=False)
            frames.append(frame.bytes)
        return frames

    def send(self, message: Sequence[bytes | memoryview], first: bytes = b"") -> None:
        """Send one wire message, with the number of its connection in front if it has one."""
        self.unsure = True
        send = self.socket.send  # `send_multipart` takes three times as long
        if first:
            send(first, _MORE)
        *heads, last = message
        # A batch with nothing behind it is small enough to be copied, unless it is not.
        copy = len(last) < LARGE and len(heads) <= 1
        for part in heads:
            send(part, _MORE, copy)
        send(last, _NOBLOCK, copy)


@final
class Connection:
    """One party's sockets.  Everything but `wake` belongs to one thread."""

    def __init__(
        self, endpoint: str, routing_id: bytes, curve: Curve | None = None, *, direct: str = ""
    ) -> None:
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
        # The descriptors themselves: `zmq.Poller` would ask every socket before and after.
        self._poller = select.poll()
        self._doors: dict[int, _Door] = {}
        self._wake_lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.watch: Callable[[int], None] = lambda _descriptor: None
        """Told of a descriptor that is new among `descriptors`."""
        self._looked = False
        """Whether the descriptors were looked at since the last pump."""
        self._skipped = 0
        self._broker = self._open(zmq.DEALER)
        self._broker.socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._broker.socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        if curve is not None:
            _lock(self._broker.socket, curve)
        self._monitor = self._broker.socket.get_monitor_socket(_EVENTS)
        self._monitor_descriptor = self._monitor.fileno()
        self._monitor_unsure = True
        for descriptor in (self._monitor_descriptor, self._wake_read):
            self._poller.register(descriptor, select.POLLIN)
        self._direct = direct
        self._inbound = self._bind(direct) if direct else None
        self._outbound: _Door | None = None
        self._broker.socket.connect(endpoint)

    def _open(self, kind: int) -> _Door:
        door = _Door(self._context, kind)
        self._doors[door.descriptor] = door
        self._poller.register(door.descriptor, select.POLLIN)
        self.watch(door.descriptor)
        return door

    def _open_router(self) -> _Door:
        door = self._open(zmq.ROUTER)
        door.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a road that is broken is an error
        door.socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        door.socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
        door.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        door.socket.setsockopt(zmq.RECONNECT_IVL, -1)
        return door

    def _bind(self, endpoint: str) -> _Door:
        door = self._open_router()
        door.socket.bind(endpoint)
        return door

    def introduce(self, peer: Peer) -> None:
        """Tell a party which direct connections this door can take and make."""
        peer.endpoint = self._direct
        if self._always_online:
            peer.roads.near = f"{self.endpoint}/"
        elif self.endpoint.startswith("ipc:"):
            peer.roads.near = self.endpoint.rpartition("/")[0] + "/"

    # --- pumping

    def pump(self, peer: Peer, now: float) -> bool:
        """Receive what is there, let the deciders decide, send what they command.

        Returns whether more is waiting to be received.
        """
        self._look()
        self._notice_connection(peer)
        self._receive(peer, now)
        if now >= peer.next_due():
            peer.tick(now)
        self.flush(peer, now)
        return self.readable

    def flush(self, peer: Peer, now: float) -> None:
        """Send what the deciders want to go out."""
        send = self._broker.send
        for message in peer.outgoing(now):
            try:
                send(message)
            except zmq.Again:
                # The broker has gone and taken its pipe along.  What is lost here is in the
                # outboxes still, and is repeated once there is a connection again.
                peer.disconnected()
                break
        if peer.roads.busy:
            self._flush_roads(peer, now)

    def _flush_roads(self, peer: Peer, now: float) -> None:
        roads = peer.roads
        if roads.hangups and not self._may_hang_up():
            # A new connection to the same endpoint would be hung up together with the old one, so
            # whatever is to be sent waits until what has come is taken.
            return
        while roads.hangups:
            self._hang_up(roads.hangups.popleft())
        while roads.dials:
            self._dial(roads.dials.popleft())
        broken = False
        while roads.parcels:
            road, message = roads.parcels.popleft()
            door = self._outbound if road.dialled else self._inbound
            try:
                if door is not None:
                    door.send(message, road.id)
            except zmq.ZMQError:  # EHOSTUNREACH: nobody is there any more
                peer.broken(road)
                broken = True
        if broken:
            self.flush(peer, now)  # over the relay

    def _may_hang_up(self) -> bool:
        """Whether no message waits on the connections that we made.

        Of one that waits, a ROUTER that was asked for its EVENTS has taken the first frame
        already.  Would its connection be closed now, the other frames would be missing, and
        libzmq ends the process (`fq.cpp`: assertion `!_more`).
        """
        return self._outbound is None or not self._outbound.holds()

    def _dial(self, road: Road) -> None:
        if self._outbound is None:
            self._outbound = self._open_router()
        socket = self._outbound.socket
        socket.setsockopt(zmq.CONNECT_ROUTING_ID, road.id)
        # Fresh each time: the other side refuses an id that it may still remember.
        socket.setsockopt(zmq.ROUTING_ID, os.urandom(16))
        with suppress(zmq.ZMQError):  # then sending fails too
            socket.connect(road.endpoint)

    def _hang_up(self, road: Road) -> None:
        if self._outbound is not None:
            with suppress(zmq.ZMQError):  # it has ended by itself
                self._outbound.socket.disconnect(road.endpoint)

    def _receive(self, peer: Peer, now: float) -> None:
        # The broker's word that a life is over comes after all that life has sent, so what is on
        # the direct connections is taken first; but a flood there may not silence the broker.
        if self._receive_direct(peer, now) and self._skipped < MOST_SKIPPED:
            self._skipped += 1
            return
        self._skipped = 0
        door = self._broker
        for _ in range(RECEIVE_CAP):
            if not (message := door.take()):
                break
            peer.receive(message, now)

    def _receive_direct(self, peer: Peer, now: float) -> bool:
        """Take what is on the direct connections; return whether more may wait."""
        more = False
        for door, dialled in ((self._inbound, False), (self._outbound, True)):
            if door is None or not door.unsure:
                continue
            for _ in range(RECEIVE_CAP):
                if not (message := door.take()):
                    break
                peer.receive_direct(message, now, dialled=dialled)
            else:
                more = True
        return more

    def _notice_connection(self, peer: Peer) -> None:
        if self._always_online:
            if not peer.online:
                peer.connected()
            return
        if not self._monitor_unsure:
            return
        self._monitor_unsure = False
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
        waiting = [door.holds() for door in self._doors.values()]  # each is to be asked
        return any(waiting)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What an event loop watches: sockets, monitor, wake-up."""
        return (*self._doors, self._monitor_descriptor, self._wake_read)

    def _look(self) -> None:
        """Find out which descriptors speak."""
        if self._looked:
            self._looked = False
        else:
            self._note(self._poller.poll(0))

    def _note(self, ready: list[tuple[int, int]]) -> None:
        for descriptor, _ in ready:
            door = self._doors.get(descriptor)
            if door is not None:
                door.unsure = True
            elif descriptor == self._monitor_descriptor:
                self._monitor_unsure = True
            elif descriptor == self._wake_read:
                self.clear_wake()

    def wait(self, seconds: float) -> None:
        """Wait until something is there, somebody woke us, or the time is over."""
        self._note(self._poller.poll(min(seconds, 3600.0) * 1000))
        self._looked = True

    def clear_wake(self) -> None:
        """Take the wake-ups that have arrived."""
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            return

    def wake(self) -> None:
        """Make `wait`, or the loop that watches `descriptors`, return.  For any thread."""
        # Under a lock, because a descriptor closed meanwhile may be somebody else's file by now.
        with self._wake_lock, suppress(BlockingIOError):  # a full pipe wakes too
            if self._wake_write >= 0:
                os.write(self._wake_write, b"\0")

    def close(self, linger: float = 0.0) -> None:
        """Close; what is on its way may take `linger` seconds to leave."""
        if self._broker.socket.closed:
            return
        self._broker.socket.disable_monitor()
        self._monitor.close(0)
        for door in self._doors.values():
            door.socket.close(int(linger * 1000))
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
