"""The writing end of a stream."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, final

from actors.streams.carrier import Packed, Statistics, WriterCarrier
from actors.streams.carriers import writer_carrier
from actors.streams.configuration import Role
from actors.streams.end import LOOK_AGAIN, End
from actors.streams.packet import freeze, pack_meta


@final
class Writer(End):
    """Writes packets and waits for nobody.

        with Writer({"class_name": "shm", "endpoint": "shm://detector"}) as writer:
            writer.write({"some": "thing"}, image)

    Making one does nothing yet; `activate`, `with` or the first `write` opens it.  Any thread may
    write.  In an `async` handler `write` is called as it is: it takes as long as a copy.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        """Check a configuration (docs/reference/streams.md has the keys).

        Raises:
            TypeError: it is no dict.
            ValueError: a key is missing or wrong.
        """
        super().__init__(configuration, Role.WRITER)
        self._carrier: WriterCarrier | None = None
        self._closed = False
        self._last = Statistics()

    def activate(self) -> None:
        """Bind, connect, or make the folder; send nothing.  Twice is fine.

        Raises:
            OSError: the place is taken, or cannot be.
            RuntimeError: it was closed.
        """
        self._opened()

    def write(self, meta: dict[str, Any], data: object = None) -> None:
        """Send a packet, or let it wait in place of the one before.

        Args:
            meta: What JSON can say; a "topic" in it is what readers choose by.
            data: A `Data`, or bytes, an array, any buffer; None for none.  It is copied.

        Raises:
            InvalidMessage: not such a meta, or not a buffer; nothing was sent.
            OSError: of a file or a ring: no room for the packet; nothing of it was written.
        """
        packed = Packed(pack_meta(_topic_first(meta)), freeze(getattr(data, "memoryview", data)))
        self._opened().send(packed)
        self._log.debug("%s: wrote %d bytes", self.title, len(packed.data))

    def flush(self, timeout: float | None = None) -> None:
        """Wait until no packet waits for a slow reader; a newer one would take its place.

        Raises a built-in TimeoutError.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._carrier is not None and self._carrier.waiting():
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.title}: no reader took the packet within {timeout:g} s")
            time.sleep(LOOK_AGAIN)

    def peers(self) -> int:
        """Return how many readers are there, as far as the carrier can know."""
        return 0 if self._carrier is None else self._carrier.peers()

    def stats(self) -> Statistics:
        """Return the counts: written = sent + dropped, and at most one that waits."""
        return self._last if self._carrier is None else self._carrier.statistics()

    def close(self) -> None:
        """Send what waits, for a second at most; then end.  Twice is fine."""
        with self._life:
            self._closed = True
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()
            self._last = carrier.statistics()
            self._log.debug("%s: closed, %s", self.title, self._last)

    def _opened(self) -> WriterCarrier:
        with self._life:
            if self._carrier is None:
                if self._closed:
                    raise RuntimeError(f"{self.title} is closed: make a new one")
                carrier = writer_carrier(self._configuration)
                carrier.open()
                self._carrier = carrier
                self._log.debug("%s: active", self.title)
            return self._carrier


def _topic_first(meta: dict[str, Any]) -> dict[str, Any]:
    """Put the topic first, where a plain subscriber can choose by the first bytes."""
    if not isinstance(meta, dict) or "topic" not in meta:  # pyright: ignore[reportUnnecessaryIsInstance]
        return meta
    return {"topic": meta["topic"], **meta}
