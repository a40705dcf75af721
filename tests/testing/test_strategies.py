from __future__ import annotations

import datetime as dt
import enum
import functools
import math
import numbers
import operator
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID

import attrs
import msgspec
import numpy as np
import pytest
from attrs import validators as v
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument, NoSuchExample
from hypothesis.strategies._internal import attrs as hypothesis_attrs
from numpy.typing import NDArray

from actors.actor import Actor, receive
from actors.address import check_name
from actors.arrays.spec import Array, Shape
from actors.codec import FrameCarrier, codec_for
from actors.message import Request, message
from actors.ref import ActorRef
from actors.testing import (
    ImpossibleField,
    OpaqueValidator,
    UnstableConverter,
    check_converters,
    messages,
    strategies,
)
from actors.testing.leaves import LARGEST_INT, SMALLEST_INT
from tests.ids import numbered

T = TypeVar("T")


class Colour(enum.Enum):
    RED = (255, 0, 0)
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Pair(NamedTuple):
    left: int
    right: str


class Cell(TypedDict, total=False):
    text: str
    size: float


# Linters take the words of an array for names: they stay out of the annotations.
Image = Array["float32", ("h", "w")]
Mask = Array["bool", ("h", "w")]
Square = Array["<i2", ("n", "n", 3)]
Video = Array["uint8", (48, 64, 3)]
Metres = NewType("Metres", float)


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
    mask: Mask | None = None
    squares: list[Square] = attrs.Factory(list)


@attrs.frozen
class Plain:
    x: int = attrs.field(validator=v.ge(3))


@message
class Box(Generic[T]):
    item: T
    others: list[T] = attrs.Factory(list)


def holder(annotation, validator=None, **options):
    """A message class with one field, `it`."""
    field = attrs.field(type=annotation, validator=validator, **options)
    return message(attrs.make_class("Holder", {"it": field}, frozen=True))


def draws(strategy, examples=25):
    """What a strategy gives; no health check is silenced, so it is not slow or wasteful either."""
    found = []

    @settings(max_examples=examples, database=None, deadline=None, derandomize=True)
    @given(strategy)
    def run(drawn):
        found.append(drawn)

    run()
    return found


def over_the_wire(value):
    codec, sending = codec_for(type(value)), FrameCarrier()
    data = codec.encode(value, sending)
    bind = lambda address: ActorRef(address.name, None)  # noqa: E731
    return codec.decode(data, FrameCarrier(sending.frames, bind=bind))


def same(one, other):
    """Equal, where a NaN equals a NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and str(one) == str(other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        by_text = [sorted(each.items(), key=lambda entry: repr(entry[0])) for each in (one, other)]
        return same(*by_text)
    if isinstance(one, set | frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if attrs.has(type(one)):
        return all(
            same(getattr(one, field.name), getattr(other, field.name))
            for field in attrs.fields(type(one))
        )
    return repr(one) == repr(other) or one == other


# ---------------------------------------------------------------------------- every type

TYPES: list[tuple[Any]] = [
    (kind,)
    for kind in (
        type(None), bool, int, float, complex, str, bytes, bytearray, Decimal, UUID, dt.date,
        dt.datetime, dt.time, dt.timedelta, Path, PurePath, Colour, Level, Rights, Pair, Cell,
        Metres, Literal[1, "a", b"b", True], Literal[Colour.RED] | None, list[int],
        list[list[float]], set[int], set[tuple[int, str]], frozenset[Colour], tuple[int, str],
        tuple[()], tuple[int, ...], tuple[Four, ...], Sequence[int], Mapping[str, int],
        dict[str, Four], dict[tuple[int, int], float], dict[bool, int], list[Cell],
        int | str | None, bool | int | float, str | bytes, list[int] | dict[str, int] | None,
        Four | Deeper | int, list[Node | None], Node, Box[int], list[Box[str] | Box[float]], Plain,
        np.float32, np.int64, np.uint8, np.complex128, np.bool_, ActorRef, list[ActorRef],
        np.ndarray, NDArray[np.float32], NDArray[np.integer[Any]], NDArray[Any] | int, Video, Image,
        Square, Annotated[NDArray[np.float64], Shape("a", None, "a")], dict[str, Image], Picture,
        Annotated[int, msgspec.Meta(ge=0, lt=3)], Annotated[int, msgspec.Meta(multiple_of=7)],
        Annotated[float, msgspec.Meta(gt=0, le=1)], Annotated[float, msgspec.Meta(multiple_of=0.5)],
        Annotated[str, msgspec.Meta(min_length=2, max_length=3)],
        Annotated[str, msgspec.Meta(pattern="^[ab]+$")],
        Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)],
        list[Annotated[int, msgspec.Meta(ge=5)]], Annotated[int, msgspec.Meta(ge=0)] | None,
    )
]  # fmt: skip


@pytest.mark.parametrize("annotation", numbered(TYPES))
def test_every_draw_of_this_type_travels(annotation):
    for drawn in draws(messages(holder(annotation))):
        assert same(over_the_wire(drawn), drawn)


def hashable(annotation):
    return annotation in {bool, int, str, bytes, UUID, dt.date, Colour, Rights, Level, type(None)}


def bigger(types):
    keys = st.sampled_from([kind for (kind,) in TYPES if hashable(kind)])
    return st.one_of(
        types.map(lambda t: list[t]),
        types.map(lambda t: tuple[t, ...]),
        types.map(lambda t: t | None),
        types.map(lambda t: Box[t]),
        st.lists(types, max_size=3).map(lambda ts: tuple[tuple(ts)]),
        st.lists(types, min_size=2, max_size=3).map(lambda ts: functools.reduce(operator.or_, ts)),
        keys.map(lambda t: frozenset[t]),
        st.builds(lambda key, value: dict[key, value], keys, types),
        st.lists(types, max_size=3).map(generated),
    )


def generated(types):
    """A message class with private, keyword-only and optional fields."""
    fields = {}
    for number, annotation in enumerate(types):
        name = f"{'_' * (number % 2)}f{number}"
        fields[name] = attrs.field(type=annotation, kw_only=number % 3 == 1)
        if number == 2:
            fields[name] = attrs.field(type=annotation | None, kw_only=True, default=None)
    return message(attrs.make_class("Generated", fields, frozen=True, slots=True))


# No bare None: None | None is no type.
SIMPLE = st.sampled_from([kind for (kind,) in TYPES if kind not in {type(None), Video}])


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_every_draw_of_a_generated_class_travels(data):
    types = data.draw(st.lists(st.recursive(SIMPLE, bigger, max_leaves=3), max_size=3))

    drawn = data.draw(messages(generated(types)))

    assert same(over_the_wire(drawn), drawn)


def test_ints_reach_both_ends_of_what_can_travel():
    strategy = messages(holder(int))

    assert find(strategy, lambda m: m.it > 2**63).it <= LARGEST_INT
    assert find(strategy, lambda m: m.it < -(2**62)).it >= SMALLEST_INT


def test_a_number_that_raises_when_it_is_compared_is_not_drawn():
    strategy = messages(holder(Decimal))

    assert find(strategy, lambda m: m.it.is_qnan()).it.is_nan()
    with pytest.raises(NoSuchExample):
        find(strategy, lambda m: m.it.is_snan(), settings=settings(max_examples=300))


def test_flags_are_drawn_alone_together_and_not_at_all():
    found = {drawn.it for drawn in draws(messages(holder(Rights)), 200)}

    assert {Rights(0), Rights.READ | Rights.WRITE, Rights.READ} <= found


def test_references_have_names_that_actors_may_have_and_belong_to_no_system():
    for drawn in draws(messages(holder(ActorRef))):
        assert check_name(drawn.it.name) == drawn.it.name
        assert drawn.it._outlet is None


def test_a_private_field_an_alias_and_a_derived_field_are_left_to_init():
    @message
    class Odd:
        _secret: int
        plain: int = attrs.field(alias="other", validator=v.in_([4]))
        late: int = attrs.field(kw_only=True)
        twice: int = attrs.field(init=False, default=attrs.Factory(lambda m: 2 * m.late, True))

    for drawn in draws(messages(Odd, secret=st.just(9))):
        assert (drawn._secret, drawn.plain, drawn.twice) == (9, 4, 2 * drawn.late)


def test_a_class_with_its_own_init_is_made_by_it():
    @message
    class Own:
        a: int
        b: int

        def __init__(self, *, b: int, a: int) -> None:
            if a > b:
                raise ValueError
            self.__attrs_init__(a, b)

    assert all(drawn.a <= drawn.b for drawn in draws(messages(Own)))


def test_a_generic_class_is_drawn_with_its_variables_filled_in():
    assert all(type(drawn.item) is str for drawn in draws(messages(Box[str])))
    with pytest.raises(TypeError, match="could be anything"):
        messages(Box)


def test_an_actor_class_is_drawn_as_its_spawn_arguments():
    class Counter(Actor):
        start: int = attrs.field(validator=v.ge(0))

        @receive
        def count(self, msg: Four) -> None: ...

    assert all(drawn.start >= 0 for drawn in draws(messages(Counter)))


# ---------------------------------------------------------------------------- validators

NOON = dt.datetime(2024, 1, 1, 12)  # noqa: DTZ001
NOON_UTC = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)

VALIDATORS: list[tuple[Any, Any]] = [
    (int, v.in_([1, 2, 3])),
    (np.float32, v.and_(v.ge(3.4e38), v.le(3.4028235e38))),
    (np.float16, v.and_(v.ge(65000), v.le(65510))),
    (str, v.in_({"a", "b"})),
    (str, v.in_("abc")),
    (int, v.in_(range(0, 10**9, 7))),
    (float, v.in_([1.0, 2.5])),
    (Colour, v.in_(Colour)),
    (list[int], v.in_([[1], [2, 3]])),
    (int, v.and_(v.in_([1, 2, 3]), v.gt(2))),
    (int, v.ge(10)),
    (int, v.and_(v.ge(10), v.lt(11))),
    (int, v.and_(v.gt(-0.5), v.le(0.5))),
    (int, v.gt(2**64 - 3)),
    (int, v.lt(float("inf"))),
    (int, v.and_(v.ge(Decimal("1.5")), v.lt(3))),
    (float, v.and_(v.gt(0), v.lt(1))),
    (float, v.and_(v.ge(0), v.le(5e-324))),
    (float, v.ge(10**400)),
    (Decimal, v.and_(v.gt(0), v.lt(Decimal("0.1")))),
    (dt.date, v.ge(dt.date(2024, 1, 1))),
    (dt.datetime, v.and_(v.ge(NOON), v.lt(NOON + dt.timedelta(seconds=1)))),
    (dt.datetime, v.gt(NOON_UTC)),
    (dt.timedelta, v.and_(v.gt(dt.timedelta(0)), v.le(dt.timedelta(days=1)))),
    (dt.time, v.lt(dt.time(12))),
    (np.float32, v.and_(v.ge(0), v.le(1))),
    (np.float32, v.gt(0.1)),
    (np.float32, v.and_(v.ge(0.1), v.lt(0.3))),
    (np.float32, v.and_(v.ge(-0.3), v.le(-0.1))),
    (np.float16, v.ge(1e-3)),
    (np.float64, v.and_(v.ge(0.1), v.lt(2**53 + 1))),
    (np.longdouble, v.and_(v.ge(0.1), v.lt(0.3))),
    (np.int8, v.and_(v.ge(0.5), v.lt(float("inf")))),
    (np.int8, v.gt(100)),
    (bool, v.ge(True)),
    (str, v.ge("a")),
    (str, v.and_(v.min_len(2), v.max_len(3))),
    (bytes, v.min_len(40)),
    (list[int], v.and_(v.min_len(2), v.max_len(2))),
    (set[bool], v.min_len(2)),
    (frozenset[int], v.max_len(1)),
    (dict[str, int], v.and_(v.min_len(1), v.max_len(2))),
    (tuple[int, ...], v.min_len(3)),
    (tuple[int, int], v.max_len(2)),
    (np.ndarray, v.min_len(2)),
    (Image, v.min_len(2)),
    (Image, v.and_(v.min_len(7), v.max_len(7))),
    (str, v.matches_re(r"[a-z]{2}\d+")),
    (str, v.matches_re("b", func=re.search)),
    (str, v.matches_re("ab+", func=re.match)),
    (str, v.matches_re("A|b", re.IGNORECASE)),
    (str, v.and_(v.matches_re("[a-f]+"), v.matches_re("[d-z]+"), v.max_len(4))),
    (bytes, v.matches_re(rb"\x00+")),
    (int, v.instance_of(int)),
    (int, v.instance_of(numbers.Number)),
    (int | str, v.instance_of(str)),
    (int | str | None, v.instance_of((str, type(None)))),
    (int | list[int], v.instance_of(Sequence)),
    (Level | Colour, v.instance_of(int)),
    (Four | Deeper, v.instance_of(Deeper)),
    (int | None, v.optional(v.ge(3))),
    (int, v.optional(v.ge(3))),
    (int | None, v.optional([v.ge(3), v.lt(5)])),
    (str | None, v.and_(v.optional(v.min_len(2)), v.instance_of(str))),
    (int, v.or_(v.in_([1, 2]), v.ge(100))),
    (int | str, v.or_(v.and_(v.instance_of(int), v.lt(0)), v.in_(["x"]))),
    (int, v.not_(v.ge(5))),
    (int, v.not_(v.in_([0, 1]))),
    (int, v.not_(v.and_(v.gt(3), v.lt(10**6)))),
    (int, v.not_(v.or_(v.lt(3), v.gt(5)))),
    (int, v.not_(v.not_(v.in_([7])))),
    (int | None, v.not_(v.optional(v.ge(5)))),
    (int | str, v.not_(v.instance_of(str))),
    (str, v.not_(v.min_len(2))),
    (str, v.not_(v.max_len(2))),
    (str, v.not_(v.matches_re("a*"))),
    (Colour, v.not_(v.in_([Colour.RED]))),
    (Literal[1, 2, 3], v.ge(2)),
    (list[int], v.deep_iterable(v.in_([1, 2]))),
    (list[int], v.deep_iterable([v.ge(0), v.le(1)], [v.instance_of(list), v.min_len(3)])),
    (list[list[float]], v.deep_iterable(v.deep_iterable(v.gt(0), v.min_len(1)))),
    (tuple[int, float], v.deep_iterable(v.gt(1000))),
    (set[str], v.deep_iterable(v.matches_re("[ab]"), v.min_len(1))),
    (list[int | str], v.deep_iterable(v.or_(v.instance_of(str), v.ge(0)))),
    (str, v.deep_iterable(v.not_(v.in_("xyz")))),
    (dict[str, int], v.deep_iterable(v.max_len(1))),
    (dict[str, int], v.deep_mapping(v.matches_re("k[0-9]"), v.gt(0), v.min_len(2))),
    (dict[str, list[int]], v.deep_mapping(value_validator=v.max_len(1))),
    (Cell, v.deep_mapping(v.instance_of(str), v.or_(v.instance_of(str), v.gt(0)))),
    (Pair, v.deep_iterable(v.not_(v.in_([0, ""])))),
    (Plain, v.instance_of(Plain)),
    (list[Node], v.deep_iterable(v.instance_of(Node), v.min_len(2))),
    (Path, v.instance_of(Path)),
    (ActorRef, v.instance_of(ActorRef)),
    (Annotated[int, msgspec.Meta(ge=3)], v.lt(5)),
]


@pytest.mark.parametrize(("annotation", "validator"), numbered(VALIDATORS))
def test_every_draw_passes_the_validator_and_travels(annotation, validator):
    for drawn in draws(messages(holder(annotation, validator))):  # its __init__ ran the validator
        assert same(over_the_wire(drawn), drawn)


NUMBERS = st.integers(-6, 6)
INT_VALIDATORS = st.recursive(
    st.one_of(
        st.builds(operator.call, st.sampled_from([v.ge, v.gt, v.le, v.lt]), NUMBERS),
        st.lists(NUMBERS, max_size=4).map(v.in_),
        st.sampled_from([v.instance_of(int), v.instance_of(type(None)), v.instance_of(str)]),
    ),
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda some: v.and_(*some)),
        st.lists(parts, min_size=2, max_size=3).map(lambda some: v.or_(*some)),
        parts.map(v.not_),
        parts.map(v.optional),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(INT_VALIDATORS, st.data())
def test_any_mix_of_validators_gives_what_passes_or_nothing_passes(validator, data):
    Holder = holder(int | None, validator)  # noqa: N806

    def refused(value):
        try:
            Holder(value)
        except (TypeError, ValueError):
            return True
        return False

    try:
        strategy = messages(Holder)
    except ImpossibleField:
        assert all(map(refused, [None, *range(-8, 9)]))
    else:
        assert not refused(data.draw(strategy).it)


def test_draws_are_as_wide_as_the_validators_let_them_be():
    @message
    class Wide:
        small: int = attrs.field(validator=[v.ge(0), v.le(3)])
        either: int = attrs.field(validator=v.or_(v.in_([1, 2]), v.ge(100)))
        maybe: int | None = attrs.field(validator=v.optional(v.gt(0)))
        some: list[int] = attrs.field(validator=v.deep_iterable(v.in_([5, 6]), v.max_len(2)))
        real: float

    found = draws(messages(Wide), 250)

    assert {drawn.small for drawn in found} == {0, 1, 2, 3}
    assert {1, 2} < {drawn.either for drawn in found}
    assert {None, 1} < {drawn.maybe for drawn in found}
    assert {tuple(drawn.some) for drawn in found} >= {(), (5,), (6,), (5, 6), (6, 5)}
    assert find(messages(Wide), lambda drawn: math.isnan(drawn.real)).small == 0


def test_validators_added_by_a_decorator_are_tried_out():
    @message
    class Span:
        low: int
        high: int = attrs.field()

        @high.validator
        def _ordered(self, _attribute, value):
            if value < self.low:
                raise ValueError("high < low")

    with pytest.warns(OpaqueValidator, match=r"Span .*\(high: .*_ordered\)"):
        strategy = messages(Span)

    assert all(drawn.low <= drawn.high for drawn in draws(strategy))


def even(_instance, _attribute, value):
    if value % 2:
        raise ValueError("odd")


def test_an_opaque_validator_is_named_once_and_what_it_refuses_is_not_drawn():
    Holder = holder(list[int], v.deep_iterable(v.or_(v.gt(10**9), even)))  # noqa: N806

    with pytest.warns(OpaqueValidator, match=r"Holder .*\(it: even\).*messages\(") as caught:
        strategy = messages(Holder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        messages(Holder)

    assert len(caught) == 1
    assert all(n % 2 == 0 or n > 10**9 for drawn in draws(strategy, 100) for n in drawn.it)


def test_an_opaque_validator_is_not_mentioned_where_a_strategy_is_given():
    Holder = holder(int, [v.ge(0), even])  # noqa: N806

    found = draws(messages(Holder, it=st.integers(1, 9).map(lambda n: 2 * n)))

    assert {drawn.it for drawn in found} <= set(range(2, 19, 2))


def test_readable_validators_beside_an_opaque_one_still_steer_the_drawing():
    with pytest.warns(OpaqueValidator):
        strategy = messages(holder(int, [v.in_(range(1000, 2000)), even]))

    assert all(drawn.it in range(1000, 2000, 2) for drawn in draws(strategy))


def test_post_init_may_refuse_and_any_other_error_is_raised():
    @message
    class Picky:
        n: int = attrs.field(validator=v.in_(range(10)))

        def __attrs_post_init__(self):
            if self.n == 3:
                raise ValueError
            if self.n == 4:
                raise KeyError("a fault of the class")

    with pytest.raises(KeyError, match="a fault"):
        draws(messages(Picky), 200)
    assert all(drawn.n != 3 for drawn in draws(messages(Picky, n=st.sampled_from([1, 2, 3]))))


# ---------------------------------------------------------------------------- what cannot be

IMPOSSIBLE: list[tuple[Any, Any, str]] = [
    (int, v.and_(v.ge(5), v.lt(5)), r"nothing is >= 5 and < 5"),
    (int, v.and_(v.gt(0), v.lt(1)), "max_value=0 < min_value=1"),
    (int, v.gt(2**64), "max_value"),
    (int, v.in_([]), "none of its values passes"),
    (int, v.in_(["a"]), "none of its values passes"),
    (int, v.and_(v.in_([1, 2]), v.ge(3)), "none of its values passes"),
    (int, v.instance_of(str), "must be an instance of str, not int"),
    (int, v.instance_of((str, bytes)), "must be an instance of str or bytes, not int"),
    (int | float, v.instance_of(str), "not int; .*not float"),
    (int, v.not_(v.instance_of(int)), "must not be an instance of int"),
    (int, v.min_len(1), "instance of Sized, not int"),
    (int, v.matches_re("1"), "instance of str, not int"),
    (str, v.ge(0), "str has no order with 0"),
    (str, v.and_(v.min_len(3), v.max_len(2)), "at least 3 and at most 2 long"),
    (list[int], v.deep_iterable(v.and_(v.gt(3), v.lt(3))), "nothing is > 3 and < 3"),
    (dict[str, int], v.deep_mapping(v.instance_of(int)), "instance of int, not str"),
    (tuple[int, int], v.min_len(3), "has 2 items"),
    (set[bool], v.min_len(3), "3 unique elements"),
    (Colour, v.in_(["red"]), "none of its values passes"),
    (bool, v.gt(True), "none of its values passes"),
    (type(None), v.ge(0), "none of its values passes"),
    (complex, v.ge(0), "complex has no order"),
    (Annotated[int, msgspec.Meta(ge=3)], v.lt(3), "nothing is >= 3 and < 3"),
    (Video, v.instance_of(list), "not ndarray"),
    (ActorRef, v.instance_of(str), "not ActorRef"),
]


@pytest.mark.parametrize(("annotation", "validator", "reason"), numbered(IMPOSSIBLE))
def test_what_nothing_passes_is_an_error_that_names_class_and_field(annotation, validator, reason):
    with pytest.raises(ImpossibleField, match=rf"(?s)Holder\.it: no value passes: .*{reason}"):
        messages(holder(annotation, validator))


def test_the_error_of_a_class_inside_names_that_class():
    @message
    class Inner:
        n: int = attrs.field(validator=v.in_([]))

    @message
    class Outer:
        inner: list[Inner | int]

    with pytest.raises(ImpossibleField, match=r"Inner\.n: "):
        messages(Outer)


def test_a_class_that_must_contain_itself_is_an_error():
    @message
    class Egg:
        hen: tuple[Hen, int]

    @message
    class Hen:
        egg: Egg

    with pytest.raises(ImpossibleField, match=r"(Egg\.hen|Hen\.egg) contains another.*without end"):
        messages(Egg)


def test_a_class_that_cannot_travel_is_refused():
    @attrs.frozen
    class Odd:
        call: Any

    with pytest.raises(TypeError, match=r"Odd\.call: .*could be anything"):
        messages(Odd)


def test_something_that_is_no_message_class_is_refused():
    with pytest.raises(InvalidArgument, match="takes a message class"):
        messages(int)


# ---------------------------------------------------------------------------- arrays


def test_named_dimensions_agree_in_all_arrays_of_one_message():
    found = draws(messages(Picture), 100)

    for drawn in found:
        assert drawn.mask is None or drawn.mask.shape == drawn.pixels.shape
        assert len({square.shape for square in drawn.squares}) <= 1
    assert len({drawn.pixels.shape for drawn in found}) > 5


def test_messages_in_one_message_have_their_own_dimensions():
    @message
    class Album:
        pages: list[Picture]

    found = draws(messages(Album), 40)

    assert any(len({page.pixels.shape for page in drawn.pages}) > 1 for drawn in found)


def test_an_array_that_somebody_else_draws_gives_its_dimensions_to_the_others():
    picture = np.zeros((7, 2), "f4")
    strategy = messages(Picture, pixels=st.just(picture))

    assert {d.mask.shape for d in draws(strategy) if d.mask is not None} == {(7, 2)}


def test_a_validator_of_the_length_reaches_the_named_dimension():
    @message
    class Tall:
        pixels: Image = attrs.field(validator=v.min_len(6))
        mask: Mask

    assert all(6 <= drawn.mask.shape[0] == len(drawn.pixels) for drawn in draws(messages(Tall)))


def test_a_large_array_is_filled_with_more_than_one_number():
    assert any(len(np.unique(drawn.it)) > 1 for drawn in draws(messages(holder(Video))))


# ---------------------------------------------------------------------------- defaults, shrinking


@message
class Optional:
    must: int
    number: int = attrs.field(default=5, validator=v.ge(0))
    made: list[int] = attrs.field(factory=lambda: [1])
    name: str = "x"


def test_fields_with_defaults_are_drawn_and_left():
    found = draws(messages(Optional), 100)

    for field, default in (("number", 5), ("made", [1]), ("name", "x")):
        left = sum(getattr(drawn, field) == default for drawn in found)
        assert 15 < left < 95


def test_failures_shrink_to_the_defaults():
    assert find(messages(Optional), lambda m: m.must > 100) == Optional(101)
    assert find(messages(Optional), lambda m: m.name != "x") == Optional(0, name="")
    assert find(messages(Node), lambda m: m.children) == Node(0, [Node(0)])


def test_a_default_that_is_not_valid_is_not_left():
    @message
    class Sloppy:
        refused: int = attrs.field(default=-1, validator=v.ge(0))
        no_int: int = None
        converted: int = attrs.field(default="7", converter=int)

    found = draws(messages(Sloppy), 100)

    assert all(drawn.refused >= 0 and type(drawn.no_int) is int for drawn in found)
    assert sum(drawn.converted == 7 for drawn in found) > 15


def test_a_union_shrinks_to_none_and_then_to_what_is_plain():
    assert find(messages(holder(Node | list[int] | int | None)), lambda _: True).it is None
    assert find(messages(holder(Node | list[int] | int)), lambda _: True).it == 0


def test_a_class_that_contains_itself_is_drawn_deep_but_not_large():
    def depth(node):
        below = [*node.children, *([node.parent] if node.parent else [])]
        return 1 + max(map(depth, below), default=0)

    def size(node):
        return 1 + sum(map(size, node.children)) + (size(node.parent) if node.parent else 0)

    found = draws(messages(Node), 200)

    assert max(map(depth, found)) == 4
    assert max(map(size, found)) < 200


def test_a_class_without_end_is_cut_where_a_default_an_arm_or_a_list_allows_it():
    @message
    class Tree:
        left: Tree | int
        right: tuple[Tree | None, Tree | None]
        below: dict[str, Tree]
        some: set[int] = attrs.Factory(set)
        again: Tree | str = ""

    assert draws(messages(Tree), 20)


# ---------------------------------------------------------------------------- overrides


def test_an_override_takes_the_place_of_everything_that_is_known_of_a_field():
    found = draws(messages(Four, count=st.just(3), on=st.just(True)))

    assert {(drawn.count, drawn.on) for drawn in found} == {(3, True)}


def test_an_override_that_breaks_a_validator_is_the_error_of_the_class():
    with pytest.raises(ValueError, match="'x' must be >= 3"):
        draws(messages(Plain, x=st.just(1)))


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"other": st.just(1)}, "Four has no argument other; it has count, ratio, name, on"),
        ({"count": 3}, r"count=3 is not a strategy.*st\.just"),
    ],
)
def test_a_wrong_override_is_refused(overrides, reason):
    with pytest.raises(InvalidArgument, match=reason):
        messages(Four, **overrides)


# ---------------------------------------------------------------------------- converters


def test_a_converter_that_leaves_alone_what_it_made_is_fine():
    @message
    class Fine:
        name: str = attrs.field(converter=str.upper)
        real: float = attrs.field(converter=float)
        path: Path = attrs.field(converter=Path)
        maybe: int | None = attrs.field(converter=attrs.converters.optional(int), default=None)

    check_converters(Fine)

    assert all(drawn.name == drawn.name.upper() for drawn in draws(messages(Fine)))


def test_a_converter_that_changes_what_it_made_is_reported_with_the_smallest_value():
    @message
    class Growing:
        n: int = attrs.field(converter=lambda n: n + 1, validator=v.ge(0))

    with pytest.raises(UnstableConverter, match=r"Growing\.n: .*once it is 1, .*again it is 2"):
        check_converters(Growing)
    with pytest.raises(UnstableConverter, match=r"Growing\.n"):
        draws(messages(Growing))


def test_a_converter_that_does_not_take_its_fields_own_type_is_reported():
    @message
    class Hex:
        n: int = attrs.field(converter=functools.partial(int, base=16))

    @message
    class Words:
        words: list[str] = attrs.field(converter=lambda text: text.split(","))

    with pytest.raises(UnstableConverter, match=r"Hex\.n: its converter does not take 0"):
        check_converters(Hex)
    with pytest.raises(UnstableConverter, match=r"Words\.words: .*AttributeError"):
        check_converters(Words)


def test_a_converter_in_a_message_inside_is_reported_too():
    @message
    class Inner:
        n: int = attrs.field(converter=operator.neg)

    @message
    class Outer:
        inner: list[Inner]

    with pytest.raises(UnstableConverter, match=r"Inner\.n"):
        check_converters(Outer)


def test_a_converter_may_refuse_single_values():
    def small(n):
        if abs(n) > 100:
            raise ValueError
        return int(n)

    Holder = holder(int, converter=small)  # noqa: N806

    assert all(abs(drawn.it) <= 100 for drawn in draws(messages(Holder, it=st.integers(-200, 200))))


def test_a_nan_that_stays_a_nan_is_no_change():
    check_converters(holder(float, converter=lambda x: x * 1.0))


# ---------------------------------------------------------------------------- Hypothesis itself


def test_from_type_draws_message_classes():
    @message
    class Ratio(Request[float]):
        value: float = attrs.field(validator=[v.ge(0), v.le(1)])

    assert all(0 <= drawn.value <= 1 for drawn in draws(st.from_type(Ratio)))
    assert all(type(drawn.item) is int for drawn in draws(st.from_type(Box[int])))


def test_from_type_draws_what_is_defined_inside_other_things():
    found = draws(st.from_type(tuple[Picture, Optional]), 60)

    assert all(pair[1].number >= 0 for pair in found)


def test_given_infers_message_classes_from_annotations():
    seen = []

    @settings(max_examples=10, database=None)
    @given(picture=...)
    def run(picture: Picture) -> None:
        seen.append(picture.pixels.dtype)

    run()

    assert set(seen) == {np.dtype("float32")}


def test_builds_draws_what_is_required_and_leaves_the_rest():
    found = draws(st.builds(Optional, must=st.just(1)))
    assert set(map(repr, found)) == {repr(Optional(1))}

    found = draws(st.builds(Optional, st.integers(0, 3), number=...), 100)
    assert {drawn.must for drawn in found} == {0, 1, 2, 3}
    assert len({drawn.number for drawn in found}) > 5
    assert all(drawn.number >= 0 and drawn.made == [1] for drawn in found)

    assert all(drawn.pixels.ndim == 2 for drawn in draws(st.builds(Picture)))


def test_builds_of_a_function_draws_its_message_arguments():
    def both(one: Optional, two: Picture) -> tuple[Optional, Picture]:
        return one, two

    assert all(one.number >= 0 for one, _ in draws(st.builds(both)))


def test_builds_of_other_attrs_classes_is_left_alone():
    Other = attrs.make_class("Other", {"n": attrs.field(type=Fraction)})  # noqa: N806

    assert all(isinstance(drawn.n, Fraction) for drawn in draws(st.builds(Other)))


def test_the_function_of_hypothesis_that_is_replaced_is_still_there():
    assert hypothesis_attrs.from_attrs.__module__ == "actors.testing.strategies"


@pytest.mark.process
def test_importing_actors_imports_no_hypothesis():
    code = (
        "import sys, actors, actors.codec, actors.message; "
        "assert not {'hypothesis', 'actors.testing'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_hypothesis_that_builds_in_another_way_is_no_reason_to_fail(monkeypatch):
    monkeypatch.delattr(hypothesis_attrs, "from_attrs")

    strategies._take_over_builds()

    assert all(drawn.pixels.ndim == 2 for drawn in draws(st.from_type(Picture)))
