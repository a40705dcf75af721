"""What a packet is on the wire, and what is none (actors/streams/packet.py)."""

from __future__ import annotations

import array
import contextlib
import json
import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidMessage
from actors.streams.packet import MOST_META, freeze, pack_meta, unpack

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
metas = st.dictionaries(st.text(), values, max_size=5)


@given(metas, st.binary())
def test_1_05_any_json_object_and_any_bytes_make_the_round_trip(meta, data):
    packet = unpack([pack_meta(meta), freeze(data)])

    assert packet.meta == meta
    assert bytes(packet.data) == data
    assert packet.data.readonly


@given(metas)
def test_1_05_the_meta_on_the_wire_is_what_json_makes_of_it(meta):
    assert pack_meta(meta) == json.dumps(meta).encode()


@pytest.mark.parametrize("meta", [{"x": b"bytes"}, {"x": object()}, {(1, 2): 3}, [1], "text", None])
def test_1_05_what_json_cannot_say_is_refused_with_the_field(meta):
    with pytest.raises(InvalidMessage) as caught:
        pack_meta(meta)

    assert caught.value.field == "meta"


def test_a_meta_that_holds_itself_or_is_too_deep_or_too_large_is_refused():
    ring = {}
    ring["ring"] = ring
    deep = []
    for _ in range(100_000):
        deep = [deep]

    for meta in (ring, {"deep": deep}, {"large": "x" * MOST_META}):
        with pytest.raises(InvalidMessage):
            pack_meta(meta)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_1_16_arbitrary_parts_are_a_packet_or_an_error_that_says_why(parts):
    with contextlib.suppress(InvalidMessage):
        packet = unpack(parts)

        assert len(parts) == 2
        assert packet.meta == (json.loads(parts[0]) if parts[0] else {})
        assert bytes(packet.data) == parts[1]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([b"{}"], ""),
        ([b"{}", b"", b""], ""),
        ([b"\xff\xfe", b""], "meta"),
        ([b"{", b""], "meta"),
        ([b"[1]", b""], "meta"),
        ([b"[" * 100_000, b""], "meta"),
        ([b'{"n": ' + b"9" * 5_000 + b"}", b""], "meta"),
        ([b" " * (MOST_META + 1), b""], "meta"),
    ],
)
def test_1_16_hostile_parts_are_refused_with_the_field(parts, field):
    with pytest.raises(InvalidMessage) as caught:
        unpack(parts)

    assert caught.value.field == field


@pytest.mark.parametrize("parts", [[b"", b"abc"], [b"{}", b""], [b"", b""]])
def test_1_16_empty_parts_are_an_empty_meta_and_no_bytes(parts):
    packet = unpack(parts)

    assert packet.meta == {}
    assert bytes(packet.data) == parts[1]


def test_1_04_every_kind_of_buffer_is_taken_and_counted_in_bytes():
    numbers = np.arange(6, dtype="uint32").reshape(2, 3)
    mapped = mmap.mmap(-1, 8)

    assert freeze(None) == b""
    assert freeze(np.zeros((0, 3))) == b""
    assert freeze(bytearray(b"abc")) == b"abc"
    assert freeze(array.array("d", [1.0])) == np.float64(1).tobytes()
    assert freeze(mapped) == bytes(8)
    assert len(freeze(numbers)) == 24
    mapped.close()


@given(st.sampled_from(["<u4", ">u4", ">f8", "<c16", "?"]), st.booleans())
def test_1_04_strided_and_foreign_arrays_arrive_in_c_order(dtype, transposed):
    numbers = np.arange(12).astype(dtype).reshape(3, 4)[:, ::2]
    numbers = numbers.T if transposed else numbers

    assert freeze(numbers) == numbers.tobytes()


def test_bytes_are_not_copied_and_what_may_change_is():
    fixed, changing = b"x" * 1000, bytearray(b"x" * 1000)

    frozen = freeze(changing)
    changing[0] = 0

    assert freeze(fixed) is fixed
    assert freeze(memoryview(fixed)) is fixed
    assert freeze(memoryview(fixed)[1:]) == fixed[1:]
    assert frozen == fixed


@pytest.mark.parametrize("data", ["text", 3, [1, 2], np.array([None]), np.array("2020", "M8[s]")])
def test_1_04_what_has_no_bytes_is_refused(data):
    with pytest.raises(InvalidMessage) as caught:
        freeze(data)

    assert caught.value.field == "data"
