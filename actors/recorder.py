"""The flight recorder: what one incarnation was doing, on a page that survives its kill -9.

The supervisor holds the page and reads it at any time; the incarnation writes it, around every
handler.  64 KiB, native byte order, all zero at birth:

         0  header       16 words of 8 bytes, see `_MAGIC` ... `_ENGAGED`
       256  in progress  64 x  seq u64 | rid 16s | since f64 | tag 32s | sender 48s = 112 bytes each
      8192  late         256 x first u64 | rid 16s | last u64                      = 32 bytes each
     16384  links        1024 x used u64 | handled u64 | rid 16s                   = 32 bytes each
     49152  last words   text of faulthandler, up to the end or the first zero

A process can be killed between any two stores, so the first word of every record is its *commit*:
the rest is written while it is 0, then one aligned store of eight bytes (which is never seen half
done) makes the record true.  The life of a message:

    begin    body, then seq          not started ──► in progress
    finish   handled mark (or late)  in progress ──► finished, though its record is still there
             then seq := 0           finished; the reader lets "finished" win over "in progress"

`handled` is cumulative: every message of the link up to it is finished.  A message that finishes
while an earlier one of its link has not (concurrent handlers) goes to `late` until the mark
passes it: see `late.py`.

One thread writes: the loop of the incarnation.  `struct.pack_into` clears its target before it
writes, so it is used for bodies only, never for a word that is already true.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias, final

from actors.arrays.segment import HAS_MEMFD, allocate, create_memory
from actors.arrays.sharing import Sharing
from actors.late import Late

PAGE_SIZE: Final = 1 << 16
LINKS: Final = 1024
IN_PROGRESS: Final = 64
TAG_BYTES: Final = 32
SENDER_BYTES: Final = 48
RID_BYTES: Final = 16
LAST_WORDS: Final = 49152
"""Where the stack of a process that crashes, or is asked for it, begins."""

Buffer: TypeAlias = bytearray | mmap.mmap | memoryview

WORD: Final = 8
MARK: Final = int.from_bytes(b"undrstd\x03", "little")  # ends in the version of the layout

# Words of the header.
_MAGIC: Final = 0
_STATE: Final = 1  # of `State`; BUSY is never stored, it follows from the records in progress
_ALIVE_AT: Final = 2  # f64
_PROGRESS_AT: Final = 3  # f64
_HANDLED: Final = 4
_FAILED: Final = 5
_MAILBOX: Final = 6
_PEAK: Final = 7
_LINKS_END: Final = 8  # links at this index and above were never used, so nobody looks
# 9: the same for late records, see `late.py`
_ENGAGED: Final = 10  # streams and hooks that run the user's code without a message in progress
EXPIRED_WORD: Final = 15  # messages whose deadline had passed before they were begun
SHARED_WORDS: Final = 16  # what it shares, see `Sharing`

# Where the records begin, and their sizes, in words.
PROGRESS_AREA: Final = 256 // WORD
_PROGRESS_STEP: Final = 14
_SINCE: Final = 3  # of them, in a record
LINK_AREA: Final = 16384 // WORD
_LINK_STEP: Final = 4

_PROGRESS_BYTES: Final = _PROGRESS_STEP * WORD
_FIRST_BODY: Final = (PROGRESS_AREA + 1) * WORD
# What is free in a fresh page, the lowest last; copied, not made again for every actor.
_ALL_SLOTS: Final = list(range(LINKS - 1, -1, -1))
_ALL_RECORDS: Final = list(range(IN_PROGRESS - 1, -1, -1))
_NO_SENDERS: Final = [b""] * LINKS
_NO_BODIES: Final[list[tuple[bytes, str]]] = [(b"", "")] * IN_PROGRESS

_pack_body: Final = struct.Struct("=16sd32s48s").pack_into


class State(IntEnum):
    """What an incarnation is doing."""

    STARTING = 0
    IDLE = 1
    BUSY = 2
    STOPPING = 3


class Recorder:
    """The writer's side.  Only the loop's thread of one incarnation may use it."""

    # begin and finish run around every message: together well under a microsecond.  Hence words
    # through a cast memoryview (one store, 30 ns), one pack_into for a body, and no calls between;
    # of a body that is there already, from the last message of this sender, only the time is new.

    most_overlapping: ClassVar = 60
    """Handlers that may overlap; of the places some are for what does not."""

    def __init__(self, buffer: Buffer) -> None:
        """Open a fresh page; its state becomes STARTING.

        Raises:
            ValueError: the page is too small, or another incarnation has written it.
        """
        self._page = memoryview(buffer).cast("B")
        if len(self._page) < PAGE_SIZE:
            size = len(self._page)
            self.close()
            raise ValueError(f"a recorder needs {PAGE_SIZE} bytes, not {size}")
        self._words = self._page[:PAGE_SIZE].cast("Q")
        self._times = self._page[:PAGE_SIZE].cast("d")
        # Columns of the areas: the commits of what is in progress and of what is late, and the
        # links' handled marks.
        end = PROGRESS_AREA + IN_PROGRESS * _PROGRESS_STEP
        self._commits = self._words[PROGRESS_AREA:end:_PROGRESS_STEP]
        self._since = self._times[PROGRESS_AREA + _SINCE : end : _PROGRESS_STEP]
        self._marks = self._words[LINK_AREA + 1 : LAST_WORDS // WORD : _LINK_STEP]
        if self._words[_MAGIC]:
            self.close()
            raise ValueError("this page was written before; every incarnation needs a fresh one")
        self._rids: dict[int, bytes] = {}  # link slot -> routing id
        self._senders = _NO_SENDERS.copy()  # link slot -> who sends, for people
        self._slots = _ALL_SLOTS.copy()  # free link slots, lowest last
        self._parting: dict[bytes, int] = {}  # unlinked while one of its messages is in progress
        self._idle = _ALL_RECORDS.copy()  # free records, lowest last
        self._bodies = _NO_BODIES.copy()  # record -> routing id and tag that were written there
        self._busy: dict[int, int] = {}  # record in progress -> link slot
        self._late = Late(self._page, self._words, in_progress=IN_PROGRESS)
        self._late_links = self._late.links  # empty when nothing is late, as it nearly always is
        self._tags: dict[str, bytes] = {}
        self._peak = self._handled = 0
        self._words[_MAGIC] = MARK

    @staticmethod
    def blank() -> bytearray:
        """Return a page in ordinary memory: for an actor that is a thread, and for tests."""
        return bytearray(PAGE_SIZE)

    # State and gauges.

    def ready(self) -> None:
        """`on_start` has succeeded: messages are taken from now on."""
        self._words[_STATE] = State.IDLE

    def stopping(self) -> None:
        """No new message is taken from now on; the present one may still finish."""
        self._words[_STATE] = State.STOPPING

    def alive(self, now: float) -> None:
        """The loop turns.  After a long handler say so before `finish`, or it looks hung idle."""
        self._times[_ALIVE_AT] = now

    def progress(self, now: float) -> None:
        """The handler in progress gives a sign of life: `busy_since` becomes `now`."""
        self._times[_PROGRESS_AT] = now

    def mailbox(self, length: int) -> None:
        """Messages waiting now; the peak is kept."""
        self._words[_MAILBOX] = length
        if length > self._peak:
            self._words[_PEAK] = self._peak = length

    def engage(self, change: int) -> None:
        """One more (1), or one less (-1), of the streams and hooks that run the user's code."""
        self._words[_ENGAGED] += change

    def shares(self, sharing: Sharing) -> None:
        """So much of its memory is shared with others."""
        sharing.write(self._words, SHARED_WORDS)

    def expired(self) -> None:
        """Count a message whose deadline had passed before it was begun (besides `finish`)."""
        self._words[EXPIRED_WORD] += 1

    def failed(self) -> None:
        """Count a handler that raised (besides `finish`)."""
        self._words[_FAILED] += 1

    # Links.

    def link(self, rid: bytes, handled: int = 0, sender: str = "") -> int:
        """Begin to record the messages of a sender; return its slot.

        Args:
            rid: The sender's routing id, 16 bytes.
            handled: Messages up to this one count as finished already.
            sender: Its name and incarnation, for people; of a long one the last 48 bytes are kept.

        Raises:
            LookupError: all slots are taken; refuse the sender.
            ValueError: `rid` is not 16 bytes, or is linked.
        """
        if len(rid) != RID_BYTES or rid in self._rids.values():
            raise ValueError(
                f"routing id {rid.hex()} is not {RID_BYTES} bytes or is linked already"
            )
        slot = self._parting.pop(rid, -1)
        if slot < 0:
            if not self._slots:
                raise LookupError(f"all {LINKS} links are taken; refuse this sender")
            slot = self._slots.pop()
        word = LINK_AREA + slot * _LINK_STEP
        self._marks[slot] = handled
        self._page[(word + 2) * WORD : (word + 4) * WORD] = rid
        if slot >= self._words[_LINKS_END]:
            self._words[_LINKS_END] = slot + 1
        self._words[word] = 1
        self._rids[slot] = bytes(rid)
        self._bodies[:] = _NO_BODIES  # it may be linked again with another sender's name
        self._senders[slot] = sender.encode(errors="replace")[-SENDER_BYTES:]
        return slot

    def unlink(self, slot: int) -> None:
        """Forget a sender; its slot is used again once none of its messages is in progress.

        Raises:
            LookupError: `slot` is not linked.
        """
        rid = self._rids.pop(slot)
        self._words[LINK_AREA + slot * _LINK_STEP] = 0
        self._late.forget(slot)
        if slot in self._busy.values():
            # Given to another sender now, the late `finish` would speak of that one's messages.
            self._parting[rid] = slot
        else:
            self._slots.append(slot)

    # Messages.

    @property
    def room(self) -> bool:
        """Whether `begin` would succeed; if not, wait until an earlier message has finished."""
        return bool(self._idle)

    @property
    def spare(self) -> bool:
        """Whether one may be recorded that ends before its turn, as it is refused or given up."""
        return self._late.spare and bool(self._idle)

    def begin(self, slot: int, seq: int, tag: str, now: float) -> int:
        """Record that a handler starts; return the record's index for `finish`.

        An incarnation that handles one at a time always gets index 0.

        Args:
            slot: The sender's slot, from `link`.
            seq: The message's number, from 1.
            tag: Of the message's class; of a long one the last 32 bytes are kept.
            now: Monotonic seconds.

        Raises:
            LookupError: `slot` is not linked, or 64 messages are in progress (see `room`).
        """
        rid = self._rids[slot]
        if not self._idle:
            raise LookupError("no record is free; ask `room` before a concurrent handler starts")
        index = self._idle[-1]
        body_rid, body_tag = self._bodies[index]
        if body_rid is rid and body_tag == tag:
            self._since[index] = now
        else:
            text = self._tags.get(tag) or self._shorten(tag)
            at = _FIRST_BODY + index * _PROGRESS_BYTES
            _pack_body(self._page, at, rid, now, text, self._senders[slot])
            self._bodies[index] = (rid, tag)
        self._commits[index] = seq
        self._busy[index] = slot
        self._idle.pop()
        return index

    def finish(
        self, index: int, slot: int, seq: int, handled: int, run: tuple[int, int] | None = None
    ) -> None:
        """Record that a handler has ended, well or badly.

        Args:
            index: What `begin` returned.
            slot: The sender's slot.
            seq: The message's number.
            handled: Every message of this link up to this number is finished now; less than
                `seq` when an earlier one is still in progress.
            run: If so, the first and the last of those around it that are finished with it.

        Raises:
            LookupError: nothing is in progress at `index`.
        """
        del self._busy[index]
        if seq > handled or self._late_links or self._parting:
            self._finish_late(slot, run or (seq, seq), handled)
        else:
            self._marks[slot] = handled
        self._commits[index] = 0
        self._idle.append(index)
        self._handled += 1
        self._words[_HANDLED] = self._handled

    def close(self) -> None:
        """Let go of the page, which stays as it is; twice is fine."""
        late = self.__dict__.get("_late")
        if late is not None:
            late.close()
        for name in ("_marks", "_since", "_commits", "_times", "_words", "_page"):
            view = self.__dict__.get(name)
            if view is not None:
                view.release()

    def _finish_late(self, slot: int, run: tuple[int, int], handled: int) -> None:
        """Do what is rare: out of order, or the sender was unlinked meanwhile."""
        rid = self._rids.get(slot)
        if rid is None:
            if slot not in self._busy.values():
                self._parting = {rid: one for rid, one in self._parting.items() if one != slot}
                self._slots.append(slot)
            return
        if run[0] > handled:
            self._late.keep(slot, rid, run)
        if handled != self._marks[slot]:
            self._marks[slot] = handled
            self._late.passed(slot, handled)

    def _shorten(self, tag: str) -> bytes:
        # The end of a tag is the class's name, which says more than the package.
        if len(self._tags) >= LINKS:
            self._tags.clear()
        text = self._tags[tag] = tag.encode(errors="replace")[-TAG_BYTES:]
        return text


@final
class UnreadRecorder(Recorder):
    """One whose page nobody reads, so that many more messages may be in progress."""

    most_overlapping: ClassVar = 10_000

    @property
    def room(self) -> bool:
        """Always."""
        return True

    @property
    def spare(self) -> bool:
        """Always."""
        return True

    def link(self, rid: bytes, handled: int = 0, sender: str = "") -> int:  # noqa: ARG002
        """All senders share a slot."""
        return 0

    def unlink(self, slot: int) -> None:
        """There is nothing to forget."""

    def begin(self, slot: int, seq: int, tag: str, now: float) -> int:  # noqa: ARG002
        """All messages share a record."""
        return 0

    def finish(
        self, index: int, slot: int, seq: int, handled: int, run: tuple[int, int] | None = None
    ) -> None:
        """There is nothing to clear."""


# --- pages ----------------------------------------------------------------------------------------


def create_page() -> tuple[int, mmap.mmap]:
    """Return the descriptor of a fresh page, to give to the incarnation, and our map of it.

    It has no name, so nothing stays behind.  Both are the caller's to close.

    Raises:
        OSError: the system has no memory or no descriptors left.
    """
    if HAS_MEMFD:
        fd = create_memory("understudy-recorder", PAGE_SIZE)
    else:
        with tempfile.TemporaryFile(buffering=0) as file:
            file.truncate(PAGE_SIZE)
            fd = os.dup(file.fileno())
    try:
        # A store into a page the full system cannot provide would kill the incarnation.
        allocate(fd, 0, PAGE_SIZE)
        return fd, open_page(fd)
    except BaseException:
        os.close(fd)
        raise


def open_page(fd: int, *, readonly: bool = False) -> mmap.mmap:
    """Map a page by the descriptor that came from `create_page`, perhaps in another process."""
    return mmap.mmap(fd, PAGE_SIZE, access=mmap.ACCESS_READ if readonly else mmap.ACCESS_WRITE)
