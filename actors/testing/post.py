"""The network of the simulation, and the broker: packets that take time, and what befalls them.

    peer ── wire message ──► Post ── 1 ms, in order for each pair ──► routing ──► peer
                              │
                              └─ a message of users: numbered, shown to the schedule, and then
                                 delivered, dropped, delayed, or the death of somebody

`Routing` decides as in the broker process.  Words to and from the broker, and packets that hold
nothing but acknowledgements, are the system's own and no place for faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from actors.control import BROKER, Closing, Ping, Refused, Word, decode_word, encode_word
from actors.envelope import (
    LAST_MAILBOX_KIND,
    MAGIC,
    Envelope,
    Kind,
    Route,
    decode_batch,
    decode_route,
    encode_route,
)
from actors.testing.director import Director
from actors.testing.packets import Packet, Pair
from actors.testing.party import Pump
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

if TYPE_CHECKING:
    from actors.testing.node import Node
    from actors.testing.world import World

LATENCY: Final = 0.001
"""Seconds from one party to another, or to the broker."""

BROKER_RESTART: Final = 0.05
"""Seconds until a broker that died is back."""

TICK: Final = 1.0

KILLED: Final = 9

_LAST_ANSWER: Final = int(Kind.END)


class Routes(Protocol):
    """The broker's mind: `supervisor.routing.Routing`."""

    routes: dict[bytes, bytes]

    @property
    def parties(self) -> list[bytes]:
        """Routing ids of everybody connected."""
        ...

    def forward(self, party: bytes, frame: bytes) -> bytes | Refused:
        """Return where a batch goes."""
        ...

    def hear(self, party: bytes, route: Route, word: Word, now: float) -> list[Any]:
        """Take a word; return what to say to whom."""
        ...

    def tick(self, now: float) -> list[Any]:
        """Do what is due about once a second."""
        ...

    def unreachable(self, party: bytes, now: float) -> list[Any]:
        """A word could not be sent."""
        ...


class Theatre(Protocol):
    """Who lives where."""

    def node_of(self, name: str) -> Node | None:
        """Return the process of a living actor."""
        ...

    def crash_supervisor(self) -> None:
        """End the supervisor, and all that depends on it."""
        ...

    def expiring(self) -> None:
        """The deadline of an ask is here: perhaps it was part of a cycle."""
        ...


@final
class Post:
    """Carries packets."""

    def __init__(self, world: World, routing: Callable[[], Routes], director: Director) -> None:
        self.theatre: Theatre
        self.delivered: list[Passing] = []
        """Every message of users so far."""
        self._world = world
        self._new_routing = routing
        self._routing: Routes | None = routing()
        self._director = director
        self._pumps: dict[bytes, Pump] = {}
        self._routes: dict[bytes, Route] = {}
        self._pairs: dict[tuple[Pump, str], Pair] = {}
        self._asked: dict[tuple[str, int, int], str] = {}
        """Tags of requests, by who asked and the number of the ask."""
        self._cuts: dict[frozenset[str], float] = {}
        self._life = 0
        """Of the broker."""
        self._route = encode_route(Route(MAGIC, "", 0, BROKER, 0))
        self._unsent: dict[Node, list[Packet]] = {}
        """What doomed processes have sent since their last message arrived."""
        world.before_jump, world.alarm = self._tick, TICK

    # --- parties

    def join(self, pump: Pump) -> None:
        """A party connects."""
        self._pumps[pump.routing_id] = pump
        self._world.at(self._world.now + LATENCY, self._connected, pump)

    def _connected(self, pump: Pump) -> None:
        if self._routing is not None and not pump.peer.online:
            pump.online()

    @property
    def in_flight(self) -> bool:
        """Whether a packet is on its way."""
        return any(pair.packets for pair in self._pairs.values())

    # --- sending

    def send(self, pump: Pump, message: Sequence[bytes | memoryview]) -> None:
        """Take a wire message of a party."""
        frames = [frame if type(frame) is bytes else bytes(frame) for frame in message]
        world = self._world
        when = world.now + LATENCY
        pair = pump.pairs.get(frames[0])
        if pair is None:
            route = self._routes.get(frames[0])
            if route is None:
                route = self._routes[frames[0]] = decode_route(frames[0])
            if route.target == BROKER:
                world.at(when, self._hear, pump, route, frames[1], self._life)
                return
            pair = pump.pairs[frames[0]] = self._pair(pump, route.target)
        when = pair.last = max(when, pair.last)
        packet = Packet(pump, frames, when)
        pair.packets.append(packet)
        if self._unsent and pump.node in self._unsent:
            self._unsent[pump.node].append(packet)
        # What it brings, if anything, is known when it is there.
        world.remind(when, self._drain, pair)

    def _pair(self, pump: Pump, target: str) -> Pair:
        """Return where packets from a party to another wait."""
        pair = self._pairs.get((pump, target))
        if pair is None:
            pair = self._pairs[pump, target] = Pair()
        return pair

    def _drain(self, pair: Pair) -> None:
        packets, now = pair.packets, self._world.now
        while packets and packets[0].when <= now:
            self._arrive(pair, packets.popleft())

    # --- arriving

    def _arrive(self, pair: Pair, packet: Packet) -> None:
        if packet.lost:
            return
        source = packet.source
        target = self._find(source, packet.frames[0])
        if target is None:
            return
        letters = self._letters(source, target, packet.frames)
        if not letters:
            target.arrive(packet.frames)
            return
        self._world.lively()
        fate = self._cut(source, target)
        if not packet.number:
            passing = self._number(packet, source, target, letters)
            for deviation in self._director.at(passing):
                fate = self._befall(deviation, packet, source, target) or fate
        self._world.trace.passed(packet.number, source.label, target.label, letters, fate)
        if not fate:
            target.arrive(packet.frames)
        elif fate.startswith("delayed"):
            pair.packets.appendleft(packet)
            # No reminder: it is known to bring something, however long nothing else happens.
            self._world.at(packet.when, self._drain, pair)

    def _find(self, source: Pump, route: bytes) -> Pump | None:
        """Return the party a batch goes to, as the broker does."""
        routing = self._routing
        if routing is None:
            return None
        party = routing.routes.get(source.routing_id + route)
        if party is None:
            found = routing.forward(source.routing_id, route)
            if isinstance(found, Refused):
                self._tell(source, found)
                return None
            party = found
        target = self._pumps.get(party)
        return None if target is None or target.dead else target

    def _letters(
        self, source: Pump, target: Pump, frames: list[bytes]
    ) -> tuple[tuple[str, Envelope], ...]:
        """Return what of a packet is the users' business, each with its tag."""
        if source.peer.name[0] == "@" or target.peer.name[0] == "@":
            return ()
        found: list[tuple[str, Envelope]] = []
        asker = (target.peer.name, target.peer.incarnation)
        for envelope in decode_batch(frames[1]).envelopes:
            if envelope.kind <= LAST_MAILBOX_KIND:
                if envelope.correlation:
                    me = (source.peer.name, source.peer.incarnation, envelope.correlation)
                    self._asked[me] = envelope.tag
                found.append((envelope.tag, envelope))
            elif envelope.kind <= _LAST_ANSWER:
                tag = self._asked.get((*asker, envelope.correlation), "")
                if tag:
                    found.append((tag, envelope))
        return tuple(found)

    def _number(
        self, packet: Packet, source: Pump, target: Pump, letters: tuple[tuple[str, Envelope], ...]
    ) -> Passing:
        packet.number = len(self.delivered) + 1
        contents = tuple([(tag, envelope.kind > LAST_MAILBOX_KIND) for tag, envelope in letters])
        mortal = target.node.incarnation > 0
        passing = Passing(packet.number, source.label, target.label, mortal, contents)
        self.delivered.append(passing)
        return passing

    def _cut(self, source: Pump, target: Pump) -> str:
        if not self._cuts:
            return ""
        until = self._cuts.get(frozenset((source.label, target.label)), 0.0)
        return "lost: partition" if until > self._world.now else ""

    # --- what goes wrong

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self._director.stop()
        self._cuts.clear()

    def _befall(  # noqa: C901 - one clause per kind
        self, deviation: Deviation, packet: Packet, source: Pump, target: Pump
    ) -> str:
        """Let a deviation happen; return what it does to the packet, "" for nothing."""
        now = self._world.now
        match deviation:
            case Drop():
                return "dropped"
            case Delay():
                packet.when = now + deviation.seconds
                return f"delayed {deviation.seconds:g} s"
            case Crash():
                return self._crash(deviation, target)
            case Hang():
                node = self._victim(deviation.actor, target)
                if node is not None:
                    self._world.trace.happened("fault", node.name, f"hangs {deviation.seconds:g} s")
                    node.freeze(deviation.seconds)
                return ""
            case Partition():
                ends = frozenset((deviation.one or source.label, deviation.other or target.label))
                self._cuts[ends] = now + deviation.seconds
                text = f"partition of {' and '.join(sorted(ends))} for {deviation.seconds:g} s"
                self._world.trace.happened("fault", "", text)
                return self._cut(source, target)
            case BrokerRestart():
                self._restart()
                return "lost: broker restarts"
            case SupervisorCrash():
                self._world.trace.happened("fault", "", "the supervisor crashes")
                self.theatre.crash_supervisor()
                return "lost: the system is over"

    def _victim(self, name: str | None, target: Pump) -> Node | None:
        if name is None:
            return target.node if target.node.incarnation else None
        return self.theatre.node_of(name)

    def _crash(self, crash: Crash, target: Pump) -> str:
        node = self._victim(crash.actor, target)
        if node is None:
            return ""
        if crash.when == "before":
            self._power_cut(node, "")
            return "lost: receiver crashes" if node is target.node else ""
        if crash.when == "lost":
            self._unsent[node] = []
        node.plug = lambda: self._power_cut(node, " and loses what it has not sent")
        if node is not target.node:
            node.plug()
        return ""

    def _power_cut(self, node: Node, losing: str) -> None:
        unsent = self._unsent.pop(node, None)
        for packet in unsent or ():
            packet.lost = True
        text = f"crashes{losing if unsent is not None else ''}"
        self._world.trace.happened("crash", node.name, text)
        node.die(None, KILLED)

    # --- the broker

    def _restart(self) -> None:
        self._world.trace.happened("fault", "", "the broker restarts")
        self._life += 1
        self._routing = None
        for pair in self._pairs.values():
            pair.packets.clear()
        for pump in self._pumps.values():
            pump.offline()
        self._world.at(self._world.now + BROKER_RESTART, self._again)

    def _again(self) -> None:
        self._routing = self._new_routing()
        for pump in list(self._pumps.values()):
            if pump.dead:
                del self._pumps[pump.routing_id]
            else:
                pump.online()

    def _hear(self, pump: Pump, route: Route, frame: bytes, life: int) -> None:
        if self._routing is not None and life == self._life:
            word = decode_word(frame)
            self._say(self._routing.hear(pump.routing_id, route, word, self._world.now))

    def _say(self, sends: list[Any]) -> None:
        assert self._routing is not None
        missing: list[bytes] = []
        for party, word in sends:
            pump = self._pumps.get(party)
            if pump is None or pump.dead:
                missing.append(party)
            else:
                self._tell(pump, word)
        for party in missing:
            self._say(self._routing.unreachable(party, self._world.now))

    def _tell(self, pump: Pump, word: Word) -> None:
        pump.arrive([self._route, encode_word(word)])

    def _tick(self) -> None:
        """Time passes: once a second the broker looks around."""
        now, routing = self._world.now, self._routing
        if routing is None:
            return
        self._world.alarm = now + TICK
        for party in routing.parties:
            pump = self._pumps.get(party)
            if pump is not None and not pump.dead:
                peer = pump.peer
                route = Route(MAGIC, BROKER, 0, peer.name, peer.incarnation)
                self._say(routing.hear(party, route, Ping(), now))
        self._say(routing.tick(now))

    def close(self, reason: str) -> None:
        """The system is over: tell every party why."""
        if self._routing is None:
            return
        for party in self._routing.parties:
            pump = self._pumps.get(party)
            if pump is not None:
                self._tell(pump, Closing(reason))
