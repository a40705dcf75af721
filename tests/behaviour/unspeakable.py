"""An actor whose errors cannot be put into words, for the behaviour suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs

from actors import Actor, Request, StreamRequest, message, receive
from actors.actor import FailurePolicy

TORN = "\udcff.fits"
"""A file's name that is not UTF-8, as `os.listdir` returns it."""


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class NumberError(Exception):
    def __str__(self) -> str:
        text: Any = 5
        return text


ERRORS = {
    "mute": MuteError(),
    "number": NumberError(),
    "torn": ValueError(f"cannot read {TORN}"),
}


@message
class Raise:
    kind: str


@message
class RaiseLater:
    """The same, from an `async` handler."""

    kind: str


@message
class LogTorn(Request[None]):
    """Log a text, as a logger of a name, that are not Unicode."""


@message
class Life(Request[int]):
    """Which incarnation answers."""


@attrs.define
class Form:
    """What is answered; its field may never have been set."""

    filled: int


@message
class Give(Request[Form]):
    pass


@message
class GiveLater(Request[Form]):
    """The same, from an `async` handler."""


@message
class GiveAll(StreamRequest[Form]):
    pass


@message
class GiveAllLater(StreamRequest[Form]):
    """The same, from an `async` handler."""


class Grumbler(Actor):
    """Raises, here or there, what cannot be said."""

    at_start: str = ""
    at_stop: str = ""

    def on_start(self) -> None:
        if self.at_start:
            raise ERRORS[self.at_start]

    def on_stop(self, reason: str) -> None:
        if self.at_stop:
            raise ERRORS[self.at_stop]

    @receive
    def fail(self, msg: Raise) -> None:
        raise ERRORS[msg.kind]

    @receive
    async def fail_later(self, msg: RaiseLater) -> None:
        raise ERRORS[msg.kind]

    @receive
    def say(self, msg: LogTorn) -> None:
        self.context.log.info("reading %s", TORN)
        self.context.log.getChild(TORN).info("read")

    @receive
    def give(self, msg: Give) -> Form:
        return Form.__new__(Form)

    @receive
    async def give_later(self, msg: GiveLater) -> Form:
        return Form.__new__(Form)

    @receive
    def give_all(self, msg: GiveAll) -> Iterator[Form]:
        yield Form(1)
        yield Form.__new__(Form)

    @receive
    async def give_all_later(self, msg: GiveAllLater) -> AsyncIterator[Form]:
        yield Form(1)
        yield Form.__new__(Form)

    @receive
    def life(self, msg: Life) -> int:
        return self.context.incarnation


class Canceller(Grumbler):
    """Waits at its end for something that was cancelled."""

    async def on_stop(self, reason: str) -> None:
        raise asyncio.CancelledError


class Enduring(Grumbler):
    failure_policy = FailurePolicy.RESUME
