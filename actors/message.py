"""Message classes: what `@message` does, tags, and which kind of answer a class expects.

    @message                            a frozen, slotted attrs class ...
    class Add(Request[float]):          ... that expects one answer, a float
        x: float
        y: float

A tag is the class's name on the wire, "module:qualname". The classes of a script being run live
in `__main__`, which every script is; so their tags are bound to the file:

    module                              tag
    lab.cameras                         lab.cameras:Frame
    __main__, python -m lab.run         lab.run:Frame
    __main__, python run.py             run.py~9f86d081:Frame     (8 hex digits of the path)
    __understudy_main__                 the same: run.py as a child process imports it
    __main__, prompt or notebook        __main__:Frame
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import (
    Any,
    Final,
    Generic,
    TypeVar,
    cast,
    dataclass_transform,
    final,
    get_origin,
    get_type_hints,
    overload,
)

import attr
import attrs

from actors.errors import UnknownMessage
from actors.generics import arguments

MAIN_ALIAS: Final = "__understudy_main__"
"""Module name under which a child process imports the script that is its program's `__main__`."""

R_co = TypeVar("R_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M")


class Request(Generic[R_co]):
    """The base of a message that expects one answer: `class Add(Request[float])`."""

    __slots__ = ()


class StreamRequest(Generic[T_co]):
    """The base of a message that expects a stream of answers: `class Tail(StreamRequest[Line])`."""

    __slots__ = ()


@final
class MessageKind(Enum):
    """What the sender of a message may expect back."""

    TELL = "tell"  # nothing
    ASK = "ask"  # one answer
    STREAM = "stream"  # any number of answers


@final
@attrs.frozen(eq=False)
class MessageInfo:
    """What is known of one message class."""

    cls: type
    tag: str  # its name on the wire
    kind: MessageKind
    answer: Any  # annotation of the answer as written, None when there is none
    redeliver: bool  # give it to the next incarnation when the actor dies while handling it
    scope: Mapping[str, Any]  # names visible where the class was written, for its annotations


_infos: dict[type, MessageInfo] = {}
_classes: dict[str, type] = {}
_listeners: list[Callable[[MessageInfo], None]] = []


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field, attr.ib))
def message(cls: type[M], /) -> type[M]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field, attr.ib))
def message(*, tag: str | None = None, redeliver: bool = False) -> Callable[[type[M]], type[M]]: ...
def message(
    cls: type[M] | None = None, /, *, tag: str | None = None, redeliver: bool = False
) -> type[M] | Callable[[type[M]], type[M]]:
    """Turn a class into a message: a frozen, slotted attrs class with a tag and a codec.

    All of attrs works: defaults, factories, validators, converters, private fields, aliases,
    inheritance, generics. Converters and validators run again at the receiver, so a converter
    must leave alone what it has converted. Two messages are equal when their fields are, arrays
    included; a message that holds an array, a list or a dict cannot be hashed.

    Args:
        cls: the class. One that attrs already made is taken as it is.
        tag: its name on the wire instead of "module:qualname", so that the class can be moved.
        redeliver: give the message to the actor's next incarnation, up to a limit, when the
            actor dies while handling it. Without it the sender gets OutcomeUnknown.

    Raises:
        TypeError: a field has a type that cannot travel; the text names the field and the reason.
    """
    # Annotations may name classes of the function in which the class is written.
    scope = sys._getframe(1).f_locals  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    def decorate(plain: type[M]) -> type[M]:
        return _define(plain, tag=tag, redeliver=redeliver, scope=scope)

    return decorate if cls is None else decorate(cls)


def class_name(tag: str) -> str:
    """Return the name of the class that a tag stands for, as errors and people call it.

    `bank.py~9f86d081:Pay` is Pay, and so is `bank:Till.Pay`.
    """
    return tag.rpartition(":")[2].rpartition(".")[2]


def defined_again(cls: type[M], *, tag: str, redeliver: bool, scope: Mapping[str, Any]) -> type[M]:
    """Take a message class of another process as a message here too, with the tag it has there."""
    return _define(cls, tag=tag, redeliver=redeliver, scope=scope)


def tag_of(cls: type) -> str:
    """Return the name of a message class on the wire.

    Raises:
        TypeError: it is not a message class.
    """
    return info_of(cls).tag


def class_of(tag: str) -> type:
    """Return the message class of a tag. Only a table is asked; nothing is ever imported.

    Raises:
        UnknownMessage: no message class of this process has that tag.
    """
    cls = _classes.get(tag)
    if cls is None:
        around, local, name = tag.rpartition(":")[2].rpartition(".<locals>.")
        text = f"the message class {name} was made inside {around}, where no other process can find"
        more = [f"{text} it. Move it to the top of its module."] if local else []
        raise UnknownMessage(*more, tag=tag)
    return cls


def is_message(cls: Any) -> bool:
    """Tell whether this very class went through `@message`; a subclass must do so itself."""
    return cls in _infos if isinstance(cls, type) else False


def message_kind(cls: type) -> MessageKind:
    """Tell what the sender may expect back. TypeError when it is not a message class."""
    return info_of(cls).kind


def redelivers(cls: type) -> bool:
    """Tell whether the class was marked `@message(redeliver=True)`."""
    return info_of(cls).redeliver


def info_of(cls: type) -> MessageInfo:
    """Return what is known of a message class. TypeError when it is not one."""
    info = _infos.get(cls)
    if info is None:
        name = getattr(cls, "__qualname__", repr(cls))
        raise TypeError(f"{name} is not a message. Write @message above its class statement.")
    return info


def defined_in(module: str) -> list[MessageInfo]:
    """Return the message classes written in a module, in the order of their definition."""
    return [info for info in _infos.values() if info.cls.__module__ == module]


def when_defined(listener: Callable[[MessageInfo], None]) -> None:
    """Call `listener` for every message class, those already defined included.

    A listener that raises refuses the class. The codec listens here: it stands on a higher floor.
    """
    _listeners.append(listener)
    for info in tuple(_infos.values()):
        listener(info)


def answer_type(cls: type) -> Any:
    """Return R of a Request[R] or T of a StreamRequest[T], None for a message that is only told.

    A request without a result, Request[None], gives type(None).

    Raises:
        TypeError: it is not a message class, or its answer is an unbound type variable.
        NameError: the answer is named by a string that means nothing yet.
    """
    info = info_of(cls)
    if info.answer is None:
        return None
    if isinstance(info.answer, TypeVar):
        bound = info.answer.__bound__
        if bound is None:
            raise TypeError(
                f"{cls.__qualname__} answers {info.answer}, which could be anything. Derive a "
                f"message that says what: class One({cls.__name__}[float])."
            )
        return bound
    return evaluated(info.answer, cls)


def evaluated(annotation: Any, cls: type) -> Any:
    """Return what an annotation written in `cls` means, names in strings looked up.

    Raises:
        NameError: it names something that is not defined (yet).
    """
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation
    info = _infos.get(cls)
    local: dict[str, Any] = {param.__name__: param for param in getattr(cls, "__type_params__", ())}
    local |= dict(info.scope if info else {}) | {cls.__name__: cls}
    try:
        return _looked_up(annotation, cls.__module__, local)
    except NameError:
        return _looked_up(annotation, cls.__module__, _siblings_of(cls) | local)


def _looked_up(annotation: Any, module: str, local: Mapping[str, Any]) -> Any:
    holder = SimpleNamespace(__annotations__={"it": annotation})
    scope = dict(vars(sys.modules[module])) if module in sys.modules else {}
    return get_type_hints(holder, scope, dict(local), include_extras=True)["it"]


def _siblings_of(cls: type) -> dict[str, type]:
    """Return the message classes written in the same scope, by name.

    They stand in for the names of a function that are bound only after the class was defined.
    """
    scope = cls.__qualname__.rpartition(".")[0]
    return {
        other.__name__: other
        for other in _infos
        if other.__module__ == cls.__module__ and other.__qualname__.rpartition(".")[0] == scope
    }


def _define(
    plain: type[M], *, tag: str | None, redeliver: bool, scope: Mapping[str, Any]
) -> type[M]:
    kind, answer = _kind_and_answer(plain)
    by_attrs = "__attrs_attrs__" in vars(plain)
    cls = plain if by_attrs else attrs.frozen(plain, slots=True)
    refuse_shared_defaults(cls)
    info = MessageInfo(
        cls,
        tag=_checked_tag(_default_tag(cls) if tag is None else tag),
        kind=kind,
        answer=answer,
        redeliver=redeliver,
        scope=_used_names(cls, scope, answer),
    )
    _refuse_taken(info)
    previous = _classes.get(info.tag)
    _infos[cls], _classes[info.tag] = info, cls
    try:
        for listener in _listeners:
            listener(info)
    except BaseException:
        del _infos[cls]
        if previous is None:
            del _classes[info.tag]
        else:
            _classes[info.tag] = previous
        raise
    return cls


def refuse_shared_defaults(cls: type) -> None:
    """Raise a `TypeError` for a default that all instances would have in common, and could change.

    An actor's next life must not find what the one before has put there.
    """
    for field in attrs.fields(cls):
        default: object = field.default
        if isinstance(default, list | dict | set | bytearray):
            kind = type(cast("object", default)).__name__
            raise TypeError(
                f"{cls.__qualname__}.{field.name}: all instances would share this {kind}. "
                f"Write attrs.field(factory={kind}), or factory= and a function that makes it."
            )


def _kind_and_answer(cls: type) -> tuple[MessageKind, Any]:
    asks, streams = issubclass(cls, Request), issubclass(cls, StreamRequest)
    if asks and streams:
        raise TypeError(
            f"{cls.__qualname__} is a Request and a StreamRequest. "
            "Derive from one of them: a message has one kind of answer."
        )
    if not asks and not streams:
        return MessageKind.TELL, None
    base = Request if asks else StreamRequest
    kind = MessageKind.ASK if asks else MessageKind.STREAM
    args = arguments(cls, base)
    if not args:
        raise TypeError(
            f"{cls.__qualname__} derives from a bare {base.__name__}. "
            f"Say what it answers: {base.__name__}[float], or {base.__name__}[None]."
        )
    return kind, type(None) if args == (None,) else args[0]


def _used_names(cls: type, scope: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Keep of a function's names those that the annotations may mean; the rest may be large."""
    if cls.__qualname__ == cls.__name__ and cls.__module__ in sys.modules:
        return {}  # the names of a module stay reachable
    said = " ".join(map(str, (*vars(cls).get("__annotations__", {}).values(), answer)))
    return {word: scope[word] for word in set(re.findall(r"\w+", said)) if word in scope}


def _checked_tag(tag: str) -> str:
    if not (tag.isprintable() and 0 < len(tag.encode()) <= 255):  # noqa: PLR2004
        raise TypeError(f"tag {ascii(tag)[:80]} is not 1 to 255 bytes of printable text.")
    return tag


def _refuse_taken(info: MessageInfo) -> None:
    """Two classes cannot share a tag; the same class again can: a reload, a cell run twice."""
    other, cls = _classes.get(info.tag), info.cls
    if other is None or (other.__module__, other.__qualname__) == (
        cls.__module__,
        cls.__qualname__,
    ):
        return
    if {other.__module__, cls.__module__} == {"__main__", MAIN_ALIAS}:
        return
    raise TypeError(
        f"{cls.__module__}.{cls.__qualname__} has the tag {info.tag!r} of "
        f"{other.__module__}.{other.__qualname__}. Give one of them another @message(tag=...)."
    )


def _default_tag(cls: type) -> str:
    return f"{wire_module(cls.__module__)}:{cls.__qualname__}"


def wire_module(name: str) -> str:
    """Return the name by which a module is known in every process of the program."""
    if name not in {"__main__", MAIN_ALIAS}:
        return name
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.name not in {"__main__", MAIN_ALIAS}:
        return str(spec.name)  # python -m package.module
    path = Path(getattr(module, "__file__", None) or "").resolve()
    if not path.is_file():  # a prompt, a notebook, text from a pipe
        return "__main__"
    digest = hashlib.blake2b(bytes(path), digest_size=4).hexdigest()
    return f"{path.name}~{digest}"
