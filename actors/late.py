"""What has finished before an earlier message of its link, in the flight recorder's page.

    8192  256 x first u64 | rid 16s | last u64 = 32 bytes each

Such numbers are kept as runs.  One that has a neighbour moves an end of a run by one store; when
two runs meet, one takes in the other before that is cleared.  So the page is true between any two
stores, and a message that overlaps a million others costs one record.

There is always room for what is in progress: each run lies behind a message that is in progress,
or began with one that was never begun, since it was refused or given up, and those are recorded
only while more than enough is free (`spare`).
"""

from __future__ import annotations

from typing import Final, TypeAlias, final

LATE: Final = 256
LATE_BYTES: Final = 8192
"""Where the records begin."""

_WORD: Final = 8
_STEP: Final = 4  # words of a record
_LAST: Final = 3  # of them
_END: Final = 9  # word of the header: records at this index and above were never used
_KEPT: Final = 64  # as many may be in progress
_RID_BYTES: Final = 16
_ALL: Final = list(range(LATE - 1, -1, -1))
"""What is free in a fresh page, the lowest last; copied, not made again for every actor."""

_Ends: TypeAlias = dict[int, int]
"""Either end of a run: its record."""


@final
class Late:
    """The writer's side of the records of one page."""

    def __init__(self, page: memoryview, words: memoryview) -> None:
        self._page = page
        self._words = words
        begin = LATE_BYTES // _WORD
        end = begin + LATE * _STEP
        self._firsts = words[begin:end:_STEP]  # the commits
        self._lasts = words[begin + _LAST : end : _STEP]
        self._idle = _ALL.copy()
        self._end = 0
        self.links: dict[int, _Ends] = {}
        """By their slots, the links that have such messages."""

    @property
    def spare(self) -> bool:
        """Whether there are more records than what is in progress may need."""
        return len(self._idle) > _KEPT

    def keep(self, slot: int, rid: bytes, number: int) -> None:
        """Add a number to the run before it, to the one behind it, to both, or begin one."""
        ends = self.links.setdefault(slot, {})
        before, behind = ends.get(number - 1), ends.get(number + 1)
        if before is not None and behind is not None:
            last = self._lasts[behind]
            self._move(self._lasts, before, last, ends)
            self._drop(behind, ends)
            ends[last] = before
        elif before is not None:
            self._move(self._lasts, before, number, ends)
        elif behind is not None:
            self._move(self._firsts, behind, number, ends)
        else:
            ends[number] = self._begin(rid, number)

    def passed(self, slot: int, handled: int) -> None:
        """Forget the runs up to there: the link's mark says as much now."""
        ends = self.links.get(slot)
        if ends is None:
            return
        for record in {record for end, record in ends.items() if end <= handled}:
            self._drop(record, ends)
        if not ends:
            del self.links[slot]

    def forget(self, slot: int) -> None:
        """Forget all of a link."""
        for record in set(self.links.pop(slot, {}).values()):
            self._free(record)

    def close(self) -> None:
        """Let go of the page."""
        for view in (self._firsts, self._lasts):
            view.release()

    def _begin(self, rid: bytes, number: int) -> int:
        record = self._idle.pop()
        at = LATE_BYTES + (record * _STEP + 1) * _WORD
        self._page[at : at + _RID_BYTES] = rid
        self._lasts[record] = number
        if record >= self._end:
            self._words[_END] = self._end = record + 1
        self._firsts[record] = number
        return record

    def _move(self, ends_in_page: memoryview, record: int, number: int, ends: _Ends) -> None:
        """Let a run begin, or end, with another number."""
        former = ends_in_page[record]
        ends_in_page[record] = number
        if self._firsts[record] != former != self._lasts[record]:  # else it was one number only
            del ends[former]
        ends[number] = record

    def _drop(self, record: int, ends: _Ends) -> None:
        for end in {self._firsts[record], self._lasts[record]}:
            del ends[end]
        self._free(record)

    def _free(self, record: int) -> None:
        self._firsts[record] = 0
        self._idle.append(record)
