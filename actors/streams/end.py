"""What both ends of a stream have in common: a life, peers, statistics and a log.

configured ──► active, with a carrier ──► closed, with the last statistics
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from actors.log import announce
from actors.streams.carrier import Half, Statistics
from actors.streams.configuration import KNOWN, Role, read_configuration

LOOK_AGAIN: Final = 0.002
"""Seconds between two looks whether a peer has come, or a packet has left."""


H = TypeVar("H", bound=Half)


def _with_hint(key: str) -> str:
    """Return a key that means nothing, with the one that may have been meant."""
    meant = get_close_matches(key, KNOWN, 1)
    return f"{key} (did you mean {meant[0]}?)" if meant else key


class End(ABC, Generic[H]):
    """One end of a stream: configured, then active, then closed."""

    def __init__(self, configuration: Mapping[str, Any], role: Role) -> None:
        self._configuration = read_configuration(configuration, role)
        self._life = threading.Lock()
        """Held to open and to close: two threads may do that at once."""
        self._carrier: H | None = None
        """While it is active."""
        self._closed = False
        self._last = Statistics()
        """Of the carrier, when it was closed."""
        self._log = logging.getLogger(f"understudy.streams.{self._configuration.carrier}")
        if self._configuration.level is not None:
            self._log.setLevel(self._configuration.level)
        if self._configuration.unknown:
            keys = ", ".join(_with_hint(key) for key in self._configuration.unknown)
            announce(f"{self._configuration.title}: keys without a meaning: {keys}", to=self._log)

    @property
    def title(self) -> str:
        """How errors and the log call it."""
        return self._configuration.title

    @abstractmethod
    def _new_carrier(self) -> H:
        """Return this end of the carrier, not opened yet."""

    def activate(self) -> None:
        """Bind or connect, whether another end is there or not; send nothing.  Twice is fine.

        Raises:
            OSError: the place is taken, or cannot be.
            RuntimeError: it was closed.
        """
        self._opened()

    def peers(self) -> int:
        """Return how many other ends are there, as far as the carrier can know."""
        carrier = self._carrier
        return 0 if carrier is None else carrier.peers()

    def stats(self) -> Statistics:
        """Return the counts so far."""
        carrier = self._carrier
        return self._last if carrier is None else carrier.statistics()

    def close(self) -> None:
        """End; a writer sends what waits, for a second at most.  Twice is fine.

        Any thread may do so: whoever waits for a packet in another one is told.
        """
        with self._life:
            self._closed = True
            carrier, self._carrier = self._carrier, None
            if carrier is not None:
                self._last = carrier.statistics()  # for whoever asks while it closes
        if carrier is not None:
            carrier.close()
            self._last = carrier.statistics()  # with what left meanwhile
            self._log.debug("%s: closed, %s", self.title, self._last)

    def wait_for_peer(self, timeout: float | None = None, count: int = 1) -> None:
        """Wait until `count` other ends are there: from then on they miss nothing.

        A writer of zmq_pubsub waits for subscriptions.  Raises a built-in TimeoutError.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (present := self._opened().peers()) < count:
            if end is not None and time.monotonic() >= end:
                there = f"{present} of {count} other ends are there"
                raise TimeoutError(
                    f"{self.title}: after {timeout:g} s {there}. Start the other end, or see that "
                    "both have the same class_name and endpoint."
                )
            time.sleep(LOOK_AGAIN)

    async def peer(self, count: int = 1) -> None:
        """Wait as `wait_for_peer` does, in asyncio code; `asyncio.timeout` limits it."""
        while self._opened().peers() < count:  # noqa: ASYNC110 - a carrier has no event to wait for
            await asyncio.sleep(LOOK_AGAIN)

    def _opened(self) -> H:
        """Return the carrier, opened if need be; raises as `activate` does."""
        with self._life:
            if self._closed:
                raise RuntimeError(f"{self.title} is closed: make a new one")
            if self._carrier is None:
                carrier = self._new_carrier()
                carrier.open()
                self._carrier = carrier
                self._log.debug("%s: active", self.title)
            return self._carrier

    def __enter__(self) -> Self:
        self.activate()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_log"):  # the configuration was fine
            self.close()
