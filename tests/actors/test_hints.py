"""Hints to whoever has mistaken a name."""

from __future__ import annotations

import pytest

from actors.errors import NoSuchActor, UnknownMessage, pack_error, unpack_error
from actors.hints import imported_script, no_handler, no_such_actor, no_such_status, similar
from actors.message import MAIN_ALIAS, message


class Put:
    pass


class Get:
    pass


@message(tag="bank.py~9f86d081:Give")
class Give:
    pass


def test_names_that_are_alike_are_found_and_others_are_not():
    assert similar("calk", ["calc", "viewer-1", "camera"]) == ["calc"]
    assert similar("nobody", ["calc", "viewer-1"]) == []


def test_of_very_many_names_none_is_compared():
    assert similar("calk", [f"calc{n}" for n in range(2000)]) == []


def test_a_mistaken_name_is_answered_with_the_one_that_was_meant():
    error = unpack_error(pack_error(no_such_actor("calk", "Add", ["calc"]), escaped=False))

    assert type(error) is NoSuchActor
    assert (error.target, error.message) == ("calk", "Add")
    assert str(error) == "no actor is called calk: Add was not delivered. Did you mean calc?"


def test_a_name_like_no_other_is_answered_with_where_the_names_are():
    assert str(no_such_actor("calk", "")) == (
        "no actor is called calk. Spawn it, or look at `understudy status` for the names there are."
    )


def test_who_asks_for_the_status_of_a_mistaken_name_hears_the_names_there_are():
    assert no_such_status("calk", ["view", "calc"]) == (
        "no actor is called calk; did you mean calc? there are: calc, view"
    )
    assert no_such_status("", []) == "no actor is called (no name); there are: none"
    assert no_such_status("x", [f"a{n}" for n in range(10)]).endswith("a6, a7 and 2 more")


def test_a_message_nobody_handles_is_answered_with_those_that_are():
    error = no_handler("calc", "play:Add", [Put, Get])

    assert isinstance(error, UnknownMessage)
    assert (error.target, error.tag) == ("calc", "play:Add")
    assert str(error).startswith("calc has no handler for Add; it handles Get, Put.")


def test_another_class_of_the_same_name_is_said_to_be_one():
    assert "another class of that name: other:Put is not" in str(
        no_handler("c", "other:Put", [Put])
    )


def test_a_class_of_a_script_that_was_imported_elsewhere_is_said_to_be_another(monkeypatch):
    monkeypatch.setattr(Give, "__module__", MAIN_ALIAS)  # as in a process that a script has started
    error = imported_script("giver", "bank:Give", [Put, Give])

    assert isinstance(error, UnknownMessage)
    assert (error.target, error.tag) == ("giver", "bank:Give")
    assert str(error) == (
        "giver handles Give of the script bank.py, and bank:Give is another class: Python makes "
        "one when a file is run, and one when it is imported. Move the messages to a module that "
        "both programs import."
    )


@pytest.mark.parametrize("tag", ["bank:Take", "shop:Give", "Give", "bank.py~00000000:Give"])
def test_of_any_other_unknown_class_nothing_more_is_said(tag, monkeypatch):
    monkeypatch.setattr(Give, "__module__", MAIN_ALIAS)

    assert imported_script("giver", tag, [Put, Give]) is None
