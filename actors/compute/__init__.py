"""The compute server's rooms: a superfluid that is stirred while others watch.

medium       what never changes while it flows: the grid, the units, the trap
stirrer      the finger: its shape, the spring that pulls it, how it moves
vortices     how to draw vortices into a periodic fluid, and how to count them
superfluid   the solver of the Gross-Pitaevskii equation that joins them
"""
