"""The legacy wire: what plain REQ clients of super_hydro say, and what is answered.  A decider.

    request    > name                         < bytes
    get        > name                         < json
    send       > name       < ok   > json     < ok
    get_array  > name                         < json {"dtype", "shape"}, raw
    send_array > name       < ok   > json, raw   < ok

A bare name means what the table says; with a verb before it, `get:cooling`, it means that verb,
whatever the table says.  So do `get`, `set` and `do` alone, followed by json after the ok.  An
error is text that begins with "Error: ".  The halves of a `send` belong together by who sent them,
so any number of clients may be in the midst of one.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import prod
from typing import Any, Final, NoReturn, TypeAlias, cast, final

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.errors import ActorError
from actors.gateway.questions import ERROR, error_frame

OK: Final = b"ok"
MOST_HALVES: Final = 1024
"""Clients in the midst of a `send`; beyond it the one that is longest in it must begin again."""

MOST_JSON: Final = 1 << 20
"""Bytes of JSON that are read: each costs some ten bytes of memory.  What is long is an array."""

LONGEST_NAME: Final = 256
MOST_DIMENSIONS: Final = 32
LONGEST_AXIS: Final = (1 << 63) - 1
LONGEST_KIND: Final = 16

Frames: TypeAlias = tuple[bytes, ...]


class WireError(ActorError):
    """The other side answered with an error, or with something that is no answer."""


class Verb(StrEnum):
    """What is wanted of a name."""

    REQUEST = "do"
    GET = "get"
    SEND = "set"
    GET_ARRAY = "get_array"
    SEND_ARRAY = "set_array"
    GET_MANY = "get many"
    SEND_MANY = "set many"
    DO = "do it"


_NAMED: Final = {
    verb.value: verb
    for verb in (Verb.REQUEST, Verb.GET, Verb.SEND, Verb.GET_ARRAY, Verb.SEND_ARRAY)
}
_ALONE: Final = {b"get": Verb.GET_MANY, b"set": Verb.SEND_MANY, b"do": Verb.DO}
_HALVES: Final = {Verb.SEND, Verb.SEND_ARRAY, Verb.GET_MANY, Verb.SEND_MANY, Verb.DO}


@final
@attrs.frozen
class Call:
    """Do this, then answer with `answer` or `failure`."""

    verb: Verb
    name: bytes
    value: Any = None
    """What was sent: any JSON value, or an array."""


@final
@attrs.frozen
class Reply:
    """Answer this now."""

    frames: Frames


@final
class Conversations:
    """What each client is in the midst of."""

    def __init__(self, table: Mapping[bytes, Verb]) -> None:
        self._table = table
        self._halves: OrderedDict[bytes, tuple[Verb, bytes]] = OrderedDict()

    @property
    def halves(self) -> int:
        """How many clients have sent the first half of something."""
        return len(self._halves)

    def received(self, client: bytes, frames: Sequence[bytes]) -> Call | Reply:
        """Say what to do with a message of a client.  Never raises for what it holds."""
        half = self._halves.pop(client, None)
        try:
            return self._first(client, frames) if half is None else _second(*half, frames)
        except (ValueError, TypeError, RecursionError) as error:
            return Reply(failure(error))

    def _first(self, client: bytes, frames: Sequence[bytes]) -> Call | Reply:
        if len(frames) != 1:
            raise ValueError(f"a command is one part, and this has {len(frames)}")
        verb, name = self._meant(frames[0])
        if verb not in _HALVES:
            return Call(verb, name)
        self._halves[client] = verb, name
        if len(self._halves) > MOST_HALVES:
            self._halves.popitem(last=False)
        return Reply((OK,))

    def _meant(self, text: bytes) -> tuple[Verb, bytes]:
        if text in self._table:
            return self._table[text], text
        if text in _ALONE:
            return _ALONE[text], b""
        verb, colon, name = text.partition(b":")
        known = _NAMED.get(verb.decode("ascii", "replace")) if colon else None
        if known is None or not name or len(name) > LONGEST_NAME:
            names = ", ".join(name.decode("utf-8", "replace") for name in self._table)
            raise ValueError(f"Unknown Message {text[:80]!r}; known are: {names or 'none'}")
        return known, name


def _second(verb: Verb, name: bytes, frames: Sequence[bytes]) -> Call:
    if verb is Verb.SEND_ARRAY:
        if len(frames) != 2:  # noqa: PLR2004
            raise ValueError(f"an array is two parts, and this has {len(frames)}")
        return Call(verb, name, unpack_array(frames[0], frames[1]))
    if len(frames) != 1:
        raise ValueError(f"a value is one part, and this has {len(frames)}")
    value = read_json(frames[0])
    if verb is Verb.DO:
        return Call(Verb.REQUEST, _text(value))
    if verb is Verb.SEND_MANY and not isinstance(value, dict):
        raise TypeError("what follows `set` is an object of names and values")
    if verb is Verb.GET_MANY:
        names = cast("list[object]", value if isinstance(value, list) else [value])
        value = [_text(name).decode() for name in names]
    return Call(verb, name, value)


def _text(value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r:.80} is no name")
    return value.encode()


# ---- answers


def answer(call: Call, value: Any) -> Frames:
    """Return what is answered when the call returned `value`; what cannot be said is an error."""
    try:
        match call.verb:
            case Verb.GET | Verb.GET_MANY:
                return (write_json(value),)
            case Verb.GET_ARRAY:
                return pack_array(np.asarray(value))
            case _:
                return (value if isinstance(value, bytes) else OK,)
    except (TypeError, ValueError, RecursionError) as error:
        return failure(error)


def failure(error: BaseException) -> Frames:
    """Return what is answered when the call raised."""
    return (error_frame(error),)


def check_reply(frames: Sequence[bytes], parts: int) -> None:
    """Raise `WireError` unless an answer has so many parts and is no error."""
    if frames[0].startswith(ERROR):
        raise WireError(frames[0][len(ERROR) :].decode("utf-8", "replace"))
    if len(frames) != parts:
        raise WireError(f"the answer has {len(frames)} parts, not {parts}")


# ---- values


class _Description(msgspec.Struct):
    """What stands before an array's bytes."""

    dtype: str | list[tuple[str, str]]
    shape: list[int]


def write_json(value: Any) -> bytes:
    """Return `json.dumps(value).encode()`; a `ValueError` for NaN and infinity, which are none."""
    return json.dumps(value, allow_nan=False).encode()


def read_json(data: bytes) -> Any:
    """Read a JSON value; raises `ValueError` or `RecursionError`, NaN and infinity included."""
    if len(data) > MOST_JSON:
        raise ValueError(f"{len(data):,} bytes of JSON, {MOST_JSON:,} at most: send an array")
    return json.loads(data.decode(), parse_constant=_no_number)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def pack_array(array: NDArray[Any]) -> Frames:
    """Return an array's description and its bytes in C order, whatever its memory's order is.

    Raises `TypeError` for elements that have no meaning elsewhere.
    """
    kind = _checked(array.dtype)
    dtype: Any = str(kind) if kind.names is None else kind.descr
    return write_json({"dtype": dtype, "shape": array.shape}), array.tobytes()


def unpack_array(description: bytes, raw: bytes) -> NDArray[Any]:
    """Return a read-only array; raises `TypeError` or `ValueError` for what is none."""
    fields = msgspec.convert(read_json(description), _Description)
    dtype, lengths = _dtype(fields.dtype), fields.shape
    if len(lengths) > MOST_DIMENSIONS or any(not 0 <= n <= LONGEST_AXIS for n in lengths):
        raise ValueError(f"{lengths!r:.80} is no shape")
    if prod(lengths) * dtype.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes are no array of shape {lengths} and dtype {dtype}")
    array = np.ndarray(lengths, dtype, buffer=raw)
    array.flags.writeable = False
    return array


def _dtype(written: str | list[tuple[str, str]]) -> np.dtype[Any]:
    parts = [("", written)] if isinstance(written, str) else written
    if any(not kind.isascii() or not 0 < len(kind) <= LONGEST_KIND for _, kind in parts):
        raise TypeError(f"{written!r:.80} is no dtype: write it as numpy does, such as float64")
    try:
        return _checked(np.dtype(written))
    except (TypeError, ValueError, SyntaxError) as error:
        raise TypeError(f"{written!r:.80} is no dtype of numbers: {error}") from None


def _checked(dtype: np.dtype[Any]) -> np.dtype[Any]:
    kinds = {dtype.kind} if dtype.names is None else {dtype[name].kind for name in dtype.names}
    if not kinds <= set("biufc") or not dtype.itemsize:
        raise TypeError(f"elements of {dtype} are not numbers, and cannot be sent")
    return dtype
