"""Computations that go on step by step while others watch and steer; and one of them.

server        the actor, the base of every model
client        what a program uses it with
words         what one says to it
interface     what a model offers, read off its class
settings      its values by name
stage         where it shows its frames
checkpoint    what its next life needs
handler       serves a client elsewhere
turns         steps, shows and rests, as the pacing says
pacing        when to step, show, rest          deciders
attendance    who is there, when to end

medium        what never changes while it flows: the grid, the units, the trap
stirrer       the finger: its shape, the spring that pulls it, how it moves
vortices      how to draw vortices into a periodic fluid, and how to count them
superfluid    the solver of the Gross-Pitaevskii equation that joins them
state         everything a superfluid is at one moment
live          the demo's server of a superfluid
audience      the demo's viewers and controller
"""

from actors.compute.client import Computation, View
from actors.compute.interface import command, output
from actors.compute.server import ComputeServer

__all__ = ["Computation", "ComputeServer", "View", "command", "output"]
