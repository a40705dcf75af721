"""What is on its way between two parties of the simulation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from actors.testing.party import Pump


@final
class Packet:
    """One wire message on its way."""

    __slots__ = ("frames", "lost", "number", "source", "when")

    def __init__(self, source: Pump, frames: list[bytes], when: float) -> None:
        self.source = source
        self.frames = frames
        self.when = when
        """Its arrival."""
        self.lost = False
        self.number = 0


@final
class Pair:
    """Packets from one party to another, in order."""

    __slots__ = ("last", "packets")

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self.last = 0.0
