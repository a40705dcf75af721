"""A specification run step by step: numbered states, and what each message leads to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from typing import Any, final

import attrs

from actors.actor import Actor
from actors.arrays.spec import same_value
from actors.handler import HandlerKind, handlers_of
from actors.testing.operation import Operation, raised_name, shown
from actors.testing.states import copied, key_of


@final
@attrs.frozen(eq=False)
class Answer:
    """What the specification answers in one state."""

    result: Any = None
    error: Exception | None = None  # raised instead

    def explains(self, operation: Operation) -> bool:
        """Tell whether an operation was answered like this."""
        if self.error is None or operation.error is None:
            return self.error is operation.error and _same(self.result, operation.result)
        return raised_name(self.error) == raised_name(operation.error)

    def __str__(self) -> str:
        if self.error is None:
            return f"answers {shown(self.result)}"
        return f"raises {raised_name(self.error)}: {shown(str(self.error))[1:-1]}"


@final
class Sequential:
    """A specification; state 0 is the initial one."""

    def __init__(self, specification: Callable[[], Any]) -> None:
        initial = specification()
        self._handlers = _handlers_of(initial)
        self._states: list[Any] = []
        self._numbers: dict[Hashable, int] = {}
        self._steps: dict[tuple[int, int], tuple[Answer, int]] = {}
        self._messages: list[Any] = []  # kept, because their ids are used
        if isinstance(initial, Actor):
            _start(initial)
        self._number_of(initial)

    def step(self, state: int, message: Any) -> tuple[Answer, int]:
        """Return what a message is answered in a state, and the state after it."""
        known = self._steps.get((state, id(message)))
        if known is None:
            self._messages.append(message)
            known = self._steps[state, id(message)] = self._stepped(state, message)
        return known

    def _stepped(self, state: int, message: Any) -> tuple[Answer, int]:
        handler = self._handlers.get(message.__class__)
        if handler is None:
            raise TypeError(
                f"{type(self._states[0]).__qualname__} has no handler for "
                f"{type(message).__qualname__}, which is in the history."
            )
        after = copied(self._states[state])
        own = _own(message)
        try:
            answer = Answer(handler(after, own))
        except Exception as error:  # noqa: BLE001 - what an actor's client would get, too
            answer = Answer(error=error)
        # The answer may be a part of the state, which nobody changes any more.
        return answer, self._number_of(after)

    def _number_of(self, state: Any) -> int:
        number = self._numbers.setdefault(key_of(state), len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number


def _own(message: Any) -> Any:
    """Copy a message: its handler may keep parts of it, and change them later."""
    try:
        return copied(message)
    except Exception as error:
        raise TypeError(
            f"a {type(message).__qualname__} in the history cannot be copied: {error}. Keep to "
            "plain data: numbers, text, lists, dicts, refs."
        ) from error


def _start(actor: Actor) -> None:
    if inspect.iscoroutinefunction(actor.on_start):
        raise TypeError(
            f"{type(actor).__qualname__}.on_start is async def: all of a specification is plain "
            "def, one step each."
        )
    actor.on_start()


def _handlers_of(specification: Any) -> Mapping[type, Callable[[Any, Any], Any]]:
    cls: Any = specification.__class__
    if not issubclass(cls, Actor):
        handlers: Mapping[type, Callable[[Any, Any], Any]] | None = getattr(cls, "handlers", None)
        if handlers is None:
            raise TypeError(
                f"{cls.__qualname__} is no specification. Derive it from Actor, or give it "
                "handlers = {Message: method, ...}."
            )
        return handlers
    table = handlers_of(cls)
    for handler in table.values():
        if handler.kind is not HandlerKind.SYNC:
            raise TypeError(
                f"{cls.__qualname__}.{handler.name} is {handler.kind.value}: the handlers of a "
                "specification are plain def, one step each."
            )
    return {message: handler.function for message, handler in table.items()}


def _same(one: Any, other: Any) -> bool:
    if same_value(one, other):
        return True
    try:
        return key_of(one) == key_of(other)  # a NaN is equal to none, but has one key
    except TypeError:
        return False
