"""States of a specification: copied before each step, recognised when they come again.

The state is an ordinary object with ordinary attributes. `copied` is `copy.deepcopy` with short
cuts for what states are mostly made of. `key_of` makes an equal, hashable value for equal states;
it tells apart what may behave differently (the order of a dict, 1 and 1.0, one list under two
names and two equal lists), because two states taken for one would make a wrong verdict, while one
state taken for two only costs time.
"""

from __future__ import annotations

import copy
import datetime as dt
import enum
import operator
import types
from collections import deque
from collections.abc import Callable, Hashable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import attrs
import numpy as np

from actors.message import is_message
from actors.ref import ActorRef

_PLAIN: Final = frozenset({int, str, bytes, type(None)})
"""Equal only when they are the same, within this set."""

_ATOMS: Final = _PLAIN | {bool, float, complex, Decimal, Fraction, UUID, range, type(Ellipsis)} | {
    dt.date, dt.datetime, dt.time, dt.timedelta, ActorRef
}  # fmt: skip
"""Cannot change, and their repr says all of them."""

_BY_NAME: Final = (type, enum.Enum, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
"""The same object in every copy."""


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a copy that shares nothing that could change; `memo` is that of `copy.deepcopy`."""
    kind: Any = value.__class__
    if kind in _ATOMS:
        return value
    memo = {} if memo is None else memo
    if id(value) in memo:
        return memo[id(value)]
    copier = _COPIERS.get(kind)
    if copier is not None:
        return copier(value, memo)
    names = _fields_of_message(kind)
    if names is not None and all(_unchanging(getattr(value, name), memo) for name in names):
        return value
    if _is_ordinary(kind):
        made = memo[id(value)] = object.__new__(kind)
        attributes: dict[str, Any] = value.__dict__
        made.__dict__.update({name: copied(part, memo) for name, part in attributes.items()})
        return made
    return copy.deepcopy(value, memo)


def key_of(state: object) -> Hashable:
    """Return what tells a state from others.

    Raises:
        TypeError: it holds something that cannot be copied, such as a lock or a socket.
    """
    return _Reader().key(state)


def _unchanging(value: Any, memo: dict[int, Any]) -> bool:
    return copied(value, memo) is value


def _copied_list(value: list[Any], memo: dict[int, Any]) -> list[Any]:
    made: list[Any] = []
    memo[id(value)] = made  # before its parts, which may contain it
    made.extend([copied(part, memo) for part in value])
    return made


def _copied_dict(value: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    memo[id(value)] = made
    for name, part in value.items():
        made[copied(name, memo)] = copied(part, memo)
    return made


def _copied_set(value: set[Any], memo: dict[int, Any]) -> set[Any]:
    made: set[Any] = set()
    memo[id(value)] = made
    made.update([copied(part, memo) for part in value])
    return made


def _copied_tuple(value: tuple[Any, ...], memo: dict[int, Any]) -> tuple[Any, ...]:
    parts = [copied(part, memo) for part in value]
    if all(map(operator.is_, parts, value)):
        return value
    made: tuple[Any, ...] = memo.setdefault(id(value), tuple(parts))
    return made


_COPIERS: Final[dict[Any, Callable[[Any, dict[int, Any]], Any]]] = {
    list: _copied_list,
    dict: _copied_dict,
    set: _copied_set,
    tuple: _copied_tuple,
}


@lru_cache(maxsize=256)
def _is_ordinary(kind: Any) -> bool:
    """Tell whether objects of a class are their __dict__ and nothing else."""
    own = ("__reduce_ex__", "__reduce__", "__getstate__")
    return (
        all(getattr(kind, name) is getattr(object, name) for name in own)
        and not hasattr(kind, "__deepcopy__")
        and (kind.__basicsize__, kind.__itemsize__) == (_Empty.__basicsize__, 0)
        and kind.__dictoffset__ != 0
    )


class _Empty:
    """Has a __dict__ and nothing else; for its size."""


@lru_cache(maxsize=256)
def _fields_of_message(kind: Any) -> tuple[str, ...] | None:
    """Return the names of a message's fields. None: it is not a message, which cannot change."""
    return tuple(field.name for field in attrs.fields(kind)) if is_message(kind) else None


class _Reader:
    """Makes the key of one state."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # of objects that were met, by id
        self._kept: list[Any] = []  # which must live as long as their ids are used

    def key(self, value: Any) -> Hashable:
        kind: Any = value.__class__
        if kind in _PLAIN:
            return value  # type: ignore[no-any-return]  # int, str, bytes or None
        if kind in _ATOMS:
            return kind, repr(value)
        if kind is tuple:
            return kind, tuple([self.key(part) for part in value])
        if isinstance(value, _BY_NAME):
            return (kind, value.name) if isinstance(value, enum.Enum) else (kind, id(value))
        names = _fields_of_message(kind)
        if names is not None:
            return kind, tuple([self.key(getattr(value, name)) for name in names])
        number = self._numbers.get(id(value))
        if number is not None:
            return "again", number
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return kind, self._parts(kind, value)

    def _parts(self, kind: Any, value: Any) -> Hashable:
        if kind is list or kind is deque:
            length = value.maxlen if kind is deque else None
            return length, tuple([self.key(part) for part in value])
        if kind is dict:
            return tuple([(self.key(name), self.key(part)) for name, part in value.items()])
        if kind is set or kind is frozenset:
            return frozenset([self.key(part) for part in value])
        if kind is np.ndarray and not value.dtype.hasobject:
            return value.dtype.str, value.shape, value.tobytes()
        if isinstance(value, np.generic):
            return value.tobytes()
        if _is_ordinary(kind):
            attributes: dict[str, Any] = value.__dict__
            return tuple([(name, self.key(attributes[name])) for name in sorted(attributes)])
        return self._reduced(value)

    def _reduced(self, value: Any) -> Hashable:
        """Take an object apart as copy and pickle do."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:
            raise TypeError(
                f"a specification's state holds a {type(value).__qualname__}, which cannot be "
                f"copied ({error}). Keep to plain data: numbers, text, lists, dicts, messages."
            ) from error
        if isinstance(parts, str):
            return parts
        function, arguments, *rest = parts
        state, items, entries = (*rest, None, None, None)[:3]
        plain = (function, arguments, state, list(items or ()), list(entries or ()))
        self._kept.append(plain)
        return tuple([self.key(part) for part in plain])
