"""Wire forms of records: a generated Struct, and two generated functions.

For

    @message
    class Circle:
        centre: Point
        radius: float = attrs.field(validator=attrs.validators.gt(0))

this room writes and runs

    def pack(record, carrier, names):
        if record.__class__ is not cls:
            wrong_class(record)
        v_centre = pack_centre(record.centre, carrier, names)
        v_radius = record.radius
        if v_radius.__class__ is not is_radius:
            v_radius = pack_radius(v_radius, carrier, names)
        return (v_centre, v_radius)

    def unpack(shadow, carrier, names):
        return cls(unpack_centre(shadow.v_centre, carrier, names), shadow.v_radius)

so that a plain field costs one comparison, and the receiver runs the class's own __init__ with its
converters and validators. The text is made from the class definition alone, never from the wire.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, ForwardRef

import attrs
import msgspec

from actors.annotations import fields_of
from actors.schema import (
    ArrayOf,
    Bounded,
    CannotTravel,
    DictOf,
    EnumOf,
    FieldSchema,
    Leaf,
    ListOf,
    LiteralOf,
    ManyOf,
    RecordOf,
    RefOf,
    ScalarOf,
    Schema,
    SetOf,
    TableOf,
    TupleOf,
    UnionOf,
)
from actors.wire import containers, leaves
from actors.wire.carrier import Carrier
from actors.wire.fingerprint import arm_order
from actors.wire.form import Names, Place, Wire

_numbers: Final = count()


class WireForms:
    """All wire forms of records made so far; makes the missing ones.

    A making that fails leaves nothing behind, so it can be tried again when more is defined.
    """

    def __init__(self) -> None:
        self._made: dict[RecordOf, Wire] = {}

    def of_record(self, record: RecordOf) -> Wire:
        """Return the wire form of a record; see `fields_of` for what it raises."""
        wire = self._made.get(record)
        return self._make(lambda making: making.record(record)) if wire is None else wire

    def of(self, schema: Schema, place: Place) -> Wire:
        """Return the wire form of any schema."""
        return self._make(lambda making: making.whole(schema, place))

    def _make(self, what: Callable[[_Making], Wire]) -> Wire:
        making = _Making(self._made)
        try:
            wire = what(making)
        except RecursionError:
            name = next(iter(making.new)).cls.__qualname__
            raise TypeError(f"{name} contains endless forms of itself. Fix its type.") from None
        making.finish()
        self._made.update(making.new)
        return wire


@attrs.define(eq=False)
class _Making:
    """One closed group of records, which may contain each other."""

    made: dict[RecordOf, Wire]  # finished before
    new: dict[RecordOf, Wire] = attrs.field(factory=dict[RecordOf, Wire])  # of this group
    structs: list[Any] = attrs.field(factory=list[Any])  # every Struct made in this group
    # Names that stand for a Struct before it exists.
    forward: dict[str, RecordOf] = attrs.field(factory=dict[str, RecordOf])

    def whole(self, schema: Schema, place: Place) -> Wire:
        """Return the form of what stands alone, a field or an answer, and not in a container."""
        if schema == Leaf(bytes):
            return leaves.large_bytes(place)
        return self.wire(schema, place)

    def wire(self, schema: Schema, place: Place) -> Wire:  # noqa: C901, PLR0912
        match schema:
            case Leaf(cls):
                return leaves.leaf(cls, place)
            case EnumOf():
                return leaves.member(schema.cls, place)
            case LiteralOf(values):
                return leaves.literal(values, place)
            case ListOf(item):
                return self._sequence(list, item, place)
            case SetOf(item, cls):
                return self._sequence(cls, item, place)
            case ManyOf(item):
                return self._sequence(tuple, item, place)
            case TupleOf(items, cls, names):
                steps = [f".{name}" for name in names] or [f"[{i}]" for i in range(len(items))]
                parts = [self.wire(s, place.inside(n)) for s, n in zip(items, steps, strict=True)]
                return containers.fixed_tuple(cls, parts, place)
            case DictOf(key, value):
                keys = self.wire(key, place.inside("[key]"))
                return containers.dictionary(keys, self.wire(value, place.inside("[...]")), place)
            case TableOf(_, items, optional):
                cells = {name: self.wire(s, place.inside(f"[{name!r}]")) for name, s in items}
                return containers.table(cells, optional, place)
            case UnionOf(arms):
                forms = [self.wire(arm, place) for arm in sorted(arms, key=arm_order)]
                return containers.union(forms, place, self.structs)
            case ArrayOf():
                return leaves.array(schema, place)
            case ScalarOf():
                return leaves.scalar(schema, place)
            case RefOf(cls):
                return leaves.reference(cls, place)
            case Bounded(item, limits):
                return containers.bounded(self.wire(item, place), limits, place)
            case RecordOf():
                return self.record(schema)

    def _sequence(self, cls: type, item: Schema, place: Place) -> Wire:
        return containers.sequence(cls, self.wire(item, place.inside("[...]")), place)

    def record(self, record: RecordOf) -> Wire:
        if record in self.made:
            return self.made[record]
        if record in self.new:
            return self.new[record]
        name = f"Shadow{next(_numbers)}"
        self.forward[name] = record
        self.new[record] = wire = _promise(record, name)
        fields = fields_of(record)
        _check_init(record.cls, fields)
        message = record.cls.__qualname__
        forms = [self.whole(field.schema, Place(message, field.name)) for field in fields]
        _fulfil(wire, record, name, fields, forms)
        self.structs.append(wire.shadow)
        return wire

    def finish(self) -> None:
        """Let msgspec find the Structs that were named before they existed."""
        for struct in self.structs:
            for name, record in self.forward.items():
                setattr(struct, name, self.new[record].shadow)


def _check_init(cls: type, fields: Sequence[FieldSchema]) -> None:
    """Refuse a class whose own `__init__` could not be called where an object of it arrives."""
    if not hasattr(cls, "__attrs_init__"):
        return
    try:
        inspect.signature(cls).bind(**{field.alias: None for field in fields})
    except TypeError as error:
        call = ", ".join(f"{field.alias}=..." for field in fields)
        raise CannotTravel(
            f"{cls.__qualname__} is made again where it arrives, by {cls.__qualname__}({call}), "
            f"and its own __init__ does not take that: {error}. Let the parameters of __init__ be "
            "the fields, and make it from anything else in a function or classmethod."
        ) from None


def _promise(record: RecordOf, name: str) -> Wire:
    """Return the form of a record that is still in the making, for records within it."""

    def pack(value: Any, carrier: Carrier, names: Names) -> Any:
        return wire.pack(value, carrier, names)

    def unpack(shadow: Any, carrier: Carrier, names: Names) -> Any:
        assert wire.unpack is not None
        return wire.unpack(shadow, carrier, names)

    # Nobody knows yet what is in it: whatever holds it meanwhile must expect everything.
    wire = Wire(ForwardRef(name), pack, frozenset({record.cls}), unpack, beside=True)
    return wire


def _fulfil(
    wire: Wire, record: RecordOf, name: str, fields: Sequence[FieldSchema], forms: Sequence[Wire]
) -> None:
    """Turn a promise into the finished form."""
    cls = record.cls
    wire.shadow = msgspec.defstruct(
        name,
        [(f"v_{field.name}", form.shadow) for field, form in zip(fields, forms, strict=True)],
        array_like=True,
        forbid_unknown_fields=True,
    )
    place = Place(cls.__qualname__)
    scope: dict[str, Any] = {"cls": cls, "wrong_class": partial(_wrong_class, cls, place)}
    for field, form in zip(fields, forms, strict=True):
        scope[f"pack_{field.name}"], scope[f"unpack_{field.name}"] = form.pack, form.unpack
        scope[f"is_{field.name}"] = next(iter(form.exact)) if len(form.exact) == 1 else form.exact
    text = "\n".join((*_pack_lines(fields, forms), "", *_unpack_lines(cls, fields, forms), ""))
    file = f"<codec of {cls.__module__}.{cls.__qualname__} {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), scope)  # noqa: S102 - our own text, see above
    wire.pack, wire.unpack = scope["pack"], scope["unpack"]
    wire.arrays = any(form.arrays for form in forms)
    wire.beside = any(form.beside for form in forms)
    wire.soft = max((form.soft for form in forms), default=0)


def _pack_lines(fields: Sequence[FieldSchema], forms: Sequence[Wire]) -> list[str]:
    lines = [
        "def pack(record, carrier, names):",
        "    if record.__class__ is not cls:",
        "        wrong_class(record)",
    ]
    if any(form.named for form in forms):
        lines.append("    names = {}")
    for field, form in zip(fields, forms, strict=True):
        name = field.name
        if not form.exact:
            lines.append(f"    v_{name} = pack_{name}(record.{name}, carrier, names)")
            continue
        test = "is not" if len(form.exact) == 1 else "not in"
        lines += [
            f"    v_{name} = record.{name}",
            f"    if v_{name}.__class__ {test} is_{name}:",
            f"        v_{name} = pack_{name}(v_{name}, carrier, names)",
        ]
    values = "".join(f"v_{field.name}, " for field in fields)
    return [*lines, f"    return ({values})"]


def _unpack_lines(cls: Any, fields: Sequence[FieldSchema], forms: Sequence[Wire]) -> list[str]:
    lines = ["def unpack(shadow, carrier, names):"]
    if any(form.named for form in forms):
        lines.append("    names = {}")
    own_init = hasattr(cls, "__attrs_init__")  # its parameters may stand in any order
    by_place: list[str] = []
    by_name: list[str] = []
    for field, form in zip(fields, forms, strict=True):
        value = f"shadow.v_{field.name}"
        if form.unpack is not None:
            value = f"unpack_{field.name}({value}, carrier, names)"
        if field.kw_only or own_init:
            by_name.append(f"{field.alias}={value}")
        else:
            by_place.append(value)
    return [*lines, f"    return cls({', '.join(by_place + by_name)})"]


def _wrong_class(cls: type, place: Place, value: object) -> None:
    if isinstance(value, cls):
        raise place.error(
            f"expected exactly {cls.__qualname__}, got its subclass {type(value).__qualname__}, "
            "of which only a part would arrive. Name it in the annotation too"
        )
    place.refuse(cls.__qualname__, value)
