"""Strategies for values with parts: containers, unions, records.

    schema: what the codec accepts        ──┐
                                            ├──▶  strategy
    limits: what the validators accept    ──┘

Values are finite by construction. A class that can contain itself is given `depth` levels; at the
last of them all that leads back to it is left out: arms of unions, items of lists, fields with
defaults. Where nothing can be left out the class is endless, which is an error.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from actors.address import LONGEST_NAME
from actors.codec import FrameCarrier, ValueCodec
from actors.errors import InvalidMessage
from actors.ref import ActorRef
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
)
from actors.testing.arrays import array, scalar
from actors.testing.graph import Graph
from actors.testing.leaves import (
    Strategy,
    check_class,
    checked,
    leaf,
    lengths,
    members,
    one_of_these,
    sound,
)
from actors.testing.limits import (
    ANYTHING,
    Alternatives,
    Endless,
    Impossible,
    Limits,
    limits_of_meta,
)
from actors.wire.form import Place
from actors.wire.records import WireForms

_forms: Final = WireForms()
_FEW: Final = 10_000  # options of in_ beyond which it is not tried out which of them pass
_REFS: Final = st.builds(
    ActorRef,
    st.text(string.ascii_letters + string.digits + "_.:#-", min_size=1, max_size=LONGEST_NAME)
    .filter(lambda name: name[0] != "-"),
    st.none(),
)  # fmt: skip


def can_travel(record: RecordOf) -> None:
    """Raise what the codec raises when the record, or something in it, has no form on the wire."""
    _forms.of_record(record)


@attrs.frozen
class At:
    """Where in a message a value is drawn."""

    depth: int  # levels of circular records that may follow
    names: Mapping[str, int] = {}  # lengths of the named dimensions of this record


@attrs.frozen
class Composer:
    """Makes the strategies for all that a class consists of."""

    graph: Graph
    inner: Callable[[RecordOf, int], Strategy]  # makes those of records, at a depth

    def of(self, schema: Schema, alternatives: Alternatives, at: At) -> Strategy:
        """Return a strategy for values that the schema and one of the alternatives allow."""
        return _any_of(partial(self._one, schema, limits, at) for limits in alternatives)

    def _one(self, schema: Schema, limits: Limits, at: At) -> Strategy:
        options = _options_of(limits)
        if options is not None:
            return _some_of(options, schema, limits)
        return checked(self._drawn(schema, limits, at), limits)

    def _drawn(self, schema: Schema, limits: Limits, at: At) -> Strategy:  # noqa: C901, PLR0912
        match schema:
            case Leaf(cls):
                return leaf(cls, limits)
            case EnumOf(cls):
                return members(cls, limits)
            case LiteralOf(values):
                return one_of_these(values, limits)
            case ListOf() | ManyOf() | SetOf():
                return self._many(schema, limits, at)
            case TupleOf():
                return self._tuple(schema, limits, at)
            case DictOf(key, value):
                return self._dict(key, value, limits, at)
            case TableOf():
                return self._table(schema, limits, at)
            case UnionOf(arms):
                simplest_first = sorted(arms, key=self._complexity)
                return _any_of(partial(self._drawn, arm, limits, at) for arm in simplest_first)
            case ArrayOf(spec):
                return array(spec, limits, at.names)
            case ScalarOf():
                return scalar(schema, limits)
            case RefOf(cls):
                check_class(cls, limits)
                others: Any = cls
                return _REFS if cls is ActorRef else st.from_type(others)
            case Bounded(item, metas):
                for meta in metas:
                    limits = limits.and_also(limits_of_meta(meta))
                return self._drawn(item, limits, at).filter(partial(fits, schema))
            case RecordOf():
                check_class(schema.cls, limits)
                return self.inner(schema, at.depth)

    def _complexity(self, arm: Schema) -> int:
        """Order the arms of a union: failures shrink to the first that fails."""
        if arm == Leaf(type(None)):
            return 0
        if isinstance(arm, Leaf | EnumOf | LiteralOf | ScalarOf | RefOf):
            return 1
        return 3 if self.graph.leads_back(arm) else 2

    # ---- containers

    def _many(self, schema: ListOf | ManyOf | SetOf, limits: Limits, at: At) -> Strategy:
        cls: Any = schema.cls if isinstance(schema, SetOf) else _SEQUENCES[type(schema)]
        check_class(cls, limits)
        least, most = self._lengths(schema.item, limits, at)
        try:
            items = self.of(schema.item, limits.items or ANYTHING, at)
        except Endless:
            if least:
                raise
            return st.builds(cls)
        if isinstance(schema, SetOf):
            return sound(st.sets(items, min_size=least, max_size=most)).map(cls)
        return st.lists(items, min_size=least, max_size=most).map(cls)

    def _lengths(self, item: Schema, limits: Limits, at: At) -> tuple[int, int | None]:
        """Return how many items: fewer with each level, or a tree would grow as it pleases."""
        return lengths(limits, most=at.depth if self.graph.leads_back(item) else None)

    def _tuple(self, schema: TupleOf, limits: Limits, at: At) -> Strategy:
        check_class(schema.cls, limits)
        least, most = lengths(limits)
        if not least <= len(schema.items) <= (len(schema.items) if most is None else most):
            raise Impossible(f"it has {len(schema.items)} items, whatever its length should be")
        parts = [self.of(item, limits.items or ANYTHING, at) for item in schema.items]
        make: Any = tuple if schema.cls is tuple else getattr(schema.cls, "_make")  # noqa: B009
        return st.tuples(*parts).map(make)

    def _dict(self, key: Schema, value: Schema, limits: Limits, at: At) -> Strategy:
        check_class(dict, limits)
        least, most = self._lengths(UnionOf((key, value)), limits, at)
        try:
            keys = self.of(key, limits.of_keys, at)
            values = self.of(value, limits.values or ANYTHING, at)
        except Endless:
            if least:
                raise
            return st.builds(dict[Any, Any])
        return sound(st.dictionaries(keys, values, min_size=least, max_size=most))

    def _table(self, schema: TableOf, limits: Limits, at: At) -> Strategy:
        check_class(dict, limits)
        required: dict[str, Strategy] = {}
        optional: dict[str, Strategy] = {}
        for name, cell in schema.items:
            may_miss = name in schema.optional
            try:
                drawn = self.of(cell, limits.values or ANYTHING, at)
            except Endless:
                if not may_miss:
                    raise
            else:
                (optional if may_miss else required)[name] = drawn
        return st.fixed_dictionaries(required, optional=optional)


_SEQUENCES: Final[Mapping[type, type]] = {ListOf: list, ManyOf: tuple}


def _any_of(makers: Iterable[Callable[[], Strategy]]) -> Strategy:
    """Return all the strategies that can be made. Impossible, with all reasons, when none can."""
    found: list[Strategy] = []
    reasons: list[Impossible] = []
    for make in makers:
        try:
            found.append(make())
        except Impossible as reason:
            reasons.append(reason)
    if found:
        return st.one_of(found)
    kind = Endless if any(isinstance(reason, Endless) for reason in reasons) else Impossible
    raise kind("; ".join(dict.fromkeys(map(str, reasons))) or "no alternative is left")


# ---- values that somebody listed


def _options_of(limits: Limits) -> Iterable[Any] | None:
    """Return the values of the first container that can be listed."""
    for options in limits.options:
        if isinstance(options, str):  # for which `in` means: is a part of
            length = len(options)
            return [options[i:j] for i in range(length) for j in range(i, length + 1)]
        if hasattr(options, "__iter__"):
            return options  # type: ignore[no-any-return]  # what in_ was given
    return None


def _some_of(options: Iterable[Any], schema: Schema, limits: Limits) -> Strategy:
    if isinstance(options, range) and len(options) > _FEW:
        picked = st.integers(0, len(options) - 1).map(options.__getitem__)
        return checked(picked.filter(partial(fits, schema)), limits)
    return one_of_these([option for option in options if fits(schema, option)], limits)


def fits(schema: Schema, value: Any) -> bool:
    """Tell whether a value could travel as one of this schema."""
    codec = ValueCodec("value", _forms.of(schema, Place("value")), "")
    try:
        codec.encode(value, FrameCarrier())
    except InvalidMessage:
        return False
    return True
