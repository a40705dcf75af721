"""The accounts of a system: what each of its processes has set aside of the memory all may share.

       0   limit           u64: bytes for all together
       8   form            u64: that the file is laid out as here, see `_FORM`
    4096   taken           2,048 x u64: bytes that the holder of each account has set aside
   20480   descriptions    2,048 x 128: pid u64 | six words of `sharing.py` | name 72s

One file in the system's directory, which every process that shares maps.  Nobody is asked for
memory: a process adds to its own word, then adds up all of them, and takes it back when they are
more than the limit.  So the limit holds always; of two that come for the last bytes in the same
instant both may be refused, but never are both served.

Whose account it is says a lock on the byte of its number (`locks.py`).  It goes with the process,
however that ends; what a killed one has left on its account is struck off by the next who finds no
room.  The memory itself went with it, but for what others still read.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, final
from weakref import WeakSet

import attrs
import numpy as np

from actors.arrays import locks
from actors.arrays.fence import fence
from actors.arrays.segment import allocate
from actors.arrays.sharing import NOTHING, WORDS, Sharing

ACCOUNTS: Final = 2048
"""Processes of one system that may share memory at a time."""

# Where things are, in words of 8 bytes.
_TAKEN: Final = 512
_DESCRIPTIONS: Final = _TAKEN + ACCOUNTS
_DESCRIPTION: Final = 16
_SIZE: Final = 8 * (_DESCRIPTIONS + _DESCRIPTION * ACCOUNTS)
_NAME_AT: Final = 8 * (1 + WORDS)

_NAME: Final = struct.Struct("72s")
_HEAD: Final = struct.Struct("=QQ")

_FORM: Final = int.from_bytes(b"shares 1")
"""Changes with the layout: a program of another version opens no account in what it misreads."""


@final
@attrs.frozen
class Entry:
    """One living account."""

    name: str
    """The last 72 bytes of it."""
    pid: int
    taken: int
    """Bytes set aside."""
    sharing: Sharing


@final
class Accounts:
    """The file, mapped.  Ends with `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file of a system.

        Raises:
            OSError: there is none, or no descriptor for it.
            ValueError: it is not a file of accounts, or one of another version.
        """
        self.path: Final = path
        self._fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._memory = mmap.mmap(self._fd, _SIZE)
        except BaseException:
            os.close(self._fd)
            raise
        if _HEAD.unpack_from(self._memory)[1] != _FORM:
            self.close()
            raise ValueError(f"{path} is not a file of accounts of this version")
        self._words = memoryview(self._memory).cast("Q")
        columns = np.frombuffer(self._memory, np.uint64)
        self._taken = columns[_TAKEN : _TAKEN + ACCOUNTS]
        self._pids = columns[_DESCRIPTIONS::_DESCRIPTION]
        self.limit: Final = self._words[0]

    @classmethod
    def create(cls, path: Path, limit: int) -> Accounts:
        """Make the file of a new system; all of it is there, so that no store can fail later."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            allocate(fd, 0, _SIZE)
            os.pwrite(fd, _HEAD.pack(limit, _FORM), 0)
        finally:
            os.close(fd)
        return cls(path)

    @property
    def taken(self) -> int:
        """Bytes set aside by all together, perhaps by killed processes too."""
        return int(self._taken.sum())

    def add(self, number: int, change: int) -> None:
        """Change what the holder of an account has set aside."""
        self._words[_TAKEN + number] += change

    def claim(self, name: str) -> int:
        """Take a free account and return its number, from 0; -1 when there is none."""
        pid = os.getpid()
        for step in range(ACCOUNTS):
            number = (pid + step) % ACCOUNTS
            if locks.exclude(self._fd, number):
                self._words[_TAKEN + number] = 0
                self.describe(number, NOTHING)
                at = 8 * (_DESCRIPTIONS + number * _DESCRIPTION)
                text = name.encode(errors="replace")[-_NAME.size :]
                _NAME.pack_into(self._memory, at + _NAME_AT, text)
                self._words[at // 8] = pid
                return number
        return -1

    def describe(self, number: int, sharing: Sharing) -> None:
        """Say what the holder of an account shares."""
        sharing.write(self._words, _DESCRIPTIONS + number * _DESCRIPTION + 1)

    def leave(self, number: int) -> None:
        """Give an account back."""
        self._words[_TAKEN + number] = 0
        self._words[_DESCRIPTIONS + number * _DESCRIPTION] = 0
        locks.unlock(self._fd, number)

    def living(self) -> list[Entry]:
        """Return the accounts of living processes."""
        opened = map(int, np.flatnonzero(self._pids))
        return [self._entry(number) for number in opened if locks.is_locked(self._fd, number)]

    def strike_off(self, own: int) -> None:
        """Clear the accounts that killed processes have left; `own` is the caller's."""
        with suppress(OSError):  # the kernel is out of locks: they stay until somebody else looks
            for number in map(int, np.flatnonzero(self._taken)):
                # Whoever has taken an account anew has locked it before it wrote there.
                if number != own and locks.exclude(self._fd, number):
                    self.leave(number)

    def close(self) -> None:
        """Let go of the file.  Twice is fine."""
        # The map has a descriptor of its own, so locks are given back one by one: see `leave`.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _entry(self, number: int) -> Entry:
        at = 8 * (_DESCRIPTIONS + number * _DESCRIPTION)
        page = self._memory[at : at + 8 * _DESCRIPTION]
        name = _NAME.unpack_from(page, _NAME_AT)[0].rstrip(b"\0").decode(errors="replace")
        taken = self._words[_TAKEN + number]
        return Entry(name, self._words[at // 8], taken, Sharing.read(page, 8))


@final
class Account:
    """What this process has set aside.  Not safe for threads: the allowance has the lock.

    A forked child has an account of its own, once it takes something: the one it knows is still its
    parent's, and so is all that lies on it.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Be ready to open an account in the file of a system, under a name for people.

        Nothing is opened before the first `take`: most processes share nothing.
        """
        self._path = path
        self._name = name
        self._accounts: Accounts | None = None
        self._number = -1
        self._holder = os.getpid()
        self._closed = False
        _all.add(self)

    def missing(self, size: int) -> int:
        """Return how many bytes less must be in use before there is room for `size`; 0: there is.

        What killed processes have left is struck off first.
        """
        accounts = self._opened()
        if accounts is None:
            return size
        if accounts.taken + size > accounts.limit:
            accounts.strike_off(self._number)
        return max(0, accounts.taken + size - accounts.limit)

    def take(self, size: int) -> bool:
        """Set so many bytes aside; False, and nothing changes, when there is no room for them."""
        accounts = self._opened()
        if accounts is None:
            return False
        accounts.add(self._number, size)
        fence()  # ours is seen before we look at the others'
        if accounts.taken > accounts.limit:
            accounts.strike_off(self._number)
            if accounts.taken > accounts.limit:
                accounts.add(self._number, -size)
                return False
        return True

    def give_back(self, size: int) -> None:
        """Set them aside no more."""
        if self._accounts is not None and self._is_ours:
            self._accounts.add(self._number, -size)

    def describe(self, sharing: Sharing) -> None:
        """Say what this process shares, if it does."""
        if self._accounts is not None and self._is_ours:
            self._accounts.describe(self._number, sharing)

    def shortage(self) -> str:
        """Say why there was no room, and what to do."""
        accounts = self._opened()
        if accounts is None:
            return (
                f"this process has no account with its system, which keeps {ACCOUNTS:,} of them. "
                "Close programs that share arrays, and see that the system still runs and is of "
                "this version."
            )
        return (
            f"{accounts.taken:,} of the {accounts.limit:,} bytes that the processes of this "
            "system may share together are in use. Let go of arrays and rings, or start it with "
            "more shared_memory=."
        )

    def close(self) -> None:
        """End the account: nothing can be taken any more.  Twice is fine."""
        self._closed = True
        accounts, self._accounts = self._accounts, None
        if accounts is not None and self._is_ours:
            accounts.leave(self._number)
            accounts.close()

    def orphan(self) -> None:
        """This process is a copy of the holder: let go of the file, and leave the rest to him.

        A lock goes with the last descriptor of its open file, so what he has set aside would stay
        set aside when he is killed, as long as the copy lives.
        """
        accounts, self._accounts = self._accounts, None
        if accounts is not None:
            accounts.close()  # the map goes with the last word of it

    @property
    def _is_ours(self) -> bool:
        return self._holder == os.getpid()

    def _opened(self) -> Accounts | None:
        """Return the file with an account of ours in it; None when that cannot be had now."""
        if self._closed:
            return None
        if not self._is_ours:
            self._accounts, self._holder = None, os.getpid()
        if self._accounts is None:
            try:
                accounts = Accounts(self._path)
            except (OSError, ValueError):  # the system has ended, no descriptors, or not our file
                return None
            try:
                self._number = accounts.claim(self._name)
            except OSError:  # the kernel is out of locks
                self._number = -1
            if self._number < 0:
                accounts.close()
                return None
            self._accounts = accounts
        return self._accounts


_all: Final[WeakSet[Account]] = WeakSet()


def _orphan_all() -> None:
    for account in _all:
        account.orphan()


os.register_at_fork(after_in_child=_orphan_all)
