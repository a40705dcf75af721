"""Drawing vortices into a periodic box, and counting them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compute.medium import Grid
from actors.compute.vortices import Vortex, charges, drawn

shapes = st.sampled_from([Grid(32, 32), Grid(48, 20, 0.5), Grid(20, 48, 0.7), Grid(96, 8)])
POINT = 1e-6  # a core much smaller than a cell: nothing but the phase
parts = st.floats(-0.75, 0.75)  # of the box; beyond 0.5: a place on the other side


@st.composite
def neutral(draw):
    """A grid, and vortices on it whose charges add up to zero."""
    grid = draw(shapes)
    width, height = grid.lengths
    weights = draw(st.lists(st.integers(-2, 2), min_size=1, max_size=4))
    places = [(draw(parts) * width, draw(parts) * height) for _ in range(len(weights) + 1)]
    return grid, [
        Vortex(x, y, charge)
        for (x, y), charge in zip(places, [*weights, -sum(weights)], strict=True)
    ]


@given(drawing=neutral(), shift=st.tuples(st.integers(-50, 50), st.integers(-50, 50)))
def test_the_phase_fits_at_the_seams_wherever_they_are(drawing, shift):
    """Shift the vortices by whole cells: the picture shifts, but for a uniform flow that fits."""
    grid, vortices = drawing
    moved = [
        Vortex(vortex.x + shift[0] * grid.dx, vortex.y + shift[1] * grid.dx, vortex.charge)
        for vortex in vortices
    ]

    picture = np.roll(drawn(grid, vortices, core=POINT), shift, axis=(0, 1))

    change = drawn(grid, moved, core=POINT) * picture.conj()
    waves = np.abs(np.fft.fft2(change)) / change.size
    assert waves.max() == pytest.approx(1, abs=0.01)  # one single wave, or none


places = st.tuples(st.integers(0, 7), st.integers(0, 7))


# Along an edge of its plaquette a vortex turns the phase by pi/2, and each other one, four cells
# away, by up to 1/3.5 more: from six on, edges can turn by more than pi, which looks like the
# opposite turn, and the charge seems to be next door (twelve were found that do so).
@given(cells=st.lists(places, min_size=2, max_size=4, unique=True))
def test_what_was_drawn_is_counted(cells):
    """Vortices four cells apart, in the middle of their plaquettes, of alternating charge."""
    grid, cells = Grid(32, 32), cells[: len(cells) // 2 * 2]
    signs = [1 - 2 * (n % 2) for n in range(len(cells))]
    vortices = [
        Vortex(4 * i - 16 + 0.5, 4 * j - 16 + 0.5, sign)
        for (i, j), sign in zip(cells, signs, strict=True)
    ]

    found = charges(drawn(grid, vortices, core=1.0))

    expected = np.zeros(grid.shape, int)
    for (i, j), sign in zip(cells, signs, strict=True):
        expected[4 * i, 4 * j] = sign
    np.testing.assert_array_equal(found, expected)


def test_a_lone_vortex_has_the_phase_of_the_plane():
    grid = Grid(32, 32)
    x, y = grid.places()

    factor = drawn(grid, [Vortex(0.5, -0.5, 2)], core=POINT)

    np.testing.assert_allclose(factor, np.exp(2j * np.arctan2(y + 0.5, x - 0.5)), atol=1e-12)


def test_a_core_is_a_hole_as_wide_as_the_healing_length():
    grid = Grid(64, 64, 0.25)

    density = np.abs(drawn(grid, [Vortex(0.0, 0.0)], core=1.0)) ** 2

    assert density[32, 32] == 0
    assert density[36, 32] == pytest.approx(1 / 3, rel=0.02)  # one healing length away
    assert density[0, 0] > 0.9


def test_no_vortices_change_nothing():
    np.testing.assert_array_equal(drawn(Grid(8, 8), [], core=1.0), np.ones((8, 8)))


def test_a_vortex_is_somewhere():
    with pytest.raises(ValueError, match=r"Vortex\.x is nan"):
        Vortex(math.nan, 0)
