"""Live frames through our ring, and through iceoryx2 where it is installed: `make bench-peers`."""

from __future__ import annotations

import os
import sys

from supervisor.bench.figures import Figure
from supervisor.bench.rings import Rates, rings
from tests.benchmarks.peers import Rival, has


def frames(repeats: int) -> list[Figure]:
    """Rings of ours, beside iceoryx2 if `UNDERSTUDY_PEERS`, a Python, can import it."""
    python = os.environ.get("UNDERSTUDY_PEERS", sys.executable)
    if not has(python, "iceoryx2"):
        return rings(repeats)
    with Rival(python, "writer", "iceoryx.py") as rival:

        def drawn(readers: int) -> Rates:
            return rival.measure("written", readers), rival.measure("seen", readers)

        return rings(repeats, {"iceoryx2": drawn})
