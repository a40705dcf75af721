"""Strategies for whole objects: every field of a class, then the class's own `__init__`.

    field without a default     always drawn
    field with one              drawn or left at it; failures shrink towards leaving it
    field that is overridden    drawn from the strategy given

A default that its own validator or the codec refuses is not left.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from actors.annotations import fields_of
from actors.schema import ArrayOf, FieldSchema, RecordOf, Schema, UnionOf
from actors.testing.arrays import side
from actors.testing.composition import At, Composer, fits
from actors.testing.construction import maker_of, was_made
from actors.testing.graph import Graph, names_in
from actors.testing.leaves import Strategy
from actors.testing.limits import Alternatives, Endless, Impossible, Limits, limits_of
from actors.testing.validators import opaque_in, read

DEEPEST: Final = 3
"""Levels of a class that contains itself, below the outermost."""

_FACTORY: Final[Any] = attrs.Factory  # a class, which the stubs call a function
_LEFT: Final = object()  # stands for an argument that is not given
_warned: Final[weakref.WeakSet[type]] = weakref.WeakSet()


class ImpossibleField(InvalidArgument):
    """No value can be drawn for a field: what its type and its validators demand is impossible."""


class OpaqueValidator(UserWarning):
    """A class has validators of its own making: its draws are tried out, and may be refused."""


@attrs.frozen
class Choice:
    """What somebody else decides about the fields of the outermost object, by `__init__` names."""

    given: Mapping[str, Strategy] = {}  # strategies to draw from
    left: frozenset[str] = frozenset()  # left at their defaults
    drawn: frozenset[str] = frozenset()  # not left at their defaults


_NO_CHOICE: Final = Choice()


@attrs.frozen
class _Field:
    """One field, as the drawing needs it."""

    alias: str
    schema: Schema
    demand: Alternatives
    may_be_left: bool
    named: tuple[str, ...]  # names among the dimensions of its arrays
    name: str  # with its class, for errors


@attrs.define
class Records:
    """Makes the strategies for one class, and for the classes it consists of."""

    _graph: Graph = attrs.field(factory=Graph, init=False)
    _made: dict[tuple[RecordOf, int], Strategy | Endless] = attrs.field(factory=dict, init=False)
    _composer: Composer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._composer = Composer(self._graph, self._inner)

    def outermost(self, record: RecordOf, choice: Choice) -> Strategy:
        """Return the strategy for objects of a class.

        Raises:
            ImpossibleField: there are none; the text names class and field.
        """
        try:
            return self._record(record, DEEPEST, choice)
        except Endless as error:
            raise ImpossibleField(
                f"{error}, without end. Give a field on this way a default, or let it be None."
            ) from None

    def _inner(self, record: RecordOf, depth: int) -> Strategy:
        if self._graph.is_circular(record):
            depth -= 1
        if depth < 0:
            raise Endless(f"contains another {record.cls.__qualname__}")
        made = self._made.get((record, depth))
        if made is None:
            try:
                made = self._record(record, depth, _NO_CHOICE)
            except Endless as error:
                made = error
            self._made[record, depth] = made
        if isinstance(made, Endless):
            raise Endless(*made.args)
        return made

    def _record(self, record: RecordOf, depth: int, choice: Choice) -> Strategy:
        opaque = _opaque_fields(record, choice)
        if opaque:
            _warn(record.cls, opaque)
        fields = [field for field in _read(record, choice) if field.alias not in choice.left]
        arguments = self._arguments([f for f in fields if not f.named], At(depth), choice)
        named = [field for field in fields if field.named]
        if named:
            parts = st.tuples(arguments, self._named(named, depth, choice))
            arguments = parts.map(_merged)
        make = maker_of(record, opaque=bool(opaque))
        return arguments.map(make).filter(was_made)

    def _named(self, fields: Sequence[_Field], depth: int, choice: Choice) -> Strategy:
        """Return a strategy for the arguments whose arrays have named dimensions."""
        made: dict[tuple[int, ...], Strategy] = {}
        spans = _spans(fields)
        given = {f.alias: choice.given[f.alias] for f in fields if f.alias in choice.given}
        others = [field for field in fields if field.alias not in given]

        def with_lengths(lengths: tuple[int, ...]) -> Strategy:
            if lengths not in made:
                names = dict(zip(spans, lengths, strict=True))
                made[lengths] = self._arguments(others, At(depth, names), choice)
            return made[lengths]

        def after(values: dict[str, Any]) -> Strategy:
            known = _lengths_in(fields, values)
            drawn = [st.integers(*span) for span in (spans | known).values()]
            return st.tuples(*drawn).flatmap(with_lengths).map(values.__or__)

        with_lengths(tuple(least for least, _ in spans.values()))  # errors show now, not in a draw
        return st.fixed_dictionaries(given).flatmap(after)

    def _arguments(self, fields: Sequence[_Field], at: At, choice: Choice) -> Strategy:
        """Return a strategy for the arguments of `__init__`."""
        arguments: dict[str, Strategy] = {}
        for field in fields:
            given = choice.given.get(field.alias)
            try:
                drawn = (
                    self._composer.of(field.schema, field.demand, at) if given is None else given
                )
            except Endless as error:
                if not field.may_be_left:
                    raise Endless(f"{field.name} {error}") from None
            except Impossible as error:
                raise ImpossibleField(
                    f"{field.name}: no value passes: {error}. Let its type and its validators "
                    f"agree, or give {field.alias}= a strategy that knows better."
                ) from None
            else:
                arguments[field.alias] = _drawn_or_left(drawn) if field.may_be_left else drawn
        return st.fixed_dictionaries(arguments).map(_without_left)


def _read(record: RecordOf, choice: Choice) -> Iterable[_Field]:
    attributes = attrs.fields_dict(record.cls)
    for field in fields_of(record):
        attribute = attributes[field.name]
        demand = limits_of(read(attribute.validator))
        decided = field.alias in choice.given or field.alias in choice.drawn
        yield _Field(
            field.alias,
            field.schema,
            demand,
            not decided and _may_be_left(attribute, field, demand),
            names_in(field.schema),
            f"{record.cls.__qualname__}.{field.name}",
        )


def _may_be_left(attribute: attrs.Attribute[Any], field: FieldSchema, demand: Alternatives) -> bool:
    """Tell whether the field's default, as far as it is known before there is an object, passes."""
    default = attribute.default
    if default is attrs.NOTHING:
        return False
    if isinstance(default, _FACTORY) or getattr(attribute, "converter", None) is not None:
        return True
    return fits(field.schema, default) and any(limits.allows(default) for limits in demand)


# ---- validators that cannot be read


def _opaque_fields(record: RecordOf, choice: Choice) -> dict[str, tuple[Any, ...]]:
    """Return the opaque validators of the fields that are drawn here."""
    fields = [field for field in attrs.fields(record.cls) if field.init]
    decided = {*choice.given, *choice.left}
    found = {
        field.name: opaque_in(read(field.validator))
        for field in fields
        if field.alias not in decided
    }
    return {name: validators for name, validators in found.items() if validators}


def _warn(cls: type, opaque: Mapping[str, tuple[Any, ...]]) -> None:
    if cls in _warned:
        return
    shown = "; ".join(
        f"{name}: {', '.join(getattr(each, '__qualname__', repr(each)) for each in validators)}"
        for name, validators in opaque.items()
    )
    warnings.warn(
        f"{cls.__qualname__} has validators that messages() cannot read ({shown}). It draws "
        "values of the right type and leaves out those that the class refuses, which is slow "
        "when most are. Give these fields strategies: messages(..., field=strategy).",
        OpaqueValidator,
        stacklevel=2,
    )
    _warned.add(cls)  # only now: where the warning is an error, it is one every time


# ---- dimensions with names


def _spans(fields: Sequence[_Field]) -> dict[str, tuple[int, int]]:
    """Return for each named dimension of a record's arrays how long it may be."""
    spans: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(name for field in fields for name in field.named):
        limits = Limits()
        for field in fields:
            if len(field.demand) == 1 and _begins_with(name, field.schema):
                limits = limits.and_also(field.demand[0])
        try:
            spans[name] = side(limits)
        except Impossible as error:
            concerned = " and ".join(field.name for field in fields if name in field.named)
            raise ImpossibleField(f'{concerned}: no length of "{name}" passes: {error}') from None
    return spans


def _begins_with(name: str, schema: Schema) -> bool:
    """Tell whether `len` of an array is the length of the dimension of this name."""
    shapes = [arm.spec.shape for arm in _arms(schema) if isinstance(arm, ArrayOf)]
    return any(shape and shape[0] == name for shape in shapes)


def _lengths_in(fields: Iterable[_Field], values: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the lengths that arrays drawn by somebody else give to their named dimensions."""
    return {
        name: (length, length)
        for field in fields
        for arm in _arms(field.schema)
        if isinstance(arm, ArrayOf) and field.alias in values
        for name, length in zip(
            arm.spec.shape or (), getattr(values[field.alias], "shape", ()), strict=False
        )
        if isinstance(name, str)
    }


def _arms(schema: Schema) -> tuple[Schema, ...]:
    return schema.arms if isinstance(schema, UnionOf) else (schema,)


# The optional keys of fixed_dictionaries get in each other's way when a failure shrinks.
@st.composite
def _drawn_or_left(draw: st.DrawFn, strategy: Strategy) -> Any:
    return draw(strategy) if draw(st.booleans()) else _LEFT


def _without_left(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not _LEFT}


def _merged(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
