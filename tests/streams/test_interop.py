"""Programs that have only pyzmq and JSON at the other end, in both roles of every carrier."""

from __future__ import annotations

import json
import socket as sockets
import time
from contextlib import ExitStack

import numpy as np
import psutil
import pytest
import zmq

from actors.errors import InvalidMessage
from actors.streams import Data, Reader, Writer
from tests.streams import stage

READS = {"zmq_pubsub": zmq.SUB, "zmq_pushpull": zmq.PULL, "zmq_pullpush": zmq.PULL}
WRITES = {"zmq_pubsub": zmq.PUB, "zmq_pushpull": zmq.PUSH, "zmq_pullpush": zmq.PUSH}


@pytest.fixture
def plain_socket():
    """Make sockets as any other program would; they are closed with the test."""
    context, made = zmq.Context(), []

    def make(kind, endpoint, *, binds=False, topic=b""):
        plain = context.socket(kind)
        made.append(plain)
        plain.rcvtimeo = plain.sndtimeo = 10_000
        if kind == zmq.SUB:
            plain.subscribe(topic)
        (plain.bind if binds else plain.connect)(endpoint)
        return plain

    yield make
    context.destroy(linger=0)


def _meet(plain, reader):
    """Return when packets arrive: a PUB socket says nothing of who has subscribed."""
    reader.wait_for_peer(timeout=10)
    before = reader.stats().received
    while plain.type == zmq.PUB and reader.stats().received == before:
        plain.send_multipart([b"{}", b""])
        time.sleep(0.01)
    plain.send_multipart([b'{"ready": 1}', b""])
    while reader.next(timeout=10).meta != {"ready": 1}:
        pass


def test_1_27_a_plain_reader_reads_what_we_write(socket_line, plain_socket):
    place = socket_line.writer["endpoint"]
    carrier = socket_line.carrier
    plain = plain_socket(READS[carrier], place, binds=carrier == "zmq_pullpush")
    image = np.arange(6, dtype="uint32")
    with Writer(socket_line.writer) as writer:
        writer.wait_for_peer(timeout=10)
        writer.write({"some": "thing", "topic": "t"}, image)
        writer.write({"n": 2})

        assert plain.recv_multipart() == [b'{"topic": "t", "some": "thing"}', image.tobytes()]
        assert plain.recv_multipart() == [b'{"n": 2}', b""]


def test_1_28_a_packet_of_meta_alone_is_two_parts_and_its_reader_may_be_in_a_hurry(
    socket_line, plain_socket
):
    carrier = socket_line.carrier
    plain = plain_socket(
        READS[carrier], socket_line.writer["endpoint"], binds=carrier == "zmq_pullpush"
    )
    with Writer(socket_line.writer) as writer:
        writer.wait_for_peer(timeout=10)
        writer.write({"n": 1})

        assert plain.recv_multipart() == [b'{"n": 1}', b""]
    other = stage.line(carrier, "tcp", None)
    with other.ends(recv_timeout_milliseconds=1) as (writer, reader):
        meta, data = {}, Data()
        writer.write({"n": 2}, bytes(1 << 22))
        while not meta:  # a time-out never takes the half of a packet
            reader.read(meta, data)
        assert (meta, data.memoryview.nbytes) == ({"n": 2}, 1 << 22)


def test_1_16_a_plain_writer_may_send_empty_parts_and_mistakes_are_counted(
    socket_line, plain_socket
):
    carrier = socket_line.carrier
    plain = plain_socket(
        WRITES[carrier], socket_line.reader["endpoint"], binds=carrier != "zmq_pullpush"
    )
    with Reader(socket_line.reader) as reader:
        _meet(plain, reader)
        for meta, data in [(b"", b"abc"), (b"{}", b""), (b"", b""), (b'{"a": 1}', b"x")]:
            plain.send_multipart([meta, data])
            packet = reader.next(timeout=10)
            assert (packet.meta, bytes(packet.data)) == (json.loads(meta or b"{}"), data)
        for wrong in ([b"{}"], [b"{}", b"", b""], [b"{}"] * 5_000, [b"\xff", b""], [b"[]", b""]):
            plain.send_multipart(wrong)
            with pytest.raises(InvalidMessage):
                reader.next(timeout=10)
        plain.send_multipart([b'{"fine": 1}', b""])

        assert reader.next(timeout=10).meta == {"fine": 1}
        assert reader.stats().invalid == 5


def test_1_24_a_plain_subscriber_may_choose_by_the_first_bytes(folder, plain_socket):
    line = stage.line("zmq_pubsub", "ipc", folder)
    plain = plain_socket(zmq.SUB, line.writer["endpoint"], topic=b'{"topic": "b"')
    with Writer(line.writer) as writer:
        writer.wait_for_peer(timeout=10)
        writer.write({"n": 1, "topic": "a"})
        writer.write({"n": 2, "topic": "b"})

        assert json.loads(plain.recv_multipart()[0]) == {"topic": "b", "n": 2}


def test_a_packet_larger_than_allowed_never_gets_in(socket_line, plain_socket):
    carrier = socket_line.carrier
    plain = plain_socket(
        WRITES[carrier], socket_line.reader["endpoint"], binds=carrier != "zmq_pullpush"
    )
    with Reader(socket_line.reader | {"max_bytes": 2_000_000}) as reader:
        _meet(plain, reader)  # or it might not even be sent
        plain.send_multipart([b"{}", bytes(2_000_001)])
        while reader.peers():  # it is cut off, and comes back
            time.sleep(0.01)
        _meet(plain, reader)
        plain.send_multipart([b"{}", bytes(2_000_000)])

        assert reader.next(timeout=10).data.nbytes == 2_000_000


def test_whoever_speaks_no_zeromq_is_not_counted_as_a_reader(folder):
    line = stage.line("zmq_pushpull", "tcp", folder)
    port = int(line.writer["endpoint"].rpartition(":")[2])
    with Writer(line.writer) as writer, ExitStack() as strangers:
        # ZeroMQ would take the first and the last for peers of its first protocol, which had no
        # greeting, and send them every other packet for as long as they stay.
        for words in (b"GET / HTTP/1.0\r\n\r\n" * 9, b"\xff" + bytes(200), b"", b"\1\0"):
            stranger = strangers.enter_context(sockets.create_connection(("127.0.0.1", port)))
            stranger.sendall(words)
        with Reader(line.reader) as reader:
            writer.wait_for_peer(timeout=10)
            writer.write({"n": 1})
            assert reader.next(timeout=10).meta == {"n": 1}
            assert writer.peers() == 1
            for n in range(1000):
                writer.write({"n": n})
            last = -1
            while last != 999:
                last = reader.next(timeout=10).meta["n"]


@pytest.mark.parametrize("carrier", stage.SOCKETS)
def test_thousands_who_come_and_go_make_nobody_wait(carrier, folder):
    line = stage.line(carrier, "ipc", folder)
    binds, other = (Reader, Writer) if carrier == "zmq_pullpush" else (Writer, Reader)
    path = line.writer["endpoint"].removeprefix("ipc://")
    with binds(line.writer) as bound:
        for _ in range(1_200):  # ZeroMQ's own thread waits when nobody takes 2,000 of its words
            with sockets.socket(sockets.AF_UNIX) as stranger:
                stranger.connect(path)
        with other(line.reader) as connected:
            writer, reader = (bound, connected) if binds is Writer else (connected, bound)
            writer.wait_for_peer(timeout=10)
            writer.write({"n": 1})

            assert reader.next(timeout=10).meta == {"n": 1}


def test_a_reader_that_says_too_much_is_cut_off(folder, plain_socket):
    line = stage.line("zmq_pubsub", "ipc", folder)
    with Writer(line.writer) as writer:
        plain_socket(zmq.SUB, line.writer["endpoint"], topic=bytes(5_000))
        with pytest.raises(TimeoutError):
            writer.wait_for_peer(timeout=0.1)


@pytest.mark.parametrize("carrier", stage.SOCKETS)
def test_a_topic_may_be_whatever_json_can_say(carrier, folder):
    line = stage.line(carrier, "ipc", folder)
    with line.ends(topics=["b"]) as (writer, reader):
        for topic in ([], {}, 1, None, "b"):
            writer.write({"topic": topic})
            writer.flush(timeout=10)

        assert reader.next(timeout=10).meta == {"topic": "b"}


def test_a_star_is_bound_to_this_host_only(folder):
    line = stage.line("zmq_pubsub", "tcp", folder)
    port = int(line.writer["endpoint"].rpartition(":")[2])
    with Writer(line.writer | {"endpoint": f"tcp://*:{port}"}):
        bound = {
            found.laddr.ip
            for found in psutil.Process().net_connections("tcp")
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port
        }

    assert bound == {"127.0.0.1"}
