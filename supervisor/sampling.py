"""What the operating system says of one process, now.

Linux answers from two small files of /proc, which never make the reader wait, however much the
machine has to do; elsewhere psutil answers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

from supervisor.liveness import Condition, Sample

_PROC: Final = Path("/proc/self/stat").exists()
_TICK: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

_CONDITIONS: Final = {
    "R": Condition.RUNNING,
    "S": Condition.SLEEPING,
    "I": Condition.SLEEPING,
    "T": Condition.STOPPED,
}

_STATUSES: Final = {
    psutil.STATUS_RUNNING: Condition.RUNNING,
    psutil.STATUS_SLEEPING: Condition.SLEEPING,
    psutil.STATUS_IDLE: Condition.SLEEPING,
    psutil.STATUS_STOPPED: Condition.STOPPED,
}


def sample(pid: int) -> Sample | None:
    """Return how a process stands; None when it has ended or may not be looked at."""
    return _from_proc(pid) if _PROC else from_psutil(pid)


def _from_proc(pid: int) -> Sample | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; after it every field is one word.
    fields = text[text.rindex(b")") + 2 :].split()
    cpu = (int(fields[11]) + int(fields[12])) * _TICK
    ran, waited = _schedule(pid) or (cpu, None)
    return Sample(
        condition=_CONDITIONS.get(chr(fields[0][0]), Condition.EXCUSED),
        cpu=cpu,
        memory=int(fields[21]) * _PAGE,
        ran=ran,
        waited=waited,
    )


def _schedule(pid: int) -> tuple[float, float] | None:
    """Return how long the main thread ran, and how long it waited to; None when nobody counts."""
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return None
    return int(ran) / 1e9, int(waited) / 1e9


def from_psutil(pid: int) -> Sample | None:
    """Return the same, the portable way."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            cpu = times.user + times.system
            return Sample(
                condition=_STATUSES.get(process.status(), Condition.EXCUSED),
                cpu=cpu,
                memory=process.memory_info().rss,
                ran=cpu,
                waited=None,
            )
    except psutil.Error:
        return None
