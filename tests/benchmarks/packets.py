"""Packets to readers in processes of their own, beside raw pyzmq PUB and SUB doing the same.

    writer, flat out for a moment ──► reader 1..3, which count until they see the end

The writer waits for nobody, so what a reader gets is what the transport carries; the newest wins,
and what was replaced is no figure here.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import zmq

from actors.streams import Reader, Writer
from supervisor.bench.figures import Figure, compared, quantile, rounds

SECONDS: Final = 0.4
SIZES: Final = {"1 KiB": 1 << 10, "4 MB": 4_000_000, "32 MB": 32_000_000}
READERS: Final = (1, 3)
RAW: Final = "raw PUB/SUB"
CARRIERS: Final = ("zmq_pubsub", "zmq_pushpull", "shm")
LEAST: Final = 0.1
"""Packets a second that are said where not one came: a ratio needs a number."""

WRITES: Final = 1_000
"""Writes of 1 MB before a reader that is stopped."""


class Sender(Protocol):
    """What writes: ours, or a raw socket."""

    def write(self, meta: dict[str, Any], data: bytes, /) -> None: ...


class Raw:
    """A PUB socket as the protocol's page says."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.sndhwm = 1
        self._socket.bind(endpoint)

    def write(self, meta: dict[str, Any], data: bytes) -> None:
        self._socket.send_multipart([json.dumps(meta).encode(), data], copy=False)

    def close(self) -> None:
        self._context.destroy(0)


@contextmanager
def _line(kind: str, readers: int) -> Iterator[tuple[Sender, list[subprocess.Popen[str]]]]:
    """A writer and its readers, which have all said that something arrives."""
    with tempfile.TemporaryDirectory(prefix="us-", dir="/tmp") as folder:
        name = Path(folder).name
        endpoint = f"shm://{name}" if kind == "shm" else f"ipc://{folder}/packets"
        both = {"class_name": kind, "endpoint": endpoint}
        writer: Any = Raw(endpoint) if kind == RAW else Writer(both)
        command = [sys.executable, "-m", "tests.benchmarks.packets", kind, endpoint]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)
        ]
        try:
            _until_all_say(writer, started, {"run": -1})
            yield writer, started
        finally:
            for reader in started:
                reader.kill()
                reader.communicate()
            writer.close()


def _until_all_say(
    writer: Sender, readers: list[subprocess.Popen[str]], meta: dict[str, Any]
) -> list[Any]:
    """Write the end of a run until every reader has said what it got."""
    said = []
    for reader in readers:
        assert reader.stdout is not None
        while not select.select([reader.stdout], [], [], 0.005)[0]:
            writer.write(meta | {"end": True}, b"")
        said.append(json.loads(reader.stdout.readline()))
    return said


def _run(line: tuple[Sender, list[subprocess.Popen[str]]], size: int) -> tuple[float, list[float]]:
    """Write for a moment; return packets a second (of all readers) and their ages."""
    writer, readers = line
    data, run = bytes(size), time.monotonic_ns()
    end = time.perf_counter() + SECONDS * (1 + size // 10_000_000)
    while time.perf_counter() < end:
        writer.write({"run": run, "t": time.time()}, data)
    said = _until_all_say(writer, readers, {"run": run})
    return sum(rate for rate, _ in said), [age for _, ages in said for age in ages]


def packets(repeats: int) -> list[Figure]:
    """Packets a second and GB/s, what they are old, and what a stopped reader costs."""
    figures: list[Figure] = []
    for readers in READERS:
        for title, size in SIZES.items():
            figures += _speeds(max(1, repeats // 5), readers, title, size)
    return [*figures, *map(_stopped, ("zmq_pubsub", "zmq_pushpull", RAW))]


def _speeds(repeats: int, readers: int, title: str, size: int) -> list[Figure]:
    ages: dict[str, list[float]] = {kind: [] for kind in (*CARRIERS, RAW)}

    def variant(kind: str) -> Callable[[], float]:
        def run() -> float:
            with _line(kind, readers) as line:
                rate, found = _run(line, size)
            ages[kind] += found
            return rate

        return run

    rates = rounds(repeats, {kind: variant(kind) for kind in ages})
    figures = []
    for kind, found in rates.items():
        speed = sum(found) / len(found) * size / 1e9
        name = f"{kind}, {title}, {readers} reader{'s' * (readers > 1)}"
        note = f"{speed:.2f} GB/s, {_old(ages[kind])}"
        theirs = None if kind == RAW else rates[RAW]
        figures.append(compared(name, "/s", found, theirs, beside=RAW, note=note))
    return figures


def _old(ages: list[float]) -> str:
    if not ages:
        return "nothing came"
    middle, slow = quantile(ages, 0.5) * 1e3, quantile(ages, 0.99) * 1e3
    return f"age p50 .. p99 {middle:.1f} .. {slow:.0f} ms"


def _stopped(kind: str) -> Figure:
    """How long a write of 1 MB takes when its only reader is stopped."""
    data, took = bytes(1 << 20), []
    with _line(kind, 1) as (writer, (reader,)):
        os.kill(reader.pid, signal.SIGSTOP)
        for n in range(WRITES):
            begun = time.perf_counter()
            writer.write({"run": n}, data)
            took.append((time.perf_counter() - begun) * 1e6)
    note = f"p50 .. p99; longest {max(took):,.0f} us"
    middle, slow = quantile(took, 0.5), quantile(took, 0.99)
    return Figure(f"a write, reader stopped, {kind}", slow, "us", middle, slow, note=note)


def _raw_packets(endpoint: str) -> Iterator[tuple[dict[str, Any], int]]:
    socket = zmq.Context().socket(zmq.SUB)
    socket.rcvhwm = 1
    socket.subscribe(b"")
    socket.connect(endpoint)
    while True:
        meta, data = socket.recv_multipart(copy=False)
        yield json.loads(meta.bytes), len(data)


def _our_packets(kind: str, endpoint: str) -> Iterator[tuple[dict[str, Any], int]]:
    with Reader({"class_name": kind, "endpoint": endpoint}) as reader:
        for packet in reader:
            yield packet.meta, packet.data.nbytes


def read(kind: str, endpoint: str) -> None:
    """Say at each run's end how many packets a second came, and how old they were."""
    over, count, begun, last = 0, 0, 0.0, 0.0
    ages: list[float] = []
    arriving = _raw_packets(endpoint) if kind == RAW else _our_packets(kind, endpoint)
    for meta, _size in arriving:
        if meta["run"] == over:
            continue
        now = time.time()
        if "end" not in meta:
            begun = begun or now
            ages.append(now - meta["t"])
            count, last = count + 1, now
            continue
        rate = (count - 1) / (last - begun) if count > 1 and last > begun else max(count, LEAST)
        sys.stdout.write(json.dumps([rate, ages[:: len(ages) // 1000 + 1]]) + "\n")
        sys.stdout.flush()
        over, count, begun, ages = meta["run"], 0, 0.0, []


if __name__ == "__main__":
    read(sys.argv[1], sys.argv[2])
