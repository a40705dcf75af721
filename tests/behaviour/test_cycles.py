"""Asks in a circle: refused at once by name, unless they can be answered after all."""

from __future__ import annotations

import time

import pytest
from circle import (
    Awaiting,
    Beside,
    BesideLast,
    Blocking,
    Items,
    LeaveAsk,
    Left,
    Overlapping,
    Path,
    Read,
    Start,
    Words,
)

from actors.errors import AskCycle, HandlerError, NotDelivered
from supervisor import Pool, Tree


def circle_of(caught):
    return caught.value.path


def test_an_actor_that_asks_itself_is_refused_at_once(spawn):
    for cls in (Blocking, Awaiting):
        ref = spawn(cls)
        begin = time.monotonic()

        with pytest.raises(AskCycle, match=f"{ref.name} -> {ref.name}") as caught:
            ref.ask(Path((ref,))).result()

        assert time.monotonic() - begin < 5.0
        assert circle_of(caught) == (ref.name, ref.name)
        assert caught.value.target == ref.name
        assert caught.value.message == "Path"
        assert ref.ask(Path(())).result() == (ref.name,)


@pytest.mark.parametrize("first", [Blocking, Awaiting])
@pytest.mark.parametrize("second", [Blocking, Awaiting])
def test_two_actors_that_ask_each_other_are_refused_naming_the_path(spawn, first, second):
    a, b = spawn(first), spawn(second)

    with pytest.raises(AskCycle) as caught:
        a.ask(Path((b, a))).result()

    assert circle_of(caught) == (a.name, b.name, a.name)
    assert isinstance(caught.value, HandlerError)
    assert isinstance(caught.value, NotDelivered)
    assert a.ask(Path((b,))).result() == (a.name, b.name)


def test_a_longer_circle_names_only_those_in_it(spawn):
    a, b, c, d = spawn(Blocking), spawn(Awaiting), spawn(Blocking), spawn(Awaiting)

    with pytest.raises(AskCycle) as caught:
        a.ask(Path((b, c, d, b))).result()

    assert circle_of(caught) == (b.name, c.name, d.name, b.name)


def test_a_circle_that_begins_with_a_told_message_is_refused_too(spawn):
    a, b = spawn(Blocking), spawn(Awaiting)

    a.tell(Start((b, a)))

    assert a.ask(Words()).result() == [f"{a.name} -> {b.name} -> {a.name}"]


def test_who_tells_does_not_wait(spawn):
    a, b = spawn(Blocking), spawn(Blocking)

    b.tell(Start((a,)))

    assert b.ask(Words()).result() == []


def test_an_async_handler_is_asked_back_where_handlers_may_overlap(spawn):
    a, b = spawn(Awaiting), spawn(Blocking)

    assert a.ask(BesideLast((b, a))).result() == (a.name, b.name, a.name)
    assert a.ask(BesideLast((a,))).result() == (a.name, a.name)
    assert a.ask(BesideLast((b, a))).result() == (a.name, b.name, a.name)


def test_a_def_handler_that_waits_is_never_asked_back(spawn):
    a, b = spawn(Blocking), spawn(Awaiting)

    with pytest.raises(AskCycle):
        a.ask(BesideLast((b, a))).result()


def test_what_was_told_before_is_not_overtaken_by_the_ask_back(spawn):
    a, b = spawn(Awaiting), spawn(Awaiting)

    with pytest.raises(AskCycle):
        a.ask(BesideLast((b, a), before=2)).result()

    assert a.ask(Words()).result() == ["0", "1"]


def test_handlers_that_overlap_are_asked_back_in_every_way(spawn):
    a, b = spawn(Overlapping), spawn(Overlapping)

    assert a.ask(Beside((b, a))).result() == (a.name, b.name, a.name)
    assert a.ask(Beside((b, a, b))).result() == (a.name, b.name, a.name, b.name)


def test_a_chain_of_asks_has_a_limit(spawn):
    a, b = spawn(Awaiting), spawn(Awaiting)

    assert len(a.ask(Beside((b, a) * 20)).result()) == 41
    with pytest.raises(AskCycle):
        a.ask(Beside((b, a) * 40)).result()


def test_an_actor_that_has_not_waited_is_asked_back(spawn):
    a, b = spawn(Blocking), spawn(Blocking)

    assert a.ask(LeaveAsk(b, a)).result() == "left"

    while not (answer := a.ask(Left()).result()):
        pass
    assert answer == (a.name,)


def test_a_stream_that_asks_its_reader_is_refused(spawn):
    a, b = spawn(Blocking), spawn(Blocking)

    with pytest.raises(AskCycle) as caught:
        a.ask(Read(b, (a,))).result()

    assert circle_of(caught) == (a.name, b.name, a.name)
    assert list(b.stream(Items((a,)))) == ["first", a.name]


def test_a_stream_of_its_own_is_refused(spawn):
    a = spawn(Blocking)

    with pytest.raises(AskCycle):
        a.ask(Read(a, ())).result()


def test_a_circle_through_a_pool_names_the_member(start_system):
    system = start_system(Tree(children=[Pool(Blocking, name="crew", size=2)]))
    crew, a = system.ref("crew"), system.spawn(Blocking, name="a")

    with pytest.raises(AskCycle) as caught:
        a.ask(Path((crew, a))).result()

    first, member, last = circle_of(caught)
    assert (first, last) == ("a", "a")
    assert member.startswith("crew")
