"""Streams: items in order, at the reader's pace, closed where they are written."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from troupe import (
    Blocks,
    Closings,
    Count,
    CountCancelled,
    CountLater,
    FailTold,
    Get,
    Page,
    Pages,
    Produced,
    Scribe,
    Source,
    Who,
)

from actors.errors import HandlerError, InvalidMessage, OutcomeUnknown

COUNTS = pytest.mark.parametrize("count", [Count, CountLater])


@COUNTS
def test_items_arrive_in_order_and_the_stream_ends(spawn, count):
    assert list(spawn(Source).stream(count(1000))) == list(range(1000))


@COUNTS
def test_an_empty_stream_ends_at_once(spawn, count):
    assert list(spawn(Source).stream(count(0))) == []


@COUNTS
def test_asyncio_code_reads_a_stream(spawn, count):
    ref = spawn(Source)

    async def read():
        return [item async for item in ref.stream(count(500))]

    assert asyncio.run(read()) == list(range(500))


@COUNTS
def test_a_slow_reader_slows_the_writer(spawn, count):
    ref = spawn(Source)
    with ref.stream(count(100_000)) as stream:
        assert next(stream) == 0

        # Asks are answered after whatever the writer may do without a grant.
        ahead = [ref.ask(Produced()).result() for _ in range(50)][-1]

        assert ahead < 1000
        assert [next(stream) for _ in range(300)] == list(range(1, 301))


def test_large_items_leave_only_a_few_under_way(spawn):
    ref = spawn(Source)
    size = (4 << 20) // 8

    with ref.stream(Blocks(200, size)) as stream:
        for n in range(20):
            block = next(stream)
            assert block[0] == block[-1] == n
            assert not block.flags.writeable


@COUNTS
def test_leaving_the_block_closes_the_generator_there(spawn, count):
    ref = spawn(Source)

    with ref.stream(count(1_000_000)) as stream:
        assert next(stream) == 0

    while ref.ask(Closings()).result() != 1:
        pass  # an async generator is closed in a step of its own
    assert list(stream) == []


@COUNTS
def test_leaving_an_async_block_closes_the_generator_there(spawn, count):
    ref = spawn(Source)

    async def read():
        async with ref.stream(count(1_000_000)) as stream:
            assert await anext(stream) == 0
        while await ref.ask(Closings()) != 1:
            pass

    asyncio.run(read())


@COUNTS
def test_an_error_comes_after_the_items_before_it(spawn, count):
    stream = spawn(Source).stream(count(10, fail_after=5))

    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no 5") as caught:
        next(stream)
    assert isinstance(caught.value, HandlerError)
    with pytest.raises(StopIteration):
        next(stream)


@COUNTS
def test_two_streams_and_asks_interleave(spawn, count):
    ref = spawn(Source)
    one, two = ref.stream(count(400)), ref.stream(count(400))
    seen_one, seen_two = [], []

    for _ in range(400):
        seen_one.append(next(one))
        assert ref.ask(Who()).result()[1] == 1
        seen_two.append(next(two))

    assert seen_one == seen_two == list(range(400))


def test_next_with_a_time_limit_leaves_the_stream_open(spawn):
    ref = spawn(Source)
    with ref.stream(Count(3)) as stream:
        assert [stream.next(timeout=5) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(StopIteration):
            stream.next(timeout=5)


def test_several_threads_read_streams_at_once(spawn):
    ref = spawn(Source)
    sums = []

    def read():
        sums.append(sum(ref.stream(Count(300))))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sums == [sum(range(300))] * 4


@COUNTS
def test_a_stream_ends_with_an_error_when_its_writer_falls(spawn, count):
    ref = spawn(Source)
    stream = ref.stream(count(1_000_000))
    assert next(stream) == 0

    ref.tell(FailTold())

    with pytest.raises(OutcomeUnknown):
        for _ in stream:
            pass
    assert list(ref.stream(count(3))) == [0, 1, 2]


@COUNTS
def test_a_stream_ends_with_an_error_when_its_writer_is_stopped(system, spawn, count):
    ref = spawn(Source)
    stream = ref.stream(count(1_000_000))
    assert next(stream) == 0

    system.stop(ref.name)

    with pytest.raises(OutcomeUnknown, match="stopped"):  # a part of it was handled
        for _ in stream:
            pass


def test_the_writer_may_use_its_array_again_after_it_was_yielded(spawn):
    blocks = list(spawn(Source).stream(Blocks(5, 20_000)))

    assert [set(np.unique(block)) for block in blocks] == [{float(n)} for n in range(5)]


def test_a_stream_whose_generator_was_cancelled_ends_with_an_error(spawn):
    stream = spawn(Source).stream(CountCancelled())
    assert next(stream) == 0

    with pytest.raises(HandlerError, match="Cancelled"):
        stream.next(10.0)


def test_a_stream_that_ends_because_an_item_cannot_be_read_closes_its_generator(spawn):
    ref = spawn(Scribe)
    stream = ref.stream(Pages())

    assert next(stream) == Page([1])
    with pytest.raises(InvalidMessage, match="lines"):
        next(stream)

    while not ref.ask(Get()).result():
        pass
