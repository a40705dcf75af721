"""Real processes that are killed, stopped or just end (SIGKILL, SIGSTOP)."""

from __future__ import annotations

import hashlib
import os
import signal
import statistics
import subprocess
import sys
import time

import psutil
import pytest

from actors.streams import Reader, Writer
from tests.streams import stage

pytestmark = pytest.mark.process

WRITES = """
import hashlib, os, signal, sys
from actors.streams import Writer

def write(parent):
    writer = Writer({"class_name": sys.argv[1], "endpoint": sys.argv[2]})
    writer.wait_for_peer(timeout=20)
    n = 0
    while os.getppid() == parent:
        data = os.urandom(1000) * 2000
        writer.write({"pid": os.getpid(), "n": n, "sha": hashlib.sha256(data).hexdigest()}, data)
        n += 1

for _ in range(int(sys.argv[3])):  # lives, each a process that writes until it is killed
    parent = os.getpid()
    life = os.fork()
    if not life:
        write(parent)
        os._exit(0)
    print(life, flush=True)
    sys.stdin.readline()
    os.kill(life, signal.SIGKILL)
    os.waitpid(life, 0)
"""

KILLS = 13 if stage.LONG else 4
"""Over each of four lines."""

READS = """
import sys
from actors.streams import Reader
with Reader({"class_name": sys.argv[1], "endpoint": sys.argv[2]}) as reader:
    for packet in reader:
        print(packet.meta["n"], flush=True)
"""


@pytest.fixture
def program():
    """Start a program on a line; whatever happens it is ended."""
    started = []

    def start(code, configuration, *arguments):
        command = [
            sys.executable,
            "-c",
            code,
            configuration["class_name"],
            configuration["endpoint"],
            *arguments,
        ]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("line", stage.LINES[::2], ids="-".join, indirect=True)
def test_1_06_a_killed_writer_leaves_whole_packets_and_its_next_life_is_read(line, program):
    with Reader(line.reader) as reader:
        writers = program(WRITES, line.writer, str(KILLS))
        for _ in range(KILLS):
            life, seen = int(writers.stdout.readline()), 0
            while seen < 3:
                packet = reader.next(timeout=30)
                assert hashlib.sha256(packet.data).hexdigest() == packet.meta["sha"]
                seen += packet.meta["pid"] == life
            writers.stdin.write("kill\n")
            writers.stdin.flush()
        assert writers.wait(30) == 0

        assert reader.stats().invalid == 0


@pytest.mark.parametrize("carrier", ["zmq_pubsub", "zmq_pushpull"])
def test_1_12_a_stopped_reader_makes_no_write_wait(carrier, folder, program):
    line = stage.line(carrier, "tcp", folder)
    with Writer(line.writer) as writer:
        reader = program(READS, line.reader)
        writer.wait_for_peer(timeout=30)
        os.kill(reader.pid, signal.SIGSTOP)
        data, me = bytes(1 << 20), psutil.Process()
        before = me.memory_info().rss
        took = [stage.seconds_to_write(writer, {"n": n}, data) for n in range(2_000)]
        grown = me.memory_info().rss - before
        os.kill(reader.pid, signal.SIGCONT)

        assert statistics.median(took) < 0.02  # the machine may be busy, but not for most of them
        assert grown < 64 << 20
        assert writer.stats().dropped > 1_900
        if carrier == "zmq_pushpull":  # its reader gets the newest when it goes on
            last = ""
            while last != "1999":
                last = reader.stdout.readline().strip()


def test_1_15_a_stopped_reader_takes_nothing_from_the_others(folder, program):
    line = stage.line("zmq_pubsub", "tcp", folder)
    with Writer(line.writer) as writer, Reader(line.reader) as good:
        stopped = program(READS, line.reader)
        writer.wait_for_peer(timeout=30, count=2)
        os.kill(stopped.pid, signal.SIGSTOP)
        seen = []
        for n in range(30):  # the next when this one has come: a low rate
            writer.write({"n": n}, bytes(1 << 20))
            seen.append(good.next(timeout=10).meta["n"])

        assert seen == list(range(30))


def test_a_reader_that_is_killed_is_missed_within_the_next_writes(line, program):
    with Writer(line.writer) as writer:
        reader = program(READS, line.reader)
        writer.wait_for_peer(timeout=30)
        reader.kill()
        reader.wait()
        deadline = time.monotonic() + 10
        while writer.peers():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        before = writer.stats().dropped
        writer.write({})

        assert writer.stats().dropped == before + 1
