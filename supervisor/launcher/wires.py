"""The descriptors of one launch: a lifeline, stdout and stderr, each with two ends.

supervisor's end            child's end
lifeline (non-blocking) ◄──► child_lifeline
stdout   (non-blocking) ◄─── child_stdout
stderr   (non-blocking) ◄─── child_stderr
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import final

import attrs


@final
@attrs.define(eq=False)
class Wires:
    """Both ends of everything between the supervisor and one child."""

    lifeline: socket.socket
    stdout: int
    stderr: int
    child_lifeline: socket.socket
    child_stdout: int
    child_stderr: int

    @classmethod
    def lay(cls) -> Wires:
        """Make them.

        Raises:
            OSError: no descriptors left.
        """
        lifeline, child_lifeline = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        lifeline.setblocking(False)
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
        except OSError:
            for end in (lifeline, child_lifeline):
                end.close()
            _close(pipes)
            raise
        stdout, child_stdout, stderr, child_stderr = pipes
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)
        return cls(lifeline, stdout, stderr, child_lifeline, child_stdout, child_stderr)

    @property
    def child_ends(self) -> list[int]:
        """The child's lifeline, stdout and stderr, in this order."""
        return [self.child_lifeline.fileno(), self.child_stdout, self.child_stderr]

    def close_child_ends(self) -> None:
        """Close the child's ends here, once the child has them: only so its end is an EOF."""
        self.child_lifeline.close()
        _close([self.child_stdout, self.child_stderr])
        self.child_stdout = self.child_stderr = -1

    async def send(self, data: bytes, descriptors: Sequence[int]) -> None:
        """Send the child its order; the descriptors travel with the first byte."""
        # One that is dead already cannot read it; its end is told like any other.
        with suppress(BrokenPipeError, ConnectionResetError):
            sent = 0
            if descriptors:
                sent = socket.send_fds(self.lifeline, [data], list(descriptors))
            await asyncio.get_running_loop().sock_sendall(self.lifeline, data[sent:])

    def cut(self) -> None:
        """Close all: a child that waits for its order ends. Twice is fine."""
        self.close_child_ends()
        self.lifeline.close()
        _close([self.stdout, self.stderr])
        self.stdout = self.stderr = -1


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
