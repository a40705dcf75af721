"""Computations for the tests: each does little, and shows what it did."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from actors import Actor, ActorRef, message
from actors.compute.interface import command, output
from actors.compute.server import ComputeServer
from actors.compute.words import Attend


@message
class Counted:
    value: int


class Count(ComputeServer):
    """Counts its steps, up or down."""

    by: Annotated[int, "what a step adds"] = attrs.field(
        default=1, validator=attrs.validators.in_(range(-5, 6))
    )
    pull: Annotated[tuple[float, float], "where to"] = (0.0, 0.0)
    spot: tuple[int, int] = (0, 0)
    mood: Literal["calm", "wild"] = "calm"
    size: Annotated[int, "elements of the array"] = attrs.field(
        default=4, on_setattr=attrs.setters.frozen
    )
    slow: Annotated[float, "seconds that a step takes"] = 0.0
    break_at: int = 0

    snapshot_seconds = 0.05

    def begin(self) -> None:
        self.count = 0
        self.seen: list[list[str]] = []

    def step(self) -> None:
        self.count += self.by
        if self.slow:
            time.sleep(self.slow)
        if self.break_at and self.count >= self.break_at:
            raise ZeroDivisionError("it broke")

    def changed(self, names: frozenset[str]) -> None:
        if self.mood == "wild" and self.by == 5:
            raise ValueError("too wild")

    def state(self) -> Counted:
        return Counted(self.count)

    def resume(self, state: Counted) -> None:
        self.count = state.value

    @output
    def total(self) -> int:
        """The count of this moment."""
        return self.count

    @output
    def field(self) -> NDArray[np.float64]:
        """The count, everywhere."""
        return np.full(self.size, float(self.count))

    @output
    def flags(self) -> Any:
        """Whether the count is odd."""
        return np.array([self.count % 2 == 1])

    @command
    def jump(self) -> None:
        """Add a thousand at once."""
        self.count += 1000


class Absent(Count):
    """Counts, and cannot always say how far it is."""

    trouble: Annotated[str, "what keeps it from saying so"] = ""

    def state(self) -> Counted:
        if self.trouble:
            raise RuntimeError(self.trouble)
        return super().state()


@attrs.frozen
class Bare:
    value: int


class Nameless(Count):
    """Its state is no message."""

    def state(self) -> Any:
        return Bare(self.count)


class Aimed(Count):
    """Follows its parameters before it looks whether it likes them."""

    stubborn: Annotated[bool, "it likes none"] = attrs.field(
        default=False, on_setattr=attrs.setters.frozen
    )

    def begin(self) -> None:
        super().begin()
        self.aim = self.pull

    def changed(self, names: frozenset[str]) -> None:
        if "pull" in names:
            self.aim = self.pull
        super().changed(names)
        if self.stubborn:
            raise ValueError(f"not by {self.by}")

    @output
    def aimed_at(self) -> float:
        """The first coordinate of where it goes."""
        return self.aim[0]


def _below(model: Band, _attribute: object, value: float) -> None:
    if value >= model.high:
        raise ValueError("low must be below high")


def _above(model: Band, _attribute: object, value: float) -> None:
    if value <= model.low:
        raise ValueError("high must be above low")


class Band(Count):
    """Two parameters that look at each other."""

    low: float = attrs.field(default=0.0, validator=_below)
    high: float = attrs.field(default=1.0, validator=_above)


class Hoarder(Count):
    """Calls its own attributes and methods as a computation might call its."""

    def begin(self) -> None:
        super().begin()
        self._settings = self._pacing = self._counts = self._turns = self._stage = self._beat = None
        self._ended = self._served = self._attendance = self._interface = True

    def _note(self, what: str) -> None:
        raise RuntimeError(what)

    _do = _end = _go_on = _obey = _moment = _heartbeat = _note


class Onlooker(Actor):
    """Attends a computation, as a view of another program does."""

    server: ActorRef

    def on_start(self) -> None:
        self.attending = self.server.stream(Attend())
