"""What is demanded of one value, in the form that drawing needs.

    AllOf(IsA(int), AnyOf(OneOf([1, 2]), Order(">=", 10)))
        ──▶  two alternatives:   Limits(classes=(int,), options=([1, 2],), checks=...)
                                 Limits(classes=(int,), lows=(Bound(10),), checks=...)

A value is allowed when one of the alternatives allows it. Demands are kept twice: what they say
outright (bounds, lengths, options, patterns, classes) steers the drawing, and `checks`, which run
the validators themselves, decide. So a demand that is only half used costs speed, never truth.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sized
from functools import partial
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from actors.testing.validators import (
    OPPOSITE,
    AllOf,
    AnyOf,
    Demand,
    Entries,
    Fails,
    IsA,
    Length,
    Matches,
    Members,
    OneOf,
    Opaque,
    Order,
    opaque_in,
    passes,
)

Check: TypeAlias = Callable[[Any], bool]


class Impossible(Exception):  # noqa: N818 - the name says what is wrong
    """No value passes. The text says why; whoever knows class and field adds them."""


class Endless(Impossible):
    """A value would have to contain another of its kind, without end."""


@attrs.frozen
class Bound:
    """One end of a range."""

    value: Any
    open: bool = False  # whether the value itself is outside


@attrs.frozen
class Limits:
    """What one value must be, all of it at once; what is left out is not limited."""

    lows: tuple[Bound, ...] = ()
    highs: tuple[Bound, ...] = ()
    step: Any = None  # a number of which it is a multiple
    shortest: int = 0  # of len(value)
    longest: int | None = None
    options: tuple[Any, ...] = ()  # it is in each of these containers
    patterns: tuple[tuple[Any, str], ...] = ()  # compiled; "match", "search" or "fullmatch"
    classes: tuple[Any, ...] = ()  # second arguments of isinstance that hold ...
    barred: tuple[Any, ...] = ()  # ... and that do not
    items: tuple[Limits, ...] | None = None  # alternatives for each part of it
    keys: tuple[Limits, ...] | None = None  # alternatives for each key of it
    values: tuple[Limits, ...] | None = None  # alternatives for each value behind a key
    checks: tuple[Check, ...] = ()  # what decides

    def allows(self, value: Any) -> bool:
        """Tell whether a value passes all that could be read."""
        return all(check(value) for check in self.checks)

    @property
    def of_keys(self) -> tuple[Limits, ...]:
        """Alternatives for each key of a dict, which are also what it iterates over."""
        return _either(self.items, self.keys) or ANYTHING

    def and_also(self, other: Limits) -> Limits:
        """Return the limits that demand both."""
        longest = [one.longest for one in (self, other) if one.longest is not None]
        return Limits(
            lows=self.lows + other.lows,
            highs=self.highs + other.highs,
            step=other.step if self.step is None else self.step,
            shortest=max(self.shortest, other.shortest),
            longest=min(longest) if longest else None,
            options=self.options + other.options,
            patterns=self.patterns + other.patterns,
            classes=self.classes + other.classes,
            barred=self.barred + other.barred,
            items=_either(self.items, other.items),
            keys=_either(self.keys, other.keys),
            values=_either(self.values, other.values),
            checks=self.checks + other.checks,
        )


Alternatives: TypeAlias = tuple[Limits, ...]

ANYTHING: Final[Alternatives] = (Limits(),)


def limits_of(demand: Demand) -> Alternatives:
    """Return the alternatives that a demand leaves."""
    match demand:
        case AllOf(parts):
            return _all_of(map(limits_of, parts))
        case AnyOf(parts):
            return tuple(itertools.chain.from_iterable(map(limits_of, parts)))
        case Opaque():
            return ANYTHING
        case Fails(validator, part):
            found = _opposite_of(part)
        case Members(validator, member, whole):
            found = _both(limits_of(whole), (Limits(items=limits_of(member)),))
        case Entries(validator, key, value, whole):
            entries = Limits(keys=limits_of(key), values=limits_of(value))
            found = _both(limits_of(whole), (entries,))
        case _:
            validator, found = demand.validator, (_simple(demand),)
    if opaque_in(demand):
        return found
    return _both(found, (Limits(checks=(partial(passes, validator),)),))


def limits_of_meta(meta: msgspec.Meta) -> Limits:
    """Return what `Annotated[int, msgspec.Meta(...)]` demands, without a check."""
    lows = [Bound(meta.ge), Bound(meta.gt, open=True)]
    highs = [Bound(meta.le), Bound(meta.lt, open=True)]
    return Limits(
        lows=tuple(bound for bound in lows if bound.value is not None),
        highs=tuple(bound for bound in highs if bound.value is not None),
        step=meta.multiple_of,
        shortest=meta.min_length or 0,
        longest=meta.max_length,
        patterns=() if meta.pattern is None else ((re.compile(meta.pattern), "search"),),
    )


def _simple(demand: Order | OneOf | Length | Matches | IsA) -> Limits:
    match demand:
        case Order(_, operator, bound):
            end = Bound(bound, open="=" not in operator)
            return Limits(lows=(end,)) if ">" in operator else Limits(highs=(end,))
        case OneOf(_, options):
            return Limits(options=(options,))
        case Length(_, least, most):
            return Limits(shortest=least, longest=most, classes=(Sized,))
        case Matches(_, pattern, how):
            text: Any = str if isinstance(pattern.pattern, str) else (bytes, bytearray)
            return Limits(patterns=((pattern, how),), classes=(text,))
        case IsA(_, classes):
            return Limits(classes=(classes,))


def _opposite_of(demand: Demand) -> Alternatives:
    """Return what it says that a demand fails; where that is nothing, the check decides."""
    match demand:
        case Fails(_, part):
            return limits_of(part)
        case AllOf(parts):
            return tuple(itertools.chain.from_iterable(map(_opposite_of, parts)))
        case AnyOf(parts):
            return _all_of(map(_opposite_of, parts))
        case Order(validator, operator, bound):
            return (_simple(Order(validator, OPPOSITE[operator], bound)),)
        case Length(validator, least, None):
            return (_simple(Length(validator, most=least - 1)),)
        case Length(validator, _, int(most)):
            return (_simple(Length(validator, least=most + 1)),)
        case IsA(_, classes):
            return (Limits(barred=(classes,)),)
        case _:
            return ANYTHING


def _both(one: Alternatives, other: Alternatives) -> Alternatives:
    return tuple(a.and_also(b) for a, b in itertools.product(one, other))


def _either(one: Alternatives | None, other: Alternatives | None) -> Alternatives | None:
    """Return what both leave, where None leaves everything."""
    if one is None or other is None:
        return other if one is None else one
    return _both(one, other)


def _all_of(demands: Iterable[Alternatives]) -> Alternatives:
    alternatives = ANYTHING
    for demand in demands:
        alternatives = _both(alternatives, demand)
    return alternatives
