"""What an actor class says beside its handlers: hooks, and how it fails. Looked at once per class.

    on_start()   on_stop(reason)   snapshot()   restore(state)      def or async def, nothing else

A hook is called in another process, often long after its class was written: `restore` when
something has died already. What cannot be called then is refused when the class is defined.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Real
from types import FunctionType
from typing import Any, Final, NoReturn

import attrs

from actors.handler import check_policy

HOOKS: Final = {
    "on_start": (),
    "on_stop": ("reason",),
    "snapshot": (),
    "restore": ("state",),
}
"""What the runtime calls each hook with, by position."""


def check_hooks(cls: type, above: type) -> None:
    """Look at the hooks and settings of `cls`, as far as they do not come from `above`.

    Raises:
        TypeError: one of them cannot work; the text names it and says what to write.
        ValueError: `snapshot_seconds` is no time.
    """
    own: dict[str, Any] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(above)]):
        own.update(vars(base))
    for name, given in HOOKS.items():
        if name in own:
            _check_hook(cls, name, own[name], given)
    arguments = {field.name for field in attrs.fields(cls)}  # of `spawn`: every actor has its own
    given_by_classes = {*HOOKS, "failure_policy", "snapshot_seconds"} - arguments
    _refuse_hidden(cls, given_by_classes - own.keys(), above)
    for name in arguments:
        own.pop(name, None)
    policy, seconds = own.get("failure_policy"), own.get("snapshot_seconds")
    if "failure_policy" in own and not isinstance(policy, property):
        check_policy(f"{cls.__qualname__}.failure_policy", policy)
    if "snapshot_seconds" in own and not isinstance(seconds, property):
        _check_period(cls, seconds)


def _refuse_hidden(cls: type, names: set[str], above: type) -> None:
    """Refuse what a mixin says in vain, because `above` stands before it and has its own."""
    for base in cls.__mro__[cls.__mro__.index(above) + 1 :]:
        if getattr(base, "_is_protocol", False):
            continue
        for name in sorted(names & vars(base).keys()):
            if not getattr(vars(base)[name], "__isabstractmethod__", False):
                first, mixin = above.__name__, base.__name__
                why = f"{mixin} stands behind {first} among the bases, so this would never be used"
                remedy = f"Put {mixin} before {first}{_in_order(cls, base)}"
                _refuse(cls, name, f"{why}: {first} has its own", remedy)


def _in_order(cls: type, first: type) -> str:
    """Return the bases of a class with one of them first, as one would write them."""
    if first not in cls.__bases__:
        return ""
    names = [first.__name__, *(other.__name__ for other in cls.__bases__ if other is not first)]
    return f": class {cls.__name__}({', '.join(names)})"


def _check_hook(cls: type, name: str, value: object, given: tuple[str, ...]) -> None:
    remedy = f"Write def {name}({', '.join(('self', *given))}), or async def"
    if not callable(getattr(cls, name)):
        _refuse(cls, name, f"the runtime calls it, and it is {type(value).__name__}", remedy)
    function: Any = getattr(value, "__func__", value)  # below staticmethod and classmethod
    if not isinstance(function, FunctionType):
        return  # a callable of another kind: what it takes is not known before it is called
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        _refuse(cls, name, "it yields, so calling it would run no line of it", remedy)
    missing = _misfit(function, len(given) + (not isinstance(value, staticmethod)))
    if missing:
        called = f"self.{name}({', '.join(given)})"
        _refuse(cls, name, f"it is called as {called}, and that is a {missing}", remedy)


def _misfit(function: Callable[..., Any], count: int) -> str:
    """Return what is wrong with calling a function with so many arguments, or ""."""
    try:
        # Its own: a decorator may give what it wraps more, or less, than it is called with.
        inspect.signature(function, follow_wrapped=False).bind(*range(count))
    except TypeError as error:
        return f"TypeError ({error})"
    return ""


def _check_period(cls: type, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        why = f"it is a number of seconds, not {seconds!r:.80}"
        _refuse(cls, "snapshot_seconds", why, "Write snapshot_seconds = 1.0")
    if not float(seconds) >= 0:
        raise ValueError(
            f"{cls.__qualname__}.snapshot_seconds: {seconds!r} is no time between two snapshots. "
            "Write 0 for one after every message, or a number of seconds."
        )


def _refuse(cls: type, name: str, why: str, remedy: str) -> NoReturn:
    raise TypeError(f"{cls.__qualname__}.{name}: {why}. {remedy}.")
