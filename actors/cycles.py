"""Asks that would wait for themselves: found where the circle closes.  A decider.

    a's handler asks b, b's handler asks a: the request comes back to where somebody waits for it

      the handler of a that waits   the asked handler    verdict
      def                           any                  REFUSE: nothing runs before it ends
      async                         concurrent           ADMIT: begun now, beside it
      async                         any other            REFUSE: each would wait for the other
      async, concurrent             any                  QUEUE: others are handled meanwhile
      over, or never waited         any                  QUEUE: nobody waits, no circle

Every ask carries the names of those who wait for it, so the receiver sees that its own name is
among them; whether it still waits only it knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, NamedTuple

import msgspec

LONGEST_CHAIN: Final = 64
"""Asks that may wait for each other in one chain; a longer one is refused as a circle would be."""


class Hold(Enum):
    """What a handler in progress keeps from being handled while it waits for an answer."""

    ALL = "def"
    OTHERS = "async"
    NOTHING = "concurrent"
    OVER = "over"


class Verdict(Enum):
    """What becomes of a request that arrives."""

    QUEUE = "queue"
    """It waits in the mailbox, as every other message does."""
    ADMIT = "admit"
    """It is begun beside the handler that waits for it."""
    REFUSE = "refuse"
    """It would wait for ever."""


class Waiter(msgspec.Struct, eq=False, kw_only=True):
    """A handler in progress, as far as those matter that wait for what it asks."""

    # A Struct, as others that are made once for a message: it takes a third of what a class with
    # an `__init__` of its own takes.
    hold: Hold = Hold.ALL


class Wait(NamedTuple):
    """One open ask of a handler."""

    target: str
    hold: Hold


class Judgement(NamedTuple):
    """What becomes of a request, and the circle it would close."""

    verdict: Verdict
    path: tuple[str, ...] = ()
    """Names, the first one repeated at the end; empty when there is no circle."""


_QUEUE: Final = Judgement(Verdict.QUEUE)


def judge(me: str, chain: Sequence[str], waits: Iterable[Wait], *, overlaps: bool) -> Judgement:
    """Say what becomes of a request that has arrived at `me`.

    Args:
        me: the name of the asked actor.
        chain: names of those who wait for the request, outermost first, its sender last.
        waits: the open asks of the handlers of `me` that are in progress.
        overlaps: whether the asked handler may run beside the one that waits.
    """
    open_asks = [wait for wait in waits if wait.hold is not Hold.OVER]
    found = _QUEUE
    for place, name in enumerate(chain):
        if name != me:
            continue
        path = (*chain[place:], me)
        holds = {wait.hold for wait in open_asks if wait.target == path[1]}
        if Hold.ALL in holds or (Hold.OTHERS in holds and not overlaps):
            return Judgement(Verdict.REFUSE, path)
        if Hold.OTHERS in holds:
            found = Judgement(Verdict.ADMIT, path)
    return found
