"""iceoryx2 doing what `supervisor.bench.rings` does.  Run by an environment that has it, not ours.

    python iceoryx.py writer    then on standard input, a line for each measurement:
    written 3                   ─► frames a second that are written while three processes read
    seen 3                      ─► frames a second that each of them has seen meanwhile

The same frames, copied in and copied out as ours are; of each only the newest is kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import iceoryx2
import numpy as np

COUNT = 1_000_000
BYTES = 8 * COUNT
SECONDS = 0.3
MOST_READERS = 3


@contextlib.contextmanager
def service(name: str) -> Iterator[Any]:
    """Return a service whose subscribers keep the newest frame only."""
    iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    builder = node.service_builder(iceoryx2.ServiceName.new(name))
    yield (
        builder.publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
        .enable_safe_overflow(True)
        .subscriber_max_buffer_size(1)
        .max_subscribers(MOST_READERS)
        .open_or_create()
    )


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def lies_at(pointer: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * BYTES).from_address(pointer), np.float64)


def reader(name: str) -> None:
    out = np.empty(COUNT)
    with service(name) as frames:
        subscriber = None
        say("ready")
        for line in sys.stdin:
            if line == "close\n":  # whoever does not look has no part in it
                subscriber.delete()
                subscriber = None
                say("closed")
                continue
            subscriber = subscriber or frames.subscriber_builder().create()
            say("open")
            count, begun = 0, time.perf_counter()
            while (took := time.perf_counter() - begun) < SECONDS:
                sample = subscriber.receive()
                if sample is None:
                    time.sleep(0.0005)
                    continue
                np.copyto(out, lies_at(sample.payload_ptr))
                sample.delete()
                count += 1
            say(count / took)


class Reader:
    """A process that reads."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, __file__, "reader", name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hear()

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self.hear()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> None:
        self._process.communicate()


def written(publisher: Any, readers: list[Reader]) -> tuple[float, float]:
    picture = np.ones(COUNT)
    for one in readers:
        one.say("look")
    count, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < SECONDS:
        sample = publisher.loan_slice_uninit(BYTES)
        np.copyto(lies_at(sample.payload_ptr), picture)
        sample.assume_init().send()
        count += 1
    seen = sum(float(one.hear()) for one in readers) / max(1, len(readers))
    for one in readers:
        one.say("close")
    return count / took, seen


def writer(words: Any) -> None:
    name = f"understudy-{os.getpid()}"
    with service(name) as frames:
        publisher = frames.publisher_builder().initial_max_slice_len(BYTES).create()
        readers = [Reader(name) for _ in range(MOST_READERS)]
        print("ready", file=words, flush=True)
        seen = 0.0
        for line in sys.stdin:
            what, count = line.split()
            if what == "written":
                rate, seen = written(publisher, readers[: int(count)])
            print(rate if what == "written" else seen, file=words, flush=True)
        for one in readers:
            one.end()


if __name__ == "__main__":
    if sys.argv[1] == "reader":
        reader(sys.argv[2])
    else:
        words = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever the library prints is not an answer
        writer(words)
