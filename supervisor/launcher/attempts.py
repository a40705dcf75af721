"""When zygotes that die before they are ready are too many, and whose fault that is.

Nothing here touches a process: it is told of each death, and answers.
"""

from __future__ import annotations

from typing import Final, final

ATTEMPTS: Final = 5
"""Zygotes in a row that die before they are ready."""

CRASHES: Final = 2
"""Of them in a row, those that die in the same module of the program's: one may be an accident."""


@final
class Attempts:
    """Counts them, from one that was ready to the next."""

    def __init__(self) -> None:
        self.module = ""
        """Which module it was, when the last answer was a module's fault."""
        self._deaths = 0
        self._suspect = ""
        self._crashes = 0

    def died(self, loading: str) -> str:
        """Count a zygote that died, while it imported the module `loading` (or none of theirs).

        Returns what is to be said of it; "" means: try another.
        """
        self._deaths += 1
        self._crashes = self._crashes + 1 if loading == self._suspect else 1
        self._suspect, self.module = loading, ""
        if loading and self._crashes >= CRASHES:
            self._deaths = self._crashes = 0  # the next one does without it
            self.module = loading
            return f"{CRASHES} processes have ended while they imported {loading}"
        if self._deaths >= ATTEMPTS:
            self._deaths -= 1  # a later launch gets one more attempt
            return f"{ATTEMPTS} zygotes in a row died while they started"
        return ""
