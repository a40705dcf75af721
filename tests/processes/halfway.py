"""A way over tcp of which one side may end without the other hearing of it, as behind a router."""

from __future__ import annotations

import contextlib
import socket
import threading


class Halfway:
    """Carries tcp connections to a port of this machine, and can lose those who came."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._sockets = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self.came = []
        """The sides of those who connected here; those that were lost are in it no more."""
        self._serve(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()
        for one in self._sockets:
            one.close()

    def _serve(self, work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._target)
                with self._lock:
                    self._sockets += [near, far]
                    self.came.append(near)
                self._serve(self._carry, near, far, near)
                self._serve(self._carry, far, near, near)

    def _carry(self, source, target, near):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    if near in self.came:
                        target.sendall(data)
        with self._lock:
            if near in self.came:
                self.came.remove(near)
                for one in (source, target):
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)

    def lose(self):
        """End every connection for the side that came; the other side waits in silence."""
        with self._lock:
            lost, self.came = self.came, []
            for near in lost:
                near.shutdown(socket.SHUT_RDWR)
