from __future__ import annotations

from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.arrays.spec import (
    Array,
    ArraySpec,
    Shape,
    array_spec,
    byte_count,
    same_value,
    wire_dtype,
)
from actors.errors import InvalidMessage

NATIVE = np.dtype("f4").str
SWAPPED = np.dtype("f4").newbyteorder().str
T = TypeVar("T", bound=np.generic)


def fits(annotation, array, names=None):
    spec = array_spec(annotation)
    try:
        spec.check("field", array.dtype.str, array.shape, names=names)
    except InvalidMessage as error:
        return not (error.field == "field" and error.reason)
    return True


@pytest.mark.parametrize(
    "annotation",
    [
        Array["float32", (None, 3)],
        Array[np.float32, (None, 3)],
        Array["f4", [None, 3]],
        Annotated[NDArray[np.float32], Shape(None, 3)],
        Annotated[np.ndarray, ArraySpec(NATIVE, (None, 3))],
    ],
    ids=range(5),
)
def test_every_spelling_checks_dtype_rank_and_fixed_dimensions(annotation):
    assert fits(annotation, np.zeros((0, 3), "f4"))
    assert fits(annotation, np.zeros((5, 3), "f4"))
    assert not fits(annotation, np.zeros((5, 4), "f4"))
    assert not fits(annotation, np.zeros(3, "f4"))
    assert not fits(annotation, np.zeros((1, 5, 3), "f4"))
    assert not fits(annotation, np.zeros((5, 3), "f8"))
    assert not fits(annotation, np.zeros((5, 3), SWAPPED))


@pytest.mark.parametrize(
    "annotation",
    [np.ndarray, NDArray[Any], NDArray[T], Array[None], Array[None, ...]],
    ids=range(5),
)
def test_an_open_annotation_takes_every_plain_array(annotation):
    for array in (np.zeros((), "?"), np.zeros((0, 1), SWAPPED), np.zeros((1,) * 8, "c16")):
        assert fits(annotation, array)

    assert not fits(annotation, np.zeros((1,) * 9))
    assert not fits(annotation, np.array([None]))
    assert not fits(annotation, np.array(["text"]))
    assert not fits(annotation, np.zeros(1, [("x", "f4")]))
    assert not fits(annotation, np.zeros(1, "M8[s]"))


@pytest.mark.parametrize(
    ("family", "inside", "outside"),
    [
        (np.floating, "f2", "i4"),
        (np.floating[Any], "f8", "c8"),
        (np.integer, "u1", "f4"),
        (np.signedinteger, "i1", "u1"),
        (np.unsignedinteger, "u8", "i8"),
        (np.complexfloating, "c8", "f8"),
        (np.number, "i2", "?"),
        (np.inexact, "f4", "i4"),
    ],
    ids=range(8),
)
def test_a_family_of_dtypes_takes_its_members(family, inside, outside):
    assert fits(NDArray[family], np.zeros(1, inside))
    assert not fits(NDArray[family], np.zeros(1, outside))


def test_a_shape_of_the_type_system_gives_the_rank():
    annotation = np.ndarray[tuple[int, int], np.dtype[np.float64]]

    assert fits(annotation, np.zeros((1, 2)))
    assert not fits(annotation, np.zeros(1))


def test_equal_names_are_equal_lengths():
    square = Array["float32", ("h", "h")]

    assert fits(square, np.zeros((2, 2), "f4"))
    assert not fits(square, np.zeros((2, 3), "f4"))


def test_names_hold_over_all_arrays_that_share_them():
    names: dict[str, int] = {}

    assert fits(Array[None, ("h", "w")], np.zeros((2, 3)), names)
    assert names == {"h": 2, "w": 3}
    assert fits(Array[None, ("w",)], np.zeros(3), names)
    assert not fits(Array[None, ("w",)], np.zeros(4), names)


def test_an_error_shows_the_wanted_and_the_given_shape():
    spec = array_spec(Array["float32", ("h", 3, None)])

    with pytest.raises(InvalidMessage, match=r"expected shape \(h, 3, any\), got \(1, 2, 3\)"):
        spec.check("xs", NATIVE, (1, 2, 3))
    with pytest.raises(InvalidMessage, match="expected an array of float32, got float64"):
        spec.check("xs", "<f8", (1, 3, 3))


@pytest.mark.parametrize(
    "item",
    [
        ("O", (1,)),
        ("U5", (1,)),
        ("M8[s]", (1,)),
        ("f4,f4", (1,)),
        ("no such type", (1,)),
        ("f4", (-1,)),
        ("f4", (1.5,)),
        ("f4", (True,)),
        ("f4", ("not a name",)),
        ("f4", 3),
        ("f4", "h"),
        ("f4", (1,) * 9),
        ("f4", (1,), 2),
    ],
    ids=range(13),
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(item):
    with pytest.raises(TypeError):
        Array[item]


def test_arrays_of_objects_are_refused_where_they_are_written():
    with pytest.raises(TypeError, match="pickle"):
        array_spec(NDArray[np.object_])


def test_names_in_postponed_annotations_are_not_looked_up():
    class Holder:
        xs: Array["float32", ("h", "w")]  # noqa: F821, UP037

    (_, spec) = get_args(get_type_hints(Holder, include_extras=True)["xs"])

    assert spec == ArraySpec(NATIVE, ("h", "w"))
    assert spec.named


def test_other_annotations_are_no_arrays():
    assert array_spec(int) is None
    assert array_spec(Annotated[int, Shape(1)]) is None
    assert array_spec(list[np.ndarray]) is None


def test_shapes_are_values():
    assert Shape("h", 3) == Shape("h", 3)
    assert hash(Shape(None)) == hash(Shape(None))
    assert Shape(1) != Shape(2)
    assert repr(Shape("h", None)) == "Shape('h', None)"


@pytest.mark.parametrize(
    "word", ["|O", "O", "", "f4", "<f5", "<U9", "|V8", "<M8", "<f4 ", "<f4\x00"]
)
def test_words_that_numpy_might_understand_are_refused_all_the_same(word):
    with pytest.raises(InvalidMessage):
        wire_dtype(word)


@given(st.lists(st.integers(-(2**70), 2**70), max_size=12), st.text(max_size=5))
def test_no_dtype_and_shape_makes_anything_but_an_invalid_message(shape, word):
    for dtype in (word, "<f8"):
        try:
            known = ArraySpec().check("x", dtype, tuple(shape))
        except InvalidMessage:
            continue
        assert byte_count(known, shape) <= 2**62
        assert len(shape) <= 8


def test_values_with_arrays_inside_compare_by_value():
    one = [{"a": np.arange(3)}, (np.zeros((0, 2)), None)]

    assert same_value(one, [{"a": np.arange(3)}, (np.zeros((0, 2)), None)])
    assert not same_value(one, [{"a": np.arange(3)}, (np.zeros((0, 3)), None)])
    assert not same_value(one, [{"b": np.arange(3)}, (np.zeros((0, 2)), None)])
    assert not same_value(one, one[:1])
    assert not same_value(np.arange(3), [0, 1, 2])
    assert not same_value(1, "1")


def test_an_array_is_equal_to_itself_whatever_it_holds():
    nan = np.array([np.nan])

    assert same_value(nan, nan)
    assert not same_value(nan, nan.copy())
