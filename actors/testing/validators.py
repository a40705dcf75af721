"""attrs validators as plain data: the one place that looks into attrs.

    [instance_of(int), or_(in_([1, 2]), ge(10))]
        ──▶  AllOf(IsA(int), AnyOf(OneOf([1, 2]), Order(">=", 10)))

attrs keeps the classes of its validators private. They are reached through the public functions
that make them, and read by attributes that the tests pin. A validator that does not look like
that, or that somebody else wrote, is `Opaque`: only the class's own `__init__` can run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from attrs import validators


@attrs.frozen
class Opaque:
    """Nobody knows what."""

    validator: Any


@attrs.frozen
class AllOf:
    """All of these at once."""

    parts: tuple[Demand, ...]


@attrs.frozen
class AnyOf:
    """At least one of these."""

    parts: tuple[Demand, ...]


@attrs.frozen
class Fails:
    """What does not pass this."""

    validator: Any
    part: Demand


@attrs.frozen
class Order:
    """A place in the order of numbers, or of whatever has one."""

    validator: Any
    operator: str  # "<", "<=", ">" or ">="
    bound: Any


@attrs.frozen
class OneOf:
    """Something that is in a container."""

    validator: Any
    options: Any


@attrs.frozen
class Length:
    """Something with a length."""

    validator: Any
    least: int = 0
    most: int | None = None


@attrs.frozen
class Matches:
    """Text, or bytes, that a compiled pattern matches."""

    validator: Any
    pattern: Any
    how: str  # "match", "search" or "fullmatch"


@attrs.frozen
class IsA:
    """An object that `isinstance(value, classes)` accepts."""

    validator: Any
    classes: Any


@attrs.frozen
class Members:
    """Something to iterate over, each of whose parts passes `member`."""

    validator: Any
    member: Demand
    whole: Demand


@attrs.frozen
class Entries:
    """A mapping, each of whose entries passes `key` and `value`."""

    validator: Any
    key: Demand
    value: Demand
    whole: Demand


Demand: TypeAlias = (
    Opaque | AllOf | AnyOf | Fails | Order | OneOf | Length | Matches | IsA | Members | Entries
)

OPPOSITE: Final[Mapping[str, str]] = {">=": "<", ">": "<=", "<=": ">", "<": ">="}


def read(validator: Any) -> Demand:
    """Return what a field's validator, or None for none, demands."""
    if validator is None:
        return AllOf(())
    reader = _READERS.get(validator.__class__)
    try:
        return Opaque(validator) if reader is None else reader(validator)
    except (AttributeError, KeyError):  # an attrs whose validators look different inside
        return Opaque(validator)


def opaque_in(demand: Demand) -> tuple[Any, ...]:
    """Return the validators in a demand that cannot be read."""
    match demand:
        case Opaque(validator):
            return (validator,)
        case AllOf(parts) | AnyOf(parts):
            inner = parts
        case Fails(_, part):
            inner = (part,)
        case Members(_, member, whole):
            inner = (member, whole)
        case Entries(_, key, value, whole):
            inner = (key, value, whole)
        case _:
            inner = ()
    return tuple(opaque for part in inner for opaque in opaque_in(part))


def passes(validator: Any, value: Any) -> bool:
    """Run a validator that was read, so one that does not look at its object."""
    try:
        validator(None, _ATTRIBUTE, value)
    except Exception:  # noqa: BLE001 - or_ and not_ take every error for a no, so here too
        return False
    return True


@attrs.frozen
class _Standing:
    """Has the attribute that validators are run with outside their class; they show its name."""

    value: Any


_ATTRIBUTE: Final[Any] = attrs.fields(_Standing).value
_made: Final[Any] = validators
_IS_NONE: Final[Any] = _made.instance_of(type(None))


def _read_all(parts: Iterable[Any]) -> tuple[Demand, ...]:
    return tuple(map(read, parts))


def _order(validator: Any) -> Demand:
    OPPOSITE[validator.compare_op]
    return Order(validator, validator.compare_op, validator.bound)


def _one_of(validator: Any) -> Demand:
    options = validator.options
    listed = getattr(validator, "_original_options", options)
    if isinstance(listed, set | frozenset):  # whose order changes from run to run
        options = sorted(_any(listed), key=repr)
    return OneOf(validator, options)


def _any(value: Any) -> Any:
    return value  # type checkers would otherwise reason about what is in it


_READERS: Final[Mapping[type, Callable[[Any], Demand]]] = {
    type(_made.and_()): lambda v: AllOf(_read_all(getattr(v, "_validators"))),  # noqa: B009
    type(_made.or_(_IS_NONE, _IS_NONE)): lambda v: AnyOf(_read_all(v.validators)),
    type(_made.optional(_IS_NONE)): lambda v: AnyOf((read(_IS_NONE), read(v.validator))),
    type(_made.not_(_IS_NONE)): lambda v: Fails(v, read(v.validator)),
    type(_made.ge(0)): _order,
    type(_made.in_(())): _one_of,
    type(_made.min_len(0)): lambda v: Length(v, least=v.min_length),
    type(_made.max_len(0)): lambda v: Length(v, most=v.max_length),
    type(_made.matches_re("")): lambda v: Matches(v, v.pattern, v.match_func.__name__),
    type(_IS_NONE): lambda v: IsA(v, v.type),
    type(_made.deep_iterable(_IS_NONE)): lambda v: Members(
        v, read(v.member_validator), read(v.iterable_validator)
    ),
    type(_made.deep_mapping(_IS_NONE, _IS_NONE)): lambda v: Entries(
        v, read(v.key_validator), read(v.value_validator), read(v.mapping_validator)
    ),
}
