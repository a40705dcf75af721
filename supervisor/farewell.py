"""How a program leaves: it says what it waits for, and Ctrl-C shows none of our insides."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from itertools import chain, repeat
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, ParamSpec, Self, TypeVar, final

import actors
from actors.log import announce
from supervisor.chronicle import many
from supervisor.status import ActorStatus, SystemStatus

P = ParamSpec("P")
R = TypeVar("R")

FIRST: Final = 1.0
"""Seconds of silence."""

LATER: Final = (9.0, 20.0)
"""Seconds to the next words about the same wait; then it is a minute."""

TERMINATED: Final = 143
"""How a program exits that was told to end: 128 and SIGTERM's number."""

MOST: Final = 3
"""Actors that are named."""


def patiently(
    wait: Callable[[float], bool], said: Callable[[], str], most: float | None = None
) -> bool:
    """Wait until `wait(seconds)` is true, `most` seconds at the most; return whether it became so.

    What is waited for is `said` after a second, and then rarely.
    """
    left = math.inf if most is None else most
    for pause in chain((FIRST,), LATER, repeat(60.0)):
        if wait(min(pause, left)):
            return True
        left -= pause
        if left <= 0:
            break
        text = said()
        if text:
            announce(text)
            for leaving in _LEAVING:
                leaving.warned = True
    return False


@final
class FirstSignal:
    """What a first Ctrl-C or SIGTERM does to a program that is leaving already: nothing yet.

    With it, leaving goes on in good order; it counts at the end, and a second one ends the program
    at once.  So does a first Ctrl-C, once it was said that it will (see `patiently`).  A program
    that leaves because of a Ctrl-C or SIGTERM has had its first.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        self.warned = False
        self._heeds = False
        self._ours = False

    def __enter__(self) -> Self:
        why = sys.exc_info()[1] or _uncaught()
        told = isinstance(why, KeyboardInterrupt) or getattr(why, "code", None) == TERMINATED
        mine = threading.current_thread() is threading.main_thread()
        self._heeds = mine and not told
        if self._heeds and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupted)
            self._ours = True
        _LEAVING.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _LEAVING.remove(self)
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def takes(self, number: int) -> bool:
        """Note a signal, if it is the first and can wait until the program has left."""
        if not self._heeds or self.came is not None:
            return False
        if number == signal.SIGINT and self.warned:
            return False
        self.came = number
        return True

    def catch_up(self) -> None:
        """Raise what the signal that came would have raised, had the program not been leaving."""
        if self.came == signal.SIGINT:
            raise KeyboardInterrupt
        if self.came is not None:
            raise SystemExit(TERMINATED)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if not self.takes(number):
            signal.default_int_handler(number, frame)


def terminate(number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM as leaving the `with` block does; a second one kills.

    Wherever the program is by then: the supervisor notices, and cleans up.
    """
    if any(leaving.takes(number) for leaving in tuple(_LEAVING)):
        return
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(TERMINATED)


def _uncaught() -> BaseException | None:
    """Return what has ended a program without `with`, which leaves when all its frames are gone."""
    # At a prompt it is what some line before has raised.
    return None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)


_LEAVING: Final[list[FirstSignal]] = []
"""The programs of this process that leave: each system that is closed."""


def messages_to(counts: Mapping[str, int]) -> str:
    """Return "calc (3 messages), viewer (1 message) and 4 more"."""
    return _listed([f"{name} ({many(counts[name], 'message')})" for name in sorted(counts)])


def still_up(status: SystemStatus) -> str:
    """Return which actors have not ended, and what they do: "calc (in Add, 2 messages left)"."""
    return _listed([_doing(actor) for actor in status.actors if actor.pid is not None])


def _doing(actor: ActorStatus) -> str:
    parts = [f"in {actor.current}"] if actor.current else []
    if actor.mailbox:
        parts.append(f"{many(actor.mailbox, 'message')} left")
    return f"{actor.name} ({', '.join(parts)})" if parts else actor.name


def _listed(texts: list[str]) -> str:
    more = len(texts) - MOST
    return ", ".join(texts[:MOST]) + (f" and {more} more" if more > 0 else "")


def interruptible(call: Callable[P, R]) -> Callable[P, R]:
    """Let a Ctrl-C inside the call show the caller's line and nothing below it."""

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except KeyboardInterrupt as error:
            show_only_theirs(error)
            raise

    return called


def show_only_theirs(error: BaseException | None) -> None:
    """Cut a Ctrl-C's traceback off where this library begins: it stopped a line of *theirs*."""
    if not isinstance(error, KeyboardInterrupt):
        return
    above: TracebackType | None = None
    here = error.__traceback__
    theirs: set[object] = set()
    while here is not None and not here.tb_frame.f_code.co_filename.startswith(_OURS):
        above, here = here, here.tb_next
        theirs.add(above.tb_frame)
    context = error.__context__
    if here is not None and context is not None and context.__traceback__ is not None:
        # It may have stopped an `except` of some library below us, which is no concern of theirs.
        error.__suppress_context__ |= context.__traceback__.tb_frame not in theirs
    if above is None:
        error.__traceback__ = None
    elif here is not None:
        above.tb_next = None


_OURS: Final = tuple(str(Path(str(path)).parent) + os.sep for path in (actors.__file__, __file__))
