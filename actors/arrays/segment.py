"""Segments: pieces of memory that other processes can read.  The one door to memfd and /proc.

    0                                           data                     data + data / 512
    ├──────────┬──────────┬─────────────────────┼────────────────────────┤
    │ block 0  │ block 1  │ ...                 │ table: one u64 a page  │
    └──────────┴──────────┴─────────────────────┴────────────────────────┘

The table says which block starts at a page: its id while it is shared, 0 otherwise.  A reader
compares it before and after copying, so memory that was given to something else meanwhile is
noticed instead of delivered.  One owner writes; readers map read-only.

Where a segment lives:

    where >= 0   a sealed memfd of the owner, opened as /proc/<pid>/fd/<where>.  It has no name,
                 so nothing can stay behind: the kernel frees it when the last process lets go.
    where < 0    the file "arena-<pid>-<-where>" in the session directory, where memfd is missing.
                 Whoever sweeps the session directory removes what a killed owner left.

Nothing a descriptor says is believed: `attach` opens only what is provably a segment of ours.

Who reads a block in place holds a lock on its first byte (`hold`), shared with all other readers.
The kernel keeps these locks: they go with the process that holds them, however it ends, and the
owner takes a block back (`reclaim`) only when nobody holds it.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import stat
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from actors.arrays import locks

PAGE: Final = 4096
"""Blocks start and end at multiples of it; also the alignment of every shared array, in bytes."""

SHAREABLE_KINDS: Final = frozenset("biufc")
"""Kinds of dtype that mean the same in every process: bool, integers, floats, complex."""

LARGEST_ITEM: Final = 16
"""Bytes of the largest item that is shared."""

HAS_MEMFD: Final = hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()

HAS_LEASES: Final = HAS_MEMFD and locks.HAS_LOCKS
"""Whether blocks can be read where they lie; else readers copy what they get."""

ARENA: Final = "understudy-arena"
"""What the memory of a segment is called in /proc."""

_WORD: Final = 8
_PAGES_PER_TABLE_PAGE: Final = PAGE // _WORD
_FROZEN_SIZE: Final = 0x0002 | 0x0004  # F_SEAL_SHRINK | F_SEAL_GROW, named in fcntl on Linux only
_SCRATCH: Final = bytes(1 << 16)


def check_shareable(dtype: np.dtype[Any]) -> None:
    """Raise a `TypeError` for elements that mean nothing in another process."""
    if dtype.kind not in SHAREABLE_KINDS or dtype.itemsize > LARGEST_ITEM:
        raise TypeError(
            f"an array of dtype {dtype} cannot be shared; convert it to bool, integers, floats or "
            f"complex numbers of at most {LARGEST_ITEM} bytes first"
        )


def create_memory(name: str, size: int) -> int:
    """Return the descriptor of `size` bytes of nameless shared memory that cannot change size.

    Nobody else can open it without a word from this process.  `name` is for /proc readers only.

    Raises:
        OSError: no memory, no descriptors, or no memfd on this system (`HAS_MEMFD`).
    """
    if not HAS_MEMFD:
        raise OSError("this system has no memfd; use a file in the session directory instead")
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, size)
        # A shrinking file kills every process that reads its lost pages (SIGBUS).
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _FROZEN_SIZE | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def allocate(fd: int, offset: int, size: int) -> None:
    """Make the system set memory aside now; a full one is an OSError here, not a SIGBUS later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, offset, size)
        return
    end = offset + size
    while offset < end:
        offset += os.pwrite(fd, _SCRATCH[: end - offset], offset)


def host_key() -> bytes:
    """Return 8 bytes that are equal in two processes when sharing between them should work.

    Same boot of the same kernel, same pid namespace, same user.  A hint, to save the try: the
    proof is `actors.arrays.mapper.can_attach`.
    """
    try:
        # As bytes: a codec would be imported for it, in each process.
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().decode()
        # The namespace has a device and an inode, as a file has.
        space = Path("/proc/self/ns/pid").stat()
        place = f"{boot.strip()} {space.st_dev} {space.st_ino}"
    except OSError:
        place = os.uname().nodename
    return hashlib.blake2b(f"{place} {os.geteuid()}".encode(), digest_size=8).digest()


@final
class Segment:
    """The owner's side of one segment: memory to write to, and the table of its blocks."""

    def __init__(self, data: int, *, directory: Path | None = None, serial: int = 0) -> None:
        """Create a segment for `data` bytes of blocks.

        Args:
            data: Bytes for blocks, a multiple of `PAGE`.  They take no memory before `reserve`.
            directory: None for a memfd; else the session directory for a named file.
            serial: Number of the file, from 1, never used again by this process.

        Raises:
            OSError: no memory, no descriptors, a full disk.
        """
        self.data = data
        self.path = None if directory is None else directory / _file_name(os.getpid(), serial)
        """None for a memfd."""
        size = data + table_size(data)
        self._fd = create_memory(f"{ARENA}-{os.getpid()}", size) if self.path is None else -1
        if self.path is not None:
            self._fd = _create_file(self.path, size)
        try:
            allocate(self._fd, data, size - data)
            self.memory = mmap.mmap(self._fd, size)
            self.cookie = os.fstat(self._fd).st_ino
        except BaseException:
            self.close()
            raise
        self.where = self._fd if self.path is None else -serial
        self._table = memoryview(self.memory)[data:size].cast("Q")

    def reserve(self, offset: int, size: int) -> None:
        """Set memory aside for a block; raises OSError when the system is full."""
        allocate(self._fd, offset, size)

    def mark(self, offset: int, block: int) -> None:
        """Say which block starts at `offset`; 0 when none does any more."""
        # One aligned store of eight bytes: a reader sees the old id or the new one, never a mix.
        self._table[offset // PAGE] = block

    def reclaim(self, offset: int) -> bool:
        """Take the mark off a block unless somebody reads it in place; return whether nobody does.

        Whoever comes later finds no mark, and lets go again.
        """
        if not HAS_LEASES:
            self.mark(offset, 0)
            return True
        try:
            # With the lock that excludes readers nobody can come between the look and the mark.
            free = locks.exclude(self._fd, offset)
        except OSError:  # the kernel is out of locks: somebody may read it, so it is asked again
            return False
        if free:
            self.mark(offset, 0)
            locks.unlock(self._fd, offset)
        return free

    def discard(self) -> None:
        """Give the memory back though readers may still have it mapped: they will read zeros."""
        if self.path is None:
            self.memory.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Let go.  The memory stays while arrays and readers of it live.  Twice is fine."""
        # The map is not closed but dropped: closing it under a living array would be a crash.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def table_size(data: int) -> int:
    """Bytes of the table of a segment with `data` bytes of blocks."""
    return data // _PAGES_PER_TABLE_PAGE


def data_size(size: int) -> int:
    """Bytes for blocks in a segment of `size` bytes; ValueError when no segment is so large."""
    data = size // (_PAGES_PER_TABLE_PAGE + 1) * _PAGES_PER_TABLE_PAGE
    if size <= 0 or data % PAGE or data + table_size(data) != size:
        raise ValueError(f"a file of {size} bytes is not a segment")
    return data


def attach(
    pid: int, where: int, cookie: int, directory: Path | None = None
) -> tuple[mmap.mmap, int]:
    """Map a segment of another process (or this one) read-only; return also its descriptor.

    All numbers may come from the wire.  What they lead to is opened without side effects and
    refused unless it is a regular file of this user, is the inode `cookie`, has the size of a
    segment, and (a memfd) is sealed, so that it cannot shrink under the reader.  The descriptor is
    the caller's to close.

    Raises:
        OSError: it is gone, or belongs to somebody else.
        ValueError: it is something else.
    """
    if where >= 0:
        fd = _open_memory(f"/proc/{pid}/fd/{where}", cookie)
    else:
        fd = _open_file(_file_name(pid, -where), cookie, directory)
    try:
        size = os.fstat(fd).st_size
        data_size(size)
        return mmap.mmap(fd, size, prot=mmap.PROT_READ), fd
    except BaseException:
        os.close(fd)
        raise


def hold(fd: int, offset: int) -> bool:
    """Keep the owner of an attached segment from using a block again, until `let_go`.

    False when that cannot be: the owner is just taking it back, or this system has no lock for it.
    Whoever hears it copies, whatever the reason.  One hold of a descriptor counts however often it
    is asked for, and ends with the descriptor.
    """
    try:
        return HAS_LEASES and locks.share(fd, offset)
    except OSError:
        return False


def let_go(fd: int, offset: int) -> None:
    """End what `hold` began."""
    locks.unlock(fd, offset)


def is_open(pid: int, where: int, cookie: int, directory: Path | None = None) -> bool:
    """Whether the owner of a segment still has it open; the numbers may come from the wire."""
    if where >= 0:
        path = Path(f"/proc/{pid}/fd/{where}")
    elif directory is not None:
        path = directory / _file_name(pid, -where)
    else:
        return False
    try:
        return path.stat().st_ino == cookie
    except OSError:
        return False


def sweep(directory: Path) -> None:
    """Remove the files of owners that have ended: nobody new can read what is in them."""
    for path in directory.glob("arena-*-*"):
        pid = path.name.split("-")[1]
        try:
            if pid.isdecimal():
                os.kill(int(pid), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (PermissionError, OverflowError):
            continue  # another user's process, so not the one that made it; the end removes it


def _file_name(pid: int, serial: int) -> str:
    """Return the file's name: made of two checked numbers, never of text from the wire."""
    return f"arena-{pid}-{serial}"


def _create_file(path: Path, size: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def _open_memory(path: str, cookie: int) -> int:
    # Opening a stranger's pipe or terminal can block or do things.  O_PATH only holds it, and
    # what was checked is then what is opened, whatever the owner does with the number meanwhile.
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _check_file(os.fstat(held), cookie)
        fd = os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(held)
    try:
        _check_seals(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open_file(name: str, cookie: int, directory: Path | None) -> int:
    if directory is None:
        raise ValueError("it names a file, and this process has no session directory")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(directory / name, flags)
    try:
        _check_file(os.fstat(fd), cookie)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_seals(fd: int) -> None:
    if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _FROZEN_SIZE != _FROZEN_SIZE:
        raise ValueError("it is not sealed and could shrink while it is read")


def _check_file(status: os.stat_result, cookie: int) -> None:
    if status.st_ino != cookie:
        raise ValueError("it is gone, and its number belongs to another file")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a file")
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ValueError("it belongs to another user, or others may open it")
