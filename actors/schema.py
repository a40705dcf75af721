"""Schemas: what the values of a message's fields may be, as plain values.

    list[Point | None]      ──▶     ListOf(UnionOf((RecordOf(Point), Leaf(None))))
    annotation, any spelling        schema, one spelling

`actors/annotations.py` reads Python's many ways to write a type; the codec, the schema fingerprint
and the testing kit work on the schema alone. Records (attrs classes) are named, not unfolded, so
that a class may contain itself.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs
import msgspec

from actors.address import Address
from actors.arrays.spec import ArraySpec

LEAVES: Final[frozenset[type]] = frozenset(
    {type(None), bool, int, float, complex, str, bytes, bytearray, Decimal, UUID}
    | {dt.date, dt.datetime, dt.time, dt.timedelta, Path, PurePath}
)
"""Classes whose values have no parts."""


@attrs.frozen
class Leaf:
    """A value without parts, of exactly this class."""

    cls: type


@attrs.frozen
class EnumOf:
    """A member of an enumeration; travels by name."""

    cls: type[enum.Enum]


def literal_text(value: Any) -> str:
    """Write a value of a Literal so that no two of them are the same."""
    name = value.name if isinstance(value, enum.Enum) else repr(value)
    return f"{type(value).__qualname__} {name}"


def _in_order(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(values, key=literal_text))


def _literal_texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(literal_text, values))


@attrs.frozen
class LiteralOf:
    """One of these values, class included: 1 is not True. Sorted: Python ignores their order."""

    values: tuple[Any, ...] = attrs.field(converter=_in_order, eq=_literal_texts)


@attrs.frozen
class ListOf:
    """A list."""

    item: Schema


@attrs.frozen
class SetOf:
    """A set or a frozenset."""

    item: Schema
    cls: type


@attrs.frozen
class TupleOf:
    """A tuple of fixed length, or a NamedTuple."""

    items: tuple[Schema, ...]
    cls: type = tuple
    names: tuple[str, ...] = ()  # of a NamedTuple's fields


@attrs.frozen
class ManyOf:
    """A tuple of any length."""

    item: Schema


@attrs.frozen
class DictOf:
    """A dict."""

    key: Schema
    value: Schema


@attrs.frozen
class TableOf:
    """A dict with known keys: a TypedDict."""

    cls: type
    items: tuple[tuple[str, Schema], ...]
    optional: frozenset[str]  # keys that may be missing


@attrs.frozen
class UnionOf:
    """One of several. Their order means nothing: Python itself may exchange equal unions."""

    arms: tuple[Schema, ...]


@attrs.frozen
class ArrayOf:
    """A numpy array, whose bytes travel beside the message."""

    spec: ArraySpec


@attrs.frozen
class ScalarOf:
    """A numpy scalar such as np.float32."""

    cls: type
    dtype: str


@attrs.frozen
class RefOf:
    """A reference to an actor; travels as its address."""

    cls: type


@attrs.frozen
class Bounded:
    """A value within the limits of `Annotated[int, msgspec.Meta(ge=0)]`."""

    item: Schema
    limits: tuple[msgspec.Meta, ...]


@attrs.frozen
class RecordOf:
    """An object of exactly this attrs class, with its type parameters filled in."""

    cls: type
    args: tuple[Schema, ...] = ()


Schema: TypeAlias = (
    Leaf | EnumOf | LiteralOf | ListOf | SetOf | TupleOf | ManyOf | DictOf | TableOf | UnionOf
    | ArrayOf | ScalarOf | RefOf | Bounded | RecordOf
)  # fmt: skip


@attrs.frozen
class FieldSchema:
    """One field of a record that travels: every one that `__init__` takes."""

    name: str  # attribute
    alias: str  # parameter of __init__
    kw_only: bool
    schema: Schema


class CannotTravel(TypeError):  # noqa: N818 - the name says what is wrong
    """An annotation means something that has no form on the wire."""


class UnboundVariable(CannotTravel):
    """The class is generic and nobody said of what."""


_address_of: dict[type, Callable[[Any], Address]] = {}


def register_reference(cls: type, address_of: Callable[[Any], Address]) -> None:
    """Let the values of `cls` be fields of messages; they travel as `address_of(value)`.

    The receiver makes one with its carrier's `bind(address)`.
    """
    _address_of[cls] = address_of


def is_reference(cls: type) -> bool:
    """Tell whether values of `cls` travel as addresses."""
    return cls in _address_of


def address_of(reference: Any) -> Address:
    """Return the address of a reference whose class is registered."""
    return _address_of[type(reference)](reference)
