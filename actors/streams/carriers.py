"""Which carrier a configuration means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.streams.carrier import ReaderCarrier, Unpack, WriterCarrier
from actors.streams.configuration import Carrier, Configuration
from actors.streams.dummy import DummyReader, DummyWriter
from actors.streams.files import FileWriter
from actors.streams.shm import RingPacketReader, RingWriter
from actors.streams.zmq_reader import Puller, Subscriber
from actors.streams.zmq_writer import SocketWriter

_WRITERS: Final[dict[Carrier, Callable[[Configuration], WriterCarrier]]] = {
    Carrier.PUBSUB: SocketWriter,
    Carrier.PUSHPULL: SocketWriter,
    Carrier.PULLPUSH: SocketWriter,
    Carrier.SHM: RingWriter,
    Carrier.FILE: FileWriter,
    Carrier.DUMMY: DummyWriter,
}

_READERS: Final[dict[Carrier, Callable[[Configuration, Unpack], ReaderCarrier]]] = {
    Carrier.PUBSUB: Subscriber,
    Carrier.PUSHPULL: Puller,
    Carrier.PULLPUSH: Puller,
    Carrier.SHM: RingPacketReader,
    Carrier.DUMMY: DummyReader,
}


def writer_carrier(configuration: Configuration) -> WriterCarrier:
    """Return the writing end, not opened yet."""
    return _WRITERS[configuration.carrier](configuration)


def reader_carrier(configuration: Configuration, unpack: Unpack) -> ReaderCarrier:
    """Return the reading end, not opened yet."""
    return _READERS[configuration.carrier](configuration, unpack)
