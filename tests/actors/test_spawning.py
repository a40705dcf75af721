"""Spawn arguments on their way to the actor's process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Generic, TypeVar

import attrs
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


class Printer(Actor):
    path: Path = attrs.field(converter=Path)
    copies: Annotated[int, {"unit": "sheets"}] = attrs.field(default=1, converter=int)
    names: str = attrs.field(default="", converter=str.split)


class Timer(Actor):
    delay: int = attrs.field(default=0, converter=lambda seconds: int(seconds * 1000))
    hosts: list[str] = attrs.field(factory=list, converter=lambda text: text.split(","))


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


def test_a_converter_makes_of_an_argument_what_its_field_takes():
    assert arrive(Printer, path="a/b", copies="2") == {"path": Path("a/b"), "copies": 2}


def test_an_argument_that_fits_is_left_to_the_converter_in_the_actor():
    assert arrive(Printer, path=Path("a"), names="Ann Bob")["names"] == "Ann Bob"


def test_an_argument_of_which_a_converter_makes_nothing_is_refused_by_name():
    with pytest.raises(InvalidMessage, match=r"Printer\.copies.*expected int, got str 'two'"):
        encode_fields(Printer, {"path": "a", "copies": "two"})


@pytest.mark.parametrize(("field", "given"), [("delay", 0.5), ("hosts", "a,b")])
def test_a_converter_that_would_change_what_it_has_made_gets_no_argument_that_does_not_fit(
    field, given
):
    with pytest.raises(InvalidMessage, match=rf"Timer\.{field}.*expected"):
        encode_fields(Timer, {field: given})


def test_notes_without_a_hash_do_no_harm():
    assert arrive(Printer, path=Path("a"), copies=3)["copies"] == 3
