"""A viewer of its own process: `python viewing.py ENDPOINT NAME ROAD`, a JSON line per frame."""

from __future__ import annotations

import json
import sys

import supervisor
from actors.compute.client import Computation

if __name__ == "__main__":
    endpoint, name, road = sys.argv[1:]
    with supervisor.connect(endpoint) as system:
        for frame in Computation(system, name).view("field", by_message=road == "message"):
            moment = frame.moment
            fact = {"frame": moment.frame, "life": moment.incarnation, "steps": moment.steps}
            fact["by"] = moment.parameters["by"]
            sys.stdout.write(json.dumps(fact) + "\n")
            sys.stdout.flush()
