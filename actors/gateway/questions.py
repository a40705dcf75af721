"""A REQ socket's question, as a ROUTER takes it, and what is answered when there is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ERROR: Final = b"Error: "
"""What every answer begins with that says why there is none."""

_LONGEST: Final = 1000
"""Letters of an error that a plain program is told."""


def way_back(frames: Sequence[bytes]) -> tuple[list[bytes], list[bytes]] | None:
    """Divide what a ROUTER took into the way back, up to the empty frame, and what was said.

    None without an empty frame: the other side is no REQ, and no answer would reach it.
    """
    for place, frame in enumerate(frames):
        if place and not frame:
            return list(frames[: place + 1]), list(frames[place + 1 :])
    return None


def error_frame(why: BaseException | str) -> bytes:
    """Return what a plain program is told when it gets no answer: one line."""
    line = " ".join(str(why).split())
    if not line:
        line = "no reason was given" if isinstance(why, str) else type(why).__name__
    return ERROR + line[:_LONGEST].encode("utf-8", "replace")
