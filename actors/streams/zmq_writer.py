"""Writers over ZeroMQ: to all readers (pubsub), to one of them in turn (pushpull), or to the one.

    write ──► Newest ──► socket, at once when it takes it
                 ▲              │ full
                 └── a thread ◄─┘ waits for room and tries again, only while a packet waits

`write` runs in its caller's thread and the thread in its own: a lock lets one of them at a time
touch the socket.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter
from typing import Final, Protocol, final

import zmq

from actors.streams.carrier import Packed, Statistics
from actors.streams.configuration import Carrier, Configuration
from actors.streams.newest import Attempt, Newest
from actors.streams.sockets import LINGER, Endpoint

LOOK_AGAIN: Final = 0.005
"""Seconds between two tries for a packet that waits; the descriptor may be silent about room."""

MOST_TOPICS: Final = 10_000
"""Different subscriptions that are counted; more are served all the same."""

MOST_WORDS: Final = 100
"""Words of subscribers read at once, so that a flood of them holds no write up."""


class _Outlet(Protocol):
    """One kind of writing socket: how it sends, and how it knows its readers."""

    endpoint: Endpoint

    def send(self, packed: Packed, *, strict: bool) -> bool: ...
    def peers(self) -> int: ...


@final
class _Publisher:
    """To all readers: what a PUB socket sends, with its subscriptions to be seen."""

    def __init__(self, configuration: Configuration) -> None:
        self.endpoint = Endpoint(configuration, zmq.XPUB)
        self._socket = self.endpoint.socket
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # say every reader that comes or goes
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._strict = True
        self._subscribed: Counter[bytes] = Counter()

    def send(self, packed: Packed, *, strict: bool) -> bool:
        """Send to all who have subscribed: strictly to all or none, else to those with room."""
        if strict != self._strict:
            self._socket.setsockopt(zmq.XPUB_NODROP, int(strict))
            self._strict = strict
        return self.endpoint.send_nowait(packed)

    def peers(self) -> int:
        """Return how many have subscribed to the topic that most have subscribed to."""
        self.endpoint.peers()  # or what is said of connections would pile up
        for _ in range(MOST_WORDS):
            if not self.endpoint.readable():
                break
            word = self._socket.recv(zmq.NOBLOCK)
            topic = word[1:]
            if word[:1] == b"\x01" and (
                topic in self._subscribed or len(self._subscribed) < MOST_TOPICS
            ):
                self._subscribed[topic] += 1
            elif word[:1] == b"\x00" and topic in self._subscribed:
                self._subscribed[topic] -= 1
                if not self._subscribed[topic]:
                    del self._subscribed[topic]
        return max(self._subscribed.values(), default=0)


@final
class _Pusher:
    """To one reader: whose turn it is, or the only one there is."""

    def __init__(self, configuration: Configuration) -> None:
        self.endpoint = Endpoint(configuration, zmq.PUSH)
        # Queue nothing for a reader that is not there.
        self.endpoint.socket.setsockopt(zmq.IMMEDIATE, 1)

    def send(self, packed: Packed, *, strict: bool) -> bool:  # noqa: ARG002 - one reader: the same
        if self.endpoint.send_nowait(packed):
            return True
        # ZeroMQ looks at who has come only now and then; asking makes it look.
        return self.endpoint.writable() and self.endpoint.send_nowait(packed)

    def peers(self) -> int:
        """Return how many are connected; one who has room is there in any case."""
        return max(self.endpoint.peers(), int(self.endpoint.writable()))


@final
class SocketWriter:
    """The writing end of the three ZeroMQ carriers.  Safe to use from several threads."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._packets: Newest[Packed] = Newest(spread=configuration.carrier is Carrier.PUBSUB)
        self._outlet: _Outlet | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Bind, or connect; sends nothing."""
        kind = _Publisher if self._packets.spread else _Pusher
        outlet = kind(self._configuration)
        outlet.endpoint.open()
        self._outlet = outlet

    def send(self, packed: Packed) -> None:
        """Send what can be sent now; the rest is for the thread, or for nobody."""
        with self._lock:
            if (outlet := self._outlet) is None:
                raise RuntimeError(f"{self._configuration.title} is closed")
            self._try(outlet, self._packets.offer(packed))
            if self._packets.waiting is not None:
                self._attend()

    def peers(self) -> int:
        """Return how many readers are there."""
        with self._lock:
            return 0 if self._outlet is None else self._outlet.peers()

    def waiting(self) -> bool:
        """Return whether a packet waits for room."""
        with self._lock:
            return self._packets.waiting is not None

    def statistics(self) -> Statistics:
        """Return the counts; a packet that waits is neither sent nor dropped."""
        with self._lock:
            counts = self._packets
            return Statistics(written=counts.written, sent=counts.sent, dropped=counts.dropped)

    def close(self) -> None:
        """Give the packet that waits a last second, then let go."""
        end = time.monotonic() + LINGER / 1000
        with self._lock:
            while self._packets.waiting is not None and time.monotonic() < end:
                self._wake.wait(LOOK_AGAIN)  # the thread is at it
            outlet, self._outlet = self._outlet, None
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
        if outlet is not None:
            outlet.endpoint.close()

    # --- inside, with the lock

    def _try(self, outlet: _Outlet, attempt: Attempt[Packed]) -> None:
        taken = outlet.send(attempt.packet, strict=attempt.strict)
        present = (taken and not self._packets.spread) or outlet.peers() > 0
        self._packets.ended(attempt, time.monotonic(), taken=taken, readers=present)

    def _retry(self, outlet: _Outlet) -> None:
        attempt = self._packets.again(time.monotonic())
        if attempt is not None:
            self._try(outlet, attempt)

    def _attend(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._flush, name=f"understudy {self._configuration.title}", daemon=True
            )
            self._thread.start()
        self._wake.notify_all()

    # --- the thread

    def _flush(self) -> None:
        while (poller := self._await_work()) is not None:
            # Outside the lock, so that a newer packet can take this one's place meanwhile.
            poller.poll(LOOK_AGAIN * 1000)
            with self._lock:
                if self._outlet is not None:
                    self._retry(self._outlet)
                    if self._packets.waiting is None:
                        self._wake.notify_all()

    def _await_work(self) -> select.poll | None:
        """Wait until a packet waits; return what tells of room, None at the end."""
        with self._lock:
            while self._outlet is not None and self._packets.waiting is None:
                self._wake.wait()
            if self._outlet is None:
                return None
            poller = select.poll()
            poller.register(self._outlet.endpoint.descriptor, select.POLLIN)
            return poller
