"""What only Linux can do, each trick in one small function that does the portable thing elsewhere.

die_with_parent     no orphan, even one stuck in C       elsewhere: the lifeline's EOF
outlive_parent      the reverse
adopt_orphans       grandchildren are reaped here        elsewhere: init reaps them
open_pidfd          a descriptor that tells of the end   elsewhere: -1, a thread waits
close_others        no descriptor of a sibling leaks     everywhere (fast on Linux)
open_descriptors    what is open in this process         everywhere
is_single_threaded  may this process fork?               elsewhere: what Python knows
has_other_threads   the same, but for numpy's own        elsewhere: what Python knows
set_blas_threads    a loaded OpenBLAS gets its threads   elsewhere: the environment does it
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, MutableMapping
from functools import cache
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

_POOLS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

# Names around `openblas_set_num_threads`, one pair per way OpenBLAS is built: plain, with 64-bit
# integers, and the two of the numpy wheels.
_BLAS_NAMES: Final = (("", ""), ("", "64_"), ("scipy_", ""), ("scipy_", "64_"))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process the moment its parent `parent` ends.

    Call it after re-parenting, because the kernel takes losing a parent for its death. A parent
    that died before the call sends no signal any more, hence the look afterwards. The "parent"
    is a *thread* to the kernel: who starts children must do so from one that stays.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_parent() -> None:
    """Take `die_with_parent` back."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans(*, on: bool = True) -> None:
    """Make orphaned descendants children of this process, or no longer."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, int(on))


def open_pidfd(pid: int) -> int:
    """Return a descriptor that becomes readable when `pid` ends, or -1 where there is none.

    Raises:
        ProcessLookupError: no such process, not even a zombie.
    """
    opener = getattr(os, "pidfd_open", None)  # Linux 5.3; missing elsewhere
    if opener is None:
        return -1
    try:
        return int(opener(pid))
    except ProcessLookupError:
        raise
    except OSError:  # a sandbox that forbids the call: the portable way works there
        return -1


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor of this process but those in `keep`."""
    low = 0
    for descriptor in sorted(set(keep)):
        if low < descriptor:  # an empty range starting at 0 closes *everything* (CPython 3.11)
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def open_descriptors() -> set[int]:
    """Return the numbers of the descriptors that are open in this process."""
    listed = [int(link.name) for link in Path("/dev/fd").iterdir()]
    return {number for number in listed if _is_open(number)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # that of the listing itself
        return False
    return True


def is_single_threaded() -> bool:
    """Tell whether this process has one thread only, those that C code started included."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return threading.active_count() == 1


def has_other_threads() -> bool:
    """Tell whether a fork would lose a thread that somebody needs.

    Those of OpenBLAS do not count: it ends them before a fork, and starts new ones when it needs
    them. Those of an OpenMP library do: it waits for ever for what the fork has lost.
    """
    if threading.active_count() > 1:
        return True
    try:
        others = len(list(Path("/proc/self/task").iterdir())) - 1
    except OSError:
        return False
    # A pool is there as a whole or, since the last fork, not at all: any other number of threads
    # has somebody else's among them.
    harmless = {0}
    for current, _ in loaded_blas():
        harmless |= {number + current() - 1 for number in harmless}
    return others not in harmless


def limit_pools(env: MutableMapping[str, str], threads: int) -> None:
    """Set in `env` what BLAS and OpenMP libraries read when they are loaded."""
    for name in _POOLS:
        env[name] = str(threads)


def set_blas_threads(threads: int) -> None:
    """Give a numpy that is already loaded `threads` threads for linear algebra. Best effort.

    OpenBLAS reads its environment once, when it is loaded, which the zygote does with one thread.
    """
    for current, change in loaded_blas():
        if current() != threads:
            change(threads)


@cache
def loaded_blas() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """Find the reader and the setter of every OpenBLAS in this process.

    The answer is kept, so that the zygote can look once for all its children.
    """
    found: list[tuple[Callable[[], int], Callable[[int], None]]] = []
    for path in _loaded_libraries("openblas"):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix, suffix in _BLAS_NAMES:
            reader = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            setter = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if reader is not None and setter is not None:
                found.append((reader, setter))
                break
    return found


def _loaded_libraries(word: str) -> set[str]:
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return set()
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/" in line}
    return {path for path in paths if word in path.rsplit("/", 1)[-1]}


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
