"""Refs are values; actors know each other by them, spawn each other and watch each other."""

from __future__ import annotations

import asyncio

import pytest
from troupe import (
    Add,
    After,
    AskingHook,
    AsyncHooked,
    AsyncParent,
    Book,
    Catcher,
    Clock,
    Collector,
    Ends,
    Every,
    FailTold,
    Gallery,
    Get,
    GiveRef,
    Hooked,
    Note,
    Parent,
    Registry,
    Sender,
    SpawnChild,
    Stop,
    Texts,
    Who,
)

from actors import ActorRef
from actors.errors import ActorStopped, HandlerError, NoSuchActor, SpawnError


def test_refs_travel_in_messages_and_work_where_they_arrive(spawn):
    registry, one, two = spawn(Registry), spawn(Collector), spawn(Collector)

    answer = registry.ask(Book(one, {"a": two, "b": one})).result()

    assert answer == f"{one.name},a={two.name},b={one.name}"


def test_a_ref_in_an_answer_works(spawn):
    registry = spawn(Registry)

    ref = registry.ask(GiveRef()).result()

    assert isinstance(ref, ActorRef)
    assert ref == registry
    assert ref.ask(GiveRef()).result() == registry


def test_a_ref_may_be_a_spawn_argument(spawn):
    friend = spawn(Collector)

    assert spawn(Gallery, friend=friend).ask(Who()).result() == (friend.name, 1)


def test_refs_compare_and_hash_by_name(system, spawn):
    ref = spawn(Collector)

    assert system.ref(ref.name) == ref
    assert hash(system.ref(ref.name)) == hash(ref)
    assert {ref: 1}[system.ref(ref.name)] == 1
    assert ref != spawn(Collector)
    assert ref != ref.name


def test_a_ref_that_was_kept_works_for_the_next_life(system, spawn):
    friend = spawn(Collector)
    gallery = spawn(Gallery, friend=friend)
    system.kill(friend.name)

    assert gallery.ask(Who()).result() == (friend.name, 2)


def test_an_actor_meets_the_errors_of_its_own_asks(system, spawn, name):
    assert spawn(Catcher).ask(Book(system.ref(name))).result() == "NoSuchActor"


@pytest.mark.parametrize("hooked", [Hooked, AsyncHooked, AskingHook])
def test_hooks_run_at_start_and_stop(system, spawn, hooked):
    witness = spawn(Collector)
    ref = spawn(hooked, witness=witness, label="h")
    assert ref.ask(Add(1, 2)).result() == 3.0

    system.stop(ref.name)

    while len(texts := witness.ask(Texts()).result()) < 2:
        pass
    assert texts[0].startswith("h start")
    assert not texts[0].endswith("False")
    assert texts[1].startswith("h stop: ")


def test_on_stop_runs_when_a_handler_raised(spawn):
    witness = spawn(Collector)
    ref = spawn(Hooked, witness=witness)

    ref.tell(FailTold("oh"))

    assert ref.ask(Add(1, 2)).result() == 3.0
    while len(texts := witness.ask(Texts()).result()) < 3:
        pass
    assert texts == ["hooked start 1", "hooked stop: RuntimeError: oh", "hooked start 2"]


def test_timers_put_messages_into_the_own_mailbox(spawn):
    ref = spawn(Clock)

    ref.tell(After(0.02, 7))
    ref.tell(After(0.01, 3))

    while len(numbers := ref.ask(Get()).result()) < 2:
        pass
    assert numbers == [3, 7]


def test_a_repeating_timer_repeats_until_it_is_cancelled(spawn):
    ref = spawn(Clock)

    ref.tell(Every(0.005))
    while len(ref.ask(Get()).result()) < 5:
        pass
    ref.tell(Stop())
    ticks = len(ref.ask(Get()).result())
    ref.tell(After(0.05, 2))
    while 2 not in (numbers := ref.ask(Get()).result()):
        pass

    assert numbers == [1] * ticks + [2]


def test_the_sender_is_known(spawn):
    ref = spawn(Clock)

    assert ref.ask(Sender()).result().startswith("client-")


@pytest.mark.parametrize("parent", [Parent, AsyncParent])
def test_an_actor_spawns_another(system, spawn, name, parent):
    child = spawn(parent).ask(SpawnChild(name)).result()

    assert child.name == name
    assert child.ask(Add(1, 2)).result() == (30.0 if parent is Parent else 3.0)
    assert system.status().actor(name).state in ("running", "busy")
    system.stop(name)


def test_a_spawned_actor_gets_a_name_of_its_own(system, spawn):
    parent = spawn(Parent)

    one, two = parent.ask(SpawnChild("")).result(), parent.ask(SpawnChild("")).result()

    assert one != two
    assert one.name.startswith(f"{parent.name}.calculator")
    for child in (one, two):
        system.stop(child.name)


def test_a_child_that_does_not_start_is_heard_of_as_terminated(spawn, name):
    parent = spawn(Parent)

    child = parent.ask(SpawnChild(name, fail=True)).result()

    while not (ends := parent.ask(Ends()).result()):
        pass
    assert [(end.name, end.restarting) for end in ends] == [(name, False)]
    with pytest.raises((SpawnError, ActorStopped, NoSuchActor)):
        child.ask(Who()).result()


def test_a_child_may_not_take_a_name_that_is_taken_or_bad(spawn):
    parent, other = spawn(Parent), spawn(Collector)

    with pytest.raises(SpawnError, match="taken") as caught:
        parent.ask(SpawnChild(other.name)).result()
    assert isinstance(caught.value, HandlerError)
    with pytest.raises(ValueError, match="@monitor"):
        parent.ask(SpawnChild("@monitor")).result()


def test_refs_work_in_asyncio_code(system, spawn):
    ref = spawn(Collector)

    async def use():
        ref.tell(Note("a"))
        await ref.room()
        return await ref.ask(Texts())

    assert asyncio.run(use()) == ["a"]
