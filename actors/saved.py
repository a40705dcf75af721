"""A saved state as bytes, and how a class that was edited meanwhile reads it.

    names and types of the fields │ payload, as of a message │ arrays

A payload is read by position: bytes that width and height have left, height and width would take
over without a word. So the state says what its fields were, each by its name and by the
fingerprint of its type, and a field takes what was saved under both.

    still there, with the same type     what was saved
    new, with a default                 its default
    anything else                       refused, with the field's name and what to do
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

import attrs
import msgspec

from actors.address import Address
from actors.codec import Codec, codec_for, field_codecs
from actors.errors import MessageError
from actors.failure import said_of
from actors.message import class_of
from actors.wire.carrier import FrameCarrier

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(tuple[list[tuple[str, bytes]], bytes, list[bytes]]).decode
_parts_of: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def pack_state(cls: type, payload: bytes, frames: Sequence[bytes | memoryview]) -> bytes:
    """Return the payload and the arrays of a `cls` as one piece of bytes."""
    return _pack((_fields_now(cls), payload, frames))


def read_state(tag: str, data: bytes, bind: Callable[[Address], Any]) -> Any:
    """Return the state that a former incarnation has saved; raises `RuntimeError`."""
    try:
        fields, payload, frames = _unpack(data)
    except msgspec.MsgspecError:
        raise RuntimeError(
            "the state that was saved under this name cannot be read: another version of "
            "understudy has written it, or it is damaged. Use another name, or another state_dir."
        ) from None
    try:
        cls, carrier = class_of(tag), FrameCarrier(frames, bind=bind)
        if fields == _fields_now(cls):
            return codec_for(cls).decode(payload, carrier)
        return _evolved(cls, dict(fields), payload, carrier)
    except MessageError as error:
        raise RuntimeError(
            f"the state that was saved under this name cannot be read: {why(error)}. Keep the "
            "class of the state readable for what older versions saved, or use another name."
        ) from error


def state_codec(state: object) -> Codec:
    """Return the codec of a state; raises `TypeError` when it is no message."""
    codec = codec_for(type(state))
    if not codec.tag:  # the next life would not find its class
        raise TypeError(f"state is a message, not {state!r:.80}: make its class with @message")
    return codec


def why(error: MessageError) -> str:
    """Return the reason of an error, as a part of a longer sentence."""
    return str(error).rstrip(".")


def _fields_now(cls: type) -> list[tuple[str, bytes]]:
    """Name the fields of a class, in the order of its payloads, with their types' fingerprints."""
    return [(name, codec.fingerprint) for name, codec in field_codecs(cls).items()]


def _evolved(cls: type, then: Mapping[str, bytes], payload: bytes, carrier: FrameCarrier) -> Any:
    """Make a `cls` of what was saved when it had other fields, or had them in another order."""
    now = field_codecs(cls)
    gone = next((name for name in then if name not in now), None)
    if gone is not None:
        _refuse(cls, gone, "was saved, and is no field any more. Keep the field, under its name")
    parts = dict(zip(then, _parts_of(payload), strict=True))
    values: dict[str, Any] = {}
    for field in attrs.fields(cls):
        if field.name not in now:
            continue  # __init__ makes it anew
        if field.name in parts:
            codec = now[field.name]
            if then[field.name] != codec.fingerprint:
                advice = "Give what it is now another name and a default, and keep the old one"
                _refuse(cls, field.name, f"has another type than when it was saved. {advice}")
            values[field.alias or field.name] = codec.decode(parts[field.name], carrier)
        elif field.default is attrs.NOTHING:
            _refuse(cls, field.name, "was not saved, for it is new. Give it a default")
    try:
        return cls(**values)
    except Exception as error:
        raise MessageError(f"{cls.__qualname__}: {said_of(error)}") from error


def _refuse(cls: type, field: str, reason: str) -> NoReturn:
    raise MessageError(f"{cls.__qualname__}.{field} {reason}")
