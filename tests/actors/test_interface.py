"""What a model's class offers, and what is refused when the class is made."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from actors import ActorRef
from actors.compute.interface import command, interface_of, output, plain
from actors.compute.server import ComputeServer


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Base(ComputeServer):
    colour: Annotated[Colour, "of the ink"] = Colour.RED
    pull: tuple[float, float] = (0.0, 0.0)
    seed: int | None = None
    mode: Literal["a", "b"] = "a"
    sink: ActorRef | None = None
    table: NDArray[np.float64] = attrs.field(factory=lambda: np.zeros(2))

    @output
    def mean(self) -> float | None:
        """The mean."""

    @output
    def picture(self) -> NDArray[np.float64]:
        """The picture."""
        return np.zeros(3)


class Derived(Base):
    width: Annotated[float, "of the line"] = 1.0

    def mean(self) -> float | None:
        """Another mean."""


def test_plain_fields_are_parameters_with_their_documentation():
    fields = interface_of(Derived).parameters

    assert fields["width"].parameter.doc == "of the line"
    assert fields["colour"].parameter.type == "'red' or 'blue'"
    assert {"pull", "seed", "mode", "steps_per_frame", "shutdown"} <= set(fields)
    assert {"sink", "table"}.isdisjoint(fields)


def test_outputs_are_scalars_or_arrays_and_overridden_ones_stay_outputs():
    interface = interface_of(Derived)

    assert (interface.scalars, interface.arrays) == (("mean",), ("picture",))
    assert interface.outputs["mean"].doc == "Another mean."
    assert {"start", "pause", "reset"} == set(interface.commands)


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("colour", "blue", Colour.BLUE),
        ("pull", [1, 2.5], (1.0, 2.5)),
        ("seed", None, None),
        ("mode", "b", "b"),
        ("width", 3, 3.0),
    ],
)
def test_plain_values_become_what_the_field_holds_and_back(name, given, read):
    field = interface_of(Derived).parameters[name]

    assert field.read(given) == read
    assert plain(read) == given


@pytest.mark.parametrize(
    ("name", "given"),
    [("colour", "green"), ("pull", [1.0]), ("seed", 1.5), ("mode", "c"), ("width", "3")],
)
def test_a_value_of_another_type_is_refused_by_name(name, given):
    with pytest.raises(ValueError, match=f"^{name} is "):
        interface_of(Derived).parameters[name].read(given)


def test_numbers_of_numpy_are_plain_numbers():
    assert plain(np.float32(0.5)) == 0.5
    assert type(plain(np.int64(3))) is int
    with pytest.raises(TypeError, match="neither a number"):
        plain(object())


def silent(self):
    """Nothing."""


def asking(self, question: int) -> float:
    return float(question)


def answering(self, question: int) -> None:
    """Something."""


async def waiting(self) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (output(silent), "no return annotation"),
        (output(asking), "no parameter but self"),
        (output(waiting), "between two steps"),
        (command(answering), "a command, which has no parameter"),
    ],
)
def test_an_output_or_command_that_cannot_work_is_refused_with_the_class(method, says):
    with pytest.raises(TypeError, match=says):
        type("Bad", (ComputeServer,), {"one": method, "__module__": __name__})


def test_a_parameter_cannot_be_an_output_too():
    class Width(ComputeServer):
        width: float = 1.0

    def measured(self) -> float:
        return 1.0

    body = {"width": output(measured), "__module__": __name__}
    with pytest.raises(TypeError, match="parameter and an output"):
        type("Both", (Width,), body)
