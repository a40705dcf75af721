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
    """What one end of a stream has done so far, in packets."""

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


class WriterCarrier(Protocol):
    """The writing end."""

    def open(self) -> None:
        """Prepare for readers; OSError when that is impossible."""
        ...

    def send(self, packed: Packed, /) -> None:
        """Take a packet and wait for nobody."""
        ...

    def peers(self) -> int:
        """Return how many readers are there, as far as can be known."""
        ...

    def waiting(self) -> bool:
        """Return whether a packet waits for a reader that is slow."""
        ...

    def statistics(self) -> Statistics:
        """Return what it has done."""
        ...

    def close(self) -> None:
        """Give everything back.  Twice is fine."""
        ...


class ReaderCarrier(Protocol):
    """The reading end, for one thread at a time."""

    def open(self) -> None:
        """Look for a writer, there or not; OSError when that is impossible."""
        ...

    def receive(self, seconds: float, /) -> Packet | None:
        """Return the next packet; None when there is none for so long, or a little longer.

        Raises InvalidMessage for what is no packet.
        """
        ...

    def peers(self) -> int:
        """Return how many writers are there, as far as can be known."""
        ...

    def statistics(self) -> Statistics:
        """Return what it has done."""
        ...

    def close(self) -> None:
        """Give everything back; a `receive` in another thread ends soon.  Twice is fine."""
        ...
