from __future__ import annotations

import abc
import dataclasses
import enum
import types
import typing
from collections import OrderedDict, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    Optional,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
)

import attrs
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

import actors.codec  # noqa: F401 - it refuses classes; `import actors` brings it in
from actors.annotations import fields_of, schema_of
from actors.message import message
from actors.schema import (
    CannotTravel,
    DictOf,
    EnumOf,
    Leaf,
    ListOf,
    LiteralOf,
    ManyOf,
    RecordOf,
    SetOf,
    TupleOf,
    UnboundVariable,
    UnionOf,
)

T = TypeVar("T")
U = TypeVar("U")
Small = TypeVar("Small", int, str)
P = ParamSpec("P")
INT, STR, NONE = Leaf(int), Leaf(str), Leaf(type(None))
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = 1


@attrs.frozen
class Point:
    x: int


@attrs.frozen
class Box(Generic[T]):
    item: T


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (None, NONE),
        (UserId, INT),
        (Annotated[int, "a note"], INT),
        (Optional[int], UnionOf((INT, NONE))),  # noqa: UP045
        (Union[int, Union[str, None]], UnionOf((INT, STR, NONE))),  # noqa: UP007
        (int | UserId, INT),
        (typing.List[int], ListOf(INT)),  # noqa: UP006
        (Sequence[int], UnionOf((ListOf(INT), ManyOf(INT)))),
        (Mapping[str, int], DictOf(STR, INT)),
        (typing.AbstractSet[int], UnionOf((SetOf(INT, frozenset), SetOf(INT, set)))),
        (tuple[int, ...], ManyOf(INT)),
        (tuple[int, str], TupleOf((INT, STR))),
        (tuple[()], TupleOf(())),
        (Colour, EnumOf(Colour)),
        (Literal["b", "a"], LiteralOf(("a", "b"))),
        (Point, RecordOf(Point)),
        (Box[int], RecordOf(Box, (INT,))),
        (Box[list[Box[str]]], RecordOf(Box, (ListOf(RecordOf(Box, (STR,))),))),
        (Small, UnionOf((INT, STR))),
    ],
    ids=range(19),
)
def test_every_spelling_has_one_schema(annotation, schema):
    assert schema_of(annotation) == schema


class HasName(Protocol):
    name: str


class Base(abc.ABC):
    @abc.abstractmethod
    def work(self) -> None: ...


@attrs.frozen
class AbstractRecord(abc.ABC):
    @abc.abstractmethod
    def work(self) -> None: ...


@dataclasses.dataclass
class Data:
    x: int


class Model(msgspec.Struct):
    x: int


class Opaque:
    pass


Json = Union[int, list["Json"]]  # noqa: UP007


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (Any, "could be anything"),
        (object, "could be anything"),
        (Callable, "code does not travel"),
        (Callable[[int], str], "code does not travel"),
        (types.FunctionType, "code does not travel"),
        (HasName, "what an object can do"),
        (Iterable[int], "Name the classes"),
        (Awaitable[int], "Name the classes"),
        (Iterator[int], "used up by reading"),
        (AsyncIterator[int], "answer a StreamRequest"),
        (Base, "Name the classes"),
        (AbstractRecord, "abstract"),
        (type, "classes do not travel"),
        (type[int], "classes do not travel"),
        (list, "of what"),
        (tuple, "of what"),
        (dict, "of what"),
        (Data, "@message"),
        (Model, "@message"),
        (Opaque, "what an object of it consists of"),
        (ValueError, "Raise it"),
        (memoryview, "borrows memory"),
        (deque[int], "Use a @message class"),
        (OrderedDict[str, int], "Use a @message class"),
        (NDArray[np.object_], "pickle"),
        (NDArray[np.str_], "only bool, int"),
        (np.floating, "family"),
        (np.datetime64, "only bool, int"),
        (list[Callable[..., Any]], "code does not travel"),
        (int | Any, "could be anything"),
        (Box[object], "could be anything"),
        (Json, "contains itself"),
        (P, "no form on the wire"),
        (3, "no form on the wire"),
    ],
    ids=range(34),
)
def test_a_type_that_cannot_travel_is_refused_with_class_field_reason_and_a_way_out(
    annotation, why
):
    with pytest.raises(CannotTravel) as caught:
        message(attrs.make_class("Order", {"what": attrs.field(type=annotation)}, frozen=True))

    text = str(caught.value)
    assert text.startswith("Order.what: ")
    assert "cannot travel: " in text
    assert why in text
    assert text.endswith(".")


def test_a_field_without_annotation_is_refused():
    with pytest.raises(CannotTravel, match=r"Order.what has no annotation"):
        message(attrs.make_class("Order", {"what": attrs.field()}, frozen=True))


def test_a_refusable_field_is_refused_even_beside_one_that_is_not_known_yet():
    with pytest.raises(CannotTravel, match=r"Order.what: object cannot travel"):

        @message
        class Order:
            later: Later  # noqa: F821
            what: object


def test_a_refusable_field_is_refused_even_in_a_generic_class():
    with pytest.raises(CannotTravel, match=r"Order.what: object cannot travel"):

        @message
        class Order(Generic[T]):
            item: T
            what: object


def test_a_nested_class_names_itself_in_the_refusal():
    @attrs.frozen
    class Inner:
        f: Callable[[], None]

    with pytest.raises(CannotTravel, match=r"Inner.f: Callable\[\[\], None\] cannot travel"):

        @message
        class Outer:
            inner: list[Inner]


def test_fields_are_those_that_init_takes():
    @attrs.frozen
    class Odd:
        _secret: int
        late: str = attrs.field(kw_only=True, alias="later")
        made: object = attrs.field(init=False, default=None)

    fields = [(f.name, f.alias, f.kw_only, f.schema) for f in fields_of(RecordOf(Odd))]

    assert fields == [("_secret", "secret", False, INT), ("late", "later", True, STR)]


def test_type_variables_are_filled_in_through_all_base_classes():
    @attrs.frozen
    class Pair(Box[T], Generic[T, U]):
        other: U

    @attrs.frozen
    class Swapped(Pair[U, T], Generic[T, U]):
        pass

    @attrs.frozen
    class Final(Swapped[int, str]):
        pass

    fields = {f.name: f.schema for f in fields_of(RecordOf(Final))}

    assert fields == {"item": STR, "other": INT}


def test_a_variable_of_nothing_is_refused_by_name():
    with pytest.raises(UnboundVariable, match="~T could be anything"):
        schema_of(Box)


def test_a_class_that_contains_ever_new_forms_of_itself_is_refused():
    with pytest.raises(TypeError, match=r"endless|itself"):

        @message
        class Matryoshka(Generic[Small]):
            inner: Matryoshka[list[Small]] | None


def test_names_of_the_function_around_are_found_in_postponed_annotations():
    class Local(enum.Enum):
        A = 1

    @message
    class Holder:
        local: list[Local]

    assert fields_of(RecordOf(Holder))[0].schema == ListOf(EnumOf(Local))
