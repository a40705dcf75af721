"""The runtime directory of one system: its sockets, its lock, its `system.json`.

    $XDG_RUNTIME_DIR/understudy/          or /tmp/understudy-<uid>/        0700, ours, no link
    └── NAME/                                                              0700
        ├── lock           flock held as long as the system lives; holds its pid
        ├── system.json    0600: where to connect; written when the system is ready
        └── *              sockets (path <= 107 bytes, or the kernel refuses them)

A directory whose lock nobody holds is stale, whatever else it contains: the kernel gives a lock
back when its holder dies, however it dies. Who removes a directory takes its lock first and
renames it away before emptying it, so creating and removing may happen at the same instant.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, final

import attrs
import msgspec

from actors.errors import AccessDenied

LONGEST_IPC: Final = 103 if sys.platform == "darwin" else 107
"""Bytes in the path of a unix socket; the kernel's structure has no room for more."""

LONGEST_LEAF: Final = 40
"""Bytes reserved in it for the socket's own name."""

SHORT_NAME: Final = 24
"""Bytes of a system's name for which a runtime directory must have room to be used alone."""

_LOCK: Final = "lock"
_SYSTEM: Final = "system.json"
_BUSY_SECONDS: Final = 3.0
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_REMOVED: Final = re.compile(r"\..+\.[0-9a-f]{8}\.gone")


@final
class AlreadyRunningError(FileExistsError):
    """A living system has this name."""

    def __init__(self, name: str, pid: int | None) -> None:
        self.name = name
        self.pid = pid  # None when the holder of the lock has not written it
        who = "pid unknown" if pid is None else f"pid {pid}"
        text = f"system {name!r} is already running, {who}. Stop it first, or choose another name."
        super().__init__(errno.EEXIST, text)

    def __str__(self) -> str:
        return str(self.strerror)


@final
class SystemFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `system.json` says about a living system."""

    name: str
    pid: int  # of the supervisor
    endpoint: str  # of the broker, for `connect`
    started: float  # seconds since the epoch
    version: str  # of understudy


@final
@attrs.define(eq=False)
class RunDir:
    """The runtime directory of this process's system. Ends with `close` or `with`."""

    name: str
    path: Path
    _lock: int = attrs.field(alias="lock")  # descriptor; -1 once closed

    def ipc_path(self, leaf: str) -> Path:
        """Return the path for a socket called `leaf`.

        Raises:
            ValueError: the kernel would refuse a path of that length.
        """
        path = self.path / leaf
        size = len(os.fsencode(path))
        if size > LONGEST_IPC:
            raise ValueError(
                f"socket path {str(path)!r} has {size} bytes, at most {LONGEST_IPC} are possible. "
                "Choose a shorter name."
            )
        return path

    def write_system(self, *, endpoint: str, version: str, started: float) -> SystemFile:
        """Publish where the system is; readers see all of it or nothing."""
        system = SystemFile(
            name=self.name, pid=os.getpid(), endpoint=endpoint, started=started, version=version
        )
        descriptor, temporary = tempfile.mkstemp(prefix=f".{_SYSTEM}.", dir=self.path)  # 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(system)))
        Path(temporary).replace(self.path / _SYSTEM)
        return system

    def close(self) -> None:
        """Remove the directory and give the name free. Twice is fine."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        _remove_locked(self.path, lock)

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_name(name: str) -> None:
    """Refuse a name that no system can have.

    Raises:
        TypeError, ValueError: it is no text, or none that can be a directory's name.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a system's name is a str, not {type(name).__name__}: {name!r:.80}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} cannot name a system: use 1 to 64 of A-Z a-z 0-9 _ . - "
            "and begin with a letter, a digit or _."
        )


def create(name: str) -> RunDir:
    """Make the runtime directory of a system called `name`, clearing away a dead one's.

    Raises:
        AlreadyRunningError: a living system has the name.
        AccessDenied: the base directory is not safely ours (also a `PermissionError`).
        ValueError: no directory name, or too long for a socket's path.
    """
    check_name(name)
    path = _base_for(name) / name
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        lock = _take(path)
        if lock is not None:
            return RunDir(name, path, lock)
        # A sweeper that is just removing a dead system's directory holds the lock, too: it is
        # not a living system, and is done in a moment.
        pid = _holder(path)
        if (pid is not None and _is_alive(pid)) or time.monotonic() > until:
            raise AlreadyRunningError(name, pid)
        time.sleep(0.01)


def clean_stale() -> list[Path]:
    """Remove every directory whose system is dead; return their paths."""
    return [path for path in _directories() if remove_directory(path)]


def live_systems() -> list[SystemFile]:
    """Return what the living systems of this user say about themselves, by name."""
    found: list[SystemFile] = []
    for path in _directories():
        with suppress(OSError, msgspec.MsgspecError):
            system = read_system(path)
            if _is_locked(path):
                found.append(system)
    return sorted(found, key=lambda system: system.name)


def read_system(path: Path) -> SystemFile:
    """Read `system.json` of the runtime directory `path`.

    Raises:
        OSError: there is none (yet).
        msgspec.MsgspecError: it is not one of ours.
    """
    descriptor = os.open(path / _SYSTEM, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return msgspec.json.decode(file.read(1 << 16), type=SystemFile)


def remove_directory(path: Path) -> bool:
    """Remove a runtime directory unless a living process holds its lock.

    Returns:
        True when it is gone (also when it was gone before).
    """
    try:
        lock = _lock(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if lock is None:
        return False
    _remove_locked(path, lock)
    return True


def _take(path: Path) -> int | None:
    """Have a fresh directory at `path` and its lock; None when somebody holds it."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        _check_ours(path)
        lock = _lock(path)
    except FileNotFoundError:  # removed by a cleaner meanwhile: the next turn makes it anew
        return None
    if lock is None:
        return None
    for leftover in path.iterdir():  # of a system that died
        if leftover.name != _LOCK:
            _remove(leftover)
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def _lock(path: Path) -> int | None:
    """Lock the directory; None when it is locked, or no longer the one at `path`."""
    file = path / _LOCK
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), file.lstat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _is_locked(path: Path) -> bool:
    # A shared lock, or two who look at once would take each other for a living system.
    lock = os.open(path / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _remove_locked(path: Path, lock: int) -> None:
    away = path.with_name(f".{path.name.strip('.')}.{secrets.token_hex(4)}.gone")
    try:
        with suppress(FileNotFoundError):
            path.rename(away)
        _remove(away)
    finally:
        os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _holder(path: Path) -> int | None:
    try:
        return int((path / _LOCK).read_bytes()[:20])
    except (OSError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _directories() -> list[Path]:
    """Every system's directory of this user, living or dead; leftovers of removals, too."""
    found: list[Path] = []
    for base in _bases():
        with suppress(OSError, AccessDenied):
            _check_ours(base)
            found += [entry for entry in base.iterdir() if _is_system(entry)]
    return sorted(found)


def _is_system(path: Path) -> bool:
    named = _NAME.fullmatch(path.name) or _REMOVED.fullmatch(path.name)
    return bool(named) and not path.is_symlink() and path.is_dir()


def _base_for(name: str) -> Path:
    """Return the first base directory where a socket of `name` fits, made if need be."""
    for base in _bases():
        if len(os.fsencode(base / name)) + 1 + LONGEST_LEAF <= LONGEST_IPC:
            with suppress(FileExistsError):
                base.mkdir(mode=0o700)
            _check_ours(base)
            return base
    room = LONGEST_IPC - LONGEST_LEAF - 1 - len(os.fsencode(_bases()[-1])) - 1
    raise ValueError(
        f"{name!r} is too long to name a system: the paths of its sockets have at most "
        f"{LONGEST_IPC} bytes, which leaves {room} for the name."
    )


def _bases() -> list[Path]:
    fallback = Path(f"/tmp/understudy-{os.geteuid()}")  # noqa: S108 - checked by _check_ours
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    # After `su` the variable may still name the other user's directory.
    if given.startswith("/"):
        with suppress(OSError):
            if Path(given).stat().st_uid == os.geteuid():
                base = Path(given) / "understudy"
                # The fallback is for directories too deep for sockets.  Where this one will do, a
                # program with another runtime directory is another world, and none of ours.
                roomy = len(os.fsencode(base)) + 2 + SHORT_NAME + LONGEST_LEAF <= LONGEST_IPC
                return [base] if roomy else [base, fallback]
    return [fallback]


def _check_ours(path: Path) -> None:
    """Refuse a directory that somebody else could have put there or can write into.

    Raises:
        AccessDenied: with what is wrong and what to do.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        wrong = "is a symbolic link"
    elif not stat.S_ISDIR(found.st_mode):
        wrong = "is not a directory"
    elif found.st_uid != os.geteuid():
        wrong = f"belongs to user {found.st_uid}, not to {os.geteuid()}"
    elif found.st_mode & 0o077:
        wrong = f"is open to others (mode {stat.S_IMODE(found.st_mode):04o}, wanted 0700)"
    else:
        return
    raise AccessDenied(
        reason=f"the runtime directory {path} {wrong}. Somebody may have prepared it: "
        "remove it, or set XDG_RUNTIME_DIR to a directory of yours."
    )
