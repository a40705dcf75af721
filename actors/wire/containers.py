"""Wire forms of values with parts: lists, tuples, dicts, unions, bounded values.

A union travels as [number of the arm, value], unless msgspec can tell its arms apart by itself.
A dict whose keys are neither all text nor all ints travels as a list of pairs.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from types import GenericAlias, UnionType
from typing import Any, Final

import attrs
import msgspec
import numpy as np

from actors.errors import InvalidMessage
from actors.wire.carrier import Carrier
from actors.wire.form import Names, Pack, Place, Wire, always

_NONE: Final = type(None)
_UNION: Final[Any] = typing.Union  # types that are values: nothing for a type checker
_ANNOTATED: Final[Any] = typing.Annotated
_DISTINCT: Final = frozenset({bool, int, float, str})
"""Native leaves that msgspec keeps apart within one union."""


def sequence(cls: Any, item: Wire, place: Place) -> Wire:
    """A list, a tuple of any length, a set or a frozenset."""
    pack_item, exact = item.pack, item.exact

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        if value.__class__ is not cls:
            place.refuse(cls.__name__, value)
        if exact and exact.issuperset(map(type, value)):  # at the speed of C
            return value
        return [pack_item(part, carrier, names) for part in value]

    unpack = None if item.unpack is None else _unpack_sequence(cls, item.unpack)
    shadow = GenericAlias(list, (item.shadow,))
    if unpack is None:
        shadow = GenericAlias(cls, (item.shadow, ...) if cls is tuple else (item.shadow,))
    return attrs.evolve(
        item, shadow=shadow, pack=pack, unpack=unpack, classes=frozenset({cls}), exact=_NO
    )


_NO: Final[frozenset[type]] = frozenset()


def _unpack_sequence(cls: Any, unpack_item: Pack) -> Pack:
    def unpack_list(parts: Any, carrier: Carrier, names: Names) -> Any:
        return [unpack_item(part, carrier, names) for part in parts]

    def unpack_other(parts: Any, carrier: Carrier, names: Names) -> Any:
        return cls([unpack_item(part, carrier, names) for part in parts])

    return unpack_list if cls is list else unpack_other


def fixed_tuple(cls: Any, items: Sequence[Wire], place: Place) -> Wire:
    """A tuple of fixed length, or a NamedTuple."""
    length, packs = len(items), [always(item.pack, item.exact) for item in items]
    unpacks = [item.unpack or _as_it_is for item in items]
    make: Any = tuple if cls is tuple else cls._make

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        if value.__class__ is not cls or len(value) != length:
            place.refuse(f"{cls.__qualname__} of {length}", value)
        return [p(part, carrier, names) for p, part in zip(packs, value, strict=True)]

    def unpack(parts: Any, carrier: Carrier, names: Names) -> Any:
        return make([u(part, carrier, names) for u, part in zip(unpacks, parts, strict=True)])

    shadow = GenericAlias(tuple, tuple(item.shadow for item in items))
    native = cls is tuple and all(item.unpack is None for item in items)
    return _joined(items, shadow, pack, None if native else unpack, cls)


def _as_it_is(value: Any, _carrier: Carrier, _names: Names) -> Any:
    return value


def dictionary(key: Wire, value: Wire, place: Place) -> Wire:
    """A dict, as a map where its keys allow it."""
    if key.unpack is None and key.shadow in {str, int}:
        return _map(key, value, place)
    pack_key, pack_value = always(key.pack, key.exact), always(value.pack, value.exact)
    unpack_key, unpack_value = key.unpack or _as_it_is, value.unpack or _as_it_is

    def pack(whole: Any, carrier: Carrier, names: Names) -> Any:
        if whole.__class__ is not dict:
            place.refuse("dict", whole)
        return [
            (pack_key(k, carrier, names), pack_value(v, carrier, names)) for k, v in whole.items()
        ]

    def unpack(pairs: Any, carrier: Carrier, names: Names) -> Any:
        return {unpack_key(k, carrier, names): unpack_value(v, carrier, names) for k, v in pairs}

    shadow = GenericAlias(list, (GenericAlias(tuple, (key.shadow, value.shadow)),))
    return _joined((key, value), shadow, pack, unpack, dict)


def _map(key: Wire, value: Wire, place: Place) -> Wire:
    pack_key, pack_value, unpack_value = key.pack, value.pack, value.unpack

    def pack(whole: Any, carrier: Carrier, names: Names) -> Any:
        if whole.__class__ is not dict:
            place.refuse("dict", whole)
        if key.exact.issuperset(map(type, whole)) and (
            value.exact and value.exact.issuperset(map(type, whole.values()))
        ):
            return whole
        return {
            pack_key(k, carrier, names): pack_value(v, carrier, names) for k, v in whole.items()
        }

    def unpack(whole: Any, carrier: Carrier, names: Names) -> Any:
        assert unpack_value is not None
        return {k: unpack_value(v, carrier, names) for k, v in whole.items()}

    shadow = GenericAlias(dict, (key.shadow, value.shadow))
    return _joined((key, value), shadow, pack, unpack if unpack_value else None, dict)


def table(cells: dict[str, Wire], optional: frozenset[str], place: Place) -> Wire:
    """A TypedDict, as a tuple of its values; a key that may be missing has [] or [value]."""
    packs = {name: always(cell.pack, cell.exact) for name, cell in cells.items()}

    def pack(whole: Any, carrier: Carrier, names: Names) -> Any:
        if whole.__class__ is not dict:
            place.refuse("dict", whole)
        known = packs.keys()
        if not known - optional <= whole.keys() <= known:
            odd = sorted(map(repr, (known - optional - whole.keys()) | (whole.keys() - known)))
            raise place.error(f"keys missing or too many: {', '.join(odd)[:100]}")
        return [
            p(whole[name], carrier, names)
            if name not in optional
            else [p(whole[name], carrier, names)] * (name in whole)
            if name in whole
            else []
            for name, p in packs.items()
        ]

    def unpack(parts: Any, carrier: Carrier, names: Names) -> Any:
        whole: dict[str, Any] = {}
        for (name, cell), part in zip(cells.items(), parts, strict=True):
            for one in part[:1] if name in optional else (part,):
                whole[name] = cell.unpack(one, carrier, names) if cell.unpack else one
        return whole

    shadows = (
        GenericAlias(list, (cell.shadow,)) if name in optional else cell.shadow
        for name, cell in cells.items()
    )
    shadow = GenericAlias(tuple, tuple(shadows))
    return _joined(tuple(cells.values()), shadow, pack, unpack, dict)


def union(arms: Sequence[Wire], place: Place, structs: list[type]) -> Wire:
    """One of several. Structs made for the arms are added to `structs`."""
    real = [arm for arm in arms if arm.shadow is not _NONE]
    optional = len(real) < len(arms)
    if all(arm.unpack is None and arm.shadow in _DISTINCT for arm in real):
        return _told_apart(arms, place)
    if len(real) == 1:
        return _optional(real[0])
    return _numbered(real, place, optional=optional, structs=structs)


def _told_apart(arms: Sequence[Wire], place: Place) -> Wire:
    exact = _all_of([arm.exact for arm in arms])
    pack_arm = _first_fit(arms, place)
    shadow = _UNION[tuple(arm.shadow for arm in arms)]

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        return value if value.__class__ in exact else pack_arm(value, carrier, names)[1]

    return _joined(arms, shadow, pack, None, *exact, exact=exact)


def _optional(arm: Wire) -> Wire:
    pack_arm, unpack_arm = arm.pack, arm.unpack

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        return None if value is None else pack_arm(value, carrier, names)

    def unpack(value: Any, carrier: Carrier, names: Names) -> Any:
        assert unpack_arm is not None
        return None if value is None else unpack_arm(value, carrier, names)

    return attrs.evolve(
        arm,
        shadow=_UNION[arm.shadow, _NONE],
        pack=pack,
        unpack=unpack if unpack_arm else None,
        classes=arm.classes | {_NONE},
        exact=arm.exact | {_NONE} if arm.exact else _NO,
    )


def _numbered(arms: Sequence[Wire], place: Place, *, optional: bool, structs: list[type]) -> Wire:
    made: list[Any] = [
        msgspec.defstruct(
            f"Arm{number}",
            [("value", arm.shadow)],
            array_like=True,
            forbid_unknown_fields=True,
            tag=number,
        )
        for number, arm in enumerate(arms)
    ]
    structs += made
    unpacks = {struct: arm.unpack or _as_it_is for struct, arm in zip(made, arms, strict=True)}
    pack_arm = _first_fit(arms, place)

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        if optional and value is None:
            return None
        return pack_arm(value, carrier, names)

    def unpack(shadow: Any, carrier: Carrier, names: Names) -> Any:
        if shadow is None:
            return None
        return unpacks[type(shadow)](shadow.value, carrier, names)

    shadow = _UNION[(*made, _NONE) if optional else tuple(made)]
    return _joined(arms, shadow, pack, unpack, *([_NONE] if optional else []))


def _first_fit(arms: Sequence[Wire], place: Place) -> Pack:
    """Return a function to (number of the arm, packed value), for the first arm that fits.

    Arms for the value's own class come first: a bool fits bool | int as a bool. Among them, those
    that change the least: a list of ints fits list[float] too, but not without loss.
    """
    numbered = sorted(enumerate(arms), key=lambda pair: pair[1].soft)
    expected = " or ".join(sorted(cls.__qualname__ for arm in arms for cls in arm.classes))

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        own = [pair for pair in numbered if value.__class__ in pair[1].classes]
        if not own and issubclass(value.__class__, np.generic):
            plain = value.item().__class__
            own = [pair for pair in numbered if plain in pair[1].classes]
        if len(own) == 1:  # its complaint says more than ours
            return own[0][0], own[0][1].pack(value, carrier, names)
        for number, arm in own or numbered:
            before = None if names is None else dict(names)
            try:
                return number, arm.pack(value, carrier, names)
            except InvalidMessage:
                if names is not None and before is not None:
                    names.clear()
                    names.update(before)
        return place.refuse(expected, value)

    return pack


def bounded(item: Wire, limits: tuple[msgspec.Meta, ...], place: Place) -> Wire:
    """A value within the limits of msgspec.Meta, which msgspec checks at both ends."""
    shadow = _ANNOTATED[(item.shadow, *limits)]
    outline = _outline(shadow)
    try:
        msgspec.msgpack.Decoder(outline)
    except TypeError as error:
        raise TypeError(f"{place.message}.{place.field}: {error}") from None

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        packed = item.pack(value, carrier, names)
        try:
            msgspec.convert(packed, outline)
        except msgspec.ValidationError as error:
            raise place.error(str(error)) from None
        return packed

    return attrs.evolve(item, shadow=shadow, pack=pack, exact=_NO)


def _outline(shadow: Any) -> Any:
    """Return a shadow with anything in place of records, which may not exist yet.

    They have no limits themselves, and what is in them has been checked when they were packed.
    """
    if isinstance(shadow, typing.ForwardRef):
        return Any
    if _is_struct(shadow):
        return Any
    origin: Any = typing.get_origin(shadow)
    args = typing.get_args(shadow)
    if origin is _ANNOTATED:
        return _ANNOTATED[(_outline(args[0]), *args[1:])]
    if origin in {_UNION, UnionType}:
        return _UNION[tuple(map(_outline, args))]
    if not args:
        return shadow
    return GenericAlias(origin, tuple(map(_outline, args)))


def _is_struct(shadow: Any) -> bool:
    return isinstance(shadow, type) and issubclass(shadow, msgspec.Struct)


def _joined(
    parts: Sequence[Wire],
    shadow: Any,
    pack: Pack,
    unpack: Pack | None,
    *classes: type,
    exact: frozenset[type] = _NO,
) -> Wire:
    """Return the wire form of a whole, which holds what its parts do: arrays, named ones..."""
    return Wire(
        shadow,
        pack,
        _all_of([part.classes for part in parts]) if not classes else frozenset(classes),
        unpack,
        exact,
        arrays=any(part.arrays for part in parts),
        named=any(part.named for part in parts),
        beside=any(part.beside for part in parts),
        soft=max((part.soft for part in parts), default=0),
    )


def _all_of(sets: Sequence[frozenset[type]]) -> frozenset[type]:
    return _NO.union(*sets)
