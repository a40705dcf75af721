"""What a process shares, told to others."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.arrays.sharing import NOTHING, WORDS, Sharing

numbers = st.integers(0, 2**40)
sharings = st.builds(
    Sharing, numbers, numbers, st.just(0.0) | st.floats(0.1, 1e9), numbers, numbers, numbers
)


@given(st.lists(sharings))
def test_parts_are_counted_together_and_the_oldest_array_is_the_oldest_of_all(parts):
    whole = sum(parts, start=NOTHING)

    for field in ("size", "arrays", "copied", "copied_bytes", "refused"):
        assert getattr(whole, field) == sum(getattr(part, field) for part in parts)
    assert whole.since == min((part.since for part in parts if part.since), default=0.0)


@given(sharings)
def test_what_is_written_is_read(sharing):
    words = memoryview(bytearray(8 * (WORDS + 2))).cast("Q")
    sharing.write(words, 2)

    assert Sharing.read(words.tobytes(), 16) == sharing
    assert attrs.astuple(Sharing.read(bytes(8 * WORDS), 0)) == (0, 0, 0.0, 0, 0, 0)
