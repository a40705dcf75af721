"""A program that is killed in the midst of its work, and the next one that comes in its place.

It joins twice, over the network and on this host, sends and reads until it is killed.  In the end
it has left no trace: a notice came for both its names, and nobody has them any more.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import supervisor
from actors.errors import ActorError, NotDelivered
from supervisor import System
from tests.storm.cast import Quiet
from tests.storm.clients import AsyncClient, Correspondent, PlainClient, Reader, Sender
from tests.storm.records import Ledger

FORGOTTEN_WITHIN: Final = 60.0
"""Seconds after the storm.  A silent program is given up after 5, and 15 after each new broker, so
while brokers die faster than that nobody is."""


class Guest:
    """One life of the program."""

    def __init__(self, system: System, words: tuple[str, ...], serial: int) -> None:
        self.senders = [f"guest-{serial}-{kind}" for kind in ("plain", "async", "reader")]
        command = [sys.executable, "-m", "tests.storm.guests", *words, *self.senders]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._folder = words[2]
        assert self._process.stdout is not None
        names = self._process.stdout.readline().decode().split()
        self._refs = [system.ref(name) for name in names]
        self._notices = [system.watch(ref) for ref in self._refs]
        self.joined = bool(names)

    def kill(self) -> None:
        """Kill it."""
        book = Ledger(self._folder, "killed")
        book.write(*self.senders)
        book.close()
        self._process.kill()
        self._process.communicate()

    def traces(self) -> Iterator[str]:
        """Wait until it is given up; return what is wrong then."""
        for ref, notice in zip(self._refs, self._notices, strict=True):
            with notice:
                try:
                    notice.next(timeout=FORGOTTEN_WITHIN)
                except (TimeoutError, StopIteration) as error:
                    yield f"no notice of the end of {ref.name}: {error!r}"
                    continue
            try:
                ref.ask(Quiet(), timeout=FORGOTTEN_WITHIN).result()
            except NotDelivered:
                continue
            except ActorError as error:
                yield f"an ask of {ref.name}, which is gone: {error!r}"
            else:
                yield f"{ref.name} is gone, and has answered"


def main(far: str, near: str, folder: str, seed: str, pace: str, *names: str) -> None:
    """Send and read until killed."""
    never = threading.Event()
    with supervisor.connect(far) as network, supervisor.connect(near) as host:
        classes = (PlainClient, AsyncClient, Reader)
        clients: list[Correspondent] = [
            cls(system, Sender(name, folder, f"{seed} {name}"), never, float(pace))
            for cls, system, name in zip(classes, (network, host, host), names, strict=True)
        ]
        for client in clients:
            client.start()
        sys.stdout.write(f"{network._peer.name} {host._peer.name}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
