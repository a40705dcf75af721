"""What becomes of the arrays of a message that is sent, or refused (actors/attachments.py)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from actors import message
from actors.attachments import Memory, encoded
from actors.codec import codec_for
from actors.errors import InvalidMessage

SIZES = [10, 100_000]


@message
class Exposure:
    pixels: NDArray[np.float64]
    later: NDArray[np.float64]
    note: str = ""


@pytest.fixture
def memory():
    memory = Memory()
    yield memory
    memory.close()


def born(memory, size):
    array = memory.empty(size)
    array[:] = 1.0
    return array


def in_use(memory):
    return memory.arena.statistics().blocks


@pytest.mark.parametrize("near", [True, False], ids=["here", "elsewhere"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "change", [{"note": 5}, {"note": "\ud800"}, {"later": "none"}], ids=["type", "text", "array"]
)
def test_a_refused_message_leaves_its_arrays_writeable(memory, near, size, change):
    sent = Exposure(born(memory, size), np.zeros(3))
    for field, value in change.items():
        object.__setattr__(sent, field, value)
    with pytest.raises(InvalidMessage):
        encoded(codec_for(Exposure), sent, memory, near=near)

    sent.pixels[:] = 2.0
    assert in_use(memory) == 1


@pytest.mark.parametrize("near", [True, False], ids=["here", "elsewhere"])
@pytest.mark.parametrize("size", SIZES)
def test_all_arrays_of_a_message_that_is_sent_are_frozen_and_it_holds_none_of_them(
    memory, near, size
):
    sent = Exposure(born(memory, size), born(memory, size)[: size // 2])
    _, carrier = encoded(codec_for(Exposure), sent, memory, near=near)
    sent.pixels[:] = 1.0  # it may still be turned away
    carrier.freeze()

    for array in (sent.pixels, sent.later, sent.later.base):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 2.0
    memory.free(tuple(carrier.blocks))
    del array, sent
    assert in_use(memory) == 0
