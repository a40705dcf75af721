"""What the operating system says of one process, now, in the words of `liveness`.

Linux also counts, to the nanosecond, how long a process had a processor and how long it was ready
and had none.
"""

from __future__ import annotations

from typing import Final

from actors.procstat import HAS_PROC, Stat, from_psutil, look, read_small
from supervisor.liveness import Condition, Sample

_CONDITIONS: Final = {
    "R": Condition.RUNNING,
    "S": Condition.SLEEPING,
    "I": Condition.SLEEPING,
    "T": Condition.STOPPED,
}


def sample(pid: int) -> Sample | None:
    """Return how a process stands; None when it has ended or may not be looked at."""
    stat = look(pid)
    return None if stat is None else _sample(stat, _schedule(pid) if HAS_PROC else None)


def portable_sample(pid: int) -> Sample | None:
    """Return the same, the way that works everywhere."""
    stat = from_psutil(pid)
    return None if stat is None else _sample(stat, None)


def _sample(stat: Stat, schedule: tuple[float, float] | None) -> Sample:
    ran, waited = schedule or (stat.cpu, None)
    condition = _CONDITIONS.get(stat.state, Condition.EXCUSED)
    return Sample(condition, stat.cpu, stat.memory, ran, waited)


def _schedule(pid: int) -> tuple[float, float] | None:
    """Return how long the main thread ran, and how long it waited to; None when nobody counts."""
    try:
        ran, waited, _ = read_small(f"/proc/{pid}/schedstat").split()
    except (OSError, ValueError):
        return None
    return int(ran) / 1e9, int(waited) / 1e9
