"""Everything a superfluid is at one moment, as data, so that it can be kept and sent."""

from __future__ import annotations

from typing import final

import attrs
import numpy as np

from actors.compute.medium import ComplexArray, Medium, finite, not_negative, positive
from actors.compute.stirrer import Finger, Motion


@final
@attrs.frozen(kw_only=True)
class State:
    """One moment of a superfluid.

    `Superfluid.from_state(fluid.state())` goes on exactly as `fluid` does, to the last bit.
    """

    medium: Medium
    finger: Finger | None
    psi: ComplexArray = attrs.field(eq=attrs.cmp_using(eq=np.array_equal))
    """Wave function, shape `(nx, ny)`, complex128, read-only."""
    atoms: float = attrs.field(validator=positive)
    """The norm the fluid was born with: cooling restores it, the speed limit follows from it."""
    motion: Motion = attrs.field(factory=Motion)
    time: float = attrs.field(default=0.0, validator=finite)
    work: float = attrs.field(default=0.0, validator=finite)
    cooling: float = attrs.field(default=0.0, validator=not_negative)


def at_rest(medium: Medium, finger: Finger | None) -> ComplexArray:
    """Return the wave function of Thomas and Fermi: no motion, n = max(0, mu - U) / g.

    It is the ground state but for a healing length at the edges; `Superfluid.relax` does the rest.
    """
    room = medium.chemical_potential - medium.potential()
    if finger is not None:
        bump = finger.bump(medium.grid, Motion(), unit=medium.chemical_potential)
        room -= bump.potential()
    np.maximum(room, 0, out=room)
    return np.sqrt(room / medium.coupling).astype(np.complex128)
