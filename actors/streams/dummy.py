"""The carrier that goes nowhere: for trying a program without its stream."""

from __future__ import annotations

import math
import sys
import threading
from typing import final

from actors.streams.carrier import Packed, Statistics, Unpack
from actors.streams.configuration import Configuration
from actors.streams.packet import Packet


@final
class DummyWriter:
    """Takes every packet and keeps none; with `console` it prints a line for each."""

    def __init__(self, configuration: Configuration) -> None:
        self._console = configuration.console
        self._count = 0

    def open(self) -> None:
        """There is nothing to open."""

    def send(self, packed: Packed) -> None:
        """Print it, or do nothing."""
        self._count += 1
        if self._console:
            sys.stdout.write(f"{packed.meta.decode()} {len(packed.data):,} bytes\n")
            sys.stdout.flush()

    def peers(self) -> int:
        """Return 1: nothing is missing."""
        return 1

    def waiting(self) -> bool:
        """Return False: nothing ever waits."""
        return False

    def statistics(self) -> Statistics:
        """Return what it was given."""
        return Statistics(written=self._count, sent=self._count)

    def close(self) -> None:
        """There is nothing to close."""


@final
class DummyReader:
    """Never has a packet: waits as long as it was told to, or not at all."""

    def __init__(self, configuration: Configuration, unpack: Unpack) -> None:
        del configuration, unpack
        self._closed = threading.Event()

    def open(self) -> None:
        """There is nothing to open."""

    def receive(self, seconds: float) -> Packet | None:
        """Wait, unless that would be for ever; return None."""
        if seconds != math.inf:
            self._closed.wait(seconds)
        return None

    def peers(self) -> int:
        """Return 1: nothing is missing."""
        return 1

    def statistics(self) -> Statistics:
        """Return zeros."""
        return Statistics()

    def close(self) -> None:
        """End a waiting `receive`."""
        self._closed.set()
