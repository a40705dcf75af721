"""What both ends of a stream have in common: a life, a peer, statistics and a log."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from actors.streams.carrier import Statistics
from actors.streams.configuration import Role, read_configuration

LOOK_AGAIN: Final = 0.002
"""Seconds between two looks whether a peer has come, or a packet has left."""


class End(ABC):
    """One end of a stream: configured, then active, then closed."""

    def __init__(self, configuration: Mapping[str, Any], role: Role) -> None:
        self._configuration = read_configuration(configuration, role)
        self._life = threading.Lock()
        """Held to open and to close: two threads may do that at once."""
        self._log = logging.getLogger(f"understudy.streams.{self._configuration.carrier}")
        if self._configuration.level is not None:
            self._log.setLevel(self._configuration.level)
        if self._configuration.unknown:
            keys = ", ".join(self._configuration.unknown)
            self._log.warning("%s: keys without a meaning: %s", self._configuration.title, keys)

    @property
    def title(self) -> str:
        """How errors and the log call it."""
        return self._configuration.title

    @abstractmethod
    def activate(self) -> None:
        """Open the transport.  Twice is fine."""

    @abstractmethod
    def peers(self) -> int:
        """Return how many other ends are there, as far as the carrier can know."""

    @abstractmethod
    def stats(self) -> Statistics:
        """Return the counts so far."""

    @abstractmethod
    def close(self) -> None:
        """End.  Twice is fine."""

    def wait_for_peer(self, timeout: float | None = None, count: int = 1) -> None:
        """Wait until `count` other ends are there: from then on they miss nothing.

        A writer of zmq_pubsub waits for subscriptions.  Raises a built-in TimeoutError.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self.activate()
        while self.peers() < count:
            if end is not None and time.monotonic() >= end:
                there = f"{self.peers()} of {count} other ends are there"
                raise TimeoutError(
                    f"{self.title}: after {timeout:g} s {there}. Start the other end, or see that "
                    "both have the same class_name and endpoint."
                )
            time.sleep(LOOK_AGAIN)

    async def peer(self, count: int = 1) -> None:
        """Wait as `wait_for_peer` does, in asyncio code; `asyncio.timeout` limits it."""
        self.activate()
        while self.peers() < count:  # noqa: ASYNC110 - a carrier has no event to wait for
            await asyncio.sleep(LOOK_AGAIN)

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
