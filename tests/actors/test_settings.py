"""Parameters of a model: changed all together or not at all, and taken over from a former life."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compute.interface import interface_of
from actors.compute.server import ComputeServer
from actors.compute.settings import Settings


def below_high(model, _attribute, value):
    if value >= model.high:
        raise ValueError(f"low is {value}, which is not below high")


def above_low(model, _attribute, value):
    if value <= model.low:
        raise ValueError(f"high is {value}, which is not above low")


def narrow(model, _attribute, value):
    if abs(value - model.left) > 2:
        raise ValueError("too wide")


def growing(model, _attribute, value):
    if value < model.age:  # at the beginning it is this very value
        raise ValueError(f"it is {model.age} already")


def known(_model, _attribute, value):
    {0: "none"}[value]


def not_longer(model, _attribute, value):
    if value > len(model.text):
        raise ValueError(f"{model.text} is not as long as {value}")


class OddError(ValueError):
    def __init__(self, amount, *, unit):
        super().__init__(amount)
        self.unit = unit

    def __str__(self):
        return f"{self.args[0]} {self.unit} is too much"


class Mute:
    def __str__(self):
        raise RuntimeError("no words")


def odd(value):
    if value == "too much":
        raise OddError(3, unit="mm")
    if value == "no words":
        raise ValueError(Mute())
    return value.encode().decode("ascii")


class Window(ComputeServer):
    low: int = attrs.field(default=0, validator=below_high)
    high: int = attrs.field(default=1, validator=above_low)
    left: int = 0
    right: int = attrs.field(default=0, validator=narrow)
    age: int = attrs.field(default=7, validator=growing)
    key: int = attrs.field(default=0, validator=known)
    least: float = attrs.field(default=0.0, validator=not_longer)
    text: str = attrs.field(default="", converter=lambda text: f"<{text}>")
    label: str = attrs.field(default="", converter=odd)
    kind: str = attrs.field(default="a", validator=attrs.validators.in_("ab"))


def begun(**fields):
    model = Window(**fields)
    return model, Settings(model, interface_of(Window))


NUMBERS = st.integers(-3, 3)
BOUNDS = st.tuples(NUMBERS, NUMBERS)


@given(BOUNDS.filter(lambda bounds: bounds[0] < bounds[1]), BOUNDS, st.booleans())
def test_values_that_fit_each_other_are_taken_in_any_order_and_others_change_nothing(
    before, after, turned
):
    model, settings = begun(low=before[0], high=before[1])
    values = dict(zip(("low", "high"), after, strict=True))
    if turned:
        values = dict(reversed(values.items()))
    if after[0] < after[1]:
        settings.change(values)
        assert (model.low, model.high) == after
    else:
        with pytest.raises(ValueError, match=r"not (below high|above low)"):
            settings.change(values)
        assert (model.low, model.high) == before


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"label": "too much"}, OddError, "^3 mm is too much$"),
        ({"label": "à"}, UnicodeDecodeError, "'ascii' codec can't decode byte"),
        ({"label": "no words"}, ValueError, r"^\(its __str__ raised\)$"),
        ({"kind": "c"}, ValueError, r"^'kind' must be in 'ab' \(got 'c'\)$"),
    ],
)
def test_a_refusal_names_its_reason_however_its_error_is_made(values, error, text):
    # Recorded: one of such a class could not be made again, and that was the error.
    model, settings = begun()

    with pytest.raises(error, match=text):
        settings.change({"left": 1, **values})
    assert (model.left, model.label) == (0, "")


def test_values_of_which_none_could_be_set_before_the_other_are_taken_together():
    model, settings = begun()
    settings.change({"right": 8, "left": 7})

    assert (model.left, model.right) == (7, 8)


def test_a_validator_sees_what_its_parameter_was():
    model, settings = begun()
    settings.change({"age": 9, "low": -1})
    with pytest.raises(ValueError, match="it is 9 already"):
        settings.change({"low": -2, "age": 8})

    assert (model.low, model.age) == (-1, 9)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"key": 5}, KeyError), ({"lo": 1}, LookupError), ({"high": 1.5}, ValueError)],
)
def test_whatever_refuses_one_value_changes_none(wrong, error):
    model, settings = begun()
    for values in itertools.permutations([("low", -4), ("left", 1), *wrong.items()]):
        with pytest.raises(error):
            settings.change(dict(values))
        assert (model.low, model.high, model.left, model.key) == (0, 1, 0, 0)


def test_what_was_changed_can_be_put_back():
    model, settings = begun()
    settings.put_back(settings.change({"low": 5, "high": 10}))

    assert (model.low, model.high) == (0, 1)


def test_what_a_converter_makes_is_what_the_validators_see():
    model, settings = begun()
    settings.change({"least": 3.0, "text": "a"})
    with pytest.raises(ValueError, match="<a> is not as long as 4"):
        settings.change({"least": 4.0})

    assert (model.least, model.text) == (3.0, "<a>")


def test_the_next_life_takes_over_whatever_this_one_has_come_to():
    _, settings = begun(age=1)
    for one in ({"high": 10}, {"low": 5}, {"right": 2}, {"left": 9}):
        settings.change(one)
    following, taken = begun()
    taken.take_over(settings.parameters() | {"gone": 3, "start_paused": True})

    assert taken.parameters() == settings.parameters()
    assert following.left - following.right > 2  # which one set after the other may be
    assert not following.start_paused
