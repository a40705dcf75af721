"""The doors that an actor can have for programs that speak plain ZeroMQ.

    plain program             the actor's process                               an actor
    REQ  ──frames──▶  Rep     phrasebook ─▶ message ── ask ──▶ ref  (its own, or another's)
         ◀─frame───           phrasebook ◀─ answer  ◀────────
    PUSH, PUB ─────▶  Pull, Sub             message ── tell ─▶ ref
    REP  ◀─────────  Req      await self.door.ask(message)
    SUB, PULL ◀────  Pub, Push              publish, send

A door is made in `on_start`, belongs to that life, and is closed with it.  What comes in goes to a
ref, so the actor's ordinary handlers, limits and failure policy decide about it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeVar, cast, final

import attrs

from actors.errors import ActorError, DeadlineExceeded, InvalidMessage, MailboxFull
from actors.gateway.phrasebook import Phrasebook, Refusal
from actors.gateway.place import Place
from actors.gateway.questions import error_frame, way_back
from actors.gateway.sockets import LARGEST_FRAME, Kind, PlainSocket
from actors.log import logger
from actors.message import Request
from actors.ref import ActorRef, Message

R = TypeVar("R")

AT_ONCE: Final = 64
"""Questions that are asked at the same time; further ones wait in the socket."""

GIVES_WAY: Final = 30.0
"""Seconds for which a question may keep its place while others wait for one."""

_MOMENT: Final = 1.0  # until what was given up has made its place free


@final
@attrs.frozen
class Traffic:
    """What went through a door in this life."""

    received: int = 0
    sent: int = 0
    refused: int = 0
    """Received, and not understood, or not taken by the actor."""
    dropped: int = 0
    """Received by a `Sub` while the actor's mailbox was full."""


class Door:
    """What all doors have: an endpoint, counters and an end."""

    _topics: tuple[bytes, ...] = ()

    def __init__(self, kind: Kind, place: Place, *, largest: int = LARGEST_FRAME) -> None:
        self._socket = PlainSocket(kind, place, topics=self._topics, largest=largest)
        self._counts = Counter[str]()
        # The loop's end cancels every task, so a door is closed though nobody says so.
        self._living = asyncio.get_running_loop().create_task(self._until_the_end())

    @property
    def endpoint(self) -> str:
        """Where it is, its port included when it was bound to `*`."""
        return self._socket.endpoint

    def statistics(self) -> Traffic:
        """Return what went through."""
        return Traffic(**self._counts)

    def close(self) -> None:
        """Close it before its actor's life ends.  Twice is fine."""
        self._living.cancel()
        self._socket.close()

    async def _until_the_end(self) -> None:
        try:
            await self._live()
        except Exception:  # noqa: BLE001 - nobody awaits this task: a shut door must be seen
            logger.exception("the door at %s is closed by a fault", self.endpoint)
        finally:
            self._socket.close()

    async def _live(self) -> None:
        await asyncio.get_running_loop().create_future()

    def _refuse(self, why: object) -> None:
        self._counts["refused"] += 1
        if self._counts["refused"] == 1:  # a stranger must not fill the log
            text = "%s refused a message: %s; further ones are counted in statistics()"
            logger.warning(text, self.endpoint, why)


class Answering(Door):
    """Answers REQ sockets: so many questions at the same time, of however many clients.

    Further ones wait in the socket, and make the oldest give way once that has had 30 s.  No
    question remains without an answer.
    """

    def __init__(self, place: Place, *, at_once: int, largest: int = LARGEST_FRAME) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._at_work: dict[asyncio.Task[None], float] = {}  # since when, the oldest first
        self._given_up: set[asyncio.Task[None]] = set()
        super().__init__(Kind.ROUTER, place, largest=largest)

    async def _answer(self, client: bytes, said: list[bytes]) -> Sequence[bytes]:
        """Return the answer; what it raises shuts the door.

        Calls begin in the order in which the questions came, each running up to where it waits.
        """
        raise NotImplementedError

    def _failure(self, error: Exception) -> Sequence[bytes]:
        """Return the answer to a question that had to give way."""
        raise NotImplementedError

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                frames = await self._socket.receive()
                self._counts["received"] += 1
                await self._place(loop)
                task = group.create_task(self._deal_with(frames))
                self._at_work[task] = loop.time()
                task.add_done_callback(self._done)

    async def _place(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until another question may be dealt with.

        Without an end to those that nobody ever answers, they would shut the door for all.
        """
        given_up = -math.inf
        while self._free.locked() and self._at_work:
            oldest, since = next(iter(self._at_work.items()))
            with suppress(TimeoutError):
                async with asyncio.timeout_at(max(since + GIVES_WAY, given_up + _MOMENT)):
                    await self._free.acquire()
                    return
            if self._at_work.pop(oldest, None) is not None:
                given_up = loop.time()
                self._given_up.add(oldest)
                oldest.cancel()
        await self._free.acquire()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.pop(task, None)
        self._given_up.discard(task)
        self._free.release()

    async def _deal_with(self, frames: list[bytes]) -> None:
        divided = way_back(frames)
        if divided is None:
            self._refuse("it comes from no REQ socket, so it cannot be answered")
            return
        back, said = divided
        try:
            answer = await self._answer(back[0], said)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task not in self._given_up or task.uncancel():  # the door is shut
                raise
            text = f"no answer within {GIVES_WAY:g} s, and others wait for the place it took"
            self._refuse(text)
            answer = self._failure(TimeoutError(text))
        if not self._socket.closed:  # with the door goes whoever waits before it
            self._socket.send_now([*back, *answer])
            self._counts["sent"] += 1


@final
class Rep(Answering):
    """Answers REQ sockets: every question is asked of `to`, and its answer sent back.

    A question that is not understood, and one that fails, is answered with text that begins with
    "Error: "; no question remains without an answer.  64 questions are asked at the same time, of
    however many clients.
    """

    def __init__(self, phrases: Phrasebook, to: ActorRef, place: Place) -> None:
        self._phrases, self._to = phrases, to
        super().__init__(place, at_once=AT_ONCE)

    async def _answer(self, client: bytes, said: list[bytes]) -> Sequence[bytes]:  # noqa: ARG002
        try:
            question: Any = self._phrases.read(said)
            if isinstance(question, Refusal):
                self._refuse(question.text)
                return [error_frame(question.text)]
            return [self._phrases.write_answer(question, await self._to.ask(question))]
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            self._refuse(error)
            return self._failure(error)

    def _failure(self, error: Exception) -> Sequence[bytes]:
        return [error_frame(error)]


class _Inward(Door):
    """What only takes: every message is told to an actor."""

    _kind: ClassVar[Kind]

    def __init__(self, phrases: Phrasebook, to: ActorRef, place: Place) -> None:
        self._phrases, self._to = phrases, to
        super().__init__(self._kind, place)

    def _tell(self, frames: list[bytes]) -> None:
        message = self._phrases.read(frames)
        if isinstance(message, Refusal):
            self._refuse(message.text)
            return
        try:
            self._to.tell(cast("Message", message))
        except MailboxFull:
            self._counts["dropped"] += 1
        except ActorError as error:
            self._refuse(error)


@final
class Pull(_Inward):
    """Takes from PUSH sockets: every message is told to `to`.

    While there is no room for one nothing is taken, so whoever pushes waits.
    """

    _kind = Kind.PULL

    async def _live(self) -> None:
        while True:
            frames = await self._socket.receive()
            self._counts["received"] += 1
            with suppress(ActorError):  # if there will never be any, `tell` says why
                await self._to.room()
            self._tell(frames)


@final
class Sub(_Inward):
    """Hears PUB sockets: every message is told to `to`.

    Publishers do not wait, so what comes while there is no room is dropped, and counted.  A topic
    is what a first frame begins with; by default everything is heard.  Raises `ValueError` for no
    topics at all: it would be deaf.
    """

    _kind = Kind.SUB

    def __init__(
        self, phrases: Phrasebook, to: ActorRef, place: Place, *, topics: Sequence[str] = ("",)
    ) -> None:
        if not topics or isinstance(topics, str):
            raise ValueError(
                f"topics={topics!r} hears nothing: give a list of what messages begin with, "
                'or [""] for all of them.'
            )
        self._topics = tuple(topic.encode() for topic in topics)
        super().__init__(phrases, to, place)

    async def _live(self) -> None:
        while True:
            frames = await self._socket.receive()
            self._counts["received"] += 1
            self._tell(frames)


@final
class Pub(Door):
    """Speaks to SUB sockets, as many as there are, and waits for none."""

    def __init__(self, phrases: Phrasebook, place: Place) -> None:
        self._phrases = phrases
        super().__init__(Kind.PUB, place)

    def publish(self, message: Message) -> None:
        """Say a message to all who listen now.

        One who is more than 1,000 messages behind misses some, and is not told; nor does anybody
        hear what was said before he came.  Raises as `Phrasebook.write`.
        """
        self._socket.send_now(self._phrases.write(message))
        self._counts["sent"] += 1


@final
class Push(Door):
    """Gives each message to one PULL socket."""

    def __init__(self, phrases: Phrasebook, place: Place) -> None:
        self._phrases = phrases
        super().__init__(Kind.PUSH, place)
        self._turn = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """Give a message away; waits until there is somebody, and while all are busy.

        One that has left belongs to its receiver: when that dies, it is lost.  Raises as
        `Phrasebook.write`.
        """
        frames = self._phrases.write(message)
        async with self._turn:
            await self._socket.send(frames)
        self._counts["sent"] += 1


@final
class Req(Door):
    """Asks REP sockets, one question at a time."""

    def __init__(self, phrases: Phrasebook, place: Place) -> None:
        self._phrases = phrases
        super().__init__(Kind.REQ, place)
        self._turn = asyncio.Lock()

    async def ask(self, message: Request[R], *, timeout: float = 30.0) -> R:  # noqa: ASYNC109
        """Return the answer to a message; others that ask meanwhile wait for their turn.

        Raises `DeadlineExceeded` after `timeout` seconds (the next question is not harmed by it),
        `InvalidMessage` for an answer that is none, and as `Phrasebook.write`.
        """
        frames = self._phrases.write(message)
        try:
            async with asyncio.timeout(timeout), self._turn:
                await self._socket.send(frames)
                self._counts["sent"] += 1
                answer = await self._socket.receive()
        except TimeoutError:
            name = type(message).__name__
            raise DeadlineExceeded(target=self.endpoint, message=name, timeout=timeout) from None
        self._counts["received"] += 1
        try:
            return self._phrases.read_answer(message, answer)
        except InvalidMessage as error:
            self._refuse(error)
            raise
