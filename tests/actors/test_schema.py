from __future__ import annotations

import pytest

from actors.address import Address
from actors.schema import (
    Leaf,
    LiteralOf,
    RecordOf,
    UnionOf,
    address_of,
    is_reference,
    literal_text,
    register_reference,
)


def test_schemas_are_values():
    assert UnionOf((Leaf(int), Leaf(str))) == UnionOf((Leaf(int), Leaf(str)))
    assert len({RecordOf(int), RecordOf(int), RecordOf(int, (Leaf(str),))}) == 2


def test_a_literal_knows_true_from_1_and_ignores_the_order():
    assert LiteralOf((1, "a")) == LiteralOf(("a", 1))
    assert LiteralOf((1,)) != LiteralOf((True,))
    assert len({LiteralOf((1, 2)), LiteralOf((2, 1)), LiteralOf((1, True))}) == 2
    assert literal_text("1") != literal_text(1)


def test_a_registered_class_travels_as_its_address():
    class Handle:
        pass

    assert not is_reference(Handle)
    register_reference(Handle, lambda handle: Address("someone"))

    assert is_reference(Handle)
    assert address_of(Handle()) == Address("someone")
    with pytest.raises(KeyError):
        address_of(3)
