"""Asking and telling: answers, order, threads, asyncio, time limits, cancelling."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time

import pytest
from troupe import (
    Add,
    AsyncMessenger,
    Block,
    Calculator,
    Collector,
    Deadline,
    Get,
    Messenger,
    Note,
    Open,
    Put,
    Relay,
    RelayDeadline,
    RelayWrongly,
    Sender,
    Texts,
    Wait,
    WaitTogether,
    Who,
)

from actors.errors import ConnectionLost, DeadlineExceeded, Expired, HandlerError, OutcomeUnknown


def test_an_ask_is_answered(spawn):
    assert spawn(Calculator).ask(Add(1, 2)).result() == 3.0


def test_spawn_arguments_arrive(spawn):
    assert spawn(Calculator, scale=10.0).ask(Add(1, 2)).result() == 30.0


def test_a_told_message_is_handled_and_a_told_request_too(spawn):
    ref = spawn(Collector)

    ref.tell(Note("one"))
    ref.tell(Get())
    ref.tell(Note("two"))

    assert ref.ask(Texts()).result() == ["one", "two"]


def test_messages_of_one_thread_are_handled_in_their_order(spawn):
    ref = spawn(Collector)

    for n in range(3000):
        ref.tell(Put(n))

    assert ref.ask(Get()).result() == list(range(3000))


def test_messages_of_several_threads_keep_the_order_of_each(spawn):
    ref = spawn(Collector)

    def tell(start):
        for n in range(start, start + 500):
            ref.tell(Put(n))

    threads = [threading.Thread(target=tell, args=(k * 1000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    numbers = ref.ask(Get()).result()
    for k in range(4):
        assert [n for n in numbers if n // 1000 == k] == list(range(k * 1000, k * 1000 + 500))


def test_many_asks_are_in_flight_from_one_thread(spawn):
    ref = spawn(Calculator)

    replies = [ref.ask(Add(n, 1)) for n in range(2000)]

    assert [reply.result() for reply in replies] == [n + 1.0 for n in range(2000)]


def test_many_threads_ask_at_once(spawn):
    ref = spawn(Calculator)
    answers = {}

    def ask(k):
        answers[k] = [ref.ask(Add(n, k)).result() for n in range(50)]

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {k: [float(n + k) for n in range(50)] for k in range(6)}


def test_a_reply_may_be_waited_for_again_and_from_elsewhere(spawn):
    reply = spawn(Calculator).ask(Add(1, 2))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(reply.result()))
    thread.start()
    thread.join()

    assert (seen, reply.result(), reply.done()) == ([3.0], 3.0, True)


def test_asyncio_code_awaits_a_thousand_asks(spawn):
    ref = spawn(Calculator)

    async def gather():
        return await asyncio.gather(*(ref.ask(Add(n, 1)) for n in range(1000)))

    assert asyncio.run(gather()) == [n + 1.0 for n in range(1000)]


def test_a_time_limit_of_result_ends_the_waiting_and_not_the_ask(spawn):
    ref = spawn(Collector)
    reply = ref.ask(WaitTogether("x"))

    with pytest.raises(TimeoutError) as caught:
        reply.result(timeout=0.05)
    assert not isinstance(caught.value, OutcomeUnknown)
    ref.tell(Open())

    assert reply.result() == "x"


def test_an_ask_ends_at_its_deadline(spawn):
    ref = spawn(Collector)
    begin = time.monotonic()

    with pytest.raises(DeadlineExceeded) as caught:
        ref.ask(WaitTogether(), timeout=0.2).result()

    assert 0.19 < time.monotonic() - begin < 2.0
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.target == ref.name


def test_an_ask_that_waits_behind_others_ends_at_its_deadline_and_is_never_handled(spawn):
    ref = spawn(Collector)
    busy = ref.ask(Wait("first"))

    with pytest.raises((DeadlineExceeded, Expired)):
        ref.ask(Wait("second"), timeout=0.1).result()
    busy.cancel()

    assert ref.ask(Texts()).result() == ["begin first", "end first"]


def test_a_cancelled_ask_is_withdrawn_or_its_handler_told(spawn):
    ref = spawn(Collector)
    running, waiting = ref.ask(Wait("running")), ref.ask(Wait("waiting"))

    assert waiting.cancel()
    assert running.cancel()
    assert not running.cancel()

    for reply in (running, waiting):
        with pytest.raises(OutcomeUnknown, match="cancelled"):
            reply.result()
    assert "begin waiting" not in ref.ask(Texts()).result()


def test_a_cancelled_task_cancels_its_ask(spawn):
    ref = spawn(Collector)

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ref.ask(WaitTogether("x")), 0.1)
        while "end x" not in (seen := await ref.ask(Texts())):
            pass
        return seen

    assert asyncio.run(give_up()) == ["begin x", "end x"]


def test_the_deadline_reaches_the_handler(spawn):
    ref = spawn(Collector)

    assert 4.0 < ref.ask(Deadline(), timeout=5.0).result() <= 5.0
    assert 20.0 < ref.ask(Deadline()).result() <= 30.0
    assert ref.ask(Deadline(), timeout=math.inf).result() is None


@pytest.mark.parametrize("messenger", [Messenger, AsyncMessenger])
def test_a_deadline_is_inherited_by_the_asks_made_meanwhile(spawn, messenger):
    target, between = spawn(Collector), spawn(messenger)

    assert 4.0 < between.ask(RelayDeadline(target), timeout=5.0).result() <= 5.0


@pytest.mark.parametrize("messenger", [Messenger, AsyncMessenger])
def test_an_actor_asks_another_while_it_handles(spawn, messenger):
    target, between = spawn(Calculator), spawn(messenger)

    replies = [between.ask(Relay(target, n)) for n in range(100)]

    assert [reply.result() for reply in replies] == [n + 1.0 for n in range(100)]


def test_result_in_an_async_handler_is_refused_at_once_naming_await(spawn):
    target, between = spawn(Calculator), spawn(AsyncMessenger)

    with pytest.raises(HandlerError, match="await"):
        between.ask(RelayWrongly(target)).result(timeout=5.0)


def test_handlers_that_are_not_concurrent_do_not_overlap(spawn):
    ref = spawn(Collector)

    first, second = ref.ask(Wait("1")), ref.ask(Wait("2"))
    # Its own timer cannot open the gate, and nothing else is handled meanwhile.
    with pytest.raises(TimeoutError):
        ref.ask(Texts(), timeout=0.2).result()
    first.cancel()
    second.cancel()

    assert ref.ask(Texts()).result()[:2] == ["begin 1", "end 1"]


def test_concurrent_handlers_overlap(spawn):
    ref = spawn(Collector)

    replies = [ref.ask(WaitTogether(str(n))) for n in range(5)]
    assert ref.ask(Texts()).result() == [f"begin {n}" for n in range(5)]
    ref.tell(Open())

    assert [reply.result() for reply in replies] == ["0", "1", "2", "3", "4"]


def test_more_concurrent_handlers_than_may_overlap_are_all_handled(spawn):
    ref = spawn(Collector)
    first = [ref.ask(WaitTogether(str(n))) for n in range(40)]
    ref.tell(Open())
    more = [ref.ask(WaitTogether(str(n))) for n in range(100)]

    assert [reply.result() for reply in first + more] == [str(n) for n in [*range(40), *range(100)]]


def test_a_handler_knows_name_incarnation_and_sender(spawn):
    ref = spawn(Collector)

    assert ref.ask(Who()).result() == (ref.name, 1)
    assert ref.ask(Sender()).result().startswith("client-")


def test_wait_ready_returns_when_the_actor_is_there(spawn):
    ref = spawn(Calculator)

    ref.wait_ready(timeout=5)

    assert ref.ask(Add(1, 1)).result() == 2.0


def test_other_asks_are_answered_while_one_actor_is_busy(spawn):
    busy, free = spawn(Collector), spawn(Calculator)
    slow = busy.ask(Block(0.5))

    assert free.ask(Add(1, 1)).result() == 2.0
    assert not slow.done()
    assert slow.result() == 0.5


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python's own, at a fork
def test_a_forked_process_is_told_to_connect_by_itself(spawn):
    ref = spawn(Collector)
    asked = ref.ask(WaitTogether("a"))  # not answered before the fork, however quick the actor is
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = []
        for act in (lambda: ref.ask(Get()), asked.result):
            try:
                act()
            except ConnectionLost as error:
                said.append(str(error))
        os.write(write, "\n".join(said).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    said = os.read(read, 1000).decode().splitlines()
    os.close(read)
    os.close(write)

    assert len(said) == 2
    assert all("forked" in one and "connect()" in one for one in said)
    ref.tell(Open())
    assert asked.result(10.0) == "a", "the program itself goes on"
    assert ref.ask(Get()).result(10.0) == []
