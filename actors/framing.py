"""Wire messages on a stream of bytes: where one ends and its frames begin.  Pure.

    u32 n │ n times u32: bytes of each frame │ the frames          (little-endian)

ZeroMQ keeps messages apart by itself; a stream socket does not.  Nothing is set aside for what a
head promises: the buffer grows with what has arrived.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias, final

from actors.envelope import LARGEST_FRAME
from actors.errors import MessageError

MOST_FRAMES: Final = 1 << 20
"""Frames of one wire message: more small arrays than anybody sends at once."""

Message: TypeAlias = Sequence[bytes | memoryview]
"""The frames of a wire message that goes out."""

Received: TypeAlias = tuple[bool, list[bytes]]
"""Whether it came on a connection that we made, and the message, the connection's id in front."""

_WORD: Final = 4
_lone_head = struct.Struct("<II")
_count = struct.Struct("<I")


def head(message: Message) -> bytes:
    """Return what goes before the frames of a message."""
    if len(message) == 1:
        return _lone_head.pack(1, _size(message[0]))
    return struct.pack(f"<{len(message) + 1}I", len(message), *map(_size, message))


def _size(frame: bytes | memoryview) -> int:
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)


@final
class Assembler:
    """Makes messages of what arrives on one connection, in whatever portions."""

    __slots__ = ("_kept", "_needed")

    def __init__(self) -> None:
        self._kept = bytearray()
        """The beginning of a message whose end has not arrived."""
        self._needed = 0
        """Bytes without which looking at it again is in vain."""

    def feed(self, data: memoryview) -> list[list[bytes]]:
        """Take the next bytes and return the messages that are whole now, as lists of frames.

        Raises:
            MessageError: no message begins like this; the connection is of no more use.
        """
        if not self._kept:
            messages, used = self._split(data)
            if used < len(data):
                self._kept += data[used:]
            return messages
        self._kept += data
        if len(self._kept) < self._needed:
            return []
        with memoryview(self._kept) as kept:
            messages, used = self._split(kept)
        del self._kept[:used]
        return messages

    def _split(self, data: memoryview) -> tuple[list[list[bytes]], int]:
        """Return the whole messages at the beginning of `data`, and how long they are."""
        messages: list[list[bytes]] = []
        at, end = 0, len(data)
        self._needed = 0
        while end - at >= _lone_head.size:  # no message is shorter, and most have one frame
            count, first = _lone_head.unpack_from(data, at)
            if count == 1 and first <= LARGEST_FRAME:
                start = at + _lone_head.size
                stop = start + first
                if stop > end:
                    self._needed = stop - at
                    break
                messages.append([bytes(data[start:stop])])
            else:
                sizes = _sizes(data[at:end], count)
                start = at + _WORD * (count + 1)
                stop = start + sum(sizes)
                if not sizes or stop > end:
                    self._needed = stop - at
                    break
                messages.append(_frames(data, start, sizes))
            at = stop
        return messages, at


def _sizes(data: memoryview, count: int) -> tuple[int, ...]:
    """Return the bytes of each frame of the message that begins here; () if not all are known."""
    if not 0 < count <= MOST_FRAMES:
        raise MessageError(f"no message has {count} frames")
    if len(data) < _WORD * (count + 1):
        return ()
    sizes: tuple[int, ...] = struct.unpack_from(f"<{count}I", data, _WORD)
    if max(sizes) > LARGEST_FRAME:
        raise MessageError(f"a frame of {max(sizes)} bytes; {LARGEST_FRAME} are allowed")
    return sizes


def _frames(data: memoryview, at: int, sizes: tuple[int, ...]) -> list[bytes]:
    frames: list[bytes] = []
    for size in sizes:
        frames.append(bytes(data[at : at + size]))
        at += size
    return frames
