"""The connection on an actor's event loop: who pumps it, and how its code waits.

    descriptor readable ─► pump ─► the runtime handles what has arrived ─► flush
    `.result()` in a `def` handler ─► pump in place until the answer is here
    `.result()` in an `async def` handler ─► refused: `await` is the way there

One plain function, `Connection.pump`, serves all of them; only the loop's thread runs it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from actors.control import HEARTBEAT
from actors.handling import in_event_loop
from actors.reply import sleep

if TYPE_CHECKING:
    from actors.connection import Connection
    from actors.portal import Portal
    from actors.reply import Pending


TIDY_SECONDS: Final = 0.9
"""Seconds between two looks at what memory is idle, at least: with each ordinary heartbeat."""


@final
class LoopPump:
    """Drives one connection from an asyncio loop; the driver of an actor's portal."""

    def __init__(
        self,
        portal: Portal,
        connection: Connection,
        *,
        handle: Callable[[], None],
        alive: Callable[[float], None],
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._heartbeat = heartbeat
        self._portal = portal
        self._connection = connection
        self._handle = handle
        """Called after every pump on the loop: the runtime handles what has arrived."""
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        self._soon = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._closed = False
        self._tidy_at = 0.0
        portal.driver = self
        connection.introduce(portal.peer)
        for descriptor in connection.descriptors:
            self._watch(descriptor)
        connection.watch = self._watch
        self._beat()
        self.again()

    def close(self, linger: float) -> None:
        """Send what is ready, stop watching, close the connection."""
        if self._closed:
            return
        self._closed = True
        for descriptor in self._connection.descriptors:
            self._loop.remove_reader(descriptor)
        if self._timer is not None:
            self._timer.cancel()
        self._heart.cancel()
        with self._portal.lock:
            self._portal.peer.leaving()
            self._connection.flush(self._portal.peer, time.monotonic())
            self._connection.close(linger)

    # --- pumping

    def _watch(self, descriptor: int) -> None:
        self._loop.add_reader(descriptor, self._pump)

    def _pump(self) -> None:
        self._soon = False
        if self._closed:
            return
        self._exchange()
        self._handle()
        self.flush()
        # ZeroMQ's descriptor does not speak again of what it has announced once.
        if not self._closed and self._connection.readable:
            self.again()
        self._arm()

    def _exchange(self) -> None:
        now = time.monotonic()
        with self._portal.lock:
            self._connection.pump(self._portal.peer, now)
            self._portal.after_pump()

    def flush(self) -> None:
        """Send what is in the outboxes now."""
        if self._closed:
            return
        with self._portal.lock:
            self._connection.flush(self._portal.peer, time.monotonic())

    def again(self) -> None:
        """Pump in the loop's next turn."""
        if not self._soon and not self._closed:
            self._soon = True
            self._loop.call_soon(self._pump)

    def _arm(self) -> None:
        due = self._portal.peer.next_due()
        if due == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = due
        if due < math.inf and not self._closed:
            wait = max(0.0, due - time.monotonic())
            self._timer = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._pump()

    def _beat(self) -> None:
        now = time.monotonic()
        self._alive(now)
        if now >= self._tidy_at:  # the heart beats faster where handlers must be quick
            self._tidy_at = now + TIDY_SECONDS
            self._portal.memory.tidy()
        self._heart = self._loop.call_later(self._heartbeat, self._beat)

    # --- `driver.Driver`

    def wake(self) -> None:
        """Send soon what is in the outboxes."""
        if threading.get_ident() == self._home:
            self.again()
        elif not self._closed:
            self._connection.wake()

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait in plain code: pump in place on the loop's thread, sleep in any other."""
        if threading.get_ident() != self._home:
            sleep(pending, timeout, _release)
        elif in_event_loop():
            raise RuntimeError(
                "result() would stop this actor's event loop: in an `async def` handler write "
                "`await` before the reply (or `async for` over the stream)."
            )
        else:
            self._pump_until(pending, timeout)

    def block_briefly(self, pending: Pending, timeout: float) -> None:
        """Wait for the broker's word, wherever the code runs."""
        if threading.get_ident() == self._home:
            self._pump_until(pending, timeout)
        else:
            sleep(pending, timeout, _release)

    @property
    def may_block(self) -> bool:
        """Whether the caller is plain code."""
        return not in_event_loop()

    def _pump_until(self, pending: Pending, timeout: float | None) -> None:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not pending.done():
            self._exchange()
            now = time.monotonic()
            self._alive(now)
            if pending.done() or now >= end or self._closed:
                break
            if not self._connection.readable:
                due = min(end, self._portal.peer.next_due(), now + self._heartbeat)
                self._connection.wait(max(0.0, due - now))
        # What arrived meanwhile for the mailbox is handled when the present handler is over.
        self.again()


def _release(gate: threading.Lock) -> None:
    gate.release()
