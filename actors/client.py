"""How a program that is not an actor waits and sends.

    `.result()` in one thread     that thread looks at the connection until the answer is here
    all else                      the program's I/O thread looks, and wakes who waits

`turns.py` decides who looks.  Looking means to sleep at the descriptors; whoever has seen something
touches the sockets and the deciders with the portal's lock held, so any thread may.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, final

from actors.control import Ping
from actors.depth import has_room, holds, on_a_loop
from actors.errors import ConnectionLost
from actors.handling import in_event_loop
from actors.log import logger
from actors.reply import sleep
from actors.turns import Turns
from actors.undisturbed import Shelter, undisturbed
from actors.waker import Waker

if TYPE_CHECKING:
    from actors.connection import Connection
    from actors.eye import Eye, Spoken
    from actors.portal import Portal
    from actors.reply import Pending

PING_EVERY: Final = 1.0
"""Seconds between two signs of life to the broker."""

_FORKED: Final = "this process was forked from the connected program; connect() in the new process"

_INSIDE: Final = (
    "this code runs while something is received (a converter or validator), so it cannot wait for "
    "something else: ask before or after"
)

_INTERRUPTED: Final = (
    "this code has interrupted another that was just sending something (it is a signal's handler), "
    "so it cannot wait for an answer: let the handler set a flag, and ask where that is looked at"
)


@final
class ClientThread:
    """Pumps a connection until it is stopped; the driver of a client's portal."""

    def __init__(self, portal: Portal, connection: Connection) -> None:
        self.portal = portal
        self._connection = connection
        self._turns = Turns()
        self._called = threading.Event()
        """Ends the I/O thread's sleep when it stands aside."""
        self._eye, self.callers_eye = connection.eye(), connection.eye()
        """Of the I/O thread, and of the caller who looks; there is one at a time."""
        self.bell = Waker()
        """For that caller: what wakes both could be taken by the I/O thread before he saw it."""
        self.callers_eye.add(self.bell.descriptor)
        self._more = False
        """The last pump has left something on the connection."""
        self._untidy = False
        """Memory that is not used any more may be given back."""
        self._due = 0.0
        """Until when whoever looks sleeps at the most."""
        self._woken = False
        """Something was posted, or has happened, since the last pump."""
        self._inside = 0
        """The thread that pumps at this moment."""
        self._released: list[threading.Lock] = []
        """What sleeping threads wait for, once their answers are there."""
        self._ping_at = time.monotonic() + PING_EVERY
        self.stopping = self._closed = self._forked = False
        self._linger = 0.0
        self._thread = threading.Thread(target=self._serve, name="understudy-io", daemon=True)
        # A door that is new is not among the descriptors at which another thread sleeps already.
        connection.watch = lambda _descriptor: self._rouse()
        portal.driver = self
        _all.add(self)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, linger: float = 0.2) -> None:
        """Send what is ready to go out, close the connection, end the thread.  Twice is fine."""
        self._linger = linger
        self._end()
        # Neither a converter that is called by a pump, nor a signal's handler that has interrupted
        # a sending, can wait for the end of the work it is part of.
        inside = holds(self.portal.lock)
        if not inside and threading.current_thread() is not self._thread:
            self._thread.join()

    def _end(self) -> None:
        self.stopping = True
        with self.portal.lock:
            self._turns.close()
        self._rouse()
        self._called.set()

    def _rouse(self) -> None:
        """End the sleep of whoever looks."""
        self._connection.wake()
        self.bell.wake()

    def orphan(self) -> None:
        """This process is a copy that has the sockets and none of the threads: nothing works."""
        self._forked = self._closed = self.stopping = True
        self.portal.lock = threading.RLock()  # somebody may have held the old one
        self.portal.lost = ConnectionLost(reason=_FORKED)

    # --- the I/O thread

    def _serve(self) -> None:
        try:
            self._take_turns()
            self._leave()
        except Exception as error:  # noqa: BLE001 - whatever it is, the program must hear it
            self._fail(error)
        self._close()

    def _take_turns(self) -> None:
        turns = self._turns
        spoken: Spoken = []
        while not self.stopping:
            with self.portal.lock:
                pause = turns.aside(time.monotonic())
                if not pause:
                    self.pump(spoken)
            spoken = []
            if pause:
                self._pause(pause)
            else:
                # Only now, because whoever is woken wants the interpreter, which this thread gives
                # back next while it waits; woken earlier, the two would take it from each other.
                self.after_pump()
                spoken = self.look(self._eye, math.inf)

    def _pause(self, seconds: float) -> None:
        self._called.wait(min(seconds, PING_EVERY))
        self._called.clear()

    def _leave(self) -> None:
        with self.portal.lock:
            if not self._closed:  # it has not failed
                self._closed = True
                self.portal.peer.leaving()
                self._connection.flush(self.portal.peer, time.monotonic())

    def _close(self) -> None:
        with self.portal.lock:
            self._connection.close(self._linger)
            self.bell.close()
        self._let_go()

    # --- whoever looks

    def look(self, eye: Eye, end: float) -> Spoken:
        """Sleep until a descriptor speaks or something is due."""
        if self._more or self._woken or self.stopping:
            return []
        return eye.look(max(0.0, min(self._due, end) - time.monotonic()))

    def pump(self, spoken: Spoken) -> None:
        """Receive, decide and send, with the lock held."""
        if self._closed:
            return
        self._inside = threading.get_ident()
        try:
            self._exchange(spoken)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program must hear it
            # Nobody else would ever wake those who wait.
            self._fail(error)
        finally:
            self._inside = 0

    def _exchange(self, spoken: Spoken) -> None:
        portal, connection, peer = self.portal, self._connection, self.portal.peer
        self._woken = False
        now = time.monotonic()
        if now >= self._ping_at:
            self._ping_at = now + PING_EVERY
            self._untidy = True
            peer.say(Ping())
        connection.note(spoken)
        self._more = connection.pump(peer, now)
        portal.after_pump()
        if peer.ended and portal.lost is None:
            portal.lose(peer.ended)
        self._due = min(peer.next_due(), self._ping_at)

    def after_pump(self) -> None:
        """Do what needs no lock."""
        self._let_go()
        if self._untidy:
            self._untidy = False
            try:
                self.portal.memory.tidy()
            except Exception as error:  # noqa: BLE001 - as in a pump
                self._fail(error)

    def _let_go(self) -> None:
        if self._released:
            with self.portal.lock:
                released, self._released = self._released, []
            for gate in released:
                gate.release()

    def _fail(self, error: Exception) -> None:
        logger.exception("the connection of this program failed")
        self._closed = True
        self._end()
        self.portal.lose(f"the I/O of this program failed: {error!r}")

    # --- `driver.Driver`

    def wake(self) -> None:
        """Send what is in the outboxes: now, or soon together with what follows at once."""
        # One byte in the pipe is enough however many messages it stands for.
        if self._woken or self._closed or self._forked:
            return
        if self._inside == threading.get_ident():
            self._woken = True
        elif self._turns.sends(time.monotonic()) and not holds(self.portal.lock) and has_room():
            undisturbed(self._send)
        else:
            undisturbed(self._call)

    def _send(self) -> None:
        """Send in the calling thread; if there is more to do, have it done."""
        with self.portal.lock:
            if not self._closed and not self._flush():
                # Here, because the handler of a signal that came meanwhile may raise after this.
                self._call()

    def _flush(self) -> bool:
        """Send, with the lock held; return whether that was all there is to do."""
        self._inside = threading.get_ident()
        try:
            self._connection.flush(self.portal.peer, time.monotonic())
            self.portal.after_pump()
            more = self._connection.readable
        except Exception as error:  # noqa: BLE001 - as in a pump
            self._fail(error)
            return False
        finally:
            self._inside = 0
        # Whoever looks sleeps until what was due before this was posted.
        sooner = self.portal.peer.next_due() < self._due
        return not (more or sooner or self._woken or self._released)

    def _call(self) -> None:
        """Make whoever looks, or the I/O thread, pump.  A half of it would silence all others."""
        self._woken = True
        if self._turns.call():
            self._called.set()
        else:
            self._connection.wake()

    def block(self, pending: Pending, timeout: float | None) -> None:
        """Wait until `pending` is done or the time is over."""
        if self._forked:
            self.portal.check()
        if holds(self.portal.lock):  # nothing could be received meanwhile
            raise RuntimeError(_INSIDE if self._inside == threading.get_ident() else _INTERRUPTED)
        if on_a_loop() or not has_room():
            # What a pump resolves for the loop of this very thread would not end the loop's sleep.
            sleep(pending, timeout, self.release)
            return
        caller = Caller(self, pending, timeout)
        shelter = Shelter(lambda: undisturbed(lambda: self.give_way(caller)))
        try:
            shelter.begin()
            if caller.begin():
                caller.lead(shelter)
            shelter.lift()
            caller.follow()
        finally:
            shelter.lower()
            caller.leave()
            shelter.end()

    def arrive(self, caller: Caller) -> bool:
        """Somebody waits; return whether he looks himself.  With the lock held."""
        led = self._turns.led
        leads = self._turns.arrive(caller, time.monotonic())
        if led:  # by somebody else, until now
            self.bell.wake()
            self._call()
        return leads

    def step(self, caller: Caller, spoken: Spoken) -> bool:
        """Pump, for a caller who has looked; return whether he looks on."""
        with self.portal.lock:
            if self._closed:
                return False
            self.bell.clear()
            leads = self._turns.step(caller, time.monotonic())
            if leads:
                self.pump(spoken)
        self.after_pump()
        return leads

    def give_way(self, caller: Caller) -> None:
        """A signal's handler keeps whoever looks, for as long as it likes."""
        with self.portal.lock:
            if self._turns.give_way(caller):
                self._call()

    def leave(self, caller: Caller) -> None:
        """Somebody does not wait any more."""
        with self.portal.lock:
            called = self._turns.leave(caller, time.monotonic(), more=self._more)
            if called or self._woken:
                self._call()

    def release(self, gate: threading.Lock) -> None:
        """Let a sleeping thread go on."""
        if self._inside == threading.get_ident():
            self._released.append(gate)
        else:
            gate.release()

    def block_briefly(self, pending: Pending, timeout: float) -> None:
        """Wait; the broker answers in less time than a loop's turn takes."""
        self.block(pending, timeout)

    def flush(self) -> None:
        """Send what is in the outboxes."""
        self.wake()

    @property
    def may_block(self) -> bool:
        """Whether the caller is plain code."""
        return not in_event_loop()


@final
class Caller:
    """One thread that waits in plain code."""

    def __init__(self, thread: ClientThread, pending: Pending, timeout: float | None) -> None:
        self._thread = thread
        self._pending = pending
        self._end = math.inf if timeout is None else time.monotonic() + timeout
        self._pumps = False

    def begin(self) -> bool:
        """Arrive; return whether to lead."""
        with self._thread.portal.lock:
            leads = self._thread.arrive(self)
            if leads:
                self._pending.on_change(self._changed)
        return leads

    def lead(self, shelter: Shelter) -> None:
        """Look at the connection until the waiting is over, or the I/O thread does so."""
        thread, pending, end = self._thread, self._pending, self._end
        leads = True
        while leads and not (pending.done() or thread.stopping or time.monotonic() >= end):
            shelter.lift()
            spoken = thread.look(thread.callers_eye, end)
            shelter.lower()
            self._pumps = True
            leads = thread.step(self, spoken)
            self._pumps = False

    def follow(self) -> None:
        """Sleep until whoever looks says that the waiting is over."""
        left = None if self._end == math.inf else max(0.0, self._end - time.monotonic())
        sleep(self._pending, left, self._thread.release)

    def leave(self) -> None:
        """Wait no longer.  Twice is fine, and whether `begin` has begun or not."""
        self._pending.off_change(self._changed)
        self._thread.leave(self)

    def _changed(self) -> None:
        # He looks after his pump; but a signal's handler in his own thread may end his waiting too.
        if not self._pumps:
            self._thread.bell.wake()


_all: Final[weakref.WeakSet[ClientThread]] = weakref.WeakSet()


def _orphan_all() -> None:
    for thread in list(_all):
        thread.orphan()


os.register_at_fork(after_in_child=_orphan_all)
