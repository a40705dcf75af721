"""A controller of its own process: `python steering.py ENDPOINT NAME BY...`, a line per change."""

from __future__ import annotations

import json
import sys

import supervisor
from actors.compute.client import Computation

if __name__ == "__main__":
    endpoint, name, *values = sys.argv[1:]
    with supervisor.connect(endpoint) as system:
        computation = Computation(system, name)
        for by in map(int, values):
            computation.set(by=by)
            # Frames that were shown by then; the next but one must have the value.
            sys.stdout.write(json.dumps({"by": by, "frame": computation.heartbeat().frames}) + "\n")
            sys.stdout.flush()
            sys.stdin.readline()  # until everybody has seen it
