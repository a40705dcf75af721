"""Work that no Ctrl-C may leave half done.

A signal's handler runs between any two steps of the main thread, and mostly raises: in the middle
of a decider it would leave half a change, and half a wire message on a socket.
"""

from __future__ import annotations

import importlib
import importlib.util
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar, final

T = TypeVar("T")

_SIGNALS: Final = tuple(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
)
"""Those whose handlers may raise."""

# What `signal` is made of, without its enums: they take twenty times as long as the change itself.
_raw: Any = importlib.import_module("_signal" if importlib.util.find_spec("_signal") else "signal")
_set: Final[Callable[[int, Any], Any]] = _raw.signal
_get: Final[Callable[[int], Any]] = _raw.getsignal

PATIENCE: Final = 1.0
"""Seconds after a signal from which on another one ends the work."""


@final
class Shelter:
    """Stands in for the handlers of signals, and calls them when the work allows.

        shelter = Shelter()
        try:
            shelter.begin()
            ...                 # nothing comes in between
            shelter.lift()
            descriptors.poll()  # here it may, and what came before has its turn first
            shelter.lower()
            ...
        finally:
            shelter.end()

    In other threads than the main one handlers never run, and this does nothing.
    """

    __slots__ = ("_came", "_first", "_handlers", "_lifted")

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._came: dict[int, FrameType | None] = {}
        self._first = 0.0
        self._lifted = False

    def begin(self) -> None:
        """Let the handlers wait.  Needs an `end` also when it was interrupted half-way."""
        if threading.get_ident() != threading.main_thread().ident:
            return
        keep = self._keep
        for number in _SIGNALS:
            handler = _get(number)
            if callable(handler):
                self._handlers[number] = handler
                _set(number, keep)

    def lift(self) -> None:
        """Let them run, those of signals that have come first."""
        self._lifted = True
        if self._came:
            self._deliver()

    def lower(self) -> None:
        """Let them wait again."""
        self._lifted = False

    def end(self) -> None:
        """Put them back, but where one of them has chosen another one; call those that waited."""
        # Whatever one of them raises on the way, those not put back yet are called by us.
        self._lifted = True
        for number, handler in self._handlers.items():
            if _get(number) == self._keep:
                _set(number, handler)
        if self._came:
            self._deliver()

    def _keep(self, number: int, frame: FrameType | None) -> None:
        # Another, later, does disturb: the work may be stuck in somebody's converter.
        if not self._came:
            self._first = time.monotonic()
        if self._lifted or time.monotonic() - self._first > PATIENCE:
            self._handlers[number](number, frame)
        else:
            self._came[number] = frame

    def _deliver(self) -> None:
        if self._came:
            number, frame = self._came.popitem()
            try:
                self._handlers[number](number, frame)
            finally:
                self._deliver()


def undisturbed(act: Callable[[], T]) -> T:
    """Do `act` and return what it returns; signals that arrive meanwhile are handled after it."""
    shelter = Shelter()
    try:
        shelter.begin()
        return act()
    finally:
        shelter.end()
