"""A superfluid in two dimensions, stirred by a moving finger.

The Gross-Pitaevskii equation (Gross 1961, Pitaevskii 1961) on a periodic box,

    i hbar dpsi/dt = e^(-i theta) [ -hbar^2 nabla^2 / 2m + U(r, t) + g |psi|^2 - mu ] psi,

where U is trap plus finger, |psi|^2 the density and 1 + i cooling = |1 + i cooling| e^(i theta):
without cooling theta = 0; with it, energy leaves (Choi, Morgan and Burnett, Phys. Rev. A 57, 4057
(1998)) and the norm is put back at the end of every step.

One step of length dt is Strang's splitting (SIAM J. Numer. Anal. 5, 506 (1968); for this equation
Bao, Jaksch and Markowich, J. Comput. Phys. 187, 318 (2003)), of second order in dt:

    t_n                                t_n+1
     | kick dt/2 |   drift dt  | kick dt/2 |     kick   psi *= e^(-i dt (U + g n - mu) / hbar)
     |  finger   |    finger   |  finger   |     drift  psi = F^-1 e^(-i dt K / hbar) F psi
     |  at t_n   |   moves on  | at t_n+1  |

A kick leaves the density as it is, so it is exact, and two half kicks in a row are one kick: that
is how `step(20)` makes 21 kicks, not 40. (So `step(20)` and twenty times `step(1)` agree to
rounding, not to the bit.)

A moving finger does not conserve the energy E = int hbar^2 |nabla psi|^2 / 2m + U n + g n^2 / 2.
The equation is Hamilton's for psi and i hbar psi*, so only E's explicit dependence on time counts
(Landau and Lifshitz, Mechanics, section 40), and with the finger V at the place z

    dE/dt = int n dV/dt dA = F . dz/dt,     F = dE/dz = int n V(r - z) (r - z) / radius^2 dA.

`work` adds up (F_n + F_n+1) / 2 . (z_n+1 - z_n), the trapezium rule, and what `press` adds at once.
So E(t) - E(0) - work is O(dt^2) at all times; cooling, `relax` and `imprint` are not in that
balance. Minus F is the drag on the finger (Winiecki, McCann and Adams, Phys. Rev. Lett. 82, 5186
(1999)): in the mean it vanishes below a critical speed (Frisch, Pomeau and Rica, ibid. 69, 1644
(1992)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Self, final

import attrs
import numpy as np

from actors.compute.medium import ComplexArray, FloatArray, Medium
from actors.compute.state import State, at_rest
from actors.compute.stirrer import Bump, Finger, Motion
from actors.compute.vortices import Vortex, drawn

STEPS_PER_FRAME: Final = 20
"""Steps between two pictures of a film."""


@final
class Superfluid:
    """A superfluid that flows when stepped.

    Args:
        medium: grid, constants and trap.
        finger: what stirs it; None for no stirrer.
        psi: wave function to start from, shape `(nx, ny)`, copied. By default the fluid is at
            rest with the density of Thomas and Fermi, n = max(0, mu - U) / g.
        cooling: see the equation above; 0 conserves the energy, 0.01 calms slowly.

    Raises:
        ValueError: psi of another shape, not finite, or without any atoms; cooling below zero.
    """

    def __init__(
        self,
        medium: Medium | None = None,
        finger: Finger | None = None,
        *,
        psi: ComplexArray | None = None,
        cooling: float = 0.0,
    ) -> None:
        medium = Medium() if medium is None else medium
        if psi is None:
            psi = at_rest(medium, finger)
        atoms = float(np.sum(_density(psi))) * medium.grid.cell
        if psi.shape != medium.grid.shape or not (math.isfinite(atoms) and atoms > 0):
            raise ValueError(
                f"psi has the shape {psi.shape} and holds {atoms} atoms: give a finite wave "
                f"function of shape {medium.grid.shape} with atoms (or a trap with room for them)."
            )
        self._take(State(medium=medium, finger=finger, psi=psi, atoms=atoms, cooling=cooling))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Go on from a state, to the bit.

        Raises:
            ValueError: the wave function does not fit the grid.
        """
        if state.psi.shape != state.medium.grid.shape:
            raise ValueError(
                f"The state's psi has the shape {state.psi.shape}, but its grid is "
                f"{state.medium.grid.shape}: it was not written by Superfluid.state()."
            )
        fluid = cls.__new__(cls)
        fluid._take(state)  # noqa: SLF001 (its own class)
        return fluid

    def state(self) -> State:
        """A copy of everything, to go on from with `from_state`."""
        psi = self._psi.copy()
        psi.flags.writeable = False
        return State(
            medium=self._medium,
            finger=self._finger,
            psi=psi,
            atoms=self._atoms,
            motion=self._motion,
            time=self._time,
            work=self._work,
            cooling=self._cooling,
        )

    def _take(self, state: State) -> None:
        medium, grid = state.medium, state.medium.grid
        self._medium = medium
        self._finger = state.finger
        self._motion = state.motion
        self._time = state.time
        self._work = state.work
        self._atoms = state.atoms
        self._psi = np.array(state.psi, dtype=np.complex128, order="C")
        self._kinetic = medium.kinetic()
        self._dt = medium.dt
        self._trap = medium.potential()
        self._base = self._trap - medium.chemical_potential
        self._spring = None if state.finger is None else state.finger.spring(medium.dt)
        # Overwritten in every kick; allocating them anew would cost as much as the arithmetic.
        self._number = np.empty(grid.shape)
        self._energies = np.empty(grid.shape)
        self._factor = np.empty(grid.shape, dtype=np.complex128)
        self.cool(state.cooling)

    # --- what it is --------------------------------------------------------------------------

    @property
    def medium(self) -> Medium:
        """Grid, constants and trap."""
        return self._medium

    @property
    def finger(self) -> Finger | None:
        """The stirrer, with the strength `press` gave it last; None without one."""
        return self._finger

    @property
    def motion(self) -> Motion:
        """Place, velocity and target of the finger."""
        return self._motion

    @property
    def time(self) -> float:
        """Time that passed since the beginning."""
        return self._time

    @property
    def work(self) -> float:
        """Energy the finger gave to the fluid since the beginning (see the top of the file)."""
        return self._work

    @property
    def cooling(self) -> float:
        """How fast energy leaves; 0: not at all."""
        return self._cooling

    @property
    def psi(self) -> ComplexArray:
        """A copy of the wave function, shape `(nx, ny)`."""
        return self._psi.copy()

    @property
    def speed_limit(self) -> float:
        """Mean speed of sound, sqrt(g <n> / m): the finger never moves faster."""
        width, height = self._medium.grid.lengths
        mean = self._atoms / (width * height)
        return math.sqrt(self._medium.coupling * mean / self._medium.mass)

    # --- what it shows -----------------------------------------------------------------------

    def density(self) -> FloatArray:
        """Atoms per area, |psi|^2, shape `(nx, ny)`; a new array."""
        return _density(self._psi)

    def norm(self) -> float:
        """Number of atoms, int n dA."""
        return float(np.sum(self.density())) * self._medium.grid.cell

    def energy(self) -> float:
        """Energy int hbar^2 |nabla psi|^2 / 2m + U n + g n^2 / 2 dA, trap and finger included."""
        density = self.density()
        local = (self._outer() + self._medium.coupling * density / 2) * density
        # Parseval: the mean over the waves is the sum over the points.
        moving = self._kinetic * _density(np.fft.fft2(self._psi)) / density.size
        return float(np.sum(local) + np.sum(moving)) * self._medium.grid.cell

    def momentum(self) -> tuple[float, float]:
        """Total momentum int hbar Im(psi* nabla psi) dA."""
        waves = _density(np.fft.fft2(self._psi))
        scale = self._medium.hbar * self._medium.grid.cell / waves.size
        kx, ky = self._medium.grid.slopes()
        return float(np.sum(kx * waves)) * scale, float(np.sum(ky * waves)) * scale

    def velocity(self) -> FloatArray:
        """Velocity (hbar / m) Im(nabla psi / psi), shape `(2, nx, ny)`; zero where no fluid is."""
        waves, density = np.fft.fft2(self._psi), self.density()
        flow = np.empty((2, *density.shape))
        for axis, slope in enumerate(self._medium.grid.slopes()):
            flow[axis] = (self._psi.conj() * np.fft.ifft2(1j * slope * waves)).imag
        flow *= self._medium.hbar / self._medium.mass
        return np.divide(flow, density, out=np.zeros_like(flow), where=density > 0)

    def force(self) -> tuple[float, float]:
        """Force of the finger on the fluid, dE/dz; the drag is minus this. Zero without one."""
        bump = self._bump()
        return bump.force(self.density(), cell=self._medium.grid.cell) if bump else (0.0, 0.0)

    # --- what one can do to it ---------------------------------------------------------------

    def aim(self, x: float, y: float) -> None:
        """Tell the finger where to go; places outside the box are wrapped into it.

        Raises:
            ValueError: a coordinate that is not finite.
        """
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ValueError(f"The finger cannot go to ({x!r}, {y!r}): give finite coordinates.")
        target_x, target_y = self._medium.grid.wrap(x, y)
        self._motion = attrs.evolve(self._motion, target_x=target_x, target_y=target_y)

    def press(self, strength: float) -> None:
        """Give the finger another strength, in chemical potentials; the work of it is counted.

        Raises:
            ValueError: there is no finger, or the strength is not finite.
        """
        if self._finger is None:
            raise ValueError("There is no finger to press: make Superfluid(medium, Finger()).")
        before = self._outer()
        self._finger = attrs.evolve(self._finger, strength=strength)
        gain = float(np.sum((self._outer() - before) * self.density()))
        self._work += gain * self._medium.grid.cell

    def cool(self, cooling: float) -> None:
        """Let energy leave at another rate, from the next step on; 0 stops it.

        Raises:
            ValueError: a rate that is negative or not finite.
        """
        if not (math.isfinite(cooling) and cooling >= 0):
            raise ValueError(f"cooling is {cooling!r}, but it must be finite and not below zero.")
        self._cooling = cooling
        turn = complex(1.0, cooling)
        self._turn = -1j / self._medium.hbar / (turn / abs(turn))
        self._drift = np.exp(self._turn * self._dt * self._kinetic)

    def imprint(self, vortices: Sequence[Vortex]) -> None:
        """Draw vortices into the fluid: phase and cores, the norm kept.

        Raises:
            ValueError: the charges do not add up to zero and no trap keeps the fluid off the seams.
        """
        total = sum(vortex.charge for vortex in vortices)
        if total and self._medium.trap is None:
            raise ValueError(
                f"The charges add up to {total}, and the phase would jump at the seams of the "
                "periodic box: let them add up to zero, or give the medium a trap."
            )
        self._psi *= drawn(self._medium.grid, vortices, core=self._medium.healing_length)
        self._restore_norm()

    def step(self, steps: int = STEPS_PER_FRAME) -> None:
        """Flow on for so many time steps of `medium.dt` each.

        Raises:
            ValueError: fewer than zero steps.
        """
        _check_steps(steps)
        self._flow(steps, self._turn, self._drift, still=False)

    def relax(self, steps: int) -> None:
        """Take energy out as fast as possible, in imaginary time; the finger and the clock stand.

        The gradient flow with discrete normalisation of Bao and Du (SIAM J. Sci. Comput. 25, 1674
        (2004)): the energy falls towards the ground state, and the norm is kept.

        Raises:
            ValueError: fewer than zero steps.
        """
        _check_steps(steps)
        turn = complex(-1 / self._medium.hbar)
        drift = np.exp(turn * self._dt * self._kinetic)
        self._flow(steps, turn, drift, still=True)

    # --- how it flows ------------------------------------------------------------------------

    def _flow(self, steps: int, turn: complex, drift: ComplexArray, *, still: bool) -> None:
        half = turn * self._dt / 2
        force = self._kick(half) if steps else (0.0, 0.0)
        for left in range(steps - 1, -1, -1):
            self._spread(drift)
            way = (0.0, 0.0) if still else self._advance()
            pushed, force = force, self._kick(2 * half if left else half)
            self._work += (pushed[0] + force[0]) / 2 * way[0]
            self._work += (pushed[1] + force[1]) / 2 * way[1]
            if turn.real:
                self._restore_norm()

    def _spread(self, drift: ComplexArray) -> None:
        psi = self._psi
        # In place and axis by axis: fft2 does the same, but allocates and costs half as much again.
        np.fft.fft(psi, axis=1, out=psi)
        np.fft.fft(psi, axis=0, out=psi)
        psi *= drift
        np.fft.ifft(psi, axis=0, out=psi)
        np.fft.ifft(psi, axis=1, out=psi)

    def _kick(self, factor: complex) -> tuple[float, float]:
        """Multiply by exp(factor (U + g n - mu)) and return the finger's force before it."""
        number, energies = self._number, self._energies
        np.square(self._psi.real, out=number)
        np.square(self._psi.imag, out=energies)
        number += energies
        force = (0.0, 0.0)
        np.multiply(number, self._medium.coupling, out=energies)
        energies += self._base
        if (bump := self._bump()) is not None:
            force = bump.force(number, cell=self._medium.grid.cell)
            energies += bump.potential(out=number)
        np.multiply(energies, factor, out=self._factor)
        np.exp(self._factor, out=self._factor)
        self._psi *= self._factor
        return force

    def _advance(self) -> tuple[float, float]:
        """Move clock and finger on by one step and return the way the finger made."""
        self._time += self._dt
        if self._spring is None:
            return 0.0, 0.0
        old, grid = self._motion, self._medium.grid
        self._motion = self._spring.moved(old, grid, limit=self.speed_limit)
        return grid.wrap(self._motion.x - old.x, self._motion.y - old.y)

    def _restore_norm(self) -> None:
        self._psi *= math.sqrt(self._atoms / self.norm())

    def _outer(self) -> FloatArray:
        """Energy of trap and finger, shape `(nx, ny)`."""
        bump = self._bump()
        return self._trap if bump is None else self._trap + bump.potential()

    def _bump(self) -> Bump | None:
        if self._finger is None:
            return None
        medium = self._medium
        return self._finger.bump(medium.grid, self._motion, unit=medium.chemical_potential)


def _density(psi: ComplexArray) -> FloatArray:
    return np.square(psi.real) + np.square(psi.imag)


def _check_steps(steps: int) -> None:
    if steps < 0:
        raise ValueError(f"steps is {steps!r}, but time only goes on: give zero or more.")
