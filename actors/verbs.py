"""Which messages go with which verb: what is refused in the call, before anything is sent.

tell     any message, or a request whose answer nobody wants
ask      Request[R]
stream   StreamRequest[T]
"""

from __future__ import annotations

from typing import Final

from actors.codec import Codec, ValueCodec, codec_for, value_codec
from actors.message import MessageKind, answer_type, is_message, message_kind

_answers: Final[dict[type, ValueCodec]] = {}
_codecs: Final[dict[type, Codec]] = {}
"""Of messages that were sent: these were looked at closely once."""


def answer_codec(cls: type) -> ValueCodec:
    """Return the codec of the answers, or items, that a request class expects."""
    codec = _answers.get(cls)
    if codec is None:
        codec = _answers[cls] = value_codec(answer_type(cls))
    return codec


def codec_of(msg: object, verb: str) -> Codec:
    """Return the codec of a message; raises `TypeError` for anything else."""
    cls = type(msg)
    codec = _codecs.get(cls)
    if codec is not None:
        return codec
    if not is_message(cls):
        raise TypeError(
            f"{verb} takes a message, not {msg!r:.80} ({cls.__qualname__}). "
            "Make its class with @message and send an instance."
        )
    codec = _codecs[cls] = codec_for(cls)
    return codec


def expect(msg: object, kind: MessageKind) -> None:
    """Raise `TypeError` when a message goes with another verb."""
    found = message_kind(type(msg))
    if found is not kind:
        verb = {MessageKind.TELL: "tell", MessageKind.ASK: "ask", MessageKind.STREAM: "stream"}[
            found
        ]
        raise TypeError(
            f"{type(msg).__name__} cannot be used with {kind.value}: use ref.{verb}(...). "
            "Request[R] is for ask, StreamRequest[T] for stream, a plain message for tell."
        )
