"""Python's garbage collector, kept out of the worlds: it works between two of them.

A world leaves thousands of objects that refer to each other, and a program with Hypothesis in it
has hundreds of thousands that never go.  Left alone, the collector looks at all of them again and
again in the middle of a run; here it looks at what is new, when a run is over.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, final

LITTER: Final = 4_000
"""Turns of worlds that are over after which the collector is let in (some 20 MiB of memory)."""


@final
class _Sweeper:
    """When the collector was in last."""

    def __init__(self) -> None:
        self.on = False
        self.turns = 0


_SWEEPER: Final = _Sweeper()


@contextmanager
def kept_out() -> Generator[None]:
    """Collect nothing in this block but by `sweep`; whoever keeps it out already may go on."""
    if not gc.isenabled():
        yield
        return
    # Who has frozen objects wants them to stay so.
    mine = gc.get_freeze_count() == 0
    gc.disable()
    if mine:
        gc.freeze()
    _SWEEPER.on, _SWEEPER.turns = True, 0
    try:
        yield
    finally:
        _SWEEPER.on = False
        if mine:
            gc.unfreeze()
        gc.enable()


def sweep(turns: int) -> None:
    """A world of so many turns is over, or has gone on for so many."""
    _SWEEPER.turns += turns
    if _SWEEPER.on and _SWEEPER.turns >= LITTER:
        _SWEEPER.turns = 0
        gc.collect()
