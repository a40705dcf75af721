"""The wire form of a schema: what travels in place of a value, and the two ways between them.

    value ──pack──▶ plain data ──msgspec──▶ bytes ──msgspec──▶ shadow ──unpack──▶ value
          checks every class                        typed decoder       calls the real __init__

A *shadow* is the type that msgspec decodes: for numbers and text the type itself, for a record a
generated Struct. Where msgspec can make the value itself there is nothing to unpack; and a value
whose class is among `exact` needs no packing. Both shortcuts together leave one comparison per
plain field at the sender, and nothing at the receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import attrs

from actors.errors import InvalidMessage
from actors.schema import RecordOf
from actors.wire.carrier import Carrier

Names: TypeAlias = dict[str, int] | None
"""Lengths of the named dimensions of the message at hand; None where no array has names."""

Pack: TypeAlias = Callable[[Any, Carrier, Names], Any]
"""A value to plain data, or a shadow to a value."""


SOFTNESS: Final[Mapping[type, int]] = {bool: 1, int: 1, str: 1, float: 2, complex: 3}
"""Leaves that take what is not quite theirs, the most generous last: numpy's numbers and members of
enums; ints, which a float may cut short; ints and floats."""


@attrs.define(eq=False)
class Wire:
    """The wire form of one schema at one place."""

    shadow: Any  # type that msgspec decodes
    pack: Pack  # value to plain data; InvalidMessage when the value does not fit
    classes: frozenset[type]  # classes that the values have
    unpack: Pack | None = None  # shadow to value; None: the shadow is the value
    exact: frozenset[type] = frozenset()  # values of these classes are their own packed form
    arrays: bool = False  # whether == on two values would compare arrays
    named: bool = False  # whether arrays in it have named dimensions
    beside: bool = False  # whether anything of it may go to, or come from, the carrier
    soft: int = 0  # how much of other classes' values it takes, and changes: see `SOFTNESS`


@attrs.frozen
class Place:
    """Where a value stands, for errors: message "Camera", field "frames[...]"."""

    message: str
    field: str = ""

    def inside(self, step: str) -> Place:
        """Return the place one step deeper."""
        return Place(self.message, self.field + step)

    def error(self, reason: str) -> InvalidMessage:
        """Make the error for this place."""
        return InvalidMessage(message=self.message, field=self.field, reason=reason)

    def refuse(self, expected: str, value: object) -> NoReturn:
        """Raise InvalidMessage: this value is not what was expected here."""
        raise self.error(f"expected {expected}, got {shown(value)}")


RecordWire: TypeAlias = Callable[[RecordOf], Wire]
"""Gives the wire form of a record, which may still be in the making."""

_SHOWN = (bool, int, float, str, bytes, type(None))


def shown(value: object) -> str:
    """Describe a value in an error: its class, and the value itself where its repr is ours."""
    if type(value) not in _SHOWN:
        return type(value).__qualname__
    text = ascii(value[:60] if isinstance(value, str | bytes) else value)
    return f"{type(value).__qualname__} {text[:60]}" if value is not None else "None"


def always(pack: Pack, exact: frozenset[type]) -> Pack:
    """Return a pack function that takes the shortcut for values of an exact class."""
    if not exact:
        return pack

    def shortcut(value: Any, carrier: Carrier, names: Names) -> Any:
        return value if value.__class__ in exact else pack(value, carrier, names)

    return shortcut
