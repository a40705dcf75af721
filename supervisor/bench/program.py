"""Which measurements are played, one after the other; nobody hears the actors that fall in them."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from supervisor.bench import arrays, births, crowd, lives, relayed, rings, talk
from supervisor.bench.figures import Figure

NO_BYTE_CODE: Final = "PYTHONDONTWRITEBYTECODE"


@attrs.frozen
class Result:
    """What one measurement has found."""

    benchmark: str
    load: float
    """Of the machine, when it began."""
    seconds: float
    figures: list[Figure]
    failure: str = ""
    """The traceback of what went wrong, with no figures then; "" when nothing did."""


QUICK: Final[Mapping[str, Callable[[], list[Figure]]]] = {
    "ask": lambda: talk.ask_plain(5),
    "asyncio": lambda: talk.clients(5),
    "tell": lambda: talk.tell(5),
    "relay": lambda: relayed.relay(5),
    "crowd": lambda: crowd.crowd(3),
    "arrays": lambda: arrays.arrays(3, sizes=(8,)),
    "rings": lambda: rings.rings(2),
    "spawn": lambda: births.spawn(3),
    "kill": lambda: lives.kill(5),
    "memory": lives.memory,
}
"""A minute of them all together, for users."""


def perform(programme: Mapping[str, Callable[[], list[Figure]]]) -> Iterator[Result]:
    """Play one after the other; one that fails keeps nobody from the others."""
    logger = logging.getLogger("understudy")
    usual = logger.level
    logger.setLevel(logging.CRITICAL)  # what is killed here is killed on purpose
    # What a wheel brings along: byte code.  Without it every start would measure the compiler.
    forbidden = os.environ.pop(NO_BYTE_CODE, None)
    try:
        for name, benchmark in programme.items():
            load, begun = os.getloadavg()[0], time.perf_counter()
            figures: list[Figure] = []
            failure = ""
            try:
                figures = benchmark()
            except Exception:  # noqa: BLE001 - whatever it is, it is said, and the next one is played
                failure = traceback.format_exc()
            yield Result(name, load, time.perf_counter() - begun, figures, failure)
    finally:
        logger.setLevel(usual)
        if forbidden is not None:
            os.environ[NO_BYTE_CODE] = forbidden


def told(result: Result) -> str:
    """Return a line about one measurement as a whole."""
    which = f"{result.benchmark}: load {result.load:.1f}, {result.seconds:.0f} s"
    return f"    ({which}; it FAILED)" if result.failure else f"    ({which})"
