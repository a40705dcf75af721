"""RPyC: calls of a server's service, over a Unix socket."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import rpyc
from play import Crowd, Play, server
from rpyc.utils.factory import connect_multiprocess, unix_connect
from rpyc.utils.server import ThreadedServer

BURST = 50
"""Calls in flight: with more, both ends wait for room to write."""


class Player(rpyc.Service):
    exposed_namespace: ClassVar[dict[str, Any]] = {}  # `connect_multiprocess` wants to fill it

    def on_connect(self, conn: Any) -> None:
        _uncompressed(conn)

    def exposed_add(self, x: float, y: float) -> float:
        return x + y

    def exposed_pid(self) -> int:
        return os.getpid()

    def exposed_first(self, data: bytes) -> float:
        return struct.unpack_from("d", data)[0]

    def exposed_echo(self, data: bytes) -> bytes:
        return data


def _uncompressed(connection: Any) -> None:
    """Send bytes as they are: to compress what is large costs more than a local socket saves."""
    connection._channel.compress = False


def serve(where: str, ready: Callable[[], None]) -> None:
    server = ThreadedServer(Player, socket_path=where)
    ready()
    server.start()


@contextmanager
def connected(where: str) -> Iterator[Any]:
    connection = _patiently(lambda: unix_connect(where))
    _uncompressed(connection)
    yield connection
    connection.close()


def _patiently(connect: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while True:
        try:
            return connect()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


@contextmanager
def calls(where: str) -> Iterator[Callable[[int], object]]:
    with connected(where) as connection:
        add = connection.root.add

        def trip(count: int) -> None:
            for _ in range(count):
                add(1.5, 2.5)

        yield trip


def spawn(count: int) -> Callable[[], object]:
    found = [connect_multiprocess(remote_service=Player) for _ in range(count)]
    for result in [rpyc.async_(one.root.add)(1.5, 2.5) for one in found]:
        result.wait()

    def end() -> None:
        for one in found:
            one.close()

    return end


@contextmanager
def play() -> Iterator[Play]:
    with server("rpyc") as where, connected(where) as connection, calls(where) as trip:
        player = connection.root
        later = rpyc.async_(player.add)

        def many(count: int) -> None:
            assert count % BURST == 0, f"{count} asks are no whole bursts of {BURST}"
            for _ in range(count // BURST):
                for result in [later(1.5, 2.5) for _ in range(BURST)]:
                    result.wait()

        with Crowd("rpyc", where) as crowd:
            yield Play(
                trip=trip,
                pid=player.pid,
                many=many,  # each is answered: it has no calls without
                fan_in=crowd,
                spawn=spawn,
                data=lambda size: b"\1" * size,  # an array would be called item by item
                most_data=8 << 20,  # 64 MiB take half a minute: it copies the rest for each packet
                sent=player.first,
                echo=player.echo,
            )
