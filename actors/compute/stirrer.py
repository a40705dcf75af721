r"""The finger that stirs: a bump of potential on a damped spring, following a target.

        target  o                     spring     a = -stiffness (z - target) - damping v
                 \_/\_/\_             the bump   V(r) = strength exp(-|r - z|^2 / 2 radius^2)
                        (finger)      limit      |v| <= the speed given, never faster

The box is periodic, so every difference of two places is the shortest one (minimal image): a
finger leaves on one side and enters on the other, and it takes the short way to its target.
Nothing here knows the fluid: time, the speed limit and the grid are arguments.
"""

from __future__ import annotations

import cmath
import math
from typing import final

import attrs
import numpy as np

from actors.compute.medium import FloatArray, Grid, finite, not_negative, positive


@final
@attrs.frozen
class Motion:
    """Where the finger is, how fast it moves, and where it was told to go."""

    x: float = attrs.field(default=0.0, validator=finite)
    y: float = attrs.field(default=0.0, validator=finite)
    vx: float = attrs.field(default=0.0, validator=finite)
    vy: float = attrs.field(default=0.0, validator=finite)
    target_x: float = attrs.field(default=0.0, validator=finite)
    target_y: float = attrs.field(default=0.0, validator=finite)

    @property
    def speed(self) -> float:
        """Length of the velocity."""
        return math.hypot(self.vx, self.vy)


@final
@attrs.frozen
class Spring:
    """The exact solution of the damped spring over one time step, as a 2 x 2 matrix.

    With u = z - target:  u' = uu u + uv v,  v' = vu u + vv v.
    """

    dt: float
    uu: float
    uv: float
    vu: float
    vv: float

    def moved(self, motion: Motion, grid: Grid, *, limit: float) -> Motion:
        """Return the motion one step later; neither the speed nor the way made exceeds `limit`."""
        ux, uy = grid.wrap(motion.x - motion.target_x, motion.y - motion.target_y)
        way_x = (self.uu - 1) * ux + self.uv * motion.vx
        way_y = (self.uu - 1) * uy + self.uv * motion.vy
        way_x, way_y = _shortened(way_x, way_y, limit * self.dt)
        vx, vy = self.vu * ux + self.vv * motion.vx, self.vu * uy + self.vv * motion.vy
        vx, vy = _shortened(vx, vy, limit)
        x, y = grid.wrap(motion.x + way_x, motion.y + way_y)
        return Motion(x, y, vx, vy, motion.target_x, motion.target_y)


@final
@attrs.frozen(eq=False)
class Bump:
    """The potential of a finger at one place, as factors: a Gaussian is separable.

    V[i, j] = across[i] along[j], which takes nx + ny exponentials instead of nx ny, and with
    minimal images stays so.
    """

    across: FloatArray  # (nx,), energy
    along: FloatArray  # (ny,), from 0 to 1
    lean_x: FloatArray  # (nx,), (x - z_x) / radius^2, so that dV/dz_x = V lean_x
    lean_y: FloatArray  # (ny,)

    def potential(self, out: FloatArray | None = None) -> FloatArray:
        """Energy of the bump, shape `(nx, ny)`."""
        return np.multiply(self.across[:, None], self.along, out=out)

    def force(self, density: FloatArray, *, cell: float) -> tuple[float, float]:
        """Change of the energy int n V dA with the finger's place, dE/dz."""
        # einsum, not a matrix product: BLAS may split its sums by the number of threads, and a
        # resumed fluid in a process with other threads would count other bits.
        columns = np.einsum("ij,j->i", density, self.along)
        rows = np.einsum("ij,i->j", density, self.across)
        push_x = np.einsum("i,i,i->", columns, self.across, self.lean_x)
        push_y = np.einsum("j,j,j->", rows, self.along, self.lean_y)
        return float(push_x) * cell, float(push_y) * cell


@final
@attrs.frozen(kw_only=True)
class Finger:
    """What the finger is like. It starts at rest in the middle.

    Raises:
        ValueError: a radius that is not positive, a spring that pushes, a strength not finite.
    """

    strength: float = attrs.field(default=2.0, validator=finite)
    """Height of the bump in chemical potentials; negative ones attract."""
    radius: float = attrs.field(default=2.0, validator=positive)
    """Standard deviation of the bump, in the units of `Grid.dx`."""
    stiffness: float = attrs.field(default=10.0, validator=not_negative)
    """Pull of the spring, per mass of the finger: 1 / time^2."""
    damping: float = attrs.field(default=4.0, validator=not_negative)
    """Friction of the finger, per mass: 1 / time."""

    def bump(self, grid: Grid, motion: Motion, *, unit: float) -> Bump:
        """Return the potential of the finger where it is now; `unit`: the chemical potential."""
        (x, y), (width, height) = grid.places(), grid.lengths
        away_x, away_y = _nearest(x[:, 0] - motion.x, width), _nearest(y[0] - motion.y, height)
        square = self.radius**2
        across = self.strength * unit * np.exp(away_x**2 / (-2 * square))
        return Bump(across, np.exp(away_y**2 / (-2 * square)), away_x / square, away_y / square)

    def spring(self, dt: float) -> Spring:
        """Solve the spring for one time step, whatever its damping (see `Spring`).

        The motion is exp(A dt) with A = ((0, 1), (-stiffness, -damping)), which by Cayley and
        Hamilton is e^(-h dt) (cosh(s dt) + sinh(s dt)/s (A + h)), h = damping / 2,
        s^2 = h^2 - stiffness; s is imaginary when the spring swings, zero when it is critical.
        """
        half = self.damping / 2
        root = cmath.sqrt(half**2 - self.stiffness)
        fade = math.exp(-half * dt)
        even = fade * cmath.cosh(root * dt).real
        odd = fade * ((cmath.sinh(root * dt) / root).real if root else dt)
        return Spring(dt, even + half * odd, odd, -self.stiffness * odd, even - half * odd)


def _nearest(away: FloatArray, length: float) -> FloatArray:
    return away - length * np.floor(away / length + 0.5)


def _shortened(x: float, y: float, limit: float) -> tuple[float, float]:
    length = math.hypot(x, y)
    return (x, y) if length <= limit else (x * (limit / length), y * (limit / length))
