"""Schema fingerprints: eight bytes that two processes compare before they talk.

They are made from a text that is the same in every process and says what msgspec will see:

    Circle(centre:Point(x:float,y:float),radius:float)->None

Docstrings, defaults, validators and methods are no part of it: they may differ between versions
that still understand each other.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable

from actors.annotations import fields_of
from actors.message import wire_module
from actors.schema import (
    ArrayOf,
    Bounded,
    DictOf,
    EnumOf,
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
    literal_text,
)


def fingerprint(text: str) -> bytes:
    """Return the eight bytes that stand for a schema text."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def schema_text(schema: Schema) -> str:
    """Return the text of a schema; a record is unfolded once and then written as @Name."""
    return _text(schema, set())


def arm_order(schema: Schema) -> str:
    """Return the key that orders the arms of a union alike in every process."""
    return _text(schema, None)


def _text(schema: Schema, seen: set[RecordOf] | None) -> str:  # noqa: C901, PLR0912
    """Write a schema.

    Args:
        schema: what to describe.
        seen: records already unfolded; None to write only their names.
    """

    def text(part: Schema) -> str:
        return _text(part, seen)

    def texts(parts: Iterable[Schema]) -> str:
        return ",".join(map(text, parts))

    match schema:
        case Leaf(cls):
            return cls.__name__
        case EnumOf(cls):
            return f"enum {cls.__qualname__}[{_members(cls)}]"
        case LiteralOf(values):
            return f"literal[{','.join(map(literal_text, values))}]"
        case ListOf(item):
            return f"list[{text(item)}]"
        case SetOf(item, cls):
            return f"{cls.__name__}[{text(item)}]"
        case ManyOf(item):
            return f"tuple[{text(item)},...]"
        case TupleOf(items, cls, names):
            return f"{cls.__name__}{','.join(names)}[{texts(items)}]"
        case DictOf(key, value):
            return f"dict[{text(key)},{text(value)}]"
        case TableOf(cls, items, optional):
            cells = (f"{name}{'?' * (name in optional)}:{text(item)}" for name, item in items)
            return f"{cls.__qualname__}{{{','.join(cells)}}}"
        case UnionOf(arms):
            return "|".join(map(text, sorted(arms, key=arm_order)))
        case ArrayOf(spec):
            return f"array[{spec.dtype},{spec.shape},{spec.kinds}]"
        case ScalarOf(_, dtype):
            return f"scalar[{dtype}]"
        case RefOf():
            return "ref"
        case Bounded(item, limits):
            return f"{text(item)}{''.join(map(repr, limits))}"
        case RecordOf():
            return _record(schema, seen)


def _record(record: RecordOf, seen: set[RecordOf] | None) -> str:
    name = record.cls.__qualname__
    if record.args:
        name += f"[{','.join(map(arm_order, record.args))}]"
    if seen is None:
        return f"{wire_module(record.cls.__module__)}.{name}"
    if record in seen:
        return f"@{name}"
    seen.add(record)
    fields = (f"{f.name}:{_text(f.schema, seen)}" for f in fields_of(record))
    return f"{name}({','.join(fields)})"


def _members(cls: type[enum.Enum]) -> str:
    """Flags travel by value, other members by name: just that must agree."""
    if issubclass(cls, enum.Flag):
        return ",".join(f"{name}={member.value}" for name, member in cls.__members__.items())
    return ",".join(cls.__members__)
