"""Recording what clients see, in a simulation or on a real system.

history = History(clock=...)
alice = history.client("alice", bank)
await alice.ask(Deposit(10))             asyncio code
alice.ask(Deposit(10)).result()          plain code, any thread

linearizable(history, BankAccount).require()
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, Protocol, TypeVar, final

import attrs

from actors.errors import ActorError
from actors.message import Request
from actors.testing.operation import Operation

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Answer(Protocol[R_co]):
    """What a client waits for: a `Reply`."""

    def result(self, timeout: float | None = None) -> R_co:
        """Wait in plain code."""
        ...

    def __await__(self) -> Generator[Any, None, R_co]:
        """Wait in asyncio code."""
        ...


class Asked(Protocol):
    """What a client asks: an `ActorRef`."""

    def ask(self, msg: Request[R], *, timeout: float | None = None) -> Answer[R]:
        """Send a request."""
        ...


@final
class History:
    """What clients asked and saw, in the order in which it happened. Safe to use from threads.

    Iterating gives the `Operation`s so far, in the order of their invocations; those that were not
    answered (yet), or for whose answer nobody waited, count as lost.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Record with the times of `clock`, seconds of any kind that never go back."""
        self._clock = clock
        self._lock = threading.Lock()
        self._last = -math.inf
        self._operations: list[Operation] = []

    def client(self, name: str, ref: Asked) -> Client:
        """Return a client of an actor, whose asks are recorded under a name."""
        return Client(self, name, ref)

    def invoked(self, client: str, message: Any) -> int:
        """Record that a client asks; return the number of the operation."""
        with self._lock:
            self._operations.append(Operation(client, message, self._now()))
            return len(self._operations) - 1

    def answered(self, number: int, result: Any) -> None:
        """Record the answer of an operation. Only its first end counts."""
        self._returned(number, result=result)

    def failed(self, number: int, error: BaseException) -> None:
        """Record the error that took the place of an answer. Only its first end counts."""
        self._returned(number, error=error)

    def __iter__(self) -> Iterator[Operation]:
        with self._lock:
            return iter(tuple(self._operations))

    def __len__(self) -> int:
        return len(self._operations)

    def _returned(self, number: int, **end: Any) -> None:
        with self._lock:
            operation = self._operations[number]
            if operation.returned_at is None:
                ended = attrs.evolve(operation, returned_at=self._now(), **end)
                self._operations[number] = ended

    def _now(self) -> float:
        # No two moments are the same, so that what happened one after the other at one tick of
        # the clock (virtual time stands still for long) is not taken for overlapping.
        self._last = max(self._clock(), math.nextafter(self._last, math.inf))
        return self._last


@final
class Client:
    """Asks one actor, and records it. A client may have several asks open at a time."""

    def __init__(self, history: History, name: str, ref: Asked) -> None:
        self._history = history
        self._name = name
        self._ref = ref

    def ask(self, msg: Request[R], *, timeout: float | None = None) -> RecordedReply[R]:
        """Ask as `ActorRef.ask` does; what comes back is recorded when it is waited for."""
        number = self._history.invoked(self._name, msg)
        try:
            reply = self._ref.ask(msg, timeout=timeout)
        except BaseException as error:
            self._history.failed(number, error)
            raise
        return RecordedReply(self._history, number, reply)


@final
class RecordedReply(Generic[R_co]):
    """A reply whose end is recorded."""

    def __init__(self, history: History, number: int, reply: Answer[R_co]) -> None:
        self._history = history
        self._number = number
        self._reply = reply

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the answer and return it, or raise the error that took its place."""
        try:
            result = self._reply.result(timeout)
        except BaseException as error:
            self._note(error)
            raise
        self._history.answered(self._number, result)
        return result

    def __await__(self) -> Generator[Any, None, R_co]:
        try:
            result = yield from self._reply.__await__()
        except BaseException as error:
            self._note(error)
            raise
        self._history.answered(self._number, result)
        return result

    def _note(self, error: BaseException) -> None:
        # Any other error ended the waiting, not the ask: it stays without an answer.
        if isinstance(error, ActorError):
            self._history.failed(self._number, error)
