"""Valkyrie's own test programs, here under their names: `make run-test-01-writer_reader`."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from actors.streams import Data, MetaKeyword, new_ReaderInterface, new_WriterInterface
from tests.streams import stage

NUMBER = MetaKeyword.PACKET_SEQUENCE_NUMBER


@pytest.fixture
def ends(folder):
    """A writer and a reader of pubsub, as those programs make them."""
    line = stage.line("zmq_pubsub", "tcp", folder)
    spelled = {"class_name": "dls_::valkyrie::zmq_pubsub"}
    writer = new_WriterInterface(line.writer | spelled)
    reader = new_ReaderInterface(line.reader | spelled | {"recv_timeout_milliseconds": "5000"})
    reader.activate()
    writer.wait_for_peer(timeout=10)
    yield writer, reader
    reader.close()
    writer.close()


def _read(reader):
    meta, data = {}, Data()
    reader.read(meta, data)
    return meta, data


def test_1_21_01_writer_reader(ends):
    writer, reader = ends
    numbers = np.arange(3, dtype="uint32")
    thread = threading.Thread(target=writer.write, args=({"some": "thing"}, Data(numbers)))
    thread.start()

    meta, data = _read(reader)

    thread.join()
    assert meta == {"some": "thing"}
    assert np.array_equal(np.frombuffer(data.memoryview, "uint32"), numbers)


def test_1_21_02_missed_unthreaded(ends):
    writer, reader = ends
    for number in range(100):
        writer.write({NUMBER: f"{number}"}, Data(bytes(1_000_000)))

    seen = []
    while "99" not in seen:
        seen.append(_read(reader)[0][NUMBER])

    assert len(seen) < 100
    assert seen == sorted(seen, key=int)


def test_1_21_03_missed_threaded(ends):
    writer, reader = ends

    def write():
        for number in range(100):
            writer.write({NUMBER: number}, Data(bytes(1_000_000)))

    thread = threading.Thread(target=write)
    thread.start()
    seen = []
    while 99 not in seen:
        seen.append(_read(reader)[0][NUMBER])
    thread.join()

    assert seen == sorted(set(seen))


def test_1_21_04_dataless(ends):
    writer, reader = ends
    for data in (Data(), Data(b""), None):
        writer.write({"only": "meta"}, data)
        meta, got = _read(reader)

        assert (meta, got.memoryview.nbytes) == ({"only": "meta"}, 0)


def test_1_21_05_speed(ends):
    writer, reader = ends
    data, stop = Data(bytes(4_000_000)), threading.Event()

    def write():
        while not stop.is_set():
            writer.write({}, data)

    thread = threading.Thread(target=write)
    thread.start()
    begun = time.perf_counter()
    size = sum(_read(reader)[1].memoryview.nbytes for _ in range(20))
    took = time.perf_counter() - begun
    stop.set()
    thread.join()

    assert size == 20 * 4_000_000
    print(f"\nread 20 packets of 4 MB in {took:.3f} s: {size / took / 1e6:,.0f} MB/s")  # noqa: T201
