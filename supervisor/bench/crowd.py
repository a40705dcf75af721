"""Many clients of one actor: four programs that ask in turn, as ours and as raw pyzmq."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage, asker

CLIENTS: Final = 4
ASKS: Final = 200
"""Of each client in one round."""

RAW: Final = "raw pyzmq, no broker"


class Crowd:
    """Programs that wait for a word, ask, and say that they are done."""

    def __init__(self, kind: str, where: str, count: int = CLIENTS) -> None:
        command = [sys.executable, "-m", "supervisor.bench.crowd", kind, where]
        self._count = count
        self._clients = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C is ours
            )
            for _ in range(count)
        ]
        self._hear()

    def _hear(self) -> None:
        for client in self._clients:
            assert client.stdout is not None
            if not client.stdout.readline():
                raise RuntimeError(f"a client ended with exit code {client.wait()}")

    def rate(self) -> float:
        """Return how many asks a second were answered to all together."""
        begun = time.perf_counter()
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write(b"%d\n" % ASKS)
            client.stdin.flush()
        self._hear()
        return self._count * ASKS / (time.perf_counter() - begun)

    def close(self) -> None:
        """End the programs: they do when there is no further word."""
        for client in self._clients:
            client.communicate()


def crowd(repeats: int) -> list[Figure]:
    """Four programs ask one actor, each in turn."""
    name = f"bench-{os.getpid()}"
    with supervisor.start(name=name) as system, Stage() as stage:
        system.spawn(Player, name="player")
        ours, theirs = Crowd("ours", name), Crowd("raw", stage.endpoint)
        try:
            found = rounds(repeats, {"ours": ours.rate, "raw": theirs.rate})
        finally:
            ours.close()
            theirs.close()
    title = f"{CLIENTS} programs ask one actor in turn"
    return [compared(title, "/s", found["ours"], found["raw"], beside=RAW)]


def _serve(ask: Callable[[], object]) -> None:
    ask()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for word in sys.stdin:
        for _ in range(int(word)):
            ask()
        sys.stdout.write("done\n")
        sys.stdout.flush()


def main(kind: str, where: str) -> None:
    """Be one client."""
    if kind == "raw":
        _serve(asker(where))
        return
    with supervisor.connect(where) as system:
        player = system.ref("player")
        _serve(lambda: player.ask(Add(1.5, 2.5)).result())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
