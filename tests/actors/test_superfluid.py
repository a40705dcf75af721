"""The solver against closed forms from the literature.

Nothing here compares the solver with an earlier run of itself: every expected value is a formula.
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.compute.medium import Bucket, Grid, Harmonic, Medium
from actors.compute.stirrer import Finger, Motion
from actors.compute.superfluid import STEPS_PER_FRAME, Superfluid
from actors.compute.vortices import Vortex, charges

SMALL = Grid(32, 24)

# Each example runs the solver, so there are few of them, and none is shrunk: a smaller wave in a
# wrong solver says nothing new, and shrinking would take minutes.
FEW = settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def wavy(medium, seed=0, roughness=0.3):
    """A smooth random disturbance of the uniform fluid, in its longest 5 x 5 waves."""
    generator = np.random.default_rng(seed)
    waves = np.zeros(medium.grid.shape, complex)
    waves[:3, :3] = generator.normal(size=(3, 3)) + 1j * generator.normal(size=(3, 3))
    waves[-2:, :3] = generator.normal(size=(2, 3)) + 1j * generator.normal(size=(2, 3))
    ripple = np.fft.ifft2(waves)
    return np.sqrt(medium.density) * (1 + roughness * ripple / np.abs(ripple).max())


def stirred(time_step, *, target=(5.0, 3.0), **finger):
    """A fluid whose finger is on its way, and the energy it had before."""
    fluid = Superfluid(Medium(grid=SMALL, time_step=time_step), Finger(**finger))
    fluid.aim(*target)
    return fluid, fluid.energy()


def mean(fluid, quantity):
    density = fluid.density()
    return float(np.sum(density * quantity) / np.sum(density))


# --- conserved quantities ----------------------------------------------------------------------


@FEW
@given(seed=st.integers(0, 2**32 - 1), roughness=st.floats(0, 0.6))
def test_norm_is_conserved_to_rounding(seed, roughness):
    medium = Medium(grid=SMALL)
    fluid = Superfluid(medium, Finger(), psi=wavy(medium, seed, roughness))
    fluid.aim(4, 4)
    before = fluid.norm()

    fluid.step(200)

    assert fluid.norm() == pytest.approx(before, rel=1e-13)


@FEW
@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(-1, 3))
def test_a_still_finger_conserves_energy(seed, strength):
    medium = Medium(grid=SMALL)
    fluid = Superfluid(medium, Finger(strength=strength), psi=wavy(medium, seed))
    before = fluid.energy()

    fluid.step(200)

    assert fluid.work == 0
    assert fluid.energy() == pytest.approx(before, rel=2e-6)


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_without_anything_in_the_way_momentum_is_conserved(seed):
    medium = Medium(grid=SMALL)
    fluid = Superfluid(medium, psi=wavy(medium, seed))
    before = fluid.momentum()

    fluid.step(200)

    assert fluid.momentum() == pytest.approx(before, rel=1e-6, abs=1e-6)


# --- the order of the method: Bao, Jaksch and Markowich, J. Comput. Phys. 187, 318 (2003) --------


def energy_error(time_step):
    medium = Medium(grid=SMALL, time_step=time_step)
    fluid = Superfluid(medium, psi=wavy(medium))
    before, errors = fluid.energy(), []
    for _ in range(10):
        fluid.step(round(16 / time_step))
        errors.append(abs(fluid.energy() - before))
    return max(errors)


def test_energy_error_is_of_second_order():
    assert energy_error(0.8) / energy_error(0.4) == pytest.approx(4, rel=0.05)


def test_wave_function_converges_with_second_order():
    def run(time_step):
        medium = Medium(grid=SMALL, time_step=time_step)
        fluid = Superfluid(medium, Finger(stiffness=0.2, damping=0.5), psi=wavy(medium))
        fluid.aim(2, 1)  # so near that the finger stays below its limit
        fluid.step(round(40 / time_step))
        return fluid.psi

    coarse, middle, fine = run(0.4), run(0.2), run(0.1)

    assert np.abs(coarse - middle).max() / np.abs(middle - fine).max() == pytest.approx(4, rel=0.05)


def test_time_reversal_returns_to_the_start():
    medium = Medium(grid=SMALL, trap=Bucket())
    start = wavy(medium)
    forward = Superfluid(medium, psi=start)
    forward.step(300)

    backward = Superfluid(medium, psi=forward.psi.conj())  # Wigner: conjugate and go on
    backward.step(300)

    np.testing.assert_allclose(backward.psi.conj(), start, rtol=0, atol=1e-11)


# --- waves -------------------------------------------------------------------------------------


@FEW
@given(
    wave=st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
    hbar=st.floats(0.5, 2),
    mass=st.floats(0.5, 2),
    coupling=st.floats(0.2, 3),
)
def test_a_plane_wave_turns_with_its_exact_frequency(wave, hbar, mass, coupling):
    """Kinetic plus interaction energy minus mu, and splitting makes no error at all."""
    medium = Medium(grid=SMALL, hbar=hbar, mass=mass, coupling=coupling)
    x, y = medium.grid.places()
    kx, ky = (2 * np.pi * n / length for n, length in zip(wave, medium.grid.lengths, strict=True))
    psi = 1.3 * np.sqrt(medium.density) * np.exp(1j * (kx * x + ky * y))
    fluid = Superfluid(medium, psi=psi)

    fluid.step(100)

    energy = hbar**2 * (kx**2 + ky**2) / (2 * mass) + 0.69 * medium.chemical_potential
    expected = psi * np.exp(-1j * energy * fluid.time / hbar)
    np.testing.assert_allclose(fluid.psi, expected, rtol=0, atol=1e-11 * np.abs(psi).max())
    np.testing.assert_allclose(fluid.velocity()[0], hbar * kx / mass, rtol=0, atol=1e-9)
    np.testing.assert_allclose(fluid.velocity()[1], hbar * ky / mass, rtol=0, atol=1e-9)
    momentum = (fluid.norm() * hbar * kx, fluid.norm() * hbar * ky)
    assert fluid.momentum() == pytest.approx(momentum, abs=1e-9)


@FEW
@given(wave=st.integers(1, 8), coupling=st.floats(0.3, 3))
def test_small_waves_have_the_frequency_of_bogoliubov(wave, coupling):
    """hbar w = sqrt(e (e + 2 g n)), e = (hbar k)^2 / 2m: Bogoliubov, J. Phys. USSR 11 (1947)."""
    medium = Medium(grid=Grid(64, 2), coupling=coupling, time_step=0.2)
    ripple = np.cos(2 * np.pi * wave / 64 * medium.grid.places()[0]) * np.ones((1, 2))
    fluid = Superfluid(medium, psi=np.sqrt(medium.density) * (1 + 1e-5 * ripple) + 0j)
    energy = (2 * np.pi * wave / 64) ** 2 / 2
    frequency = math.sqrt(energy * (energy + 2 * medium.coupling * medium.density))
    begin = np.sum(fluid.density() * ripple)

    for _ in range(12):
        fluid.step(round(2 * np.pi / frequency / medium.dt / 8))

        swing = np.sum(fluid.density() * ripple) / begin
        assert swing == pytest.approx(math.cos(frequency * fluid.time), abs=5e-4)


@pytest.mark.parametrize("speed", [0.2, 0.5, 0.8])
def test_grey_solitons_keep_their_shape_and_speed(speed):
    """Tsuzuki, J. Low Temp. Phys. 4, 441 (1971): width hbar / (m c sqrt(1 - v^2/c^2))."""
    medium = Medium(grid=Grid(256, 2, 0.5), time_step=0.5)
    x, _ = medium.grid.places()
    sound = medium.sound_speed
    depth = math.sqrt(1 - speed**2)

    def pair(at):  # one to the left and one to the right of the middle, so that the ends fit
        left = 1j * speed + depth * np.tanh(depth * sound * (x + at))
        right = 1j * speed - depth * np.tanh(depth * sound * (x - at))
        return np.sqrt(medium.density) * left * right * np.ones((1, 2))

    fluid = Superfluid(medium, psi=pair(32.0))

    fluid.step(round(20 / medium.dt))

    expected = np.abs(pair(32.0 - speed * sound * fluid.time)) ** 2
    np.testing.assert_allclose(fluid.density(), expected, rtol=0, atol=5e-4 * medium.density)


# --- in a harmonic trap ------------------------------------------------------------------------


TRAP = 0.3
TRAPPED = Medium(grid=Grid(40, 40, 0.6), time_step=0.5, trap=Harmonic(TRAP, TRAP))


def cloud(coupling, *, at=(0.0, 0.0), width=1.2, kick=(0.0, 0.0), atoms=20.0):
    """A Gaussian of any width in the trap, thrown from any place: no eigenstate of anything."""
    medium = attrs.evolve(TRAPPED, coupling=coupling)
    x, y = medium.grid.places()
    size = width / math.sqrt(TRAP)
    psi = np.exp(-((x - at[0]) ** 2 + 1.2 * (y - at[1]) ** 2) / (2 * size**2))
    psi = psi * np.exp(1j * (kick[0] * x + kick[1] * y))
    psi *= math.sqrt(atoms / (np.sum(np.abs(psi) ** 2) * medium.grid.cell))
    return Superfluid(medium, psi=psi)


@FEW
@given(coupling=st.floats(0.01, 0.5), at=st.floats(-2, 2), kick=st.floats(-0.4, 0.4))
def test_a_trapped_cloud_swings_with_the_frequency_of_the_trap(coupling, at, kick):
    """Kohn, Phys. Rev. 123, 1242 (1961); Dobson, Phys. Rev. Lett. 73, 2244 (1994): for any g."""
    fluid = cloud(coupling, at=(at, -at), kick=(kick, 0.1))
    x, y = fluid.medium.grid.places()

    for _ in range(4):
        fluid.step(100)

        swing, turn = math.cos(TRAP * fluid.time), math.sin(TRAP * fluid.time) / TRAP
        assert mean(fluid, x) == pytest.approx(at * swing + kick * turn, abs=5e-5)
        assert mean(fluid, y) == pytest.approx(-at * swing + 0.1 * turn, abs=5e-5)


@FEW
@given(coupling=st.floats(0.01, 0.5), width=st.floats(1, 1.5))  # more would reach the seams
def test_a_trapped_cloud_breathes_with_twice_the_frequency_of_the_trap(coupling, width):
    """Pitaevskii and Rosch, Phys. Rev. A 55, R853 (1997): in two dimensions, for any g and shape.

    <r^2> swings around E / (N m w^2), which is the virial theorem.
    """
    fluid = cloud(coupling, width=width)
    x, y = fluid.medium.grid.places()
    square = x**2 + y**2
    begin = mean(fluid, square)
    middle = fluid.energy() / (fluid.norm() * TRAP**2)

    for _ in range(4):
        fluid.step(100)

        expected = middle + (begin - middle) * math.cos(2 * TRAP * fluid.time)
        assert mean(fluid, square) == pytest.approx(expected, rel=1e-4)


def test_relaxing_finds_the_ground_state_of_the_trap():
    """Two directions, hbar w / 2 each, when the atoms hardly repel: any book."""
    fluid = cloud(1e-9, at=(1.0, 0.5))

    fluid.relax(2500)

    assert fluid.energy() / fluid.norm() == pytest.approx(TRAP, rel=1e-6)
    assert fluid.time == 0


# --- vortices ----------------------------------------------------------------------------------


def circulation(fluid, centre, half):
    """Integrate the velocity along a square around `centre`, counter-clockwise (trapezium rule)."""
    (flow_x, flow_y), grid = fluid.velocity(), fluid.medium.grid
    i, j = (round(place / grid.dx) + n // 2 for place, n in zip(centre, grid.shape, strict=True))
    along = np.ones(2 * half + 1)
    along[[0, -1]] = 0.5
    across, up = slice(i - half, i + half + 1), slice(j - half, j + half + 1)
    bottom, top = flow_x[across, j - half] @ along, flow_x[across, j + half] @ along
    left, right = flow_y[i - half, up] @ along, flow_y[i + half, up] @ along
    return float(bottom + right - top - left) * grid.dx


@pytest.mark.parametrize("charge", [-1, 1])
def test_circulation_is_quantised(charge):
    """Charge times 2 pi hbar / m (Onsager 1949; Feynman 1955), after the flow has run as well."""
    medium = Medium(grid=Grid(64, 64), hbar=1.5, mass=0.75, healing_length=1.5)
    fluid = Superfluid(medium)
    fluid.imprint([Vortex(-15.5, 0.5, charge), Vortex(16.5, 0.5, -charge)])
    fluid.relax(40)  # let the cores find their shape, or they shout

    fluid.step(40)

    quantum = 2 * np.pi * medium.hbar / medium.mass
    assert circulation(fluid, (-15.5, 0.5), 9) == pytest.approx(charge * quantum, rel=5e-3)
    assert circulation(fluid, (16.5, 0.5), 9) == pytest.approx(-charge * quantum, rel=5e-3)
    assert circulation(fluid, (0.5, 15.5), 9) == pytest.approx(0, abs=5e-3 * quantum)


def test_a_vortex_pair_carries_itself_along():
    """Each moves with the flow of the other and of all images: Lamb, Hydrodynamics, section 156.

    A row of vortices a length L apart gives (hbar / m) (pi / L) coth(pi d / L) at a distance d.
    """
    medium, apart = Medium(grid=Grid(48, 48), time_step=0.5), 9.0
    fluid = Superfluid(medium)
    fluid.imprint([Vortex(12.5, 4.5, -1), Vortex(12.5, -4.5, 1)])
    fluid.relax(40)
    rows = (apart / 48 + n for n in range(-3, 4))
    speed = np.pi / 48 * sum(1 / math.tanh(np.pi * row) for row in rows)

    fluid.step(round(160 / medium.dt))

    found = np.argwhere(charges(fluid.psi))
    assert len(found) == 2
    assert found[:, 0] - 24 + 0.5 == pytest.approx(12.5 - speed * fluid.time, abs=1.5)
    assert sorted(found[:, 1] - 24 + 0.5) == pytest.approx([-4.5, 4.5], abs=1)


def test_imprinting_keeps_the_norm_and_puts_each_vortex_in_its_place():
    fluid = Superfluid(Medium(grid=Grid(40, 32)))
    before = fluid.norm()

    fluid.imprint([Vortex(-10.5, 3.5, 1), Vortex(4.5, -8.5, 1), Vortex(9.5, 9.5, -2)])

    found = charges(fluid.psi)
    assert fluid.norm() == pytest.approx(before, rel=1e-13)
    assert found[20 - 11, 16 + 3] == 1
    assert found[20 + 4, 16 - 9] == 1
    assert found[20 + 7 : 20 + 12, 16 + 7 : 16 + 12].sum() == -2
    assert np.abs(found).sum() == 4


def test_a_lone_vortex_needs_a_trap():
    with pytest.raises(ValueError, match="add up to 1"):
        Superfluid(Medium(grid=SMALL)).imprint([Vortex(0, 0)])

    trapped = Superfluid(Medium(grid=SMALL, trap=Bucket()))
    trapped.imprint([Vortex(0.5, 0.5)])

    assert charges(trapped.psi)[16, 12] == 1


# --- cooling -----------------------------------------------------------------------------------


@FEW
@given(seed=st.integers(0, 2**32 - 1), cooling=st.floats(0.01, 3))
def test_cooling_lowers_the_energy_and_keeps_the_norm(seed, cooling):
    medium = Medium(grid=SMALL)
    fluid = Superfluid(medium, psi=wavy(medium, seed), cooling=cooling)
    atoms, energies = fluid.norm(), [fluid.energy()]

    for _ in range(20):
        fluid.step(10)
        energies.append(fluid.energy())

    assert np.all(np.diff(energies) < 0)
    assert fluid.norm() == pytest.approx(atoms, rel=1e-13)
    width, height = medium.grid.lengths
    assert energies[-1] > medium.coupling * atoms**2 / (2 * width * height)  # the uniform fluid


def test_cooling_damps_sound_at_the_rate_of_the_damped_equation():
    """Linearised: a wave fades as e^(-sin(theta) (e + g n) t / hbar), e = hbar^2 k^2 / 2m.

    Put psi = sqrt(n) + u e^(ikx) + v* e^(-ikx) into the equation: the matrix of (u, v) has the
    trace -2 sin(theta) (e + g n), and without it the square (g n)^2 - cos(theta)^2 (e + g n)^2.
    """
    medium, cooling, wave = Medium(grid=Grid(32, 2), time_step=0.1), 0.3, 2 * np.pi * 3 / 32
    ripple = np.cos(wave * medium.grid.places()[0]) * np.ones((1, 2))
    fluid = Superfluid(
        medium, psi=np.sqrt(medium.density) * (1 + 1e-5 * ripple) + 0j, cooling=cooling
    )
    sine = cooling / math.hypot(1, cooling)
    energy, push = wave**2 / 2, medium.coupling * medium.density
    fade = sine * (energy + push)
    frequency = math.sqrt((energy + push) ** 2 * (1 - sine**2) - push**2)
    begin = np.sum(fluid.density() * ripple)
    offset = sine * push  # the density is not an eigenmode: it lags behind by this much

    fluid.step(round(1.75 * np.pi / frequency / medium.dt))

    turn = frequency * fluid.time
    swing = math.cos(turn) - offset / frequency * math.sin(turn)
    expected = math.exp(-fade * fluid.time) * swing
    assert np.sum(fluid.density() * ripple) / begin == pytest.approx(expected, rel=0.01)


def test_cooling_can_be_changed_while_it_flows():
    medium = Medium(grid=SMALL)
    fluid = Superfluid(medium, psi=wavy(medium))
    fluid.cool(0.2)
    fluid.step(20)
    cooled = fluid.energy()

    fluid.cool(0.0)
    fluid.step(20)

    assert fluid.energy() == pytest.approx(cooled, rel=1e-5)


# --- the finger --------------------------------------------------------------------------------


def balance(time_step):
    fluid, before = stirred(time_step, strength=1.5, stiffness=1.0, damping=1.0)
    fluid.step(round(40 / time_step))
    return fluid.energy() - before - fluid.work


def test_the_work_of_the_finger_is_the_energy_gained():
    fluid, before = stirred(0.1)

    fluid.step(400)

    gained = fluid.energy() - before
    assert gained > 0.1
    assert fluid.work == pytest.approx(gained, rel=1e-4)


def test_the_balance_of_work_closes_with_second_order():
    assert balance(0.4) / balance(0.2) == pytest.approx(4, rel=0.05)


@FEW
@given(
    target=st.tuples(st.floats(-16, 16), st.floats(-12, 12)),
    strength=st.floats(-1, 3),
    later=st.floats(-1, 3),
)
def test_pressing_harder_is_work_too(target, strength, later):
    fluid, before = stirred(0.1, target=target, strength=strength)

    fluid.step(60)
    fluid.press(later)
    fluid.step(60)

    assert fluid.finger == Finger(strength=later)
    assert fluid.energy() - before == pytest.approx(fluid.work, abs=1e-3)


def test_force_is_the_slope_of_the_energy():
    """Hellmann and Feynman: move the finger by a hair through a frozen fluid."""
    fluid, _ = stirred(0.1)
    fluid.step(100)
    state, hair = fluid.state(), 1e-5

    def energy(dx, dy):
        motion = attrs.evolve(state.motion, x=state.motion.x + dx, y=state.motion.y + dy)
        return Superfluid.from_state(attrs.evolve(state, motion=motion)).energy()

    slope_x = (energy(hair, 0) - energy(-hair, 0)) / (2 * hair)
    slope_y = (energy(0, hair) - energy(0, -hair)) / (2 * hair)
    assert fluid.force() == pytest.approx((slope_x, slope_y), rel=1e-6)


def test_a_slow_weak_finger_feels_no_drag_and_a_fast_one_does():
    """Landau, J. Phys. USSR 5, 71 (1941): for a weak finger the critical speed is that of sound."""

    def work(mach):
        medium = Medium(grid=Grid(64, 32))
        free = Finger(strength=0.05, radius=1.0, stiffness=0.0, damping=0.0)
        state = Superfluid(medium, free).state()
        fluid = Superfluid.from_state(
            attrs.evolve(
                state,
                atoms=4 * state.atoms,  # lets the finger move at twice the speed of sound
                motion=Motion(vx=mach * medium.sound_speed),
            )
        )
        fluid.step(1000)
        return fluid.work

    assert work(0.3) < 0.05 * work(1.5)


def test_a_fluid_without_a_finger_cannot_be_pressed():
    fluid = Superfluid(Medium(grid=SMALL))
    fluid.aim(3, 3)
    fluid.step(1)

    assert fluid.force() == (0.0, 0.0)
    assert (fluid.motion.x, fluid.motion.y) == (0.0, 0.0)
    with pytest.raises(ValueError, match="no finger"):
        fluid.press(1.0)


# --- snapshots ---------------------------------------------------------------------------------


@FEW
@given(
    frames=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    target=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    cooling=st.sampled_from([0.0, 0.02]),
    trap=st.sampled_from([None, Bucket(), Harmonic(0.05, 0.1)]),
)
def test_a_resumed_fluid_goes_on_to_the_last_bit(frames, target, cooling, trap):
    fluid = Superfluid(Medium(grid=SMALL, trap=trap), Finger(), cooling=cooling)
    fluid.aim(*target)
    fluid.step(5)
    fluid.press(1.7)
    resumed = Superfluid.from_state(fluid.state())

    for frame in frames:
        fluid.step(frame)
        resumed.step(frame)

        assert resumed.state() == fluid.state()
        assert resumed.work == fluid.work != 0
        assert resumed.psi.tobytes() == fluid.psi.tobytes()
        assert resumed.energy() == fluid.energy()


def test_a_state_is_a_copy_that_nobody_can_change():
    fluid = Superfluid(Medium(grid=SMALL), Finger())
    state = fluid.state()
    before = state.psi.copy()

    fluid.aim(3, 3)
    fluid.step(3)

    np.testing.assert_array_equal(state.psi, before)
    assert state.psi.dtype == np.complex128
    assert state.time == 0
    assert not state.psi.flags.writeable
    assert state != fluid.state()


def test_a_state_of_another_grid_is_refused():
    state = Superfluid(Medium(grid=SMALL)).state()

    with pytest.raises(ValueError, match="not written by"):
        Superfluid.from_state(attrs.evolve(state, psi=state.psi[:-1]))


# --- what comes in -----------------------------------------------------------------------------


def test_by_default_it_is_the_grid_of_the_film():
    fluid = Superfluid()

    assert fluid.density().shape == (64, 64)
    assert fluid.density() == pytest.approx(0.5)
    assert fluid.norm() == pytest.approx(0.5 * 64 * 64)
    assert fluid.speed_limit == pytest.approx(math.sqrt(0.5))
    assert Superfluid(Medium(grid=SMALL, mass=2.0)).speed_limit == pytest.approx(math.sqrt(1 / 8))
    assert fluid.medium == Medium()
    assert fluid.cooling == 0
    fluid.step()
    assert fluid.time == pytest.approx(STEPS_PER_FRAME * 0.1 / np.pi**2)


@pytest.mark.parametrize(
    ("psi", "said"),
    [
        (np.ones((3, 3), complex), "shape"),
        (np.zeros(SMALL.shape, complex), "0.0 atoms"),
        (np.full(SMALL.shape, np.nan, complex), "nan atoms"),
    ],
)
def test_a_wave_function_that_cannot_be_is_refused(psi, said):
    with pytest.raises(ValueError, match=said):
        Superfluid(Medium(grid=SMALL), psi=psi)


@pytest.mark.parametrize("cooling", [-0.1, math.inf, math.nan])
def test_a_cooling_that_heats_is_refused(cooling):
    fluid = Superfluid(Medium(grid=SMALL))

    with pytest.raises(ValueError, match="cooling"):
        fluid.cool(cooling)
    with pytest.raises(ValueError, match="cooling"):
        Superfluid(Medium(grid=SMALL), cooling=cooling)
    assert fluid.cooling == 0


@pytest.mark.parametrize("place", [(math.nan, 0.0), (0.0, math.inf)])
def test_a_place_that_is_nowhere_is_refused(place):
    fluid = Superfluid(Medium(grid=SMALL), Finger())

    with pytest.raises(ValueError, match="finite coordinates"):
        fluid.aim(*place)


def test_time_only_goes_on():
    fluid = Superfluid(Medium(grid=SMALL))

    fluid.step(0)
    assert fluid.time == 0
    with pytest.raises(ValueError, match="zero or more"):
        fluid.step(-1)
    with pytest.raises(ValueError, match="zero or more"):
        fluid.relax(-1)


def test_an_empty_place_has_no_velocity():
    medium = Medium(grid=SMALL)
    psi = wavy(medium)
    psi[3:9, 4:8] = 0
    fluid = Superfluid(medium, psi=psi)

    assert np.all(fluid.velocity()[:, 3:9, 4:8] == 0)
    assert np.all(np.isfinite(fluid.velocity()))
