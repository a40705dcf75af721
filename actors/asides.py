"""What the broker says to the supervisor alone."""

from __future__ import annotations

from typing import Final, final

from actors.control import Heard, Vouched

VOUCHED: Final = 10_000
"""Programs on the network whose roles are remembered."""


@final
class Asides:
    """What was said so far; of no concern to anybody but the supervisor's party."""

    def __init__(self) -> None:
        self.roles: dict[str, str] = {}
        """Roles of programs on the network, by name."""
        self.heard = 0
        """Number of the last `Synced` that was answered."""

    def take(self, word: Heard | Vouched) -> None:
        """Note a word."""
        if isinstance(word, Heard):
            self.heard = word.number
            return
        self.roles.pop(word.name, None)  # who was vouched for again is not the oldest any more
        self.roles[word.name] = word.role
        if len(self.roles) > VOUCHED:
            del self.roles[next(iter(self.roles))]
