"""A saved state and the class that reads it, which may have been edited meanwhile."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import msgspec
import numpy as np
import pytest

from actors.address import Address
from actors.arrays.spec import Array
from actors.codec import FrameCarrier, codec_for
from actors.message import message
from actors.ref import ActorRef
from actors.saved import pack_state, read_state

TAG = "tests:SavedState"
Pixels = Array["float32", (None,)]


@message
class Circle:
    size: float


@message
class Square:
    size: float


@message
class Box:
    size: float


def version(annotations: dict[str, Any], **defaults: Any) -> Any:
    """Write the class of the state; the one before is forgotten, as after an edit."""
    body = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "State"}
    return message(tag=TAG)(type("State", (), {**body, **defaults}))


def saved(state: object) -> bytes:
    carrier = FrameCarrier()
    return pack_state(type(state), codec_for(type(state)).encode(state, carrier), carrier.frames)


def found(data: bytes) -> Any:
    return read_state(TAG, data, lambda address: ActorRef(address.name, None))


def test_a_state_arrives_with_its_arrays_and_references():
    state = version({"pixels": Pixels, "to": ActorRef, "large": bytes})
    large = bytes(300_000)
    data = saved(state(np.arange(3, dtype=np.float32), ActorRef("till", None), large))

    again = found(data)

    assert again.pixels.tolist() == [0.0, 1.0, 2.0]
    assert again.to == ActorRef(Address("till").name, None)
    assert again.large == large


def test_a_new_field_has_its_default():
    data = saved(version({"total": int})(5))
    version(
        {"total": int, "note": str, "seen": list[int]}, note="new", seen=attrs.field(factory=list)
    )

    again = found(data)

    assert (again.total, again.note, again.seen) == (5, "new", [])


def test_fields_may_change_their_order():
    data = saved(
        version({"width": int, "height": int, "pixels": Pixels})(640, 480, np.ones(2, "f4"))
    )
    version({"pixels": Pixels, "height": int, "width": int})

    again = found(data)

    assert (again.width, again.height, again.pixels.tolist()) == (640, 480, [1.0, 1.0])


def test_the_parameter_of_a_new_field_counts_and_not_its_name():
    data = saved(version({"_total": int})(5))
    version({"note": str, "_total": int}, note=attrs.field(default="new", kw_only=True))

    assert found(data)._total == 5


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        (Literal["auto", "manual"], "manual", Literal["auto", "fast", "manual"]),
        (Circle | Square, Square(1.0), Box | Circle | Square),
        (int, 5, float),
        (list[int], [5], set[int]),
    ],
    ids=["literal", "union", "leaf", "container"],
)
def test_a_field_of_another_type_is_refused_by_name(before, value, after):
    data = saved(version({"kept": int, "value": before})(1, value))
    version({"kept": int, "value": after})

    with pytest.raises(
        RuntimeError, match=r"State\.value has another type .*another name and a def"
    ):
        found(data)


def test_a_field_that_was_renamed_is_not_taken_for_the_other():
    data = saved(version({"celsius": float})(20.0))
    version({"kelvin": float})

    with pytest.raises(RuntimeError, match=r"State\.celsius was saved, .*Keep the field"):
        found(data)


def test_a_new_field_without_a_default_is_refused_by_name():
    data = saved(version({"total": int})(5))
    version({"total": int, "note": str})

    with pytest.raises(RuntimeError, match=r"State\.note was not saved.*Give it a default"):
        found(data)


def test_a_validator_that_was_added_is_heard_in_an_edited_class_too():
    data = saved(version({"total": int})(-5))
    checked = attrs.field(validator=attrs.validators.ge(0))
    version({"total": int, "note": str}, total=checked, note="")

    with pytest.raises(RuntimeError, match=r"cannot be read.*'total' must be >= 0"):
        found(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", msgspec.msgpack.encode((b"\x91\x05", []))],
    ids=["empty", "damaged", "of-an-earlier-version"],
)
def test_bytes_that_this_version_has_not_written_are_refused_in_words(data):
    version({"total": int})

    with pytest.raises(RuntimeError, match="another version of understudy"):
        found(data)
