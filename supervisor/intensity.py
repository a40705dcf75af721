"""Were there too many restarts lately?

    intensity 2 in 5 s        now - 5 s                         now
                     ...  x   |      x                x          x     3 restarts > 2: give up
                          forgotten

A restart exactly `period` seconds old still counts, as in Erlang/OTP. The newest
`restarts + 1` are enough to know, so the history stays short however fast a child dies.
"""

from __future__ import annotations

from supervisor.spec import Intensity


def add_restart(history: tuple[float, ...], now: float, limit: Intensity) -> tuple[float, ...]:
    """Return the history with a restart at `now` added and the old ones forgotten."""
    return (*recent(history, now, limit), now)[-(limit.restarts + 1) :]


def is_exceeded(history: tuple[float, ...], limit: Intensity) -> bool:
    """Tell whether a history made by `add_restart` holds more restarts than allowed."""
    return len(history) > limit.restarts


def recent(history: tuple[float, ...], now: float, limit: Intensity) -> tuple[float, ...]:
    """Return the restarts of the last `period` seconds, oldest first."""
    return tuple(at for at in history if at >= now - limit.period)
