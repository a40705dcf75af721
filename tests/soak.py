"""An hour on a machine that has far too much to do: is anybody killed who should live?

    python -m tests.soak                              32 burners for 60 minutes
    python -m tests.soak --minutes 1 --burners 4

Actors that are idle, await, stream and work stand beside processes that want every processor
there is.  Whoever is replaced, broker and monitor included, is a false verdict and makes the exit
code 1.  Every ten minutes one actor is stopped (SIGSTOP), to see that the judge is still awake.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "processes"))

from misfits import Misfit, Nap, Steps, Who, Work

import supervisor
from supervisor import Limits

IDLE = 8
ROUND = 20.0  # seconds
EVERY = 600.0  # seconds between two guilty ones


def burn(count, niceness):
    code = f"import os\nos.nice({niceness})\nwhile True: pass"
    return [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]


def a_round(refs):
    """Have everybody do what must not be taken for hanging."""
    nap = refs["napping"].ask(Nap(ROUND - 2.0), timeout=600.0)
    steps = refs["streaming"].stream(Steps(count=40, seconds=0.2))
    end, works = time.monotonic() + ROUND, 0
    while time.monotonic() < end:
        refs["working"].ask(Work(0.05, progress=False), timeout=600.0).result()
        works += 1
    assert list(steps) == list(range(40))
    nap.result()
    return works


def stop_one(system, ref):
    """Return how long it takes until a stopped actor answers again."""
    pid, _ = ref.ask(Who(), timeout=600.0).result()
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    ref.ask(Who(), timeout=600.0).result()
    return time.monotonic() - began


def soak(minutes, refs, system):
    began = guilty_at = time.monotonic()
    found = {"rounds": 0, "works": 0, "unanswered": 0, "oldest_heartbeat": 0.0, "stopped": []}
    while time.monotonic() < began + minutes * 60.0:
        found["works"] += a_round(refs)
        found["rounds"] += 1
        try:
            beats = [actor.heartbeat or 0.0 for actor in system.status().actors]
            found["oldest_heartbeat"] = max(found["oldest_heartbeat"], *beats)
        except TimeoutError:
            found["unanswered"] += 1  # the supervisor got no processor for ten seconds
        if time.monotonic() >= guilty_at:
            guilty_at += EVERY
            found["stopped"].append(round(stop_one(system, refs["guilty"]), 2))
    return found


def last_status(system):
    """The soak is over: however long it takes."""
    while True:
        try:
            return system.status()
        except TimeoutError:
            continue


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--burners", type=int, default=32)
    parser.add_argument("--nice", type=int, default=0, help="of the burners")
    options = parser.parse_args()
    limits = Limits(handler_seconds=10.0)
    burners = burn(options.burners, options.nice)
    try:
        with supervisor.start() as system:
            names = [f"idle-{number}" for number in range(IDLE)]
            names += ["napping", "streaming", "working", "guilty"]
            refs = {name: system.spawn(Misfit, name=name, limits=limits) for name in names}
            found = soak(options.minutes, refs, system)
            status = last_status(system)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    wrong = [crash.reason for crash in status.crashes if crash.name != "guilty"]
    found |= {"minutes": options.minutes, "burners": options.burners}
    found |= {"load": os.getloadavg(), "broker_restarts": status.broker_restarts, "wrong": wrong}
    print(json.dumps(found, indent=2))  # noqa: T201 - a program, not a test
    return 1 if wrong or status.broker_restarts else 0


if __name__ == "__main__":
    sys.exit(main())
