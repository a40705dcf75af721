"""Readers over ZeroMQ: of the newest packet (pubsub), or of every packet that comes.

pubsub      a thread empties the socket ──► Latest, which holds one ──► receive
            or old packets would wait in the queues below, and the newest be refused by them
the others  receive takes one packet off the socket: what it does not take, another may
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import Final, final

import zmq

from actors.errors import InvalidMessage
from actors.streams.carrier import Statistics, Unpack
from actors.streams.configuration import Configuration
from actors.streams.newest import Latest
from actors.streams.packet import Packet
from actors.streams.sockets import Endpoint, take_parts

SLICE: Final = 0.1
"""Seconds after which a waiting `receive` looks whether it was closed."""

WORRY: Final = 100
"""Milliseconds between two looks whether ZeroMQ tries to connect again."""

SHORTEST: Final = 0.001
"""Seconds, the resolution of ZeroMQ's clock."""


@final
class Subscriber:
    """Reads the newest packet that was published."""

    def __init__(self, configuration: Configuration, unpack: Unpack) -> None:
        self._configuration = configuration
        self._unpack = unpack
        self._arrived = threading.Condition()
        self._latest: Latest[Packet | InvalidMessage] = Latest()
        self._invalid = 0
        self._endpoint: Endpoint | None = None
        self._thread: threading.Thread | None = None
        self._bell = (-1, -1)

    def open(self) -> None:
        """Connect and subscribe, whether the writer is there or not."""
        endpoint = Endpoint(self._configuration, zmq.SUB)
        endpoint.socket.setsockopt(zmq.SUBSCRIBE, b"")
        endpoint.open()
        try:
            self._bell = os.pipe()
        except BaseException:
            endpoint.close()
            raise
        self._endpoint = endpoint
        self._thread = threading.Thread(
            target=self._drain,
            args=(endpoint, self._bell[0]),
            name=f"understudy {self._configuration.title}",
            daemon=True,
        )
        self._thread.start()

    def receive(self, seconds: float) -> Packet | None:
        """Return the newest packet that was not read yet."""
        with self._arrived:
            end = time.monotonic() + seconds
            while (item := self._latest.take()) is None:
                left = end - time.monotonic()
                if left <= 0 or self._endpoint is None:
                    return None
                self._arrived.wait(None if left == math.inf else left)
        if isinstance(item, InvalidMessage):
            raise item
        return item

    def peers(self) -> int:
        """Return how many writers are connected."""
        with self._arrived:
            return 0 if self._endpoint is None else self._endpoint.peer_counter.known

    def statistics(self) -> Statistics:
        """Return what has arrived."""
        with self._arrived:
            latest = self._latest
            received = latest.received - self._invalid
            return Statistics(received=received, dropped=latest.dropped, invalid=self._invalid)

    def close(self) -> None:
        """End the thread, then the socket."""
        with self._arrived:
            endpoint, self._endpoint = self._endpoint, None
            self._arrived.notify_all()
        if endpoint is None or self._thread is None:
            return
        os.write(self._bell[1], b"x")
        self._thread.join()
        for descriptor in self._bell:
            os.close(descriptor)
        endpoint.close()

    def _drain(self, endpoint: Endpoint, bell: int) -> None:
        poller, socket = zmq.Poller(), endpoint.socket
        poller.register(socket, zmq.POLLIN)
        poller.register(endpoint.peer_counter.monitor, zmq.POLLIN)
        poller.register(bell, zmq.POLLIN)
        while bell not in dict(poller.poll(WORRY if endpoint.peer_counter.given_up else None)):
            endpoint.mend(time.monotonic())
            while self._endpoint is not None and self._take(socket):
                pass

    def _take(self, socket: zmq.Socket[bytes]) -> bool:
        """Take one packet off the socket, for `receive` if it is wanted; False: there is none."""
        item: Packet | InvalidMessage | None
        try:
            parts = take_parts(socket)
            if parts is None:
                return False
            item = self._unpack(parts)
        except InvalidMessage as error:
            item = error
        if item is not None:
            with self._arrived:
                self._invalid += isinstance(item, InvalidMessage)
                self._latest.put(item)
                self._arrived.notify()
        return True


@final
class Puller:
    """Reads every packet that comes, from one writer in turn with others or from many."""

    def __init__(self, configuration: Configuration, unpack: Unpack) -> None:
        self._configuration = configuration
        self._unpack = unpack
        self._lock = threading.Lock()
        self._endpoint: Endpoint | None = None
        self._received = self._invalid = 0

    def open(self) -> None:
        """Connect (pushpull), or bind (pullpush)."""
        endpoint = Endpoint(self._configuration, zmq.PULL)
        endpoint.open()
        self._endpoint = endpoint

    def receive(self, seconds: float) -> Packet | None:
        """Return the next packet."""
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            with self._lock:  # so that `close` in another thread waits for this slice
                if self._endpoint is None:
                    return None
                self._endpoint.mend(time.monotonic())
                socket = self._endpoint.socket
                if socket.poll(math.ceil(min(left, SLICE) / SHORTEST)):
                    packet = self._take(socket)
                    if packet is not None:
                        return packet
            if left <= 0:
                return None

    def peers(self) -> int:
        """Return how many writers are connected."""
        with self._lock:
            if self._endpoint is None:
                return 0
            self._endpoint.mend(time.monotonic())
            return self._endpoint.peer_counter.known

    def statistics(self) -> Statistics:
        """Return what has arrived."""
        return Statistics(received=self._received, invalid=self._invalid)

    def close(self) -> None:
        """Close; what waits in the queues below is lost."""
        with self._lock:
            endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.close()

    def _take(self, socket: zmq.Socket[bytes]) -> Packet | None:
        try:
            parts = take_parts(socket)
            packet = None if parts is None else self._unpack(parts)
        except InvalidMessage:
            self._invalid += 1
            raise
        self._received += packet is not None
        return packet
