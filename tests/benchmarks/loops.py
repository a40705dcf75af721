"""Asks from an asyncio program, beside raw pyzmq in one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import zmq

from supervisor.bench.cast import Add
from supervisor.bench.figures import Figure, rounds
from supervisor.bench.rivals import ASK, CAP, TO_SERVER, holds
from supervisor.bench.talk import (
    DIRECT,
    MANY,
    RELAYED,
    loop_trip,
    rate_figures,
    stages,
    trip_figures,
)


class LoopClient:
    """The same client in asyncio: a future for every answer, the raw descriptor, no zmq.asyncio."""

    def __init__(self, socket: zmq.Socket[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._socket = socket
        self._loop = loop
        self._waiting: deque[asyncio.Future[list[bytes]]] = deque()
        self._descriptor = socket.fileno()
        loop.add_reader(self._descriptor, self._drain)

    def ask(self) -> asyncio.Future[list[bytes]]:
        """Send; the future is its answer."""
        future = self._loop.create_future()
        self._waiting.append(future)
        self._socket.send_multipart([TO_SERVER, ASK], zmq.NOBLOCK)
        if holds(self._socket):
            self._loop.call_soon(self._drain)
        return future

    def _drain(self) -> None:
        for _ in range(CAP):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._waiting.popleft().set_result(frames)
        if holds(self._socket):
            self._loop.call_soon(self._drain)

    def close(self) -> None:
        """Watch no longer."""
        self._loop.remove_reader(self._descriptor)


def ask_asyncio(repeats: int) -> list[Figure]:
    """Round trips and pipelined asks from an asyncio program."""
    loop = asyncio.new_event_loop()

    def on_loop(measure: Callable[[], Awaitable[float]]) -> Callable[[], float]:
        return lambda: loop.run_until_complete(measure())

    with stages() as (ours, coroutine, relayed, direct):
        clients = [LoopClient(stage.socket, loop) for stage in (relayed, direct)]
        asks: dict[str, Callable[[], Awaitable[object]]] = {
            "ours": lambda: ours.ask(Add(1.5, 2.5)),
            RELAYED: clients[0].ask,
            DIRECT: clients[1].ask,
        }
        also = {"async": lambda: coroutine.ask(Add(1.5, 2.5))}
        trips = rounds(repeats, {k: on_loop(loop_trip(v)) for k, v in (asks | also).items()})
        rates = rounds(repeats, {k: on_loop(_flood(v)) for k, v in asks.items()})
        for client in clients:
            client.close()
    loop.close()
    return [
        *trip_figures("ask round trip, asyncio", trips),
        *rate_figures(f"pipelined asks, asyncio, {MANY} in flight", rates),
    ]


def _flood(ask: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
    async def run() -> float:
        begun = time.perf_counter()
        # Awaited one by one: `gather` would wrap each in a task and measure asyncio.
        for answer in [ask() for _ in range(MANY)]:
            await answer
        return MANY / (time.perf_counter() - begun)

    return run
