"""The carriers under test: one pair of configurations each."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import contextmanager

import attrs

from actors.streams import Reader, Writer
from tests.ports import free_port

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
"""Whether to repeat as often as the promises say; else often enough to see that it works."""

_serial = itertools.count()


@attrs.frozen
class Line:
    """A writer's and a reader's configuration that belong together."""

    carrier: str
    transport: str
    writer: dict
    reader: dict

    @property
    def every_packet(self):
        """Whether a packet has one reader; else all have it, or a newer one."""
        return self.carrier in ("zmq_pushpull", "zmq_pullpush")

    @contextmanager
    def ends(self, **reading):
        """An active writer and reader that see each other."""
        with Reader(self.reader | reading) as reader, Writer(self.writer) as writer:
            writer.wait_for_peer(timeout=10)
            yield writer, reader


def seconds_to_write(writer, meta, data):
    """How long one write took, waiting included."""
    begun = time.perf_counter()
    writer.write(meta, data)
    return time.perf_counter() - begun


def line(carrier, transport, folder):
    """Fresh configurations over tcp, ipc or shm."""
    name = f"s{os.getpid()}-{next(_serial)}"
    place = {
        "tcp": lambda: f"tcp://127.0.0.1:{free_port()}",
        "ipc": lambda: f"ipc://{folder}/{name}",
        "shm": lambda: f"shm://{name}",
    }[transport]()
    both = {"class_name": carrier, "endpoint": place}
    return Line(carrier, transport, both, both)


SOCKETS = ("zmq_pubsub", "zmq_pushpull", "zmq_pullpush")
LINES = [(c, t) for c in SOCKETS for t in ("tcp", "ipc")] + [("shm", "shm")]
