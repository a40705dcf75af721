"""One life of one child: its process, lifeline, flight recorder and output, held together."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from actors.blackbox import Pulse, Record, feel, last_words, read
from actors.control import Ending, Failed, Logged, Prepare, Word
from actors.deframer import Deframer, frame
from actors.errors import MessageError
from actors.lastwords import ASK
from actors.recorder import create_page
from supervisor.output import LAST_LINES, Output, standard_streams

if TYPE_CHECKING:
    from supervisor.launcher import Exit, Launched, Launcher, Order
    from supervisor.liveness import Verdict


def doorway(broker: str) -> str:
    """Return a fresh endpoint for direct connections, beside the broker's local one."""
    base = broker if broker.startswith("inproc:") else broker.rpartition("/")[0]
    return f"{base}/{os.urandom(8).hex()}"


class KilledEarlyError(OSError):
    """A life was killed before there was a process."""


@final
class ChildLife:
    """From the launch of a process until it is reaped."""

    exiting = ""
    """The `sys.exit` that it said it ends with."""

    def __init__(
        self, name: str, incarnation: int, *, on_word: Callable[[ChildLife, Word], None]
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.routing_id = os.urandom(16)
        self.direct = ""
        """Where it takes direct connections; "" for nowhere."""
        self.began = time.monotonic()
        self.killed = False
        """It is being killed on request: its end counts against nobody."""
        self.expected = False
        """It was asked to stop, so its end is no surprise."""
        self.up = False
        self.failure: Failed | None = None
        """What it said of its own end."""
        self.exit: Exit | None = None
        self.peak_memory: int | None = None
        self.verdict: Verdict | None = None
        """Why the supervisor ends it."""
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        """What it printed and logged last."""
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._on_word = on_word
        self._page_fd, self._page = create_page()
        self._launched: Launched | None = None
        self._launching: asyncio.Future[Launched] | None = None
        self._given_up = False
        self._outputs: list[Output] = []
        self._deframer = Deframer()
        self._waiting: deque[memoryview] = deque()
        self._closed = False
        self._adopted = False

    @property
    def page_fd(self) -> int:
        """Descriptor of the flight recorder's page, for the child and the monitor."""
        return self._page_fd

    @property
    def pid(self) -> int | None:
        """Process id; None before the launch and for a thread."""
        return self._launched.pid if self._launched is not None and self._launched.pid > 0 else None

    @property
    def label(self) -> str:
        """Name and incarnation, for people."""
        return f"{self.name}/{self.incarnation or 'spare'}"

    @property
    def begun(self) -> bool:
        """Whether its process knew of it: that of a spare may die just when it is adopted."""
        return not self._adopted or any(self._page[:8])

    def record(self) -> Record:
        """Return what the flight recorder says now."""
        return read(self._page)

    def pulse(self) -> Pulse:
        """Return what the flight recorder says of its loop now."""
        return feel(self._page)

    def stack(self) -> str:
        """Return the stack it wrote when it crashed, or was asked; "" for none."""
        return last_words(self._page)

    def ask_for_stack(self) -> bool:
        """Have it write its stack; false when it could not even read its class yet."""
        # Before it listens for it, this signal would end it.
        return self.up and self._launched is not None and self._launched.signal(ASK)

    async def launch(self, launcher: Launcher, order: Order, first: Word) -> None:
        """Start the process and give it its first word; raises what `Launcher.launch` raises.

        A life that has adopted a spare has its process already.
        """
        if self._launched is None:
            self._launching = asyncio.ensure_future(launcher.launch(order))
            try:
                self._hold(await self._launching)
            except asyncio.CancelledError:
                if not self._given_up:
                    raise
                raise KilledEarlyError("it was killed before it had begun") from None
        self._waiting.appendleft(memoryview(frame(first)))
        self._write()
        if self.killed:
            self.kill()

    async def prepare(self, launcher: Launcher, order: Order, word: Prepare) -> None:
        """Start the process of a spare; raises what `Launcher.launch` raises."""
        await self.launch(launcher, order, word)

    def adopt(self, spare: ChildLife) -> None:
        """Take over the process of a spare, and all that belongs to it; `launch` comes next."""
        launched = spare._launched
        assert launched is not None
        self._close_page()
        self._page_fd, self._page, spare._page_fd = spare._page_fd, spare._page, -1
        self._outputs, spare._outputs = spare._outputs, []
        for output in self._outputs:
            output.hand_over(self.label, self.last_lines.append)
        self._launched, spare._launched = launched, None
        self._deframer = spare._deframer  # half of a word may have come
        self._adopted = True
        asyncio.get_running_loop().add_reader(launched.lifeline.fileno(), self._hear)
        launched.when_ended(self._ended)

    def _hold(self, launched: Launched) -> None:
        self._launched = launched
        out, err = standard_streams()
        self._outputs = [
            Output(launched.stdout, self.label, out, self.last_lines.append),
            Output(launched.stderr, self.label, err, self.last_lines.append),
        ]
        asyncio.get_running_loop().add_reader(launched.lifeline.fileno(), self._hear)
        launched.when_ended(self._ended)

    def say(self, word: Word) -> None:
        """Put a word on the lifeline; a child that is gone hears nothing."""
        # A word for a child that is still being launched waits for it.
        if not self._closed:
            self._waiting.append(memoryview(frame(word)))
            self._write()

    def kill(self) -> None:
        """SIGKILL.  A thread is abandoned, and ends when it looks at its lifeline."""
        if self._launched is not None:
            self._launched.signal(signal.SIGKILL)
        elif self._launching is not None:  # which may take as long as a module's import
            self._given_up = True
            self._launching.cancel()

    def abandon(self) -> None:
        """It could not be launched: nobody need wait for its end."""
        self.ended.cancel()

    def listen_to_the_end(self) -> None:
        """It has ended: take what it printed last."""
        for output in self._outputs:
            output.close()

    def close(self) -> None:
        """Release what is left of it."""
        self._closed = True
        if self._launched is not None:
            with suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(self._launched.lifeline.fileno())
                asyncio.get_running_loop().remove_writer(self._launched.lifeline.fileno())
            self.listen_to_the_end()
            self._launched.close()
            self._launched = None
        self._close_page()
        if self.direct.startswith("ipc://"):  # it may have had no time to clean up itself
            Path(self.direct.removeprefix("ipc://")).unlink(missing_ok=True)

    def _close_page(self) -> None:
        if self._page_fd >= 0:
            with suppress(BufferError):
                self._page.close()
            os.close(self._page_fd)
            self._page_fd = -1

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        launched = self._launched
        if launched is None:
            return
        while self._waiting:
            try:
                sent = launched.lifeline.send(self._waiting[0])
            except BlockingIOError:
                loop.add_writer(launched.lifeline.fileno(), self._write)
                return
            except OSError:
                self._waiting.clear()
                break
            self._waiting[0] = self._waiting[0][sent:]
            if not self._waiting[0]:
                self._waiting.popleft()
        loop.remove_writer(launched.lifeline.fileno())

    def _hear(self) -> None:
        data = self._read()
        if data is not None and not self._process(data):
            assert self._launched is not None
            asyncio.get_running_loop().remove_reader(self._launched.lifeline.fileno())

    def _read(self) -> bytes | None:
        """Return what is on the lifeline, b"" at its end, None when nothing is there now."""
        if self._launched is None:
            return b""
        try:
            return self._launched.lifeline.recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _process(self, data: bytes) -> bool:
        """Take words from the lifeline; return whether more may come."""
        try:
            words = self._deframer.feed(data)
        except MessageError:
            # Its memory is spoilt: what it says is worth nothing any more.
            self.kill()
            return False
        for word in words:
            if isinstance(word, Failed) and not word.text.startswith("on_stop"):
                self.failure = word
            elif isinstance(word, Ending):
                self.exiting = word.text
            elif isinstance(word, Logged):
                self.last_lines.append(word.text.partition("\n")[0])
            self._on_word(self, word)
        return bool(data)

    def _ended(self, _pid: int, how: Exit) -> None:
        # Its last words may still be in the socket.
        while data := self._read():
            if not self._process(data):
                break
        self.exit = how
        self.peak_memory = max(self.peak_memory or 0, how.peak_memory or 0) or None
        if not self.ended.done():
            self.ended.set_result(how)
