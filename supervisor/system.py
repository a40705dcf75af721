"""What programs hold: a running system, started or joined.

    with supervisor.start() as system:          a system of its own, ended with the block
    with supervisor.connect() as system:        a system that runs already (`understudy up`)

Every method is a plain call, safe from any thread; `async with` works on the same object.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import print_exception
from types import TracebackType
from typing import Final, Self, final

from actors.address import CLIENT_PREFIX, NET_PREFIX
from actors.arrays.segment import host_key
from actors.attachments import Memory, account_of, directory_of
from actors.client import ClientThread
from actors.connection import Connection, Curve
from actors.control import SUPERVISOR, Goodbye, Standing
from actors.errors import AccessDenied, ConnectionLost
from actors.log import announce
from actors.peer import Peer
from actors.portal import Portal, Until
from supervisor.calls import Calls
from supervisor.ceilings import check_room
from supervisor.farewell import FirstSignal, messages_to, patiently, show_only_theirs
from supervisor.gate import explain, explain_silence, unreachable

FLUSH_SECONDS: Final = 5.0
"""Seconds a joined program waits at its end for what it has told to be handled."""

WELCOME_SECONDS: Final = 10.0
"""Seconds a broker has to greet a program that joins."""

LISTEN_SECONDS: Final = 3.0
"""Seconds after which one looks whether anybody is there at all: a broker that died is back in
less."""


@final
class System(Calls):
    """A running system of actors."""

    def __init__(
        self,
        endpoint: str,
        *,
        directory: str = "",
        ask_timeout: float = 30.0,
        end: Callable[[System], None] | None = None,
        abandon: Callable[[], None] = lambda: None,
        curve: Curve | None = None,
    ) -> None:
        self._directory = directory
        self._end = end
        """How the system itself is ended by whoever started it; None for a joined one."""
        self._abandon = abandon
        """How it is ended at once."""
        self._closed = False
        self._process = os.getpid()
        check_room()
        near = curve is None
        who = f"{os.getpid()}-{os.urandom(4).hex()}" if near else os.urandom(12).hex()
        name = f"{CLIENT_PREFIX if near else NET_PREFIX}{who}"
        self._peer = Peer(name, 1, host=host_key() if near else b"", mailbox=0)
        place = Path(directory) if directory else directory_of(endpoint)
        self._memory = Memory(directory_of(endpoint), account=account_of(place, name))
        super().__init__(Portal(self._peer, self._memory, ask_timeout=ask_timeout))
        self._called = Path(directory).name if directory else endpoint
        self._connection = Connection(endpoint, os.urandom(16), curve)
        self._connection.introduce(self._peer)
        self._thread = ClientThread(self._portal, self._connection)
        self._thread.start()
        try:
            self._await_welcome(endpoint)
        except BaseException:
            self._release()
            raise

    def _await_welcome(self, endpoint: str) -> None:
        peer, portal, connection = self._peer, self._portal, self._connection
        welcomed = Until(
            portal, lambda: bool(peer.registered or portal.lost is not None or connection.refused)
        )
        tried, why = LISTEN_SECONDS, ""
        self._thread.block(welcomed, tried)
        if not welcomed.done():
            why = unreachable(endpoint)
        if not welcomed.done() and not why:
            self._thread.block(welcomed, WELCOME_SECONDS - tried)
            tried = WELCOME_SECONDS
        if peer.registered:
            return
        if connection.refused:
            raise AccessDenied(reason=explain(endpoint, connection.refused))
        silence = explain_silence(endpoint, why, tried)
        raise portal.lost or ConnectionLost(silence, reason=silence)

    # --- the end

    def close(self) -> None:
        """Wait until what this program has told is handled, then end (or leave) the system.

        Twice is fine.  A joined program waits 5 s at the most and warns of what is unfinished.
        In a forked child it does nothing: the system is its parent's.
        """
        if self._is_over:
            return
        self._closed = True
        atexit.unregister(self.close_at_exit)
        first = FirstSignal()
        try:
            with first:
                self._flush()
                if self._end is not None:
                    self._end(self)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                announce("ended at once")
            self._abandon()  # a second Ctrl-C: nobody wants to wait any longer
            if isinstance(error, Exception):
                first.catch_up()
            raise
        finally:
            self._leave()
        first.catch_up()

    def close_at_exit(self) -> None:
        """Close in a program that has no `with`, and has ended: a signal cannot raise in it now."""
        with suppress(KeyboardInterrupt, SystemExit):
            self.close()

    @property
    def _is_over(self) -> bool:
        return self._closed or os.getpid() != self._process

    def _end_at_once(self) -> None:
        if self._is_over:
            return
        self._closed = True
        atexit.unregister(self.close_at_exit)
        self._abandon()
        self._leave()

    def _flush(self) -> None:
        if self._portal.lost is not None:
            return
        with self._portal.lock:
            self._peer.demand()
        self._thread.wake()
        self._wait(lambda: not self._unfinished(), FLUSH_SECONDS)
        if self._end is not None:
            # It ends with us: who is at work may finish, but nobody waits for one that is down.
            self._wait(lambda: not self._unfinished(up=True), None)
        unfinished = self._unfinished()
        if unfinished:
            announce(f"left with unfinished messages: {messages_to(unfinished)}")

    def _wait(self, over: Callable[[], bool], most: float | None) -> None:
        until = Until(self._portal, lambda: self._portal.lost is not None or over())

        def wait(seconds: float) -> bool:
            self._thread.block(until, seconds)
            return until.done()

        def said() -> str:
            return f"waiting for {messages_to(self._unfinished())} to finish; Ctrl-C ends at once"

        patiently(wait, said, most)

    def _unfinished(self, *, up: bool = False) -> dict[str, int]:
        """Return how much each name has not handled, or only the names that are `up`."""
        with self._portal.lock:  # the connection's thread, and theirs, may meet a new name
            return {
                link.name: link.out.unfinished
                for link in self._peer.links.values()
                # An exception of a signal's handler may have come between a message and its count.
                if link.out.unfinished and not link.out.idle and link.name != SUPERVISOR
                if not up or link.standing is Standing.UP
            }

    def _leave(self) -> None:
        with self._portal.lock:
            self._peer.say(Goodbye())
        self._release()

    def _release(self) -> None:
        self._thread.stop()
        self._portal.lose("the system was closed by this program")
        self._memory.close()

    def lose(self, reason: str) -> None:
        """Every call from now on raises `ConnectionLost` with this reason."""
        self._portal.lose(reason)

    def _definitions(self) -> Path | None:
        if not self._directory:
            return None
        path = Path(self._directory) / "definitions"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        twice = _twice(error)
        show_only_theirs(error)
        if twice:
            announce("ended at once")
            self._end_at_once()
            return
        try:
            self.close()
        except (KeyboardInterrupt, SystemExit) as signalled:
            _tell_of(error)
            if not isinstance(signalled, KeyboardInterrupt):
                raise
            if not isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            # The first Ctrl-C is still on its way, and tells what was interrupted.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if _twice(error):
            self._end_at_once()
            return
        first = FirstSignal()
        try:
            with first:  # here, because it is the main thread that hears of signals
                await asyncio.to_thread(self.close)
        except asyncio.CancelledError:
            self._abandon()
            first.catch_up()
            raise
        except Exception:
            first.catch_up()
            raise
        if first.came is not None:
            _tell_of(error)
        first.catch_up()


def _tell_of(error: BaseException | None) -> None:
    """Print what a signal is raised instead of: nobody else would tell of it."""
    if isinstance(error, Exception):
        print_exception(error)


def _twice(error: BaseException | None) -> bool:
    """Tell whether the program was interrupted again while it unwound from the first time."""
    interrupts = 0
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        interrupts += isinstance(error, KeyboardInterrupt)
        error = error.__context__
    return interrupts > 1
