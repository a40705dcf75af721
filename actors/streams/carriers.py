"""Which carrier a configuration means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.streams.carrier import ReaderCarrier, Unpack, WriterCarrier
from actors.streams.configuration import SOCKETS, Configuration
from actors.streams.dummy import DummyReader, DummyWriter
from actors.streams.files import FileWriter
from actors.streams.shm import RingPacketReader, RingWriter
from actors.streams.zmq_reader import Puller, Subscriber
from actors.streams.zmq_writer import SocketWriter

_WRITERS: Final[dict[str, Callable[[Configuration], WriterCarrier]]] = {
    **dict.fromkeys(SOCKETS, SocketWriter),
    "shm": RingWriter,
    "file": FileWriter,
    "dummy": DummyWriter,
}

_READERS: Final[dict[str, Callable[[Configuration, Unpack], ReaderCarrier]]] = {
    "zmq_pubsub": Subscriber,
    "zmq_pushpull": Puller,
    "zmq_pullpush": Puller,
    "shm": RingPacketReader,
    "dummy": DummyReader,
}


def writer_carrier(configuration: Configuration) -> WriterCarrier:
    """Return the writing end, not opened yet."""
    return _WRITERS[configuration.carrier](configuration)


def reader_carrier(configuration: Configuration, unpack: Unpack) -> ReaderCarrier:
    """Return the reading end, not opened yet."""
    return _READERS[configuration.carrier](configuration, unpack)
