"""From drawn values to an object: by the class's own `__init__`, or not at all.

    values ──__init__──▶ object                    it is a draw
                │  └──▶ UnstableConverter          a converter changes what it has converted
                └──▶ REFUSED                       the class said no: draw again

Only a class with parts that cannot be read (opaque validators, converters, hooks of attrs, an
`__init__` of its own) may say no. From any other an error is a fault in this kit, and is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from actors.annotations import fields_of
from actors.arrays.spec import same_value
from actors.schema import RecordOf

_HOOKS: Final = ("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__")
_REFUSALS: Final = (ValueError, TypeError, ArithmeticError, AssertionError)

REFUSED: Final = object()
"""What stands for an object that its class refused."""


class UnstableConverter(AssertionError):  # noqa: N818 - the name says what is wrong
    """A converter changes, or does not take, what it has converted itself.

    A message is made again at its receiver, so its converters run again there: such a message
    arrives as another one than was sent.
    """


def maker_of(record: RecordOf, *, opaque: bool) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function from the arguments of `__init__` to an object, or REFUSED.

    Args:
        record: the class.
        opaque: whether it has validators that cannot be read.
    """
    cls: Any = record.cls
    converters = [field for field in attrs.fields(cls) if field.init and field.converter]
    may_refuse = opaque or bool(converters) or any(hasattr(cls, hook) for hook in _HOOKS)

    def make(values: Mapping[str, Any]) -> Any:
        try:
            made = cls(**values)
        except Exception as error:
            _blame_converters(cls, converters, values, error)
            if may_refuse and isinstance(error, _REFUSALS):
                return REFUSED
            raise
        if converters:
            _check_again(record, made)
        return made

    return make


def was_made(made: object) -> bool:
    """Tell whether a maker returned an object."""
    return made is not REFUSED


def _check_again(record: RecordOf, made: Any) -> None:
    """Make the object again from its own fields, as its receiver will."""
    cls: Any = record.cls
    fields = fields_of(record)
    first = {field.alias: getattr(made, field.name) for field in fields}
    try:
        again = cls(**first)
    except Exception as error:
        raise UnstableConverter(
            f"{cls.__qualname__} does not take its own fields again ({_said(error)}): {made!r}. "
            f"{_ADVICE}"
        ) from error
    for field in fields:
        before, after = first[field.alias], getattr(again, field.name)
        if not _same(before, after):
            raise UnstableConverter(
                f"{cls.__qualname__}.{field.name}: converted once it is {before!r}, converted "
                f"again it is {after!r}. {_ADVICE}"
            )


_ADVICE: Final = (
    "Converters run at the sender and at the receiver: let them leave alone what they have "
    "converted."
)


def _blame_converters(
    cls: type,
    converters: list[attrs.Attribute[Any]],
    values: Mapping[str, Any],
    error: Exception,
) -> None:
    """Raise when a converter does not take a value of its field's own type.

    A ValueError is its way to refuse single values; any other error means that it takes another
    type than it makes: the receiver, which has only what it made, would fail every time.
    """
    for field in converters:
        converter: Any = getattr(field, "converter")  # noqa: B009 - its type is too rich
        alias = field.alias or field.name
        if isinstance(converter, attrs.Converter) or alias not in values:
            continue  # may want the object, which there is none of
        value = values[alias]
        try:
            converter(value)
        except ValueError:
            continue
        except Exception as inner:  # noqa: BLE001 - a converter is user code
            raise UnstableConverter(
                f"{cls.__qualname__}.{field.name}: its converter does not take {value!r}, a value "
                f"of the field's own type ({_said(inner)}). {_ADVICE}"
            ) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error.args[0] if error.args else ''}"


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return same_value(one, other) or (one != one and other != other)  # noqa: PLR0124 - NaN
