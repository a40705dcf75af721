"""Hypothesis strategies for message classes.

    @given(messages(Add, x=st.just(0.0)))
    def test_zero_is_neutral(add): ...

Every draw passes the validators of its class and can travel: what is drawn follows the types, as
the codec reads them, and the validators of attrs, so nothing has to be said twice. Once this room
is imported, Hypothesis' own `st.from_type(Add)` and `st.builds(Add)` do the same for every class
that went through `@message`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from actors.annotations import fields_of, schema_of
from actors.message import MessageInfo, is_message, when_defined
from actors.schema import RecordOf
from actors.testing.composition import can_travel
from actors.testing.records import Choice, Records

M = TypeVar("M")


def messages(cls: type[M], /, **overrides: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Return a strategy for the objects of a message class, or of any other attrs class.

    Fields with defaults are left at them in many draws, and failures shrink towards that. A class
    that contains itself is drawn a few levels deep. Validators that cannot be read are tried out:
    what they refuse is drawn again, and a warning, `OpaqueValidator`, names them.

    Args:
        cls: the class; a generic one with its variables filled in, `messages(Box[int])`.
        overrides: strategies for single fields, by their names in `__init__`.

    Raises:
        ImpossibleField: no value of a field's type passes its validators, or the class contains
            itself without end; class and field are named.
        InvalidArgument: it is no such class, or an override is not what it should be.
        TypeError: the class cannot travel.

    While drawing, `UnstableConverter` is raised when converting a field twice changes it.
    """
    record = schema_of(cls)
    if not isinstance(record, RecordOf):
        raise InvalidArgument(
            f"messages() takes a message class, or another attrs class: not {cls}"
        )
    can_travel(record)
    _check_overrides(record, overrides)
    return Records().outermost(record, Choice(given=overrides))


def check_converters(cls: type, /, *, examples: int = 100) -> None:
    """Draw objects of a class, each made again from its own fields, as its receiver will make it.

    Raises:
        UnstableConverter: one of them comes out different; its field is named. Converters run at
            both ends, so they must leave alone what they have converted.
    """
    known: Any = cls
    objects: st.SearchStrategy[Any] = messages(known)

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=(HealthCheck.filter_too_much, HealthCheck.too_slow),
    )
    @given(objects)
    def drawn(_message: object) -> None:
        """Nothing more: the strategy itself compares."""

    drawn()


def _check_overrides(record: RecordOf, overrides: Mapping[str, object]) -> None:
    known = [field.alias for field in fields_of(record)]
    for name, strategy in overrides.items():
        if name not in known:
            raise InvalidArgument(
                f"{record.cls.__qualname__} has no argument {name}; it has {', '.join(known)}"
            )
        if not isinstance(strategy, st.SearchStrategy):
            raise InvalidArgument(
                f"{name}={strategy!r} is not a strategy. For one value write st.just(...)."
            )


# ---- Hypothesis' own functions


@cache  # once, however often it is called
def register() -> None:
    """Let `st.from_type` and `st.builds` draw message classes as `messages` does.

    Importing `actors.testing` does it. Classes that are defined later are included.
    """
    when_defined(_register)
    _take_over_builds()


def _register(info: MessageInfo) -> None:
    st.register_type_strategy(info.cls, messages)


def _take_over_builds() -> None:
    """Let `st.builds(Add)` draw the required fields from here.

    For attrs classes Hypothesis has a reader of its own, which cannot be told about types: it
    knows two of the validators, and no annotation that is a string. There is no public way to it,
    so its function is replaced.  Where a future Hypothesis has none of that name, `st.builds`
    stays as it is there, `st.from_type` and `messages` go on, and a test of ours fails.
    """
    try:
        room: Any = importlib.import_module("hypothesis.strategies._internal.attrs")
        original: Callable[..., st.SearchStrategy[Any]] = room.from_attrs
    except (ImportError, AttributeError):
        return

    def from_attrs(
        target: type[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], to_infer: Iterable[str]
    ) -> st.SearchStrategy[Any]:
        if not is_message(target):
            return original(target, args, kwargs, to_infer)
        return _built(target, args, kwargs, frozenset(to_infer))

    room.from_attrs = from_attrs


def _built(
    cls: type[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], inferred: frozenset[str]
) -> st.SearchStrategy[Any]:
    """Return what `builds(cls, *args, **kwargs)` means: what is not named stays at its default."""
    record = cast("RecordOf", schema_of(cls))
    fields = fields_of(record)
    by_place = [field.alias for field in fields if not field.kw_only]
    given = dict(zip(by_place, args, strict=False)) | dict(kwargs)
    given = {name: strategy for name, strategy in given.items() if name not in inferred}
    _check_overrides(record, given)
    left = frozenset(field.alias for field in fields) - given.keys() - inferred
    return Records().outermost(record, Choice(given, left, inferred))


register()
