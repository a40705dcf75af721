"""Kill -9 of owners and readers of shared arrays, at random points: what is left over?

`python -m tests.processes.leaks --kills 1000` says so for a thousand; the suite does a few.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import sys
import time
from pathlib import Path

import attrs
import numpy as np
import psutil
from numpy.typing import NDArray

import supervisor
from actors import Actor, ActorRef, Reply, Request, message, receive
from actors.errors import ActorError

ARENA = "/memfd:understudy-arena"
LARGEST = 1 << 17  # float64: 1 MiB
KEPT = 12  # arrays that each party keeps, so that leases are held at any time


@message
class Look(Request[NDArray[np.float64]]):
    """Read it, keep it, answer it."""

    array: NDArray[np.float64]


@message
class Pass(Request[NDArray[np.float64]]):
    """Give it to the next, and answer what he answers."""

    array: NDArray[np.float64]


@message
class Make(Request[NDArray[np.float64]]):
    """Answer a new array."""

    size: int
    value: float


class Hand(Actor):
    next: ActorRef | None = None

    def on_start(self) -> None:
        self.kept: list[NDArray[np.float64]] = []

    @receive
    def look(self, msg: Look) -> NDArray[np.float64]:
        assert msg.array.min() == msg.array.max()
        self.kept = [msg.array, *self.kept[: KEPT - 1]]
        return msg.array

    @receive
    def give(self, msg: Pass) -> NDArray[np.float64]:
        assert self.next is not None
        return self.next.ask(Look(msg.array)).result()

    @receive
    def make(self, msg: Make) -> NDArray[np.float64]:
        array = self.context.empty(msg.size)
        array[:] = msg.value
        return array


@attrs.frozen
class Use:
    """What a process has of arenas: its own, and others' that it has attached."""

    descriptors: int
    maps: int
    bytes: int  # of all arenas that any process of the system still holds


def use_of(pids: list[int]) -> Use:
    """Say what these processes, the first of all, hold of shared arrays."""
    sizes: dict[int, int] = {}
    for pid in pids:
        for fd in _arenas(pid):
            with contextlib.suppress(OSError):  # closed meanwhile
                seen = fd.stat()
                sizes[seen.st_ino] = seen.st_blocks * 512
    maps = Path(f"/proc/{pids[0]}/maps").read_text().count(ARENA)
    return Use(len(_arenas(pids[0])), maps, sum(sizes.values()))


def _arenas(pid: int) -> list[Path]:
    found = []
    with contextlib.suppress(OSError):  # the process has ended meanwhile
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if fd.readlink().as_posix().startswith(ARENA):
                    found.append(fd)
    return found


def _in_use() -> Use:
    return use_of([os.getpid(), *(p.pid for p in psutil.Process().children(recursive=True))])


def settled(system: supervisor.System, before: Use) -> Use:
    """End the actors, let go of all that is not used, and say what is left in use."""
    for name in ("one", "two"):
        with contextlib.suppress(ActorError):
            system.stop(name)
    memory, end = system._portal.memory, time.monotonic() + 10
    while True:
        gc.collect()
        memory.arena.trim()
        memory.mapper.tidy()
        used = _in_use()
        if used == before or time.monotonic() > end:
            return used
        time.sleep(0.01)  # the last words about the ended actors are on their way


def torment(system: supervisor.System, kills: int, seed: int) -> tuple[int, int]:
    """Send arrays about and kill their owners and readers; return how many asks went well, or not.

    Whatever comes back has the right content, or an `ActorError` comes.
    """
    chance = random.Random(seed)
    refs = [system.ref("one"), system.ref("two")]
    kept: list[NDArray[np.float64]] = []
    well = asked = done = 0
    while done < kills:
        replies = [_ask(system, refs, chance) for _ in range(chance.randrange(1, 8))]
        asked += len(replies)
        if chance.random() < 0.7:
            time.sleep(chance.random() * 0.004)  # a random point is what is asked for
            done += system.kill(chance.choice(refs).name) is not None
        for reply, value in replies:
            with contextlib.suppress(ActorError):
                array = reply.result()
                assert array.min() == array.max() == value
                kept = [array, *kept[: KEPT - 1]]
                well += 1
        assert all(array.min() == array.max() for array in kept)
    return well, asked - well


def _ask(
    system: supervisor.System, refs: list[ActorRef], chance: random.Random
) -> tuple[Reply[NDArray[np.float64]], float]:
    value, size = chance.random(), chance.randrange(1 << 13, LARGEST)
    array = system.empty(size) if chance.random() < 0.5 else np.empty(size)
    array[:] = value
    made = chance.choice([Look(array), Pass(array), Make(size, value)])
    return chance.choice(refs).ask(made), value


def passed(system: supervisor.System, kills: int, seed: int) -> tuple[Use, Use, tuple[int, int]]:
    """Return what was in use before and after so many kills, and how the asks went."""
    gc.collect()  # whoever used arrays here before may have left some in cycles
    before = _in_use()
    two = system.spawn(Hand, name="two")
    system.spawn(Hand, name="one", next=two)
    asks = torment(system, kills, seed)
    return before, settled(system, before), asks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with supervisor.start(name=f"leaks-{os.getpid()}") as system:
        before, after, (well, failed) = passed(system, options.kills, options.seed)
    sys.stdout.write(
        f"{options.kills} kills in {time.monotonic() - begun:.0f} s; {well} asks answered, "
        f"{failed} failed\nbefore: {before}\nafter:  {after}\n"
    )


if __name__ == "__main__":
    main()
