from __future__ import annotations

import contextlib
import datetime as dt
import enum
import functools
import linecache
import operator
import random
import sys
import traceback
import tracemalloc
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    Self,
    TypedDict,
    TypeVar,
)
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import attrs
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from actors.address import Address
from actors.arrays.spec import Array, Shape, same_value
from actors.codec import FrameCarrier, Part, codec_for, register_reference, value_codec
from actors.errors import InvalidMessage, MessageError
from actors.message import Request, message
from tests.ids import numbered

T = TypeVar("T")
B = TypeVar("B", bound=int)


class Colour(enum.Enum):
    RED = (255, 0, 0)
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: int
    right: str


class Cell(TypedDict, total=False):
    text: str
    size: float


# Linters take the words of an array for names: they stay out of the annotations.
Image = Array["float32", ("h", "w")]
Square = Array["float32", ("h", "h")]
Column = Array["float32", ("h",)]
Metres = NewType("Metres", float)


class Reading(TypedDict):
    column: Column
    count: Annotated[int, msgspec.Meta(ge=0)]
    note: NotRequired[str]
    unit: Annotated[NotRequired[str], "as the SI writes it"]


class Named(TypedDict, total=False):
    name: Required[str]
    note: str


@attrs.frozen
class Reference:
    address: Address


register_reference(Reference, lambda reference: reference.address)


@message
class Full(Generic[T]):
    item: T


@message
class Add(Request[float]):
    x: float
    y: float


@message
class Four:
    count: int
    ratio: float
    name: str
    on: bool


@message
class Deeper(Four):
    more: int = 0


@message
class Node:
    value: int
    children: list[Node] = attrs.Factory(list)
    parent: Node | None = None


@message
class Picture:
    pixels: Image
    mask: Annotated[NDArray[np.bool_], Shape("h", "w")] | None = None
    layers: dict[str, NDArray[Any]] = attrs.Factory(dict)


@contextlib.contextmanager
def at_most(limit):
    """Fail when the block allocates more bytes at once than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def over_the_wire(value, codec=None):
    codec = codec_for(type(value)) if codec is None else codec
    sending = FrameCarrier()
    data = codec.encode(value, sending)
    return codec.decode(data, FrameCarrier(sending.frames, bind=Reference))


def assert_travels(value, codec=None):
    received = over_the_wire(value, codec)

    assert same_value(received, value)
    assert type(received) is type(value)
    return received


# ------------------------------------------------------------------- what attrs promises


def test_an_int_for_a_float_arrives_as_a_float():
    received = assert_travels(Add(1, 2))

    assert type(received.x) is float


def test_converters_and_validators_run_at_the_receiver():
    calls = []

    @message
    class Named:
        name: str = attrs.field(converter=str.upper, validator=lambda *args: calls.append(args[2]))

    received = assert_travels(Named("a"))

    assert received.name == "A"
    assert calls == ["A", "A"]


def test_a_validator_that_refuses_is_an_invalid_message_with_its_own_words():
    @message
    class Positive:
        n: int = attrs.field(validator=[attrs.validators.instance_of(int), attrs.validators.ge(0)])

    data = msgspec.msgpack.encode([-1])

    with pytest.raises(InvalidMessage, match="'n' must be >= 0") as caught:
        codec_for(Positive).decode(data, FrameCarrier())
    assert caught.value.message.endswith("Positive")
    assert len(str(caught.value)) < 400


def test_private_aliased_keyword_and_derived_fields_travel():
    @message
    class Odd:
        _secret: int
        plain: int = attrs.field(alias="other")
        late: int = attrs.field(kw_only=True)
        twice: int = attrs.field(init=False, default=attrs.Factory(lambda m: 2 * m.late, True))
        made: list[int] = attrs.field(factory=list)

    assert_travels(Odd(1, other=2, late=3, made=[4]))


def test_a_class_with_its_own_init_travels():
    @message
    class Own:
        a: int
        b: int

        def __init__(self, *, b: int, a: int) -> None:
            self.__attrs_init__(a, b)

    assert_travels(Own(a=1, b=2))


@message
class Branch:
    n: int
    pair: Annotated[list[Branch], msgspec.Meta(max_length=2)] = attrs.field(factory=list)
    either: Annotated[list[Branch | int], msgspec.Meta(max_length=2)] = attrs.field(factory=list)
    named: Annotated[dict[str, Branch], msgspec.Meta(max_length=1)] = attrs.field(factory=dict)
    first: Annotated[Branch, msgspec.Meta(title="first")] | None = None
    others: Annotated[tuple[tuple[Branch, int], ...], msgspec.Meta(description="few")] = ()


def test_limits_may_stand_around_the_class_in_which_they_are_written():
    leaf = Branch(1)
    whole = Branch(0, [leaf, leaf], [leaf, 3], {"a": leaf}, leaf, ((leaf, 2),))

    assert_travels(whole)
    assert_travels(Branch(7, [whole, whole]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"pair": [Branch(1)] * 3},
        {"either": [1, 2, 3]},
        {"named": {"a": Branch(1), "b": Branch(2)}},
        {"first": Branch(1, [Branch(2)] * 3)},
    ],
)
def test_limits_around_the_class_in_which_they_are_written_count_at_both_ends(wrong):
    with pytest.raises(InvalidMessage, match="of length <="):
        over_the_wire(Branch(0, **wrong))

    data = msgspec.msgpack.encode([0, [[1, [], [], {}, None, []]] * 3, [], {}, None, []])
    with pytest.raises(InvalidMessage, match=r"pair.*of length <= 2"):
        codec_for(Branch).decode(data, FrameCarrier())


def test_a_limit_that_makes_no_sense_around_the_class_itself_is_refused_with_the_field():
    with pytest.raises(TypeError, match=r"Sized.below: Can only set `ge` on a numeric type"):

        @message
        class Sized:
            below: Annotated[list[Sized], msgspec.Meta(ge=0)]

    with pytest.raises(TypeError, match=r"Itself.it: Can only set `max_length`"):

        @message
        class Itself:
            it: Annotated[Itself, msgspec.Meta(max_length=1)]


@pytest.mark.parametrize("annotation", [set[UUID], dict[UUID, int]])
def test_a_limit_of_length_is_compared_before_the_first_item_is_read(annotation):
    codec = value_codec(Annotated[annotation, msgspec.Meta(max_length=2)])
    many = [0.5, 0.5, 0.5]

    with pytest.raises(InvalidMessage, match="of length <= 2"):
        codec.decode(msgspec.msgpack.encode(many), FrameCarrier())


def test_the_second_of_two_equal_times_is_told_from_the_first_by_its_zone():
    second = dt.datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1)

    received = over_the_wire(second, value_codec(dt.datetime))

    assert received.timestamp() == second.timestamp() != second.replace(fold=0).timestamp()


def test_a_derived_list_travels_when_post_init_makes_it():
    @message
    class Derived:
        n: int
        below: list[int] = attrs.field(init=False)
        cache: dict[int, int] = attrs.field(init=False, factory=dict, eq=False)

        def __attrs_post_init__(self) -> None:
            object.__setattr__(self, "below", list(range(self.n)))

    assert_travels(Derived(3))


def test_a_field_that_its_receiver_would_make_anew_is_refused():
    with pytest.raises(TypeError, match=r"Stamped.id is no argument of __init__.*init=False.*anew"):

        @message
        class Stamped:
            n: int
            id: UUID = attrs.field(init=False, factory=uuid4)


def test_what_its_factory_makes_equal_or_what_is_derived_after_it_is_no_matter():
    # Recorded: classes that had travelled well were refused.
    @message
    class Filled:
        n: int
        table: dict[int, int] = attrs.field(init=False, factory=functools.partial(dict))

        def __attrs_post_init__(self) -> None:
            self.table[self.n] = 2 * self.n

    @message
    class Empty:
        n: int
        table: dict[int, int] = attrs.field(init=False, factory=dict)

    assert_travels(Filled(3))
    assert_travels(Empty(3))

    @message
    @attrs.frozen(eq=False)
    class Unequal:
        id: UUID = attrs.field(init=False, factory=uuid4)

    assert codec_for(Unequal)


def own_init():
    """Make a message class with `x`, whose own `__init__` calls it otherwise."""

    class Own:
        x: int

        def __init__(self, q, /, *, more=0):
            self.__attrs_init__(q + more)

    return Own


def test_an_init_that_does_not_take_the_fields_is_refused_at_definition():
    with pytest.raises(TypeError, match=r"Own\(x=\.\.\.\).*does not take.*parameters.*fields"):
        message(own_init())


def test_an_attrs_class_whose_init_does_not_take_its_fields_is_refused_as_a_field():
    inner = attrs.frozen(own_init())

    with pytest.raises(TypeError, match=r"Own\(x=\.\.\.\)"):
        message(attrs.make_class("Outer", {"it": attrs.field(type=inner)}, frozen=True))


def test_fields_of_base_classes_travel():
    assert_travels(Deeper(1, 2.0, "3", True, more=4))


def test_a_subclass_is_refused_and_not_cut_down_to_the_base_class():
    @message
    class Holder:
        four: Four

    with pytest.raises(InvalidMessage, match=r"Four .*exactly Four.*subclass Deeper"):
        over_the_wire(Holder(Deeper(1, 2.0, "3", True)))


def test_a_union_of_a_class_and_its_subclass_keeps_both():
    @message
    class Holder:
        four: Four | Deeper

    assert_travels(Holder(Four(1, 2.0, "3", True)))
    assert_travels(Holder(Deeper(1, 2.0, "3", True, 5)))


def test_a_message_contains_itself():
    assert_travels(Node(1, [Node(2), Node(3, [Node(4)])], Node(0)))


def test_self_means_the_class_that_inherits():
    @message
    class Base:
        others: list[Self]

    @message
    class Heir(Base):
        n: int = 0

    assert_travels(Heir([Heir([], 1)]))


def test_classes_may_name_each_other_before_they_exist():
    @message
    class Chicken:
        eggs: list[Egg]

    @message
    class Egg:
        chicken: Chicken | None

    assert_travels(Chicken([Egg(None), Egg(Chicken([]))]))


def test_a_codec_knows_whether_anything_can_go_beside_the_bytes():
    @message
    class Branch:
        leaves: list[Leaves]
        pixels: NDArray[np.float32] | None = None

    @message
    class Leaves:
        on: Branch | None = None

    @message
    class File:
        data: bytes
        owner: Reference

    with_something = [codec_for(cls).beside for cls in (Branch, Leaves, File, Picture)]
    plain = [codec_for(cls).beside for cls in (Add, Four, Deeper)]

    assert (with_something, plain) == ([True] * 4, [False] * 3)
    assert [value_codec(kind).beside for kind in (float, bytes, Reference)] == [False, True, True]


def test_a_name_that_never_appears_is_a_type_error_at_first_use():
    @message
    class Waiting:
        what: Godot  # noqa: F821

    with pytest.raises(TypeError, match=r"Waiting cannot be sent yet.*Godot"):
        codec_for(Waiting)


def test_generic_messages_travel_once_their_variables_are_filled_in():
    @message
    class Box(Generic[T]):
        item: T
        others: list[T] = attrs.Factory(list)

    @message
    class Ints(Box[int]):
        pass

    @message
    class Shelf:
        ints: Box[int]
        any: list[Box[str] | Box[float]]

    assert_travels(Ints(1, [2]))
    assert_travels(Shelf(Box(1), [Box("a"), Box(1.5, [2.5])]))
    with pytest.raises(InvalidMessage, match=r"item is not valid: expected int, got str 'a'"):
        over_the_wire(Shelf(Box("a"), []))
    with pytest.raises(TypeError, match="could be anything"):
        codec_for(Box)


def test_a_bound_or_constrained_variable_needs_no_filling_in():
    @message
    class Bounded(Generic[B]):
        item: B

    assert_travels(Bounded(3))


def test_any_attrs_class_has_a_codec():
    @attrs.define
    class Plain:
        x: int

    assert codec_for(Plain).tag == ""
    assert over_the_wire(Plain(3)) == Plain(3)


def test_a_class_without_fields_travels():
    @message
    class Ping:
        pass

    assert_travels(Ping())


# ------------------------------------------------------------------------- types of fields

UTC_PLUS_2 = dt.timezone(dt.timedelta(hours=2))
SAMPLES: list[tuple[Any, Any]] = [
    (type(None), None),
    (int, -(2**63)),
    (int, 2**64 - 1),
    (float, float("inf")),
    (float, -0.0),
    (complex, complex(1, -2)),
    (str, "h\u00e9 \U0001f600 \x00"),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"x")),
    (Decimal, Decimal("1.10")),
    (UUID, uuid4()),
    (dt.date, dt.date(1, 1, 1)),
    (dt.datetime, dt.datetime(2024, 2, 29, 1, 2, 3, 4)),  # noqa: DTZ001
    (dt.datetime, dt.datetime(2024, 2, 29, tzinfo=UTC_PLUS_2)),
    (dt.time, dt.time(1, 2, 3, 4)),
    (dt.timedelta, dt.timedelta(-1, 2, 3)),
    (Path, Path("a/b")),
    (PurePath, PurePath("a/b")),
    (Colour, Colour.RED),
    (Colour, Colour.BLUE),
    (Level, Level.LOW),
    (Rights, Rights.READ | Rights.WRITE),
    (Rights, Rights(0)),
    (Literal[1, "a", b"b", True] | None, True),
    (Literal[1, "a", b"b", True] | None, 1),
    (Literal[Colour.RED], Colour.RED),
    (Metres, 1.5),
    (Pair, Pair(1, "b")),
    (Cell, {"text": "a"}),
    (Cell, {"size": 1.0, "text": ""}),
    (list[Cell], [{}]),
    (list[int], [1, 2]),
    (list[list[float]], [[1.0], []]),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (set[tuple[int, str]], {(1, "a")}),
    (set[Colour], {Colour.RED}),
    (tuple[int, str], (1, "a")),
    (tuple[()], ()),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[Four, ...], (Four(1, 2.0, "3", True),)),
    (tuple[Four, int], (Four(1, 2.0, "3", True), 1)),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Mapping[str, int], {"a": 1}),
    (dict[str, Four], {"a": Four(1, 2.0, "3", True)}),
    (dict[int, list[int]], {1: [2]}),
    (dict[tuple[int, int], float], {(1, 2): 0.5}),
    (dict[float, Colour], {0.5: Colour.RED}),
    (dict[bool, int], {True: 1}),
    (int | str | None, "a"),
    (int | float, 1),
    (int | float, 1.0),
    (bool | int, True),
    (str | bytes, b"a"),
    (list[int] | list[str] | None, ["a"]),
    (list[int] | dict[str, int], {"a": 1}),
    (Four | Add | int, Add(1.0, 2.0)),
    (Four | None, None),
    (list[Node | None], [None, Node(1)]),
    (np.float32, np.float32(0.1)),
    (np.int64, np.int64(3)),
    (np.complex128, np.complex128(1j)),
    (Reference, Reference(Address("viewer", 2))),
    (list[Reference], [Reference(Address("viewer"))]),
    (Annotated[int, msgspec.Meta(ge=0)], 0),
    (Annotated[list[int], msgspec.Meta(max_length=2)], [1, 2]),
    (np.ndarray, np.arange(3)),
    (NDArray[np.float32] | None, np.zeros((), "f4")),
    (list[NDArray[Any] | int], [1, np.ones(2)]),
]


@pytest.mark.parametrize(("annotation", "value"), numbered(SAMPLES))
def test_values_of_this_type_travel_as_answers_and_as_fields(annotation, value):
    Holder = message(attrs.make_class("Holder", {"it": attrs.field(type=annotation)}, frozen=True))  # noqa: N806

    received = assert_travels(value, value_codec(annotation))
    assert_travels(Holder(value))

    if type(value) in {int, float, bool}:
        assert type(received) is type(value)


def test_a_datetime_keeps_its_offset():
    moment = dt.datetime(2024, 1, 1, 12, tzinfo=UTC_PLUS_2)

    assert over_the_wire(moment, value_codec(dt.datetime)).utcoffset() == dt.timedelta(hours=2)


@pytest.mark.parametrize(
    ("annotation", "value", "arrives"),
    numbered(
        [
            (float, np.float64(1.5), 1.5),
            (float, np.float32(0.5), 0.5),
            (float, 3, 3.0),
            (int, np.int64(3), 3),
            (int, Level.LOW, 1),
            (bool, np.True_, True),
            (complex, 2, 2 + 0j),
            (str, np.str_("a"), "a"),
            (list[float], [1, 2.0], [1.0, 2.0]),
            (int | float, np.int64(2**53 + 1), 2**53 + 1),
            (int | None, np.uint8(1), 1),
        ]
    ),
)
def test_numbers_of_numpy_and_members_of_int_enums_may_stand_for_plain_ones(
    annotation, value, arrives
):
    received = over_the_wire(value, value_codec(annotation))

    assert received == arrives
    assert type(received) is type(arrives)


READING = {"column": np.zeros(2, "f4"), "count": 1}


@pytest.mark.parametrize(
    ("annotation", "value"),
    numbered(
        [
            (Reading, READING),
            (Reading, {**READING, "note": "a"}),
            (Reading, {**READING, "unit": "m", "note": "a"}),
            (Named, {"name": "a"}),
            (Named, {"name": "a", "note": "b"}),
        ]
    ),
)
def test_a_key_of_a_typed_dict_is_required_as_its_annotation_says(annotation, value):
    received = over_the_wire(value, value_codec(annotation))

    assert received.keys() == value.keys()
    assert all(same_value(received[key], value[key]) for key in value)


@pytest.mark.parametrize(
    ("annotation", "value", "why"),
    numbered(
        [
            (Reading, {**READING, "count": -1}, r"\['count'\] is not valid: .*>= 0"),
            (Reading, {**READING, "column": np.zeros(2, "i1")}, "float32"),
            (Reading, {**READING, "column": np.zeros((2, 2), "f4")}, "shape"),
            (Reading, {"count": 1}, "keys missing.*'column'"),
            (Named, {"note": "a"}, "keys missing.*'name'"),
        ]
    ),
)
def test_what_the_annotations_of_a_typed_dict_forbid_is_refused(annotation, value, why):
    with pytest.raises(InvalidMessage, match=why):
        value_codec(annotation).encode(value, FrameCarrier())


BIG = 2**60 + 1


@pytest.mark.parametrize(
    ("annotation", "value", "arrives"),
    numbered(
        [
            (list[int] | list[float], [BIG, 2], [BIG, 2]),
            (list[int] | list[float] | None, [BIG], [BIG]),
            (Sequence[int] | Sequence[float], (BIG, 2), (BIG, 2)),
            (tuple[float, float] | tuple[int, int], (BIG, 2), (BIG, 2)),
            (dict[str, int] | dict[str, float], {"a": BIG}, {"a": BIG}),
            (list[float] | list[complex], [1.5], [1.5]),
            (list[complex] | list[list[int]] | list[int], [BIG], [BIG]),
            (list[float] | list[np.float32], [np.float32(0.5)], [np.float32(0.5)]),
            (list[int] | list[np.int64], [np.int64(3)], [np.int64(3)]),
            (list[Annotated[float, msgspec.Meta(ge=0)]] | list[int], [BIG], [BIG]),
            (Full[float] | Full[int], Full(BIG), Full(BIG)),
            (list[int] | list[float], [1, 2.5], [1.0, 2.5]),
        ]
    ),
)
def test_a_union_takes_the_arm_that_changes_nothing(annotation, value, arrives):
    received = over_the_wire(value, value_codec(annotation))

    assert repr(received) == repr(arrives)  # its classes too: 1 == 1.0


def test_an_annotation_may_have_notes_that_have_no_hash():
    @message
    class Width(Request[Annotated[float, {"unit": "mm"}]]):
        limit: Annotated[float, {"unit": "mm"}]

    codec = value_codec(Annotated[float, {"unit": "mm"}])

    assert_travels(Width(2.0))
    assert over_the_wire(1.5, codec) == 1.5
    assert value_codec(Annotated[float, {"unit": "mm"}]) is codec
    noted = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "mm"})]
    assert over_the_wire(1, value_codec(noted)) == 1


class Vague(dt.tzinfo):
    def utcoffset(self, moment: dt.datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("annotation", "value"),
    numbered(
        [
            (dt.time, dt.time(12, tzinfo=ZoneInfo("Europe/Paris"))),
            (dt.time | None, dt.time(12, tzinfo=ZoneInfo("Europe/Paris"))),
            (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=Vague())),
        ]
    ),
)
def test_a_zone_that_says_no_offset_is_refused_and_not_left_out(annotation, value):
    with pytest.raises(InvalidMessage, match=r"no offset from UTC.*Send a datetime"):
        value_codec(annotation).encode(value, FrameCarrier())


def test_a_zone_arrives_as_the_offset_it_has_at_that_time():
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))
    hour = dt.time(12, tzinfo=UTC_PLUS_2)

    received = over_the_wire(moment, value_codec(dt.datetime))

    assert (received, received.tzinfo) == (moment, UTC_PLUS_2)
    assert over_the_wire(hour, value_codec(dt.time)).tzinfo == UTC_PLUS_2


@pytest.mark.parametrize(
    ("annotation", "value"),
    numbered(
        [
            (int, np.timedelta64(5, "ns")),
            (float, np.timedelta64(5, "Y")),
            (complex, np.datetime64("2024-01-01", "ns")),
            (int | str, np.datetime64("2024-01-01", "ns")),
            (int | None, np.datetime64("NaT")),
            (type(None), np.timedelta64("NaT")),
        ]
    ),
)
def test_a_time_of_numpy_is_no_number(annotation, value):
    with pytest.raises(InvalidMessage, match=r"expected .*got (datetime64|timedelta64)"):
        value_codec(annotation).encode(value, FrameCarrier())


def test_a_time_of_numpy_stands_for_the_time_it_is():
    assert over_the_wire(np.timedelta64(5, "s"), value_codec(dt.timedelta)) == dt.timedelta(0, 5)


class Grandchild(float):
    pass


@pytest.mark.parametrize(
    ("annotation", "value"),
    numbered(
        [
            (int, True),
            (int, 1.0),
            (int, np.True_),
            (int, np.float64(1)),
            (int, "1"),
            (int, None),
            (float, True),
            (float, "1"),
            (float, Grandchild(1)),
            (float, 10**400),
            (str, b"a"),
            (str, 1),
            (str, "\ud800"),
            (bytes, "a"),
            (bool, 1),
            (dt.date, dt.datetime(2024, 1, 1)),  # noqa: DTZ001
            (int, 2**64),
            (list[int], [1, 2**64]),
            (list[int], (1,)),
            (list[int], [1, "a"]),
            (list[int], 1),
            (tuple[int, str], (1,)),
            (tuple[int, str], (1, 2)),
            (set[int], [1]),
            (dict[str, int], {"a": "b"}),
            (dict[str, int], {1: 1}),
            (dict[str, int], [("a", 1)]),
            (Pair, (1, "b")),
            (Cell, {"other": 1}),
            (Cell, {"text": 1}),
            (Cell, []),
            (Colour, "blue"),
            (Rights, 1),
            (Literal[1], True),
            (Literal["a"], "b"),
            (Literal["a"], []),
            (int | str, 1.5),
            (Four | Add, Deeper(1, 2.0, "3", True)),
            (list[int] | list[str], [1, "a"]),
            (Annotated[int, msgspec.Meta(ge=0)], -1),
            (np.float32, 1.0),
            (np.float32, np.float64(1)),
            (np.ndarray, [1, 2]),
            (np.ndarray, np.array([object()])),
            (np.ndarray, np.array(["a"])),
            (np.ndarray, np.array(["2024-01-01"], "M8[D]")),
            (np.ndarray, np.ma.masked_array([1], [True])),
            (NDArray[np.float32], np.zeros(1, "f8")),
            (NDArray[np.float32], np.zeros(1, ">f4")),
            (Reference, Address("a")),
            (type(None), 0),
        ]
    ),
)
def test_a_value_of_another_type_is_refused_in_the_senders_call_with_the_field_named(
    annotation, value
):
    Holder = message(attrs.make_class("Holder", {"it": attrs.field(type=annotation)}, frozen=True))  # noqa: N806

    with pytest.raises(InvalidMessage) as caught:
        codec_for(Holder).encode(Holder(value), FrameCarrier())

    assert (caught.value.message, caught.value.field) in {
        ("Holder", "it"),
        ("Holder", "it[...]"),
    } | {("Holder", f"it[{step}]") for step in ("key", "0", "1", "'text'")} | (
        {("Four", ""), ("Add", "")} if annotation == Four | Add else set()
    )
    assert len(str(caught.value)) < 300


def test_what_raises_while_it_is_read_is_refused_with_the_reason():
    unset = Four.__new__(Four)

    with pytest.raises(InvalidMessage, match="AttributeError"):
        codec_for(Four).encode(unset, FrameCarrier())


def test_that_there_is_no_memory_is_not_the_messages_fault():
    class Full:
        def put(self, _array):
            raise MemoryError

    with pytest.raises(MemoryError):
        value_codec(np.ndarray).encode(np.zeros(3), Full())


def test_a_container_that_contains_itself_is_refused():
    node = Node(1)
    node.children.append(node)

    with pytest.raises(InvalidMessage, match="contains itself"):
        codec_for(Node).encode(node, FrameCarrier())


def test_an_unreadable_repr_does_no_harm():
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(InvalidMessage, match=r"got .*Broken"):
        value_codec(int).encode(Broken(), FrameCarrier())


def test_tracebacks_show_the_generated_functions():
    try:
        codec_for(Four).encode(Four(1, "x", "3", True), FrameCarrier())
    except InvalidMessage as error:
        text = "".join(traceback.format_exception(error))

    assert "v_ratio = pack_ratio(v_ratio, carrier, names)" in text
    linecache.checkcache()
    assert any(name.startswith("<codec of ") for name in linecache.cache)


# -------------------------------------------------------------------------------- arrays

KINDS = "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f16", "c8", "c16"
DTYPES = [order + kind for order in "<>" for kind in KINDS]


@st.composite
def arrays(draw, dtype=None):
    """Arrays of every dtype, rank 0-5, empty ones too, and every kind of memory layout."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)) if dtype is None else dtype)
    rank = draw(st.integers(0, 5))
    shape = draw(hnp.array_shapes(min_dims=rank, max_dims=rank, min_side=0, max_side=3))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), "u1")
    if dtype.kind == "b":
        raw = raw % 2
    array = np.ndarray(shape, dtype, buffer=raw.tobytes()).copy()
    layout = draw(st.sampled_from(["c", "fortran", "reversed", "strided", "transposed"]))
    if layout == "fortran":
        return np.asfortranarray(array) if rank else array
    if layout == "reversed":
        return array[(slice(None, None, -1),) * rank] if rank else array
    if layout == "strided":
        return np.repeat(array, 2, axis=0)[::2] if rank else array
    return array.T if layout == "transposed" else array


def same_bits(one, two):
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()


@given(arrays())
def test_an_array_of_any_dtype_shape_and_layout_arrives_bit_for_bit_and_read_only(array):
    before = array.tobytes(), array.strides, array.flags.writeable

    received = over_the_wire(array, value_codec(np.ndarray))

    assert same_bits(received, array)
    assert received.dtype.str == array.dtype.str
    assert not received.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        received.setflags(write=True)
    assert (array.tobytes(), array.strides, array.flags.writeable) == before


def test_the_sender_may_change_an_array_at_once():
    pixels = np.zeros((2, 2), "f4")
    sending = FrameCarrier()
    data = codec_for(Picture).encode(Picture(pixels), sending)

    pixels += 1

    assert codec_for(Picture).decode(data, sending).pixels.sum() == 0


def test_a_frame_in_writable_memory_still_gives_a_read_only_array():
    codec = value_codec(np.ndarray)
    sending = FrameCarrier()
    data = codec.encode(np.arange(3), sending)

    received = codec.decode(data, FrameCarrier([memoryview(bytearray(sending.frames[0]))]))

    with pytest.raises(ValueError, match="WRITEABLE"):
        received.setflags(write=True)


def test_named_dimensions_agree_in_all_fields_of_one_message():
    pixels = np.zeros((2, 3), "f4")
    assert_travels(Picture(pixels, np.zeros((2, 3), bool), {"any": np.arange(9)}))

    with pytest.raises(InvalidMessage, match=r'Picture.mask .*"h" is 2 .*got \(3, 3\)'):
        over_the_wire(Picture(pixels, np.zeros((3, 3), bool)))


def test_named_dimensions_are_checked_at_the_receiver_too():
    @message
    class Loose:
        pixels: np.ndarray
        mask: np.ndarray | None
        layers: dict[str, np.ndarray]

    sending = FrameCarrier()
    wrong = Loose(np.zeros((2, 3), "f4"), np.zeros((3, 3), bool), {})
    data = codec_for(Loose).encode(wrong, sending)

    with pytest.raises(InvalidMessage, match=r"Picture.mask"):
        codec_for(Picture).decode(data, sending)


def test_a_message_in_a_message_has_its_own_names():
    @message
    class Album:
        size: Square
        pictures: list[Picture]

    pictures = [Picture(np.zeros((n, n + 1), "f4")) for n in range(3)]

    assert_travels(Album(np.zeros((9, 9), "f4"), pictures))


def test_messages_with_arrays_compare_by_value():
    one, same = Picture(np.ones((2, 2), "f4")), Picture(np.ones((2, 2), "f4"))

    assert one == same
    assert one != Picture(np.zeros((2, 2), "f4"))
    assert one != Picture(np.ones((2, 3), "f4"))
    assert one != 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_arrays_inside_containers_and_plain_attrs_classes_compare_by_value():
    @attrs.frozen
    class Inner:
        data: np.ndarray
        note: str = attrs.field(default="", eq=False)

    @message
    class Outer:
        inner: Inner
        many: list[dict[str, np.ndarray] | None]

    def make(note):
        return Outer(Inner(np.arange(3), note), [None, {"a": np.zeros(2)}])

    assert make("a") == make("b")
    assert make("a") != Outer(Inner(np.arange(4)), [])


def test_the_equality_a_class_or_field_defines_itself_is_kept():
    @message
    class Own:
        data: np.ndarray

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    @message
    class Keyed:
        data: np.ndarray = attrs.field(eq=lambda array: array.sum())
        note: str = attrs.field(default="", eq=False)

    assert Own(np.zeros(1)) == Own(np.zeros(2))
    assert Keyed(np.array([1, 2]), "a") == Keyed(np.array([2, 1]), "b")


def test_messages_without_arrays_keep_their_hash():
    assert hash(Add(1, 2)) == hash(Add(1.0, 2.0))


# --------------------------------------------------------------------------- what strangers send


def hostile_parts():
    return [
        Part(0, "|O", (1,)),
        Part(0, "V2147483647", (1,)),
        Part(0, "|V" + "9" * 1000, (1,)),
        Part(0, "f4,f4", (1,)),
        Part(0, "<U1", (1,)),
        Part(0, "<M8[ns]", (1,)),
        Part(0, "float32", (1,)),
        Part(0, "", (1,)),
        Part(0, "<f4", (-1,)),
        Part(0, "<f4", (2**40, 2**40)),
        Part(0, "<f4", (0, 2**62)),
        Part(0, "<f4", (0, 2**63)),
        Part(0, "<f4", (2**63,)),
        Part(0, "<f4", (1,) * 9),
        Part(0, "<f4", (3,)),
        Part(0, "<f4", ()),
        Part(1, "<f8", (1,)),
        Part(-1, "<f8", (1,)),
        Part(-1, "<f8", (1,), (1, 2, 3)),
        Part(0, "<f8", (1,), ()),
        Part(2**63, "<f8", (1,)),
    ]


@pytest.mark.parametrize("part", numbered([part] for part in hostile_parts()))
def test_a_hostile_array_description_is_refused_without_allocating(part):
    data = msgspec.msgpack.encode(part)
    codec = value_codec(np.ndarray)

    with at_most(100_000), pytest.raises(MessageError):
        codec.decode(data, FrameCarrier([bytes(8)]))


@message
class Everything:
    numbers: list[int]
    texts: dict[str, float | None]
    colours: set[Colour]
    pairs: dict[tuple[int, int], bytes]
    either: list[int] | Node | Decimal | None
    rights: Rights
    at: dt.datetime
    span: dt.timedelta
    literal: Literal["a", 1]
    where: Path
    id: UUID
    ref: Reference
    scalar: np.float32
    pixels: Square
    more: tuple[complex, Pair, Cell]


def everything():
    return Everything(
        numbers=[1, 2**40],
        texts={"a": 1.5, "b": None},
        colours={Colour.RED},
        pairs={(1, 2): b"x"},
        either=Node(1, [Node(2)]),
        rights=Rights.READ,
        at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        span=dt.timedelta(1),
        literal="a",
        where=Path("a"),
        id=UUID(int=1),
        ref=Reference(Address("viewer", 3)),
        scalar=np.float32(1),
        pixels=np.ones((2, 2), "f4"),
        more=(1j, Pair(1, "a"), {"text": "b"}),
    )


def decode_or_refuse(codec, data, frames):
    """Decode; anything but a valid message or a MessageError fails the test."""
    try:
        received = codec.decode(data, FrameCarrier(frames, bind=Reference))
    except MessageError as refused:
        error = refused
    else:
        codec.encode(received, FrameCarrier())  # what was accepted is valid
        return received
    assert len(str(error)) < 400
    assert str(error).isprintable()
    return None


def test_every_truncation_and_every_bit_flip_is_a_valid_message_or_a_message_error():
    codec, sending = codec_for(Everything), FrameCarrier()
    data = codec.encode(everything(), sending)

    for length in range(len(data)):
        assert decode_or_refuse(codec, data[:length], sending.frames) is None
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        decode_or_refuse(codec, bytes(flipped), sending.frames)


@given(data=st.data(), seed=st.integers(0, 2**32))
def test_several_changes_at_once_are_a_valid_message_or_a_message_error(data, seed):
    codec, sending = codec_for(Everything), FrameCarrier()
    whole = bytearray(codec.encode(everything(), sending))
    chance = random.Random(seed)
    for _ in range(data.draw(st.integers(1, 20))):
        whole[chance.randrange(len(whole))] = chance.randrange(256)

    decode_or_refuse(codec, bytes(whole), sending.frames)


@given(st.binary(max_size=200))
def test_noise_is_a_valid_message_or_a_message_error(noise):
    for codec in (codec_for(Everything), codec_for(Four), value_codec(np.ndarray | None)):
        decode_or_refuse(codec, noise, [noise])


def test_trailing_bytes_are_refused():
    data = codec_for(Four).encode(Four(1, 2.0, "3", True), FrameCarrier())

    with pytest.raises(InvalidMessage, match="trailing"):
        codec_for(Four).decode(data + b"\x00", FrameCarrier())


@pytest.mark.parametrize("wrong", [[1, 2.0, "3"], [1, 2.0, "3", True, 5], {"count": 1}, 3, None])
def test_missing_and_additional_values_are_refused(wrong):
    with pytest.raises(InvalidMessage, match="Four"):
        codec_for(Four).decode(msgspec.msgpack.encode(wrong), FrameCarrier())


def test_the_receiver_names_the_field_that_was_wrong():
    data = msgspec.msgpack.encode([1, [2, 3], "3", True])

    with pytest.raises(InvalidMessage) as caught:
        codec_for(Four).decode(data, FrameCarrier())

    assert (caught.value.message, caught.value.field) == ("Four", "ratio")
    assert "float" in caught.value.reason


def test_text_that_is_not_utf8_is_refused():
    with pytest.raises(MessageError):
        value_codec(str).decode(b"\xa2\xff\xfe", FrameCarrier())


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_deep_nesting_is_refused_or_read_but_never_ends_the_process(depth):
    data = b"\x93\x01\x91" * depth + b"\x93\x01\x90\xc0" + b"\xc0" * depth

    decode_or_refuse(codec_for(Node), data, [])


@pytest.mark.parametrize(
    "annotation", [list[int], tuple[int, ...], set[int], dict[str, int], bytes, str, Sequence[Node]]
)
@pytest.mark.parametrize("head", [0xDD, 0xDF, 0xC6, 0xDB])
def test_a_length_that_is_not_there_allocates_nothing(annotation, head):
    codec, data = value_codec(annotation), bytes([head]) + b"\xff\xff\xff\xff"

    with at_most(100_000), pytest.raises(MessageError):
        codec.decode(data, FrameCarrier())


@message
class Empty:
    pass


@pytest.mark.parametrize(
    ("annotation", "one"),
    numbered(
        [
            (list[list[int]], b"\x90"),
            (list[dict[str, int]], b"\x80"),
            (list[set[int]], b"\x90"),
            (list[Empty], b"\x90"),
            (list[Node], b"\x93\x00\x90\xc0"),
            (list[str | None], b"\xa0"),
            (list[Colour], b"\xa3RED"),
            (list[bytearray], b"\xc4\x00"),
            (list[np.ndarray], b"\x93\x00\xa3<f4\x91\x00"),
        ]
    ),
)
def test_memory_stays_a_small_multiple_of_the_bytes_received(annotation, one):
    codec, count = value_codec(annotation), 2**15
    data = b"\xdd" + count.to_bytes(4, "big") + one * count

    with at_most(300 * len(data)):
        received = codec.decode(data, FrameCarrier([b""]))

    assert len(received) == count


def test_unknown_flag_bits_are_refused_because_enum_would_keep_each_for_ever():
    class Open(enum.IntFlag):
        A = 1

    with pytest.raises(InvalidMessage, match="Open"):
        value_codec(Open).decode(msgspec.msgpack.encode(6), FrameCarrier())


def test_control_characters_of_a_stranger_do_not_reach_the_log():
    def refuse(_instance, _attribute, value):
        raise ValueError(value)

    @message
    class Picky:
        name: str = attrs.field(validator=refuse)

    data = msgspec.msgpack.encode(["\x1b[31m\n\u202e" + "x" * 1000])

    with pytest.raises(InvalidMessage) as caught:
        codec_for(Picky).decode(data, FrameCarrier())

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_reference_to_no_possible_name_is_refused():
    for text in ("", "a b", "../x", "a/0", "x" * 1000):
        with pytest.raises(InvalidMessage):
            value_codec(Reference).decode(
                msgspec.msgpack.encode(text), FrameCarrier(bind=Reference)
            )


def test_decoding_reads_from_a_memoryview():
    data = codec_for(Four).encode(Four(1, 2.0, "3", True), FrameCarrier())

    assert codec_for(Four).decode(memoryview(data), FrameCarrier()) == Four(1, 2.0, "3", True)


# ------------------------------------------------------------------------- generated classes

# (annotation, strategy for its values); NaN is left out because it never equals itself.
LEAVES = st.sampled_from(
    [
        (type(None), st.none()),
        (bool, st.booleans()),
        (int, st.integers(-(2**63), 2**64 - 1)),
        (float, st.floats(allow_nan=False)),
        (complex, st.complex_numbers(allow_nan=False)),
        (str, st.text(st.characters(codec="utf-8"), max_size=5)),
        (bytes, st.binary(max_size=5)),
        (bytearray, st.binary(max_size=5).map(bytearray)),
        (Decimal, st.decimals(allow_nan=False)),
        (UUID, st.uuids()),
        (dt.date, st.dates()),
        (dt.datetime, st.datetimes()),
        (dt.datetime, st.datetimes(timezones=st.just(UTC_PLUS_2))),
        (dt.time, st.times()),
        (dt.timedelta, st.timedeltas()),
        (Colour, st.sampled_from(Colour)),
        (Rights, st.sampled_from([Rights(n) for n in range(4)])),
        (Literal[0, False, "a"], st.sampled_from([0, False, "a"])),
        (Pair, st.builds(Pair, st.integers(-9, 9), st.just("x"))),
        (np.int16, st.integers(-9, 9).map(np.int16)),
        (np.ndarray, arrays(dtype="i2")),
        (NDArray[np.uint8], arrays(dtype="u1")),
        (Reference, st.just(Reference(Address("a", 1)))),
    ]
)


def hashable(annotation):
    return annotation not in {bytearray, np.ndarray} and not str(annotation).startswith(
        ("numpy.nd", "list", "dict", "set", "typing", "test_codec", "tests")
    )


def bigger(types):
    def dicts(key, value):
        return dict[key[0], value[0]], st.dictionaries(key[1], value[1], max_size=3)

    def sets(item):
        return frozenset[item[0]], st.frozensets(item[1], max_size=3)

    keys = LEAVES.filter(lambda pair: hashable(pair[0]))
    return st.one_of(
        types.map(lambda t: (list[t[0]], st.lists(t[1], max_size=3))),
        types.map(lambda t: (tuple[t[0], ...], st.lists(t[1], max_size=3).map(tuple))),
        st.lists(types, max_size=3).map(
            lambda ts: (tuple[tuple(t[0] for t in ts)], st.tuples(*(t[1] for t in ts)))
        ),
        st.builds(dicts, keys, types),
        st.builds(sets, keys),
        st.lists(types, min_size=2, max_size=3).map(
            lambda ts: (
                functools.reduce(operator.or_, [t[0] for t in ts]),
                st.one_of([t[1] for t in ts]),
            )
        ),
        types.map(lambda t: (t[0] | None, st.none() | t[1])),
        records(types),
    )


@st.composite
def records(draw, types):
    """A message class of up to four fields, kw_only or not, with defaults or not."""
    fields, values = {}, {}
    for number, (annotation, strategy) in enumerate(draw(st.lists(types, max_size=4))):
        private = draw(st.booleans())
        name = f"{'_' * private}f{number}"
        fields[name] = attrs.field(type=annotation, kw_only=draw(st.booleans()))
        values[f"f{number}"] = strategy
    cls = message(attrs.make_class("Generated", fields, frozen=True, slots=True))
    return cls, st.builds(cls, **values)


@pytest.mark.timeout(180)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_messages_of_generated_classes_arrive_equal(data):
    cls, instances = data.draw(records(st.recursive(LEAVES, bigger, max_leaves=6)))
    sent = data.draw(instances)

    received = over_the_wire(sent)

    assert received == sent
    assert over_the_wire(received) == sent
    whole, sending = codec_for(cls), FrameCarrier()
    packed = bytearray(whole.encode(sent, sending))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    decode_or_refuse(whole, bytes(packed), sending.frames)


# ------------------------------------------------------------------------------ fingerprints


def variant(**fields):
    return message(
        attrs.make_class(
            "Variant", {k: attrs.field(type=v) for k, v in fields.items()}, frozen=True
        )
    )


def test_the_fingerprint_follows_everything_that_is_on_the_wire():
    variants = [
        variant(a=int),
        variant(b=int),
        variant(a=float),
        variant(a=int | None),
        variant(a=list[int]),
        variant(a=tuple[int, ...]),
        variant(a=set[int]),
        variant(a=int, b=int),
        variant(b=int, a=int),
        variant(a=Array["float32"]),
        variant(a=Array["float64"]),
        variant(a=Array["float64", ("h", "h")]),
        variant(a=Array["float64", ("h", "w")]),
        variant(a=Colour),
        variant(a=Literal[1]),
        variant(a=Literal[True]),
        variant(a=Four),
        variant(a=Deeper),
        variant(a=Node),
    ]

    prints = {codec_for(cls).fingerprint for cls in variants}

    assert len(prints) == len(variants)
    assert {len(one) for one in prints} == {8}


def test_the_fingerprint_ignores_what_is_not_on_the_wire():
    first = variant(a=int | str)
    again = message(
        attrs.make_class(
            "Variant", {"a": attrs.field(type=str | int, default=3)}, frozen=True, kw_only=True
        )
    )

    assert codec_for(first).fingerprint == codec_for(again).fingerprint


def test_the_answer_is_part_of_the_fingerprint():
    def asking(answer):
        @message
        class Ask(Request[answer]):
            x: int

        return codec_for(Ask).fingerprint

    assert asking(int) == asking(int)
    assert len({asking(int), asking(float), asking(None)}) == 3


def test_the_schema_text_is_readable_and_ends_where_a_class_contains_itself():
    assert codec_for(Node).schema == (
        "Node(value:int,children:list[@Node],parent:NoneType|@Node)->nothing"
    )


def test_two_spellings_of_one_union_travel_alike():
    one, other = value_codec(list[list[int] | Four]), value_codec(list[Four | list[int]])
    value = [[1], Four(1, 2.0, "3", True)]

    assert other.decode(one.encode(value, FrameCarrier()), FrameCarrier()) == value


def test_codecs_are_made_once():
    assert codec_for(Four) is codec_for(Four)
    assert value_codec(list[int]) is value_codec(list[int])


def test_a_class_that_is_no_attrs_class_has_no_codec():
    with pytest.raises(TypeError, match="@message"):
        codec_for(int)


def test_no_import_and_no_class_comes_from_the_wire():
    before = set(sys.modules)

    decode_or_refuse(codec_for(Everything), msgspec.msgpack.encode(["os:system"] * 15), [])

    assert set(sys.modules) == before
