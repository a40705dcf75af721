"""What the broker knows of one name, and what it says of names that nobody has."""

from __future__ import annotations

from actors.control import Standing, Stands
from supervisor.registry import Entry, absent


def test_a_name_of_which_nothing_is_known_is_down():
    assert Entry().stands("a") == Stands("a", Standing.DOWN, 0, 0, "", b"")


def test_whoever_is_up_and_not_connected_here_is_down():
    entry = Entry()
    entry.standing, entry.incarnation, entry.endpoint = Standing.UP, 2, "ipc://there"
    entry.mailbox, entry.host, entry.reason = 7, b"here", "since noon"
    assert entry.stands("a") == Stands("a", Standing.DOWN, 2, 7, "since noon", b"here")

    entry.party = b"connected"

    up = Stands("a", Standing.UP, 2, 7, "since noon", b"here", endpoint="ipc://there")
    assert entry.stands("a") == up


def test_a_pool_is_up_with_its_members_whoever_of_them_is_connected():
    entry = Entry()
    entry.standing, entry.mailbox, entry.members = Standing.UP, 7, ["a#1"]
    assert entry.stands("a") == Stands("a", Standing.UP, 0, 7, members=["a#1"])

    entry.standing = Standing.FAILED

    assert entry.stands("a").standing is Standing.FAILED


def test_a_name_that_is_gone_has_its_reason_and_another_has_those_that_are_like_it():
    visitor, near = Entry(), Entry()
    visitor.client = True
    names = {"calc": near, "calk": visitor, "@calc": Entry()}

    assert absent("calc1", {"calc1": "stopped"}, names) == Stands(
        "calc1", Standing.GONE, 0, reason="stopped"
    )
    assert absent("calcs", {}, names) == Stands("calcs", Standing.UNKNOWN, 0, reason="calc")
