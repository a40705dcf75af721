"""A narrow connection: whatever goes through it waits for so many bytes a second.

    python tests/benchmarks/narrow.py HOST PORT BYTES_PER_SECOND

prints its own port, then passes on what comes.  A process of its own, because it must not wait for
the programs that are measured.  It keeps next to nothing: what it has not passed on stays where it
is, as before a slow line.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 16 << 10
KEPT = 64 << 10  # bytes in each of the kernel's buffers


@contextmanager
def narrowed(endpoint: str, rate: float) -> Iterator[str]:
    """Return an endpoint that leads to another one, over a connection of `rate` bytes a second."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    command = [sys.executable, __file__, host, port, str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"tcp://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main(host: str, port: int, rate: float) -> None:
    """Pass on until we are killed."""
    listener = socket.socket()
    _keep_little(listener)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        near, _ = listener.accept()
        far = socket.socket()
        _keep_little(far)
        try:
            far.connect((host, port))
        except OSError:  # nobody is there now
            near.close()
            continue
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pass_on, args=(source, target, rate), daemon=True).start()


def _keep_little(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KEPT)


def _pass_on(source: socket.socket, target: socket.socket, rate: float) -> None:
    free = 0.0
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
            free = max(free, time.monotonic()) + len(data) / rate
            if (left := free - time.monotonic()) > 0.001:
                time.sleep(left)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
