"""The words of launching: what is ordered, what one gets, and how it ended.

Order ──► Launcher.launch ──► Launched ── when_ended(callback) ──► callback(pid, Exit)
                                 │
                                 ├─ lifeline   words of `actors/control.py`, both ways
                                 └─ stdout, stderr   what the child prints
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, final

import attrs

ENTRIES: Final[dict[str, str]] = {
    "actor": "actors.process:main",
    "broker": "supervisor.broker:main",
    "faulty-broker": "actors.testing.faulty_broker:main",  # of `actors.testing.replay`
}
"""What a child may run: a name to `module:function`.

The function is called as `main(lifeline: socket.socket, fds: dict[str, int]) -> int | None`; what
it returns is the exit code (None: 0). It owns its lifeline and descriptors: closing is up to it.
Tests may add their own.
"""


def _texts(given: Sequence[str] | Sequence[bytes]) -> tuple[str, ...]:
    return tuple(map(os.fsdecode, given))


def _text_of_each(given: Mapping[str, str] | Mapping[bytes, bytes]) -> dict[str, str]:
    return {os.fsdecode(key): os.fsdecode(value) for key, value in given.items()}


@final
@attrs.frozen(kw_only=True)
class Order:
    """What to start, and the surroundings it shall find."""

    name: str  # the child's name, for messages about it
    entry: str  # a key of ENTRIES
    incarnation: int = 0  # which life of that name
    # Each is the whole of it; sys_path and argv, when empty, are those of the launcher's process.
    env: Mapping[str, str] = attrs.field(converter=_text_of_each, factory=lambda: dict(os.environ))
    cwd: str = attrs.field(converter=os.fsdecode, factory=os.getcwd)
    sys_path: Sequence[str] = attrs.field(converter=_texts, default=())
    argv: Sequence[str] = attrs.field(converter=_texts, default=())
    fds: Mapping[str, int] = attrs.field(factory=dict[str, int])  # stay the caller's to close
    threads: int = attrs.field(default=1, validator=attrs.validators.ge(1))  # BLAS and OpenMP
    current: bool = False  # it runs code of the program's, which must be what is on disk now

    @property
    def target(self) -> str:
        """`module:function` of the entry.

        Raises:
            LookupError: ENTRIES has no such entry.
        """
        try:
            return ENTRIES[self.entry]
        except KeyError:
            known = ", ".join(sorted(ENTRIES))
            text = f"cannot start {self.name}: no entry {self.entry!r}. Known entries: {known}."
            raise LookupError(text) from None


@final
@attrs.frozen
class Exit:
    """How a process ended: a code, or a signal; neither when somebody else reaped it."""

    code: int | None = None
    signal: int | None = None
    peak_memory: int | None = attrs.field(default=None, eq=False)
    """Bytes that were resident at the most, in it or in a child that it waited for."""

    @classmethod
    def from_status(cls, status: int, peak_memory: int | None = None) -> Exit:
        """Make it from what `os.wait4` returned."""
        code = os.waitstatus_to_exitcode(status)
        return cls(code, None, peak_memory) if code >= 0 else cls(None, -code, peak_memory)

    def __str__(self) -> str:
        if self.signal is not None:
            with suppress(ValueError):
                return f"killed by {signals.Signals(self.signal).name}"
            return f"killed by signal {self.signal}"
        return "ended, nobody knows how" if self.code is None else f"exit code {self.code}"


OnExit = Callable[[int, Exit], object]


@final
class Life:
    """One started thing, from its start until everybody interested knows how it ended."""

    def __init__(self, pid: int) -> None:
        self.pid: Final = pid
        self.exit: Exit | None = None  # None while it lives
        self._callbacks: list[OnExit] = []  # called once, in the order they came

    def when_ended(self, callback: OnExit) -> None:
        """Call `callback(pid, exit)` from the loop when it has ended, also if that is now."""
        if self.exit is None:
            self._callbacks.append(callback)
        else:
            asyncio.get_running_loop().call_soon(callback, self.pid, self.exit)

    async def wait_ended(self) -> Exit:
        """Wait for the end. Cancelling the wait changes nothing."""
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

        def wake(_pid: int, how: Exit) -> None:
            if not ended.done():
                ended.set_result(how)

        self.when_ended(wake)
        return await ended

    def end(self, how: Exit) -> None:
        """Record the end and tell everybody. Only the first call counts."""
        if self.exit is not None:
            return
        self.exit = how
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self.pid, how)


@final
@attrs.define(eq=False)
class Launched:
    """A started child, held by the supervisor."""

    pid: int  # negative for a thread of this process
    lifeline: socket.socket  # non-blocking stream; its EOF on either side ends the other
    life: Life
    stdout: int = -1  # non-blocking read end; -1 where there is none
    stderr: int = -1
    pidfd: int = -1  # -1 where the system has none; belongs to the reaper
    _signal: Callable[[int], bool] = attrs.field(alias="signal", kw_only=True)

    def signal(self, number: int) -> bool:
        """Send a signal; false when it has already ended. Never hits a stranger's pid."""
        return self.life.exit is None and self._signal(number)

    def poll_exit(self) -> Exit | None:
        """How it ended, or None while it lives (or is not reaped yet). Never waits."""
        return self.life.exit

    def when_ended(self, callback: OnExit) -> None:
        """Call `callback(pid, exit)` from the loop once it was reaped, also if that is now."""
        self.life.when_ended(callback)

    async def wait_ended(self) -> Exit:
        """Wait until it was reaped. Cancelling the wait changes nothing."""
        return await self.life.wait_ended()

    def close(self) -> None:
        """Close lifeline and output, which tells a living child to end. Twice is fine."""
        self.lifeline.close()
        for descriptor in (self.stdout, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
        self.stdout = self.stderr = -1


class Launcher(Protocol):
    """What the supervisor needs of whatever starts its children."""

    async def start(self) -> None:
        """Get ready. Calls of `launch` may come before it returned."""
        ...

    def guard(self, directory: Path | str) -> None:
        """Have `directory` removed should this process die without `close`, where possible."""
        ...

    async def launch(self, order: Order, /) -> Launched:
        """Start a child; returns when it is on its way into its entry.

        Raises:
            OSError: the system refuses another process; the text says why.
            LookupError: no such entry.
        """
        ...

    async def close(self) -> None:
        """Kill what still lives and release everything. Twice is fine."""
        ...
