"""From an actor class and its arguments to the order the supervisor gets.

Arguments are encoded one by one, each by the codec of its field, so they are checked in the
caller's process and never instantiate the actor there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, get_type_hints
from weakref import WeakKeyDictionary

import attrs
import msgspec

from actors.actor import Actor, fields_of
from actors.address import Address, check_name
from actors.agreement import alternatives, namespace_of
from actors.classes import name_of
from actors.codec import ValueCodec, value_codec
from actors.errors import InvalidMessage, MessageError
from actors.generics import arguments, filled, variables
from actors.hints import similar
from actors.ref import ActorRef
from actors.requests import SpawnActor
from actors.schema import CannotTravel
from actors.wire.carrier import FrameCarrier

LARGEST: Final = 32 << 20
"""Bytes of all spawn arguments together."""

CHILD_OPTIONS: Final = (
    *("name", "restart", "grace", "backoff", "limits", "metadata", "threads", "significant"),
    "spare",
)
"""What `supervisor.Child` takes beside the actor's fields."""

SPAWN_OPTIONS: Final = ("name", "restart", "limits")
"""What `System.spawn` takes beside them."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[bytes, list[bytes]]).decode


def order_for(  # noqa: PLR0913 - what System.spawn and Context.spawn offer
    cls: type[Actor],
    *,
    name: str,
    fields: Mapping[str, Any],
    definitions: Path | None = None,
    wait: bool = True,
    restart: str | None = None,
    limits: dict[str, float | int | None] | None = None,
) -> SpawnActor:
    """Return the request that starts `cls`.

    Raises `TypeError` for a wrong argument name, `InvalidMessage` for a wrong value, `SpawnError`
    for a class that another process cannot find.
    """
    _check_class(cls)
    where = name_of(cls, definitions)
    return SpawnActor(
        name=name,
        module=where.module,
        qualname=where.qualname,
        script=where.script,
        definition=where.definition,
        fields=encode_fields(cls, fields, SPAWN_OPTIONS),
        restart=restart,
        limits=limits,
        wait=wait,
    )


def encode_fields(
    cls: type[Actor], given: Mapping[str, Any], options: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return the spawn arguments in `given`, each as bytes; they stood beside these `options`."""
    _check_class(cls)
    known = fields_of(cls)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(_no_field(cls, unknown[0], list(known), options))
    missing = [
        name
        for name, field in known.items()
        if field.default is attrs.NOTHING and name not in given
    ]
    if missing:
        raise TypeError(f"{cls.__qualname__} needs {', '.join(missing)}{_taken(missing, options)}")
    encoded = {name: _encode(cls, known[name], value) for name, value in given.items()}
    size = sum(map(len, encoded.values()))
    if size > LARGEST:
        raise InvalidMessage(
            message=cls.__qualname__,
            reason=f"its spawn arguments are {size >> 20} MiB; {LARGEST >> 20} MiB is the most. "
            "Spawn it first and send it the data in a message.",
        )
    return encoded


def _no_field(cls: type[Actor], name: str, fields: list[str], options: Sequence[str]) -> str:
    """Say that there is no such field, and what was meant."""
    text = (
        f"{cls.__qualname__} has no field {name!r}; its fields are: {', '.join(fields) or 'none'}"
    )
    if name in CHILD_OPTIONS:
        return f"{text}. {name} is an option of supervisor.Child, in a Tree"
    names = [*fields, *options]
    meant = similar(name, names) or [each for each in names if each.startswith(name)]
    return f"{text}. Did you mean {' or '.join(meant)}?" if meant else text


def _taken(missing: list[str], options: Sequence[str]) -> str:
    """Say how a field is given whose name is an option's, too; "": none of the missing is."""
    both = next((name for name in missing if name in options), "")
    how = f"{both}= is an option of the child itself: write .with_fields({{{both!r}: ...}})"
    return f". {how}" if both else ""


def _check_class(cls: object) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Actor)):
        raise TypeError(f"spawn takes an Actor class, not {cls!r:.80}")


def decode_fields(
    cls: type[Actor], encoded: Mapping[str, bytes], bind: Callable[[Address], ActorRef]
) -> dict[str, Any]:
    """Return the spawn arguments as values."""
    known = {name: field.name for name, field in fields_of(cls).items()}
    values: dict[str, Any] = {}
    for name, data in encoded.items():
        if name not in known:
            raise MessageError(f"{cls.__qualname__} has no field {name!r}")
        payload, frames = _unpack(data)
        codec = value_codec(_hint(cls, known[name]))
        values[name] = codec.decode(payload, FrameCarrier(frames, bind=bind))
    return values


def _encode(cls: type[Actor], field: attrs.Attribute[Any], value: Any) -> bytes:
    """Return one argument as bytes: as it is or, where it does not fit, as its converter makes it.

    What fits is left to the converter in the actor's process.
    """
    name, hint = field.alias or field.name, _hint(cls, field.name)
    meanings = alternatives(hint)
    if isinstance(value, str) and ActorRef in meanings and str not in meanings:
        # In a tree that is written before there is a system, a sibling is known by its name only.
        value = ActorRef(check_name(value), None)
    try:
        codec = value_codec(hint)
        try:
            return _packed(codec, value)
        except InvalidMessage as error:
            return _converted(codec, field, value, error)
    except CannotTravel as error:
        raise TypeError(f"{cls.__qualname__}.{name} cannot be a spawn argument: {error}") from None
    except InvalidMessage as error:
        raise InvalidMessage(message=cls.__qualname__, field=name, reason=error.reason) from None


def _packed(codec: ValueCodec, value: Any) -> bytes:
    carrier = FrameCarrier()
    return _pack((codec.encode(value, carrier), carrier.frames))


def _converted(codec: ValueCodec, field: Any, value: Any, refusal: InvalidMessage) -> bytes:
    """Return a value that was refused as its field's converter makes it, or raise the refusal.

    As it runs once more in the actor's process, it must leave alone what it has made.
    """
    convert = field.converter
    if convert is None or isinstance(convert, attrs.Converter):  # this one may want the actor
        raise refusal
    try:
        made = convert(value)
        data, again = _packed(codec, made), _packed(codec, convert(made))
    except Exception:  # noqa: BLE001 - it is user code; what was expected says more than its words
        raise refusal from None
    if again != data:
        raise refusal
    return data


def _hint(cls: type[Actor], name: str) -> Any:
    """Return what the annotation of one field means."""
    known = _hints.get(cls)
    if known is None:
        known = _hints[cls] = {}
    if name not in known:
        known[name] = _read_hint(cls, name)
    return known[name]


_hints: Final[WeakKeyDictionary[type[Actor], dict[str, Any]]] = WeakKeyDictionary()
"""Annotations that were looked up: to find out what one means takes longer than to send it."""


def _read_hint(cls: type[Actor], name: str) -> Any:
    """Find out what the annotation of one field means; other fields' may mean nothing here."""
    for base in cls.__mro__:
        notes = inspect.get_annotations(base)
        if name in notes:
            scope = dict(namespace_of(base))
            holder = SimpleNamespace(__annotations__={name: notes[name]})
            try:
                names = _names_around(base)
                hint = get_type_hints(holder, scope, names, include_extras=True)[name]
            except NameError as error:
                raise TypeError(
                    f"{cls.__qualname__}.{name}: {error}. Define or import that name above the "
                    "class, not under TYPE_CHECKING and not inside a function."
                ) from None
            return filled(hint, variables(base, arguments(cls, base)))
    # Made by `attrs.field(type=...)`.
    return next(field.type for field in fields_of(cls).values() if field.name == name)


def _names_around(cls: type) -> dict[str, Any]:
    """Return the names that an annotation sees in its class and in the classes around it."""
    names: dict[str, Any] = {}
    outer: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split(".")[:-1]:
        outer = getattr(outer, part, None)
        names.update(vars(outer) if isinstance(outer, type) else {})
    return {**names, **vars(cls), cls.__name__: cls}
