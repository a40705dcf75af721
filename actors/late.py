"""What has finished before an earlier message of its link, in the flight recorder's page.

    8192  256 x first u64 | rid 16s | last u64 = 32 bytes each

Such numbers are kept as runs, those of the link itself: answers and words about streams have
numbers too, and are in no record.  A run grows by a store; when two have met, one takes in the
other before that is cleared.  So the page is true between any two stores, and a message that
overlaps a million others costs one record.

There is always room for what is in progress: what stands before a run is in progress, or waits, and
then the run is of messages that were never begun, since they were refused or given up.  Those are
recorded only while more than enough is free (`spare`).
"""

from __future__ import annotations

from typing import Final, final

LATE: Final = 256
LATE_BYTES: Final = 8192
"""Where the records begin."""

_WORD: Final = 8
_STEP: Final = 4  # words of a record
_LAST: Final = 3  # of them
_END: Final = 9  # word of the header: records at this index and above were never used
_RID_BYTES: Final = 16
_ALL: Final = list(range(LATE - 1, -1, -1))
"""What is free in a fresh page, the lowest last; copied, not made again for every actor."""


@final
class Late:
    """The writer's side of the records of one page."""

    def __init__(self, page: memoryview, words: memoryview, *, in_progress: int) -> None:
        """So many messages may be `in_progress` at the same time."""
        self._in_progress = in_progress
        self._page = page
        self._words = words
        begin = LATE_BYTES // _WORD
        end = begin + LATE * _STEP
        self._firsts = words[begin:end:_STEP]  # the commits
        self._lasts = words[begin + _LAST : end : _STEP]
        self._idle = _ALL.copy()
        self._end = 0
        self.links: dict[int, list[int]] = {}
        """By their slots, the links that have such messages, with their records."""

    @property
    def spare(self) -> bool:
        """Whether there are more records than what is in progress may need."""
        return len(self._idle) > self._in_progress

    def keep(self, slot: int, rid: bytes, run: tuple[int, int]) -> None:
        """Note the run that a number stands in now: it has grown, has met others, or is new."""
        first, last = run
        records = self.links.setdefault(slot, [])
        parts = [record for record in records if first <= self._firsts[record] <= last]
        if not parts:
            records.append(self._begin(rid, first, last))
            return
        grown, *taken_in = parts
        self._firsts[grown] = first
        self._lasts[grown] = last
        for record in taken_in:
            self._free(record)
            records.remove(record)

    def passed(self, slot: int, handled: int) -> None:
        """Forget the runs up to there: the link's mark says as much now."""
        records = self.links.get(slot)
        if records is None:
            return
        for record in [record for record in records if self._lasts[record] <= handled]:
            self._free(record)
            records.remove(record)
        if not records:
            del self.links[slot]

    def forget(self, slot: int) -> None:
        """Forget all of a link."""
        for record in self.links.pop(slot, []):
            self._free(record)

    def close(self) -> None:
        """Let go of the page."""
        for view in (self._firsts, self._lasts):
            view.release()

    def _begin(self, rid: bytes, first: int, last: int) -> int:
        record = self._idle.pop()
        at = LATE_BYTES + (record * _STEP + 1) * _WORD
        self._page[at : at + _RID_BYTES] = rid
        self._lasts[record] = last
        if record >= self._end:
            self._words[_END] = self._end = record + 1
        self._firsts[record] = first
        return record

    def _free(self, record: int) -> None:
        self._firsts[record] = 0
        self._idle.append(record)
