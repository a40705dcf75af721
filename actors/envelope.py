"""The wire format: what one ZeroMQ message between two parties holds.

A wire message is a list of frames; the broker reads the first and never the others:

    frame 0   route    msgpack array  [magic, target, target incarnation,
                             sender, sender incarnation, host]
    frame 1   batch    msgpack array  [now, base, last, received, handled, finished, credit, flags,
                             [envelope, ...]]
                       or, when target or sender is "" (the broker itself), one word of `control.py`
    frame 2.. arrays   the array frames of all envelopes, in their order

The route is constant for a pair of lives, so the broker and the receiver look the bytes up in a
dictionary instead of decoding them.  A batch carries every envelope that waited for one target
(often one), and in its head what the sender has received from the other side.

    now       the sender's clock (s) when the batch left; deadlines are relative to it
    base      every message below this number is settled: a receiver that knows nothing starts here
    last      the highest number sent so far, so that a lost tail is noticed
    received  reverse direction: every number up to this one has arrived
    handled   reverse direction: every number up to this one is finished
    finished  reverse direction: numbers above `handled` that were finished since the last batch:
              the first and the last of each run of them, in their order
    credit    reverse direction: how many unfinished messages the sender of this batch will hold
    flags     1 = please acknowledge now, 2 = please send again from `received` + 1
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Annotated, Final, TypeAlias

import msgspec

from actors.address import LONGEST_NAME
from actors.errors import MessageError

MAGIC: Final = "us1"
"""Names the protocol and its version; anything else is refused before it is decoded further."""


LAST_NUMBER: Final = 2**53
"""No counter gets so far; a larger one would not fit the flight recorder either."""

Counter: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=LAST_NUMBER)]
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=LAST_NUMBER)]


Frames: TypeAlias = Sequence[bytes | memoryview]
"""The arrays of one envelope."""

LARGEST_FRAME: Final = 256 << 20
"""Bytes of one frame; a broker closes the connection of whoever sends a larger one."""


LONGEST_ROUTE: Final = 1024
"""Bytes of a route frame; two names and two numbers need less."""

LONGEST_TAG: Final = 255
"""Characters of a tag; `message.py` allows no longer one."""

MOST_WAITING: Final = 128
"""Names in a chain; `cycles.py` refuses far shorter ones."""

Waiting: TypeAlias = Annotated[str, msgspec.Meta(max_length=2 * LONGEST_NAME)]


class Kind(IntEnum):
    """What an envelope is.  The first three wait in a mailbox; the others are taken at once."""

    TELL = 1
    ASK = 2
    STREAM = 3
    REPLY = 4
    FAILURE = 5
    ITEM = 6
    END = 7
    GRANT = 8
    CANCEL = 9
    WANT = 10
    OFFER = 11
    PASS = 12
    PIECE = 13


# Plain numbers for what every message meets: a member of an enumeration is looked up with more
# work than all the rest of a comparison.
TELL: Final = int(Kind.TELL)
ASK: Final = int(Kind.ASK)
STREAM: Final = int(Kind.STREAM)

LAST_MAILBOX_KIND: Final = STREAM
"""Kinds up to this one are handled by an actor."""


class Flags(IntFlag):
    """Requests in the head of a batch."""

    NONE = 0
    ACKNOWLEDGE = 1
    RESEND = 2


class Route(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where a batch goes and which life it comes from."""

    magic: str
    target: str
    target_incarnation: Counter
    sender: str
    sender_incarnation: Counter
    host: bytes = b""
    """Two parties with equal, non-empty host keys can share memory."""


class Envelope(msgspec.Struct, array_like=True, gc=False):
    """One message with its header; `payload` is opaque to everyone but the codec."""

    kind: Annotated[int, msgspec.Meta(ge=1, le=13)]
    """A `Kind`; a plain number, because making the enum's member takes as long as the rest."""
    seq: Counter
    """Number in the lane, from 1 without gaps; 0 while it is not yet in one."""
    correlation: Counter
    """Which ask or stream this belongs to; 0 for a tell."""
    tag: Annotated[str, msgspec.Meta(max_length=LONGEST_TAG)]
    """Wire tag of the message class; empty for answers."""
    payload: bytes
    frames: Counter = 0
    """How many array frames of the wire message are this envelope's."""
    deadline: float = 0.0
    """Seconds on the sender's clock (see `Batch.now`); 0 for none."""
    chain: Annotated[tuple[Waiting, ...], msgspec.Meta(max_length=MOST_WAITING)] = ()
    """Names of the actors that wait for this ask, outermost first."""
    attempt: Number = 1
    """1 for the first delivery; more for a redelivered message."""
    schema: bytes = b""
    """Fingerprint of the message class as the sender has it; empty when it does not say."""
    parts: Counter = 0
    """How many parts of it, the payload and its array frames, went ahead in pieces."""


class Batch(msgspec.Struct, array_like=True, gc=False):
    """Every envelope that goes from one life to another in one wire message."""

    now: float
    base: Number
    last: Counter
    received: Counter
    handled: Counter
    finished: list[int]
    credit: Counter
    flags: int
    envelopes: list[Envelope]


_encode = msgspec.msgpack.Encoder().encode
_decode_batch = msgspec.msgpack.Decoder(Batch).decode
_decode_route = msgspec.msgpack.Decoder(Route).decode


def encode_route(route: Route) -> bytes:
    """Return frame 0."""
    return _encode(route)


def decode_route(frame: bytes) -> Route:
    """Return the route in `frame`; raises `MessageError` for anything that is not one of ours."""
    try:
        route = _decode_route(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MessageError(f"not an understudy route: {error}") from None
    if route.magic != MAGIC:
        raise MessageError(
            f"protocol {route.magic[:16]!r} is not spoken here; this side speaks {MAGIC!r}"
        )
    return route


def encode_batch(batch: Batch) -> bytes:
    """Return frame 1."""
    return _encode(batch)


def decode_batch(frame: bytes | memoryview) -> Batch:
    """Return the batch in `frame`; raises `MessageError` for anything else."""
    try:
        return _decode_batch(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise MessageError(f"not a batch of envelopes: {error}") from None
