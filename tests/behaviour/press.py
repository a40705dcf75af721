"""Actors that publish and subscribe, for the behaviour suite."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from numpy.typing import NDArray

from actors import Actor, ActorRef, DeadLetter, Request, message, receive


@message
class News:
    n: int
    text: str = ""


@message
class LateNews(News):
    """A class of its own, whatever it derives from."""


@message
class Picture:
    pixels: NDArray[np.float64]
    title: str = ""


@message
class Publish(Request[None]):
    first: int
    count: int = 1


@message
class Heard(Request[list[int]]):
    pass


@message
class Letters(Request[list[str]]):
    pass


@message
class SubscribeTo(Request[str]):
    what: str = "News"


@message
class Doze(Request[None]):
    seconds: float


class Reporter(Actor):
    @receive
    def publish(self, msg: Publish) -> None:
        for n in range(msg.first, msg.first + msg.count):
            self.context.publish(News(n))


class AsyncReporter(Actor):
    @receive
    async def publish(self, msg: Publish) -> None:
        for n in range(msg.first, msg.first + msg.count):
            self.context.publish(News(n))
            await asyncio.sleep(0)


class Listener(Actor):
    diary: ActorRef | None = None
    """Outlives us."""

    def on_start(self) -> None:
        self.heard: list[int] = []
        self.context.subscribe(News)
        self.context.subscribe(News)

    @receive
    def news(self, msg: News) -> None:
        self.heard.append(msg.n)
        if msg.text == "fall":
            raise RuntimeError("as asked")

    @receive
    def tell_heard(self, msg: Heard) -> list[int]:
        return self.heard

    @receive
    def subscribe_to(self, msg: SubscribeTo) -> str:
        events = {"News": News, "Picture": Picture, "Heard": Heard, "text": "News"}
        try:
            self.context.subscribe(events[msg.what])
        except TypeError as error:
            return str(error)
        return "subscribed"

    @receive
    def doze(self, msg: Doze) -> None:
        time.sleep(msg.seconds)


class AsyncListener(Actor):
    """Subscribes only once it is told to."""

    def on_start(self) -> None:
        self.heard: list[int] = []

    @receive
    async def subscribe_to(self, msg: SubscribeTo) -> str:
        self.context.subscribe(News)
        return "subscribed"

    @receive
    def news(self, msg: News) -> None:
        self.heard.append(msg.n)

    @receive
    def tell_heard(self, msg: Heard) -> list[int]:
        return self.heard


class Undertaker(Actor):
    """Hears of dead letters."""

    def on_start(self) -> None:
        self.letters: list[str] = []
        self.context.subscribe(DeadLetter)

    @receive
    def letter(self, msg: DeadLetter) -> None:
        self.letters.append(msg.target)

    @receive
    def tell_letters(self, msg: Letters) -> list[str]:
        return self.letters
