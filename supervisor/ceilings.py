"""What the operating system allows a process: raised where it is ours, explained where it refuses.

A system with many actors needs many descriptors: six of the supervisor's for each, and one of the
broker's. Most machines begin with 1,024 for a process, and let it raise that by itself; only above
a second, hard limit somebody else has to.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

DESCRIPTORS: Final = 10_000
"""Open files and connections of each process of a system, where the machine allows so many."""

CONNECTION: Final = 24
"""Descriptors that a program shall have left to join a system, which takes half of them at once.

ZeroMQ ends the whole program when it gets none for a new context.
"""

_FILES: Final = (
    "where the limit is set, which is `ulimit -n` in the shell, `LimitNOFILE=` of a systemd unit, "
    "`--ulimit nofile=` of a container"
)
_PROCESSES: Final = (
    "the user, the container or the machine may have no more processes: raise `ulimit -u`, "
    "`TasksMax=` of a systemd unit, `--pids-limit` of a container, or kernel.pid_max"
)


def take_descriptors() -> None:
    """Allow this process, and those it starts, more descriptors than a process usually may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if 0 <= soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def explained(error: Exception) -> str:
    """Return what an error says, and what to raise when it was a limit."""
    match getattr(error, "errno", None):
        case errno.EMFILE:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            whose = f"a process here may have {_number(soft)} open (at the most {_number(hard)})"
            return (
                f"{error}: {whose}, and each actor takes 6 of the supervisor's: raise that {_FILES}"
            )
        case errno.ENFILE:
            return f"{error}: the whole machine may have no more open: raise fs.file-max"
        case errno.EAGAIN:
            return f"{error}: {_PROCESSES}"
        case errno.ENOMEM:
            return f"{error}: the machine, or the container, has no memory left for it"
        case _:
            return str(error)


def check_room() -> None:
    """See whether this program may open as much as another connection takes.

    Raises:
        OSError: it may not; what to raise.
    """
    opened: list[int] = []
    try:
        reader, writer = os.pipe()
        opened += reader, writer
        while len(opened) < CONNECTION:
            opened.append(os.dup(reader))
    except OSError as error:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        text = (
            f"no room for another connection to a system, which takes some {CONNECTION // 2} "
            f"descriptors: this program may have {_number(soft)}; raise that with "
            f"resource.setrlimit(resource.RLIMIT_NOFILE, ...) up to {_number(hard)}, or {_FILES}"
        )
        raise OSError(error.errno, text) from None
    finally:
        for one in opened:
            os.close(one)


def _number(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else f"{limit:,}"
