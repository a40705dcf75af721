"""Streams: packets of JSON and bytes from one program to others, the newest first.

    Writer ──► carrier ═══════════════════════════► carrier ──► Reader
               zmq_pubsub    all readers, the newest wins
               zmq_pushpull  one reader in turn
               zmq_pullpush  from many writers to one reader
               shm           all readers on this host, the newest wins
               file, dummy   a folder, nothing

packet         the format, checked                         pure
newest         which packet gives way                      pure
sequence       the meta of image sequences                 pure
configuration  what a configuration asks for               pure
carrier        what a carrier is; carriers: which one
end            what both ends share; reader, writer, data
valkyrie       Valkyrie's own names for all this
forwarder      an actor that forwards
hdf5           images in one HDF5 file (extra `hdf5`)
"""

from actors.streams.carrier import Statistics
from actors.streams.packet import Packet
from actors.streams.reader import Reader
from actors.streams.sequence import ImageSequence, image_of
from actors.streams.valkyrie import (
    Data,
    MetaKeyword,
    PacketType,
    new_ReaderInterface,
    new_WriterInterface,
)
from actors.streams.writer import Writer

__all__ = [
    "Data",
    "ImageSequence",
    "MetaKeyword",
    "Packet",
    "PacketType",
    "Reader",
    "Statistics",
    "Writer",
    "image_of",
    "new_ReaderInterface",
    "new_WriterInterface",
]
