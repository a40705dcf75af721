"""Keeps what was changed for the next life: at once, or together with what follows.

changed() ──► save, unless that takes long and was done just now ──► Keep, then ──► due() ──► save
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, final

from actors.context import Context
from actors.failure import from_theirs, said_of
from actors.message import message

SHARE: Final = 10
"""A change is kept at once unless that, changes coming fast, would take more than a tenth."""

LITTLE: Final = 0.002
"""Seconds that keeping may take to be done at each change, however fast they come."""


@message(tag="understudy:compute.Keep")
class Keep:
    """Time to keep what was changed since the last snapshot."""


@final
class Keeping:
    """Keeps the changes of one life of a computation."""

    def __init__(self, context: Context, snapshot: Callable[[], object]) -> None:
        self._context = context
        self._snapshot = snapshot
        self._kept_at = -math.inf
        self._took = 0.0
        self._planned = False
        """Whether a `Keep` is on its way."""
        self._said = ""
        """Why the last one could not be kept; "" when it was."""

    def changed(self) -> None:
        """Keep what was changed: now, or, when that takes a while, together with what follows."""
        wait = self._kept_at + SHARE * self._took - time.monotonic()
        if wait <= 0 or self._took <= LITTLE:
            self._keep()
        elif not self._planned:
            self._planned = True
            self._context.tell_after(wait, Keep())

    def due(self) -> None:
        """Keep what was changed meanwhile."""
        self._planned = False
        self.changed()

    def _keep(self) -> None:
        begun = time.monotonic()
        try:
            self._context.save(self._snapshot())
            self._said = ""
        except Exception as error:  # noqa: BLE001 - state() is the model's, and may raise anything
            # The change itself is made, so whoever has asked for it is told that it is.
            self._say(error)
        self._kept_at = time.monotonic()
        self._took = self._kept_at - begun

    def _say(self, error: Exception) -> None:
        why = said_of(error)
        if why == self._said:
            return
        self._said = why
        trace = from_theirs(error.__traceback__)
        text = (
            "%s goes on, but its next life would not know what is changed now, because its state "
            "cannot be kept. This is said once for each reason; the next change tries again"
        )
        self._context.log.error(text, self._context.name, exc_info=(type(error), error, trace))
