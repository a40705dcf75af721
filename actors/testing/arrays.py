"""Strategies for numpy arrays and scalars that fit their specification.

A name among the dimensions stands for one length in the whole of a message, so whoever draws the
message draws the lengths first and hands them in as `names`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from actors.arrays.spec import ArraySpec, wire_dtype
from actors.errors import InvalidMessage
from actors.schema import ScalarOf
from actors.testing.leaves import Strategy, check_class, ends, lengths, real, sound, whole
from actors.testing.limits import Bound, Limits

LONGEST_SIDE: Final = 4
"""Length of a free dimension, at most, unless a validator wants it longer."""

_MOST_RANK: Final = 3  # of an array whose rank is free
_MOST_ELEMENTS: Final = 256  # drawn one by one; a larger array repeats them
_LONGEST_FLOAT: Final = 8  # bytes, of those that Hypothesis draws
_REAL: Final = ("f8", "f4", "f2", "f16")
_WHOLE: Final = ("i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
# Machine order first: that is what failures shrink to.
_WORDS: Final = [
    f"{order}{word}"
    for order in "=<>"
    for word in [
        "f8",
        "f4",
        "f2",
        "f16",
        "i8",
        "i4",
        "i2",
        "i1",
        "u8",
        "u4",
        "u2",
        "u1",
        "b1",
        "c16",
        "c8",
    ]
]


def array(spec: ArraySpec, limits: Limits, names: Mapping[str, int]) -> Strategy:
    """Return a strategy for arrays; `names` holds the lengths of the named dimensions."""
    check_class(np.ndarray, limits)
    return st.tuples(_dtypes(spec), _shapes(spec, limits, names)).flatmap(
        lambda pair: _filled(*pair)
    )


def side(limits: Limits) -> tuple[int, int]:
    """Return the least and the greatest length of a free first dimension."""
    shortest, longest = lengths(limits, most=LONGEST_SIDE)
    assert longest is not None
    return shortest, longest


def scalar(schema: ScalarOf, limits: Limits) -> Strategy:
    """Return a strategy for numpy scalars."""
    check_class(schema.cls, limits)
    low, high = ends(limits)
    kind = np.dtype(schema.dtype)
    between: dict[str, Any] = {}
    if kind.kind in "iuf":
        between |= {} if low is None else {"min_value": _end(kind, low, upwards=True)}
        between |= {} if high is None else {"max_value": _end(kind, high, upwards=False)}
    return sound(hnp.from_dtype(kind, **between)).map(schema.cls)


def _end(kind: np.dtype[Any], end: Bound, *, upwards: bool) -> int | float:
    """Return one end of a range as a value of the class, which Hypothesis demands."""
    if kind.kind == "f":
        return _nearest(kind, end, upwards=upwards)
    info = np.iinfo(kind)
    inner = whole(end, upwards=upwards)
    return max(inner, int(info.min)) if upwards else min(inner, int(info.max))


def _nearest(kind: np.dtype[Any], end: Bound, *, upwards: bool) -> float:
    """Return the innermost value of the class that leaves nothing out; the checks know the rest."""
    cls: Any = kind.type if kind.itemsize <= _LONGEST_FLOAT else np.float64
    with np.errstate(over="ignore"):  # that is infinity then
        near = cls(real(end))
        if upwards and float(near) > end.value:
            near = np.nextafter(near, cls(-math.inf))
        elif not upwards and float(near) < end.value:
            near = np.nextafter(near, cls(math.inf))
    return float(near)


def _dtypes(spec: ArraySpec) -> Strategy:
    if spec.dtype is not None:
        return st.just(np.dtype(spec.dtype))
    known = dict.fromkeys(_known(word) for word in _WORDS if word[1] in spec.kinds)
    return st.sampled_from([dtype for dtype in known if dtype is not None])


def _known(word: str) -> np.dtype[Any] | None:
    try:
        return wire_dtype(np.dtype(word).str)
    except (TypeError, InvalidMessage):  # a platform without 16-byte floats
        return None


def _shapes(spec: ArraySpec, limits: Limits, names: Mapping[str, int]) -> Strategy:
    first = side(limits)
    if spec.shape is None:
        others = st.lists(st.integers(0, LONGEST_SIDE), max_size=_MOST_RANK - 1)
        some = st.tuples(st.integers(*first), others).map(lambda pair: (pair[0], *pair[1]))
        # No rank, no length: a validator of the length would raise.
        sized = limits.shortest > 0 or limits.longest is not None
        return some if sized else st.one_of(st.just(()), some)
    # Eight free dimensions of 4 would be 65,536 elements.
    longest = LONGEST_SIDE if len(spec.shape) <= LONGEST_SIDE else 2
    free = [st.integers(0, longest) for _ in spec.shape]
    free[:1] = [st.integers(*first)]
    return st.tuples(*(
        anything if dim is None else st.just(names[dim] if isinstance(dim, str) else dim)
        for dim, anything in zip(spec.shape, free, strict=False)
    ))  # fmt: skip


def _filled(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Strategy:
    if math.prod(shape) <= _MOST_ELEMENTS:
        return hnp.arrays(dtype, shape)
    few = hnp.arrays(dtype, st.integers(1, 16))
    return few.map(lambda pattern: np.resize(pattern, shape))
