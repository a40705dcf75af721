"""Dask: an actor in a worker of a local cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
from distributed import Client, LocalCluster
from play import Play


class Player:
    def add(self, x: float, y: float) -> float:
        return x + y

    def pid(self) -> int:
        return os.getpid()

    def first(self, array: npt.NDArray[Any]) -> float:
        return float(array[0])

    def echo(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array


@contextmanager
def play() -> Iterator[Play]:
    """Have an actor: it is told nothing, starts no process, and is lost with its worker."""
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        player = client.submit(Player, actor=True).result()

        def trip(count: int) -> None:
            for _ in range(count):
                player.add(1.5, 2.5).result()

        def many(count: int) -> None:
            for future in [player.add(1.5, 2.5) for _ in range(count)]:
                future.result()

        yield Play(
            trip=trip,
            pid=lambda: player.pid().result(),
            many=many,
            sent=lambda array: player.first(array).result(),
            echo=lambda array: player.echo(array).result(),
        )
