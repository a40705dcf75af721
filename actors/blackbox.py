"""The black box: reading the flight recorder of an incarnation, dead or alive.

    page (64 KiB, written by `actors.recorder`) ──► read ──► Record

The writer may have been killed between any two stores, or have scribbled over its page before it
died, so nothing here trusts a byte: indexes are bounded, times are compared only when they are
numbers, and a message recorded in two places counts once.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs

from actors.arrays.sharing import NOTHING, Sharing
from actors.late import LATE, LATE_BYTES
from actors.recorder import (
    EXPIRED_WORD,
    IN_PROGRESS,
    LAST_WORDS,
    LINK_AREA,
    LINKS,
    MARK,
    PAGE_SIZE,
    PROGRESS_AREA,
    SHARED_WORDS,
    WORD,
    Buffer,
    State,
)
from actors.runs import holds

ReadBuffer: TypeAlias = bytes | Buffer

_HEADER: Final = struct.Struct("=QQddQQQQQQQ")
_PROGRESS: Final = struct.Struct("=Q16sd32s48s")
_WORD: Final = struct.Struct("=Q")
_LATE: Final = struct.Struct("=Q16sQ")
_LINK: Final = struct.Struct("=QQ16s")

_PULSE_BYTES: Final = PROGRESS_AREA * WORD + IN_PROGRESS * _PROGRESS.size
"""The part of a page that `feel` looks at."""

_BLANK: Final = bytes(PAGE_SIZE)
_STATES: Final = frozenset(State)


@attrs.frozen
class InProgress:
    """A message that was being handled."""

    rid: bytes  # the sender's routing id
    seq: int
    tag: str  # of its class; the last 32 bytes of a long one
    since: float  # monotonic seconds
    sender: str = ""  # name and incarnation; the last 48 bytes of a long one


@attrs.frozen
class LinkRecord:
    """What is finished of one sender's messages."""

    handled: int  # every message up to this one
    finished: tuple[int, ...] = ()  # and these above it: the first and the last of each run

    def is_finished(self, seq: int) -> bool:
        """Whether the message of this number was handled to its end."""
        return seq <= self.handled or holds(self.finished, seq)


@attrs.frozen
class Record:
    """A page as it was at one moment.

    Read after the process was reaped it is exact.  Read while the process lives, single numbers
    are right but need not fit each other.
    """

    intact: bool  # False: the page holds something else, and what it says is not to be relied on
    state: State
    alive_at: float  # monotonic seconds of the last heartbeat; 0.0 before the first
    busy_since: (
        float | None
    )  # last begin or `progress` of what is in progress; None when nothing is
    in_progress: tuple[InProgress, ...]  # oldest first
    links: Mapping[bytes, LinkRecord]  # by the sender's routing id
    handled: int  # handlers that ended, well or badly
    failed: int  # those that raised
    mailbox: int  # messages waiting
    peak: int  # most messages that ever waited
    engaged: int = 0  # streams and hooks that may run the user's code without a message
    expired: int = 0  # messages whose deadline had passed before they were begun
    sharing: Sharing = NOTHING  # what of its memory others may read


@attrs.frozen
class Pulse:
    """What tells whether an incarnation still gets on; cheaper to read than the whole page."""

    state: State  # BUSY: a message is in progress
    alive_at: float  # monotonic seconds of the last heartbeat; 0.0 before the first
    busy_since: float | None  # last begin or `progress`; None when nothing is in progress
    engaged: int
    current: InProgress | None  # the oldest message in progress


def feel(buffer: ReadBuffer) -> Pulse:
    """Read what a page says of the loop's life; never raises for what it holds."""
    page = bytes(memoryview(buffer).cast("B")[:_PULSE_BYTES]).ljust(_PULSE_BYTES, b"\0")
    _, stored, alive_at, progress_at, *_rest, engaged = _HEADER.unpack_from(page)
    # Almost everybody is idle when looked at, which the commits alone tell: 3 instead of 30 us.
    busy = any(memoryview(page).cast("Q")[PROGRESS_AREA :: _PROGRESS.size // WORD])
    in_progress = _read_in_progress(page, {}) if busy else ()
    state = State(stored) if stored in _STATES else State.STARTING
    return Pulse(
        state=State.BUSY if state is State.IDLE and in_progress else state,
        alive_at=_time(alive_at),
        busy_since=max(in_progress[-1].since, _time(progress_at)) if in_progress else None,
        engaged=engaged,
        current=in_progress[0] if in_progress else None,
    )


def last_words(buffer: ReadBuffer) -> str:
    """Return the stack that a process wrote when it crashed or was asked; "" when it did not."""
    area = bytes(memoryview(buffer).cast("B")[LAST_WORDS:PAGE_SIZE])
    return area.partition(b"\0")[0].decode(errors="replace")


def read(buffer: ReadBuffer) -> Record:
    """Read a page, written by anybody; never raises for what it holds.

    A page nobody has written yet reads as a STARTING incarnation without messages.
    """
    found = bytes(memoryview(buffer).cast("B")[:PAGE_SIZE])
    page = found.ljust(PAGE_SIZE, b"\0")
    magic, stored, alive_at, progress_at, *numbers = _HEADER.unpack_from(page)
    handled, failed, mailbox, peak, links_end, late_end, engaged = numbers
    links = _read_links(page, min(links_end, LINKS), min(late_end, LATE))
    in_progress = _read_in_progress(page, links)
    busy_since = None
    if in_progress:
        busy_since = max(in_progress[-1].since, _time(progress_at))
    state = State(stored) if stored in _STATES else State.STARTING
    if state is State.IDLE and in_progress:
        state = State.BUSY
    return Record(
        intact=(magic == MARK and stored in _STATES and found == page) or found == _BLANK,
        state=state,
        alive_at=_time(alive_at),
        busy_since=busy_since,
        in_progress=in_progress,
        links=links,
        handled=handled,
        failed=failed,
        mailbox=mailbox,
        peak=peak,
        engaged=engaged,
        expired=_WORD.unpack_from(page, EXPIRED_WORD * WORD)[0],
        sharing=Sharing.read(page, SHARED_WORDS * WORD),
    )


def _read_links(page: bytes, links_end: int, late_end: int) -> dict[bytes, LinkRecord]:
    start = LATE_BYTES
    late: dict[bytes, list[tuple[int, int]]] = {}
    for first, rid, last in _LATE.iter_unpack(page[start : start + late_end * _LATE.size]):
        if first:
            late.setdefault(rid, []).append((first, last))
    start = LINK_AREA * WORD
    links: dict[bytes, LinkRecord] = {}
    for used, handled, rid in _LINK.iter_unpack(page[start : start + links_end * _LINK.size]):
        if used:
            links[rid] = LinkRecord(handled, _joined(late.get(rid, []), handled))
    return links


def _joined(runs: list[tuple[int, int]], handled: int) -> tuple[int, ...]:
    """Return the ends of the runs above `handled`; killed as two met, one is in the other."""
    ends: list[int] = []
    for first, last in sorted(runs):
        if ends and first <= ends[-1] + 1:
            ends[-1] = max(ends[-1], last)
        elif last > handled:
            ends += [max(first, handled + 1), last]
    return tuple(ends)


def _read_in_progress(page: bytes, links: Mapping[bytes, LinkRecord]) -> tuple[InProgress, ...]:
    start = PROGRESS_AREA * WORD
    found: list[InProgress] = []
    area = page[start : start + IN_PROGRESS * _PROGRESS.size]
    for seq, rid, since, tag, sender in _PROGRESS.iter_unpack(area):
        # Killed inside `finish` a message is in both places; it has ended, so it is finished.
        if seq and not (rid in links and links[rid].is_finished(seq)):
            found.append(InProgress(rid, seq, _text(tag), _time(since), _text(sender)))
    return tuple(sorted(found, key=lambda one: one.since))


def _time(seconds: float) -> float:
    """Return a time that can be compared: not-a-number can not."""
    return seconds if math.isfinite(seconds) else 0.0


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
