"""What attrs validators and msgspec limits demand of a value, as plain data.

    [instance_of(int), or_(in_([1, 2]), ge(10))]
        ──▶  two alternatives:   Limits(classes=(int,), options=((1, 2),))
                                 Limits(classes=(int,), lows=(Bound(10),))

A value is allowed when one of the alternatives allows it. Demands are kept twice: what they say
outright (bounds, lengths, options, patterns, classes) steers the drawing, and `checks`, the
validators themselves, decide. So a demand that is only half understood costs speed, never truth.

attrs keeps the classes of its validators private. They are reached through the public functions
that make them, and read by attributes that the tests pin. A validator that does not look like
that is *opaque*: only the class's own `__init__` can run it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sized
from typing import Any, Final, TypeAlias

import attrs
import msgspec
from attrs import validators

_AND: Final[Any] = type(validators.and_())
_OR: Final[Any] = type(validators.or_())
_NOT: Final[Any] = type(validators.not_(validators.ge(0)))
_OPTIONAL: Final[Any] = type(validators.optional(validators.ge(0)))
_NUMBER: Final[Any] = type(validators.ge(0))
_IN: Final[Any] = type(validators.in_(()))
_MIN_LEN: Final[Any] = type(validators.min_len(0))
_MAX_LEN: Final[Any] = type(validators.max_len(0))
_MATCHES_RE: Final[Any] = type(validators.matches_re(""))
_INSTANCE_OF: Final[Any] = type(validators.instance_of(int))
_DEEP_ITERABLE: Final[Any] = type(validators.deep_iterable(validators.ge(0)))
_DEEP_MAPPING: Final[Any] = type(validators.deep_mapping(validators.ge(0), validators.ge(0)))

_OPPOSITE: Final = {">=": "<", ">": "<=", "<=": ">", "<": ">="}

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
        return _both(self.items, self.keys) or ANYTHING

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
            items=_both(self.items, other.items),
            keys=_both(self.keys, other.keys),
            values=_both(self.values, other.values),
            checks=self.checks + other.checks,
        )


Alternatives: TypeAlias = tuple[Limits, ...]

ANYTHING: Final[Alternatives] = (Limits(),)


def both(one: Alternatives, other: Alternatives) -> Alternatives:
    """Return the alternatives that are left when both are demanded."""
    return tuple(a.and_also(b) for a, b in itertools.product(one, other))


def _both(one: Alternatives | None, other: Alternatives | None) -> Alternatives | None:
    if one is None or other is None:
        return other if one is None else one
    return both(one, other)


def limits_of(validator: Any) -> Alternatives:
    """Return what a field's validator, or None for none, demands."""
    match validator:
        case None:
            return ANYTHING
        case _AND(_validators=parts):
            return _all_of(map(limits_of, parts))
        case _OR(validators=parts):
            return tuple(itertools.chain.from_iterable(map(limits_of, parts)))
        case _OPTIONAL(validator=inner):
            return (_ONLY_NONE, *limits_of(inner))
        case _NOT(validator=inner):
            found = ANYTHING if opaque_in(inner) else _opposite_of(inner)
        case _DEEP_ITERABLE(member_validator=member, iterable_validator=whole):
            found = both(limits_of(whole), (Limits(items=limits_of(member)),))
        case _DEEP_MAPPING(key_validator=key, value_validator=value, mapping_validator=whole):
            parts = Limits(keys=limits_of(key), values=limits_of(value))
            found = both(limits_of(whole), (parts,))
        case _:
            found = (_single(validator) or Limits(),)
    return found if opaque_in(validator) else both(found, (Limits(checks=(_check(validator),)),))


def opaque_in(validator: Any) -> tuple[Any, ...]:
    """Return the parts of a validator that only the class itself can run."""
    inner: Iterable[Any]
    match validator:
        case None:
            return ()
        case _AND(_validators=parts) | _OR(validators=parts):
            inner = parts
        case _NOT(validator=part) | _OPTIONAL(validator=part):
            inner = (part,)
        case _DEEP_ITERABLE(member_validator=member, iterable_validator=whole):
            inner = (member, whole)
        case _DEEP_MAPPING(key_validator=key, value_validator=value, mapping_validator=whole):
            inner = (key, value, whole)
        case _:
            return () if _single(validator) is not None else (validator,)
    return tuple(opaque for part in inner for opaque in opaque_in(part))


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


_ONLY_NONE: Final = Limits(classes=(type(None),), checks=(lambda value: value is None,))


def _single(validator: Any) -> Limits | None:
    """Read a validator without parts. None: it is opaque."""
    match validator:
        case _NUMBER(bound=bound, compare_op=operator) if operator in _OPPOSITE:
            return _range(operator, bound)
        case _IN(options=options):
            listed = getattr(validator, "_original_options", options)
            if isinstance(listed, set | frozenset):  # whose order changes from run to run
                options = sorted(listed, key=repr)
            return Limits(options=(options,))
        case _MIN_LEN(min_length=length):
            return Limits(shortest=length, classes=(Sized,))
        case _MAX_LEN(max_length=length):
            return Limits(longest=length, classes=(Sized,))
        case _MATCHES_RE(pattern=re.Pattern() as pattern, match_func=function):
            text: Any = str if isinstance(pattern.pattern, str) else (bytes, bytearray)
            return Limits(patterns=((pattern, function.__name__),), classes=(text,))
        case _INSTANCE_OF(type=classes):
            return Limits(classes=(classes,))
        case _:
            return None


def _opposite_of(validator: Any) -> Alternatives:
    """Return what the failing of a validator says; where that is nothing, the check decides."""
    match validator:
        case _NOT(validator=inner):
            return limits_of(inner)
        case _AND(_validators=parts):
            return tuple(itertools.chain.from_iterable(map(_opposite_of, parts)))
        case _OR(validators=parts):
            return _all_of(map(_opposite_of, parts))
        case _OPTIONAL(validator=inner):
            return _opposite_of(inner)
        case _NUMBER(bound=bound, compare_op=operator):
            return (_range(_OPPOSITE[operator], bound),)
        case _MIN_LEN(min_length=length):
            return (Limits(longest=length - 1, classes=(Sized,)),)
        case _MAX_LEN(max_length=length):
            return (Limits(shortest=length + 1, classes=(Sized,)),)
        case _INSTANCE_OF(type=classes):
            return (Limits(barred=(classes,)),)
        case _:
            return ANYTHING


def _range(operator: str, bound: Any) -> Limits:
    end = Bound(bound, open="=" not in operator)
    return Limits(lows=(end,)) if ">" in operator else Limits(highs=(end,))


def _all_of(demands: Iterable[Alternatives]) -> Alternatives:
    alternatives = ANYTHING
    for demand in demands:
        alternatives = both(alternatives, demand)
    return alternatives


@attrs.frozen
class _Standing:
    """Holds the attribute that validators are called with outside a class; they show its name."""

    value: Any


_ATTRIBUTE: Final[Any] = attrs.fields(_Standing).value


def _check(validator: Any) -> Check:
    """Make a predicate of a validator that is not opaque, so does not look at its object."""

    def passes(value: Any) -> bool:
        try:
            validator(None, _ATTRIBUTE, value)
        except Exception:  # noqa: BLE001 - or_ and not_ take every error for a no, so here too
            return False
        return True

    return passes
