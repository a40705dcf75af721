"""Is there an order, one thing after the other, that explains what all clients saw?

    what clients saw    what an ordinary sequential class does
           │                         │
        linearizable(history, Specification)  ──▶  yes, with an order
                                                   no, with the longest order and what is stuck
                                                   unknown: more states than were allowed

The search is Wing and Gong's with Lowe's memory. Operations are put in order one at a time, each
time one that was invoked before the first return of those that are left; a set of operations done,
with the state it led to, is tried once. An operation that was not answered may stand anywhere
after its invocation, or nowhere. Operations that cannot touch each other are split by `key`, which
is what makes long histories cheap.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from typing import Any, Final, final

import attrs

from actors.testing.operation import Fate, Operation, clipped, shown
from actors.testing.specification import Sequential
from actors.testing.timeline import WIDTH, Stuck, explained

MOST_STATES: Final = 500_000
"""Configurations that are tried at most, unless the caller says otherwise."""


class Outcome(Enum):
    """What is known of a history."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNKNOWN = "unknown"  # the search was given up


@final
@attrs.frozen(eq=False)
class Verdict:
    """What was found out about a history. True in a condition only when it is linearizable.

    `str(verdict)` explains it. With a `key`, it is about the first part that is not linearizable,
    else the first that is unknown, else about all.
    """

    outcome: Outcome
    order: tuple[Operation, ...]  # a legal order; the longest one found where there is no whole one
    stuck: tuple[Stuck, ...]  # what could have come next, and why it did not fit
    operations: tuple[Operation, ...]  # that it is about
    states: int  # configurations that were tried
    key: Hashable = None  # of the part that it is about; None: of all

    def __bool__(self) -> bool:
        return self.outcome is Outcome.LINEARIZABLE

    def require(self) -> None:
        """Raise AssertionError, with the whole explanation, unless the history is linearizable."""
        if not self:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        part = "" if self.key is None else f" of key {shown(self.key)}"
        size = f"{len(self.operations)} operations{part}, {self.states} states tried"
        headline = clipped(f"{self.outcome.value}: {size}", WIDTH)
        if self.outcome is Outcome.NOT_LINEARIZABLE:
            return f"{headline}\n{explained(self.operations, self.order, self.stuck)}"
        if self.outcome is Outcome.UNKNOWN:
            return f"{headline}. Raise max_states, or split the history with key=."
        return headline

    def __repr__(self) -> str:
        return f"<Verdict {clipped(str(self).partition(chr(10))[0], WIDTH - 10)}>"


def linearizable(
    history: Iterable[Operation],
    specification: Callable[[], Any],
    *,
    key: Callable[[Any], Hashable] | None = None,
    max_states: int = MOST_STATES,
) -> Verdict:
    """Look for an order of the operations that the specification answers as the clients saw it.

    An operation counts between its invocation and its return. One whose reply was lost, or that
    ended with an error that leaves its outcome unknown, may have taken effect at any time since,
    or not at all; one that ended with an error such as NotDelivered did not. Where a handler
    raised, the specification must raise an exception of the same class name.

    Args:
        history: the operations, in any order; a `History` is one.
        specification: a class, or a function without arguments, that makes the initial state: an
            `Actor` whose handlers are plain `def`, or any class with `handlers`, a mapping from
            message class to method. Its state must be plain data.
        key: from a message to what it touches. Messages with different keys must not see each
            other's effects; each key gets a specification of its own.
        max_states: configurations to try, after which the verdict is unknown, never wrong.

    Raises:
        TypeError: the specification has no plain handler for a message, or its state cannot be
            copied.
    """
    parts: dict[Hashable, list[Operation]] = {}
    for operation in history:
        part = None if key is None else key(operation.message)
        parts.setdefault(part, []).append(operation)
    verdicts: list[Verdict] = []
    for part, operations in parts.items():
        left = max_states - sum(verdict.states for verdict in verdicts)
        verdict = _judged(operations, specification, left)
        verdict = attrs.evolve(verdict, key=None if key is None else part)
        if verdict.outcome is Outcome.NOT_LINEARIZABLE:
            return verdict
        verdicts.append(verdict)
    unknown = [verdict for verdict in verdicts if not verdict]
    return unknown[0] if unknown else _joined(verdicts)


def _joined(verdicts: Sequence[Verdict]) -> Verdict:
    return Verdict(
        Outcome.LINEARIZABLE,
        order=tuple(one for verdict in verdicts for one in verdict.order),
        stuck=(),
        operations=tuple(one for verdict in verdicts for one in verdict.operations),
        states=sum(verdict.states for verdict in verdicts),
    )


def _judged(
    operations: Sequence[Operation], specification: Callable[[], Any], max_states: int
) -> Verdict:
    counted = [one for one in operations if one.fate is not Fate.NEVER]
    search = _Search(counted, Sequential(specification), max_states)
    outcome = search.run()
    order = search.order if outcome is Outcome.LINEARIZABLE else search.longest
    stuck = search.stuck() if outcome is Outcome.NOT_LINEARIZABLE else []
    return Verdict(
        outcome,
        order=tuple(counted[index] for index in order),
        stuck=tuple(stuck),
        operations=tuple(operations),
        states=search.states,
    )


class _Search:
    """A walk, depth first, over orders of operations.

    What is left is a ring of events in the order of time: event 2i is the invocation of operation
    i, event 2i + 1 its return; the ring begins and ends at `_end`. Before the first return in it
    stand exactly the operations that may be next. An operation that is put in order is taken out
    of the ring, and put back when that led nowhere.
    """

    def __init__(self, operations: Sequence[Operation], model: Sequential, max_states: int) -> None:
        self._operations = operations
        self._model = model
        self._max_states = max_states
        self._answered = [one.fate is Fate.ANSWERED for one in operations]
        self._end = 2 * len(operations)
        self._next = [0] * (self._end + 1)
        self._previous = [0] * (self._end + 1)
        self._link(self._events())
        self._seen: set[tuple[int, int]] = set()  # operations done, as bits; state
        self._left = sum(self._answered)  # answered operations that are not in order yet
        self.order: list[int] = []
        self.longest: list[int] = []

    @property
    def states(self) -> int:
        """How many configurations were tried."""
        return len(self._seen)

    def run(self) -> Outcome:
        """Walk until all answered operations are in order, or there is nothing left to try."""
        before: list[int] = []  # state before each operation of the order
        state = done = 0
        event = self._next[self._end]
        while self._left:
            if event < self._end and event % 2 == 0:  # an invocation
                index = event // 2
                reached = self._step(state, index)
                entry = (done | 1 << index, reached)
                if reached is None or entry in self._seen:
                    event = self._next[event]
                    continue
                if self.states >= self._max_states:
                    self._note()
                    return Outcome.UNKNOWN
                self._seen.add((done | 1 << index, reached))
                before.append(state)
                self._put(index)
                state, done, event = reached, done | 1 << index, self._next[self._end]
            else:  # a return, or the end: no other operation may be next
                self._note()
                if not self.order:
                    return Outcome.NOT_LINEARIZABLE
                index = self._take_back()
                state, done, event = before.pop(), done ^ 1 << index, self._next[2 * index]
        return Outcome.LINEARIZABLE

    def stuck(self) -> list[Stuck]:
        """Return what could have followed the longest order, and what the specification says."""
        state = 0
        for index in self.longest:
            state = self._model.step(state, self._operations[index].message)[1]
        done = set(self.longest)
        stuck: list[Stuck] = []
        for event in self._events():
            index = event // 2
            if index in done:
                continue
            if event % 2:
                break
            if self._answered[index]:
                operation = self._operations[index]
                answer, _ = self._model.step(state, operation.message)
                stuck.append(Stuck(operation, str(answer)))
        return stuck

    def _step(self, state: int, index: int) -> int | None:
        """Return the state after an operation, None when it may not stand here."""
        operation = self._operations[index]
        answer, reached = self._model.step(state, operation.message)
        if self._answered[index]:
            return reached if answer.explains(operation) else None
        # Without effect, an operation that may as well be left out is left out.
        return reached if reached != state else None

    # ---- the ring

    def _events(self) -> list[int]:
        """Return all events in the order of time; what happens at one time overlaps."""
        moments = [(one.invoked_at, 0, 2 * n) for n, one in enumerate(self._operations)]
        for n, one in enumerate(self._operations):
            if self._answered[n] and one.returned_at is not None:
                moments.append((one.returned_at, 1, 2 * n + 1))
        return [event for _, _, event in sorted(moments)]

    def _link(self, events: Sequence[int]) -> None:
        ring = [self._end, *events, self._end]
        for one, following in itertools.pairwise(ring):
            self._next[one], self._previous[following] = following, one

    def _put(self, index: int) -> None:
        """Put an operation next in order, and take it out of the ring."""
        for event in self._events_of(index):
            before, after = self._previous[event], self._next[event]
            self._next[before], self._previous[after] = after, before
        self.order.append(index)
        self._left -= self._answered[index]

    def _take_back(self) -> int:
        """Take the last operation out of the order, and put it back into the ring."""
        index = self.order.pop()
        for event in reversed(self._events_of(index)):
            before, after = self._previous[event], self._next[event]
            self._next[before] = self._previous[after] = event
        self._left += self._answered[index]
        return index

    def _events_of(self, index: int) -> tuple[int, ...]:
        return (2 * index, 2 * index + 1) if self._answered[index] else (2 * index,)

    def _note(self) -> None:
        """Remember the longest order."""
        if len(self.order) > len(self.longest):
            self.longest = list(self.order)
