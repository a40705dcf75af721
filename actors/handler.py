"""Which method handles which message: the marks, and the table made of them once per class.

    @receive                                   the annotation chooses the messages
    def add(self, msg: Add) -> float: ...

                      def        async def      yields          async, yields
    told message      SYNC       ASYNC          -               -
    Request[R]        SYNC       ASYNC          -               -
    StreamRequest[T]  -          -              STREAM          ASYNC_STREAM

What cannot work is refused when the class is defined, with class, method, message and remedy:
a mistake found there never becomes a message that nobody answers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import FunctionType, MappingProxyType
from typing import Any, Final, NoReturn, TypeVar, final, get_origin, overload

import attrs

from actors.agreement import alternatives, evaluated, item_of, surely_differ, visible_names
from actors.message import MessageKind, answer_type, is_message, message_kind

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "__understudy_receive__"  # attribute of a function that `receive` marked
_TABLE: Final = "__understudy_handlers__"  # attribute of a class that has handlers


class FailurePolicy(Enum):
    """What a handler that raises for a told message, timer or event does to its actor.

    An ask is different: its error goes to whoever asked, and the actor lives on.
    """

    RESTART = "restart"  # the incarnation ends; the supervisor decides what follows
    RESUME = "resume"  # the error is logged, the next message is handled
    STOP = "stop"  # the actor ends for good


def check_policy(where: str, given: object) -> None:
    """Refuse with a `TypeError` what is not a `FailurePolicy`, such as its name."""
    if not isinstance(given, FailurePolicy):
        names = ", ".join(f"FailurePolicy.{one.name}" for one in FailurePolicy)
        raise TypeError(f"{where}: {given!r:.80} is no FailurePolicy. Write one of {names}.")


class HandlerKind(Enum):
    """How a handler runs."""

    SYNC = "def"
    ASYNC = "async def"
    STREAM = "generator"
    ASYNC_STREAM = "async generator"


@final
@attrs.frozen(eq=False)
class Handler:
    """One row of the table: this class's way to handle one message."""

    message: type
    name: str  # of the method
    function: Callable[..., Any]  # called with the actor and the message
    kind: HandlerKind
    concurrent: bool  # may overlap with other messages; only ASYNC and ASYNC_STREAM
    failure_policy: FailurePolicy | None  # None: the class's own
    answers: Any  # R or T; None for a told message, and when a name in it is not defined yet


@final
@attrs.frozen
class _Mark:
    concurrent: bool
    failure_policy: FailurePolicy | None
    names: Mapping[str, Any]  # what names in annotations meant where the class was written


@overload
def receive(method: F, /) -> F: ...
@overload
def receive(
    *, concurrent: bool = False, failure_policy: FailurePolicy | None = None
) -> Callable[[F], F]: ...
def receive(
    method: F | None = None,
    /,
    *,
    concurrent: bool = False,
    failure_policy: FailurePolicy | None = None,
) -> F | Callable[[F], F]:
    """Mark a method as the handler of the messages its parameter is annotated with.

    `def` or `async def`; for a StreamRequest a generator of either kind. `msg: Add | Sub` handles
    both. A subclass's handler for the same message, or method of the same name, takes its place.

    Args:
        method: the method.
        concurrent: other messages are handled while this `async` handler waits.
        failure_policy: what follows when it raises for a told message; None: as the class says.

    Raises:
        TypeError: it is not a method, or (when the class is defined) it cannot handle a message.
    """
    if failure_policy is not None:
        check_policy("@receive(failure_policy=)", failure_policy)
    # Annotations may name classes of the function around the class.
    frame = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def mark(function: F) -> F:
        given: object = function
        if not isinstance(given, FunctionType):
            raise TypeError(
                f"@receive marks a method, not {type(given).__name__}. "
                "Write it directly above `def` or `async def`, below any other decorator."
            )
        names = visible_names(function, frame)
        setattr(function, _MARK, _Mark(concurrent, failure_policy, names))
        return function

    return mark if method is None else mark(method)


def handlers_of(cls: type) -> Mapping[type, Handler]:
    """Return the table of an actor class: message class to handler. It never changes.

    Raises:
        TypeError: it is not an actor class.
    """
    table: Mapping[type, Handler] | None = getattr(cls, _TABLE, None)
    if table is None:
        raise TypeError(f"{cls!r} is not an actor class. Derive it from actors.Actor.")
    return table


def build_table(cls: type) -> None:
    """Read the marks of a class and of its bases, and give it its table.

    Raises:
        TypeError: a handler cannot work, or two of them contradict each other.
    """
    table: dict[type, Handler] = {}
    depth: dict[type, int] = {}  # how far up the handler's method stands; the nearest one wins
    for name, (level, function, mark) in _marked_methods(cls).items():
        for handler in _handlers(cls, name, function, mark):
            rival = table.get(handler.message)
            if rival is not None and depth[handler.message] == level:
                _refuse(
                    (cls, name, handler.message),
                    f"{rival.name} handles the same message",
                    "Keep one of the two",
                )
            if rival is None or level < depth[handler.message]:
                table[handler.message], depth[handler.message] = handler, level
    _refuse_lost(cls, table)
    setattr(cls, _TABLE, MappingProxyType(table))


# ---- the methods of a class


def _marked_methods(cls: type) -> dict[str, tuple[int, Callable[..., Any], _Mark]]:
    """Return name -> (how far up in the bases, function, mark) of every handling method.

    A method that overrides a marked one by name takes over its mark: that is what overriding
    means everywhere else in Python.
    """
    found: dict[str, tuple[int, Callable[..., Any], _Mark]] = {}
    overriding: dict[str, tuple[int, Any]] = {}  # nearest definition that carries no mark
    for level, base in enumerate(cls.__mro__):
        for name, value in vars(base).items():
            if name in found:
                continue
            plain = getattr(value, "__func__", value)  # below staticmethod and classmethod
            mark: _Mark | None = getattr(plain, "__dict__", {}).get(_MARK)
            if mark is None:
                overriding.setdefault(name, (level, value))
                continue
            level_of, function = overriding.get(name, (level, value))
            if not isinstance(function, FunctionType):
                _refuse(
                    (cls, name, None),
                    f"it handles a message but is a {type(function).__name__}, not a method",
                    "Make it a method with self, or rename it",
                )
            found[name] = level_of, function, mark
    return found


def _handlers(cls: type, name: str, function: Callable[..., Any], mark: _Mark) -> Iterable[Handler]:
    kind = _kind(cls, name, function)
    messages = _messages(cls, name, function, mark)
    if mark.concurrent and kind not in (HandlerKind.ASYNC, HandlerKind.ASYNC_STREAM):
        _refuse(
            (cls, name, messages[0]),
            "concurrent=True means that others run while it awaits, and a def never awaits",
            "Make it async def, or drop concurrent=True",
        )
    answers = {message: _answer(cls, name, message) for message in messages}
    for message in messages:
        _check_kind((cls, name, message), kind)
    _check_answer((cls, name, messages[0]), function, mark, kind=kind, answers=answers)
    for message in messages:
        yield Handler(
            message,
            name,
            function,
            kind,
            concurrent=mark.concurrent,
            failure_policy=mark.failure_policy,
            answers=None if answers[message] is Any else answers[message],
        )


def _kind(cls: type, name: str, function: Callable[..., Any]) -> HandlerKind:
    kind, inner = _kind_alone(function), _kind_alone(inspect.unwrap(function))
    if kind is not inner:
        _refuse(
            (cls, name, None),
            f"a decorator hides that it is {inner.value}",
            f"Let the decorator's wrapper be {inner.value} too",
        )
    return kind


def _kind_alone(function: Callable[..., Any]) -> HandlerKind:
    if inspect.isasyncgenfunction(function):
        return HandlerKind.ASYNC_STREAM
    if inspect.isgeneratorfunction(function):
        return HandlerKind.STREAM
    return HandlerKind.ASYNC if inspect.iscoroutinefunction(function) else HandlerKind.SYNC


# ---- its messages


def _messages(cls: type, name: str, function: Callable[..., Any], mark: _Mark) -> tuple[type, ...]:
    parameter = _parameter(cls, name, function)
    if parameter.annotation is inspect.Parameter.empty:
        inherited = _inherited_messages(cls, name)
        if inherited:
            return inherited
        _refuse(
            (cls, name, None),
            f"its parameter {parameter.name} has no annotation, so no message leads to it",
            f"Annotate it with a message class: {name}(self, {parameter.name}: Add)",
        )
    try:
        annotation = evaluated(parameter.annotation, cls, function, mark.names)
    except Exception as error:  # noqa: BLE001 - annotations are code and may raise anything
        _refuse(
            (cls, name, None),
            f"its annotation {parameter.annotation!r} means nothing here ({error})",
            "Define or import the message class above this class, not under TYPE_CHECKING",
        )
    return tuple(_message(cls, name, member) for member in alternatives(annotation))


def _parameter(cls: type, name: str, function: Callable[..., Any]) -> inspect.Parameter:
    parameters = list(inspect.signature(function).parameters.values())
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 2 or any(one.kind not in places for one in parameters):  # noqa: PLR2004
        _refuse(
            (cls, name, None),
            "a handler has exactly one parameter after self, the message",
            f"Write {name}(self, msg: Add); what else it needs is in self and self.context",
        )
    return parameters[1]


def _inherited_messages(cls: type, name: str) -> tuple[type, ...]:
    tables = [getattr(base, _TABLE, {}) for base in cls.__mro__[1:]]
    rows = (row for table in tables for row in table.values() if row.name == name)
    return tuple(dict.fromkeys(row.message for row in rows))


def _message(cls: type, name: str, annotation: Any) -> type:
    origin = get_origin(annotation) or annotation  # Box[int] is handled as a Box
    if not is_message(origin):
        shown = getattr(annotation, "__qualname__", repr(annotation))
        _refuse(
            (cls, name, None),
            f"its parameter is annotated {shown}, which is not a message class",
            "Write @message above that class, or annotate the parameter with one that has it",
        )
    return origin  # type: ignore[no-any-return]  # is_message says that it is a class


# ---- its answers


def _answer(cls: type, name: str, message: type) -> Any:
    try:
        return answer_type(message)
    except NameError:
        return Any  # named by a string and defined later: nothing can be said about it yet
    except TypeError as error:
        _refuse((cls, name, message), str(error).rstrip("."), "Handle that one instead")


def _check_kind(where: tuple[type, str, type], kind: HandlerKind) -> None:
    yields = kind in (HandlerKind.STREAM, HandlerKind.ASYNC_STREAM)
    expected = message_kind(where[2])
    if expected is MessageKind.STREAM and not yields:
        _refuse(
            where,
            f"a StreamRequest is answered item by item, and it is a plain {kind.value}",
            "Let it yield its items",
        )
    if expected is MessageKind.ASK and yields:
        _refuse(
            where,
            f"a Request has one answer, and it is a {kind.value}",
            "Return the answer, or make the message a StreamRequest",
        )
    if expected is MessageKind.TELL and yields:
        _refuse(
            where,
            f"a message that is only told has no answer, and it is a {kind.value}",
            "Do not yield, or make the message a StreamRequest",
        )


def _check_answer(
    where: tuple[type, str, type],
    function: Callable[..., Any],
    mark: _Mark,
    *,
    kind: HandlerKind,
    answers: Mapping[type, Any],
) -> None:
    """Refuse a return annotation that surely contradicts what the messages promise."""
    cls, _, message = where
    said = inspect.signature(function).return_annotation
    if said is inspect.Signature.empty:
        return
    try:
        said = evaluated(said, cls, function, mark.names)
    except Exception:  # noqa: BLE001 - a name under TYPE_CHECKING is fine here: nobody needs it
        return
    if kind in (HandlerKind.STREAM, HandlerKind.ASYNC_STREAM):
        said = item_of(said, asynchronous=kind is HandlerKind.ASYNC_STREAM)
    expected = [type(None) if answer is None else answer for answer in answers.values()]
    if not surely_differ(said, expected):
        return
    if message_kind(message) is MessageKind.TELL and len(answers) == 1:
        _refuse(
            where,
            f"it is annotated to return {_shown(said)}, but the message is only told",
            f"Return None, or derive {message.__qualname__} from Request[{_shown(said)}]",
        )
    promised = " | ".join(_shown(answer) for answer in expected)
    _refuse(
        where,
        f"it is annotated to answer {_shown(said)}, but the message promises {promised}",
        "Let the two agree",
    )


def _shown(annotation: Any) -> str:
    if annotation is type(None):
        return "None"
    return annotation.__qualname__ if type(annotation) is type else str(annotation)


def _refuse_lost(cls: type, table: Mapping[type, Handler]) -> None:
    for base in cls.__mro__[1:]:
        for message, handler in vars(base).get(_TABLE, {}).items():
            if message not in table:
                _refuse(
                    (cls, handler.name, message),
                    f"it takes the place of {base.__qualname__}.{handler.name} without handling "
                    "that message",
                    "Give it another name, or let it handle both",
                )


def _refuse(where: tuple[type, str, type | None], why: str, remedy: str) -> NoReturn:
    cls, name, message = where
    about = f" for {message.__qualname__}" if message else ""
    raise TypeError(f"{cls.__qualname__}.{name}{about}: {why}. {remedy}.")
