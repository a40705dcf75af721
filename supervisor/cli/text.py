"""Words for people: sizes, times, strings of strangers, and the exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status means (LSB, rsync and sysexits where they have one)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    REFUSED = 77
    CONFIG = 78
    INTERRUPTED = 130


class CommandError(Exception):
    """A command that cannot go on: what, why, and what to do next."""

    def __init__(self, text: str, *, code: ExitCode = ExitCode.FAILED, hint: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.hint = hint


def safe(text: str) -> str:
    """Return a stranger's text so that it cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


_STEP = 1000
_SHORT = 10  # below it one decimal is shown
_MINUTE = 60


def size(count: float | None) -> str:
    """Return bytes for people: "42 MB"; "-" for None."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < _STEP or unit == "TB":
            return (
                f"{count:.0f} {unit}" if count >= _SHORT or unit == "B" else f"{count:.1f} {unit}"
            )
        count /= _STEP
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """Return a time span for people: "2 h 14 m", "3.2 s"."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < _SHORT else f"{seconds:.0f} s"
    minutes, _ = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m"
