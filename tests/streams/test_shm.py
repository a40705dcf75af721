"""Packets in shared memory: whose memory is whose (actors/streams/shm.py, meeting.py)."""

from __future__ import annotations

import numpy as np
import pytest

from actors.arrays.ring import SharedRing
from actors.errors import InvalidMessage
from actors.streams import Reader, Writer
from actors.streams.meeting import Meeting, meeting_folder
from tests.streams import stage

SIZE = 100_000


@pytest.fixture
def line(folder):
    return stage.line("shm", "shm", folder)


def _next(writer, reader, number):
    writer.write({"n": number}, np.full(SIZE, number, "uint8"))
    return reader.next(timeout=10)


def test_packets_that_are_held_keep_their_bytes_whatever_is_read_after_them(line):
    with line.ends() as (writer, reader):
        whole = [_next(writer, reader, n).data for n in range(5)]
        views = [np.frombuffer(_next(writer, reader, n).data, "u1")[5:] for n in range(5, 10)]
        for n in range(10, 20):
            _next(writer, reader, n)

        assert [set(data) for data in whole] == [{n} for n in range(5)]
        assert [set(view.tolist()) for view in views] == [{n} for n in range(5, 10)]


def test_1_09_a_reader_misses_what_was_written_for_others_before_it_came(line):
    with line.ends() as (writer, reader):
        _next(writer, reader, 1)
        with Reader(line.reader) as late:
            with pytest.raises(TimeoutError):
                late.next(timeout=0.05)

            assert _next(writer, late, 2).meta == {"n": 2}


def test_the_memory_of_packets_that_nobody_holds_is_used_again(line):
    with line.ends() as (writer, reader):
        places = {np.frombuffer(_next(writer, reader, n).data, "u1").ctypes.data for n in range(10)}

        assert len(places) < 4


def test_packets_of_changing_size_are_read_as_they_are(line):
    with line.ends() as (writer, reader):
        for size in (0, 10, 1_000_000, 10, 0, 500_000):
            writer.write({"size": size, "more": "x" * (size // 1000)}, bytes(size))
            packet = reader.next(timeout=10)
            assert packet.data.nbytes == packet.meta["size"] == size


def test_a_clock_that_is_set_back_hides_no_packet(line, monkeypatch):
    with line.ends() as (writer, reader):
        monkeypatch.setattr("time.time", lambda: 0.0)

        assert _next(writer, reader, 1).meta == {"n": 1}


def test_a_ring_that_holds_other_things_is_an_error_that_can_be_read_over(line):
    meeting, ring = Meeting(line.writer["endpoint"][6:], writes=True), SharedRing()
    with Reader(line.reader) as reader:
        meeting.publish(ring.address)
        ring.write(np.zeros((3, 4)))
        with pytest.raises(InvalidMessage):
            reader.next(timeout=10)
        assert reader.stats().invalid == 1
        ring.close()
        meeting.close()
        with Writer(line.writer) as writer:
            assert _next(writer, reader, 1).meta == {"n": 1}


def test_the_meeting_leaves_no_file_when_both_have_gone(line):
    path = meeting_folder() / line.writer["endpoint"][6:]
    with line.ends() as (writer, reader):
        assert path.exists()
        writer.close()
        assert path.exists()  # the reader still waits there for the next writer
        reader.close()

    assert not path.exists()
