"""Many clients of one actor: programs that ask in turn, as ours and as raw pyzmq.

Each may have many connections; then each of those has one ask in flight.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage, asker
from supervisor.ceilings import take_descriptors

CLIENTS: Final = 4
ASKS: Final = 200
"""Of each program in one round."""

MIN_TURNS: Final = 3
CLOSING: Final = 32
"""Connections that are closed at a time."""

RAW: Final = "raw pyzmq, no broker"


class Crowd:
    """Programs that wait for a word, ask, and say that they are done."""

    def __init__(self, kind: str, where: str, count: int = CLIENTS, connections: int = 1) -> None:
        module = "supervisor.bench.crowd"
        command = [sys.executable, "-m", module, kind, where, str(connections)]
        self._count = count * connections
        self._turns = max(MIN_TURNS, ASKS // connections)
        self._clients = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C is ours
            )
            for _ in range(count)
        ]
        try:
            self._hear()
        except BaseException:
            self.close()
            raise

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
            client.stdin.write(b"%d\n" % self._turns)
            client.stdin.flush()
        self._hear()
        return self._count * self._turns / (time.perf_counter() - begun)

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


def _serve(turn: Callable[[], object]) -> None:
    turn()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for word in sys.stdin:
        for _ in range(int(word)):
            turn()
        sys.stdout.write("done\n")
        sys.stdout.flush()


def main(kind: str, where: str, connections: int) -> None:
    """Be one program."""
    take_descriptors()
    if kind == "raw":
        _serve(asker(where, connections))
        return
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(CLOSING))
        systems = [supervisor.connect(where) for _ in range(connections)]
        for system in systems:
            stack.callback(pool.submit, system.close)
        players = [system.ref("player") for system in systems]

        def turn() -> None:
            for reply in [player.ask(Add(1.5, 2.5)) for player in players]:
                reply.result()

        _serve(turn)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
