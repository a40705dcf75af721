"""Raw pyzmq doing the same work with as little code as possible: what our figures stand beside.

    client DEALER ──► ROUTER broker (Python, a dictionary of routes) ──► DEALER server    relayed
    client DEALER ─────────────────────────────────────────────────────► ROUTER server    direct
                                                     the same, frames not copied         large

Three processes (two for direct), the same number and size of frames as an ask of `cast.Add` and
its answer.  The server drains its socket from an asyncio reader, as an actor does.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, cast

import zmq

from supervisor.ceilings import take_descriptors

TO_SERVER = b"s" * 46
TO_CLIENT = b"c" * 46
ASK = b"a" * 83
ANSWER = b"r" * 48
TELL = b"t" * 63
LARGE = b"l" * 83
ECHO = b"e" * 83
HELLO = b"hello"

CAP = 100  # messages taken in one turn

START_SECONDS = 30.0
"""Of the processes together, on a machine that others use too."""


class Stage:
    """The processes of one rival, and the client's socket.

    Raises `RuntimeError` when one of them ends before it has answered, and a built-in
    `TimeoutError` when there is no answer within `START_SECONDS`.
    """

    def __init__(self, *, relayed: bool = False, large: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="us-")
        endpoint = f"ipc://{Path(self._directory.name) / 'socket'}"
        mode = "relayed" if relayed else "large" if large else "direct"
        parts = [("broker",), ("server", mode)] if relayed else [("server", mode)]
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "supervisor.bench.rivals", part[0], endpoint, *part[1:]],
                stdin=subprocess.PIPE,
                process_group=0,  # Ctrl-C is ours: it ends when its standard input does
            )
            for part in parts
        ]
        self._context = zmq.Context()
        self.endpoint = endpoint
        self.socket = _dealer(self._context, endpoint)
        try:
            # With a broker there is a word when both sides are there: the server's hello.
            self.socket.send_multipart([HELLO, TO_CLIENT] if relayed else [TO_SERVER, ASK])
            self._await_first_answer()
        except BaseException:  # Ctrl-C while they start: their directory is about to go
            for process in self._processes:
                process.kill()
            self.close()
            raise

    def _await_first_answer(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.socket.poll(50):
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(
                        f"raw pyzmq's process has ended with exit code {process.returncode} before "
                        "it answered; what it printed says why"
                    )
            if time.monotonic() > end:
                raise TimeoutError(
                    f"raw pyzmq's processes have not answered within {START_SECONDS:g} s: measure "
                    "again when the machine has less to do"
                )
        self.socket.recv_multipart()

    def ask(self) -> None:
        """One round trip."""
        self.socket.send_multipart([TO_SERVER, ASK])
        self.socket.recv_multipart()

    def ask_many(self, count: int) -> None:
        """Many asks in flight at once."""
        for _ in range(count):
            self.socket.send_multipart([TO_SERVER, ASK])
        for _ in range(count):
            self.socket.recv_multipart()

    def tell_many(self, count: int) -> None:
        """One way, and one ask at the end to know that all have arrived."""
        for _ in range(count):
            self.socket.send_multipart([TO_SERVER, TELL])
        self.ask()

    def send_large(self, data: memoryview) -> None:
        """A large frame there, and a short answer."""
        self.socket.send_multipart([TO_SERVER, LARGE, data], copy=False)
        self.socket.recv_multipart()

    def echo_large(self, data: memoryview) -> None:
        """A large frame there and back."""
        self.socket.send_multipart([TO_SERVER, ECHO, data], copy=False)
        self.socket.recv_multipart(copy=False)

    def close(self) -> None:
        """End the processes."""
        self._context.destroy(0)
        for process in self._processes:
            process.communicate()  # it ends when its standard input does
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _dealer(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    _unlimited(socket)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.connect(endpoint)
    return socket


def asker(endpoint: str, connections: int) -> Callable[[], None]:
    """Return what more clients of a direct server do for a round trip each, at the same time."""
    context = zmq.Context()
    sockets = [_dealer(context, endpoint) for _ in range(connections)]

    def ask() -> None:
        for socket in sockets:
            socket.send_multipart([TO_SERVER, ASK])
        for socket in sockets:
            socket.recv_multipart()

    return ask


def _unlimited(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.LINGER, 0)


def broker(endpoint: str) -> None:
    """Route frames until standard input ends."""
    router = zmq.Context().socket(zmq.ROUTER)
    _unlimited(router)
    router.bind(endpoint)
    routes: dict[bytes, bytes] = {}
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    while sys.stdin.fileno() not in dict(poller.poll()):
        with contextlib.suppress(zmq.Again):
            while True:
                frames = router.recv_multipart(zmq.NOBLOCK)
                if frames[1] == HELLO:
                    routes[frames[2]] = frames[0]
                    if routes.keys() == {TO_CLIENT, TO_SERVER}:
                        router.send_multipart([routes[TO_CLIENT], HELLO])
                    continue
                frames[0] = routes[frames[1]]
                router.send_multipart(frames, zmq.NOBLOCK)


def holds(socket: zmq.Socket[bytes]) -> bool:
    """Tell whether a message is there."""
    return bool(cast("int", socket.get(zmq.EVENTS)) & zmq.POLLIN)


def _answer(socket: zmq.Socket[bytes], *, large: bool) -> None:
    if not large:
        frames = socket.recv_multipart(zmq.NOBLOCK)
        if frames[-1] == ASK:
            frames[-2:] = [TO_CLIENT, ANSWER]
            socket.send_multipart(frames, zmq.NOBLOCK)
        return
    client, _, what, *data = socket.recv_multipart(zmq.NOBLOCK, copy=False)
    back = data if what.bytes == ECHO else []
    socket.send_multipart([client, TO_CLIENT, ANSWER, *back], zmq.NOBLOCK, copy=False)


async def server(endpoint: str, mode: str) -> None:
    """Answer asks, swallow tells, until standard input ends."""
    loop = asyncio.get_running_loop()
    socket = zmq.Context().socket(zmq.DEALER if mode == "relayed" else zmq.ROUTER)
    _unlimited(socket)
    over = asyncio.Event()

    def drain() -> None:
        for _ in range(CAP):
            try:
                _answer(socket, large=mode == "large")
            except zmq.Again:
                break
        # The descriptor does not speak again of what it has announced once.
        if holds(socket):
            loop.call_soon(drain)

    if mode == "relayed":
        socket.connect(endpoint)
        socket.send_multipart([HELLO, TO_SERVER])
    else:
        socket.bind(endpoint)
    loop.add_reader(sys.stdin, over.set)
    loop.add_reader(socket.fileno(), drain)
    drain()
    await over.wait()


if __name__ == "__main__":
    take_descriptors()
    if sys.argv[1] == "broker":
        broker(sys.argv[2])
    else:
        asyncio.run(server(sys.argv[2], sys.argv[3]))
