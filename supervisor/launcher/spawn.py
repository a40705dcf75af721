"""The portable launcher: a fresh interpreter for every child.

Slower than forking (tens of milliseconds instead of a few), and uses nothing that only Linux has.
A sweeper process does what the zygote does elsewhere when the supervisor is killed.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from supervisor.launcher.child import pack_order
from supervisor.launcher.interpreter import start_interpreter
from supervisor.launcher.kernel import limit_pools
from supervisor.launcher.order import Launched, Life, Order
from supervisor.launcher.reaper import Reaper
from supervisor.launcher.wires import Wires


@final
class SpawnLauncher:
    """Launches by starting an interpreter. One loop only, in a thread that stays."""

    def __init__(self, *, reaper: Reaper | None = None) -> None:
        self._own_reaper: Final = reaper is None
        self._reaper: Final = Reaper() if reaper is None else reaper
        self._living: dict[int, Life] = {}  # children not reaped
        self._directory = ""  # the sweeper removes it should we die; empty: none
        self._words = -1  # write end of the sweeper's pipe; -1: there is none
        self._sweeper: Life | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the sweeper.

        Raises:
            OSError: the system refuses another process.
        """
        if self._sweeper is None:
            self._start_sweeper()

    def guard(self, directory: Path | str) -> None:
        """Have `directory` removed should this process die without `close`."""
        self._directory = str(directory)
        self._tell(f"={self._directory}")

    async def launch(self, order: Order, /) -> Launched:
        """Start a child; returns when it has its order. When cancelled, the child ends.

        Raises:
            OSError: the system refuses another process.
            LookupError: no such entry.
        """
        if self._closed:
            raise OSError("the launcher is closed")
        data = pack_order(order)
        wires = Wires.lay()
        try:
            life = self._start_child(order, wires)
            wires.close_child_ends()
            await wires.send(data, list(order.fds.values()))
        except BaseException:
            wires.cut()
            raise
        return self._reaper.launched(life, wires)

    async def close(self) -> None:
        """Kill what still lives and release everything. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        lives = list(self._living.values())
        for life in lives:
            self._reaper.signal(life.pid, signal.SIGKILL)
        for life in lives:
            await life.wait_ended()
        self._tell("!")
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            await sweeper.wait_ended()
        self._hang_up()
        if self._own_reaper:
            self._reaper.close()

    def _start_child(self, order: Order, wires: Wires) -> Life:
        lifeline, stdout, stderr = wires.child_ends
        env = dict(order.env)
        limit_pools(env, order.threads)
        pid = start_interpreter(
            "supervisor.launcher.child:begin",
            [lifeline],
            keep=[lifeline],
            env=env,
            stdout=stdout,
            stderr=stderr,
        )
        self._tell(f"+{pid}")
        life = self._living[pid] = self._reaper.expect(pid, self._forget)
        return life

    def _forget(self, pid: int) -> None:
        self._living.pop(pid, None)
        self._tell(f"-{pid}")

    def _start_sweeper(self) -> None:
        reader, self._words = os.pipe()
        try:
            pid = start_interpreter("supervisor.launcher.sweeper:begin", [reader], keep=[reader])
        except BaseException:
            self._hang_up()
            raise
        finally:
            os.close(reader)
        os.set_blocking(self._words, False)
        self._sweeper = self._reaper.expect(pid)
        self._sweeper.when_ended(self._sweeper_ended)
        if self._directory:
            self._tell(f"={self._directory}")
        for child in self._living:
            self._tell(f"+{child}")

    def _sweeper_ended(self, _pid: int, _exit: object) -> None:
        self._hang_up()
        if not self._closed:
            # No process to be had now? Without a sweeper only a kill -9 of ours leaves something.
            with suppress(OSError):
                self._start_sweeper()

    def _tell(self, word: str) -> None:
        if self._words < 0:
            return
        try:
            os.write(self._words, os.fsencode(f"{word}\n"))
        except BlockingIOError:  # it has not read for a long time: the next one gets a full list
            if self._sweeper is not None:
                self._reaper.signal(self._sweeper.pid, signal.SIGKILL)
        except BrokenPipeError:
            pass  # it is dead, and `_sweeper_ended` about to be called

    def _hang_up(self) -> None:
        if self._words >= 0:
            os.close(self._words)
            self._words = -1
