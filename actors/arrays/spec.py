"""What an array in a message must look like.

    Array["float32", (None, 3)]                       a type of element, a rank, a fixed dimension
    Array["float32", ("h", "h")]                      a square: equal names, equal lengths
    Annotated[NDArray[np.float32], Shape("h", "w")]   the same for strict type checkers
    np.ndarray, NDArray[np.float64]                   any shape

A name stands for one length in the whole of one message: a mask Shape("h", "w") and a picture
Shape("h", "w", 3) in the same message must fit each other. A message inside a message has its
own names.

Only plain numbers travel: bool, int, unsigned, float and complex of at most 16 bytes, in any byte
order. What else numpy knows is refused: objects need pickle, text and dates have cheaper forms.
"""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, TypeVar, final, get_args, get_origin

import attrs
import numpy as np

from actors.errors import InvalidMessage

MOST_DIMENSIONS: Final = 8
"""Rank an array in a message may have at most."""

MOST_BYTES: Final = 2**62
"""Bytes beyond which no array is real. Lengths of 0 do not count: numpy refuses (0, 2**62) too."""

_KINDS: Final = "biufc"
_ITEMSIZES: Final = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 16),
    "c": (8, 16),
}

# numpy's abstract element types, which name a family and no layout.
_FAMILIES: Final[dict[Any, str]] = {
    np.generic: _KINDS,
    np.number: "iufc",
    np.integer: "iu",
    np.signedinteger: "i",
    np.unsignedinteger: "u",
    np.inexact: "fc",
    np.floating: "f",
    np.complexfloating: "c",
}


def _allowed() -> dict[str, np.dtype[Any]]:
    known: dict[str, np.dtype[Any]] = {}
    for kind, sizes in _ITEMSIZES.items():
        for size in sizes:
            for order in "<>":
                try:
                    dtype = np.dtype(f"{order}{kind}{size}")
                except TypeError:  # a platform without 16-byte floats
                    continue
                known[dtype.str] = dtype
    return known


_DTYPES: Final = _allowed()


def checked_lengths(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of an array that is to be made, from what a user gave as its shape.

    Raises:
        TypeError: it is neither a length nor a tuple of lengths.
        ValueError: a negative length, or more than 8 of them.
    """
    try:
        given: Iterable[Any] = shape if isinstance(shape, tuple | list) else (shape,)
        lengths = tuple(map(operator.index, given))
    except TypeError:
        raise TypeError(
            f"{shape!r:.80} is no shape: give a length such as 100, or a tuple such as (480, 640)"
        ) from None
    if len(lengths) > MOST_DIMENSIONS or any(length < 0 for length in lengths):
        raise ValueError(
            f"shape {shape!r:.80}: at most {MOST_DIMENSIONS} lengths, none of them below 0"
        )
    return lengths


def wire_dtype(text: str) -> np.dtype[Any]:
    """Return the numpy dtype that `text`, a word from the wire, stands for.

    It is looked up, never given to numpy: numpy's own parser would allocate for "V2147483647".

    Raises:
        InvalidMessage: it is not one of the plain numbers that travel.
    """
    dtype = _DTYPES.get(text)
    if dtype is None:
        raise InvalidMessage(
            reason=f"arrays of dtype {ascii(text)[:40]} do not travel: only bool, int, uint, float "
            "and complex numbers of at most 16 bytes do"
        )
    return dtype


def byte_count(dtype: np.dtype[Any], shape: Iterable[int]) -> int:
    """Return the bytes that an array of this dtype and shape has."""
    return dtype.itemsize * math.prod(shape)


@final
class Shape:
    """The dimensions of an array, for `Annotated[NDArray[np.float32], Shape("h", "w")]`.

    Each is a length, a name, or None for any length.
    """

    __slots__ = ("dims",)

    def __init__(self, *dims: int | str | None) -> None:
        self.dims: Final = _checked_dims(dims)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self.dims == other.dims

    def __hash__(self) -> int:
        return hash(self.dims)

    def __repr__(self) -> str:
        return f"Shape({', '.join(map(repr, self.dims))})"


@final
@attrs.frozen
class ArraySpec:
    """What one field demands of its array; a pure value, also part of the schema fingerprint."""

    dtype: str | None = None  # numpy's word with byte order, "<f4"; None: any of `kinds`
    shape: tuple[int | str | None, ...] | None = None  # length, name or any; None: any rank
    kinds: str = _KINDS  # letters of dtype.kind that may pass when `dtype` is None

    def check(
        self,
        path: str,
        dtype: str,
        shape: tuple[int, ...],
        *,
        names: dict[str, int] | None = None,
    ) -> np.dtype[Any]:
        """Check a dtype and shape before anything is allocated for them, and return the dtype.

        Args:
            path: the field, for the error.
            dtype: numpy's word for the type of element, as `array.dtype.str` writes it.
            shape: the lengths.
            names: lengths of the named dimensions of this message so far; new ones are added.

        Raises:
            InvalidMessage: it does not fit this specification, or could not travel at all.
        """
        try:
            known = wire_dtype(dtype)
        except InvalidMessage as error:
            raise InvalidMessage(field=path, reason=error.reason) from None
        if self.dtype is not None and dtype != self.dtype:
            raise _unfit(path, f"expected an array of {self._elements()}, got {_word(known)}")
        if known.kind not in self.kinds:
            raise _unfit(path, f"expected an array of {self._elements()}, got {_word(known)}")
        if len(shape) > MOST_DIMENSIONS:
            raise _unfit(path, f"{len(shape)} dimensions, at most {MOST_DIMENSIONS} travel")
        if any(length < 0 for length in shape):
            raise _unfit(path, f"negative length in shape {shape}")
        if byte_count(known, (length for length in shape if length)) > MOST_BYTES:
            raise _unfit(path, f"shape {shape} is larger than any memory")
        if self.shape is not None:
            self._check_shape(path, shape, {} if names is None else names)
        return known

    def _check_shape(self, path: str, shape: tuple[int, ...], names: dict[str, int]) -> None:
        wanted = self.shape or ()
        if len(shape) != len(wanted):
            raise _unfit(path, f"expected shape {_drawn(wanted)}, got {_drawn(shape)}")
        for want, length in zip(wanted, shape, strict=True):
            if want is None:
                continue
            agreed = names.setdefault(want, length) if isinstance(want, str) else want
            if agreed != length:
                told = f', where "{want}" is {agreed} in this message' if want != agreed else ""
                raise _unfit(path, f"expected shape {_drawn(wanted)}{told}, got {_drawn(shape)}")

    @property
    def named(self) -> bool:
        """Whether a dimension has a name, which ties this array to others of its message."""
        return any(isinstance(dim, str) for dim in self.shape or ())

    def _elements(self) -> str:
        if self.dtype is not None:
            return _word(np.dtype(self.dtype))
        return f"kind {' or '.join(self.kinds)}"


class Array:
    """`Array["float32", (None, 3)]`: a numpy field whose dtype and dimensions are checked.

    Write `Array[dtype]` for any shape and `Array[None, shape]` for any dtype. For a strict type
    checker write `Annotated[NDArray[np.float32], Shape(None, 3)]`; it means the same.
    """

    def __class_getitem__(cls, item: Any) -> Any:
        """Return `Annotated[np.ndarray, ArraySpec(...)]`; TypeError for what cannot be meant."""
        parts: Any = item if _kind(item) is tuple else (item,)
        if not 1 <= len(parts) <= 2:  # noqa: PLR2004
            raise TypeError(f"Array[dtype] or Array[dtype, shape], not Array{list(parts)!r}")
        dtype, shape = parts[0], parts[1] if len(parts) > 1 else ...
        dims = None if shape is Ellipsis else _shape_of(shape)
        spec = ArraySpec(shape=dims) if dtype is None else spec_of_dtype(dtype, dims)
        return Annotated[np.ndarray, spec]


def array_spec(annotation: Any) -> ArraySpec | None:
    """Return what an annotation demands of an array, or None when it does not mean an array.

    Raises:
        TypeError: it means an array that cannot travel; the text says why.
    """
    if get_origin(annotation) is Annotated:
        base, *extras = get_args(annotation)
        spec = array_spec(base)
        if spec is None:
            return None
        for extra in extras:
            if isinstance(extra, ArraySpec):
                spec = extra
            elif isinstance(extra, Shape):
                spec = attrs.evolve(spec, shape=extra.dims)
        return spec
    if annotation is np.ndarray:
        return ArraySpec()
    if get_origin(annotation) is np.ndarray:
        return _spec_of_alias(get_args(annotation))
    return None


def same_value(one: Any, other: Any) -> bool:
    """Tell whether two values that may hold arrays are equal, arrays element by element.

    Like `==` on tuples, one and the same object is equal to itself, even if it holds a NaN.
    """
    if one is other:
        return True
    kind = _kind(one)
    arrays = issubclass(kind, np.ndarray), issubclass(type(other), np.ndarray)
    if any(arrays):
        return all(arrays) and np.array_equal(one, other)
    if kind is not type(other):
        return bool(one == other)
    if issubclass(kind, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    if issubclass(kind, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    if made_by_attrs(kind.__eq__):
        return same_fields(one, other)
    return bool(one == other)


def _kind(value: object) -> Any:
    return type(value)  # as Any: type checkers would otherwise reason about what is in it


def same_fields(one: Any, other: Any) -> bool:
    """Tell whether two objects of one attrs class are equal as attrs means it, arrays too."""
    for field in attrs.fields(_kind(one)):
        if not field.eq:
            continue
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.eq_key is not None:
            mine, theirs = field.eq_key(mine), field.eq_key(theirs)
        if not same_value(mine, theirs):
            return False
    return True


def made_by_attrs(method: Any) -> bool:
    """Tell whether attrs wrote this method; where a person did, it is left alone."""
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename.startswith("<attrs generated")


def _spec_of_alias(args: tuple[Any, ...]) -> ArraySpec:
    """Read np.ndarray[shape, np.dtype[scalar]], which NDArray[scalar] is short for."""
    lengths = get_args(args[0]) if get_origin(args[0]) is tuple else (Any, ...)
    shape = None if Ellipsis in lengths else (None,) * len(lengths)
    if len(args) < 2 or not get_args(args[1]):  # noqa: PLR2004
        return ArraySpec(shape=shape)
    return spec_of_dtype(get_args(args[1])[0], shape)


def spec_of_dtype(dtype: Any, shape: tuple[int | str | None, ...] | None) -> ArraySpec:
    """Return the specification for anything that names a dtype; TypeError if it cannot travel."""
    dtype = get_origin(dtype) or dtype  # np.floating[Any] -> np.floating
    if dtype is Any or isinstance(dtype, TypeVar):
        return ArraySpec(shape=shape)
    if dtype is types.UnionType:
        raise TypeError("an array of one of several dtypes: write NDArray[Any] and check yourself")
    if isinstance(dtype, type) and dtype in _FAMILIES:
        return ArraySpec(shape=shape, kinds=_FAMILIES[dtype])
    known = np.dtype(dtype)
    if known.str not in _DTYPES:
        raise TypeError(
            f"arrays of {known} would need pickle or have no fixed layout; "
            "only bool, int, uint, float and complex of at most 16 bytes travel"
        )
    return ArraySpec(dtype=known.str, shape=shape)


def _shape_of(shape: Any) -> tuple[int | str | None, ...]:
    if type(shape) not in {tuple, list}:
        raise TypeError(f"a shape is a tuple such as (None, 3), not {shape!r}")
    return _checked_dims(tuple(shape))


def _checked_dims(dims: tuple[Any, ...]) -> tuple[int | str | None, ...]:
    if len(dims) > MOST_DIMENSIONS:
        raise TypeError(f"{len(dims)} dimensions, at most {MOST_DIMENSIONS} travel")
    for dim in dims:
        length = isinstance(dim, int) and not isinstance(dim, bool) and dim >= 0
        name = isinstance(dim, str) and dim.isidentifier()
        if not (dim is None or length or name):
            raise TypeError(f"a dimension is a length, a name or None, not {dim!r}")
    return dims


def _unfit(path: str, reason: str) -> InvalidMessage:
    return InvalidMessage(field=path, reason=reason)


def _word(dtype: np.dtype[Any]) -> str:
    """Name a dtype for people: "float32", and "big-endian float32" where that is the point."""
    return dtype.name if dtype.isnative else f"byte-swapped {dtype.name} ({dtype.str})"


def _drawn(shape: tuple[int | str | None, ...]) -> str:
    dims = ", ".join("any" if dim is None else str(dim) for dim in shape)
    return f"({dims})"
