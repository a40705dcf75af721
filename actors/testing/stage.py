"""Which run is on, and whether the code that calls is part of it.  There is one run at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from random import Random

    from actors.testing.world import World


class Replacement(NamedTuple):
    """Something of Python's own that is another thing as long as runs go on."""

    owner: Any
    """A module, or a class."""
    name: str
    new: Any


class _Stage:
    """Which run is on."""

    __slots__ = ("chance", "depth", "thread", "world")

    def __init__(self) -> None:
        self.world: World | None = None
        self.thread = 0
        self.depth = 0
        self.chance: Random | None = None
        """Of the module that is imported at the moment."""


STAGE: Final = _Stage()
"""The run that is on, if any."""


def present() -> World | None:
    """Return the run that the calling code is part of."""
    world = STAGE.world
    if world is None or world.current is None or threading.get_ident() != STAGE.thread:
        return None
    return world
