"""What the type variables of generic classes stand for.

class GetMany(Request[list[T]], Generic[T])    arguments(GetInts, Request)  ──▶  (list[int],)
class GetInts(GetMany[int])                    arguments(GetInts, GetMany)  ──▶  (int,)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args, get_origin

_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


def arguments(cls: type, base: type, known: Mapping[Any, Any] = _NOTHING) -> tuple[Any, ...]:
    """Find what `cls`, through whatever generic classes between, puts in the brackets of `base`.

    `known` says what the variables of `cls` itself stand for.
    """
    for parent in vars(cls).get("__orig_bases__", cls.__bases__):
        origin = get_origin(parent) or parent
        if not (isinstance(origin, type) and issubclass(origin, base)):
            continue
        args = tuple(filled(arg, known) for arg in get_args(parent))
        return args if origin is base else arguments(origin, base, variables(origin, args))
    return ()


def variables(cls: type, args: tuple[Any, ...]) -> dict[Any, Any]:
    """Say what the variables of a generic class stand for when these are its arguments."""
    return dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))


def filled(annotation: Any, known: Mapping[Any, Any]) -> Any:
    """Put what is known of type variables in their places, however deep they stand."""
    if isinstance(annotation, TypeVar):
        return known.get(annotation, annotation)
    inner = getattr(annotation, "__parameters__", ())
    if not inner or get_origin(annotation) is None:  # a generic class without brackets has none
        return annotation
    return annotation[tuple(known.get(each, each) for each in inner)]
