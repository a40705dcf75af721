"""Plain words about what a program does, and tasks that are indented by their nesting.

    with log_task("Loading"):              Loading...
        with log_task("Reading a.fits"):     Reading a.fits...
            log("42 frames")                   42 frames
                                             Reading a.fits. Done.
                                           Loading. Done.

The library adds no handler: who runs the program decides where the words go (inside an actor, the
runtime does). Nesting belongs to a thread or an asyncio task, so concurrent tasks never indent
each other's lines.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

logger: Final = logging.getLogger("understudy")
"""The logger of everything this library and `log` say."""

logger.addHandler(logging.NullHandler())

_OURS: Final = "understudy."
_INDENT: Final = "  "
_depth: ContextVar[int] = ContextVar("understudy_log_depth", default=0)


def log(msg: str, level: int = logging.INFO) -> None:
    """Say something, indented by the tasks it belongs to. `level` as in `logging`."""
    logger.log(level, "%s%s", _INDENT * _depth.get(), msg, stacklevel=2)


@contextmanager
def log_task(msg: str, level: int = logging.INFO) -> Generator[None, None, None]:
    """Say that a task starts ("msg...") and how it ended ("msg. Done." or "msg. Failed!").

    A failure is said at level ERROR, and what was raised is raised again; the nesting is restored
    whatever was raised. The end's record carries `elapsed`, the seconds it took.
    """
    indent = _INDENT * _depth.get()
    logger.log(level, "%s%s...", indent, msg, stacklevel=3)
    outer = _depth.set(_depth.get() + 1)
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        _end(logging.ERROR, f"{indent}{msg}. Failed!", begin)
        raise
    else:
        _end(level, f"{indent}{msg}. Done.", begin)
    finally:
        _depth.reset(outer)


def _end(level: int, said: str, begin: float) -> None:
    # stacklevel: below this function, the generator above and contextlib stands the `with`.
    logger.log(level, "%s", said, extra={"elapsed": time.monotonic() - begin}, stacklevel=4)


def announce(text: str, level: int = logging.WARNING, to: logging.Logger = logger) -> None:
    """Say what whoever sits at the program must see; `to` is one of the library's loggers.

    It goes to `logging` where the program has set that up, else to standard error.
    """
    if _heard(to):
        to.log(level, "%s", text, stacklevel=2)
    elif level >= (to.level or logger.level or logging.WARNING):
        sys.stderr.write(f"understudy: {text}\n")
        sys.stderr.flush()


def _heard(to: logging.Logger) -> bool:
    """Return whether the program has a handler that takes our records."""
    here: logging.Logger | None = to
    while here is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in here.handlers):
            return True
        here = here.parent if here.propagate else None
    return False


def levels() -> dict[str, int]:
    """Return the levels that this program has set on loggers of the library, by their names."""
    names = [name for name in logging.root.manager.loggerDict if f"{name}.".startswith(_OURS)]
    found = {name: logging.getLogger(name).level for name in names}
    return {name: level for name, level in found.items() if level}


def set_levels(wanted: dict[str, int]) -> None:
    """Give loggers of the library the levels that another process has set on its own."""
    for name, level in wanted.items():
        if f"{name}.".startswith(_OURS):
            logging.getLogger(name).setLevel(level)
