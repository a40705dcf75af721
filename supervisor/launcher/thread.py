"""Children as threads of this process: breakpoints work, nothing is judged hung.

A thread shares environment, directory, sys.path, output and fate with its process; what an order
says about those is not looked at. Nor can a thread be killed: see `Launched.signal` below.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from supervisor.launcher.child import RAISED, exit_code, find_entry
from supervisor.launcher.order import Exit, Launched, Life, Order


@final
class ThreadLauncher:
    """Launches threads. `Launched.pid` is negative, `stdout` and `stderr` are -1.

    `signal(SIGKILL)` cuts the lifeline and reports the end at once, though the thread may run
    on until it looks at its lifeline; any other signal only cuts the lifeline. Use that method: to
    the system a negative number means a process group.
    """

    def __init__(self) -> None:
        self._living: Final[dict[int, Launched]] = {}
        self._closed = False

    async def start(self) -> None:
        """Nothing to get ready."""

    def guard(self, directory: Path | str) -> None:
        """Nothing outlives this process; the next start removes what it left."""

    async def launch(self, order: Order, /) -> Launched:
        """Run the entry in a thread of its own.

        Raises:
            OSError: the launcher is closed, or no thread can be had.
            LookupError: no such entry.
            ImportError: the entry cannot be imported.
        """
        if self._closed:
            raise OSError("the launcher is closed")
        main = find_entry(order.target)
        lifeline, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        lifeline.setblocking(False)
        fds = {name: os.dup(descriptor) for name, descriptor in order.fds.items()}
        loop = asyncio.get_running_loop()

        def run() -> None:
            how = _run(lambda: main(theirs, fds))
            theirs.close()
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know
                loop.call_soon_threadsafe(self._ended, -threading.get_native_id(), how)

        thread = threading.Thread(target=run, name=order.name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # how Python says that there are too many
            lifeline.close()
            theirs.close()
            for descriptor in fds.values():
                os.close(descriptor)
            raise OSError(f"cannot start {order.name}: {error}") from error
        return self._launched(-(thread.native_id or 0), lifeline)

    async def close(self) -> None:
        """Cut every lifeline and report what still runs as killed. Twice is fine."""
        self._closed = True
        for launched in list(self._living.values()):
            launched.signal(signal.SIGKILL)

    def _launched(self, pid: int, lifeline: socket.socket) -> Launched:
        def send_signal(number: int) -> bool:
            if number == signal.SIGKILL:  # first, or the thread might tell of its end before
                loop.call_soon(self._ended, pid, Exit(signal=signal.SIGKILL))
            with suppress(OSError):  # its other end is closed already
                lifeline.shutdown(socket.SHUT_RDWR)
            return True

        loop = asyncio.get_running_loop()
        launched = Launched(pid, lifeline, Life(pid), signal=send_signal)
        self._living[pid] = launched
        return launched

    def _ended(self, pid: int, how: Exit) -> None:
        launched = self._living.pop(pid, None)
        if launched is not None:
            launched.life.end(how)


def _run(main: Callable[[], int | None]) -> Exit:
    try:
        return Exit(main() or 0)
    except SystemExit as end:
        return Exit(exit_code(end))
    except BaseException:  # noqa: BLE001 - reported as a process would
        traceback.print_exc()
        return Exit(RAISED)
