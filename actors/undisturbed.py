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

    __slots__ = ("_before", "_came", "_first", "_handlers", "_home", "_lifted", "_over")

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self._before = before
        """Done before a handler runs: it may keep the thread for long."""
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._came: dict[int, FrameType | None] = {}
        self._first = 0.0
        self._lifted = self._over = False
        self._home = threading.get_ident()

    def begin(self) -> None:
        """Let the handlers wait.  Needs an `end` also when it was interrupted half-way."""
        if self._home != threading.main_thread().ident:
            return
        keep = self._keep
        for number in _SIGNALS:
            handler = _get(number)
            if callable(handler):
                self._handlers[number] = _beneath(handler, number)
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
        # Whatever one of them raises on the way, those not put back yet are called by us, until
        # the next shelter begins.
        self._over = self._lifted = True
        for number, handler in self._handlers.items():
            if _get(number) == self._keep:
                _set(number, handler)
        if self._came:
            self._deliver()

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._first = time.monotonic()
        # Whoever took shelter is not in a process that another thread has forked.
        exposed = self._lifted or threading.get_ident() != self._home
        # Another, later, does disturb: the work may be stuck in somebody's converter.
        if exposed or time.monotonic() - self._first > PATIENCE:
            try:
                self._handle(number, frame)
            except BaseException:
                # What comes next would interrupt the clean-up before it can say `lower`.
                self._lifted = self._over
                raise
        else:
            self._came[number] = frame

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._before()
        self._handlers[number](number, frame)

    def _deliver(self) -> None:
        if self._came:
            number, frame = self._came.popitem()
            try:
                self._handle(number, frame)
            finally:
                self._deliver()

    def beneath(self, number: int) -> Callable[[int, FrameType | None], object] | None:
        """Return the handler this still stands in for, although it is over."""
        return self._handlers.get(number) if self._over else None


def _beneath(
    handler: Callable[[int, FrameType | None], object], number: int
) -> Callable[[int, FrameType | None], object]:
    """Return a handler, without stand-ins that were left behind when another one raised in `end`.

    They would stand in for each other, one more each time.
    """
    while isinstance(left := getattr(handler, "__self__", None), Shelter):
        below = left.beneath(number)
        if below is None:
            break
        handler = below
    return handler


def undisturbed(act: Callable[[], T]) -> T:
    """Do `act` and return what it returns; signals that arrive meanwhile are handled after it."""
    shelter = Shelter()
    try:
        shelter.begin()
        return act()
    finally:
        shelter.end()
