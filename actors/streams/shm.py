"""Packets through shared memory, for the readers of one user on one host: the newest wins.

    slot of the ring    data │ meta │ nothing     data first, so that arrays in it are aligned
    meta of the slot    bytes of meta, seconds of the host's clock that is never set

The writer copies once and waits for nobody, each reader copies once.  There is no queue to grow
old: what a reader finds is the newest packet, or nothing new.

A reader must copy faster than the writer goes round all slots.  Fresh memory would take it longer
than the copy itself, so it takes that of a packet which nobody holds any more.
"""

from __future__ import annotations

import math
import struct
import sys
import threading
import time
from typing import Any, Final, final

import numpy as np

from actors.arrays.reader import Frame, RingReader
from actors.arrays.ring import SLOTS, SharedRing
from actors.errors import InvalidMessage
from actors.streams.carrier import Packed, Statistics, Unpack
from actors.streams.configuration import Configuration
from actors.streams.meeting import Meeting
from actors.streams.packet import MOST_META, Packet

SAID: Final = struct.Struct("<Qd")
"""Length of the meta, and when it was written by `time.monotonic`."""

STEP: Final = 256
"""What bytes of meta are rounded up to, so that packets of one kind have one size."""

MOST_SPARE: Final = 3
"""Packets whose memory a reader keeps."""

SLICE: Final = 0.1
"""Seconds after which a waiting `receive` looks whether it was closed."""


@final
class RingWriter:
    """Writes packets into a ring that its readers find by name."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lock = threading.Lock()
        self._meeting: Meeting | None = None
        self._ring: SharedRing | None = None
        self._written = self._dropped = 0

    def open(self) -> None:
        """Make the ring and say where it is."""
        limit = SLOTS * (self._configuration.max_bytes + MOST_META + (1 << 16))
        meeting = Meeting(self._configuration.ring, writes=True)
        try:
            ring = SharedRing(limit=limit)
            meeting.publish(ring.address)
        except BaseException:
            meeting.close()
            raise
        self._meeting, self._ring = meeting, ring

    def send(self, packed: Packed) -> None:
        """Copy the packet into the ring, unless nobody reads it."""
        with self._lock:
            if self._meeting is None or self._ring is None:
                raise RuntimeError(f"{self._configuration.title} is closed")
            self._written += 1
            if not self._meeting.read():
                self._dropped += 1
                return
            size, length = len(packed.data), len(packed.meta)
            try:
                with self._ring.frame(
                    size + _room(length), np.uint8, SAID.pack(length, time.monotonic())
                ) as memory:
                    memory[:size] = np.frombuffer(packed.data, np.uint8)
                    memory[size : size + length] = np.frombuffer(packed.meta, np.uint8)
            except BaseException:
                self._dropped += 1
                raise

    def peers(self) -> int:
        """Return 1 when somebody reads."""
        with self._lock:
            return int(self._meeting is not None and self._meeting.read())

    def waiting(self) -> bool:
        """Return False: in the ring it is there for whoever comes."""
        return False

    def statistics(self) -> Statistics:
        """Return the counts; what a reader skips only the reader knows."""
        with self._lock:
            sent = self._written - self._dropped
            return Statistics(written=self._written, sent=sent, dropped=self._dropped)

    def close(self) -> None:
        """Let go of the ring."""
        with self._lock:
            meeting, self._meeting = self._meeting, None
            if self._ring is not None:
                self._ring.close()
            if meeting is not None:
                meeting.close()


@final
class RingPacketReader:
    """Reads the newest packet of a ring."""

    def __init__(self, configuration: Configuration, unpack: Unpack) -> None:
        self._configuration = configuration
        self._unpack = unpack
        self._lock = threading.Lock()
        self._meeting: Meeting | None = None
        self._frames: RingReader | None = None
        self._since = math.inf
        self._received = self._skipped = self._invalid = 0
        self._memory = _Memory()

    def open(self) -> None:
        """Come to the meeting, whether the writer is there or not."""
        self._since = time.monotonic()  # before the writer can see that somebody reads
        self._meeting = Meeting(self._configuration.ring, writes=False)
        self._frames = RingReader(self._meeting.find, self._configuration.title)

    def receive(self, seconds: float) -> Packet | None:
        """Return the newest packet that was not read yet."""
        end = time.monotonic() + seconds
        while True:
            left = max(0.0, end - time.monotonic())
            with self._lock:  # so that `close` in another thread waits for this slice
                if self._frames is None:
                    return None
                try:
                    packet = self._take(self._frames.wait(min(left, SLICE), self._memory.spare()))
                except TimeoutError:
                    packet = None
            if packet is not None or left <= 0:
                return packet

    def peers(self) -> int:
        """Return 1 when a writer is there."""
        with self._lock:
            return int(self._meeting is not None and self._meeting.written())

    def statistics(self) -> Statistics:
        """Return what was read, and what was replaced before it could be."""
        # Without the lock, which a `receive` that waits in another thread holds.
        received = self._received + self._skipped
        return Statistics(received=received, dropped=self._skipped, invalid=self._invalid)

    def close(self) -> None:
        """Leave."""
        with self._lock:
            meeting, self._meeting, self._frames = self._meeting, None, None
        if meeting is not None:
            meeting.close()

    def _take(self, frame: Frame) -> Packet | None:
        self._memory.lend(frame.array)
        self._skipped += frame.skipped
        try:
            *parts, written_at = _parts(frame)
            if written_at < self._since:
                return None  # what was there before this reader was missed
            packet = self._unpack(parts)
        except InvalidMessage:
            self._invalid += 1
            raise
        self._received += packet is not None
        return packet


def _parts(frame: Frame) -> tuple[memoryview, memoryview, float]:
    """Return meta, data, and when they were written."""
    array: np.ndarray[Any, Any] = frame.array
    length, written_at = SAID.unpack(frame.meta) if len(frame.meta) == SAID.size else (-1, 0.0)
    size = array.size - _room(length)
    if array.dtype != np.uint8 or array.ndim != 1 or length < 0 or size < 0:
        raise InvalidMessage(message="packet", reason="what is in this ring is no packet")
    memory = array.data
    return memory[size : size + length], memory[:size], written_at


def _room(length: int) -> int:
    return -(-length // STEP) * STEP


@final
class _Memory:
    """The memory of the packets read last, to be used again when nobody looks at it any more."""

    def __init__(self) -> None:
        self._lent: list[np.ndarray[Any, Any]] = []
        self._alone = 0
        probe: list[np.ndarray[Any, Any]] = [np.empty(0)]
        for array in probe:
            self._alone = sys.getrefcount(array)  # of what only such a list and loop know

    def lend(self, array: np.ndarray[Any, Any]) -> None:
        """Remember the memory of a packet that is given away."""
        if not any(array is known for known in self._lent):
            self._lent = [*self._lent[1 - MOST_SPARE :], array]

    def spare(self) -> np.ndarray[Any, Any] | None:
        """Return memory of a packet that has been forgotten since."""
        for array in self._lent:
            if sys.getrefcount(array) == self._alone:
                array.flags.writeable = True
                return array
        return None
