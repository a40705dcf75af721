"""Streams inside actors: the forwarding actor (actors/streams/forwarder.py)."""

from __future__ import annotations

import numpy as np
import pytest
import zmq

import supervisor
from actors.errors import SpawnError
from actors.streams import Reader, Writer
from actors.streams.forwarder import Forwarder, PassedRequest
from tests.streams import stage


@pytest.fixture(scope="module")
def system():
    with supervisor.start() as running:
        yield running


def test_1_30_a_forwarding_actor_passes_packets_on_and_goes_on_after_a_kill(system, folder):
    before, after = (
        stage.line("zmq_pushpull", "ipc", folder),
        stage.line("zmq_pubsub", "tcp", folder),
    )
    with Writer(before.writer) as writer, Reader(after.reader) as reader:
        proxy = system.spawn(Forwarder, name="proxy", source=before.reader, target=after.writer)
        for life in (1, 2):
            writer.wait_for_peer(timeout=20)
            reader.wait_for_peer(timeout=20)
            seen = 0
            image = np.full(1000, life, "uint32")
            for n in range(1000):  # until the subscription has reached it
                writer.write({"n": n, "life": life}, image)
                try:
                    packet = reader.next(timeout=0.2)
                except TimeoutError:
                    continue
                assert np.array_equal(np.frombuffer(packet.data, "uint32"), image)
                seen += packet.meta["life"] == life
                if seen == 3:
                    break
            passed = proxy.ask(PassedRequest()).result(timeout=10)
            assert passed.received >= passed.sent >= 3
            if life == 1:
                system.kill("proxy")
                while writer.peers():
                    writer.write({})
        system.stop("proxy")


def test_a_forwarder_with_a_wrong_configuration_does_not_start(system):
    with pytest.raises(SpawnError, match="class_name"):
        system.spawn(Forwarder, name="wrong", source={"endpoint": "x"}, target={})


def test_what_is_no_packet_is_left_out_counted_and_said_once(folder, capfd):
    before, after = (
        stage.line("zmq_pullpush", "ipc", folder),
        stage.line("zmq_pushpull", "ipc", folder),
    )
    with (
        supervisor.start() as system,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as plain,
        Reader(after.reader) as reader,
    ):
        plain.linger, plain.sndtimeo = 0, 10_000
        plain.connect(before.writer["endpoint"])
        proxy = system.spawn(Forwarder, name="picky", source=before.reader, target=after.writer)
        for _ in range(5):
            plain.send_multipart([b"nonsense", b""])
        reader.wait_for_peer(timeout=20)
        plain.send_multipart([b'{"fine": 1}', b""])

        assert reader.next(timeout=20).meta == {"fine": 1}
        assert proxy.ask(PassedRequest()).result(timeout=10).invalid == 5
    assert capfd.readouterr().err.count("left out") == 1
