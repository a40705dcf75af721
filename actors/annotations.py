"""From annotations to schemas: everything that reads Python's many ways to write a type.

    list["Point"], List[Point], Sequence[Point], a NewType, a type variable ...  ──▶  a schema

A type that cannot travel ends here, with a TypeError that names class, field, reason and a way
out: the class statement itself fails, long before a message is sent.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections import abc
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import attrs
import msgspec
import numpy as np

from actors.arrays.spec import array_spec, spec_of_dtype
from actors.message import evaluated
from actors.schema import (
    LEAVES,
    ArrayOf,
    Bounded,
    CannotTravel,
    DictOf,
    EnumOf,
    FieldSchema,
    Leaf,
    ListOf,
    LiteralOf,
    ManyOf,
    RecordOf,
    RefOf,
    ScalarOf,
    Schema,
    SetOf,
    TableOf,
    TupleOf,
    UnboundVariable,
    UnionOf,
    is_reference,
)

_MOST_NESTING: Final = 50  # an alias that contains itself would nest for ever
_NOTHING: Final[Mapping[Any, Schema]] = types.MappingProxyType({})
_SELF: Final[Any] = getattr(typing, "Self")  # noqa: B009 - type checkers treat the name specially
_CALLABLE: Final[Any] = abc.Callable
_READ_ONLY: Final[Any] = getattr(typing, "ReadOnly", Annotated)  # before 3.13 there is none
_WRAPPERS: Final = frozenset({typing.Final, typing.Required, typing.NotRequired, _READ_ONLY})


def schema_of(
    annotation: Any, *, owner: type = object, variables: Mapping[Any, Schema] = _NOTHING
) -> Schema:
    """Return what values an annotation allows.

    Args:
        annotation: any way to write a type.
        owner: the class in which it is written; names in strings are looked up from there.
        variables: what its type variables stand for.

    Raises:
        CannotTravel: no such value has a form on the wire; the text says why and what to do.
        NameError: it names something that is not defined yet.
    """
    return _Reader(owner, variables).read(evaluated(annotation, owner))


def fields_of(record: RecordOf) -> tuple[FieldSchema, ...]:
    """Return the fields that travel, in the order of `__init__`.

    Fields with init=False do not: the receiver's `__init__` makes them anew.

    Raises:
        CannotTravel: one cannot; the text names class and field.
        NameError: an annotation names something that is not defined yet.
    """
    variables = _variables_of(record)
    late: NameError | UnboundVariable | None = None
    fields: list[FieldSchema] = []
    for field in attrs.fields(record.cls):
        if not field.init:
            continue
        owner, annotation = _annotation_of(record.cls, field)
        try:
            schema = schema_of(annotation, owner=owner, variables=variables.get(owner, _NOTHING))
        except (NameError, UnboundVariable) as error:
            late = error  # the other fields can still be refused now
        except CannotTravel as error:
            raise type(error)(f"{record.cls.__qualname__}.{field.name}: {error}") from None
        else:
            fields.append(FieldSchema(field.name, field.alias or "", bool(field.kw_only), schema))
    if late is not None:
        raise late
    return tuple(fields)


def _annotation_of(cls: type, field: attrs.Attribute[Any]) -> tuple[type, Any]:
    for owner in cls.__mro__:
        annotations = inspect.get_annotations(owner)
        if field.name in annotations:
            return owner, annotations[field.name]
    if field.type is not None:  # attrs.make_class
        return cls, field.type
    raise CannotTravel(f"{cls.__qualname__}.{field.name} has no annotation. Write its type.")


def _variables_of(record: RecordOf) -> dict[type, Mapping[Any, Schema]]:
    """Say for each generic class that `record` inherits what its type variables stand for."""
    found: dict[type, Mapping[Any, Schema]] = {}

    def visit(cls: type, args: tuple[Schema, ...]) -> None:
        variables: dict[Any, Schema] = {_SELF: record}
        variables |= zip(getattr(cls, "__parameters__", ()), args, strict=False)
        found.setdefault(cls, variables)
        for base in vars(cls).get("__orig_bases__", cls.__bases__):
            origin = get_origin(base) or base
            if origin is typing.Generic or not attrs.has(origin):
                continue
            visit(
                origin, tuple(schema_of(a, owner=cls, variables=variables) for a in get_args(base))
            )

    visit(record.cls, record.args)
    return found


@attrs.define
class _Reader:
    """Reads one annotation; names in strings are already looked up."""

    owner: type
    variables: Mapping[Any, Schema]
    depth: int = 0

    def read(self, annotation: Any) -> Schema:
        self.depth += 1
        if self.depth > _MOST_NESTING:
            raise _refusal(annotation, "it contains itself", "Make it a @message class")
        try:
            return self._read(annotation)
        finally:
            self.depth -= 1

    def _read(self, annotation: Any) -> Schema:
        if isinstance(annotation, str | typing.ForwardRef):
            return self.read(evaluated(annotation, self.owner))
        if isinstance(annotation, TypeVar) or annotation is _SELF:
            return self._variable(annotation)
        try:
            spec = array_spec(annotation)
        except TypeError as error:
            raise _refusal(annotation, str(error), "Use a field of numbers") from None
        if spec is not None:
            return ArrayOf(spec)
        origin = get_origin(annotation)
        if origin is not None:
            return self._generic(annotation, origin, get_args(annotation))
        if isinstance(annotation, type):
            return self._class(annotation)
        return self._other_name(annotation)

    def _other_name(self, annotation: Any) -> Schema:
        if annotation is None:
            return Leaf(type(None))
        for attribute in ("__supertype__", "__value__"):  # NewType; type Alias = ...
            if hasattr(annotation, attribute):
                return self.read(getattr(annotation, attribute))
        raise _hopeless(annotation)

    def _variable(self, variable: Any) -> Schema:
        if variable in self.variables:
            return self.variables[variable]
        if not isinstance(variable, TypeVar):
            raise _hopeless(variable)
        if variable.__constraints__:
            return self._union(variable.__constraints__)
        if variable.__bound__ is not None:
            return self.read(variable.__bound__)
        raise UnboundVariable(
            f"{variable} could be anything. Say what it is in a subclass such as "
            f"class Ints({self.owner.__name__}[int]), or give it a bound."
        )

    def _class(self, cls: Any) -> Schema:
        if is_reference(cls):
            return RefOf(cls)
        if cls in LEAVES:
            return Leaf(cls)
        if typing.is_typeddict(cls):
            return self._table(cls)
        if hasattr(cls, "_fields") and issubclass(cls, tuple):
            return self._named_tuple(cls)
        if issubclass(cls, enum.Enum):
            return EnumOf(cls)
        if attrs.has(cls):
            return self._record(cls, ())
        if issubclass(cls, np.generic):
            return self._scalar(cls)
        raise _hopeless(cls)

    def _generic(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Schema:
        if origin is Annotated:
            limits = tuple(extra for extra in args[1:] if isinstance(extra, msgspec.Meta))
            item = self.read(args[0])
            return Bounded(item, limits) if limits else item
        if origin is typing.Union or origin is types.UnionType:
            return self._union(args)
        if origin is Literal:
            return LiteralOf(args)
        if origin in _WRAPPERS:
            return self.read(args[0])
        if isinstance(origin, type) and attrs.has(origin):
            return self._record(origin, tuple(self.read(arg) for arg in args))
        alias = getattr(origin, "__value__", None)  # type Pair[T] = ...
        if alias is not None:
            return self.read(alias[args])
        return self._container(annotation, origin, args)

    def _container(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Schema:
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004
                return ManyOf(self.read(args[0]))
            return TupleOf(tuple(self.read(arg) for arg in args))
        if origin in {list, abc.MutableSequence}:
            return ListOf(self.read(args[0]))
        if origin is abc.Sequence:
            item = self.read(args[0])
            return UnionOf((ListOf(item), ManyOf(item)))
        if origin in {set, abc.MutableSet, frozenset}:
            return SetOf(self.read(args[0]), frozenset if origin is frozenset else set)
        if origin is abc.Set:
            item = self.read(args[0])
            return UnionOf((SetOf(item, frozenset), SetOf(item, set)))
        if origin in {dict, abc.Mapping, abc.MutableMapping}:
            return DictOf(self.read(args[0]), self.read(args[1]))
        raise _hopeless(annotation)

    def _union(self, args: tuple[Any, ...]) -> Schema:
        arms: list[Schema] = []
        for arm in map(self.read, args):
            arms += [a for a in (arm.arms if isinstance(arm, UnionOf) else (arm,)) if a not in arms]
        return UnionOf(tuple(arms)) if len(arms) > 1 else arms[0]

    def _record(self, cls: type, args: tuple[Schema, ...]) -> Schema:
        if inspect.isabstract(cls):
            raise _refusal(
                cls,
                "it is abstract and no object has exactly this class",
                "Name the classes: A | B",
            )
        parameters = getattr(cls, "__parameters__", ())
        if parameters and not args:
            args = tuple(self._variable(parameter) for parameter in parameters)
        return RecordOf(cls, args)

    def _named_tuple(self, cls: Any) -> Schema:
        hints = {name: evaluated(a, cls) for name, a in inspect.get_annotations(cls).items()}
        if set(cls._fields) - set(hints):
            raise _refusal(cls, "its fields have no types", "Derive from typing.NamedTuple")
        return TupleOf(tuple(self.read(hints[name]) for name in cls._fields), cls, cls._fields)

    def _table(self, cls: Any) -> Schema:
        hints = typing.get_type_hints(cls, include_extras=True)
        items = tuple((name, self.read(hint)) for name, hint in hints.items())
        optional = {name for name, hint in hints.items() if _may_be_missing(cls, name, hint)}
        return TableOf(cls, items, frozenset(optional))

    @staticmethod
    def _scalar(scalar: Any) -> Schema:
        try:
            spec = spec_of_dtype(scalar, None)
        except TypeError as error:
            raise _refusal(scalar, str(error), "Use a number") from None
        if spec.dtype is None:
            raise _refusal(scalar, "it names a family of types", "Use one, such as np.float64")
        return ScalarOf(np.dtype(spec.dtype).type, spec.dtype)


def _may_be_missing(table: Any, name: str, hint: Any) -> bool:
    """Tell whether a key of a TypedDict is optional.

    What its annotation says counts: where annotations are postponed the class itself has read
    only text, and takes every NotRequired for required.
    """
    while (origin := get_origin(hint)) in {Annotated, _READ_ONLY}:
        hint = get_args(hint)[0]
    if origin in {typing.NotRequired, typing.Required}:
        return origin is typing.NotRequired
    return name in table.__optional_keys__


def _refusal(annotation: Any, why: str, advice: str) -> CannotTravel:
    return CannotTravel(f"{_shown(annotation)} cannot travel: {why}. {advice}.")


def _hopeless(annotation: Any) -> CannotTravel:
    """Find the reason why a type has no form on the wire, and a way out."""
    origin: Any = get_origin(annotation) or annotation
    if annotation is Any or annotation is object:
        return _refusal(
            annotation, "it could be anything", "Name what it can be: int | str | Point"
        )
    if origin in {_CALLABLE, types.FunctionType, types.MethodType, types.LambdaType}:
        return _refusal(
            annotation, "code does not travel", "Send a message that names what shall be done"
        )
    if origin is type:
        return _refusal(annotation, "classes do not travel", "Send a name, or an enum member")
    if origin in {list, tuple, set, frozenset, dict, abc.Sequence, abc.Mapping, abc.Set}:
        return _refusal(annotation, "it does not say of what", "Write, for example, list[int]")
    if origin is memoryview:
        return _refusal(annotation, "it borrows memory", 'Use bytes or Array["uint8"]')
    if isinstance(origin, type):
        return _hopeless_class(annotation, origin)
    return _refusal(annotation, "no form on the wire is known", "Use a @message class")


def _hopeless_class(annotation: Any, cls: Any) -> CannotTravel:
    if getattr(cls, "_is_protocol", False):
        return _refusal(
            annotation, "it says what an object can do, not what it is", "Name the classes: A | B"
        )
    if issubclass(cls, abc.Iterator | abc.AsyncIterator):
        return _refusal(
            annotation, "it is used up by reading", "Use a list, or answer a StreamRequest"
        )
    if issubclass(cls, BaseException):
        return _refusal(annotation, "errors do not travel in fields", "Raise it in the handler")
    if dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct):
        return _refusal(annotation, "it is not an attrs class", "Write @message above it instead")
    if inspect.isabstract(cls):
        return _refusal(annotation, "no object has exactly this class", "Name the classes: A | B")
    return _refusal(
        annotation, "what an object of it consists of is not known", "Use a @message class"
    )


def _shown(annotation: Any) -> str:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")
