"""The doors to the network: a DEALER to the broker, and what carries direct connections.

receive   what is there, without waiting
send      what the deciders command
wait      until something is there, the time is over, or another thread calls `wake`

broker    DEALER         the relay, and the broker's own words
local     local sockets  direct connections between processes of one host (`localsocket.py`)
routers   two ROUTERs    the same over ZeroMQ: between threads of one process, and where the
                         platform has no such sockets (`routers.py`)
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias, cast, final

import attrs
import zmq
from zmq.utils.monitor import parse_monitor_message

from actors.link import Road
from actors.localsocket import SCHEME, LocalSockets, available
from actors.peer import Peer
from actors.routers import RECEIVE_CAP, Door, Routers
from actors.waker import Waker

MOST_SKIPPED: Final = 20
"""Pumps in a row that take nothing from the broker."""

MOST_LOOKS: Final = 20
"""At the direct connections before a word of the broker's; in so many each has had its turn."""

RECONNECT_MS: Final = 20
"""A new broker is back within this time of its start."""

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

# Plain numbers: `&` of pyzmq's flags costs more than the call it is used in.
_POLLIN: Final = int(zmq.POLLIN)
_NOBLOCK: Final = int(zmq.NOBLOCK)

_IPC: Final = "ipc://"

Carrier: TypeAlias = LocalSockets | Routers
"""What direct connections are made of."""


@attrs.frozen
class Curve:
    """Keys for a connection over the network, 32 bytes each: the server's, and our pair."""

    server: bytes
    public: bytes
    secret: bytes = attrs.field(repr=False)


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
        self._doors: dict[int, Door] = {}
        self._waker = Waker()
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
        self._routers = Routers(self._open)
        self._local: LocalSockets | None = None
        self._local_speaks = False
        self._direct = direct
        self._inbound: Carrier = self._listen()
        for descriptor in self.descriptors:
            self._poller.register(descriptor, select.POLLIN)
        self._broker.socket.connect(endpoint)

    def _open(self, kind: int) -> Door:
        door = Door(self._context, kind)
        self._doors[door.descriptor] = door
        self._poller.register(door.descriptor, select.POLLIN)
        self.watch(door.descriptor)
        return door

    def _listen(self) -> Carrier:
        """Take direct connections where we are to, if anywhere, by the best means there is."""
        if self.endpoint.startswith(_IPC) and available():
            path = self._direct.removeprefix(_IPC)
            with suppress(OSError):  # no such socket can be there; ZeroMQ's perhaps
                self._local = LocalSockets(path)
                self._direct = self._local.endpoint
                return self._local
        if self._direct:
            self._routers.listen(self._direct)
        return self._routers

    def introduce(self, peer: Peer) -> None:
        """Tell a party which direct connections this door can take and make."""
        peer.endpoint = self._direct
        if self._always_online:
            peer.roads.near = (f"{self.endpoint}/",)
        elif self.endpoint.startswith(_IPC):
            place = self.endpoint.removeprefix(_IPC).rpartition("/")[0]
            peer.roads.near = (f"{_IPC}{place}/",)
            if self._local is not None:
                peer.roads.near += (f"{SCHEME}{place}/",)
                self._local.knows = peer.roads.met.__contains__

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
        if roads.hangups and not self._routers.may_hang_up():
            # A new connection to the same endpoint would be hung up together with the old one, so
            # whatever is to be sent waits until what has come is taken.
            return
        while roads.hangups:
            road = roads.hangups.popleft()
            self._carrier(road).hang_up(road)
        while roads.dials:
            road = roads.dials.popleft()
            self._carrier(road).dial(road)
        broken = False
        while roads.parcels:
            road, message = roads.parcels.popleft()
            try:
                self._carrier(road).send(road, message)
            except BrokenPipeError:
                peer.broken(road)
                broken = True
        if broken:
            self.flush(peer, now)  # over the relay

    def _carrier(self, road: Road) -> Carrier:
        if not road.dialled:
            return self._inbound
        if self._local is not None and road.endpoint.startswith(SCHEME):
            return self._local
        return self._routers

    def _receive(self, peer: Peer, now: float) -> None:
        # The broker's word that a life is over comes after all that life has sent, so what is on
        # the direct connections is taken first; but a flood there may not silence the broker.
        if self._receive_direct(peer, now) and self._skipped < MOST_SKIPPED:
            self._skipped += 1
            return
        self._skipped = 0
        words: list[list[bytes]] = []
        while len(words) < RECEIVE_CAP and (message := self._broker.take()):
            words.append(message)
        if words and self._local is not None:
            # What was sent before a word of the broker's is here by now, on one of many perhaps.
            for _ in range(MOST_LOOKS):
                if not self._receive_local(self._local, peer, now):
                    break
        for message in words:
            peer.receive(message, now)

    def _receive_direct(self, peer: Peer, now: float) -> bool:
        """Take what is on the direct connections; return whether more may wait."""
        received, more = self._routers.receive()
        for dialled, message in received:
            peer.receive_direct(message, now, dialled=dialled)
        if self._local_speaks and self._local is not None:
            more |= self._receive_local(self._local, peer, now)
        return more

    def _receive_local(self, local: LocalSockets, peer: Peer, now: float) -> bool:
        self._local_speaks = False
        received, more = local.receive()
        for dialled, message in received:
            peer.receive_direct(message, now, dialled=dialled)
        while local.ended:
            line = local.ended.popleft()
            road = (peer.roads.dialled if line.dialled else peer.roads.met).get(line.id)
            if road is not None:
                peer.broken(road)
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
        local = () if self._local is None else (self._local.descriptor,)
        return (*self._doors, *local, self._monitor_descriptor, self._waker.descriptor)

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
            elif descriptor == self._waker.descriptor:
                self._waker.clear()
            else:
                self._local_speaks = True

    def wait(self, seconds: float) -> None:
        """Wait until something is there, somebody woke us, or the time is over."""
        self._note(self._poller.poll(min(seconds, 3600.0) * 1000))
        self._looked = True

    def wake(self) -> None:
        """Make `wait`, or the loop that watches `descriptors`, return.  For any thread."""
        self._waker.wake()

    def close(self, linger: float = 0.0) -> None:
        """Close; what is on its way may take `linger` seconds to leave."""
        if self._broker.socket.closed:
            return
        self._broker.socket.disable_monitor()
        self._monitor.close(0)
        for door in self._doors.values():
            door.socket.close(int(linger * 1000))
        if self._local is not None:
            self._local.close(linger)
        self._waker.close()
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
