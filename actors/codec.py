"""Messages to bytes and back. What cannot travel is refused where the class is written.

    sender                                                             receiver
    codec_for(Add).encode(Add(1, 2), carrier)  ──bytes──▶  codec_for(Add).decode(data, carrier)
    checks every field: InvalidMessage "Add.x"             checks again, runs Add.__init__

The bytes hold values only. Which class they are of says the envelope, with the class's tag; that
both sides mean the same by it, the fingerprint.

What a stranger's bytes can do: make a message of that class, or raise a MessageError. Lengths are
compared with the bytes that are there before anything is allocated, nesting is limited by the
interpreter's recursion limit, and a byte makes at most one object. So a byte received costs at
most the smallest object of its type: 65 bytes for an empty list, 90 for a message without fields,
225 for an empty set; what a class makes of itself (converters, derived fields) comes on top. Arrays
cost their own bytes and about 40 for each byte of their description.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from typing import Any, Final, final

import attrs
import msgspec

from actors.annotations import fields_of, schema_of
from actors.arrays.spec import made_by_attrs, same_fields
from actors.errors import ActorError, InvalidMessage, MessageError
from actors.failure import said_of, text_of
from actors.message import MessageInfo, MessageKind, info_of, is_message, when_defined
from actors.schema import (
    CannotTravel,
    Leaf,
    RecordOf,
    Schema,
    UnboundVariable,
    register_reference,
)
from actors.wire.carrier import Carrier, FrameCarrier, Part
from actors.wire.fingerprint import fingerprint, schema_text
from actors.wire.form import Place, Wire
from actors.wire.records import WireForms

__all__ = [
    "Carrier",
    "Codec",
    "FrameCarrier",
    "Part",
    "ValueCodec",
    "codec_for",
    "field_codecs",
    "register_reference",
    "value_codec",
]

_forms: Final = WireForms()
_codecs: Final[dict[type, Codec]] = {}
_value_codecs: Final[dict[Any, ValueCodec]] = {}
_field_codecs: Final[dict[type, dict[str, ValueCodec]]] = {}
_to_bytes: Final = msgspec.msgpack.Encoder().encode
_EMPTY: Final = (dict, list, set, tuple, str, bytes, bytearray, int, float, bool, deque, Counter)
"""Factories that always make equal things."""

_PATH: Final = re.compile(r" - at `\$\[(\d+)\](.*)`$")


class ValueCodec:
    """Encodes and decodes the values of one type: an answer, a stream's item, a field."""

    __slots__ = (
        "_decode", "_fields", "_name", "_pack", "_unpack", "beside", "fingerprint", "schema",
    )  # fmt: skip

    def __init__(self, name: str, wire: Wire, schema: str) -> None:
        self._name = name
        self._pack = wire.pack
        self._unpack = wire.unpack
        self._decode = msgspec.msgpack.Decoder(wire.shadow).decode
        struct = getattr(wire.shadow, "__struct_fields__", ())
        self._fields = tuple(name.removeprefix("v_") for name in struct)
        self.beside: bool = wire.beside  # whether the carrier may be asked for anything
        self.schema: str = schema  # readable, the same in every process
        self.fingerprint: bytes = fingerprint(schema)  # 8 bytes

    def encode(self, value: Any, carrier: Carrier) -> bytes:
        """Return the bytes of a value; its arrays go to `carrier.put`.

        Raises:
            InvalidMessage: it is not of this type; class, field and reason are named. What the
                carrier took until then should be given back.
        """
        try:
            packed = self._pack(value, carrier, None)
        except (ActorError, MemoryError):
            raise  # it says itself what is wrong, or nothing is wrong with the value
        except RecursionError:
            raise self._refused("nested too deep, or contains itself") from None
        except Exception as error:
            # A field that was never set, or a dict that a thread fills meanwhile.
            raise self._refused(said_of(error)) from error
        try:
            return _to_bytes(packed)
        except Exception as error:
            raise self._unsendable(packed, error) from error

    def decode(self, data: bytes | memoryview, carrier: Carrier) -> Any:
        """Return the value that `data` holds; its arrays come from `carrier.get`, read-only.

        Raises:
            InvalidMessage: the bytes are not a value of this type, or its class refuses it.
        """
        try:
            shadow = self._decode(data)
            return shadow if self._unpack is None else self._unpack(shadow, carrier, None)
        except MessageError:
            raise
        except msgspec.MsgspecError as error:
            raise self._undecodable(str(error)) from None
        except Exception as error:
            text = text_of(Exception(*error.args[:1]))  # attrs' further args are whole objects
            raise self._refused(f"{type(error).__name__}: {text}") from error

    def _refused(self, reason: str, *, field: str = "") -> InvalidMessage:
        clean = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason[:200])
        return InvalidMessage(message=self._name, field=field, reason=clean)

    def _undecodable(self, text: str) -> InvalidMessage:
        """Turn msgspec's "... - at `$[1][0]`" into a field's name."""
        found = _PATH.search(text)
        if found is None or int(found[1]) >= len(self._fields):
            return self._refused(text)
        return self._refused(text[: found.start()], field=self._fields[int(found[1])] + found[2])

    def _unsendable(self, packed: Any, error: Exception) -> InvalidMessage:
        """Find the field with a number or text that no message can hold."""
        for name, part in zip(self._fields, packed if self._fields else (), strict=False):
            try:
                _to_bytes(part)
            except Exception as culprit:  # noqa: BLE001 - see encode
                return self._refused(_reason(culprit), field=name)
        return self._refused(_reason(error))


@final
class Codec(ValueCodec):
    """Encodes and decodes the messages of one class."""

    __slots__ = ("cls", "kind", "redeliver", "tag")

    def __init__(self, cls: type, wire: Wire, schema: str) -> None:
        super().__init__(cls.__qualname__, wire, schema)
        self.cls = cls
        info = info_of(cls) if is_message(cls) else None
        self.tag: str = info.tag if info else ""
        self.kind: MessageKind | None = info.kind if info else None
        self.redeliver: bool = info is not None and info.redeliver


def codec_for(cls: type) -> Codec:
    """Return the codec of a message class, or of any other attrs class (its `tag` is then "").

    Raises:
        TypeError: the class is no attrs class, or a field has a type that cannot travel.
    """
    codec = _codecs.get(cls)
    if codec is not None:
        return codec
    if not attrs.has(cls):
        raise TypeError(f"{cls!r} is not an attrs class. Write @message above its class statement.")
    try:
        return _compiled(cls)
    except NameError as error:
        raise TypeError(f"{cls.__qualname__} cannot be sent yet: {error}.") from error


def value_codec(annotation: Any) -> ValueCodec:
    """Return the codec for the values of any type that may be annotated.

    Raises:
        TypeError: such values cannot travel.
    """
    key: Any = annotation
    if not _has_hash(key):
        # A note may be a dict: Annotated[float, {"unit": "mm"}]. It is no part of the schema.
        key = schema_of(annotation)
    codec = _value_codecs.get(key) if _has_hash(key) else None
    if codec is None:
        schema = schema_of(annotation)
        wire = _forms.of(schema, Place("answer"))
        codec = ValueCodec("answer", wire, schema_text(schema))
        if _has_hash(key):  # not that of a msgspec.Meta with a dict
            _value_codecs[key] = codec
    return codec


def _has_hash(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def field_codecs(cls: type) -> dict[str, ValueCodec]:
    """Return the codecs of the fields of an attrs class by name, in the order of its payloads.

    What one encodes is the field's part of the payload.

    Raises:
        TypeError: a field has a type that cannot travel.
    """
    codecs = _field_codecs.get(cls)
    if codecs is None:
        codec_for(cls)  # says in words what is not yet defined
        record, codecs = schema_of(cls), {}
        assert isinstance(record, RecordOf)
        for field in fields_of(record):
            wire = _forms.of(field.schema, Place(cls.__qualname__, field.name))
            name = f"{cls.__qualname__}.{field.name}"
            codecs[field.name] = ValueCodec(name, wire, schema_text(field.schema))
        _field_codecs[cls] = codecs
    return codecs


def _compiled(cls: type) -> Codec:
    record = schema_of(cls)
    assert isinstance(record, RecordOf)
    wire = _forms.of_record(record)
    text = schema_text(record)
    if is_message(cls):
        text += f"->{_answer_text(info_of(cls))}"
    codec = Codec(cls, wire, text)
    _codecs[cls] = codec
    return codec


def _answer_text(info: MessageInfo) -> str:
    """Describe the answer, which must be able to travel too."""
    if info.answer is None:
        return "nothing"
    try:
        schema: Schema = schema_of(info.answer, owner=info.cls)
    except CannotTravel as error:
        raise type(error)(f"the answer of {info.cls.__qualname__}: {error}") from None
    return f"{info.kind.value} {schema_text(schema)}"


def _check_definition(info: MessageInfo) -> None:
    """Compile a message class when it is defined, as far as everything it names is known."""
    _refuse_made_anew(info.cls)
    try:
        _compiled(info.cls)
    except UnboundVariable:
        parameters = getattr(info.cls, "__parameters__", ())
        if not parameters:
            raise
        # A template: only what derives from it, or fills it in, travels. Its other fields must.
        fields_of(RecordOf(info.cls, (Leaf(type(None)),) * len(parameters)))
        _compare_deeply(info)
    except NameError:
        _compare_deeply(info)  # compiled at first use
    else:
        record = schema_of(info.cls)
        assert isinstance(record, RecordOf)
        if _forms.of_record(record).arrays:
            _compare_deeply(info)


def _refuse_made_anew(cls: type) -> None:
    """Refuse a part of the message that does not travel, and whose factory makes another one."""
    compared = any("__eq__" in vars(base) for base in cls.__mro__[:-1])
    if not compared or hasattr(cls, "__attrs_post_init__"):
        return  # nobody sees a difference; it may be derived there
    for field in attrs.fields(cls):
        # Of all defaults only factories have it; for type checkers a Factory is no class.
        made = getattr(field.default, "takes_self", None) is False
        if made and not field.init and field.eq and field.default.factory not in _EMPTY:
            raise CannotTravel(
                f"{cls.__qualname__}.{field.name} is no argument of __init__ (init=False), so it "
                "does not travel: its factory would make it anew where the message arrives. Leave "
                "init=False out; or derive it from other fields, by attrs.Factory(..., "
                "takes_self=True) or __attrs_post_init__; or say eq=False, if it is no part of the "
                "message, such as a cache."
            )


def _compare_deeply(info: MessageInfo) -> None:
    """Replace attrs' __eq__, which asks an array whether it is true, unless the class has its own.

    The hash stays attrs': an array in a field makes the message unhashable, as a list would.
    """
    if made_by_attrs(info.cls.__eq__):
        type.__setattr__(info.cls, "__eq__", _equal)


def _equal(self: Any, other: object) -> bool:
    return same_fields(self, other) if other.__class__ is self.__class__ else NotImplemented


def _reason(error: Exception) -> str:
    if isinstance(error, OverflowError):
        return "an int outside -2**63 .. 2**64 - 1"
    if isinstance(error, UnicodeError):
        return "text with half a surrogate pair, which is not Unicode"
    return said_of(error)


when_defined(_check_definition)
