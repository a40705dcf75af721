"""Schedules: what goes wrong in one run of a simulation, as plain data.

    ()                                          everything arrives, in order, and nobody dies
    (Drop(at=3),)                               the third message of the run is lost
    (Crash("bank", at=Deposit, nth=2),)         power cut when the bank's second Deposit is handled
    (Delay(at=Write, seconds=10.0, answer=True), BrokerRestart(at=9))

A schedule is a short list of deviations from in-order delivery, so it shrinks, prints, and pastes
into a test.  Each deviation says where it happens: `at` is the number of a message (counted from
1, in the order of arrival; see `Run.chart`), or a message class, of which the `nth` is hit;
`answer=True` means the answer to it instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, final, get_args

import attrs
from hypothesis import strategies as st

from actors.message import class_of, is_message, tag_of

Moment: TypeAlias = Literal["before", "after", "lost"]
"""When a crash happens.

    before   the message is not handled by this life
    after    the actor has done what it can with it, and what it sends has left
    lost     the same, but nothing that it then sends has left
"""

DELAYS: Final = (0.1, 10.0)
"""Seconds that the search tries."""

HANG: Final = 5.0
PARTITION: Final = 5.0


class Passing(NamedTuple):
    """A message that is about to arrive, as far as a deviation may look at it."""

    number: int
    source: str
    target: str
    mortal: bool
    """The target is an actor: it can crash or hang."""
    contents: tuple[tuple[str, bool], ...]
    """Of each envelope: the tag of its class (an answer has that of its request), is an answer."""


class Place(NamedTuple):
    """A message, as far as the search for faults looks at it."""

    number: int
    mortal: bool


def _place(_owner: object, _field: object, at: int | type[Any]) -> None:
    if isinstance(at, int) and not isinstance(at, bool):
        if at < 1:
            raise ValueError(f"at={at}: messages are numbered from 1")
    elif not (isinstance(at, type) and is_message(at)):
        raise TypeError(f"at={at!r}: give the number of a message in the run, or a message class")


def _positive(_owner: object, field: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        raise ValueError(f"{field.name}={value!r} must be above 0")


def _moment(_owner: object, _field: object, when: object) -> None:
    if when not in get_args(Moment):
        raise ValueError(f"when={when!r}: a crash happens 'before', 'after' or 'lost'")


@attrs.frozen(kw_only=True, repr=False)
class _Deviation:
    """Where something goes wrong."""

    at: int | type[Any] = attrs.field(validator=_place)
    """The number of a message, or a message class."""
    nth: int = attrs.field(default=1, validator=_positive)
    """Which of them, when `at` is a class."""
    answer: bool = False
    """The answer to it, when `at` is a class."""

    @property
    def receiver(self) -> str | None:
        """Only messages to this party count, when `at` is a class."""
        return None

    def matches(self, passing: Passing) -> bool:
        """Whether this is one of the messages that `at` means (`nth` says which of them)."""
        if isinstance(self.at, int):
            return passing.number == self.at
        if self.receiver not in (None, passing.target):
            return False
        return (tag_of(self.at), self.answer) in passing.contents

    def __repr__(self) -> str:
        first: list[str] = []
        rest: list[str] = []
        for field in attrs.fields(type(self)):
            value: object = getattr(self, field.name)
            if value != field.default:
                text = value.__name__ if isinstance(value, type) else repr(value)
                if field.kw_only:
                    rest.append(f"{field.name}={text}")
                else:
                    first.append(text)
        return f"{type(self).__name__}({', '.join(first + rest)})"


@final
@attrs.frozen(repr=False)
class Drop(_Deviation):
    """The message is lost on its way."""

    to: str | None = attrs.field(default=None, kw_only=True)
    """Its receiver, when `at` is a class."""

    @property
    def receiver(self) -> str | None:
        """The receiver of the messages that count."""
        return self.to


@final
@attrs.frozen(repr=False)
class Delay(_Deviation):
    """The message, and all behind it from the same sender, arrive later."""

    seconds: float = attrs.field(default=1.0, kw_only=True, validator=_positive)
    to: str | None = attrs.field(default=None, kw_only=True)

    @property
    def receiver(self) -> str | None:
        """The receiver of the messages that count."""
        return self.to


@final
@attrs.frozen(repr=False)
class Crash(_Deviation):
    """A power cut: the actor's process ends, no `finally` runs, its supervisor restarts it."""

    actor: str | None = None
    """Which; by default the receiver of the message."""
    when: Moment = attrs.field(default="after", kw_only=True, validator=_moment)

    @property
    def receiver(self) -> str | None:
        """The receiver of the messages that count."""
        return self.actor


@final
@attrs.frozen(repr=False)
class Hang(_Deviation):
    """The actor's process stands still (SIGSTOP) when the message arrives, then goes on."""

    actor: str | None = None
    """Which; by default the receiver of the message."""
    seconds: float = attrs.field(default=HANG, kw_only=True, validator=_positive)

    @property
    def receiver(self) -> str | None:
        """The receiver of the messages that count."""
        return self.actor


@final
@attrs.frozen(repr=False)
class Partition(_Deviation):
    """Nothing passes between two parties for a while, this message included."""

    one: str | None = None
    other: str | None = None
    """By default the sender and the receiver of the message."""
    seconds: float = attrs.field(default=PARTITION, kw_only=True, validator=_positive)


@final
@attrs.frozen(repr=False)
class BrokerRestart(_Deviation):
    """The broker dies with all that is on its way, and is back in a moment."""


@final
@attrs.frozen(repr=False)
class SupervisorCrash(_Deviation):
    """The supervisor dies, and the whole system with it: every call raises `ConnectionLost`."""


Deviation: TypeAlias = Drop | Delay | Crash | Hang | Partition | BrokerRestart | SupervisorCrash
Schedule: TypeAlias = tuple[Deviation, ...]

KINDS: Final[tuple[type[Deviation], ...]] = (Crash, Drop, Delay, Hang, Partition, BrokerRestart)
"""What the search tries when nobody says otherwise: everything a system shall survive."""

_MORTAL: Final = (Crash, Hang)

_ALL: Final = (*KINDS, SupervisorCrash)


def checked_schedule(schedule: object) -> Schedule:
    """Return a schedule that a user has given; raise `TypeError` when it is none."""
    if isinstance(schedule, _ALL):
        raise TypeError(f"a schedule is a sequence of deviations: write [{schedule!r}]")
    found = tuple(cast("Iterable[Any]", schedule))
    for one in found:
        if not isinstance(one, _ALL):
            known = ", ".join(kind.__name__ for kind in _ALL)
            raise TypeError(f"{one!r} is no deviation: a schedule consists of {known}")
    return found


def checked_kinds(kinds: object) -> tuple[type[Deviation], ...]:
    """Return kinds of deviations that a user has given; raise `TypeError` for anything else."""
    if isinstance(kinds, type):
        raise TypeError(f"kinds= takes a sequence of classes: write [{kinds.__name__}]")
    found = tuple(cast("Iterable[Any]", kinds))
    for one in found:
        if one not in _ALL:
            known = ", ".join(kind.__name__ for kind in _ALL)
            raise TypeError(f"{one!r} is no kind of deviation: there are {known}")
    return found


def deviations_at(at: int, kinds: Iterable[type[Deviation]]) -> Iterator[Deviation]:
    """Return everything the search tries at one message."""
    for kind in kinds:
        if kind is Crash:
            for when in ("lost", "after", "before"):
                yield Crash(at=at, when=when)
        elif kind is Delay:
            for seconds in DELAYS:
                yield Delay(at=at, seconds=seconds)
        else:
            yield kind(at=at)


def single_faults(run: Sequence[Place], kinds: Sequence[type[Deviation]]) -> list[Deviation]:
    """Return every single deviation that can happen to a run which went so without any."""
    return [
        deviation
        for kind in kinds
        for place in run
        for deviation in deviations_at(place.number, [kind])
        if place.mortal or kind not in _MORTAL
    ]


def schedules(
    kinds: Iterable[type[Deviation]] = KINDS,
    *,
    max_faults: int = 2,
    min_faults: int = 0,
    positions: int = 30,
) -> st.SearchStrategy[Schedule]:
    """Return a Hypothesis strategy of schedules.

    `positions` is the highest message number that is hit; a number beyond the end of a run hits
    nothing, which is fine.
    """
    places = st.integers(1, max(1, positions))
    tried = list(deviations_at(1, tuple(kinds)))
    one = st.builds(_moved, st.sampled_from(tried), places)
    return st.lists(one, min_size=min_faults, max_size=max_faults).map(_as_schedule)


def _moved(deviation: Deviation, at: int) -> Deviation:
    return attrs.evolve(deviation, at=at)


def _as_schedule(deviations: list[Deviation]) -> Schedule:
    return tuple(deviations)


def named(deviation: Deviation, hit: Passing, nth: int) -> Deviation:
    """Return the same deviation by the name of what it hit, `nth` of its kind, not by number."""
    if not hit.contents:
        return deviation
    tag, answer = hit.contents[0]
    place: dict[str, Any] = {"at": class_of(tag), "nth": nth, "answer": answer}
    match deviation:
        case Drop() | Delay():
            return attrs.evolve(deviation, to=hit.target, **place)
        case Crash() | Hang():
            return attrs.evolve(deviation, actor=deviation.actor or hit.target, **place)
        case Partition():
            one, other = deviation.one or hit.source, deviation.other or hit.target
            return attrs.evolve(deviation, one=one, other=other, **place)
        case BrokerRestart() | SupervisorCrash():
            return attrs.evolve(deviation, **place)
