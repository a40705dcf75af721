"""What one actor may use before the supervisor acts."""

from __future__ import annotations

import math
import re
from typing import final

import attrs

from actors.arrays.allowance import LIMIT
from actors.arrays.segment import PAGE

_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{1,3})\s*")


def parse_size(value: int | str | None) -> int | None:
    """Return bytes from an int or a text such as "200 MB" or "1.5 GiB"; None stays None.

    Raises:
        ValueError: not a number with a unit of B, kB, MB, GB, TB or KiB, MiB, GiB, TiB.
        TypeError: neither an int nor a text.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        unit = _UNITS.get(match[2].upper()) if match else None
        if match is None or unit is None:
            raise ValueError(f'{value!r} is not a size: give bytes or a text such as "200 MB".')
        return int(float(match[1]) * unit)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f'{value!r} is not a size: give bytes or a text such as "200 MB".')
    return value


def _size(value: int | str) -> int:
    size = parse_size(value)
    if size is None:
        raise TypeError('None is not a size: give bytes or a text such as "200 MB".')
    return size


@final
@attrs.frozen
class Limits:
    """What one actor may use, and what happens when it uses more.

    Attributes:
        memory: bytes of resident memory, shared memory and preloaded modules included, as an int
            or a text such as "200 MB"; None: unlimited. It is looked at every half second or more
            often; an actor found above it is killed and restarted as after any crash, with the
            limit named as the reason.
        cpu: cores, averaged over 10 s: 1.5 is one and a half; None: unlimited. An actor that used
            more is killed and restarted as after any crash, within 20 s. What runs in processes
            of its own is not counted, neither here nor in `memory`.
        handler_seconds: how long one handler may keep the actor from its loop. One that does not
            come back within twice that time, nor calls `context.progress()`, is killed and
            restarted as after any crash. `math.inf` turns it off.
        mailbox: messages that may wait. At a full mailbox plain code and `def` handlers wait up
            to 5 s and then get `MailboxFull`; asyncio code gets it at once.
        shared_memory: bytes that arrays and rings of the actor may take of the memory that it
            shares with others, as an int or a text such as "200 MB". Beyond it `context.empty`
            and a ring raise `SharedMemoryFull`, and an array that is sent travels as a frame.

    Raises:
        TypeError, ValueError: a value is out of range, or a text is no size.
    """

    memory: int | None = attrs.field(default=None, converter=parse_size)
    cpu: float | None = None
    handler_seconds: float = 60.0
    mailbox: int = 10_000
    shared_memory: int = attrs.field(default=LIMIT, converter=_size)

    def __attrs_post_init__(self) -> None:
        if self.memory is not None and self.memory < 1:
            raise ValueError(f"Limits.memory is {self.memory!r}: give bytes above 0, or None.")
        if self.cpu is not None and not (_is_number(self.cpu) and 0 < self.cpu < math.inf):
            raise ValueError(f"Limits.cpu is {self.cpu!r}: give cores above 0, or None.")
        if not (_is_number(self.handler_seconds) and self.handler_seconds > 0):
            raise ValueError(
                f"Limits.handler_seconds is {self.handler_seconds!r}: give seconds above 0."
            )
        if not _is_number(self.mailbox) or self.mailbox < 1 or self.mailbox % 1:
            raise ValueError(f"Limits.mailbox is {self.mailbox!r}: give an int from 1 up.")
        if self.shared_memory < PAGE:
            raise ValueError(
                f"Limits.shared_memory is {self.shared_memory!r}: give at least {PAGE} bytes."
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
