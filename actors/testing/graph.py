"""Which records a schema holds, and what one record must agree on: walks over schemas."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from actors.annotations import fields_of
from actors.schema import (
    ArrayOf,
    Bounded,
    DictOf,
    ListOf,
    ManyOf,
    RecordOf,
    Schema,
    SetOf,
    TableOf,
    TupleOf,
    UnionOf,
)


def within(schema: Schema) -> Iterator[Schema]:
    """Return a schema and all that stands in it, records by name only."""
    yield schema
    for part in _parts(schema):
        yield from within(part)


def _parts(schema: Schema) -> tuple[Schema, ...]:
    match schema:
        case ListOf(item) | SetOf(item) | ManyOf(item) | Bounded(item):
            return (item,)
        case TupleOf(items) | UnionOf(items):
            return items
        case DictOf(key, value):
            return key, value
        case TableOf(_, cells):
            return tuple(cell for _, cell in cells)
        case _:
            return ()


@attrs.define
class Graph:
    """Which records contain which, found out once for each."""

    _below: dict[RecordOf, frozenset[RecordOf]] = attrs.field(factory=dict, init=False)

    def is_circular(self, record: RecordOf) -> bool:
        """Tell whether an object of this record can contain another of it."""
        return record in self._reached_from(record)

    def leads_back(self, schema: Schema) -> bool:
        """Tell whether a value holds, at any depth short of other records, a circular record."""
        return any(self.is_circular(part) for part in within(schema) if isinstance(part, RecordOf))

    def _reached_from(self, record: RecordOf) -> frozenset[RecordOf]:
        if record not in self._below:
            found: set[RecordOf] = set()
            open_ends = [record]
            while open_ends:
                for inner in _records_in(open_ends.pop()):
                    if inner not in found:
                        found.add(inner)
                        open_ends.append(inner)
            self._below[record] = frozenset(found)
        return self._below[record]


def _records_in(record: RecordOf) -> Iterator[RecordOf]:
    for field in fields_of(record):
        for part in within(field.schema):
            if isinstance(part, RecordOf):
                yield part


def names_in(schema: Schema) -> tuple[str, ...]:
    """Return the names of dimensions in a schema; those of a record within it are its own."""
    shapes = [part.spec.shape or () for part in within(schema) if isinstance(part, ArrayOf)]
    return tuple(dict.fromkeys(dim for shape in shapes for dim in shape if isinstance(dim, str)))
