"""Large bytes travel beside their message (actors/wire/leaves.py, protocol 7.2)."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import message
from actors.arrays.segment import HAS_MEMFD
from actors.attachments import Incoming, Memory, Outgoing
from actors.codec import FrameCarrier, codec_for, value_codec
from actors.errors import InvalidMessage, MessageError
from actors.wire.carrier import Part
from actors.wire.leaves import BESIDE_FROM


@message
class Parcel:
    data: bytes
    label: str = ""


@message
class Short:
    data: Annotated[bytes, msgspec.Meta(max_length=BESIDE_FROM)]


@message
class Shelf:
    parcels: list[Parcel]
    loose: list[bytes]
    named: dict[str, bytes]
    one: bytes | None = None


CODEC = codec_for(Parcel)
SIZES = st.sampled_from([0, 1, BESIDE_FROM - 1, BESIDE_FROM, BESIDE_FROM + 1, 3 * BESIDE_FROM])


def filled(size, seed=0):
    return np.random.default_rng(seed).bytes(size)


@given(size=SIZES, seed=st.integers(0, 99))
def test_bytes_of_any_length_come_back(size, seed):
    carrier, sent = FrameCarrier(), Parcel(filled(size, seed), "x")
    payload = CODEC.encode(sent, carrier)

    assert CODEC.decode(payload, FrameCarrier(carrier.frames)) == sent
    assert len(carrier.frames) == (size >= BESIDE_FROM)
    assert len(payload) < 64 or size < BESIDE_FROM


@given(sizes=st.lists(SIZES, min_size=4, max_size=4))
def test_bytes_in_messages_within_messages_come_back_wherever_they_are(sizes):
    first, second, third, fourth = (filled(size, n) for n, size in enumerate(sizes))
    sent = Shelf([Parcel(first), Parcel(second)], [third], {"a": fourth}, third)
    carrier = FrameCarrier()
    payload = codec_for(Shelf).encode(sent, carrier)

    assert codec_for(Shelf).decode(payload, FrameCarrier(carrier.frames)) == sent


def test_an_answer_of_bytes_travels_beside_it_too():
    codec, carrier, data = value_codec(bytes), FrameCarrier(), filled(BESIDE_FROM)
    payload = codec.encode(data, carrier)

    assert len(payload) < 64
    assert codec.decode(payload, FrameCarrier(carrier.frames)) == data


def test_what_is_sent_within_the_payload_is_understood_whatever_its_length():
    data = filled(2 * BESIDE_FROM)

    assert CODEC.decode(msgspec.msgpack.encode([data, "x"]), FrameCarrier()) == Parcel(data, "x")


def test_bytes_with_a_limit_of_length_stay_where_it_is_checked():
    carrier = FrameCarrier()
    codec_for(Short).encode(Short(bytes(BESIDE_FROM)), carrier)
    assert not carrier.frames

    beside = msgspec.msgpack.encode([Part(0, "|u1", (2 * BESIDE_FROM,))])
    with pytest.raises(InvalidMessage, match="data"):
        codec_for(Short).decode(beside, FrameCarrier([bytes(2 * BESIDE_FROM)]))


@pytest.mark.parametrize("kind", [bytearray, memoryview, list, np.frombuffer])
def test_only_bytes_are_bytes(kind):
    with pytest.raises(InvalidMessage, match="expected bytes"):
        CODEC.encode(Parcel(kind(bytes(BESIDE_FROM))), FrameCarrier())


PARTS = st.builds(
    Part,
    st.integers(-2, 3),
    st.sampled_from(["|u1", "<f8", "|b1", "O", "|V2147483647", ""]),
    st.lists(st.integers(-1, 2**62), max_size=3).map(tuple) | st.just((8,)),
    st.none() | st.lists(st.integers(-1, 2**62), max_size=6).map(tuple),
)


@given(part=PARTS)
def test_a_part_that_is_not_there_is_a_message_error_and_nothing_else(part):
    payload, frames = msgspec.msgpack.encode([part, ""]), [bytes(8), bytes(BESIDE_FROM)]
    try:
        found = CODEC.decode(payload, FrameCarrier(frames))
    except MessageError:
        pass
    else:
        assert found.data == frames[part.where]
    memory = Memory()
    with pytest.raises(MessageError):
        CODEC.decode(payload, Incoming([], memory, None))
    memory.close()


def test_on_one_host_they_lie_in_shared_memory_only_as_long_as_the_message_is_on_its_way():
    sender, receiver, sent = Memory(), Memory(), Parcel(filled(BESIDE_FROM))
    carrier = Outgoing(sender)
    payload = CODEC.encode(sent, carrier)
    assert (len(carrier.blocks), len(carrier.frames)) == ((1, 0) if HAS_MEMFD else (0, 1))

    assert CODEC.decode(payload, Incoming(list(carrier.frames), receiver, None)) == sent
    sender.free(tuple(carrier.blocks))
    assert not sender.arena.statistics().living  # nobody reads it any more
    sender.close()
    receiver.close()
