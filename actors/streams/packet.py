"""A packet: some JSON and some bytes, together or not at all.

    part 1   meta   a JSON object in UTF-8, or nothing, which means {}
    part 2   data   bytes, or nothing

This is all that is on the wire, so any program that has ZeroMQ and JSON can take part.  What comes
from there was written by a stranger: `unpack` checks it before anybody looks at it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, cast, final

import attrs

from actors.errors import InvalidMessage

MOST_META: Final = 1 << 20
"""Bytes of JSON in one packet, written or read: each costs some ten bytes of memory when read."""

PARTS: Final = 2

_NAMES: Final = re.compile(r":[^:]*:")
"""The names of a structure's fields in the format of a buffer."""

Buffer = bytes | bytearray | memoryview


@final
@attrs.frozen(eq=False)
class Packet:
    """One packet as it was received."""

    meta: dict[str, Any]
    data: memoryview
    """Read-only; empty when the writer sent none."""


def pack_meta(meta: dict[str, Any]) -> bytes:
    """Return `meta` as it travels: what `json.dumps` makes of it, encoded.

    Raises:
        InvalidMessage: it is no dict, JSON has no word for something in it, or it is too large.
    """
    if not isinstance(meta, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _wrong("meta", f"expected a dict, got {type(meta).__name__}: {meta!r:.80}")
    try:
        text = json.dumps(meta).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong("meta", f"JSON cannot say it: {error}") from None
    if len(text) > MOST_META:
        raise _wrong("meta", f"{len(text):,} bytes of JSON, {MOST_META:,} at most: put it in data")
    return text


def freeze(data: object) -> bytes:
    """Return the bytes of any buffer as they are now, in C order; None is none at all.

    Bytes are returned as they are; everything else is copied, because a packet may leave after its
    writer has gone on to change the buffer.

    Raises:
        InvalidMessage: it has no buffer that can be read.
    """
    if data is None:
        return b""
    try:
        view = memoryview(cast("Buffer", data))
        whole = view.obj
        if isinstance(whole, bytes) and view.c_contiguous and view.nbytes == len(whole):
            return whole
        if not {"O", "P"} & set(_NAMES.sub("", view.format)):
            return view.tobytes()
        reason = "its elements are addresses in this process"
    except (TypeError, ValueError, BufferError) as error:
        reason = str(error)
    raise _wrong("data", f"expected bytes, an array or another buffer: {reason}")


def unpack(parts: Sequence[Buffer]) -> Packet:
    """Check the parts of a packet and read its meta; the data is not copied.

    Raises:
        InvalidMessage: it is no packet; the field and the reason are named.
    """
    if len(parts) != PARTS:
        raise _wrong("", f"expected two parts, meta and data, got {len(parts)}")
    return Packet(_read_meta(parts[0]), memoryview(parts[1]).toreadonly())


def _read_meta(part: Buffer) -> dict[str, Any]:
    size = memoryview(part).nbytes
    if size > MOST_META:
        raise _wrong("meta", f"{size:,} bytes of JSON, {MOST_META:,} at most")
    if not size:
        return {}
    try:
        meta = json.loads(bytes(part).decode())
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number too long, too deep
        raise _wrong("meta", f"not JSON in UTF-8: {error}") from None
    if not isinstance(meta, dict):
        raise _wrong("meta", f"expected a JSON object, got {type(meta).__name__}")
    return cast("dict[str, Any]", meta)


def _wrong(field: str, reason: str) -> InvalidMessage:
    return InvalidMessage(message="packet", field=field, reason=reason)
