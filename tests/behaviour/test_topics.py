"""Events: published by programs and actors, heard by programs and actors."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from press import (
    AsyncListener,
    AsyncReporter,
    Doze,
    Heard,
    LateNews,
    Letters,
    Listener,
    News,
    Picture,
    Publish,
    Reporter,
    SubscribeTo,
    Undertaker,
)

from actors import DeadLetter
from actors.errors import InvalidMessage, MailboxFull
from supervisor import Limits


def take(stream, count):
    return [stream.next(timeout=20).n for _ in range(count)]


def test_what_a_program_publishes_reaches_an_actor_that_has_just_subscribed(system, spawn):
    system.publish(News(0))
    ref = spawn(Listener)

    system.publish(News(1))
    system.publish(News(2))

    assert ref.ask(Heard()).result() == [1, 2]


def test_what_a_program_publishes_reaches_its_own_stream(system):
    with system.subscribe(News) as news:
        system.publish(News(1))
        system.publish(News(2))

        assert take(news, 2) == [1, 2]


@pytest.mark.parametrize("reporter", [Reporter, AsyncReporter])
def test_what_an_actor_publishes_reaches_programs_and_actors_in_order(system, spawn, reporter):
    source, ref = spawn(reporter), spawn(Listener)
    source.ask(Publish(0)).result()
    with system.subscribe(News) as news, system.subscribe(News) as again:
        late = spawn(Listener)

        source.ask(Publish(1, 100)).result()

        assert take(news, 100) == list(range(1, 101))
        assert take(again, 100) == list(range(1, 101))
    while len(ref.ask(Heard()).result()) < 101 or len(late.ask(Heard()).result()) < 100:
        pass
    assert ref.ask(Heard()).result() == list(range(101))
    assert late.ask(Heard()).result() == list(range(1, 101))


def test_asyncio_code_reads_events(system, spawn):
    source = spawn(AsyncReporter)

    async def read():
        async with system.subscribe(News) as news:
            await source.ask(Publish(5, 3))
            return [(await anext(news)).n for _ in range(3)]

    assert asyncio.run(read()) == [5, 6, 7]


def test_a_subscription_in_a_handler_is_complete_when_it_returns(system, spawn):
    source, ref = spawn(Reporter), spawn(AsyncListener)
    source.ask(Publish(0)).result()
    assert ref.ask(SubscribeTo()).result() == "subscribed"

    source.ask(Publish(1)).result()

    while not (heard := ref.ask(Heard()).result()):
        pass
    assert heard == [1]


def test_a_subscriber_that_restarts_misses_nothing(system, spawn):
    ref = spawn(Listener)
    system.publish(News(1))
    assert ref.ask(Heard()).result() == [1]

    system.kill(ref.name)
    for n in range(2, 50):
        system.publish(News(n))

    assert ref.ask(Heard()).result() == list(range(2, 50))


def test_an_event_whose_handler_raises_ends_the_incarnation_as_a_told_message_does(system, spawn):
    ref = spawn(Listener)
    with system.subscribe(DeadLetter) as letters:
        system.publish(News(1, "fall"))
        system.publish(News(2))

        letter = next(each for each in letters if each.target == ref.name)

    assert "fall" in letter.text
    assert ref.ask(Heard()).result() == [2]


def test_a_subscriber_that_is_stopped_is_forgotten(system, spawn):
    ref, other = spawn(Listener), spawn(Listener)
    system.publish(News(1))
    assert ref.ask(Heard()).result() == [1]

    system.stop(ref.name)
    before = system.status().dead_letters
    system.publish(News(2))

    assert other.ask(Heard()).result() == [1, 2]
    assert system.status().dead_letters == before


def test_a_closed_stream_is_forgotten(system):
    with system.subscribe(News) as news:
        system.publish(News(1))
        assert take(news, 1) == [1]
    before = system.status().dead_letters

    with system.subscribe(News) as news:
        system.publish(News(2))
        assert take(news, 1) == [2]

    assert list(news) == []
    assert system.status().dead_letters == before


def test_a_subclass_is_another_event(system, spawn):
    ref = spawn(Listener)

    system.publish(LateNews(1))
    system.publish(News(2))

    assert ref.ask(Heard()).result() == [2]


def test_arrays_are_published_to_several_readers(system):
    pixels = np.arange(50_000.0)
    with system.subscribe(Picture) as one, system.subscribe(Picture) as other:
        system.publish(Picture(pixels))

        for stream in (one, other):
            received = stream.next(timeout=20).pixels
            assert np.array_equal(received, pixels)
            assert not received.flags.writeable


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_array_born_shared_is_frozen_when_it_is_published_and_not_when_that_is_refused(
    system, size
):
    picture = Picture(system.empty((size,)), "north")
    object.__setattr__(picture, "title", 7)
    with pytest.raises(InvalidMessage, match="title"):
        system.publish(picture)
    picture.pixels[:] = 1.0

    object.__setattr__(picture, "title", "south")
    system.publish(picture)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[:] = 2.0


def test_several_threads_publish(system, spawn):
    ref = spawn(Listener)

    def publish(first):
        for n in range(first, first + 100):
            system.publish(News(n))

    threads = [threading.Thread(target=publish, args=(k * 1000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    heard = ref.ask(Heard()).result()
    for k in range(4):
        assert [n for n in heard if n // 1000 == k] == list(range(k * 1000, k * 1000 + 100))


def test_a_subscriber_that_is_too_slow_holds_nobody_up(system, spawn):
    ref = spawn(Listener, limits=Limits(mailbox=5))
    system.publish(News(0))
    assert ref.ask(Heard()).result() == [0]
    napping = ref.ask(Doze(0.5))
    with system.subscribe(DeadLetter) as letters:
        for n in range(1, 21):
            system.publish(News(n))
        assert not napping.done()

        letter = next(each for each in letters if each.target == ref.name)

    assert "too slow" in letter.reason
    napping.result()
    heard = ref.ask(Heard()).result()
    assert heard == list(range(len(heard)))
    assert 1 < len(heard) < 20


def test_an_actor_hears_of_dead_letters(system, spawn):
    undertaker, ref = spawn(Undertaker), spawn(Reporter)

    ref.tell(News(1))

    while ref.name not in undertaker.ask(Letters()).result():
        pass


def test_what_is_no_event_is_refused_at_once(system, spawn):
    ref = spawn(Listener)

    with pytest.raises(TypeError, match="Make its class with @message"):
        system.publish("news")
    with pytest.raises(TypeError, match="expects an answer"):
        system.publish(Heard())
    with pytest.raises(TypeError, match="the system's own"):
        system.publish(DeadLetter("a", "b", "c", "d", "e"))
    with pytest.raises(InvalidMessage, match=r"News\.n"):
        system.publish(News("one"))
    with pytest.raises(TypeError, match="class of an event"):
        system.subscribe(News(1))
    with pytest.raises(TypeError, match="expects an answer"):
        system.subscribe(Heard)
    assert "no handler for Picture" in ref.ask(SubscribeTo("Picture")).result()
    assert "expects an answer" in ref.ask(SubscribeTo("Heard")).result()
    assert "class of an event" in ref.ask(SubscribeTo("text")).result()


def test_a_program_that_does_not_read_is_told_at_the_end(system, monkeypatch):
    monkeypatch.setattr("actors.topics.UNREAD", 50)
    with system.subscribe(News) as lazy, system.subscribe(News) as eager:
        for n in range(100):
            system.publish(News(n))
            assert take(eager, 1) == [n]

        read = []
        with pytest.raises(MailboxFull, match="wait unread"):
            read.extend(each.n for each in lazy)
        assert read == list(range(50))
        assert lazy.done()
