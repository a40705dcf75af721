"""The finger alone: its spring, its speed limit, its shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compute.medium import Grid
from actors.compute.stirrer import Finger, Motion, Spring

GRID = Grid(40, 30, 0.5)  # 20 by 15
FREE = math.inf  # no speed limit

places = st.floats(-7, 7)
speeds = st.floats(-3, 3)


@pytest.mark.parametrize("damping", [0.0, 0.5, 2.0, 2.0 + 1e-9, 7.0])
def test_the_spring_is_solved_exactly_whatever_its_damping(damping):
    """Swinging, critical and creeping: compare with the differential equation, finely stepped."""
    finger = Finger(stiffness=1.0, damping=damping)
    motion = Motion(3.0, -1.0, 0.2, 0.4, 1.0, 1.0)
    u, v, fine = np.array([2.0, -2.0]), np.array([0.2, 0.4]), 1e-4
    for _ in range(20_000):  # leapfrog with the damping in the middle: second order
        v = (v * (1 - damping * fine / 4) - u * fine / 2) / (1 + damping * fine / 4)
        u = u + fine * v
        v = (v * (1 - damping * fine / 4) - u * fine / 2) / (1 + damping * fine / 4)

    moved = finger.spring(2.0).moved(motion, GRID, limit=FREE)

    assert (moved.x - 1, moved.y - 1) == pytest.approx(tuple(u), abs=1e-6)
    assert (moved.vx, moved.vy) == pytest.approx(tuple(v), abs=1e-6)


@given(x=places, vx=speeds, damping=st.floats(0, 9), stiffness=st.floats(0, 9))
def test_two_half_steps_are_one_step(x, vx, damping, stiffness):
    finger, motion = Finger(stiffness=stiffness, damping=damping), Motion(x, 0.0, vx, 0.0)
    half = finger.spring(0.15)

    twice = half.moved(half.moved(motion, GRID, limit=FREE), GRID, limit=FREE)

    once = finger.spring(0.3).moved(motion, GRID, limit=FREE)
    assert twice.x == pytest.approx(once.x, abs=1e-9)
    assert twice.vx == pytest.approx(once.vx, abs=1e-9)


@given(
    start=st.tuples(places, places, speeds, speeds, places, places),
    limit=st.floats(0, 2),
    damping=st.floats(0, 9),
    stiffness=st.floats(0, 50),
)
def test_the_finger_is_never_faster_than_its_limit(start, limit, damping, stiffness):
    motion, dt = Motion(*start), 0.1
    spring = Finger(stiffness=stiffness, damping=damping).spring(dt)

    for _ in range(20):
        before, motion = motion, spring.moved(motion, GRID, limit=limit)

        way = math.hypot(*GRID.wrap(motion.x - before.x, motion.y - before.y))
        assert motion.speed <= limit * (1 + 1e-12) + 1e-12
        assert way <= limit * dt * (1 + 1e-9) + 1e-12
        assert abs(motion.x) <= 10
        assert abs(motion.y) <= 7.5


@given(x=places, y=places, target_x=places, target_y=places)
def test_the_finger_arrives_at_its_target_and_stays(x, y, target_x, target_y):
    motion, spring = Motion(x, y, 0, 0, target_x, target_y), Finger().spring(0.1)

    for _ in range(600):
        motion = spring.moved(motion, GRID, limit=0.7)

    assert math.hypot(*GRID.wrap(motion.x - target_x, motion.y - target_y)) < 1e-6
    assert motion.speed < 1e-6


def test_the_finger_takes_the_short_way_through_the_edge():
    motion = Motion(9.0, 0.0, 0.0, 0.0, -9.0, 0.0)

    moved = Finger().spring(0.1).moved(motion, GRID, limit=FREE)

    assert moved.vx > 0


def test_a_finger_that_nothing_pulls_goes_straight_on():
    assert Finger(stiffness=0.0, damping=0.0).spring(0.5) == Spring(0.5, 1.0, 0.5, -0.0, 1.0)


@given(x=places, y=places, strength=st.floats(-3, 3), radius=st.floats(0.5, 2))
def test_the_bump_is_a_gaussian_of_the_shortest_distance(x, y, strength, radius):
    finger = Finger(strength=strength, radius=radius)

    bump = finger.bump(GRID, Motion(x, y), unit=0.5)

    columns, rows = GRID.places()
    square = sum(
        np.minimum.reduce([(line - at + shift * length) ** 2 for shift in (-1, 0, 1)])
        for line, at, length in ((columns, x, 20.0), (rows, y, 15.0))
    )
    expected = strength * 0.5 * np.exp(-square / (2 * radius**2))
    np.testing.assert_allclose(bump.potential(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": 0.0},
        {"radius": math.nan},
        {"stiffness": -1.0},
        {"damping": -0.1},
        {"strength": math.inf},
    ],
)
def test_a_finger_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=rf"Finger\.{next(iter(wrong))} is"):
        Finger(**wrong)
