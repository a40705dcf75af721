"""What a method's annotations mean, and whether an answer surely contradicts what was promised.

Only what is certain is called a difference: a refusal here stops somebody's program from
starting, while a doubt is settled by the codec when the first answer travels.

    said               promised         verdict
    float              float            agree
    int                float, complex   agree (as for type checkers)
    subclass, or base  class            agree (the base may well hold the right one)
    Any, TypeVar, ...  anything         agree (nobody knows)
    list[str]          list[int]        differ
    float | None       float            differ (None is said, and not promised)
    str                float            differ
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from types import FrameType, FunctionType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_WIDENED: Final[frozenset[tuple[type, type]]] = frozenset(
    {(bool, float), (bool, complex), (int, float), (int, complex), (float, complex)}
)
"""Pairs (said, promised) that agree although neither class derives from the other."""

_ITEMS: Final = {
    False: (abc.Iterator, abc.Iterable, abc.Generator),
    True: (abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator),
}


def evaluated(
    annotation: Any, cls: type, function: Callable[..., Any], names: Mapping[str, Any]
) -> Any:
    """Return what an annotation of a method means, postponed or not.

    `names` are what `visible_names` kept. Raises whatever the annotation raises.
    """
    known = {**names, **vars(cls), cls.__name__: cls}
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    holder = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(holder, scope, known, include_extras=True)["it"]


def visible_names(function: Callable[..., Any], frame: FrameType) -> dict[str, Any]:
    """Keep, of the scopes around a class body, the names its postponed annotations mention.

    Only these: the rest of a function's variables may be large, and would live as long as the
    class does.
    """
    notes = getattr(function, "__annotations__", {}).values()
    words = set(re.findall(r"\w+", " ".join(note for note in notes if isinstance(note, str))))
    names: dict[str, Any] = {}
    around: FrameType | None = frame
    while words and around is not None and around.f_locals is not around.f_globals:
        local = around.f_locals
        names = {word: local[word] for word in words & set(local)} | names
        if around.f_code.co_flags & inspect.CO_OPTIMIZED:
            break  # a function: only class bodies lie between it and the method
        around = around.f_back
    return names


def namespace_of(cls: type) -> Mapping[str, Any]:
    """Return the global names that the code of a class sees."""
    module = sys.modules.get(cls.__module__)
    if module is not None:
        return vars(module)
    # A console in a program: its names are in no module, but a method knows them.
    values = (value for base in cls.__mro__ for value in vars(base).values())
    methods = (value for value in values if isinstance(value, FunctionType))
    for names in (method.__globals__ for method in methods):
        if names.get("__name__") == cls.__module__:
            return names
    return {}


def alternatives(annotation: Any) -> list[Any]:
    """Return the members of a union, or the annotation alone."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [part for arg in get_args(annotation) for part in alternatives(arg)]
    if type(annotation).__name__ == "TypeAliasType":  # `type X = ...` of Python 3.12
        return alternatives(annotation.__value__)
    return [annotation]


def surely_differ(said: Any, promised: Iterable[Any]) -> bool:
    """Tell whether some part of `said` fits none of the types in `promised`."""
    alternatives = [part for one in promised for part in _parts(one)]
    return any(all(_differ(part, one) for one in alternatives) for part in _parts(said))


def item_of(said: Any, *, asynchronous: bool) -> Any:
    """Return the item type of a generator's return annotation, Any where it says nothing.

    An annotation that is no iterator at all is returned as it is: it will differ from any item,
    or else the author meant the item.
    """
    origin = get_origin(said) or said
    if origin in _ITEMS[asynchronous]:
        args = get_args(said)
        return args[0] if args else Any
    return said


def _parts(annotation: Any) -> list[Any]:
    """Return the alternatives as classes, as far as they are."""
    parts: list[Any] = []
    for part in alternatives(annotation):
        if get_origin(part) is Literal:
            parts += [type(value) for value in get_args(part)]
        elif isinstance(part, NewType):
            parts += _parts(part.__supertype__)
        else:
            parts.append(type(None) if part is None else part)
    return parts


def _differ(said: Any, promised: Any) -> bool:
    ours, theirs = get_origin(said) or said, get_origin(promised) or promised
    if _unclear(ours) or _unclear(theirs) or (ours, theirs) in _WIDENED:
        return False
    try:
        related = issubclass(ours, theirs) or issubclass(theirs, ours)
    except TypeError:  # TypedDict and others that answer no such question
        return False
    if not related:
        return True
    return ours is theirs and _arguments_differ(ours, get_args(said), get_args(promised))


def _arguments_differ(origin: type, said: tuple[Any, ...], promised: tuple[Any, ...]) -> bool:
    open_end = Ellipsis in said or Ellipsis in promised
    if origin is tuple and said and promised and not open_end and len(said) != len(promised):
        return True
    pairs = zip(said, promised, strict=False)  # as far as both say something
    return any(surely_differ(one, [other]) for one, other in pairs)


def _unclear(kind: Any) -> bool:
    """Any, type variables, names not looked up, protocols; and numpy, whose scalars convert."""
    if not isinstance(kind, type) or kind in (Any, object) or getattr(kind, "_is_protocol", False):
        return True
    return kind.__module__.partition(".")[0] == "numpy"
