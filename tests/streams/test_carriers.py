"""What every carrier does, whatever carries it; a test's number is the row it keeps."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np
import psutil
import pytest

from actors.errors import InvalidMessage
from actors.streams import Data, Reader, Writer, new_ReaderInterface, new_WriterInterface
from tests.streams import stage

SHORT = 0.05  # seconds: long enough to see that nothing comes


def _next(reader):
    return reader.next(timeout=10)


def test_1_01_making_both_ends_touches_nothing(line):
    me = psutil.Process()
    before = me.num_fds(), threading.active_count(), len(me.net_connections("all"))

    writer, reader = new_WriterInterface(line.writer), new_ReaderInterface(line.reader)

    assert (me.num_fds(), threading.active_count(), len(me.net_connections("all"))) == before
    writer.close()
    reader.close()


def test_1_04_meta_and_data_arrive_together_with_none_and_nothing(line):
    image = np.arange(12, dtype="uint32").reshape(3, 4)[:, ::2]
    with line.ends() as (writer, reader):
        for data, expected in [
            (Data(), b""),
            (None, b""),
            (Data(b""), b""),
            (b"abc", b"abc"),
            (Data(bytearray(b"xy")), b"xy"),
            (image, image.tobytes()),
        ]:
            writer.write({"n": len(expected)}, data)
            packet = _next(reader)

            assert packet.meta == {"n": len(expected)}
            assert bytes(packet.data) == expected


def test_1_05_a_meta_that_cannot_travel_is_an_error_and_the_next_write_is_fine(line):
    with line.ends() as (writer, reader):
        with pytest.raises(InvalidMessage):
            writer.write({"x": object()}, b"lost")
        writer.write({}, b"next")

        assert bytes(_next(reader).data) == b"next"
        assert writer.stats().written == 1


def test_1_06_a_packet_is_whole(line):
    with line.ends() as (writer, reader):
        for n in range(5):
            data = np.random.default_rng(n).bytes(1 << 20)
            writer.write({"sha": hashlib.sha256(data).hexdigest()}, data)
            packet = _next(reader)
            assert hashlib.sha256(packet.data).hexdigest() == packet.meta["sha"]


def test_1_07_a_stream_has_one_direction(line):
    assert not hasattr(Reader(line.reader), "write")
    assert not hasattr(Writer(line.writer), "read")


def test_1_08_without_a_reader_packets_are_dropped_at_once(line):
    with Writer(line.writer) as writer:
        process = psutil.Process()
        data, before = bytes(1 << 16), process.memory_info().rss
        took = [stage.seconds_to_write(writer, {}, data) for _ in range(2_000)]

        assert writer.stats().dropped == writer.stats().written == 2_000
        assert statistics.median(took) < 0.02  # the machine may be busy, but not for most of them
        assert process.memory_info().rss - before < 32 << 20


def test_1_09_what_was_written_before_a_reader_came_is_missed(line):
    with Writer(line.writer) as writer:
        for n in range(3):
            writer.write({"n": n})
        with Reader(line.reader) as reader:
            writer.wait_for_peer(timeout=10)
            writer.write({"n": 3})

            assert _next(reader).meta == {"n": 3}


def test_1_10_readers_may_come_first_and_outlive_the_writer(line):
    with Reader(line.reader) as reader:
        for life in range(3):
            with Writer(line.writer) as writer:
                writer.wait_for_peer(timeout=10)
                writer.write({"life": life}, bytes(100))

                assert _next(reader).meta == {"life": life}


def test_1_11_activating_sends_nothing(line):
    with line.ends() as (_writer, reader), pytest.raises(TimeoutError):
        reader.next(timeout=SHORT)


def test_1_13_the_last_packet_read_is_the_last_one_written(line):
    with line.ends() as (writer, reader):
        for n in range(3_000):
            writer.write({"n": n}, bytes(10_000))
        seen = []
        while not seen or seen[-1] != 2_999:
            seen.append(_next(reader).meta["n"])

        assert seen == sorted(set(seen))
        stats = writer.stats()
        assert stats.written == stats.sent + stats.dropped == 3_000


@pytest.mark.parametrize("line", stage.LINES[::2], ids="-".join, indirect=True)
def test_1_13_a_slow_reader_gets_what_is_new_and_ever_newer(line):
    written, ages, done = {}, [], threading.Event()

    def write(writer):
        n = 0
        while not done.wait(0.001):
            n += 1
            written[n] = time.monotonic()
            writer.write({"n": n}, bytes(10_000))

    with line.ends() as (writer, reader), ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write, writer)
        last = 0
        try:
            for _ in range(12):
                n = _next(reader).meta["n"]
                ages.append(time.monotonic() - written[n])
                assert n > last
                last = n
                time.sleep(0.05)  # its work
        finally:
            done.set()
        writing.result()
        newest = max(written)
        while last < newest:
            last = _next(reader).meta["n"]

    # A packet that has one reader stays with it once it has been carried there.  With a queue the
    # others would be half a second behind.
    assert line.every_packet or statistics.median(ages[6:]) < 0.062


def test_1_18_items_are_replaced_or_added_and_others_stay(line):
    with line.ends() as (writer, reader):
        meta, data = {"x": 1, "y": 1}, Data()
        writer.write({"y": 2, "z": 2}, b"abc")
        reader.read(meta, data)
        writer.write({"w": 3})
        cleared = dict(meta)
        reader.read(cleared, data, clear=True)

        assert meta == {"x": 1, "y": 2, "z": 2}
        assert cleared == {"w": 3}


def test_1_19_data_is_a_read_only_view_that_outlives_the_next_read(line):
    with line.ends() as (writer, reader):
        first, second = Data(), Data()
        writer.write({}, b"first")
        reader.read({}, first)
        writer.write({}, b"second")
        reader.read({}, second)

        assert first.memoryview.readonly
        assert bytes(first.memoryview) == b"first"
        assert np.frombuffer(second.memoryview, "u1").size == 6


@pytest.mark.parametrize("milliseconds", [20, "20"], ids=["number", "text"])
def test_1_20_after_the_time_out_there_is_no_data(line, milliseconds):
    with line.ends(recv_timeout_milliseconds=milliseconds) as (_writer, reader):
        meta, data = {"old": 1}, Data(b"old")
        reader.read(meta, data)

        assert data.memoryview is None
        assert meta == {}


def test_1_24_a_reader_of_topics_gets_those_and_nothing_else(line):
    with line.ends(topics=["b"]) as (writer, reader):
        for topic in ("a", "b", None):
            writer.write({"topic": topic} if topic else {}, b"x")
            writer.flush(timeout=10)
            if topic == "b":
                assert _next(reader).meta == {"topic": "b"}
        with pytest.raises(TimeoutError):
            reader.next(timeout=SHORT)


def test_1_26_no_carrier_looks_into_what_it_carries(line):
    packets = [
        ({"dtype": "float64", "shape": [2]}, b'{"a": 1}'),
        ({"": {"": [None, True, 1e308, "\x00é\U0001f30d"]}}, b"\x00\xff\r\n" * 7),
        ({"class_name": "nothing", "topic": 3}, b"\x01"),
        ({}, b"[]"),
    ]
    with line.ends() as (writer, reader):
        for meta, data in packets:
            writer.write(meta, data)
            packet = _next(reader)

            assert (packet.meta, bytes(packet.data)) == (meta, data)


def test_1_30_whoever_waits_for_the_other_end_loses_no_first_packet(line):
    for cycle in range(143 if stage.LONG else 20):  # 1,000, or 140, over all the lines
        with line.ends() as (writer, reader):
            writer.write({"cycle": cycle})

            assert _next(reader).meta == {"cycle": cycle}


def test_waiting_for_a_peer_that_never_comes_says_what_to_look_at(line):
    with Writer(line.writer) as writer, pytest.raises(TimeoutError, match="class_name and endpoin"):
        writer.wait_for_peer(timeout=SHORT)


def test_whoever_waits_for_the_other_end_is_told_when_this_one_is_closed(line):
    with closing(Writer(line.writer)) as writer:
        threading.Timer(SHORT, writer.close).start()

        with pytest.raises(RuntimeError, match="closed"):
            writer.wait_for_peer(timeout=20)


def test_both_ends_can_be_closed_twice_and_then_say_so(line):
    with line.ends() as (writer, reader):
        writer.write({"n": 0}, b"x")
        _next(reader)
        for n in (1, 2, 3):
            writer.write({"n": n}, b"x")
        while _next(reader).meta["n"] != 3:
            pass
        before = writer.stats(), reader.stats()
        for end in (writer, reader, writer, reader):
            end.close()

        assert (writer.stats(), reader.stats()) == before
        assert before[0].sent == before[1].received > 1
        assert before[0].written == 4
        with pytest.raises(RuntimeError, match="closed"):
            writer.write({})
        with pytest.raises(RuntimeError, match="closed"):
            reader.next()


def test_a_reader_that_is_closed_while_it_waits_is_told(line):
    with line.ends() as (_writer, reader):
        threading.Timer(SHORT, reader.close).start()

        with pytest.raises(RuntimeError, match="closed while"):
            reader.next()


def test_asyncio_reads_without_holding_the_loop_and_a_cancelled_wait_loses_nothing(line):
    async def read(writer, reader):
        ticks = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await reader.next_async()
        writer.write({"n": 0})
        seen = []
        async for packet in reader:
            seen.append(packet.meta["n"])
            if len(seen) == 3:
                break
            writer.write({"n": len(seen)})
            await asyncio.sleep(0)
            ticks += 1
        return seen, ticks

    with line.ends() as (writer, reader):
        assert asyncio.run(read(writer, reader)) == ([0, 1, 2], 2)


def test_a_packet_that_nobody_waited_for_any_more_is_read_by_the_next_loop(line, caplog):
    async def read(reader, seconds):
        async with asyncio.timeout(seconds):
            return (await reader.next_async()).meta

    with line.ends() as (writer, reader):
        for n in range(2):
            with pytest.raises(TimeoutError):
                asyncio.run(read(reader, 0.01))
            writer.write({"n": n})

            assert asyncio.run(read(reader, 10)) == {"n": n}
    assert not caplog.records  # of a thread that found its loop closed


def test_a_second_task_that_awaits_a_packet_is_told_and_the_first_gets_it(folder):
    async def read(writer, reader):
        first = asyncio.create_task(reader.next_async())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await reader.next_async()
        writer.write({"n": 1})
        return (await first).meta

    with stage.line("zmq_pushpull", "ipc", folder).ends() as (writer, reader):
        assert asyncio.run(read(writer, reader)) == {"n": 1}


@pytest.fixture
def hasty():
    """Threads that give way to each other as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(4) as threads:
        yield threads
    sys.setswitchinterval(interval)


def test_the_first_writes_of_several_threads_open_it_once(line, hasty):
    def write_first(writer, together):
        together.wait(10)
        writer.write({})

    for _ in range(10):
        with closing(Writer(line.writer)) as writer:
            together = threading.Barrier(4)
            writes = [hasty.submit(write_first, writer, together) for _ in range(4)]
            for done in writes:
                done.result()


def test_a_reader_that_is_closed_while_it_opens_is_told(line, hasty):
    def read(reader, together):
        together.wait(10)
        with pytest.raises(RuntimeError, match="closed"):
            reader.next(timeout=10)

    for count in range(8):
        reader, together = Reader(line.reader), threading.Barrier(2)
        reads = hasty.submit(read, reader, together)
        together.wait(10)
        sum(range(50 * count))  # a little later each time
        reader.close()
        reads.result()


def test_1_14_all_readers_or_one_in_turn(folder):
    for carrier, transport in [("zmq_pubsub", "tcp"), ("zmq_pubsub", "ipc"), ("shm", "shm")]:
        line = stage.line(carrier, transport, folder)
        readers = [Reader(line.reader) for _ in range(3)]
        for reader in readers:
            reader.activate()
        with Writer(line.writer) as writer:
            writer.wait_for_peer(timeout=10, count=1 if carrier == "shm" else 3)
            lists = [[] for _ in readers]
            for n in range(30):  # at a low rate: the next when all have this one
                writer.write({"n": n})
                for reader, got in zip(readers, lists, strict=True):
                    got.append(_next(reader).meta["n"])
        for reader in readers:
            reader.close()

        assert lists == [list(range(30))] * 3


def test_1_14_pushed_packets_go_round(folder):
    line = stage.line("zmq_pushpull", "tcp", folder)
    readers = [Reader(line.reader) for _ in range(4)]
    for reader in readers:
        reader.activate()
    with Writer(line.writer) as writer:
        writer.wait_for_peer(timeout=10, count=4)
        lists = [[] for _ in readers]
        for begin in range(0, 400, 4):
            for n in range(begin, begin + 4):
                writer.write({"n": n})
                writer.flush(timeout=10)
            while sum(map(len, lists)) < begin + 4:
                for reader, got in zip(readers, lists, strict=True):
                    with suppress(TimeoutError):
                        got.append(reader.next(timeout=0.001).meta["n"])
    for reader in readers:
        reader.close()

    assert sorted(n for got in lists for n in got) == list(range(400))
    # On a busy machine ZeroMQ now and then passes over a reader whose queue was not emptied yet.
    assert min(map(len, lists)) > 50


def test_1_14_pulled_packets_of_twenty_writers_all_arrive(folder):
    line = stage.line("zmq_pullpush", "tcp", folder)
    with Reader(line.reader) as reader:
        writers = [Writer(line.writer) for _ in range(20)]
        for number, writer in enumerate(writers):
            writer.wait_for_peer(timeout=10)
            writer.write({"writer": number})
            del writer  # a program that just ends sends what it has written
        del writers

        assert sorted(_next(reader).meta["writer"] for _ in range(20)) == list(range(20))


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("ipc:///nowhere/at/all", "Make the folder of the socket"),
        ("ipc:///tmp/" + "a" * 120, "Choose a shorter path"),
        ("tcp://203.0.113.7:15000", "Name an address of this host"),
    ],
)
def test_a_place_that_cannot_be_bound_is_an_error_that_says_what_to_do(place, remedy):
    with pytest.raises(OSError, match=f"cannot bind {place}: .*{remedy}"):
        Writer({"class_name": "zmq_pubsub", "endpoint": place}).activate()


def test_two_ends_that_bind_at_one_place_are_refused_with_what_to_do(line):
    reads = line.carrier == "zmq_pullpush"
    end, place = (Reader, line.reader) if reads else (Writer, line.writer)

    with end(place), pytest.raises(OSError, match="another"):
        end(place).activate()
