"""What children print, line by line, with their name in front.

    child ─pipe─► Output ─lines─► Printer ─its own thread─► terminal

A terminal that takes no more (Ctrl-S, a pager, a full pipe) must not stop the supervisor.  So
writing has a thread of its own; when much waits for it, the children's pipes are not read, and
then whoever prints waits, as at any terminal, and nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from actors.control import Logged

CHUNK: Final = 1 << 16

LAST_CHUNKS: Final = 16
"""Pieces taken at a child's end; more than a pipe holds, so that one who still writes is left."""

LAST_LINES: Final = 10
"""Lines of a piece that are kept."""

LONGEST_LINE: Final = 1 << 16
"""Bytes after which a line without an end is printed as it is."""

ENOUGH: Final = 1 << 20
"""Bytes waiting to be written from which on no more are read."""

TOO_MUCH: Final = 16 << 20
"""Bytes waiting from which on even the log is thrown away."""

WHOLE: Final = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
"""Bytes that several writers to one pipe cannot mix up."""

_TERMINAL_SECONDS: Final = 0.2


@final
class Printer:
    """Writes to one descriptor, whoever else does, without ever making the caller wait."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        """Bytes not yet written."""
        self._lost = 0
        """Lines thrown away since the last that was not."""
        self._thirsty: list[Callable[[], None]] = []
        """Who is to be told, in whatever thread, that there is room again."""
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Have whole lines written soon; a terminal that has long been stuck loses them."""
        data = text.encode("utf-8", "replace").removesuffix(b"\n")
        lines = [line + b"\n" for line in data.split(b"\n")]
        with self._lock:
            if self._waiting > TOO_MUCH:
                self._lost += len(lines)
                return
            if self._lost:
                lines.insert(0, b"[%d lines were lost: nobody read them]\n" % self._lost)
                self._lost = 0
            self._waiting += sum(map(len, lines))
            # Not before it is needed: the zygote is forked while this process has one thread.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="printer", daemon=True)
                self._thread.start()
        self._lines.put(lines)

    def flush(self) -> None:
        """Nothing to do: whoever writes does not wait."""

    def when_room(self, tell: Callable[[], None]) -> bool:
        """Return whether more may be written now; if not, `tell` is called once it may."""
        with self._lock:
            if self._waiting < ENOUGH:
                return True
            self._thirsty.append(tell)
            return False

    def finish(self, seconds: float) -> bool:
        """Wait until everything is written, but not for ever; return whether it is."""
        end = time.monotonic() + seconds
        while self._waiting and time.monotonic() < end:
            time.sleep(0.002)
        return not self._waiting

    def _run(self) -> None:
        while True:
            for block in _blocks(self._lines.get()):
                self._write(block)
                with self._lock:
                    self._waiting -= len(block)
                    if self._waiting >= ENOUGH // 2:
                        continue
                    thirsty, self._thirsty = self._thirsty, []
                for tell in thirsty:
                    tell()

    def _write(self, data: bytes) -> None:
        while data and self._descriptor >= 0:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # whoever shares it has made it non-blocking
                select.select([], [self._descriptor], [], _TERMINAL_SECONDS)
            except OSError:
                self._descriptor = -1  # the terminal is gone; the actors need not fall for it


def _blocks(lines: list[bytes]) -> list[bytes]:
    """Join lines as long as their reader gets them in one piece."""
    blocks: list[bytes] = []
    size = WHOLE
    for line in lines:
        if size + len(line) > WHOLE:
            blocks.append(line)
            size = len(line)
        else:
            blocks[-1] += line
            size += len(line)
    return blocks


@final
class Output:
    """Reads one descriptor of a child until its end."""

    def __init__(
        self,
        descriptor: int,
        label: str,
        printer: Printer,
        keep: Callable[[str], object] = str,
    ) -> None:
        self._descriptor = descriptor
        self._label = label
        self._keep = keep
        """Told every line, for the report should the child crash."""
        self._printer = printer
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._open = descriptor >= 0
        if self._open:
            self._loop.add_reader(descriptor, self._read)

    def hand_over(self, label: str, keep: Callable[[str], object]) -> None:
        """From now on it is somebody else who prints there."""
        self._label, self._keep = label, keep

    def close(self) -> None:
        """Print what the child left in the pipe, and stop reading.  Twice is fine."""
        for _ in range(LAST_CHUNKS):
            try:
                if not self._open or not self._take():
                    break
            except BlockingIOError:
                break  # a process that got away from its group has it open still
        self._end()

    def _read(self) -> None:
        if not self._printer.when_room(self._room):
            self._loop.remove_reader(self._descriptor)
            return
        try:
            if not self._take():
                self._end()
        except BlockingIOError:
            return

    def _room(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resume)

    def _resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._descriptor, self._read)

    def _take(self) -> bool:
        """Print a piece; return whether more may come.  Raises `BlockingIOError` for not now."""
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            raise
        except OSError:
            return False
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._print(lines)
        return bool(data)

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            self._print([self._rest] if self._rest else [])
            self._rest = b""

    def _print(self, lines: list[bytes]) -> None:
        if not lines:
            return
        shown = [visible(line) for line in lines]
        self._printer.write("".join(f"[{self._label}] {line}\n" for line in shown))
        for line in shown[-LAST_LINES:]:
            self._keep(line)


def visible(line: bytes) -> str:
    """Return a child's line as text that cannot steer a terminal, tabs kept.

    Of a line that was written again and again, as progress bars are, the last is shown.
    """
    text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )


def log_for(name: str, incarnation: int, word: Logged) -> None:
    """Log what an actor has logged, in its name."""
    record = logging.LogRecord(word.logger, word.level, "", 0, word.text, None, None)
    record.created = word.created
    record.actor, record.incarnation = name, incarnation
    logging.getLogger(word.logger).handle(record)


@cache
def standard_streams() -> tuple[Printer, Printer]:
    """Return where this process and its children print: the one printer of each stream."""
    return Printer(1), Printer(2)
