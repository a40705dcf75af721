"""Those who send: plain code and asyncio code, in one program or another.

Each is a sender of its own, with numbers of its own, and a book in which every message stands with
how it ended.  As a program it joins a running system twice, over the network and on this host.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

import supervisor
from actors.errors import (
    ActorError,
    AnswerLost,
    ConnectionLost,
    DeadlineExceeded,
    HandlerError,
    NotDelivered,
    OutcomeUnknown,
)
from supervisor import System
from tests.storm import records
from tests.storm.cast import Ask, Event, Flush, Insist, Picture, Read, Tell, Urge
from tests.storm.records import Ledger

WINDOW = 40
"""Asks that one sender has open at once."""

HUNG_AFTER = 60.0
"""Seconds after its deadline at which an ask counts as one that never ends."""

FLUSH_SECONDS = 60.0

Make = Callable[[str, int, random.Random], Any]


@attrs.frozen
class Way:
    """One thing a sender may do."""

    how: str
    target: str
    make: Make
    weight: int = 2


def _seconds(dice: random.Random) -> float:
    """Most handlers are over at once; some give death a chance."""
    return 0.0 if dice.random() < 0.8 else dice.uniform(0.0, 0.004)


def _plain(cls: Any) -> Make:
    return lambda sender, number, dice: cls(sender, number, _seconds(dice))


def _picture(sender: str, number: int, dice: random.Random) -> Picture:
    return Picture(sender, number, np.full(dice.choice([10, 3000, 60_000]), number))


def _event(sender: str, number: int, _dice: random.Random) -> Event:
    return Event(sender, number)


WAYS = [
    *(Way("tell", target, _plain(Tell), 4) for target in ("clerk.1", "clerk.2", "relay")),
    *(Way("ask", target, _plain(Ask), 4) for target in ("clerk.1", "clerk.2", "relay")),
    Way("tell", "mover", _plain(Tell)),
    Way("ask", "mover", _plain(Ask)),
    Way("ask", "bell", _plain(Ask)),
    Way("insist-tell", "clerk.1", _plain(Insist)),
    Way("insist-ask", "clerk.2", _plain(Urge)),
    Way("insist-tell", "mover", _plain(Insist)),
    Way("insist-ask", "mover", _plain(Urge)),
    Way("ask", "clerk.1", _picture, 1),
    Way("event", "listener", _event, 3),
]
_WEIGHTS = [way.weight for way in WAYS]


@attrs.frozen
class Letter:
    """A message about to be sent."""

    way: Way
    number: int
    msg: Any
    timeout: float

    @property
    def asks(self) -> bool:
        """Whether it has an answer."""
        return self.way.how.endswith("ask")


class Sender:
    """Numbers its messages, and keeps book."""

    def __init__(self, name: str, folder: str, seed: str) -> None:
        self.name = name
        self.dice = random.Random(seed)
        self.number = 0
        self._book = Ledger(folder, f"{name}.book")

    def compose(self) -> Letter:
        """Return the next message."""
        (way,) = self.dice.choices(WAYS, _WEIGHTS)
        return self.write(way)

    def write(self, way: Way) -> Letter:
        """Return the next message, in a certain way."""
        self.number += 1
        timeout = self.dice.choice([0.05, 0.3]) if self.dice.random() < 0.1 else 30.0
        return Letter(way, self.number, way.make(self.name, self.number, self.dice), timeout)

    def note(self, letter: Letter, outcome: str, late: float = 0.0) -> None:
        """Say how a message ended."""
        how, target = letter.way.how, letter.way.target
        self._book.write(self.name, letter.number, target, how, outcome, f"{late:.4f}")

    def close(self) -> None:
        """Send nothing more."""
        self._book.close()

    def answered(self, letter: Letter, value: object, late: float) -> None:
        """Note an answer."""
        right = value is True if isinstance(letter.msg, Picture) else value == letter.number
        self.note(letter, records.ANSWERED if right else records.WRONG, late)


def outcome_of(error: ActorError) -> str:
    """Return the word for an error."""
    match error:
        case HandlerError():
            return records.FAILED
        case NotDelivered():
            return records.UNDELIVERED
        case DeadlineExceeded():
            return records.OVERDUE
        case AnswerLost():
            return records.ANSWER_LOST
        case OutcomeUnknown():
            return records.UNKNOWN
        case ConnectionLost():
            return records.REFUSED
        case _:
            sys.stderr.write(f"no message ends with this: {error!r}\n")
            return records.WRONG


class Correspondent(threading.Thread):
    """Sends letters from a thread of its own; how the answers are waited for is a subclass's."""

    def __init__(self, system: System, sender: Sender, stop: threading.Event, pace: float) -> None:
        super().__init__(name=sender.name, daemon=True)
        self._system = system
        self._sender = sender
        self._stop_it = stop
        self._pace = pace

    def _send(self, letter: Letter) -> Any:
        """Send a letter; return the reply to wait for, or None when it has been noted."""
        ref = self._system.ref(letter.way.target)
        try:
            if letter.asks:
                return ref.ask(letter.msg, timeout=letter.timeout)
            if letter.way.how == "event":
                self._system.publish(letter.msg)
            else:
                ref.tell(letter.msg)
        except ActorError as error:
            self._sender.note(letter, outcome_of(error))
        else:
            self._sender.note(letter, records.TOLD)
        return None


class PlainClient(Correspondent):
    """Plain code."""

    def run(self) -> None:
        """Send in bursts until told not to, then wait for what is open."""
        dice = self._sender.dice
        waiting: deque[tuple[Letter, Any, float]] = deque()
        while not self._stop_it.wait(dice.uniform(0.0, self._pace)):
            for _ in range(dice.randint(1, 12)):
                letter = self._sender.compose()
                reply = self._send(letter)
                if reply is not None:
                    waiting.append((letter, reply, time.monotonic() + letter.timeout))
            while len(waiting) > WINDOW:
                self._harvest(*waiting.popleft())
        while waiting:
            self._harvest(*waiting.popleft())
        self._sender.close()

    def _harvest(self, letter: Letter, reply: Any, deadline: float) -> None:
        waited = not reply.done()
        most = max(0.0, deadline - time.monotonic()) + HUNG_AFTER
        try:
            value = reply.result(timeout=most)
        except ActorError as error:
            self._sender.note(letter, outcome_of(error), _late(deadline, waited=waited))
        except TimeoutError:
            self._sender.note(letter, records.HUNG)
        else:
            self._sender.answered(letter, value, _late(deadline, waited=waited))


def _late(deadline: float, *, waited: bool) -> float:
    return max(0.0, time.monotonic() - deadline) if waited else 0.0


class AsyncClient(Correspondent):
    """Asyncio code, in a loop of its own."""

    def run(self) -> None:
        """See `PlainClient.run`."""
        asyncio.run(self._main())
        self._sender.close()

    async def _main(self) -> None:
        dice = self._sender.dice
        room = asyncio.Semaphore(WINDOW)
        async with asyncio.TaskGroup() as group:
            while not self._stop_it.is_set():
                await asyncio.sleep(dice.uniform(0.0, self._pace))
                for _ in range(dice.randint(1, 12)):
                    await room.acquire()
                    letter = self._sender.compose()
                    reply = self._send(letter)
                    if reply is None:
                        room.release()
                    else:
                        deadline = time.monotonic() + letter.timeout
                        group.create_task(self._harvest(letter, reply, deadline, room))

    async def _harvest(
        self, letter: Letter, reply: Any, deadline: float, room: asyncio.Semaphore
    ) -> None:
        try:
            async with asyncio.timeout(letter.timeout + HUNG_AFTER):
                value = await reply
        except ActorError as error:
            self._sender.note(letter, outcome_of(error), _late(deadline, waited=True))
        except TimeoutError:
            self._sender.note(letter, records.HUNG)
        else:
            self._sender.answered(letter, value, _late(deadline, waited=True))
        finally:
            room.release()


class Reader(Correspondent):
    """Reads streams, one after the other: some slowly, some not to their end."""

    def run(self) -> None:
        """Read until told not to."""
        dice = self._sender.dice
        while not self._stop_it.wait(dice.uniform(0.0, 2 * self._pace)):
            length = dice.choice([0, 1, 30, 500])
            way = Way("stream", dice.choice(["clerk.1", "clerk.2"]), _read(length))
            letter = self._sender.write(way)
            try:
                outcome = self._read(letter, length)
            except ActorError as error:
                outcome = outcome_of(error)
            except TimeoutError:
                outcome = records.HUNG
            self._sender.note(letter, outcome)
        self._sender.close()

    def _read(self, letter: Letter, length: int) -> str:
        """Return how it ended: what came must be the first of the numbers, and none left out."""
        dice = self._sender.dice
        most = dice.choice([length, length, length // 2])
        pause = dice.choice([0.0, 0.0, 0.01])
        with self._system.ref(letter.way.target).stream(letter.msg) as stream:
            for expected in range(length):
                if expected == most:
                    return records.CLOSED
                try:
                    item = stream.next(timeout=HUNG_AFTER)
                except StopIteration:
                    return records.WRONG
                if item != expected:
                    return records.WRONG
                if pause:
                    time.sleep(pause)
            more = next(stream, None)
        return records.ANSWERED if more is None else records.WRONG


def _read(length: int) -> Make:
    return lambda sender, number, _dice: Read(sender, number, length)


def settle(system: System) -> None:
    """Wait until everything this program has told is handled, and what was lost is reported."""
    end = time.monotonic() + FLUSH_SECONDS
    with system._portal.lock:
        system._peer.demand()
    system.ref("relay").ask(Flush(), timeout=FLUSH_SECONDS).result()
    while unfinished := system._unfinished():
        if time.monotonic() > end:
            raise TimeoutError(f"still unfinished: {unfinished}")
        time.sleep(0.01)
    system.status()  # the supervisor answers after what it was told before


def main(far: str, near: str, folder: str, seed: str, pace: str) -> None:
    """Be the second program, until the standard input ends."""
    stop = threading.Event()
    with supervisor.connect(far) as network, supervisor.connect(near) as host:
        clients: list[Correspondent] = [
            cls(system, Sender(name, folder, f"{seed} {name}"), stop, float(pace))
            for cls, system, name in (
                (PlainClient, network, "far"),
                (AsyncClient, network, "far-async"),
                (PlainClient, host, "near"),
                (Reader, network, "far-reader"),
            )
        ]
        for client in clients:
            client.start()
        sys.stdout.write("joined\n")
        sys.stdout.flush()
        sys.stdin.read()
        stop.set()
        for client in clients:
            client.join()
        settle(network)
        settle(host)


if __name__ == "__main__":
    main(*sys.argv[1:])
