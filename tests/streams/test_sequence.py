"""The meta of image sequences (actors/streams/sequence.py)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from actors.errors import InvalidMessage
from actors.streams.packet import Packet
from actors.streams.sequence import ImageSequence, MetaKeyword, PacketType, image_of

K = MetaKeyword
DTYPES = ["bool", "uint8", "int16", "uint32", "int64", ">u4", ">f8", "float16", "complex64"]
images = st.sampled_from(DTYPES).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


def _packet(image, **changes):
    meta = json.loads(json.dumps(ImageSequence().frame(image, 0.0)))
    return Packet(meta | changes, memoryview(image.tobytes()))


@given(images)
def test_1_25_an_image_comes_back_as_it_was(image):
    again = image_of(_packet(image))

    assert again.dtype == image.dtype
    assert again.tobytes() == image.tobytes()
    assert again.shape == image.shape
    assert not again.flags.writeable


def test_1_25_the_words_are_valkyries_own_and_the_numbers_begin_at_one():
    images = ImageSequence()
    image = np.zeros((1035, 1060), "uint32")

    metas = [images.start(1.5), images.frame(image, 2.0), images.end(3.0)]

    assert metas[0] == {
        "MAXIV_VALKYRIE_PACKET_TYPE": "MAXIV_VALKYRIE_START_OF_SEQUENCE",
        "MAXIV_VALKYRIE_PACKET_ENQUEUED_TIME": 1.5,
        "MAXIV_VALKYRIE_PACKET_SEQUENCE_NUMBER": 1,
    }
    assert metas[1] == {
        "MAXIV_VALKYRIE_PACKET_TYPE": "MAXIV_VALKYRIE_FRAME",
        "MAXIV_VALKYRIE_PACKET_ENQUEUED_TIME": 2.0,
        "MAXIV_VALKYRIE_PACKET_SEQUENCE_NUMBER": 2,
        "MAXIV_VALKYRIE_IMAGE_SEQUENCE_NUMBER": 1,
        "MAXIV_VALKYRIE_DATA_LENGTH": 4_388_400,
        "MAXIV_VALKYRIE_DTYPE": "uint32",
        "MAXIV_VALKYRIE_SHAPE": [1035, 1060],
    }
    assert metas[2]["MAXIV_VALKYRIE_PACKET_TYPE"] == "MAXIV_VALKYRIE_END_OF_SEQUENCE"
    assert metas[2]["MAXIV_VALKYRIE_PACKET_SEQUENCE_NUMBER"] == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (K.PACKET_TYPE, PacketType.EVENT),
        (K.PACKET_TYPE, None),
        (K.DATA_LENGTH, 1_023_462),
        (K.DATA_LENGTH, "48"),
        (K.SHAPE, [3, 5]),
        (K.SHAPE, [-3, -4]),
        (K.SHAPE, [3.0, 4.0]),
        (K.SHAPE, [True, 12]),
        (K.SHAPE, "12"),
        (K.SHAPE, [1] * 9),
        (K.SHAPE, [1 << 64, 0]),
        (K.DTYPE, "uint64"),
        (K.DTYPE, "object"),
        (K.DTYPE, "V2147483647"),
        (K.DTYPE, 4),
    ],
    ids=str,
)
def test_1_25_what_does_not_agree_with_the_data_is_refused_with_the_key(key, value):
    packet = _packet(np.zeros((3, 4), "uint32"), **{key: value})

    with pytest.raises(InvalidMessage) as caught:
        image_of(packet)

    assert caught.value.field in (key, K.SHAPE)


values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=9)


@given(
    st.dictionaries(
        st.sampled_from([K.DTYPE, K.SHAPE, K.DATA_LENGTH]), values | st.sampled_from(DTYPES)
    ),
    st.binary(),
)
def test_any_meta_is_an_image_or_an_invalid_message(meta, data):
    packet = Packet(meta | {K.PACKET_TYPE: PacketType.FRAME}, memoryview(data))
    try:
        image = image_of(packet)
    except InvalidMessage as error:
        assert error.reason  # noqa: PT017 - either is right
    else:
        assert image.tobytes() == data


def test_images_of_objects_are_refused():
    with pytest.raises(InvalidMessage):
        ImageSequence().frame(np.array([None]), 0.0)
