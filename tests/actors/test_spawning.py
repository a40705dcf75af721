"""Spawn arguments on their way to the actor's process."""

from __future__ import annotations

from typing import Generic, TypeVar

import pytest

from actors import Actor, ActorRef
from actors.errors import InvalidMessage
from actors.spawning import decode_fields, encode_fields

T = TypeVar("T")


class Till(Actor):
    catalogue: ActorRef
    backup: ActorRef | None = None
    printer: ActorRef | str = ""


class Shelf(Actor, Generic[T]):
    rows: list[T]
    top: T


class Books(Shelf[list[T]]):
    pass


class Titles(Books[str]):
    pass


def arrive(cls=Till, **given):
    encoded = encode_fields(cls, given)
    return decode_fields(cls, encoded, lambda address: ActorRef(address.name, None))


def test_a_name_stands_for_the_ref_of_a_sibling():
    found = arrive(catalogue="catalogue", backup="spare")

    assert found == {"catalogue": ActorRef("catalogue", None), "backup": ActorRef("spare", None)}


def test_a_field_that_may_be_text_stays_text():
    assert arrive(catalogue="catalogue", printer="on the left")["printer"] == "on the left"


def test_no_ref_is_no_ref():
    assert arrive(catalogue="catalogue", backup=None)["backup"] is None


@pytest.mark.parametrize("wrong", ["", "two words\n", 5])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises((InvalidMessage, ValueError)):
        encode_fields(Till, {"catalogue": wrong})


def test_the_type_variables_of_a_generic_actor_are_filled_in():
    fields = {"rows": [["a"], ["b"]], "top": ["c"]}

    assert arrive(Titles, **fields) == fields
    with pytest.raises(InvalidMessage, match=r"Titles\.top"):
        encode_fields(Titles, {**fields, "top": ["c", 1]})
