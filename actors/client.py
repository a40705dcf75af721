"""The one I/O thread of a program that is not an actor: it alone touches the connection."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, cast, final

from actors.control import Ping
from actors.errors import ConnectionLost
from actors.failure import said_of
from actors.handling import in_event_loop
from actors.log import logger
from actors.reply import sleep

if TYPE_CHECKING:
    from actors.connection import Connection
    from actors.portal import Portal
    from actors.reply import Pending

PING_EVERY: Final = 1.0
"""Seconds between two signs of life to the broker."""

_FORKED: Final = (
    "this process was forked from the program that is connected; connect() in the new process"
)

_INTERRUPTED: Final = (
    "this code has interrupted another that was just sending something (it is a signal's handler), "
    "so it cannot wait for an answer: let the handler set a flag, and ask where that is looked at"
)


@final
class ClientThread:
    """Pumps a connection until it is stopped; the driver of a client's portal."""

    def __init__(self, portal: Portal, connection: Connection) -> None:
        self._portal = portal
        self._connection = connection
        self._woken = False
        self._released: list[threading.Lock] = []
        """What sleeping threads wait for, once their answers are there."""
        self._stopping = False
        self._linger = 0.0
        self._thread = threading.Thread(target=self._run, name="understudy-io", daemon=True)
        self._forked = False
        portal.driver = self
        _all.add(self)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, linger: float = 0.2) -> None:
        """Send what is ready to go out, close the connection, end the thread.  Twice is fine."""
        self._linger = linger
        self._stopping = True
        self._connection.wake()
        # A signal's handler that has interrupted a sending holds what the thread needs to end.
        if self._thread is threading.current_thread() or _holds(self._portal.lock):
            return
        if self._thread.is_alive():
            self._thread.join()

    def orphan(self) -> None:
        """This process is a copy that has the sockets and not the thread: nothing works."""
        self._forked = self._woken = True
        self._portal.lock = threading.RLock()  # somebody may have held the old one
        self._portal.lost = ConnectionLost(reason=_FORKED)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - whatever it is, the program must hear it
            # Nobody else would ever wake those who wait.
            logger.exception("the I/O thread failed")
            self._portal.lose(f"the I/O thread of this program failed: {said_of(error)}")
            self._release_all()
            self._connection.close()  # `stop` finds no thread that would

    def _serve(self) -> None:
        portal, connection, peer = self._portal, self._connection, self._portal.peer
        ping_at = time.monotonic() + PING_EVERY
        more = True  # the first look makes the connection known
        while not self._stopping:
            if not more and not self._woken:
                due = min(peer.next_due(), ping_at)
                connection.wait(max(0.0, due - time.monotonic()))
            self._woken = False
            now = time.monotonic()
            pinged = now >= ping_at
            with portal.lock:
                if pinged:
                    ping_at = now + PING_EVERY
                    peer.say(Ping())
                more = connection.pump(peer, now)
                portal.after_pump()
            if pinged:
                portal.memory.tidy()
            if peer.ended and portal.lost is None:
                portal.lose(peer.ended)
            # Only now, because whoever is woken wants the interpreter, which this thread gives
            # back next while it waits; woken earlier, the two would take it from each other.
            self._release_all()
        with portal.lock:
            peer.leaving()
            connection.flush(peer, time.monotonic())
            connection.close(self._linger)

    def _release_all(self) -> None:
        while self._released:
            self._released.pop().release()

    # --- `driver.Driver`

    def wake(self) -> None:
        """Make the thread send what is in the outboxes."""
        # One byte in the pipe is enough however many messages it stands for.
        if not self._woken:
            self._woken = True
            try:
                self._connection.wake()
            except BaseException:
                # A signal's handler has raised.  All others would trust a wake-up that never was.
                self._woken = False
                raise

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Sleep until `pending` is done or the time is over."""
        if self._forked:
            self._portal.check()
        if _holds(self._portal.lock):  # nothing could be received meanwhile
            raise RuntimeError(_INTERRUPTED)
        sleep(pending, timeout, self._release)

    def _release(self, gate: threading.Lock) -> None:
        if threading.current_thread() is self._thread:
            self._released.append(gate)
        else:
            gate.release()

    def block_briefly(self, pending: Pending, timeout: float) -> None:
        """Sleep; the broker answers in less time than a loop's turn takes."""
        self.block(pending, timeout)

    def flush(self) -> None:
        """Make the thread send; it alone may touch the connection."""
        self.wake()

    @property
    def may_block(self) -> bool:
        """Whether the caller is plain code."""
        return not in_event_loop()


def _holds(lock: threading.RLock) -> bool:
    """Whether the calling thread holds a lock; it is asked as `threading.Condition` asks."""
    return bool(cast("Any", lock)._is_owned())  # noqa: SLF001


_all: Final[weakref.WeakSet[ClientThread]] = weakref.WeakSet()


def _orphan_all() -> None:
    for thread in _all:
        thread.orphan()


os.register_at_fork(after_in_child=_orphan_all)
