"""A scenario with every source of time and chance; run as a program, it prints its trace.

What the actors said in it is recorded in `chance.txt`: it must be the same on every Python, with
every hash seed, and on every machine.  After a change that is meant to change it:

    python tests/testing/chance.py said > tests/testing/chance.txt
"""

import asyncio
import datetime as dt
import os
import random
import secrets
import sys
import time
import uuid
from datetime import date
from pathlib import Path
from random import randint
from time import monotonic

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from actors import Actor, DeadLetter, Request, message, receive
from actors.testing import BrokerRestart, Crash, Delay, Drop, simulate


@message
class Now(Request[str]):
    pass


@message
class Throw(Request[str]):
    how: str


@message
class Count(Request[int]):
    pass


class Clock(Actor):
    """Says what time it is, in every way there is."""

    @receive
    async def now(self, _msg: Now) -> str:
        await asyncio.sleep(1.25)
        parts = [
            f"{time.time():.0f} {time.monotonic():.0f} {monotonic():.0f} {time.process_time():.0f}",
            f"{dt.datetime.now():%F %T} {dt.datetime.now(dt.UTC):%T%z}",  # noqa: DTZ005
            f"{date.today()} {dt.datetime.today():%T}",  # noqa: DTZ002, DTZ011
            f"{time.strftime('%T')} {time.ctime()} {time.localtime().tm_min}",
            f"{dt.datetime.now().timestamp():.0f}",  # noqa: DTZ005
        ]
        return " | ".join(parts)


THROWS = {
    "random": lambda: f"{random.random()} {randint(0, 99)} {random.Random().random()}",
    "seeded": lambda: (random.seed(5), f"{random.random()} {random.choice('abcdef')}")[1],
    "numpy": lambda: f"{np.random.rand()} {np.random.randint(1000)}",  # noqa: NPY002
    "generator": lambda: f"{np.random.default_rng().random()}",
    "secrets": lambda: f"{secrets.token_hex(4)} {secrets.randbelow(99)} {os.urandom(3).hex()}",
    "uuid": lambda: f"{uuid.uuid4()} {uuid.uuid1()}",
}


class Gambler(Actor):
    """Draws, in every way there is."""

    @receive
    def throw(self, msg: Throw) -> str:
        return THROWS[msg.how]()


class Counter(Actor):
    """Counts in each life anew."""

    count = 0

    @receive
    async def up(self, _msg: Count) -> int:
        self.count += 1
        await asyncio.sleep(random.uniform(0.1, 0.2))
        return self.count


async def scenario(sim):
    clock = sim.spawn(Clock, name="clock")
    gamblers = [sim.spawn(Gambler, name=name) for name in ("ann", "ben")]
    letters = sim.subscribe(DeadLetter)
    await clock.ask(Now())
    for how in THROWS:
        await asyncio.gather(*(gambler.ask(Throw(how)) for gambler in gamblers))
    counter = sim.spawn(Counter, name="counter")
    asks = [counter.ask(Count()) for _ in range(3)]
    await asyncio.gather(*asks, return_exceptions=True)
    sim.kill("counter")
    await sim.settle()
    assert await counter.ask(Count()) == 1
    assert not letters.done()


FAULTS = (
    Delay(at=2, seconds=0.1),
    Drop(at=5),
    Crash("ben", at=Throw, nth=3, when="before"),
    BrokerRestart(at=12),
)


def trace(seed=7):
    """Return the trace of one run; what failed in it is raised."""
    done = simulate(scenario, FAULTS, seed=seed)
    if done.error is not None:
        raise done.error
    return done.trace


def said(text):
    """Return who said what to whom, without the moments, which are the core's to choose."""
    lines = [line.partition(" ")[2] for line in text.splitlines()]
    return "\n".join(line for line in lines if line[0] == "#")


if __name__ == "__main__":
    text = trace()
    print(said(text) if sys.argv[1:] == ["said"] else text)  # noqa: T201 - it is a program
