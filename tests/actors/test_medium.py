"""Grid, constants and traps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compute.medium import Bucket, Grid, Harmonic, Medium

sizes = st.integers(2, 40)


def test_the_defaults_are_the_units_of_the_film():
    medium = Medium()

    assert medium.grid.shape == (64, 64)
    assert medium.chemical_potential == 0.5
    assert medium.density == 0.5
    assert medium.sound_speed == pytest.approx(math.sqrt(0.5))
    assert medium.time_scale == pytest.approx(1 / np.pi**2)
    assert medium.dt == pytest.approx(0.1 / np.pi**2)
    assert np.all(medium.potential() == 0)


@given(nx=sizes, ny=sizes, dx=st.floats(0.1, 3))
def test_places_are_centred_and_evenly_spaced(nx, ny, dx):
    grid = Grid(nx, ny, dx)
    x, y = grid.places()

    assert x.shape == (nx, 1)
    assert y.shape == (1, ny)
    assert x[0, 0] == pytest.approx(-grid.lengths[0] / 2)
    assert np.diff(y[0]) == pytest.approx(dx)
    assert grid.cell * nx * ny == pytest.approx(grid.lengths[0] * grid.lengths[1])


@given(nx=sizes, ny=sizes, wave=st.tuples(st.integers(-20, 20), st.integers(-20, 20)))
def test_slopes_differentiate_every_wave_the_grid_can_tell(nx, ny, wave):
    grid = Grid(nx, ny, 0.5)
    p, q = (n % ((size + 1) // 2) for n, size in zip(wave, grid.shape, strict=True))
    (x, y), (width, height) = grid.places(), grid.lengths
    kx, ky = 2 * np.pi * p / width, 2 * np.pi * q / height
    ripple = np.exp(1j * (kx * x + ky * y))
    slope_x, slope_y = grid.slopes()

    np.testing.assert_allclose(
        np.fft.ifft2(1j * slope_x * np.fft.fft2(ripple)), 1j * kx * ripple, atol=1e-11
    )
    np.testing.assert_allclose(
        np.fft.ifft2(1j * slope_y * np.fft.fft2(ripple)), 1j * ky * ripple, atol=1e-11
    )


def test_the_highest_wave_of_an_even_grid_has_no_slope():
    kx, ky = Grid(8, 5).slopes()

    assert kx[4, 0] == 0
    assert np.count_nonzero(kx) == 6
    assert np.count_nonzero(ky) == 4


@given(x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3))
def test_wrapping_changes_a_place_by_whole_boxes(x, y):
    grid = Grid(20, 30, 0.5)

    inside_x, inside_y = grid.wrap(x, y)

    assert -5 <= inside_x <= 5
    assert -7.5 <= inside_y <= 7.5
    assert (x - inside_x) / 10 == pytest.approx(round((x - inside_x) / 10), abs=1e-9)
    assert (y - inside_y) / 15 == pytest.approx(round((y - inside_y) / 15), abs=1e-9)


def test_a_harmonic_trap_is_a_parabola():
    medium = Medium(grid=Grid(8, 8), mass=2.0, trap=Harmonic(0.5, 1.0))
    x, y = medium.grid.places()

    np.testing.assert_allclose(medium.potential(), 0.25 * x**2 + y**2)


def test_a_bucket_is_flat_inside_and_high_outside():
    medium = Medium(grid=Grid(64, 32), trap=Bucket(height=50.0))
    potential = medium.potential()
    x, y = medium.grid.places()
    radius = (x / 32) ** 2 + (y / 16) ** 2

    assert np.all(potential[radius <= 0.8] == 0)
    assert np.all(potential[radius >= 1] == pytest.approx(25.0))
    assert np.any((potential > 1) & (potential < 24))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Grid(nx=1), r"Grid\.nx is 1, but it must be two points or more"),
        (lambda: Grid(dx=0.0), r"Grid\.dx is 0\.0"),
        (lambda: Medium(mass=-1.0), r"Medium\.mass is -1\.0"),
        (lambda: Medium(coupling=0.0), r"Medium\.coupling is 0\.0"),
        (lambda: Medium(time_step=math.inf), r"Medium\.time_step is inf"),
        (lambda: Harmonic(-0.1, 0.1), r"Harmonic\.frequency_x is -0\.1"),
        (lambda: Bucket(width=0.0), r"Bucket\.width is 0\.0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, said):
    with pytest.raises(ValueError, match=said):
        make()
