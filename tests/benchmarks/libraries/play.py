"""What a library does of what is measured, and further processes of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

CLIENTS = 4
"""Processes that ask at once in a fan-in, as many as ours."""

PEER = Path(__file__).with_name("peer.py")


def numbers(size: int) -> Any:
    """Return an array of so many bytes: what most libraries take."""
    return np.ones(size // 8)


@dataclass(kw_only=True)
class Play:
    """One library's player, by what can be asked of it; `None` is what the library has not."""

    trip: Callable[[int], object]
    """Make so many calls, each after the last one's answer."""

    pid: Callable[[], int]
    """Of the process in which the player lives."""

    many: Callable[[int], object] | None = None
    """Make so many calls before any answer is looked at."""

    tell: Callable[[int], object] | None = None
    """Send so many messages that nobody answers; return when all are handled."""

    fan_in: Callable[[int], object] | None = None
    """Let each of `CLIENTS` processes make so many calls in turn, all at once."""

    spawn: Callable[[int], Callable[[], object]] | None = None
    """Start so many players in processes of their own; return when all have answered."""

    fall: Callable[[], object] | None = None
    """Kill a player that comes back by itself; return when it has answered again."""

    data: Callable[[int], Any] = numbers
    """Make what `sent` and `echo` take, of so many bytes."""

    most_data: int = 64 << 20
    """Bytes that it moves in a time worth waiting for."""

    sent: Callable[[Any], object] | None = None
    """Send it; only a number comes back."""

    echo: Callable[[Any], object] | None = None
    """Send it; the same comes back."""


@contextmanager
def server(kind: str) -> Iterator[str]:
    """Start a library's server in a process of its own; its socket's path."""
    with tempfile.TemporaryDirectory(prefix="us-peer-") as directory:
        path = str(Path(directory) / "socket")
        with _started(kind, "serve", path) as process:
            try:
                _hear(process)
                yield path
            finally:
                process.kill()


class Crowd:
    """Processes that make a library's calls, all at once; they start with the first of them."""

    def __init__(self, kind: str, where: str) -> None:
        self._kind, self._where = kind, where
        self._clients: list[subprocess.Popen[str]] = []

    def __call__(self, count: int) -> None:
        if not self._clients:
            self._clients = [_started(self._kind, "call", self._where) for _ in range(CLIENTS)]
            for one in self._clients:
                _hear(one)
        for one in self._clients:
            assert one.stdin is not None
            one.stdin.write(f"{count}\n")
            one.stdin.flush()
        for one in self._clients:
            _hear(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._clients:
            one.communicate()  # it ends when there is no further word


def _started(kind: str, role: str, where: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PEER, kind, role, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _hear(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"{process.args} ended with exit code {process.wait()}")
