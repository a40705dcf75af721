"""Locks on the bytes of a file, which the kernel keeps: open file description locks.

    share     ──► with all others that share the byte, against whoever excludes
    exclude   ──► against everybody
    unlock    ──► or: the last descriptor of that open file goes, however its process ends

They belong to the open file, not to the process as the older `lockf` does: two that were opened
apart exclude each other within one process too, and closing another descriptor of the file takes
nothing away.  The bytes need not exist; what is locked is their number.

False means that another has the lock.  An OSError means that there is no telling: the kernel is out
of locks, or the descriptor is no good.  Only the caller knows whether there is another way then.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from typing import Final

_FLOCK: Final = struct.Struct("@hhqqi4x")
"""`struct flock` of 64-bit Linux: type, whence, start, length, process (0)."""

_TAKEN: Final = frozenset({errno.EAGAIN, errno.EACCES})


def share(fd: int, byte: int) -> bool:
    """Lock a byte together with others; False when somebody excludes them."""
    return _ask(fd, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, byte)


def wait_to_share(fd: int, byte: int) -> None:
    """Lock a byte together with others, however long somebody excludes them."""
    _ask(fd, fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, byte)


def exclude(fd: int, byte: int, length: int = 1) -> bool:
    """Lock so many bytes against everybody; False when somebody has one of them."""
    return _ask(fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, byte, length)


def unlock(fd: int, byte: int) -> None:
    """Give a byte back; one that was not locked is fine."""
    _ask(fd, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, byte)


def is_locked(fd: int, byte: int) -> bool:
    """Whether another open file has locked the byte."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    kind: int = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0]
    return kind != fcntl.F_UNLCK


def _ask(fd: int, command: int, kind: int, byte: int, length: int = 1) -> bool:
    try:
        fcntl.fcntl(fd, command, _FLOCK.pack(kind, os.SEEK_SET, byte, length, 0))
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _are_kept() -> bool:
    """Try one: a sandbox may have the names and not the locks."""
    if sys.platform != "linux" or sys.maxsize < 2**32 or not hasattr(fcntl, "F_OFD_SETLK"):
        return False
    if not hasattr(os, "memfd_create"):
        return False
    try:
        fd = os.memfd_create("understudy-lock", os.MFD_CLOEXEC)
    except OSError:
        return False
    try:
        return share(fd, 0)
    except OSError:
        return False
    finally:
        os.close(fd)


HAS_LOCKS: Final = _are_kept()
"""Whether this system keeps such locks."""
