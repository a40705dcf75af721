"""Strategies for values without parts: numbers, text, dates, paths, members of enums.

Each function takes the class and the limits of one value, raises `Impossible` when it can see that
nothing passes, and may draw too much otherwise: `checked` takes out what does not pass.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any, Final, TypeAlias
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from actors.testing.limits import Bound, Impossible, Limits

Strategy: TypeAlias = "st.SearchStrategy[Any]"

SMALLEST_INT: Final = -(2**63)
LARGEST_INT: Final = 2**64 - 1
"""What msgpack can carry."""

_TEXT: Final = st.characters(codec="utf-8")  # no half surrogate pairs
_PART: Final = st.characters(codec="utf-8", exclude_characters="/\0")
_QUARTER: Final = 15  # minutes; offsets from UTC are multiples of it nearly everywhere
_OFFSETS: Final = st.one_of(
    st.just(dt.UTC),
    st.integers(-12 * 4, 14 * 4).map(lambda n: dt.timezone(dt.timedelta(minutes=n * _QUARTER))),
)


def leaf(cls: Any, limits: Limits) -> Strategy:
    """Return a strategy for the values of a class of `actors.schema.LEAVES`."""
    if cls is type(None):
        return one_of_these((None,), limits)
    if cls is bool:
        return one_of_these((False, True), limits)
    sample = _SAMPLES[cls]
    check_class(sample.__class__, limits)
    _check_bounds(sample, limits)
    return sound(_MAKERS[cls](limits))


def one_of_these(values: Iterable[Any], limits: Limits) -> Strategy:
    """Return a strategy for those of a few values that pass."""
    passing = [value for value in values if limits.allows(value)]
    if not passing:
        raise Impossible("none of its values passes")
    return st.sampled_from(passing)


def members(cls: type[enum.Enum], limits: Limits) -> Strategy:
    """Return a strategy for the members of an enumeration, with all unions of flags."""
    if issubclass(cls, enum.Flag):
        check_class(cls, limits)
        combined = st.lists(st.sampled_from(list(cls.__members__.values())), unique=True)
        return combined.map(lambda flags: _union(cls, flags))
    return one_of_these(cls, limits)


def _union(cls: Any, flags: Iterable[enum.Flag]) -> enum.Flag:
    union: Any = cls(0)
    for flag in flags:
        union |= flag
    return union  # type: ignore[no-any-return]  # the class of a Flag is not known statically


def checked(strategy: Strategy, limits: Limits) -> Strategy:
    """Let only through what passes."""
    return strategy.filter(limits.allows) if limits.checks else strategy


def sound(strategy: Strategy) -> Strategy:
    """Return a strategy, after Hypothesis has looked at its arguments."""
    try:
        strategy.validate()
    except InvalidArgument as error:
        raise Impossible(str(error)) from None
    return strategy


def check_class(cls: type, limits: Limits) -> None:
    """Raise Impossible when `isinstance` says no to every value of this class."""
    for wanted in limits.classes:
        if not _is_subclass(cls, wanted, default=True):
            raise Impossible(f"it must be an instance of {_named(wanted)}, not {_named(cls)}")
    for barred in limits.barred:
        if _is_subclass(cls, barred, default=False):
            raise Impossible(f"it must not be an instance of {_named(barred)}")


def lengths(limits: Limits, *, most: int | None = None) -> tuple[int, int | None]:
    """Return the least and the greatest length.

    `most` is how long something is drawn at most where that is not limited further.
    """
    shortest, longest = limits.shortest, limits.longest
    if longest is not None and shortest > longest:
        raise Impossible(f"nothing is at least {shortest} and at most {longest} long")
    if most is not None:
        most = max(most, shortest)
        longest = most if longest is None else min(longest, most)
    return shortest, longest


def ends(limits: Limits) -> tuple[Bound | None, Bound | None]:
    """Return the highest low end and the lowest high end, None where there is none."""
    try:
        low = max(limits.lows, key=lambda end: (end.value, end.open), default=None)
        high = min(limits.highs, key=lambda end: (end.value, not end.open), default=None)
        empty = low and high and not _leaves_room(low, high)
    except TypeError as error:
        raise Impossible(f"its bounds cannot be compared: {error}") from None
    if empty:
        raise Impossible(f"nothing is {_end(low, '>')} and {_end(high, '<')}")
    return low, high


def _leaves_room(low: Bound, high: Bound) -> bool:
    if low.open or high.open:
        return bool(low.value < high.value)
    return bool(low.value <= high.value)


def _end(end: Bound | None, sign: str) -> str:
    return f"{sign}{'' if end is None or end.open else '='} {end.value if end else None!r}"


def _check_bounds(sample: Any, limits: Limits) -> None:
    if isinstance(sample, dt.datetime | dt.time):
        return  # one with a zone cannot be compared with one without: see below
    for bound in limits.lows + limits.highs:
        try:
            _ = sample < bound.value
        except TypeError:
            raise Impossible(f"{_named(type(sample))} has no order with {bound.value!r}") from None


# ---- numbers


def _integers(limits: Limits) -> Strategy:
    low, high = ends(limits)
    least = SMALLEST_INT if low is None else max(SMALLEST_INT, whole(low, upwards=True))
    most = LARGEST_INT if high is None else min(LARGEST_INT, whole(high, upwards=False))
    step = limits.step
    if isinstance(step, int) and step:
        return st.integers(-(-least // step), most // step).map(lambda n: n * step)
    return st.integers(least, most)


def whole(end: Bound, *, upwards: bool) -> int:
    """Return the outermost int within one end of a range."""
    inwards: Any = math.ceil if upwards else math.floor
    try:
        nearest = int(inwards(end.value))
    except OverflowError:  # infinity
        return LARGEST_INT + 1 if end.value > 0 else SMALLEST_INT - 1
    except ValueError:
        raise Impossible("nothing compares with NaN") from None
    if end.open and nearest == end.value:
        return nearest + (1 if upwards else -1)
    return nearest


def _floats(limits: Limits) -> Strategy:
    low, high = ends(limits)
    step = limits.step
    if step:  # a rounded product may be no multiple any more: the check decides
        least, most = (None if end is None else float(end.value) / step for end in (low, high))
        return st.floats(least, most, allow_nan=False, allow_infinity=False).map(
            lambda quotient: float(math.floor(quotient) * step)
        )
    return st.floats(
        None if low is None else real(low),
        None if high is None else real(high),
        exclude_min=low is not None and low.open,
        exclude_max=high is not None and high.open,
        allow_nan=not limits.lows and not limits.highs,
    )


def real(end: Bound) -> float:
    """Return one end of a range as a float."""
    try:
        return float(end.value)
    except OverflowError:
        return math.inf if end.value > 0 else -math.inf


def _decimals(limits: Limits) -> Strategy:
    low, high = ends(limits)
    free = low is None and high is None
    strategy = st.decimals(
        None if low is None else low.value, None if high is None else high.value, allow_nan=free
    )
    # A signalling NaN raises wherever it is compared: with the bounds, in a set, by its receiver.
    return strategy.filter(lambda number: not number.is_snan())


# ---- text


def _text(limits: Limits) -> Strategy:
    return st.text(_TEXT, **_sizes(limits)) if not limits.patterns else _matching(limits)


def _bytes(limits: Limits) -> Strategy:
    return st.binary(**_sizes(limits)) if not limits.patterns else _matching(limits)


def _matching(limits: Limits) -> Strategy:
    """Draw from the first pattern; the checks know the others."""
    shortest, longest = lengths(limits)
    pattern, how = limits.patterns[0]
    draw: Any = st.from_regex  # for text or for bytes, as the pattern is
    # What matches wholly also matches at the start; "match" cannot be told to Hypothesis.
    strategy: Strategy = draw(pattern, fullmatch=how != "search")

    def has_length(text: str | bytes) -> bool:
        return shortest <= len(text) and (longest is None or len(text) <= longest)

    return strategy.filter(has_length) if shortest or longest is not None else strategy


def _sizes(limits: Limits) -> dict[str, Any]:
    shortest, longest = lengths(limits)
    return {"min_size": shortest, "max_size": longest}


def _paths(limits: Limits) -> Strategy:
    del limits  # paths are neither ordered by value nor sized
    parts = st.lists(st.text(_PART, min_size=1, max_size=20), max_size=4).map("/".join)
    return st.one_of(parts, parts.map("/".__add__)).map(Path)


# ---- time

_FIRST: Final = dt.datetime.min  # noqa: DTZ901 - Hypothesis takes bounds without a zone
_LAST: Final = dt.datetime.max  # noqa: DTZ901


def _datetimes(limits: Limits) -> Strategy:
    low, high = ends(limits)
    bounds = [end.value for end in (low, high) if end is not None]
    if not bounds:
        return st.datetimes(timezones=st.none() | _OFFSETS)
    if bounds[0].tzinfo is None:
        return st.datetimes(*_range(low, high, _FIRST, _LAST))
    return st.datetimes(
        _FIRST if low is None else low.value.astimezone(dt.UTC).replace(tzinfo=None),
        _LAST if high is None else high.value.astimezone(dt.UTC).replace(tzinfo=None),
        timezones=st.just(dt.UTC),
    )


def _times(limits: Limits) -> Strategy:
    low, high = ends(limits)
    bounds = [end.value for end in (low, high) if end is not None]
    if not bounds:
        return st.times(timezones=st.none() | _OFFSETS)
    if bounds[0].tzinfo is None:
        return st.times(*_range(low, high, dt.time.min, dt.time.max))
    return st.times(timezones=st.just(bounds[0].tzinfo))


def _dates(limits: Limits) -> Strategy:
    return st.dates(*_range(*ends(limits), dt.date.min, dt.date.max))


def _timedeltas(limits: Limits) -> Strategy:
    return st.timedeltas(*_range(*ends(limits), dt.timedelta.min, dt.timedelta.max))


def _range(low: Bound | None, high: Bound | None, least: Any, most: Any) -> tuple[Any, Any]:
    return (least if low is None else low.value, most if high is None else high.value)


_MAKERS: Final[Mapping[type, Callable[[Limits], Strategy]]] = {
    int: _integers,
    float: _floats,
    complex: lambda _limits: st.complex_numbers(),
    Decimal: _decimals,
    str: _text,
    bytes: _bytes,
    bytearray: lambda limits: _bytes(limits).map(bytearray),
    UUID: lambda _limits: st.uuids(),
    dt.date: _dates,
    dt.datetime: _datetimes,
    dt.time: _times,
    dt.timedelta: _timedeltas,
    Path: _paths,
    PurePath: lambda limits: _paths(limits).map(PurePath),
}

_SAMPLES: Final[Mapping[type, Any]] = {
    UUID: UUID(int=0),
    dt.date: dt.date.min,
    dt.datetime: _FIRST,
} | {cls: cls() for cls in _MAKERS if cls not in {UUID, dt.date, dt.datetime}}  # fmt: skip


def _is_subclass(cls: type, wanted: Any, *, default: bool) -> bool:
    try:
        return issubclass(cls, wanted)
    except TypeError:  # a Protocol with data: only objects can be asked
        return default


def _named(classes: Any) -> str:
    if classes.__class__ is tuple:
        return " or ".join(map(_named, classes)) or "nothing"
    return str(getattr(classes, "__qualname__", classes))
