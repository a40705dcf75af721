"""Wire forms of values without parts: numbers, text, dates, enums, arrays, references."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import reduce
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID

import numpy as np

from actors.address import Address
from actors.arrays.spec import ArraySpec
from actors.errors import InvalidMessage
from actors.schema import ArrayOf, ScalarOf, address_of
from actors.wire.carrier import Carrier, Part
from actors.wire.form import SOFTNESS, Names, Place, Wire

NATIVE: Final = frozenset(
    {type(None), bool, int, float, str, bytes, bytearray, dt.date, UUID, Decimal}
)
"""Leaves that msgspec makes itself."""

BESIDE_FROM: Final = 256 << 10
"""Length from which bytes travel beside the message (measured: below, it gains little)."""

_BYTES: Final = ArraySpec(dtype=np.dtype(np.uint8).str, shape=(None,))


def _iso(when: dt.datetime | dt.time) -> str:
    if when.tzinfo is not None and when.utcoffset() is None:
        raise ValueError(
            f"a {type(when).__name__} whose zone says no offset from UTC, as most do for a time "
            "without a date; it would arrive without zone. Send a datetime, or the zone's name "
            "beside it"
        )
    return when.isoformat()


# class: (shadow, to plain data, from shadow). msgspec's own form of a datetime with a zone would
# arrive in UTC; the others it does not know.
_CODED: Final[Mapping[type, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]]] = {
    complex: (tuple[float, float], lambda z: (z.real, z.imag), lambda pair: complex(*pair)),
    dt.datetime: (str, _iso, dt.datetime.fromisoformat),
    dt.time: (str, _iso, dt.time.fromisoformat),
    dt.timedelta: (
        tuple[int, int, int],
        lambda delta: (delta.days, delta.seconds, delta.microseconds),
        lambda parts: dt.timedelta(*parts),
    ),
    Path: (str, str, Path),
    PurePath: (str, str, PurePath),
}

# What a numpy scalar or an int may be worth and still stand for the class without loss.
_STANDS_FOR: Final[Mapping[type, frozenset[type]]] = {
    float: frozenset({float, int}),
    complex: frozenset({complex, float, int}),
}


def leaf(cls: type, place: Place) -> Wire:
    """Return the wire form of a class of `LEAVES`."""
    return _native(cls, place) if cls in NATIVE else _coded(cls, place)


def _native(cls: type, place: Place) -> Wire:
    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        return value if value.__class__ is cls else _softened(cls, value, place)

    exact = frozenset({cls})
    return Wire(cls, pack, exact, exact=exact, soft=SOFTNESS.get(cls, 0))


def _coded(cls: Any, place: Place) -> Wire:
    shadow, to_plain, from_shadow = _CODED[cls]
    real = type(cls()) if issubclass(cls, PurePath) else cls  # Path() makes a PosixPath

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        mine = value if value.__class__ is real else _softened(cls, value, place)
        try:
            return to_plain(mine)
        except ValueError as error:
            raise place.error(str(error)) from None

    def unpack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        return from_shadow(value)

    return Wire(shadow, pack, frozenset({real}), unpack, soft=SOFTNESS.get(cls, 0))


def _softened(cls: Any, value: Any, place: Place) -> Any:
    """Turn what may stand for a `cls` into one: 1 for 1.0, numpy scalars, members of int enums.

    Nothing that would lose anything passes: no bool for an int, no text for a number, no subclass
    with a life of its own.
    """
    if cls in {int, str, float} and _is_member(cls, value):
        return str.__str__(value) if cls is str else cls(value)
    worth = _worth(value)
    if type(worth) not in _STANDS_FOR.get(cls, {cls}):
        place.refuse(cls.__name__, value)
    try:
        return worth if type(worth) is cls else cls(worth)
    except OverflowError:
        raise place.error("an int beyond the range of float") from None


def _worth(value: Any) -> Any:
    """Return what a numpy scalar is in plain Python, and anything else as it is.

    So is a time of numpy that no time of Python stands for: in nanoseconds or years it would become
    an int that has lost its unit, as NaT it would become None.
    """
    if not issubclass(type(value), np.generic):
        return value
    plain: Any = value.item()
    if issubclass(type(value), np.datetime64 | np.timedelta64):
        return plain if isinstance(plain, dt.date | dt.timedelta) else value
    return plain


def _is_member(cls: type, value: object) -> bool:
    return isinstance(value, enum.Enum) and isinstance(value, cls)


def member(cls: type[enum.Enum], place: Place) -> Wire:
    """Return the wire form of an enumeration."""
    return _flag(cls, place) if issubclass(cls, enum.Flag) else _enumeration(cls, place)


def _enumeration(cls: type[enum.Enum], place: Place) -> Wire:
    """Members travel by name: a value may be anything, even an object."""
    members = cls.__members__

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        if value.__class__ is not cls:
            place.refuse(cls.__qualname__, value)
        return value.name

    def unpack(name: Any, _carrier: Carrier, _names: Names) -> Any:
        member = members.get(name)
        if member is None:
            place.refuse(f"a member of {cls.__qualname__}", name)
        return member

    return Wire(str, pack, frozenset({cls}), unpack)


def _flag(cls: type[enum.Flag], place: Place) -> Wire:
    """Flags travel as numbers. Unknown bits are refused: enum would remember each for ever."""
    known: int = reduce(int.__or__, (one.value for one in cls.__members__.values()), 0)

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        if value.__class__ is not cls or value.value & ~known:
            place.refuse(cls.__qualname__, value)
        return value.value

    def unpack(bits: Any, _carrier: Carrier, _names: Names) -> Any:
        if bits & ~known:
            place.refuse(f"bits of {cls.__qualname__}", bits)
        return cls(bits)

    return Wire(int, pack, frozenset({cls}), unpack)


def literal(values: tuple[Any, ...], place: Place) -> Wire:
    """Literals travel by number. Looked up with their class, because 1 == True."""
    numbers: dict[Any, int] = {(type(value), value): n for n, value in enumerate(values)}
    classes = frozenset(map(type, values))
    expected = "one of " + ", ".join(map(repr, values))

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        cls = value.__class__
        number = numbers.get((cls, value)) if cls in classes else None
        if number is None:
            place.refuse(expected, value)
        return number

    def unpack(number: Any, _carrier: Carrier, _names: Names) -> Any:
        if not 0 <= number < len(values):
            place.refuse(expected, number)
        return values[number]

    return Wire(int, pack, classes, unpack)


def array(schema: ArrayOf, place: Place) -> Wire:
    """Arrays travel beside the message; what stays in it is a Part."""
    spec = schema.spec

    def check(dtype: str, shape: tuple[int, ...], names: Names) -> None:
        try:
            spec.check(place.field, dtype, shape, names=names)
        except InvalidMessage as error:
            raise place.error(error.reason) from None

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        if value.__class__ is not np.ndarray:
            value = _plain_array(value, place)
        check(value.dtype.str, value.shape, names)
        return carrier.put(value)

    def unpack(part: Part, carrier: Carrier, names: Names) -> Any:
        check(part.dtype, part.shape, names)
        return carrier.get(part)

    classes = frozenset({np.ndarray})
    return Wire(Part, pack, classes, unpack, arrays=True, named=spec.named, beside=True)


def large_bytes(place: Place) -> Wire:
    """Bytes of a field or an answer: large ones travel beside the message, as an array would.

    Within the payload they would be copied with it at each step of the way.
    """
    plain = leaf(bytes, place)
    beside = array(ArrayOf(_BYTES), place)

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        if value.__class__ is not bytes:
            value = plain.pack(value, carrier, names)
        return value if len(value) < BESIDE_FROM else carrier.put(np.frombuffer(value, np.uint8))

    def unpack(found: Any, carrier: Carrier, names: Names) -> Any:
        if found.__class__ is bytes:
            return found
        assert beside.unpack is not None
        return beside.unpack(found, carrier, names).tobytes()

    return Wire(bytes | Part, pack, plain.classes, unpack, beside=True)


def _plain_array(value: Any, place: Place) -> np.ndarray[Any, Any]:
    if issubclass(type(value), np.memmap):
        return np.asarray(value)
    if issubclass(type(value), np.ndarray):
        raise place.error(
            f"a {type(value).__qualname__} would arrive as a plain array, without what makes it "
            "special. Send numpy.asarray(...) of it"
        )
    return place.refuse("a numpy array", value)


def scalar(schema: ScalarOf, place: Place) -> Wire:
    """Numpy scalars travel as their bytes."""
    dtype = np.dtype(schema.dtype)

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        # Compared by dtype: np.longlong and np.int64 are two classes for one thing.
        if not issubclass(type(value), np.generic) or value.dtype != dtype:
            place.refuse(schema.cls.__name__, value)
        return value.tobytes()

    def unpack(data: Any, _carrier: Carrier, _names: Names) -> Any:
        if len(data) != dtype.itemsize:
            raise place.error(f"{len(data)} bytes for a {schema.cls.__name__}")
        return np.frombuffer(data, dtype)[0]

    return Wire(bytes, pack, frozenset({schema.cls}), unpack)


def reference(cls: type, place: Place) -> Wire:
    """References to actors travel as the text of their address."""

    def pack(value: Any, _carrier: Carrier, _names: Names) -> Any:
        if value.__class__ is not cls:
            place.refuse(cls.__qualname__, value)
        return str(address_of(value))

    def unpack(text: Any, carrier: Carrier, _names: Names) -> Any:
        try:
            address = Address.parse(text)
        except ValueError as error:
            raise place.error(str(error)) from None
        return carrier.bind(address)

    return Wire(str, pack, frozenset({cls}), unpack, beside=True)
