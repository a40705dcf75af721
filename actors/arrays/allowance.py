"""The allowance: how much shared memory one process may set aside, its arrays and rings together.

    take(size) ─► within our limit? ─► within the system's (`accounts.py`)? ─► True: it is set aside
                        └──────────────────────┴──► False: no room, nothing has changed
    give_back(size)

Asked before any memory is made or written, so a full one is a word and not a crash.  What is in use
is not asked for again: blocks that are free wait in their arena, and count.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, final

from actors.arrays.accounts import Account
from actors.arrays.segment import PAGE
from actors.arrays.sharing import Sharing
from actors.arrays.turn import take_turn

LIMIT: Final = 1 << 30
"""Bytes, where nobody says otherwise."""


@final
class Allowance:
    """Bytes that may be set aside, and those that are.  Safe to use from any thread."""

    def __init__(self, limit: int = LIMIT, account: Account | None = None) -> None:
        """Allow `limit` bytes.

        Args:
            limit: For this process.
            account: With its system, whose processes have a limit together; None: of no system.

        Raises:
            ValueError: less than a page.
        """
        if limit < PAGE:
            raise ValueError(f"limit={limit} holds no block; use at least {PAGE} bytes")
        self.limit: Final = limit
        self.idle: Callable[[], int] = lambda: 0
        """Gives back what nobody uses and is kept to be used again; returns how many bytes."""
        self.refused = 0
        """How many arrays, and frames of rings, have found no room."""
        self._account = account
        self._taken = 0
        self._returned: deque[int] = deque()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def taken(self) -> int:
        """Bytes set aside."""
        self._settle()
        return self._taken

    def missing(self, size: int) -> int:
        """Return how many bytes less must be in use before there is room for `size`; 0: there is.

        Others take of it too: only `take` says for certain.
        """
        own = max(0, self.taken + size - self.limit)
        with self._lock:
            all_together = 0 if self._account is None else self._account.missing(size)
        self._settle()
        return max(own, all_together)

    def take(self, size: int) -> bool:
        """Set so many bytes aside; False, and nothing changes, when there is no room."""
        self._settle()
        with self._lock:
            there = self._taken + size <= self.limit
            if there and self._account is not None:
                there = self._account.take(size)
            if there:
                self._taken += size
        self._settle()
        return there

    def give_back(self, size: int) -> None:
        """Set them aside no more.  Also for a finalizer, which may run in the midst of anything."""
        self._returned.append(size)
        self._settle()

    def shortage(self, size: int) -> str:
        """Say in a sentence why there was no room for so many bytes, and what to do."""
        taken = self.taken
        if size > self.limit:
            return (
                f"alone it takes more than the {self.limit:,} bytes that this process may share. "
                "Share it in parts, or let an actor make it: an actor may have more by "
                "Limits(shared_memory=), a program may not."
            )
        if taken + size > self.limit:
            return (
                f"{taken:,} of the {self.limit:,} bytes that this process may share are in use. "
                "Let go of arrays and rings; an actor may have more by Limits(shared_memory=)."
            )
        all_together = ""
        with self._lock:
            if self._account is not None and self._account.missing(size):
                all_together = self._account.shortage()
        self._settle()
        return all_together or (
            "this machine has no memory left for it (`df -h /dev/shm`, `free`). Let go of arrays "
            "and rings, or end what uses the memory."
        )

    def refuse(self) -> None:
        """Count an array, or a frame of a ring, that has found no room."""
        with self._lock:
            self.refused += 1
        self._settle()

    def describe(self, sharing: Sharing) -> None:
        """Say to the system what this process shares."""
        with self._lock:
            if self._account is not None:
                self._account.describe(sharing)
        self._settle()

    def close(self) -> None:
        """End the account with the system.  Twice is fine; in a forked child it does nothing."""
        if os.getpid() != self._pid:
            return  # somebody may have held the lock, and the account is the parent's
        with self._lock:
            if self._account is not None:
                self._account.close()

    def _settle(self) -> None:
        """Count what was given back; whoever has the lock now does it afterwards."""
        # Nobody is given the lock by a context manager of ours: one that is a function of Python's
        # can be interrupted when it has the lock and `with` does not know it yet.
        while self._returned and take_turn(self._lock, self._count):
            pass

    def _count(self) -> None:
        while self._returned:
            # No call, so no Ctrl-C in between: they are counted and gone from the list, or neither.
            size = self._returned[0]
            self._taken -= size
            del self._returned[0]
            if self._account is not None:
                self._account.give_back(size)
