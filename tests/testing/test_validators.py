from __future__ import annotations

import re

import attr
import attrs
import pytest
from attrs import validators as v

from actors.testing.validators import (
    AllOf,
    AnyOf,
    Entries,
    Fails,
    IsA,
    Length,
    Matches,
    Members,
    OneOf,
    Opaque,
    Order,
    opaque_in,
    passes,
    read,
)
from tests.ids import numbered

GE, IN = v.ge(0), v.in_([1, 2])
PATTERN = re.compile("a+")

# attrs keeps the classes and attributes of its validators private. When one of these fails, an
# attrs has come whose validators look different: teach actors/testing/validators.py the new look.
LOOKS = [
    (v.and_(GE, IN), lambda _: AllOf((read(GE), read(IN)))),
    (v.or_(GE, IN), lambda _: AnyOf((read(GE), read(IN)))),
    (v.optional(GE), lambda _: AnyOf((read(v.instance_of(type(None))), read(GE)))),
    (
        v.optional([GE, IN]),
        lambda _: AnyOf((read(v.instance_of(type(None))), read(v.and_(GE, IN)))),
    ),
    (v.not_(GE), lambda me: Fails(me, read(GE))),
    (v.ge(3), lambda me: Order(me, ">=", 3)),
    (v.gt(3), lambda me: Order(me, ">", 3)),
    (v.le(3), lambda me: Order(me, "<=", 3)),
    (v.lt(3), lambda me: Order(me, "<", 3)),
    (v.in_([2, 1]), lambda me: OneOf(me, (2, 1))),
    (v.in_({"b", "c", "a"}), lambda me: OneOf(me, ["a", "b", "c"])),
    (v.in_(frozenset({"b", "c", "a"})), lambda me: OneOf(me, ["a", "b", "c"])),
    (v.in_("abc"), lambda me: OneOf(me, "abc")),
    (v.min_len(2), lambda me: Length(me, least=2)),
    (v.max_len(2), lambda me: Length(me, most=2)),
    (v.matches_re(PATTERN), lambda me: Matches(me, PATTERN, "fullmatch")),
    (v.matches_re(PATTERN, func=re.search), lambda me: Matches(me, PATTERN, "search")),
    (v.matches_re(PATTERN, func=re.match), lambda me: Matches(me, PATTERN, "match")),
    (v.instance_of(int), lambda me: IsA(me, int)),
    (v.instance_of((int, str)), lambda me: IsA(me, (int, str))),
    (v.deep_iterable(GE, IN), lambda me: Members(me, read(GE), read(IN))),
    (v.deep_iterable(GE), lambda me: Members(me, read(GE), AllOf(()))),
    (v.deep_mapping(GE, IN, GE), lambda me: Entries(me, read(GE), read(IN), read(GE))),
    (v.deep_mapping(value_validator=IN), lambda me: Entries(me, AllOf(()), read(IN), AllOf(()))),
    (v.is_callable(), Opaque),
    (print, Opaque),
    (None, lambda _: AllOf(())),
]


@pytest.mark.parametrize(("validator", "looks"), numbered(LOOKS))
def test_this_validator_of_attrs_is_read(validator, looks):
    assert read(validator) == looks(validator)


def test_attrs_has_no_validator_that_nobody_has_looked_at():
    assert set(attr.validators.__all__) == {
        "and_", "deep_iterable", "deep_mapping", "disabled", "ge", "get_disabled", "gt", "in_",
        "instance_of", "is_callable", "le", "lt", "matches_re", "max_len", "min_len", "not_",
        "optional", "or_", "set_disabled",
    }  # fmt: skip


def test_validators_of_a_field_are_read_whichever_way_they_were_written():
    @attrs.define
    class Three:
        one: int = attrs.field(validator=[GE, IN])
        two: int = attrs.field(validator=GE)

        @two.validator
        def _more(self, _attribute, _value): ...

    one, two = attrs.fields(Three)

    assert read(one.validator) == AllOf((read(GE), read(IN)))
    assert [type(part) for part in read(two.validator).parts] == [Order, Opaque]


def test_a_validator_that_looks_different_inside_is_opaque():
    changed = object.__new__(type(GE))  # as from an attrs that keeps its bound elsewhere

    assert isinstance(read(changed), Opaque)


def test_opaque_parts_are_found_at_every_depth():
    deep = v.deep_mapping(v.not_(print), v.deep_iterable(v.optional(max), v.or_(GE, min)))

    assert opaque_in(read(v.and_(GE, deep))) == (print, max, min)
    assert opaque_in(read(v.and_(GE, IN))) == ()


def test_any_error_of_a_validator_is_a_no():
    assert passes(v.ge(3), 3)
    assert not passes(v.ge(3), 2)
    assert not passes(v.ge(3), "a")
    assert not passes(v.deep_iterable(GE), 3)
