"""A child's end of its lifeline: words to and from the supervisor, and the log records.

When the other end closes, the supervisor is gone and the child has nothing to live for.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Protocol, final

import msgspec

from actors.control import Failed, Logged, Word
from actors.deframer import Deframer, frame
from actors.errors import MessageError
from actors.failure import said_of, text_of, trace_of, writable
from actors.notices import text_of as shown


class Words(Protocol):
    """What a life needs of its lifeline (the simulation has one without a socket)."""

    def say(self, word: Word, /) -> None:
        """Send a word to the supervisor."""
        ...

    def hear(self) -> list[Word] | None:
        """Return the words that have arrived; None at the end."""
        ...

    def ready(self, seconds: float, /) -> bool:
        """Whether words, or the end, arrive within so many seconds."""
        ...

    def listen(self, hear: Callable[[], None], /) -> None:
        """Have the running loop call `hear` whenever words have arrived, or the end."""
        ...

    def deaf(self) -> None:
        """Listen no longer."""
        ...


def failed(error: BaseException, *, starting: bool, final: bool = False) -> Failed:
    """Return the word of an end by an exception, whatever the exception does."""
    return Failed(said_of(error), trace_of(error), starting=starting, final=final)


def _writable(word: Word) -> Word:
    """Return a word with its texts as UTF-8 can write them."""
    fields = msgspec.structs.asdict(word).items()
    texts = {name: writable(value) for name, value in fields if isinstance(value, str)}
    return msgspec.structs.replace(word, **texts)


@final
class Lifeline:
    """One child's words.  `say` may be called from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(True)
        self._deframer = Deframer()
        self._lock = threading.Lock()
        self._early: list[Word] = []

    def say(self, word: Word) -> None:
        """Send a word; a supervisor that is gone hears nothing."""
        try:
            data = frame(word)
        except UnicodeEncodeError:  # user code gives names and texts, and need not give Unicode
            data = frame(_writable(word))
        with self._lock:
            try:
                self._socket.sendall(data)
            except OSError:
                return

    def first(self) -> Word | None:
        """Wait for the first word; None when the supervisor ended instead."""
        while not self._early:
            data = self._read()
            if not data:
                return None
            self._early = self._deframer.feed(data)
        return self._early.pop(0)

    def hear(self) -> list[Word] | None:
        """Return the words that have arrived; None at the end.  Waits when there are none."""
        early, self._early = self._early, []
        if early:
            return early
        data = self._read()
        try:
            return self._deframer.feed(data) if data else None
        except MessageError:
            return None

    def ready(self, seconds: float) -> bool:
        """Whether words, or the end, arrive within so many seconds."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return self.waiting or bool(poller.poll(seconds * 1000.0))

    @property
    def waiting(self) -> bool:
        """Whether `hear` has words that came with the first: the descriptor does not say so."""
        return bool(self._early)

    def listen(self, hear: Callable[[], None]) -> None:
        """Have the running loop call `hear` whenever words have arrived, or the end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), hear)
        if self.waiting:  # a Stop that came together with the Boot
            loop.call_soon(hear)

    def deaf(self) -> None:
        """Listen no longer."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _read(self) -> bytes:
        try:
            return self._socket.recv(1 << 20)
        except OSError:
            return b""

    def close(self) -> None:
        """Close it; twice is fine."""
        self._socket.close()


@final
class LifelineHandler(logging.Handler):
    """Sends log records to the supervisor, which knows the actor they come from."""

    def __init__(self, lifeline: Lifeline) -> None:
        super().__init__()
        self._lifeline = lifeline

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record as text; a traceback goes with it."""
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - a log call with wrong arguments must not kill
            said = shown(record.msg)
            text = f"{said} (this log record cannot be formatted: {text_of(error)})"
        self._lifeline.say(Logged(record.name, record.levelno, text, record.created))
