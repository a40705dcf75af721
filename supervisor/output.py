"""What children print, line by line, with their name in front."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final, TextIO, final

CHUNK: Final = 1 << 16

LONGEST_LINE: Final = 1 << 16
"""Characters after which a line without an end is printed as it is."""


@final
class Output:
    """Reads one descriptor of a child until its end."""

    def __init__(self, descriptor: int, label: str, target: TextIO) -> None:
        self._descriptor = descriptor
        self._label = label
        self._target = target
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._open = descriptor >= 0
        if self._open:
            self._loop.add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._print(lines)

    def close(self) -> None:
        """Print what is left and stop reading; the descriptor stays its owner's.  Twice is fine."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._descriptor)
        if self._rest:
            self._print([self._rest])
            self._rest = b""

    def drain(self) -> None:
        """Take what the child left in the pipe, then close."""
        while self._open:
            before = self._rest
            try:
                data = os.read(self._descriptor, CHUNK)
            except OSError:
                break
            if not data:
                break
            lines = (before + data).split(b"\n")
            self._rest = lines.pop()
            self._print(lines)
        self.close()

    def _print(self, lines: list[bytes]) -> None:
        if not lines:
            return
        text = "".join(f"[{self._label}] {visible(line)}\n" for line in lines)
        try:
            self._target.write(text)
            self._target.flush()
        except (OSError, ValueError):
            # The terminal is gone; the actors need not fall for it.
            self._target = open(os.devnull, "w")  # noqa: SIM115 - stays open as long as we do


def visible(line: bytes) -> str:
    """Return a child's line as text that cannot steer a terminal, tabs kept."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def standard_streams() -> tuple[TextIO, TextIO]:
    """Return where children's output goes: the supervisor's own streams."""
    return sys.stdout, sys.stderr
