"""A broker that does wrong by schedule: batches of users are looked into, lost, held, or kill.

    party ─► known route ─► its head and envelopes are decoded ─► `Director` ─► sent on
                                                                      │
          dropped, held back, SIGSTOP, kill -9 of an actor, of the supervisor, of itself

Only `replay` starts it, in the place of `supervisor.broker`.  It tracks who owes whom an
acknowledgement, so it knows when an actor has done with a message, and when all is quiet.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import time
from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias, final

import attrs
import zmq

from actors.address import CLIENT_PREFIX
from actors.control import BrokerBoot
from actors.envelope import Batch, Kind, Route, decode_batch, decode_route
from actors.errors import MessageError
from actors.runs import holds
from actors.testing.director import Director
from actors.testing.schedule import (
    BrokerRestart,
    Crash,
    Delay,
    Deviation,
    Drop,
    Hang,
    Partition,
    Passing,
    SupervisorCrash,
)
from actors.testing.script import (
    HEALED,
    HELD,
    JOURNAL,
    NAME,
    Entry,
    read_journal,
    unpack,
    write_entry,
)
from actors.testing.victims import Victims
from supervisor.broker import TICK, Broker, serve

PATIENCE: Final = 3.0
"""Seconds that a doomed actor has for the message it shall die after, at the most.  On a busy
machine it needs some; one that died before would be another schedule."""

A_MOMENT: Final = 1.0
"""Seconds it has when nobody will say that it is done, because it is no message but an answer."""

PROGRAM: Final = "client"
"""The scenario's own name in schedules."""

Fate: TypeAlias = Literal["", "lost", "held"]
Life: TypeAlias = tuple[str, int]
"""Name and incarnation."""


@final
@attrs.define(eq=False)
class _Packet:
    """A batch on its way."""

    party: bytes
    target: bytes
    route: bytes
    rest: list[zmq.Frame]
    way: Route
    batch: Batch
    when: float = 0.0
    numbered: bool = False

    @property
    def pair(self) -> tuple[Life, str]:
        """Packets of one pair keep their order."""
        return self.sender, self.way.target

    @property
    def sender(self) -> Life:
        """Which life has sent it."""
        return self.way.sender, self.way.sender_incarnation

    @property
    def receiver(self) -> Life:
        """Which life shall get it."""
        return self.way.target, self.way.target_incarnation


@final
@attrs.define(eq=False)
class _Doom:
    """An actor is killed when it has done with a message."""

    source: Life
    last: int
    """Number of that message; 0 for an answer, which nobody is told to be handled."""
    loses: bool
    """What it sends is lost."""
    until: float


@final
class FaultyBroker(Broker):
    """Performs what `Routing` decides, and what a schedule says."""

    tick_seconds = 0.01

    def __init__(self, boot: BrokerBoot) -> None:
        super().__init__(boot)
        self._home = Path(boot.endpoints[0].removeprefix("ipc://")).parent
        self._director = Director(unpack(boot.faults))
        self._victims = Victims()
        self._asked: dict[tuple[str, int, int], str] = {}
        self._held: dict[tuple[Life, str], deque[_Packet]] = {}
        self._dooms: dict[Life, _Doom] = {}
        self._cuts: dict[frozenset[str], float] = {}
        self._lanes: dict[tuple[Life, Life], list[int]] = {}
        """Of who writes to whom: the last number sent, the last one known to be handled."""
        self._marked = False
        self._next_second = time.monotonic() + TICK
        self._count = 0
        self._journal = (self._home / JOURNAL).open("a+b", buffering=0)
        self._journal.seek(0)
        for entry in read_journal(self._journal.read()):  # of the broker that was here before
            self._count += 1
            self._asked.update({(name, life, ask): tag for name, life, ask, tag in entry.asked})
            if not entry.healed:
                self._director.at(entry.passing)
        (self._home / HELD).unlink(missing_ok=True)

    # --- what passes -----------------------------------------------------------------------------

    def _first(self, party: bytes, route: bytes, rest: list[zmq.Frame]) -> None:
        try:
            way = decode_route(route)
            pid = int(str(rest[0].get("Peer-Address")).rpartition(":")[2])
            self._victims.note(way.sender, way.sender_incarnation, pid)
        except (MessageError, LookupError, ValueError, zmq.ZMQError):
            pass  # not one of ours: the ordinary broker says so
        super()._first(party, route, rest)

    def _pass_on(self, party: bytes, target: bytes, route: bytes, rest: list[zmq.Frame]) -> None:
        way = _way(route)
        doom = self._dooms.get((way.sender, way.sender_incarnation))
        if "@" in (way.sender[0], way.target[0]):
            if doom is None or not doom.loses:
                super()._pass_on(party, target, route, rest)
            return
        packet = _Packet(party, target, route, rest, way, decode_batch(rest[0].bytes))
        over = doom is not None and self._has_done(packet, doom)
        if doom is None or not doom.loses:
            self._note_lanes(packet)
            queue = self._held.get(packet.pair)
            if queue:
                queue.append(packet)
            else:
                self._arrive(packet)
        if over:
            self._kill(way.sender)

    def _arrive(self, packet: _Packet) -> None:
        fate: Fate = ""
        contents = self._contents(packet)
        if contents and not packet.numbered:
            packet.numbered = True
            fate = self._look(packet, contents)
        if fate == "held":
            self._held.setdefault(packet.pair, deque()).appendleft(packet)
        elif not fate:
            super()._pass_on(packet.party, packet.target, packet.route, packet.rest)

    def _contents(self, packet: _Packet) -> tuple[tuple[str, bool], ...]:
        """Return what of a packet is the users' business: tags, and whether it is an answer."""
        found: list[tuple[str, bool]] = []
        for envelope in packet.batch.envelopes:
            if envelope.kind <= Kind.STREAM:
                if envelope.correlation:
                    self._asked[(*packet.sender, envelope.correlation)] = envelope.tag
                found.append((envelope.tag, False))
            elif envelope.kind <= Kind.END:
                tag = self._asked.get((*packet.receiver, envelope.correlation), "")
                if tag:
                    found.append((tag, True))
        return tuple(found)

    def _look(self, packet: _Packet, contents: tuple[tuple[str, bool], ...]) -> Fate:
        """Number a message and let happen what the schedule says."""
        if packet.receiver in self._dooms:
            return "lost"  # its turn is its last: nothing more arrives
        healed = (self._home / HEALED).exists()
        if healed:
            self._director.stop()
            self._cuts.clear()
        source, target = self._label(packet.way.sender), self._label(packet.way.target)
        mortal = not packet.way.target.startswith(CLIENT_PREFIX)
        self._count += 1
        passing = Passing(self._count, source, target, mortal, contents)
        asked = [
            (*packet.sender, envelope.correlation, envelope.tag)
            for envelope in packet.batch.envelopes
            if envelope.kind <= Kind.STREAM and envelope.correlation
        ]
        self._journal.write(write_entry(Entry(passing, asked, healed)))
        now = time.monotonic()
        fate: Fate = "lost" if self._cuts.get(frozenset((source, target)), 0.0) > now else ""
        for deviation in self._director.at(passing):
            fate = self._befall(deviation, packet, passing) or fate
        return fate

    def _label(self, name: str) -> str:
        """Return how a party is called in schedules."""
        if not name.startswith(CLIENT_PREFIX):
            return name
        path = self._home / f"{NAME}{name}"
        return path.read_text(encoding="utf-8") if path.exists() else PROGRAM

    # --- what goes wrong -------------------------------------------------------------------------

    def _befall(self, deviation: Deviation, packet: _Packet, passing: Passing) -> Fate:
        now = time.monotonic()
        match deviation:
            case Drop():
                return "lost"
            case Delay():
                packet.when = now + deviation.seconds
                return "held"
            case Crash():
                return self._crash(deviation, packet, passing)
            case Hang():
                if deviation.actor or passing.mortal:
                    self._victims.stop(deviation.actor or passing.target, now + deviation.seconds)
                return ""
            case Partition():
                ends = {deviation.one or passing.source, deviation.other or passing.target}
                self._cuts[frozenset(ends)] = now + deviation.seconds
                return "lost" if ends == {passing.source, passing.target} else ""
            case BrokerRestart() | SupervisorCrash():
                self._end(deviation)
                return "lost"

    def _crash(self, crash: Crash, packet: _Packet, passing: Passing) -> Fate:
        name = crash.actor or passing.target
        if name != passing.target:
            self._kill(name)
        elif passing.mortal and crash.when == "before":
            self._kill(name)
            return "lost"
        elif passing.mortal:
            numbers = [one.seq for one in packet.batch.envelopes if one.kind <= Kind.STREAM]
            self._dooms[packet.receiver] = _Doom(
                packet.sender,
                max(numbers, default=0),
                crash.when == "lost",
                time.monotonic() + (PATIENCE if numbers else A_MOMENT),
            )
        return ""

    def _has_done(self, packet: _Packet, doom: _Doom) -> bool:
        """Whether the doomed sender of a packet says in it that the message is handled."""
        batch = packet.batch
        return (
            packet.receiver == doom.source
            and doom.last > 0
            and (batch.handled >= doom.last or holds(batch.finished, doom.last))
        )

    def _kill(self, name: str) -> None:
        life = (name, self._victims.kill(name))
        self._dooms.pop(life, None)

    def _end(self, deviation: BrokerRestart | SupervisorCrash) -> None:
        for name, _ in list(self._dooms):
            self._kill(name)
        self._victims.go_on(math.inf)
        restart = isinstance(deviation, BrokerRestart)
        os.kill(os.getpid() if restart else os.getppid(), signal.SIGKILL)

    # --- time passes -----------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._victims.go_on(now)
        for (name, _), doom in list(self._dooms.items()):
            if doom.until <= now:
                self._kill(name)
        for pair in [*self._held]:
            self._drain_pair(pair, now)
        if self._marked and not self._busy():
            self._marked = False
            (self._home / HELD).unlink(missing_ok=True)
        if now >= self._next_second:
            self._next_second = now + TICK
            super().tick(now)

    def _drain_pair(self, pair: tuple[Life, str], now: float) -> None:
        queue = self._held[pair]
        while queue and queue[0].when <= now:
            try:
                self._arrive(queue.popleft())
            except zmq.ZMQError:  # its receiver has gone meanwhile
                self.dropped += 1
        if not queue:
            del self._held[pair]

    def close(self, reason: str) -> None:
        """Tell every party that the system is over, then close."""
        self._victims.go_on(math.inf)
        super().close(reason)

    def _note_lanes(self, packet: _Packet) -> None:
        sender, receiver, batch = packet.sender, packet.receiver, packet.batch
        there = self._lanes.setdefault((sender, receiver), [0, 0])
        back = self._lanes.setdefault((receiver, sender), [0, 0])
        there[0], back[1] = max(there[0], batch.last), max(back[1], batch.handled)
        if not self._marked and (batch.envelopes or there[0] > there[1]):
            self._marked = True
            (self._home / HELD).touch()

    def _busy(self) -> bool:
        if self._held or self._dooms or self._victims.hang:
            return True
        return any(
            sent > handled and self._victims.is_alive(*receiver) and self._hears(sender)
            for (sender, receiver), (sent, handled) in list(self._lanes.items())
        )

    def _hears(self, sender: Life) -> bool:
        """Whether an acknowledgement will still come by: nobody sends one to the dead."""
        return sender[0].startswith(CLIENT_PREFIX) or self._victims.is_alive(*sender)


@lru_cache(maxsize=10_000)
def _way(route: bytes) -> Route:
    return decode_route(route)


def main(lifeline: socket.socket, fds: dict[str, int]) -> int:
    """Run the testing broker until its lifeline ends."""
    return serve(lifeline, FaultyBroker, fds)
