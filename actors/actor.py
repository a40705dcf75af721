"""What a user derives an actor from.

    class Counter(Actor):
        start: int = 0                    a spawn argument: system.spawn(Counter, start=5)

        def on_start(self) -> None:       once per life, before the first message
            self.total = self.start       any other attribute: of this life only

        @receive
        def add(self, msg: Add) -> int:   one message at a time
            self.total += msg.n
            return self.total

    one life:  __init__ → context → on_start → restore → handlers, snapshot ... → snapshot, on_stop

An actor is an ordinary object: a test may call `Counter(start=5).add(Add(1))` without a system.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, dataclass_transform

import attrs

from actors.handler import (
    FailurePolicy,
    Handler,
    HandlerKind,
    build_table,
    handlers_of,
    receive,
)
from actors.hooks import check_hooks
from actors.message import refuse_shared_defaults

if TYPE_CHECKING:
    from actors.context import Context  # context stands beside this room and knows it

__all__ = [
    "Actor",
    "FailurePolicy",
    "Handler",
    "HandlerKind",
    "fields_of",
    "handlers_of",
    "receive",
    "without_checks",
]

_RESERVED = ("name", "restart", "limits", "context")
"""Arguments of `spawn` itself, and the attribute that the runtime sets."""


_UNCHECKED: Final[list[bool]] = []
"""Not empty while an actor class is made whose fields and handlers come later, as they were."""


@contextmanager
def without_checks() -> Generator[None]:
    """Leave the classes made meanwhile as they are: neither attrs classes nor with a table."""
    _UNCHECKED.append(True)
    try:
        yield
    finally:
        _UNCHECKED.pop()


class _NoContextYet:
    """Stands for `context` until the runtime sets it. Not a data descriptor: then it is hidden."""

    def __get__(self, actor: object, owner: type) -> Any:
        if actor is None:
            return self
        raise AttributeError(
            f"{owner.__qualname__}.context is not there yet: it is set after __init__, before "
            "on_start, and only in a running system. Use it in on_start and in handlers."
        )


@dataclass_transform(eq_default=False, field_specifiers=(attrs.field, attrs.Factory))
class Actor:
    """The base of every actor.

    Annotated fields of a subclass are its spawn arguments, with all that attrs offers: defaults,
    factories, validators, converters. `@attrs.define` on top is not needed and does no harm.
    Fields called name, restart, limits or context are refused with a TypeError, as are handlers
    (see `receive`) and hooks that cannot work. Actors are compared by identity.
    """

    failure_policy: ClassVar[FailurePolicy] = FailurePolicy.RESTART
    """What follows when a handler raises for a told message, a timer or an event."""

    snapshot_seconds: ClassVar[float] = 1.0
    """Seconds between two calls of `snapshot`, at least."""

    if TYPE_CHECKING:
        context: Context
        """This life's name, ref, timers, log, and who sent the message being handled."""
    else:
        context = _NoContextYet()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if _UNCHECKED:
            return
        # @attrs.define with slots makes a second class out of the first; attrs has done it then.
        if "__attrs_attrs__" not in vars(cls):
            _apply_attrs(cls)
        _check_fields(cls)
        check_hooks(cls, Actor)
        build_table(cls)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        # attrs calls this each time that it has made a class: by us, or by a decorator on top.
        refuse_shared_defaults(cls)
        if attrs.inspect(cls).is_frozen:
            raise TypeError(
                f"{cls.__qualname__} is frozen, but an actor's state changes while it lives, and "
                "the runtime sets its context. Use @attrs.define, or no decorator at all."
            )

    def on_start(self) -> Awaitable[None] | None:
        """Prepare this life. May be `async`. Raising here makes the start fail."""

    def on_stop(self, reason: str) -> Awaitable[None] | None:
        """End this life in order; `reason` says why, for people. May be `async`.

        Not called when the process is killed, nor after a start that failed.
        """

    def snapshot(self) -> Any:
        """Return a message that the next life shall start from, or None to keep the last one.

        May be `async`. Called between messages when something was handled, at most once per
        `snapshot_seconds`, and at a stop. A class that has it needs `restore` as well.
        """
        return None

    def restore(self, state: Any) -> Awaitable[None] | None:
        """Take over what the former life's `snapshot` returned. May be `async`.

        Called after `on_start` and before the first message; not in a first life.
        """


def fields_of(cls: type) -> Mapping[str, attrs.Attribute[Any]]:
    """Return the spawn arguments of an actor class: argument name to attrs attribute.

    A field `_port` is the argument `port`, as always in attrs; `init=False` fields are not there.

    Raises:
        TypeError: it is not an actor class.
    """
    if not (isinstance(cls, type) and issubclass(cls, Actor)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{cls!r} is not an actor class. Derive it from actors.Actor.")
    own = attrs.fields(cls) if attrs.has(cls) else ()
    return MappingProxyType({a.alias or a.name: a for a in own if a.init})


def _apply_attrs(cls: type) -> None:
    """Make an attrs class of `cls` in place: its identity stays, and so does its __dict__."""
    own = vars(cls)
    written = {name: own[name] for name in own.get("__annotations__", {}) if name in own}
    init = not _has_own_init(cls)
    try:
        attrs.define(cls, slots=False, eq=False, init=init)
    except ValueError:
        # A field without a default stands behind one with: fine for @attrs.define(kw_only=True),
        # which may be on top and comes after us. Spawn arguments are keywords in any case.
        attrs.define(cls, slots=False, eq=False, init=init, kw_only=True)
    # attrs takes the defaults away from the class. A second @attrs.define, on top of this one,
    # has to find them again.
    for name, value in written.items():
        setattr(cls, name, value)
    if not init and attrs.fields(cls):
        _refuse_init(cls)


def _has_own_init(cls: type) -> bool:
    """Tell whether somebody wrote an __init__; one that takes arguments is refused."""
    for base in cls.__mro__[: cls.__mro__.index(Actor)]:
        init = vars(base).get("__init__")
        if init is None or init.__code__.co_filename.startswith("<attrs generated"):
            continue
        if len(inspect.signature(init).parameters) > 1:
            _refuse_init(cls)
        return True
    return False


def _refuse_init(cls: type) -> NoReturn:
    raise TypeError(
        f"{cls.__qualname__} has an __init__ of its own, whose arguments could not travel to the "
        "actor's process. Declare them as annotated fields (`port: int = 80`), and do the rest "
        "in on_start."
    )


def _check_fields(cls: type) -> None:
    for field in attrs.fields(cls):
        if field.name in _RESERVED or field.alias in _RESERVED:
            raise TypeError(
                f"{cls.__qualname__}.{field.name}: an actor's field cannot be called "
                f"{field.alias}, because spawn({field.alias}=...) or the runtime means something "
                "else by it. Choose another name."
            )
