r"""Vortices of a periodic superfluid: how to draw them, and how to count them.

Around a vortex of charge w the phase turns by 2 pi w, so the circulation of the velocity is
w 2 pi hbar / m (Onsager 1949, Feynman 1955). A single one cannot live in a periodic box: the
phase must fit at the seams, so the charges of a box add up to zero.

          phase of a pair                    charge of one plaquette
        \  |  /     \  |  /                    b ---- c
       -- (+) --- -- (-) --                    |      |     w = turns of the phase a->d->c->b->a
        /  |  \     /  |  \                    a ---- d
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import attrs
import numpy as np
from numpy.typing import NDArray

from actors.compute.medium import ComplexArray, FloatArray, Grid, finite

_TERMS = 8
"""Terms of the theta series; for a box not wider than high the ninth is below 1e-70."""


@final
@attrs.frozen
class Vortex:
    """One vortex: its place, and how often the phase turns around it (negative: clockwise)."""

    x: float = attrs.field(validator=finite)
    y: float = attrs.field(validator=finite)
    charge: int = 1


def drawn(grid: Grid, vortices: Sequence[Vortex], *, core: float) -> ComplexArray:
    """Factor that puts vortices into a wave function: their phase, and a hole at each core.

    The holes have the shape r / sqrt(r^2 + 2 core^2), a good guess for one vortex with `core` the
    healing length, above zero (Fetter and Svidzinsky, J. Phys.: Condens. Matter 13, R135 (2001)).

    Returns:
        Shape `(nx, ny)`. Charges that add up to zero give a phase that fits at the seams; it is
        unique but for a uniform flow of whole quanta, 2 pi hbar / m per length of the box. Others
        give the phase of an unbounded plane, which jumps at the edge of the box: use them only
        where a trap leaves no fluid there.
    """
    seamless = sum(vortex.charge for vortex in vortices) == 0
    phase = _periodic(grid, vortices) if seamless else _unbounded(grid, vortices)
    x, y = grid.places()
    width, height = grid.lengths
    for vortex in vortices:
        # The sine is the minimal image made smooth: no kink in the density half a box away.
        reach_x = np.sin(np.pi * (x - vortex.x) / width) * width / np.pi
        reach_y = np.sin(np.pi * (y - vortex.y) / height) * height / np.pi
        square = reach_x**2 + reach_y**2
        phase *= np.sqrt(square / (square + 2 * core**2)) ** abs(vortex.charge)
    return phase


def charges(psi: ComplexArray) -> NDArray[np.int8]:
    """Charge of every plaquette, shape `(nx, ny)`: entry [i, j] lies between i, i+1 and j, j+1.

    The sum over a region is the circulation around it in units of 2 pi hbar / m; the sum over
    the whole periodic box is zero.
    """
    right = np.angle(np.roll(psi, -1, axis=0) * psi.conj())
    up = np.angle(np.roll(psi, -1, axis=1) * psi.conj())
    turns = right + np.roll(up, -1, axis=0) - np.roll(right, -1, axis=1) - up
    return np.rint(turns / (2 * np.pi)).astype(np.int8)


def _unbounded(grid: Grid, vortices: Sequence[Vortex]) -> ComplexArray:
    x, y = grid.places()
    phase = np.zeros(grid.shape)
    for vortex in vortices:
        phase += vortex.charge * np.arctan2(y - vortex.y, x - vortex.x)
    return _turned(phase)


def _periodic(grid: Grid, vortices: Sequence[Vortex]) -> ComplexArray:
    """Phase of the product of theta functions, straightened so that it fits at the seams.

    theta_1(z) has one simple zero per cell of the lattice (1, tau = i Ly/Lx), changes its sign
    under z -> z + pi, and gains -exp(-2iz)/q under z -> z + pi tau (DLMF 20.2.6). For charges w_k
    at z_k that add up to zero, the product of theta_1(pi (z - z_k)/Lx)^w_k therefore repeats along
    x and gains the phase 2 pi D / Lx along y, with D = sum of w_k x_k. The linear term removes it.
    """
    if grid.ny < grid.nx:  # the series converges fast for a high box: look at it from the side
        turned = [Vortex(vortex.y, vortex.x, -vortex.charge) for vortex in vortices]
        return np.ascontiguousarray(_periodic(Grid(grid.ny, grid.nx, grid.dx), turned).T)
    x, y = grid.places()
    width, height = grid.lengths
    phase = np.zeros(grid.shape)
    for vortex in vortices:
        place_x, place_y = grid.wrap(vortex.x, vortex.y)
        phase -= 2 * np.pi * vortex.charge * place_x * y / (width * height)
        scale = np.pi / width
        theta = _theta_phase((x - place_x) * scale, (y - place_y) * scale, height / width)
        phase += vortex.charge * theta
    return _turned(phase)


def _theta_phase(x: FloatArray, y: FloatArray, tau: float) -> FloatArray:
    """Argument of theta_1(x + iy | i tau) by its series (DLMF 20.2.1).

    Each term is made from exponents joined before `exp`, so that a long box does not overflow:
    q^((n+1/2)^2) sin((2n+1) z) = (e^(a + ib) - e^(a - ib)) / 2i, all divided by e^|y|.
    """
    real, imaginary = np.zeros(np.broadcast(x, y).shape), np.zeros(np.broadcast(x, y).shape)
    for term in range(_TERMS):
        odd, sign = 2 * term + 1, (-1) ** term
        decay = -math.pi * tau * (term + 0.5) ** 2 - np.abs(y)
        rising, falling = np.exp(decay + odd * y), np.exp(decay - odd * y)
        real += sign * np.sin(odd * x) * (rising + falling)
        imaginary += sign * np.cos(odd * x) * (rising - falling)
    return np.arctan2(imaginary, real)


def _turned(phase: FloatArray) -> ComplexArray:
    factor = np.empty(phase.shape, np.complex128)
    np.cos(phase, out=factor.real)
    np.sin(phase, out=factor.imag)
    return factor
