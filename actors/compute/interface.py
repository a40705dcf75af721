"""What a model offers, read off its class: parameters, outputs, commands.

class Wave(ComputeServer):
    speed: Annotated[float, "of the waves"] = attrs.field(default=1.0, validator=gt(0))
    size: Annotated[int, "points"] = attrs.field(default=64, on_setattr=attrs.setters.frozen)

    @output
    def height(self) -> NDArray[np.float64]: ...      its docstring is its documentation
    @command
    def calm(self) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn, TypeVar, cast, final, get_args, get_origin

import attrs
import msgspec

from actors.actor import fields_of
from actors.address import check_name
from actors.compute.words import Command, Output, Parameter, Value
from actors.message import evaluated

F = TypeVar("F", bound=Callable[..., Any])

_OUTPUT: Final = "__understudy_output__"
_COMMAND: Final = "__understudy_command__"
_SCALARS: Final = (bool, int, float, str)
_PLAIN: Final = (
    msgspec.inspect.BoolType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.StrType,
    msgspec.inspect.NoneType,
    msgspec.inspect.EnumType,
    msgspec.inspect.LiteralType,
)


def output(method: F) -> F:
    """Mark a method as something the computation shows: a scalar, or else an array.

    Its return annotation says which: bool, int, float and str (or None) are scalars.  It takes no
    arguments, is called for every frame, and its docstring is shown to clients.
    """
    setattr(method, _OUTPUT, True)
    return method


def command(method: F) -> F:
    """Mark a method as something clients can have done; its docstring is shown to them."""
    setattr(method, _COMMAND, True)
    return method


@final
@attrs.frozen(eq=False)
class Field:
    """A parameter, and how its values are read."""

    parameter: Parameter
    annotation: Any
    attribute: str

    def read(self, value: Value) -> Any:
        """Return the plain `value` as this parameter's type.

        Raises `ValueError`, naming the parameter.
        """
        if isinstance(value, list):  # on the wire all of its numbers are floats
            value = [int(one) if float(one).is_integer() else one for one in value]
        try:
            return msgspec.convert(value, self.annotation, strict=True)
        except msgspec.ValidationError as error:
            text = f"{self.parameter.name} is {value!r:.80}, but it is {self.parameter.type}"
            raise ValueError(f"{text}: {error}") from None


@final
@attrs.frozen(eq=False)
class Interface:
    """Everything that a model's class offers."""

    parameters: Mapping[str, Field]
    outputs: Mapping[str, Output]
    commands: Mapping[str, Command]

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the outputs that are arrays."""
        return tuple(name for name, one in self.outputs.items() if one.array)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of the outputs that go with every frame."""
        return tuple(name for name, one in self.outputs.items() if not one.array)


_known: Final[dict[type, Interface]] = {}


def interface_of(cls: type) -> Interface:
    """Return what a model offers.

    Raises:
        TypeError: an output or a command that cannot work; class and name are named.
    """
    found = _known.get(cls)
    if found is None:
        outputs = {name: _output(cls, name) for name in _marked(cls, _OUTPUT)}
        commands = {name: _command(cls, name) for name in _marked(cls, _COMMAND)}
        fields = (_field(cls, name, one) for name, one in fields_of(cls).items())
        parameters = {one.parameter.name: one for one in fields if one is not None}
        for name in outputs.keys() & parameters.keys():
            _refuse(cls, name, "is a parameter and an output", "Rename one of the two")
        found = _known[cls] = Interface(
            MappingProxyType(parameters), MappingProxyType(outputs), MappingProxyType(commands)
        )
    return found


def plain(value: Any) -> Value:
    """Return a parameter's or a scalar's value as plain data."""
    builtins: Any = msgspec.to_builtins(value, enc_hook=_number)
    made: Value = [*builtins] if type(builtins) is tuple else builtins
    return made


def _number(value: Any) -> Any:
    """Turn a numpy scalar into a number of Python."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{value!r:.80} is neither a number, nor text, nor a list of numbers")
    return item()


# ---- parameters


def _field(cls: type, name: str, attribute: attrs.Attribute[Any]) -> Field | None:
    """Return a parameter; None for what is not plain data: that is a spawn argument only."""
    annotation, doc = _annotation(cls, attribute), ""
    if get_origin(annotation) is Annotated:
        parts: tuple[Any, ...] = get_args(annotation)
        annotation, *notes = parts
        doc = next((note for note in notes if isinstance(note, str)), "")
    if not _is_plain(msgspec.inspect.type_info(annotation)):
        return None
    live = attribute.on_setattr is not attrs.setters.frozen
    return Field(Parameter(name, _shown(annotation), doc, live), annotation, attribute.name)


def _is_plain(info: msgspec.inspect.Type) -> bool:
    kinds = msgspec.inspect
    match info:
        case kinds.UnionType(types=types) | kinds.TupleType(item_types=types):
            return all(map(_is_plain, types))
        case kinds.ListType(item_type=item) | kinds.VarTupleType(item_type=item):
            return isinstance(item, kinds.FloatType | kinds.IntType)
        case _:
            return isinstance(info, _PLAIN)


def _annotation(cls: type, attribute: attrs.Attribute[Any]) -> Any:
    for owner in cls.__mro__:
        annotations = inspect.get_annotations(owner)
        if attribute.name in annotations:
            return evaluated(annotations[attribute.name], owner)
    return attribute.type


def _shown(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(repr(member.value) for member in annotation)
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "")


# ---- outputs and commands


def _marked(cls: type, mark: str) -> list[str]:
    found: dict[str, bool] = {}
    for owner in reversed(cls.__mro__):
        for name, value in vars(owner).items():
            if getattr(value, mark, False) or found.get(name):
                found[name] = True  # who overrides one need not mark it again
    return list(found)


def _output(cls: type, name: str) -> Output:
    method = _method(cls, name, "an output")
    said = inspect.signature(method).return_annotation
    if said is inspect.Signature.empty:
        _refuse(cls, name, "has no return annotation", "Write `-> float`, or the array's type")
    array = _kinds(evaluated(said, cls)).isdisjoint(_SCALARS)
    if array:
        check_name(name)
    return Output(name, _doc(method), array)


def _kinds(annotation: Any) -> set[Any]:
    parts: tuple[Any, ...] = get_args(annotation)
    return {annotation, *parts}


def _command(cls: type, name: str) -> Command:
    return Command(name, _doc(_method(cls, name, "a command")))


def _method(cls: type, name: str, what: str) -> Callable[..., Any]:
    method = inspect.getattr_static(cls, name)
    if not inspect.isfunction(method) or len(inspect.signature(method).parameters) != 1:
        _refuse(cls, name, f"is {what}, which has no parameter but self", "Make it such a method")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        _refuse(cls, name, f"is {what}, which is computed between two steps", "Make it a plain def")
    return cast("Callable[..., Any]", method)


def _doc(method: Callable[..., Any]) -> str:
    return (inspect.getdoc(method) or "").strip()


def _refuse(cls: type, name: str, why: str, remedy: str) -> NoReturn:
    raise TypeError(f"{cls.__qualname__}.{name} {why}. {remedy}.")
