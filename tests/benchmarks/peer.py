"""One other library doing what `cast.Player` does.  Run by an environment that has it, not ours.

    python peer.py pyro5        then on standard input, a line for each measurement:
    trip 200                    ─► seconds of one call, as the mean of 200 in turn
    many 2000                   ─► calls a second with 2,000 in flight; 0 where it has no such thing
    spawn 1                     ─► seconds until a new process has answered; 0 likewise

Server and client are two processes of one host, as ours are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Calls = tuple[
    Callable[[], object], Callable[[int], object] | None, Callable[[], Callable[[], object]] | None
]
"""What makes one call, what many at once, and what an actor that has answered; it gives its end."""


@contextlib.contextmanager
def _server(kind: str) -> Iterator[str]:
    """Start this file as the server's process; its socket's path."""
    with tempfile.TemporaryDirectory(prefix="us-peer-") as directory:
        path = str(Path(directory) / "socket")
        command = [sys.executable, __file__, f"{kind}-server", path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield path
            finally:
                process.kill()


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    def watch() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def pyro5_server(path: str) -> None:
    import Pyro5.api  # noqa: PLC0415 - only this environment has it

    @Pyro5.api.expose
    class Player:
        def add(self, x: float, y: float) -> float:
            return x + y

    Pyro5.config.SERIALIZER = "msgpack"
    daemon = Pyro5.api.Daemon(unixsocket=path)
    daemon.register(Player(), "player")
    _ready()
    daemon.requestLoop()


@contextlib.contextmanager
def pyro5() -> Iterator[Calls]:
    import Pyro5.api  # noqa: PLC0415

    Pyro5.config.SERIALIZER = "msgpack"
    with _server("pyro5") as path, Pyro5.api.Proxy(f"PYRO:player@./u:{path}") as player:
        yield lambda: player.add(1.5, 2.5), None, None


def rpyc_server(path: str) -> None:
    import rpyc  # noqa: PLC0415
    from rpyc.utils.server import OneShotServer  # noqa: PLC0415

    class Player(rpyc.Service):
        def exposed_add(self, x: float, y: float) -> float:
            return x + y

    server = OneShotServer(Player, socket_path=path)
    _ready()
    server.start()


@contextlib.contextmanager
def rpyc() -> Iterator[Calls]:
    import rpyc  # noqa: PLC0415

    with _server("rpyc") as path:
        connection = _patiently(lambda: rpyc.utils.factory.unix_connect(path))
        add = connection.root.add
        later = rpyc.async_(add)

        def many(count: int) -> None:
            for _ in range(count // 50):  # with more, both ends wait for room to write
                for result in [later(1.5, 2.5) for _ in range(50)]:
                    result.wait()

        yield lambda: add(1.5, 2.5), many, None
        connection.close()


@contextlib.contextmanager
def thespian() -> Iterator[Calls]:
    from thespian.actors import (  # noqa: PLC0415
        ActorExitRequest,
        ActorSystem,
        ActorTypeDispatcher,
    )

    class Player(ActorTypeDispatcher):  # pickled by name: made global below
        def receiveMsg_tuple(self, message: tuple[float, float], sender: Any) -> None:  # noqa: N802
            self.send(sender, message[0] + message[1])

    Player.__qualname__ = "Player"
    globals()["Player"] = Player
    system = ActorSystem("multiprocTCPBase")
    try:
        player = system.createActor(Player)

        def many(count: int) -> None:
            for _ in range(count):
                system.tell(player, (1.5, 2.5))
            for _ in range(count):
                system.listen(10)

        def spawn() -> Callable[[], object]:
            another = system.createActor(Player)
            system.ask(another, (1.5, 2.5), 10)
            return lambda: system.tell(another, ActorExitRequest())

        yield lambda: system.ask(player, (1.5, 2.5), 10), many, spawn
    finally:
        system.shutdown()


@contextlib.contextmanager
def xoscar() -> Iterator[Calls]:
    import xoscar  # noqa: PLC0415

    class Player(xoscar.Actor):
        async def add(self, x: float, y: float) -> float:
            return x + y

    Player.__qualname__ = "Player"
    globals()["Player"] = Player
    loop = asyncio.new_event_loop()
    pool = loop.run_until_complete(xoscar.create_actor_pool("127.0.0.1:0", n_process=1))
    address = pool.sub_processes and next(iter(pool.sub_processes))
    player = loop.run_until_complete(
        xoscar.create_actor(Player, uid="player", address=address or pool.external_address)
    )

    async def trips(count: int) -> None:
        for _ in range(count):
            await player.add(1.5, 2.5)

    async def together(count: int) -> None:
        await asyncio.gather(*(player.add(1.5, 2.5) for _ in range(count)))

    trip = lambda: loop.run_until_complete(trips(1))  # noqa: E731
    yield trip, lambda count: loop.run_until_complete(together(count)), None
    loop.run_until_complete(pool.stop())


@contextlib.contextmanager
def ray() -> Iterator[Calls]:
    import ray  # noqa: PLC0415

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    @ray.remote
    class Player:
        def add(self, x: float, y: float) -> float:
            return x + y

    player = Player.remote()

    def spawn() -> Callable[[], object]:
        another = Player.remote()
        ray.get(another.add.remote(1.5, 2.5))
        return lambda: ray.kill(another)

    yield (
        lambda: ray.get(player.add.remote(1.5, 2.5)),
        lambda count: ray.get([player.add.remote(1.5, 2.5) for _ in range(count)]),
        spawn,
    )
    ray.shutdown()


@contextlib.contextmanager
def dask() -> Iterator[Calls]:
    from distributed import Client, LocalCluster  # noqa: PLC0415

    class Player:
        def add(self, x: float, y: float) -> float:
            return x + y

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        player = client.submit(Player, actor=True).result()

        def many(count: int) -> None:
            for future in [player.add(1.5, 2.5) for _ in range(count)]:
                future.result()

        yield lambda: player.add(1.5, 2.5).result(), many, None


def _patiently(connect: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while True:
        try:
            return connect()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


PEERS = {"pyro5": pyro5, "rpyc": rpyc, "thespian": thespian, "xoscar": xoscar, "ray": ray}
PEERS["dask"] = dask
SERVERS = {"pyro5-server": pyro5_server, "rpyc-server": rpyc_server}


def main(kind: str) -> None:
    words = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    with PEERS[kind]() as (call, many, spawn):
        call()
        print("ready", file=words, flush=True)
        for line in sys.stdin:
            what, count = line.split()[0], int(line.split()[1])
            begun = time.perf_counter()
            if what == "trip":
                for _ in range(count):
                    call()
                result = (time.perf_counter() - begun) / count
            elif what == "many" and many is not None:
                many(count)
                result = count / (time.perf_counter() - begun)
            elif what == "spawn" and spawn is not None:
                end = spawn()
                result = time.perf_counter() - begun
                end()
            else:
                result = 0.0
            print(result, file=words, flush=True)


if __name__ == "__main__":
    if sys.argv[1] in SERVERS:
        _end_with_input()
        SERVERS[sys.argv[1]](sys.argv[2])
    else:
        main(sys.argv[1])
