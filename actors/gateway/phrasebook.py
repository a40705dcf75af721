"""A phrasebook: which bytes of a plain ZeroMQ program mean which message, and the way back.

    Phrasebook({"Hello": Hello})   [b"Hello"]               Hello()       a word ...
    Phrasebook({"Add": Add})       [b"Add", b"1", b"2.5"]   Add(1, 2.5)   ... and the fields
    Phrasebook.of(Number)          [b"57"]                  Number(57)    one class, no word
    Phrasebook.of(Picture)         [b"cat.pgm", b"P5..."]   Picture("cat.pgm", b"P5...")

One frame for each field, in order: text as UTF-8, bytes as they are, everything else as JSON (57,
2.5, true, [1,2], {"a":1}).  Trailing fields that have defaults may be missing.  An answer is one
frame, written the same way; None is an empty one.  Nothing of this can make an object of any class
that is not in the book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import GenericAlias
from typing import Any, Final, TypeVar, Union, cast, final

import attrs
import msgspec

from actors.annotations import fields_of, schema_of
from actors.codec import FrameCarrier, codec_for
from actors.errors import InvalidMessage
from actors.message import MessageKind, Request, answer_type, info_of
from actors.schema import DictOf, Leaf, ListOf, ManyOf, RecordOf, Schema, TupleOf, UnionOf

R = TypeVar("R")

LARGEST: Final = 16 << 20
"""Bytes of a message, all frames together."""

_SHOWN: Final = 40
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


@final
@attrs.frozen
class Refusal:
    """What is wrong with some frames, in words for whoever sent them."""

    text: str


@final
class _Form:
    """How the values of one type are written as a frame."""

    def __init__(self, schema: Schema, where: str) -> None:
        self._where = where
        self._leaf = schema.cls if isinstance(schema, Leaf) else None
        self._json: msgspec.json.Decoder[Any] | None = None
        if self._leaf is not bytes and self._leaf is not str:
            self._json = msgspec.json.Decoder(_json_type(schema, where))

    def read(self, frame: bytes) -> Any:
        """Return the value; raises `ValueError`."""
        if self._leaf is type(None) and not frame:
            return None
        if self._json is not None:
            return self._json.decode(frame)
        return frame if self._leaf is bytes else frame.decode()

    def write(self, value: Any) -> bytes:
        """Return the frame.  Raises `InvalidMessage` for a number that JSON has not."""
        if self._leaf is bytes:
            return cast("bytes", value)
        if self._leaf is str:
            return cast("str", value).encode()
        if self._leaf is type(None):
            return b""
        frame = msgspec.json.encode(value)
        try:
            same = self.read(frame) == value  # msgspec writes inf and nan as null
        except msgspec.ValidationError:
            same = False
        if not same:
            raise InvalidMessage(message=self._where, reason="JSON has no inf and no nan")
        return frame


@final
class _Phrase:
    """How the messages of one class are written as frames."""

    def __init__(self, cls: type) -> None:
        kind = info_of(cls).kind
        if kind is MessageKind.STREAM:
            raise TypeError(f"{cls.__qualname__} asks for a stream, which plain ZeroMQ has not.")
        self.cls = cls
        self.codec = codec_for(cls)
        fields = fields_of(RecordOf(cls))
        required = {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING}
        self.fields = {
            field.alias: (field.name, _Form(field.schema, f"{cls.__qualname__}.{field.name}"))
            for field in fields
        }
        needed = [place for place, field in enumerate(fields, 1) if field.name in required]
        self.least = max(needed, default=0)
        self.answer: _Form | None = None
        if kind is MessageKind.ASK:
            where = f"the answer of {cls.__qualname__}"
            self.answer = _Form(schema_of(answer_type(cls), owner=cls), where)

    def read(self, frames: Sequence[bytes]) -> object:
        name = self.cls.__name__
        if not self.least <= len(frames) <= len(self.fields):
            most = len(self.fields)
            wanted = f"{most}" if self.least == most else f"{self.least} to {most}"
            return Refusal(f"{name} has {wanted} fields, a frame each; {len(frames)} came")
        values = dict[str, Any]()
        for (alias, (field, form)), frame in zip(self.fields.items(), frames, strict=False):
            try:
                values[alias] = form.read(frame)
            except (ValueError, RecursionError) as error:  # UnicodeError and msgspec's are such
                return Refusal(f"{name}.{field}: {error}")
        try:
            return self.cls(**values)
        except Exception as error:  # noqa: BLE001 - validators and converters are the user's
            reason = error.args[0] if error.args else ""  # attrs' further args are whole objects
            return Refusal(f"{name}: {type(error).__name__}: {reason}")


@final
class Phrasebook:
    """Which bytes mean which message.

    Fields and answers may be text, bytes, numbers, bools, None, and lists, tuples and dicts of
    those.  Raises `TypeError` for a class with others, or that is no message.
    """

    def __init__(self, phrases: Mapping[str, type]) -> None:
        self._classes = dict(phrases)
        self._wordless = False
        if len(self._words) < len(self._phrases) or not phrases:
            raise TypeError("a phrasebook has at least one word, and one word for each class")

    @classmethod
    def of(cls, message: type) -> Phrasebook:
        """Return the book of those who say one thing only, without a word for it."""
        book = cls({"": message})
        book._wordless = True
        return book

    def __getstate__(self) -> dict[str, Any]:
        """Hand over what it was made of, for a book that was typed at a prompt.

        Its classes may still be under way when it arrives, so the rest is made when it is needed.
        """
        return {"_classes": self._classes, "_wordless": self._wordless}

    @cached_property
    def _phrases(self) -> dict[bytes, _Phrase]:
        return {word.encode(): _Phrase(cls) for word, cls in self._classes.items()}

    @cached_property
    def _words(self) -> dict[type, bytes]:
        return {phrase.cls: word for word, phrase in self._phrases.items()}

    def read(self, frames: Sequence[bytes]) -> object:
        """Return the message that the frames mean, or a `Refusal`."""
        size = sum(map(len, frames))
        if size > LARGEST:
            return Refusal(f"{size} bytes in one message; {LARGEST} are the most")
        if self._wordless:
            return self._phrases[b""].read(frames)
        word = frames[0] if frames else b""
        phrase = self._phrases.get(word)
        if phrase is None:
            known = ", ".join(repr(word.decode()) for word in self._phrases)
            more = "..." if len(word) > _SHOWN else ""
            said = ascii(word[:_SHOWN].decode("utf-8", "replace")) + more
            return Refusal(f"no message begins with {said}; known are {known}")
        return phrase.read(frames[1:])

    def write(self, message: object) -> list[bytes]:
        """Return the frames that say a message.

        Raises `TypeError` for one whose class is not in the book, and `InvalidMessage` for one that
        is too large or has a field that does not fit.
        """
        phrase = self._phrase_of(type(message))
        phrase.codec.encode(message, FrameCarrier())  # checks every field, as any send does
        fields = [form.write(getattr(message, field)) for field, form in phrase.fields.values()]
        frames = fields if self._wordless else [self._words[phrase.cls], *fields]
        size = sum(map(len, frames))
        if size > LARGEST:
            raise InvalidMessage(message=phrase.cls.__name__, reason=f"larger than {LARGEST} bytes")
        return frames or [b""]

    def write_answer(self, message: object, answer: object) -> bytes:
        """Return the frame that answers a message, nothing when it expects no answer."""
        form = self._phrase_of(type(message)).answer
        return b"" if form is None else form.write(answer)

    def read_answer(self, message: Request[R], frames: Sequence[bytes]) -> R:
        """Return the answer to a message.  Raises `InvalidMessage` for what is none."""
        name = type(message).__name__
        form = self._phrase_of(type(message)).answer
        if form is None or len(frames) != 1:
            reason = f"an answer is one frame, {len(frames)} came"
            raise InvalidMessage(message=name, field="answer", reason=reason)
        try:
            return cast("R", form.read(frames[0]))
        except (ValueError, RecursionError) as error:
            raise InvalidMessage(message=name, field="answer", reason=str(error)) from None

    def _phrase_of(self, cls: type) -> _Phrase:
        word = self._words.get(cls)
        if word is None:
            known = ", ".join(cls.__name__ for cls in self._words)
            raise TypeError(f"{cls.__name__} is not in the phrasebook, which has {known}.")
        return self._phrases[word]


def _json_type(schema: Schema, where: str) -> Any:
    """Return the type by which msgspec reads such values from JSON."""

    def part(item: Schema) -> Any:
        return _json_type(item, where)

    match schema:
        case Leaf(cls) if cls in _PLAIN:
            return cls
        case ListOf(item):
            return GenericAlias(list, part(item))
        case ManyOf(item):
            return GenericAlias(tuple, (part(item), ...))
        case TupleOf(items) if schema.cls is tuple:
            return GenericAlias(tuple, tuple(map(part, items)))
        case DictOf(Leaf(key), value) if key is str:
            return GenericAlias(dict, (str, part(value)))
        case UnionOf(arms):
            return Union[tuple(map(part, arms))]  # noqa: UP007 - computed
        case _:
            raise TypeError(
                f"{where} cannot be said in plain ZeroMQ: text, bytes, numbers, bools, None, and "
                "lists, tuples and dicts of those can."
            )
