"""Xoscar: an actor in a process of a pool; calls are coroutines."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import uvloop
import xoscar
from play import Crowd, Play

os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # its processes are to find this file


class Player(xoscar.Actor):
    notes = 0

    async def add(self, x: float, y: float) -> float:
        return x + y

    async def note(self, x: float, y: float) -> None:
        self.notes += 1

    async def noted(self) -> int:
        notes, self.notes = self.notes, 0
        return notes

    async def pid(self) -> int:
        return os.getpid()

    async def first(self, array: npt.NDArray[Any]) -> float:
        return float(array[0])

    async def echo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array


async def _trips(player: Any, count: int) -> None:
    for _ in range(count):
        await player.add(1.5, 2.5)


@contextmanager
def calls(where: str) -> Iterator[Callable[[int], object]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        player = runner.run(xoscar.actor_ref(where, "player"))
        yield lambda count: runner.run(_trips(player, count))


class Pool:
    """A pool with one process for the player, and further ones as they are asked for."""

    async def open(self) -> str:
        """Start it; its player's address."""
        self._pool = await xoscar.create_actor_pool("127.0.0.1:0", n_process=1)
        self._address = next(iter(self._pool.sub_processes))
        self._player = await xoscar.create_actor(Player, uid="player", address=self._address)
        return self._address

    async def close(self) -> None:
        await self._pool.stop()

    async def trip(self, count: int) -> None:
        await _trips(self._player, count)

    async def many(self, count: int) -> None:
        await asyncio.gather(*(self._player.add(1.5, 2.5) for _ in range(count)))

    async def tell(self, count: int) -> None:
        for _ in range(count):
            await self._player.note.tell(1.5, 2.5)
        assert await self._player.noted() == count

    async def pid(self) -> int:
        return await self._player.pid()

    async def sent(self, array: npt.NDArray[Any]) -> None:
        await self._player.first(array)

    async def echo(self, array: npt.NDArray[Any]) -> None:
        await self._player.echo(array)

    async def spawn(self, count: int) -> list[str]:
        return await asyncio.gather(*(self._spawn_one() for _ in range(count)))

    async def _spawn_one(self) -> str:
        address = await self._pool.append_sub_pool()
        player = await xoscar.create_actor(Player, address=address)
        await player.add(1.5, 2.5)
        return address

    async def end(self, addresses: list[str]) -> None:
        await asyncio.gather(*map(self._pool.remove_sub_pool, addresses))

    async def fall(self) -> None:
        pid = await self._player.pid()
        os.kill(pid, signal.SIGKILL)
        await xoscar.wait_actor_pool_recovered(self._address, self._pool.external_address)
        assert await self._player.pid() != pid


@contextmanager
def play() -> Iterator[Play]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pool = Pool()
        where = runner.run(pool.open())
        try:
            with Crowd("xoscar", where) as crowd:
                yield _played(runner, pool, crowd)
        finally:
            runner.run(pool.close())


def _played(runner: asyncio.Runner, pool: Pool, crowd: Crowd) -> Play:
    def spawn(count: int) -> Callable[[], object]:
        addresses = runner.run(pool.spawn(count))
        return lambda: runner.run(pool.end(addresses))

    return Play(
        trip=lambda count: runner.run(pool.trip(count)),
        pid=lambda: runner.run(pool.pid()),
        many=lambda count: runner.run(pool.many(count)),
        tell=lambda count: runner.run(pool.tell(count)),
        fan_in=crowd,
        spawn=spawn,
        fall=lambda: runner.run(pool.fall()),
        sent=lambda array: runner.run(pool.sent(array)),
        echo=lambda array: runner.run(pool.echo(array)),
    )
