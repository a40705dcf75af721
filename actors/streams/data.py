"""The box in which Valkyrie's calls hand over bytes."""

from __future__ import annotations

from typing import cast, final


@final
class Data:
    """Bytes for `write`, or room for what `read` finds.

    `Data()` holds none, which is the same as no bytes; `Data(array)` any buffer, as it is.
    """

    def __init__(self, buffer_object: object = None) -> None:
        """Look at a buffer; it is copied when it is written.

        Raises:
            TypeError: it is no buffer.
        """
        self.memoryview: memoryview | None = (
            None if buffer_object is None else memoryview(cast("bytes", buffer_object))
        )
