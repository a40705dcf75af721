"""The shortest script: it starts a system, has an actor answer, and says when."""

from __future__ import annotations

import sys
import time

import supervisor
from supervisor.bench.cast import Add, Player

if __name__ == "__main__":
    begun = time.perf_counter()
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        sys.stdout.write(f"{player.ask(Add(1, 2)).result()} {time.perf_counter() - begun}\n")
        sys.stdout.flush()
