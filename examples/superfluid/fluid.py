"""A superfluid to play with, live:

    cd examples/superfluid
    understudy compute fluid:Fluid --help
    understudy compute fluid:Fluid --trap bucket --vortices 2

and in another terminal, or a notebook:

    system = supervisor.connect()
    fluid = Computation(system, "fluid")
    fluid.set(finger=(10.0, 0.0), cooling=0.01)
    for frame in fluid.view("density"): ...

The solver, the finger and the vortices are those of `actors.compute`, whose tests compare them
with what is known in closed form.
"""

from __future__ import annotations

from typing import Annotated, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from actors import message
from actors.compute import ComputeServer, command, output
from actors.compute.medium import Bucket, Grid, Harmonic, Medium, finite, not_negative
from actors.compute.state import State
from actors.compute.stirrer import Finger
from actors.compute.superfluid import Superfluid
from actors.compute.vortices import Vortex, charges

TRACE_EVERY = 5
"""Steps between two moves of the tracers: finding the velocity costs about as much as a step."""

TRAPS = {"none": None, "harmonic": Harmonic(0.05, 0.05), "bucket": Bucket()}
_fixed = attrs.setters.frozen


@message
class Kept:
    """Everything, to the bit."""

    state: State
    tracers: NDArray[np.float64]
    steps: int
    norm: float
    energy: float


class Fluid(ComputeServer):
    """A superfluid in two dimensions, stirred by a finger on a spring."""

    finger: Annotated[tuple[float, float], "where the finger is drawn to"] = attrs.field(
        default=(0.0, 0.0), validator=attrs.validators.deep_iterable(finite)
    )
    strength: Annotated[float, "of the finger, in chemical potentials"] = attrs.field(
        default=0.0, validator=finite
    )
    cooling: Annotated[float, "how fast energy leaves; 0: not at all"] = attrs.field(
        default=0.0, validator=not_negative
    )
    vortices: Annotated[int, "pairs drawn at the beginning, and at a reset"] = attrs.field(
        default=0, validator=attrs.validators.in_(range(9))
    )
    size: Annotated[int, "points along each side"] = attrs.field(
        default=64, validator=attrs.validators.ge(8), on_setattr=_fixed
    )
    trap: Annotated[Literal["none", "harmonic", "bucket"], "what holds the fluid"] = attrs.field(
        default="none", on_setattr=_fixed
    )
    tracers: Annotated[int, "particles that drift with it"] = attrs.field(
        default=200, validator=attrs.validators.in_(range(100_001)), on_setattr=_fixed
    )
    seed: Annotated[int, "where vortices and tracers begin"] = attrs.field(
        default=1, on_setattr=_fixed
    )

    def begin(self) -> None:
        grid = Grid(nx=self.size, ny=self.size)
        medium = Medium(grid=grid, trap=TRAPS[self.trap])
        self.chance = np.random.default_rng(self.seed)
        self.fluid = Superfluid(medium, Finger(strength=self.strength), cooling=self.cooling)
        self.fluid.aim(*self.finger)
        places = self.chance.uniform(-self.size / 5, self.size / 5, (2 * self.vortices, 2))
        if self.vortices:
            signs = (1, -1) * self.vortices  # they add up to zero, as they must in a periodic box
            drawn = zip(places, signs, strict=True)
            self.fluid.imprint([Vortex(*place, sign) for place, sign in drawn])
        self.done, self.norm, self.energy = 0, self.fluid.norm(), self.fluid.energy()
        self.reset_tracers()

    def advance(self, steps: int) -> None:
        while steps:
            part = min(steps, TRACE_EVERY - self.done % TRACE_EVERY)
            self.fluid.step(part)
            self.done, steps = self.done + part, steps - part
            if self.tracers and self.done % TRACE_EVERY == 0:
                self.drift(TRACE_EVERY * self.fluid.medium.dt)

    def drift(self, seconds: float) -> None:
        """Carry the tracers along with the flow, interpolated between the grid's points."""
        grid = self.fluid.medium.grid
        at = self.places / grid.dx + self.size / 2
        low = np.floor(at).astype(int)
        share = at - low
        flow, moved = self.fluid.velocity(), np.zeros_like(self.places)
        for i in (0, 1):
            for j in (0, 1):
                weight = np.abs(1 - i - share[:, 0]) * np.abs(1 - j - share[:, 1])
                x, y = (low[:, 0] + i) % self.size, (low[:, 1] + j) % self.size
                moved += weight[:, None] * flow[:, x, y].T
        width = np.array(grid.lengths)
        self.places += moved * seconds
        self.places -= width * np.floor(self.places / width + 0.5)

    def changed(self, names: frozenset[str]) -> None:
        if "finger" in names:
            self.fluid.aim(*self.finger)
        if "cooling" in names:
            self.fluid.cool(self.cooling)
        if "strength" in names:
            self.fluid.press(self.strength)

    def state(self) -> Kept:
        return Kept(self.fluid.state(), self.places.copy(), self.done, self.norm, self.energy)

    def resume(self, state: Kept) -> None:
        self.fluid = Superfluid.from_state(state.state)
        self.places, self.done = state.tracers.copy(), state.steps
        self.norm, self.energy = state.norm, state.energy

    @output
    def density(self) -> NDArray[np.float64]:
        """Atoms per area."""
        return self.fluid.density()

    @output
    def drifters(self) -> NDArray[np.float64]:
        """Places x, y of the tracers."""
        return self.places

    @output
    def norm_drift(self) -> float:
        """(N - N0) / N0 since the beginning."""
        return self.fluid.norm() / self.norm - 1

    @output
    def energy_drift(self) -> float:
        """(E - E0 - work) / E0 since the beginning; cooling takes it below zero."""
        return (self.fluid.energy() - self.energy - self.fluid.work) / abs(self.energy)

    @output
    def vortex_count(self) -> int:
        """Vortices of either sign, where there is fluid."""
        there = self.fluid.density() > self.fluid.medium.density / 100
        return int(np.count_nonzero(charges(self.fluid.psi)[there]))

    @command
    def reset_tracers(self) -> None:
        """Strew the tracers anew, most where most fluid is."""
        share = self.fluid.density().ravel()
        cells = self.chance.choice(share.size, self.tracers, p=share / share.sum())
        corner = np.stack(np.divmod(cells, self.size), axis=1) - self.size / 2
        inside = self.chance.uniform(-0.5, 0.5, corner.shape)
        self.places = (corner + inside) * self.fluid.medium.grid.dx
