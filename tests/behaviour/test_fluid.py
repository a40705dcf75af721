"""The superfluid of the examples, as a model that is steered; its solver has its own tests."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import supervisor
from actors.compute.client import Computation
from actors.compute.superfluid import Superfluid

sys.path.append(str(Path(__file__).parents[2] / "examples" / "superfluid"))

from fluid import Fluid


def begun(**fields):
    model = Fluid(**fields)
    model.begin()
    return model


def test_norm_and_energy_are_kept_while_the_finger_stirs():
    model = begun(size=32, strength=1.0, tracers=0)
    model.finger = (6.0, 3.0)
    model.changed(frozenset({"finger"}))
    model.advance(200)

    assert abs(model.norm_drift()) < 1e-11
    assert abs(model.energy_drift()) < 1e-3


def test_cooling_takes_energy_out_and_keeps_the_norm():
    model = begun(size=32, vortices=2, cooling=0.05, tracers=0)
    assert model.vortex_count() >= 2
    seen = []
    for _ in range(5):
        model.advance(20)
        seen.append(model.energy_drift())

    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 0
    assert abs(model.norm_drift()) < 1e-9


def test_tracers_drift_with_a_uniform_flow_at_exactly_its_speed():
    model = begun(size=32, tracers=50)
    medium = model.fluid.medium
    x, y = medium.grid.places()
    wave = 2 * np.pi * 2 / medium.grid.lengths[0]
    model.fluid = Superfluid(medium, psi=np.sqrt(medium.density) * np.exp(1j * wave * (x + 0 * y)))
    before = model.places.copy()
    model.advance(20)

    way = (model.places - before + 16) % 32 - 16
    assert way[:, 0] == pytest.approx(medium.hbar * wave / medium.mass * 20 * medium.dt)
    assert way[:, 1] == pytest.approx(0.0, abs=1e-9)


def test_tracers_begin_where_fluid_is():
    model = begun(size=32, trap="bucket", tracers=500)
    cells = np.round(model.places / model.fluid.medium.grid.dx + 16).astype(int) % 32

    assert (model.density()[cells[:, 0], cells[:, 1]] > 0).mean() > 0.95


def test_what_was_kept_goes_on_to_the_bit_however_the_steps_are_divided_before():
    model, other = (begun(size=16, strength=0.5, vortices=1, tracers=9) for _ in range(2))
    model.advance(7)
    other.resume(model.state())
    model.advance(13)
    other.advance(13)

    assert np.array_equal(model.density(), other.density())
    assert np.array_equal(model.places, other.places)


@pytest.mark.parametrize("number", [math.inf, math.nan])
@pytest.mark.parametrize("name", ["finger", "strength", "cooling"])
def test_what_is_no_finite_number_is_refused_by_name_when_it_is_set_and_when_it_is_spawned(
    name, number
):
    value = (0.0, number) if name == "finger" else number
    model = Fluid()
    with pytest.raises(ValueError, match=rf"{name}.* finite"):
        setattr(model, name, value)
    with pytest.raises(ValueError, match=rf"{name}.* finite"):
        Fluid(**{name: value})


def test_it_runs_is_steered_and_survives_a_kill():
    with supervisor.start() as system:
        fluid = Computation(system, system.spawn(Fluid, name="fluid", size=32, tracers=20))
        with fluid.view("density") as view:
            fluid.set(strength=1.5, finger=(5.0, 0.0), cooling=0.01)
            before = view.wait(20.0)
            assert before.array.shape == (32, 32)
            system.kill("fluid")
            after = next(frame for frame in view if frame.moment.incarnation == 2)
        assert after.moment.parameters["strength"] == 1.5
        assert abs(after.moment.scalars["norm_drift"]) < 1e-9
        assert fluid.get_array("drifters").shape == (20, 2)
