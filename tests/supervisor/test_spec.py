"""What a user declares (supervisor/spec.py)."""

from __future__ import annotations

import math

import attrs
import pytest

from actors.backoff import Backoff
from supervisor.limits import Limits
from supervisor.spec import (
    AutoShutdown,
    Child,
    Intensity,
    Pool,
    Restart,
    Strategy,
    Tree,
)


class Actor:
    pass


def child(name: str = "a", **options) -> Child:
    return Child(Actor, name=name, **options)


# ----------------------------------------------------------------------------- Child


def test_a_child_is_permanent_with_five_seconds_of_grace_unless_said_otherwise():
    spec = child()

    assert (spec.restart, spec.grace, spec.threads) == (Restart.PERMANENT, 5.0, 1)
    assert (spec.backoff, spec.limits) == (Backoff(), Limits())
    assert not spec.significant
    assert dict(spec.fields) == {}
    assert dict(spec.metadata) == {}


def test_keywords_that_are_no_options_are_the_fields_of_the_actor():
    assert dict(child(exposure=0.01, cls="x", self=3).fields) == {
        "exposure": 0.01,
        "cls": "x",
        "self": 3,
    }


def test_a_field_named_like_an_option_is_given_with_with_fields():
    spec = child(grace=1.0, exposure=1).with_fields({"grace": 7, "fields": 8})

    assert spec.grace == 1.0
    assert dict(spec.fields) == {"exposure": 1, "grace": 7, "fields": 8}


def test_with_fields_leaves_the_original_as_it_was():
    spec = child(exposure=1)

    spec.with_fields({"exposure": 2})

    assert dict(spec.fields) == {"exposure": 1}


def test_a_child_is_frozen_with_all_it_holds():
    metadata = {"kind": "camera"}
    spec = child(metadata=metadata, exposure=1)
    metadata["kind"] = "stage"

    assert spec.metadata["kind"] == "camera"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.name = "b"
    with pytest.raises(TypeError):
        spec.fields["exposure"] = 2
    with pytest.raises(TypeError):
        spec.metadata["kind"] = "x"


def test_equal_specs_are_equal():
    assert child(metadata={"k": 1}, x=1) == child(metadata={"k": 1}, x=1)
    assert child(x=1) != child(x=2)


@pytest.mark.parametrize("field", ["name", "restart", "limits", "context"])
def test_reserved_names_of_fields_are_refused(field):
    with pytest.raises(ValueError, match=f"a field '{field}', which is a reserved name"):
        child().with_fields({field: 1})


def test_context_as_a_keyword_is_refused():
    with pytest.raises(ValueError, match="reserved name"):
        child(context=1)


def test_fields_as_a_keyword_names_the_way_out():
    with pytest.raises(TypeError, match="with_fields"):
        child(fields={"x": 1})


@pytest.mark.parametrize("name", ["", "@broker", "-x", "a b", "x" * 129])
def test_a_name_that_no_actor_may_have_is_refused(name):
    with pytest.raises(ValueError, match="cannot name an actor"):
        child(name)


@pytest.mark.parametrize("grace", [0, 0.5, math.inf])
def test_grace_may_be_nothing_or_for_ever(grace):
    assert child(grace=grace).grace == grace


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("grace", -1, ValueError),
        ("grace", math.nan, ValueError),
        ("grace", None, ValueError),
        ("grace", True, ValueError),
        ("threads", 0, ValueError),
        ("threads", 1.0, ValueError),
        ("spare", 2, ValueError),
        ("spare", True, ValueError),
        ("restart", "permanent", TypeError),
        ("backoff", 3, TypeError),
        ("limits", {}, TypeError),
        ("significant", 1, TypeError),
        ("metadata", {"k": [1]}, TypeError),
        ("metadata", {1: "k"}, TypeError),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_with_its_name(option, value, error):
    with pytest.raises(error, match=option):
        child(**{option: value})


def test_what_is_not_a_class_is_refused():
    with pytest.raises(TypeError, match=r"the actor class is .*: give a type"):
        Child(Actor(), name="a")


def test_a_permanent_child_cannot_be_significant():
    with pytest.raises(ValueError, match="Make it TRANSIENT or TEMPORARY"):
        child(significant=True)


def test_a_temporary_child_takes_no_backoff():
    with pytest.raises(ValueError, match="never restarts: it takes no backoff"):
        child(restart=Restart.TEMPORARY, backoff=Backoff.none())


def test_a_child_that_is_never_started_again_takes_no_spare():
    with pytest.raises(ValueError, match="never restarts: it takes no spare"):
        child(restart=Restart.TEMPORARY, spare=1)


def test_a_pool_takes_no_spare():
    with pytest.raises(TypeError, match="Its other members stand ready already"):
        Pool(Actor, name="p", size=2, spare=1)


# ----------------------------------------------------------------------------- Pool


def test_a_pool_expands_to_members_that_differ_in_their_name_only():
    pool = Pool(Actor, name="mover", size=3, grace=1.0, folder="x")

    assert [member.name for member in pool.members] == ["mover#1", "mover#2", "mover#3"]
    assert all(
        member.named("mover") == child("mover", grace=1.0, folder="x") for member in pool.members
    )


def test_with_fields_of_a_pool_reaches_its_members():
    pool = Pool(Actor, name="p", size=2).with_fields({"threads": 9})

    assert [dict(member.fields) for member in pool.members] == [{"threads": 9}] * 2
    assert pool.size == 2


@pytest.mark.parametrize("size", [0, -1, 1.0, True, None])
def test_a_pool_without_members_is_refused(size):
    with pytest.raises(ValueError, match=r"Pool\.size of 'p'"):
        Pool(Actor, name="p", size=size)


def test_a_pool_cannot_be_significant():
    with pytest.raises(TypeError, match="Put the Pool into a significant Tree"):
        Pool(Actor, name="p", size=1, significant=True)


def test_a_pool_whose_members_names_get_too_long_is_refused():
    with pytest.raises(ValueError, match="characters"):
        Pool(Actor, name="x" * 127, size=10)


# ----------------------------------------------------------------------------- Tree


def test_a_tree_is_one_for_one_with_ten_restarts_in_five_seconds_unless_said_otherwise():
    tree = Tree()

    assert tree.strategy is Strategy.ONE_FOR_ONE
    assert tree.intensity == Intensity(10, 5.0)
    assert tree.children == ()
    assert tree.auto_shutdown is AutoShutdown.NEVER


def test_a_tree_keeps_its_children_in_order_and_apart_from_the_list_given():
    given = [child("b"), child("a")]
    tree = Tree(Strategy.ONE_FOR_ALL, Intensity(1, 1.0), children=given)
    given.clear()

    assert [each.name for each in tree.children] == ["b", "a"]


def test_names_are_those_of_all_children_pools_members_and_trees():
    tree = Tree(
        name="top",
        children=[
            child("a"),
            Pool(Actor, name="p", size=2),
            Tree(name="t", children=[child("b"), Tree(children=[child("c")])]),
        ],
    )

    assert tree.names() == ("top", "a", "p", "p#1", "p#2", "t", "b", "c")


@pytest.mark.parametrize(
    "children",
    [
        [child("a"), child("a")],
        [child("a"), Tree(children=[child("a")])],
        [child("a"), Tree(name="a")],
        [child("p#1"), Pool(Actor, name="p", size=1)],
        [Pool(Actor, name="a", size=1), child("a")],
        [Tree(name="a", children=[]), Tree(children=[Tree(name="a")])],
    ],
)
def test_a_name_used_twice_anywhere_is_refused(children):
    with pytest.raises(ValueError, match=r"twice\. Names are unique"):
        Tree(children=children)


@pytest.mark.parametrize(
    "options",
    [
        {"children": [Actor]},
        {"strategy": "one_for_one"},
        {"intensity": 3},
        {"restart": "never"},
        {"auto_shutdown": True},
        {"backoff": None},
    ],
)
def test_an_option_of_a_tree_of_the_wrong_type_is_refused(options):
    with pytest.raises(TypeError, match="of a tree"):
        Tree(**options)


def test_a_tree_with_a_name_no_actor_may_have_is_refused():
    with pytest.raises(ValueError, match="cannot name an actor"):
        Tree(name="@tree")


def test_a_significant_child_needs_a_tree_that_shuts_itself_down():
    spec = child(restart=Restart.TRANSIENT, significant=True)

    with pytest.raises(ValueError, match="'a' is significant, but its tree has auto_shutdown"):
        Tree(children=[spec])
    assert Tree(children=[spec], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT).children == (spec,)


def test_a_significant_tree_follows_the_same_rules():
    inner = Tree(name="t", restart=Restart.TEMPORARY, significant=True)

    with pytest.raises(ValueError, match="auto_shutdown"):
        Tree(children=[inner])
    with pytest.raises(ValueError, match="never ends for good"):
        Tree(significant=True)
    with pytest.raises(ValueError, match="takes no backoff"):
        Tree(restart=Restart.TEMPORARY, backoff=Backoff.none())


@pytest.mark.parametrize(
    ("restarts", "period"),
    [(-1, 5), (1.0, 5), (True, 5), (1, 0), (1, -1), (1, math.inf), (1, math.nan), (1, "5")],
)
def test_an_intensity_that_makes_no_sense_is_refused(restarts, period):
    with pytest.raises(ValueError, match="Intensity"):
        Intensity(restarts, period)
