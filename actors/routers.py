"""Sockets of ZeroMQ: `Door`, which knows when one holds messages, and two for direct connections.

    inbound   ROUTER   bound at a party's endpoint: others connect to it
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
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast, final

import zmq

from actors.envelope import LARGEST_FRAME
from actors.framing import Message, Received
from actors.link import Road

RECEIVE_CAP: Final = 100
"""Wire messages taken at a time, so that sending and handling get their turn."""

HANDSHAKE_MS: Final = 3000
"""Whoever has not said who he is by then is cut off."""

LARGE: Final = 64 << 10
"""Bytes from which a frame is handed to ZeroMQ without copying."""

# Plain numbers: `&` and `|` of pyzmq's flags cost more than the calls they are used in.
_POLLIN: Final = int(zmq.POLLIN)
_NOBLOCK: Final = int(zmq.NOBLOCK)
_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)


@final
class Door:
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

    def send(self, message: Message, first: bytes = b"") -> None:
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
class Routers:
    """The direct connections of one party over ZeroMQ, made by it and by others."""

    def __init__(self, open_door: Callable[[int], Door]) -> None:
        self._open_door = open_door
        self._inbound: Door | None = None
        self._outbound: Door | None = None

    def listen(self, endpoint: str) -> None:
        """Take connections at `endpoint`."""
        self._inbound = self._open()
        self._inbound.socket.bind(endpoint)

    def _open(self) -> Door:
        door = self._open_door(zmq.ROUTER)
        door.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a road that is broken is an error
        door.socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        door.socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_FRAME)
        door.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        door.socket.setsockopt(zmq.RECONNECT_IVL, -1)
        return door

    def dial(self, road: Road) -> None:
        """Connect to a road's endpoint; where nobody listens, sending will fail."""
        if self._outbound is None:
            self._outbound = self._open()
        socket = self._outbound.socket
        socket.setsockopt(zmq.CONNECT_ROUTING_ID, road.id)
        # Fresh each time: the other side refuses an id that it may still remember.
        socket.setsockopt(zmq.ROUTING_ID, os.urandom(16))
        with suppress(zmq.ZMQError):  # then sending fails too
            socket.connect(road.endpoint)

    def may_hang_up(self) -> bool:
        """Whether no message waits on the connections that we made.

        Of one that waits, a ROUTER that was asked for its EVENTS has taken the first frame
        already.  Would its connection be closed now, the other frames would be missing, and
        libzmq ends the process (`fq.cpp`: assertion `!_more`).
        """
        return self._outbound is None or not self._outbound.holds()

    def hang_up(self, road: Road) -> None:
        """End the connection that a road has dialled, if it has not ended by itself."""
        if self._outbound is not None:
            with suppress(zmq.ZMQError):
                self._outbound.socket.disconnect(road.endpoint)

    def send(self, road: Road, message: Message) -> None:
        """Send one message.

        Raises:
            BrokenPipeError: there is no such connection any more.
        """
        door = self._outbound if road.dialled else self._inbound
        if door is not None:
            try:
                door.send(message, road.id)
            except zmq.ZMQError:  # EHOSTUNREACH
                raise BrokenPipeError from None

    def receive(self) -> tuple[list[Received], bool]:
        """Return messages that have arrived, and whether more may wait."""
        received: list[Received] = []
        more = False
        for door, dialled in ((self._inbound, False), (self._outbound, True)):
            if door is None or not door.unsure:
                continue
            for _ in range(RECEIVE_CAP):
                if not (message := door.take()):
                    break
                received.append((dialled, message))
            else:
                more = True
        return received, more
