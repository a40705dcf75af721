"""What never changes while a superfluid flows: its grid, its units, its trap.

          y ^                       index [i, j] is the place ((i - nx/2) dx, (j - ny/2) dx);
            |  +-------------+      what leaves on the right enters on the left
            |  |    (0,0)    |
            |  +-------------+      mu = hbar^2 / (2 m xi^2)     chemical potential
            +----------------> x    n  = mu / g                  density far from everything
                                    c  = sqrt(mu / m)            speed of sound there
                                    dt = time_step hbar / (largest kinetic energy on the grid)

With the defaults hbar = m = g = xi = 1 the undisturbed fluid has mu = n = 1/2 and c = 0.707.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, final

import attrs
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
ComplexArray: TypeAlias = NDArray[np.complex128]


def finite(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Refuse what is not a finite number."""
    _demand(math.isfinite(value), instance, attribute, value, "be a finite number")


def positive(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Refuse what is not a finite number above zero."""
    good = math.isfinite(value) and value > 0
    _demand(good, instance, attribute, value, "be finite and above zero")


def not_negative(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    """Refuse what is not a finite number from zero up."""
    good = math.isfinite(value) and value >= 0
    _demand(good, instance, attribute, value, "be finite and not below zero")


def at_least_two(instance: object, attribute: attrs.Attribute[Any], value: int) -> None:
    """Refuse fewer than two points."""
    _demand(value >= 2, instance, attribute, value, "be two points or more")  # noqa: PLR2004


def _demand(
    good: bool,  # noqa: FBT001
    instance: object,
    attribute: attrs.Attribute[Any],
    value: float,
    rule: str,
) -> None:
    if not good:
        owner = type(instance).__name__
        raise ValueError(f"{owner}.{attribute.name} is {value!r}, but it must {rule}.")


@final
@attrs.frozen
class Grid:
    """A periodic rectangle of equal square cells, centred on the origin.

    Raises:
        ValueError: fewer than two points along an axis, or a spacing that is not positive.
    """

    nx: int = attrs.field(default=64, validator=at_least_two)  # points along x
    ny: int = attrs.field(default=64, validator=at_least_two)  # points along y
    dx: float = attrs.field(default=1.0, validator=positive)  # distance of two points

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of every array on this grid, `(nx, ny)`."""
        return self.nx, self.ny

    @property
    def lengths(self) -> tuple[float, float]:
        """Lengths of the periodic box along x and y."""
        return self.nx * self.dx, self.ny * self.dx

    @property
    def cell(self) -> float:
        """Area of one cell: the dA of every integral."""
        return self.dx**2

    def places(self) -> tuple[FloatArray, FloatArray]:
        """Coordinates x of shape `(nx, 1)` and y of shape `(1, ny)`."""
        x: FloatArray = (np.arange(self.nx, dtype=np.float64) - self.nx / 2) * self.dx
        y: FloatArray = (np.arange(self.ny, dtype=np.float64) - self.ny / 2) * self.dx
        return x[:, None], y[None, :]

    def waves(self) -> tuple[FloatArray, FloatArray]:
        """Wave numbers kx of shape `(nx, 1)` and ky of shape `(1, ny)`, in the order of the FFT."""
        kx: FloatArray = np.asarray(2 * np.pi * np.fft.fftfreq(self.nx, self.dx), np.float64)
        ky: FloatArray = np.asarray(2 * np.pi * np.fft.fftfreq(self.ny, self.dx), np.float64)
        return kx[:, None], ky[None, :]

    def slopes(self) -> tuple[FloatArray, FloatArray]:
        """The wave numbers to differentiate once with: as `waves`, the highest one set to zero.

        On an even number of points the highest wave is both +k and -k; its first derivative
        vanishes at every point (Trefethen, Spectral Methods in MATLAB, 2000, chapter 3).
        """
        kx, ky = self.waves()
        kx[self.nx // 2, 0] *= self.nx % 2
        ky[0, self.ny // 2] *= self.ny % 2
        return kx, ky

    def wrap(self, x: float, y: float) -> tuple[float, float]:
        """Return the place in the box that is the same as `(x, y)`."""
        width, height = self.lengths
        return x - width * math.floor(x / width + 0.5), y - height * math.floor(y / height + 0.5)


@final
@attrs.frozen
class Harmonic:
    """A trap m (wx^2 x^2 + wy^2 y^2) / 2 around the origin; equal frequencies make it round."""

    frequency_x: float = attrs.field(validator=not_negative)  # radians per unit of time
    frequency_y: float = attrs.field(validator=not_negative)

    def potential(self, medium: Medium) -> FloatArray:
        """Energy of the trap on the grid of `medium`, shape `(nx, ny)`."""
        x, y = medium.grid.places()
        pull = self.frequency_x**2 * x**2 + self.frequency_y**2 * y**2
        return np.asarray(medium.mass * pull / 2, np.float64)


@final
@attrs.frozen
class Bucket:
    """An elliptic bucket: flat inside, then a wall that rises with all derivatives continuous.

    The wall is (1 + tanh(3 tan(pi s - pi/2))) / 2, where s runs from 0 to 1 across it, measured
    in (2x/Lx)^2 + (2y/Ly)^2.
    """

    edge: float = attrs.field(default=0.8, validator=positive)  # where the wall begins, 1: at Lx/2
    width: float = attrs.field(default=0.2, validator=positive)  # from its foot to its top
    height: float = attrs.field(default=100.0, validator=not_negative)  # in chemical potentials

    def potential(self, medium: Medium) -> FloatArray:
        """Energy of the wall on the grid of `medium`, shape `(nx, ny)`."""
        (x, y), (width, height) = medium.grid.places(), medium.grid.lengths
        radius = (2 * x / width) ** 2 + (2 * y / height) ** 2
        climb = np.clip((radius - self.edge) / self.width, 0, 1)
        wall = (1 + np.tanh(3 * np.tan(np.pi * (climb - 0.5)))) / 2
        return np.asarray(self.height * medium.chemical_potential * wall, np.float64)


@final
@attrs.frozen(kw_only=True)
class Medium:
    """The grid, the constants of nature on it, and the trap. Every field has a default.

    Raises:
        ValueError: a constant that is not finite and above zero, naming it.
    """

    grid: Grid = Grid()
    hbar: float = attrs.field(default=1.0, validator=positive)
    mass: float = attrs.field(default=1.0, validator=positive)
    coupling: float = attrs.field(default=1.0, validator=positive)  # g: repulsion of the atoms
    healing_length: float = attrs.field(default=1.0, validator=positive)
    time_step: float = attrs.field(default=0.1, validator=positive)  # in units of `time_scale`
    trap: Harmonic | Bucket | None = None  # None: only the periodic box

    @property
    def chemical_potential(self) -> float:
        """Energy of one atom in the undisturbed fluid, hbar^2 / (2 m xi^2)."""
        return self.hbar**2 / (2 * self.mass * self.healing_length**2)

    @property
    def density(self) -> float:
        """Atoms per area in the undisturbed fluid, mu / g."""
        return self.chemical_potential / self.coupling

    @property
    def sound_speed(self) -> float:
        """Speed of sound in the undisturbed fluid, sqrt(mu / m)."""
        return math.sqrt(self.chemical_potential / self.mass)

    @property
    def time_scale(self) -> float:
        """Time in which the fastest wave of the grid turns by one radian."""
        return self.hbar / float(self.kinetic().max())

    @property
    def dt(self) -> float:
        """Time that one step of the solver takes."""
        return self.time_step * self.time_scale

    def kinetic(self) -> FloatArray:
        """Kinetic energy hbar^2 k^2 / 2m of every wave, shape `(nx, ny)`, in the FFT's order."""
        kx, ky = self.grid.waves()
        return np.asarray(self.hbar**2 * (kx**2 + ky**2) / (2 * self.mass), np.float64)

    def potential(self) -> FloatArray:
        """Energy of the trap, shape `(nx, ny)`; zero without one."""
        return np.zeros(self.grid.shape) if self.trap is None else self.trap.potential(self)
