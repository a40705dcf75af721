"""The one I/O thread of a program that is not an actor: it alone watches the connection.

A lone message leaves from the thread that sends it, when this one sleeps: it need not be woken to
send, only for the answer.  Whatever comes in a flood is left to it, so that it goes out together.
Both touch the connection under the portal's lock alone.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, final

from actors.control import Ping
from actors.handling import in_event_loop
from actors.log import logger
from actors.reply import sleep

if TYPE_CHECKING:
    from actors.connection import Connection
    from actors.portal import Portal
    from actors.reply import Pending

PING_EVERY: Final = 1.0
"""Seconds between two signs of life to the broker."""


LULL: Final = 50e-6
"""Seconds since the last message, after which one is a lone one."""


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
        self._asleep = False
        """It waits, until `_due` at the latest: others may send."""
        self._due = 0.0
        self._sent_at = 0.0
        self._fresh = False
        """There is a descriptor that it does not watch yet."""
        connection.watch = self._note_descriptor
        self._linger = 0.0
        self._thread = threading.Thread(target=self._run, name="understudy-io", daemon=True)
        portal.driver = self

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, linger: float = 0.2) -> None:
        """Send what is ready to go out, close the connection, end the thread.  Twice is fine."""
        self._linger = linger
        self._stopping = True
        self._connection.wake()
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - whatever it is, the program must hear it
            # Nobody else would ever wake those who wait.
            logger.exception("the I/O thread failed")
            self._portal.lose(f"the I/O thread of this program failed: {error!r}")
            self._release_all()

    def _serve(self) -> None:
        portal, connection, peer = self._portal, self._connection, self._portal.peer
        ping_at = time.monotonic() + PING_EVERY
        more = True  # the first look makes the connection known
        while not self._stopping:
            if not more and not self._woken:
                connection.wait(max(0.0, self._due - time.monotonic()))
            self._asleep = self._woken = self._fresh = False
            now = time.monotonic()
            with portal.lock:
                if now >= ping_at:
                    ping_at = now + PING_EVERY
                    peer.say(Ping())
                more = connection.pump(peer, now)
                portal.after_pump()
                self._due = min(peer.next_due(), ping_at)
                self._asleep = not more
            if peer.ended and portal.lost is None:
                portal.lose(peer.ended)
            # Only now, because whoever is woken wants the interpreter, which this thread gives
            # back next while it waits; woken earlier, the two would take it from each other.
            self._release_all()
        with portal.lock:
            self._asleep = False
            peer.leaving()
            connection.flush(peer, time.monotonic())
            connection.close(self._linger)

    def _release_all(self) -> None:
        while self._released:
            self._released.pop().release()

    # --- `driver.Driver`

    def wake(self) -> None:
        """Send what is in the outboxes, or make the thread send it."""
        # One byte in the pipe is enough however many messages it stands for.
        if not self._woken and not self._send_here():
            self._woken = True
            self._connection.wake()

    def _send_here(self) -> bool:
        """Send a lone message from this thread; False when the other one has something to do."""
        now = time.monotonic()
        lone, self._sent_at = now - self._sent_at > LULL, now
        portal, connection = self._portal, self._connection
        peer = portal.peer
        if not lone or not self._asleep or len(peer.calls) > 1:
            return False
        if threading.current_thread() is self._thread or not portal.lock.acquire(blocking=False):
            return False
        try:
            if not self._asleep:
                return False
            connection.flush(peer, now)
            # Sending may take a word of the descriptor away that the other thread waits for.
            return not (connection.readable or self._fresh or peer.next_due() < self._due)
        finally:
            portal.lock.release()

    def _note_descriptor(self, _descriptor: int) -> None:
        self._fresh = True

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Sleep until `pending` is done or the time is over."""
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
