"""The wire format; and that no bytes raise anything but `MessageError`, or cost much memory."""

from __future__ import annotations

import tracemalloc

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from actors.envelope import (
    LAST_NUMBER,
    MAGIC,
    Batch,
    Envelope,
    Kind,
    Route,
    decode_batch,
    decode_route,
    encode_batch,
    encode_route,
)
from actors.errors import MessageError

ONE = Envelope(Kind.ASK, 3, 7, "m:M", b"abc", 2, 1.5, ("a", "b"), 2)


def batch(**changes):
    values = {
        "now": 1.0, "base": 1, "last": 3, "received": 2, "handled": 1, "finished": [5],
        "credit": 10, "flags": 1, "envelopes": [ONE],
    }  # fmt: skip
    return Batch(**{**values, **changes})


def test_a_batch_comes_back_as_it_was():
    assert decode_batch(encode_batch(batch())) == batch()


def test_a_route_comes_back_as_it_was():
    route = Route(MAGIC, "a", 1, "b", 2, b"host")

    assert decode_route(encode_route(route)) == route


@pytest.mark.parametrize(
    "changes",
    [
        {"base": 0},
        {"base": LAST_NUMBER + 1},
        {"last": -1},
        {"received": -1},
        {"handled": 2**63},
        {"credit": -1},
        {"envelopes": [Envelope(0, 1, 0, "", b"")]},
        {"envelopes": [Envelope(14, 1, 0, "", b"")]},
        {"envelopes": [Envelope(1, 1, 0, "", b"", -1)]},
        {"envelopes": [Envelope(1, -1, 0, "", b"")]},
        {"envelopes": [Envelope(1, 1, 0, "", b"", 0, 0.0, (), 0)]},
    ],
)
def test_numbers_that_cannot_be_are_refused(changes):
    with pytest.raises(MessageError):
        decode_batch(encode_batch(batch(**changes)))


def test_another_protocol_is_refused_by_its_name():
    with pytest.raises(MessageError, match="us2"):
        decode_route(encode_route(Route("us2", "a", 1, "b", 1)))


@given(data=st.binary(max_size=200))
def test_garbage_is_a_message_error(data):
    for decode in (decode_batch, decode_route):
        try:
            decode(data)
        except MessageError:
            continue


def test_deep_nesting_is_a_message_error():
    for decode in (decode_batch, decode_route):
        with pytest.raises(MessageError):
            decode(b"\x91" * 100_000)


SMALLEST = msgspec.msgpack.encode([1, 1, 0, "", b""])


@pytest.mark.parametrize(
    ("finished", "envelopes"),
    [
        (b"\xdd" + (10**6).to_bytes(4, "big") + b"\x01" * 10**6, b"\x90"),
        (b"\xdd" + (10**6).to_bytes(4, "big") + b"\xcd\x7f\xff" * 10**6, b"\x90"),
        (b"\x90", b"\xdd" + (10**5).to_bytes(4, "big") + SMALLEST * 10**5),
        (b"\xdd" + (2**32 - 1).to_bytes(4, "big"), b""),
    ],
)
def test_a_hostile_batch_costs_a_small_multiple_of_its_bytes(finished, envelopes):
    head = b"\x99" + msgspec.msgpack.encode(1.0) + b"\x01" * 4
    data = head + finished + b"\x01\x00" + envelopes
    tracemalloc.start()
    try:
        decoded = decode_batch(data)
    except MessageError:
        decoded = None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del decoded

    assert peak < 24 * len(data) + 10_000
