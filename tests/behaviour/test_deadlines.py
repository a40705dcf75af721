"""Deadlines and cancelling: when an ask ends, in which words, and who hears of it."""

from __future__ import annotations

import asyncio
import time

import pytest
from latecomers import (
    AskLater,
    Lateness,
    Nap,
    Once,
    Rest,
    RestOf,
    Seen,
    Slow,
    SlowBlocking,
    late_by,
    late_in_plain_code,
)

from actors.errors import DeadlineExceeded, Expired, NotDelivered, OutcomeUnknown


def test_an_ask_that_has_waited_long_enough_says_how_long_that_was(spawn):
    ref = spawn(Slow)

    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s") as caught:
        ref.ask(Rest(), timeout=0.2).result()

    assert caught.value.timeout == 0.2


@pytest.mark.parametrize("where", ["program", "asyncio", "def", "async"])
def test_an_ask_ends_within_10_ms_of_its_deadline_while_its_caller_waits(spawn, where):
    ref = spawn(Slow)
    between = spawn(SlowBlocking if where == "def" else Slow)

    def once():
        match where:
            case "program":
                return late_in_plain_code(ref)
            case "asyncio":
                return asyncio.run(late_by(ref))
            case _:
                return between.ask(Lateness(ref, awaited=True)).result()

    # The best of several: this machine may be busy with something else.
    late = []
    while len(late) < 10 and not any(0 <= seconds < 0.01 for seconds in late):
        late.append(once())

    assert any(-0.001 < seconds < 0.01 for seconds in late), late


def test_an_expired_message_is_not_handled_and_counted(system, spawn):
    ref = spawn(Slow)
    napping = ref.ask(Nap(0.3))

    with pytest.raises(DeadlineExceeded):
        ref.ask(Rest(), timeout=0.1).result()

    assert napping.result() == "slept"
    assert ref.ask(Seen()).result() == ["nap"]
    assert system.status().actor(ref.name).expired == 1


def test_an_asker_that_was_busy_itself_learns_that_its_message_was_never_handled(spawn):
    ref, between = spawn(Slow), spawn(Slow)
    ref.tell(Nap(0.3))

    ended = between.ask(AskLater(ref, timeout=0.1, after=1.0)).result()

    kind, _, late = ended.split()
    assert kind == "Expired"
    assert 0.0 < float(late) < 1.0
    assert ref.ask(Seen()).result() == ["nap"]


def test_an_ask_to_an_actor_in_back_off_says_so(system, spawn):
    ref = spawn(Once)
    system.kill(ref.name)
    while (actor := system.status().actor(ref.name)).state != "backoff" or actor.next_start < 0.3:
        pass

    with pytest.raises(Expired) as caught:
        ref.ask(Nap(0.0), timeout=0.05).result()

    text = str(caught.value)
    assert isinstance(caught.value, NotDelivered)
    assert f"{ref.name} is down: since " in text
    assert "next start at " in text
    assert "once was enough" in text
    assert "busy" not in text
    assert 0.0 <= caught.value.late < 5.0


def test_a_deadline_cancels_the_async_handler(spawn):
    ref = spawn(Slow)

    with pytest.raises(DeadlineExceeded):
        ref.ask(Rest(), timeout=0.1).result()

    while ref.ask(Seen()).result() != ["rest", "cancelled"]:
        pass


def test_a_cancelled_ask_cancels_what_its_handler_has_asked(spawn):
    ref, between = spawn(Slow), spawn(Slow)
    reply = between.ask(RestOf(ref))
    while "rest" not in ref.ask(Seen()).result():
        pass

    reply.cancel()

    with pytest.raises(OutcomeUnknown, match="cancelled"):
        reply.result()
    while ref.ask(Seen()).result() != ["rest", "cancelled"]:
        pass


def test_a_cancelled_ask_that_waits_behind_a_def_handler_is_dropped(system, spawn):
    ref = spawn(Slow)
    napping = ref.ask(Nap(0.2))
    waiting = ref.ask(Rest())
    begin = time.monotonic()
    while not system.status().actor(ref.name).current and time.monotonic() < begin + 0.1:
        pass

    waiting.cancel()

    assert napping.result() == "slept"
    assert ref.ask(Seen()).result() == ["nap"]
    assert system.status().actor(ref.name).expired == 0
