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


def undisturbed(act: Callable[[], T]) -> T:
    """Do `act` and return what it returns; signals that arrive meanwhile are handled after it."""
    if threading.current_thread() is not threading.main_thread():
        return act()  # handlers never run in other threads
    keeper = _Keeper()
    try:
        keeper.begin()
        return act()
    finally:
        keeper.end()


@final
class _Keeper:
    """Stands in for the handlers."""

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._came: dict[int, FrameType | None] = {}
        self._first = 0.0
        self._over = False

    def begin(self) -> None:
        for number in _SIGNALS:
            handler = _get(number)
            if callable(handler):
                self._handlers[number] = handler
                _set(number, self._keep)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        # Another, later, does disturb: the work may be stuck in somebody's converter.
        if not self._came:
            self._first = time.monotonic()
        if self._over or time.monotonic() - self._first > PATIENCE:
            self._handlers[number](number, frame)
        else:
            self._came[number] = frame

    def end(self) -> None:
        # Whatever one of the handlers raises on the way, those not put back yet are called by us.
        self._over = True
        for number, handler in self._handlers.items():
            _set(number, handler)
        self._deliver()

    def _deliver(self) -> None:
        if self._came:
            number, frame = self._came.popitem()
            try:
                self._handlers[number](number, frame)
            finally:
                self._deliver()
