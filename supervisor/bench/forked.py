"""What our processes are compared with: those of multiprocessing's fork server."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

MODULES: Final = ("supervisor.bench.cast",)
"""What is preloaded, there and here."""

FORKED: Final = "multiprocessing's fork server, preloaded"


class Forked:
    """Processes of multiprocessing's fork server, which has imported what ours has."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", "supervisor.bench.forked", *MODULES])
        self.spawn(1)  # the server itself

    def spawn(self, count: int) -> float:
        """Return the milliseconds until each of so many has answered."""
        begun = time.perf_counter()
        started = [self._begin() for _ in range(count)]
        for _, ours in started:
            ours.send_bytes(b"ask")
        for _, ours in started:
            ours.recv_bytes()
        took = (time.perf_counter() - begun) * 1e3
        for process, ours in started:
            ours.close()
            process.join()
        return took

    def fall(self) -> float:
        """Return the milliseconds from `kill -9` until another has answered."""
        process, ours = self._begin()
        ours.send_bytes(b"ask")
        ours.recv_bytes()
        begun = time.perf_counter()
        process.kill()
        process.join()
        ours.close()
        return (time.perf_counter() - begun) * 1e3 + self.spawn(1)

    def weigh(self, count: int, weigh: Callable[[int], float]) -> list[float]:
        """Return what so many weigh that have nothing to do but to answer once."""
        started = [self._begin() for _ in range(count)]
        for _, ours in started:
            ours.send_bytes(b"ask")
            ours.recv_bytes()
        weights = [weigh(process.pid) for process, _ in started if process.pid is not None]
        for process, ours in started:
            ours.close()
            process.join()
        return weights

    def _begin(self) -> tuple[BaseProcess, Any]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_answer, args=(theirs,))
        process.start()
        theirs.close()
        return process, ours


def _answer(pipe: Connection[bytes, bytes]) -> None:
    with suppress(EOFError):
        while True:
            pipe.send_bytes(pipe.recv_bytes())
