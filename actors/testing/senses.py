"""The clock and chance, as code inside the simulation finds them.

    time, datetime        virtual; local time is UTC
    random, uuid, os      chance of the simulated process that runs at the moment
    numpy.random          its global generator begins anew with every run

Imports are no part of a run: a module that draws while it is imported draws by its name, so it
does not matter whether this run or an earlier one was the first to import it.

Outside a run, and in every other thread, the real functions are called.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import functools
import gc
import importlib
import os
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from actors.testing.stage import STAGE, Replacement, present

EPOCH: Final = 1_750_000_000.0
"""`time.time()` at the beginning of every run, when the monotonic clock says 0."""

_CLOCKS: Final[dict[str, Callable[[float], Any] | None]] = {
    "monotonic": None,
    "monotonic_ns": lambda now: round(now * 1e9),
    "perf_counter": None,
    "perf_counter_ns": lambda now: round(now * 1e9),
    "process_time": None,
    "process_time_ns": lambda now: round(now * 1e9),
    "thread_time": None,
    "thread_time_ns": lambda now: round(now * 1e9),
    "time": lambda now: EPOCH + now,
    "time_ns": lambda now: round((EPOCH + now) * 1e9),
}
"""What each clock says at a virtual time; None for that time itself."""
_CALENDARS: Final = {"ctime": 0, "gmtime": 0, "localtime": 0, "asctime": 0, "strftime": 1}
"""Functions that take the present time when so many arguments are given."""

_DRAWS: Final = (
    "betavariate", "binomialvariate", "choice", "choices", "expovariate", "gammavariate", "gauss",
    "getrandbits", "getstate", "lognormvariate", "normalvariate", "paretovariate", "randbytes",
    "randint", "random", "randrange", "sample", "seed", "setstate", "shuffle", "triangular",
    "uniform", "vonmisesvariate", "weibullvariate",
)  # fmt: skip


def replacements() -> list[Replacement]:
    """Return the functions of modules that are others inside a run."""
    # Some of them are younger than others.
    clocks = {name: to for name, to in _CLOCKS.items() if hasattr(time, name)}
    draws = [name for name in _DRAWS if hasattr(random, name)]
    found = [
        Replacement(time, name, _timed(getattr(time, name), to)) for name, to in clocks.items()
    ]
    found += [
        Replacement(time, name, _dated(name, getattr(time, name), place))
        for name, place in _CALENDARS.items()
    ]
    found += [Replacement(random, name, _drawn(name, getattr(random, name))) for name in draws]
    found.append(Replacement(random.Random, "seed", _seed(random.Random.seed)))
    urandom = _bytes(os.urandom)
    found += [Replacement(os, "urandom", urandom), Replacement(random, "_urandom", urandom)]
    if hasattr(os, "getrandom"):
        found.append(Replacement(os, "getrandom", _bytes(os.getrandom)))
    found.append(Replacement(uuid, "uuid1", _uuid1(uuid.uuid1)))
    # Every import that is not done yet comes by here; the import of a loaded module does not.
    finder: Any = importlib.import_module("_frozen_importlib")
    name = "_find_and_load"
    found.append(Replacement(finder, name, _importing(getattr(finder, name))))
    return found


def begin(seed: int) -> None:
    """Give what is shared by all processes of a run its beginning."""
    np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002 - it is the one that is shared


@contextmanager
def chance() -> Generator[None]:
    """Give back, after some runs, the chance there was before."""
    state, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numbers)  # noqa: NPY002


# --- the clock


def _timed(real: Callable[[], Any], virtual: Callable[[float], Any] | None) -> Callable[[], Any]:
    thread = threading.get_ident

    def clock() -> Any:
        world = STAGE.world
        if world is None or thread() != STAGE.thread:
            return real()
        return world.now if virtual is None else virtual(world.now)

    return clock


def _dated(name: str, real: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Return a function of `time` that takes the virtual time where none is given."""

    @functools.wraps(real)
    def calendar(*args: Any) -> Any:
        world = present()
        if world is None or len(args) > place:
            return real(*args)
        now = EPOCH + world.now
        structured = name in ("asctime", "strftime")
        return real(*args, time.gmtime(now) if structured else now)

    return calendar


def _now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
    world = present()
    when = time.time() if world is None else EPOCH + world.now
    return cls.fromtimestamp(when, tz)


def _utcnow(cls: type[dt.datetime]) -> dt.datetime:
    return _now(cls, dt.UTC).replace(tzinfo=None)


@contextmanager
def calendar() -> Generator[None]:
    """Let `datetime` ask the virtual clock, and make local time that of everywhere.

    The class is built in, and everybody has imported it by name, so its own methods are replaced.
    (`today` asks `time.time` by itself.)  Where a Python does not let us, it goes on as it was.
    """
    former = {name: vars(dt.datetime)[name] for name in ("now", "utcnow")}
    zone = os.environ.get("TZ")
    _set_methods({"now": classmethod(_now), "utcnow": classmethod(_utcnow)})
    _set_zone("UTC0")
    try:
        yield
    finally:
        _set_zone(zone)
        _set_methods(former)


def _set_methods(methods: dict[str, Any]) -> None:
    if sys.implementation.name != "cpython":
        return
    cls = dt.datetime
    held: list[Any] = [one for one in gc.get_referents(vars(cls)) if isinstance(one, dict)]
    if held:
        held[0].update(methods)
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


def _set_zone(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()


# --- chance


def _drawn(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def draw(*args: Any, **options: Any) -> Any:
        world = present()
        if world is None:
            return real(*args, **options)
        return getattr(STAGE.chance or world.random, name)(*args, **options)

    return draw


def _seed(real: Callable[..., None]) -> Callable[..., None]:
    """Return `Random.seed`, which begins with chance where it is given nothing."""

    @functools.wraps(real)
    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        world = present() if a is None else None
        if world is not None:
            a = (STAGE.chance or world.random).getrandbits(128)
        real(self, a, version)

    return seed


def _bytes(real: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(real)
    def draw(size: int, *flags: Any) -> bytes:
        world = present()
        if world is None:
            return real(size, *flags)
        return (STAGE.chance or world.random).randbytes(size)

    return draw


def _uuid1(real: Callable[..., uuid.UUID]) -> Callable[..., uuid.UUID]:
    """Return a `uuid1` without the address of this machine and the real time."""

    @functools.wraps(real)
    def draw(*args: Any, **options: Any) -> uuid.UUID:
        if present() is None:
            return real(*args, **options)
        return uuid.UUID(bytes=secrets.token_bytes(16), version=1)

    return draw


# --- modules


def _importing(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def find_and_load(name: str, *args: Any) -> Any:
        if present() is None:
            return real(name, *args)
        former, STAGE.chance = STAGE.chance, random.Random(f"import {name}")
        try:
            return real(name, *args)
        finally:
            STAGE.chance = former

    return find_and_load
