"""The ledger: which blocks of an arena are in use, and by how many claims each.

    add   ──► a block with one claim
    claim ──► one more
    end   ──► one less; the last gives the place back

Pure bookkeeping.  Only `drop` may be called from anywhere at any time, a finalizer included: what
it notes is put right by the next `settle`.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Generic, TypeVar, final

P = TypeVar("P")


@final
class Ledger(Generic[P]):
    """Blocks by their number, which is never used again."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._places: dict[int, P] = {}
        self._claims: dict[int, int] = {}
        self._dropped: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: P) -> int:
        """Return the number of a new block at `place`, with one claim on it."""
        block = next(self._ids)
        self._places[block] = place
        return block

    def claim(self, block: int, place: object) -> P | None:
        """Add a claim and return the place; None when that block is not (any more) at `place`."""
        known = self._places.get(block)
        if known is None or known is not place:
            return None
        self._claims[block] = self._claims.get(block, 1) + 1
        return known

    def end(self, block: int) -> tuple[bool, P | None]:
        """End a claim; return whether there was one, and the place if it was the last."""
        if block not in self._places:
            return False, None
        claims = self._claims.pop(block, 1) - 1
        if claims > 1:
            self._claims[block] = claims
        return True, None if claims else self._places.pop(block)

    def drop(self, block: int) -> None:
        """A claim has ended, in the midst of anything."""
        self._dropped.append(block)

    def settle(self) -> list[P]:
        """End the claims that were dropped; return the places that nobody uses now."""
        free: list[P] = []
        while self._dropped:
            _, place = self.end(self._dropped.popleft())
            if place is not None:
                free.append(place)
        return free

    def clear(self) -> None:
        """Forget every block; what is dropped from now on is of no interest."""
        self._places.clear()
        self._claims.clear()
        self._dropped = deque(maxlen=0)
