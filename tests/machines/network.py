"""A whole system in memory: several `Peer`s, one `Routing`, one `Exchange`, and what can go wrong.

    node.peer ── outgoing ──► node.up ──► Routing ──► node.down ── receive ──► node.peer
         └──── parcels ────► wire of a direct connection ───────► receive_direct ──┘

Every pipe keeps its order, as ZeroMQ's do; nothing else is promised.  A broker that dies takes what
is in the pipes and all it knew with it.  A direct connection breaks with what is in it, or is never
made.  An actor that dies leaves its flight recorder, and what it had sent already.  `World` also
keeps the naive account that the guarantees are checked against.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

from actors.address import NET_PREFIX
from actors.blackbox import read
from actors.calls import Call
from actors.control import (
    BROKER,
    SUPERVISOR,
    Declare,
    Goodbye,
    Ping,
    Refused,
    Standing,
    decode_word,
    encode_word,
    lane_key,
)
from actors.envelope import MAGIC, Envelope, Kind, Route, decode_route, encode_route
from actors.errors import AnswerLost, DeadlineExceeded, NotDelivered, OutcomeUnknown
from actors.letter import Letter
from actors.peer import Peer
from actors.recorder import Recorder
from supervisor.exchange import Exchange
from supervisor.roles import Role
from supervisor.routing import Routing
from supervisor.visas import Visa

LONGEST_NUMBER = 20  # digits

FROM_BROKER = encode_route(Route(MAGIC, "", 0, BROKER, 0))


def whole(envelope, frames):
    """Whether a message has the array that its sender gave it: large ones, the reverse of it."""
    large = len(envelope.payload) > LONGEST_NUMBER
    return [bytes(frame) for frame in frames] == [envelope.payload[::-1]] * large


class Outcome:
    """Where the answer of one ask goes; it must come exactly once."""

    def __init__(self, number):
        self.number = number
        self.ends = []

    def take(self, envelope, frames, *, near):
        if envelope.kind == Kind.FAILURE:
            self.ends.append("declined")
            return True
        assert int(envelope.payload) == self.number, "the answer of another ask"
        assert whole(envelope, frames)
        self.ends.append("answered")
        return True

    def fail(self, error):
        self.ends.append(error)


class Wire:
    """A direct connection: `ends` are the one who dialled and the other one."""

    serial = itertools.count(1)  # never the same number twice, as random ones are not

    def __init__(self, number, dialler, acceptor):
        self.numbers = {dialler: number, acceptor: b"line%d" % next(self.serial)}
        self.ends = (dialler, acceptor)
        self.ways = {dialler: deque(), acceptor: deque()}  # what is on its way *to* that end

    def other(self, node):
        return self.ends[self.ends[0] is node]


class Node:
    """One life of one party."""

    def __init__(self, name, incarnation, routing_id, mailbox, *, direct):
        self.name = name
        self.incarnation = incarnation
        self.routing_id = routing_id
        self.peer = Peer(name, incarnation, mailbox=mailbox)
        if direct:
            self.peer.roads.near = ("ipc://dir/",)
            if not name.startswith("client-"):
                self.peer.endpoint = f"ipc://dir/{routing_id.hex()}"
        self.alive = True
        self.connected = False
        self.ready = False
        self.up, self.down = deque(), deque()
        self.mailbox = deque()
        self.page = Recorder.blank()
        self.recorder = Recorder(self.page)
        self.slots = {}
        self.jobs = []  # (delivery, slot, index) that are being handled
        self.outcomes = {}

    def slot(self, delivery):
        key = (delivery.link.name, delivery.incarnation)
        if key not in self.slots:
            self.slots[key] = self.recorder.link(lane_key(*key), delivery.inbound.handled)
        return self.slots[key]


class World:
    def __init__(self, mailbox=100, *, direct=True):
        self.direct = direct
        self.wires = []
        self.unreachable = set()  # names that nobody can connect to for the time being
        self.changed = 0  # letters that have travelled on direct connections
        self.now = 100.0
        self.ids = itertools.count(1)
        self.numbers = itertools.count(1)
        self.mailbox = mailbox
        self.nodes = {}  # name -> its present life
        self.corpses = []  # dead lives whose last bytes are still on their way
        self.lives = {}
        self.begun, self.finished = {}, set()
        self.interrupted, self.lost = set(), {}
        self.sent = {}  # number -> (sender node, target, kind)
        self.order = {}  # (sender, its life, target) -> numbers in the order they were begun
        self.supervisor = self._node(SUPERVISOR, 1)
        self.exchange = Exchange(self.supervisor.peer, lambda: None)
        self.cut = set()  # names that nobody restarts and nothing connects for the time being
        self.frozen = set()  # names whose process does nothing at present
        self.pooled = ()  # members of a pool, in which no order is promised
        self.routing = None
        self.start_broker()

    # --- the broker

    def start_broker(self):
        if self.routing is None:
            self.routing = Routing(self.supervisor.routing_id)

    def kill_broker(self, *, keep_unsent=False):
        self.routing = None
        self.corpses.clear()
        for node in self.nodes.values():
            node.down.clear()
            if not keep_unsent:
                node.up.clear()
            node.connected = False
            node.peer.disconnected()

    def connect(self, name):
        node = self.nodes.get(name)
        if node is not None and self.routing is not None and not node.connected:
            node.connected = True
            if name.startswith(NET_PREFIX):
                self.routing.visas.issue(node.routing_id, Visa(b"", "guest", Role.OPERATOR))
            node.peer.connected()

    def _party(self, routing_id):
        return next((n for n in self.nodes.values() if n.routing_id == routing_id), None)

    def _send(self, routing_id, frames):
        node = self._party(routing_id)
        if node is None or not node.connected:
            return False
        node.down.append(frames)
        return True

    def _say(self, sends):
        for send in sends:
            if not self._send(send.party, [FROM_BROKER, encode_word(send.word)]):
                self._say(self.routing.unreachable(send.party, self.now))

    def route_one(self, node):
        """The broker takes one wire message of a party."""
        if self.routing is None or not node.up or not (node.connected or not node.alive):
            return False
        frames = node.up.popleft()
        party = node.routing_id
        route = decode_route(frames[0])
        if route.target == BROKER:
            self._say(self.routing.hear(party, route, decode_word(frames[1]), self.now))
            return True
        target = self.routing.routes.get(party + frames[0]) or self.routing.forward(
            party, frames[0]
        )
        if isinstance(target, Refused):
            self._send(party, [FROM_BROKER, encode_word(target)])
        else:
            self._send(target, frames)
        return True

    # --- lives

    def _node(self, name, incarnation):
        mailbox = 0 if name.startswith("client-") else self.mailbox
        number = next(self.ids)
        direct = self.direct and not name.startswith(NET_PREFIX)
        node = Node(name, incarnation, number.to_bytes(16, "big"), mailbox, direct=direct)
        self.nodes[name] = node
        return node

    def launch(self, name):
        """The supervisor starts a life; it is up only after `ready`."""
        if name in self.nodes:
            return
        life = self.lives[name] = self.lives.get(name, 0) + 1
        node = self._node(name, life)
        self._declare(node, Standing.DOWN)

    def ready(self, name):
        node = self.nodes.get(name)
        if node is not None and not node.ready:
            node.ready = True
            self._declare(node, Standing.UP)

    def _declare(self, node, standing):
        self.exchange.declare(
            Declare(node.name, standing, node.incarnation, node.routing_id, self.mailbox)
        )

    def join(self, name):
        if name not in self.nodes and name not in self.lives:
            self.lives[name] = 1
            self._node(name, 1)

    def kill(self, name):
        node = self.nodes.pop(name, None)
        if node is None:
            return
        node.alive = False
        self._forget_outcomes(node)
        if node.connected:
            self.corpses.append(node)
        # What it has sent is still there for the other ends; nobody can send anything to it.
        for wire in self._wires_of(node):
            wire.ways[node].clear()
        self.interrupted |= {self._number(job[0]) for job in node.jobs}
        if not name.startswith("client-"):
            self.exchange.ended(name, node.incarnation, "killed", read(node.page))

    def stop(self, name):
        """The name is given up for good (until somebody launches it again)."""
        self.kill(name)
        self.exchange.declare(Declare(name, Standing.GONE, 0, reason="stopped"))

    def leave(self, name):
        """A client says goodbye."""
        node = self.nodes.get(name)
        if node is not None:
            node.peer.say(Goodbye())
            self.flush(node)
            self.kill(name)

    def _forget_outcomes(self, node):
        for number, (sender, _, _) in list(self.sent.items()):
            if sender is node:
                del self.sent[number]

    # --- messages

    def tell(self, name, target, *, size=0):
        self._post(name, target, Kind.TELL, math.inf, size)

    def ask(self, name, target, timeout=math.inf, *, size=0):
        self._post(name, target, Kind.ASK, timeout, size)

    def _post(self, name, target, kind, timeout, size):
        node = self.nodes.get(name)
        if node is None:
            return
        peer = node.peer
        link = peer.link(target)
        number = next(self.numbers)
        if link.out.full:
            return
        deadline = self.now + timeout
        header = 0.0 if deadline == math.inf else deadline
        payload = str(number).encode().ljust(size)
        frames = (payload[::-1],) if size else ()
        letter = Letter(Envelope(kind, 0, 0, "m:M", payload, len(frames), header), frames)
        self.sent[number] = (node, target, kind)
        if kind is Kind.TELL:
            peer.post(link, letter)
        else:
            outcome = node.outcomes[number] = Outcome(number)
            peer.call(link, letter, Call(outcome, target=target, message="M", deadline=deadline))

    def cancel(self, name):
        """A party gives up its oldest ask."""
        node = self.nodes.get(name)
        if node is None or not node.peer.calls.all():
            return
        call = node.peer.calls.all()[0]
        node.peer.cancel(call)
        call.sink.ends.append("cancelled")

    @staticmethod
    def _number(delivery):
        return int(delivery.envelope.payload)

    def begin(self, name):
        node = self.nodes.get(name)
        if node is None or not node.mailbox or len(node.jobs) >= 3:
            return False
        delivery = node.mailbox.popleft()
        number = self._number(delivery)
        assert whole(delivery.envelope, delivery.frames)
        slot = node.slot(delivery)
        index = node.recorder.begin(slot, delivery.envelope.seq, "m:M", self.now)
        node.jobs.append((delivery, slot, index))
        if self.now <= delivery.deadline:
            assert number not in self.begun, f"G3: message {number} is handled twice"
            self.begun[number] = node.incarnation
            lane = self.order.setdefault((delivery.link.name, delivery.incarnation, name), [])
            if name not in self.pooled:
                assert not lane or lane[-1] < number, f"G1: {number} after {lane[-1]}"
            lane.append(number)
        return True

    def end(self, name, which=0):
        node = self.nodes.get(name)
        if node is None or not node.jobs:
            return False
        delivery, slot, index = node.jobs.pop(which % len(node.jobs))
        number = self._number(delivery)
        envelope = delivery.envelope
        if envelope.kind == Kind.ASK:
            payload, frames = envelope.payload, tuple(delivery.frames)
            reply = Envelope(Kind.REPLY, 0, envelope.correlation, "", payload, len(frames))
            node.peer.answer(delivery.link, delivery.incarnation, Letter(reply, frames))
        handled = node.peer.finished(delivery.link, delivery.inbound, envelope.seq, self.now)
        node.recorder.finish(index, slot, envelope.seq, handled)
        self.finished.add(number)
        return True

    # --- the loop of a party

    def flush(self, node):
        """What the deciders command goes into the pipes."""
        peer = node.peer
        while True:
            messages = [[bytes(f) for f in message] for message in peer.outgoing(self.now)]
            assert node.connected or not messages, "there is no connection to the broker"
            node.up.extend(messages)
            roads = peer.roads
            while roads.hangups:
                self._hang_up(node, roads.hangups.popleft())
            while roads.dials:
                self._dial(node, roads.dials.popleft())
            broken = False
            while roads.parcels:
                road, frames = roads.parcels.popleft()
                broken = not self._carry(node, road, frames) or broken
            if not broken:
                return

    def receive(self, node):
        for wire in self._wires_of(node):
            if wire.ways[node]:
                frames = [wire.numbers[node], *wire.ways[node].popleft()]
                node.peer.receive_direct(frames, self.now, dialled=wire.ends[0] is node)
                self._collect(node)
                return True
        if not node.down:
            return False
        node.peer.receive(node.down.popleft(), self.now)
        self._collect(node)
        return True

    # --- direct connections

    def _wires_of(self, node):
        return [wire for wire in self.wires if node in wire.ends]

    def _dial(self, node, road):
        for other in self.nodes.values():
            known = other.peer.endpoint == road.endpoint
            if known and other.name not in self.unreachable and other.alive:
                self.wires.append(Wire(road.id, node, other))

    def _hang_up(self, node, road):
        for wire in self._wires_of(node):
            if wire.numbers[node] == road.id and wire.ends[0] is node:
                self.wires.remove(wire)

    def _carry(self, node, road, frames):
        """Put a parcel on its wire; a connection that was never made swallows it."""
        for wire in self._wires_of(node):
            if wire.numbers[node] == road.id and wire.other(node).alive:
                wire.ways[wire.other(node)].append([bytes(frame) for frame in frames])
                self.changed += road.open
                return True
        if road.dialled and not road.open:
            return True
        node.peer.broken(road)
        return False

    def cut_wires(self, name):
        """The direct connections of a party break; what is on them is lost."""
        self.wires = [w for w in self.wires if name not in (end.name for end in w.ends)]

    def _collect(self, node):
        peer = node.peer
        node.mailbox.extend(peer.deliveries)
        peer.deliveries.clear()
        peer.settled.clear()
        peer.signals.clear()
        peer.departed.clear()
        while peer.losses:
            loss = peer.losses.popleft()
            if loss.envelope.tag:
                number = int(loss.envelope.payload)
                assert number not in self.lost, f"message {number} is lost twice"
                self.lost[number] = loss.reason

    def turn(self, name):
        """One pump of a party: receive, tick, send."""
        node = self.nodes.get(name)
        if node is None or name in self.frozen:
            return
        while self.receive(node):
            pass
        if self.now >= node.peer.next_due():
            node.peer.tick(self.now)
            self._collect(node)
        self.flush(node)

    def pass_time(self, seconds):
        self.now += seconds
        for node in self.nodes.values():
            if node.name.startswith("client-") and node.connected:
                node.peer.say(Ping())
        for node in list(self.nodes.values()):
            self.flush(node)
        if self.routing is not None:
            for node in list(self.nodes.values()):
                while self.route_one(node):
                    pass
            self._say(self.routing.tick(self.now))

    def round(self):
        """Everybody who is not cut off comes back and gets one turn, and the broker sends it on."""
        self.bring_back()
        for name in list(self.nodes):
            self.turn(name)
        for node in [*self.corpses, *self.nodes.values()]:
            while self.route_one(node):
                pass
        for node in self.nodes.values():
            while node.name not in self.frozen and self.receive(node):
                pass

    def bring_back(self):
        actors = {name for name in self.lives if not name.startswith("client-")}
        for name in sorted(actors - self.stopped() - self.cut):
            self.launch(name)
        for name in sorted(self.nodes.keys() - self.cut):
            self.connect(name)
            if name in actors:
                self.ready(name)

    def heal(self):
        """No more faults: everybody comes back and finishes what it has."""
        self.cut.clear()
        self.unreachable.clear()
        for _ in range(40):
            for _ in range(4):
                self.round()
                for name in list(self.nodes):
                    while self.begin(name) or self.end(name):
                        pass
            self.pass_time(0.6)

    def stopped(self):
        return set(self.exchange._gone)

    # --- what must hold in the end

    def check(self):
        for number, (sender, target, kind) in self.sent.items():
            if kind is Kind.TELL:
                self._check_tell(number, target)
            else:
                self._check_ask(number, sender.outcomes[number], target)
        for node in self.nodes.values():
            assert len(node.peer.calls) == 0
            for link in node.peer.links.values():
                assert link.out.unfinished == 0, f"{node.name} -> {link.name} is not settled"
                assert link.out._bytes == 0

    def _check_tell(self, number, target):
        if number in self.lost:
            assert number not in self.finished, f"{number} was handled, yet is a dead letter"
        else:
            assert number in self.finished, f"G2: {number} to {target} vanished"

    def _check_ask(self, number, outcome, target):
        assert len(outcome.ends) == 1, f"G8: ask {number} to {target} ended {outcome.ends}"
        end = outcome.ends[0]
        if end == "answered":
            assert number in self.finished
        elif isinstance(end, NotDelivered):
            assert number not in self.begun, f"{number} was begun, yet is {end!r}"
        elif isinstance(end, AnswerLost):
            assert number in self.finished
        elif isinstance(end, DeadlineExceeded) or target.startswith("client-"):
            pass  # a client leaves no record of what it had begun
        elif isinstance(end, OutcomeUnknown):
            assert number in self.interrupted, f"G3: {number} was not in progress at a death: {end}"
