"""The processes of a system that are nobody's actors, found from the outside."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psutil


def zygote_of(system):
    """Return the only child of the supervisor that ignores SIGTERM; None when it is not clear."""
    # One that has just been forked ignores it too, for a moment.
    found = [child.pid for child in _children(system) if ignores_requests(child.pid)]
    return found[0] if len(found) == 1 else None


def ignores_requests(pid):
    """Tell whether a process ignores SIGTERM; one that is gone does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    found = re.search(r"SigIgn:\s*(\w+)", status)
    return bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


def monitor_of(system):
    """Return the only child that has threads and is neither the broker nor an actor."""
    status = system.status()
    known = {status.broker_pid, *(actor.pid for actor in status.actors)}
    found = [child.pid for child in _children(system) if child.pid not in known and busy(child)]
    return found[0] if len(found) == 1 else None


def busy(process):
    """Tell whether a process has threads; one that is gone has none."""
    try:
        return process.num_threads() > 1
    except psutil.Error:
        return False


def _children(system):
    return psutil.Process(system.pid).children()
