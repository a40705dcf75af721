"""The writing end of a stream."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, final

from actors.streams.carrier import Packed, WriterCarrier
from actors.streams.carriers import writer_carrier
from actors.streams.configuration import Role
from actors.streams.end import LOOK_AGAIN, End
from actors.streams.packet import freeze, pack_meta


@final
class Writer(End[WriterCarrier]):
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
        while (carrier := self._carrier) is not None and carrier.waiting():
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.title}: no reader took the packet within {timeout:g} s")
            time.sleep(LOOK_AGAIN)

    def _new_carrier(self) -> WriterCarrier:
        return writer_carrier(self._configuration)


def _topic_first(meta: dict[str, Any]) -> dict[str, Any]:
    """Put the topic first, where a plain subscriber can choose by the first bytes."""
    if not isinstance(meta, dict) or "topic" not in meta:  # pyright: ignore[reportUnnecessaryIsInstance]
        return meta
    return {"topic": meta["topic"], **meta}
