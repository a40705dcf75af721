"""What a carrier is: the thin end that moves packets, and knows nothing of what is in them.

    Writer ──► send(packed) ──►  zmq_pubsub │ zmq_pushpull │ zmq_pullpush │ shm │ file │ dummy
    Reader ◄── receive() ◄─────

One behaviour suite runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

import attrs

from actors.streams.packet import Buffer, Packet

Unpack = Callable[[Sequence[Buffer]], Packet | None]
"""Reads the parts of a packet; None when nobody here wants it. Raises InvalidMessage."""


@final
@attrs.frozen
class Packed:
    """A packet as it travels."""

    meta: bytes
    data: bytes


@final
@attrs.frozen
class Statistics:
    """What one end of a stream has done so far, in packets.

    At a writer `written` is `sent`, `dropped`, and at most one that waits.
    """

    written: int = 0
    """Given to `write`."""
    sent: int = 0
    """Handed to the transport: to all readers, or to the one whose turn it was."""
    dropped: int = 0
    """Not sent: nobody was there, or not every reader was ready before a newer one came.
    At a reader: replaced by a newer one before it was read."""
    received: int = 0
    """Arrived here, unless nobody here wanted them (`topics`) or they were no packets."""
    invalid: int = 0
    """Arrived here and were no packets."""


class Half(Protocol):
    """Either end of a carrier: opened once, then closed."""

    def open(self) -> None:
        """Prepare for other ends, there or not; OSError when that is impossible."""
        ...

    def peers(self) -> int:
        """Return how many other ends are there, as far as can be known; 0 once it is closed."""
        ...

    def statistics(self) -> Statistics:
        """Return what it has done; all of it, once it is closed."""
        ...

    def close(self) -> None:
        """Give everything back; a `receive` in another thread ends soon.  Twice is fine."""
        ...


class WriterCarrier(Half, Protocol):
    """The writing end."""

    def send(self, packed: Packed, /) -> None:
        """Take a packet and wait for nobody."""
        ...

    def waiting(self) -> bool:
        """Return whether a packet waits for a reader that is slow."""
        ...


class ReaderCarrier(Half, Protocol):
    """The reading end, for one thread at a time."""

    def receive(self, seconds: float, /) -> Packet | None:
        """Return the next packet; None when there is none for so long, or a little longer.

        Raises InvalidMessage for what is no packet.
        """
        ...
