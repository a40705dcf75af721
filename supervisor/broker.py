"""The broker process: one ROUTER socket, and `routing.py` to say what to do.

    receive ─► [party, route, ...] ─► known route?  yes: send on, nothing is decoded
                                                    no:  ask `Routing`, say what it says

It holds no message and reads no payload, so losing it loses nothing.  Routing ids are random and
set by the parties; a second peer with the same id is refused on this machine (HANDOVER off) and
takes the first one's place on the network (see `Gate`), an unroutable send is an error instead of
a silent loss (MANDATORY on).
"""

from __future__ import annotations

import os
import resource
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket as Socket  # noqa: N812 - elsewhere here a socket is ZeroMQ's
from typing import Final

import zmq

from actors.control import (
    BROKER,
    BrokerBoot,
    Closing,
    Failed,
    Hello,
    Refused,
    Started,
    Stop,
    Word,
    decode_word,
    encode_word,
)
from actors.deframer import Deframer, frame
from actors.envelope import LONGEST_ROUTE, MAGIC, Route, decode_route, encode_route
from actors.errors import MessageError
from actors.recorder import Recorder, open_page
from supervisor.access import Gate, router
from supervisor.ceilings import take_descriptors
from supervisor.routing import Routing, Send
from supervisor.visas import OUTSIDE

BURST: Final = 500
"""Wire messages taken before the lifeline is looked at again."""

TICK: Final = 1.0

MOST_ROUTES: Final = 200_000
"""Routes remembered; they are learnt again by asking."""

LONGEST_WORD: Final = 64 << 10
"""Bytes of a word; only the supervisor, who tells how lives ended, says longer ones."""

REFUSALS: Final = 20
"""Refusals a party is told of between two ticks: who floods us does not read them either."""

REPORT_SECONDS: Final = 60.0
"""Seconds between two lines about what was refused."""

LINGER_MS: Final = 200
"""Time the last words have to leave."""

_ROUTING_ID_BYTES: Final = 16

# Plain numbers: `|` of pyzmq's flags costs more than the call it is used in.
_NOBLOCK: Final = int(zmq.NOBLOCK)
_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)


class Broker:
    """Performs what `Routing` decides."""

    tick_seconds = TICK
    """Seconds between two calls of `tick`."""

    def __init__(self, boot: BrokerBoot) -> None:
        self.routing = Routing(boot.supervisor)
        self._supervisor = boot.supervisor
        self.dropped = 0
        """Messages that could not be sent on; the links notice and repeat them."""
        self._told: Counter[bytes] = Counter()
        """Refusals each party was told of since the last tick."""
        self._reported, self._report_at = 0, 0.0
        self._route = encode_route(Route(MAGIC, "", 0, BROKER, 0))
        # Threads of one process meet in one context.
        self._context: zmq.Context[zmq.Socket[bytes]] = (
            zmq.Context.instance() if _is_thread(boot) else zmq.Context()
        )
        self.router = router(self._context, boot.max_message)
        self._gate = Gate(Path(boot.keys), boot.max_message) if boot.keys else None
        """The way in from the network."""
        self.endpoints = [self._bind(endpoint) for endpoint in boot.endpoints]

    def _bind(self, endpoint: str) -> str:
        if endpoint.startswith("ipc://"):  # of the broker that was here before
            Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)
        if endpoint.startswith("tcp://"):
            assert self._gate is not None, "a tcp endpoint without keys"
            return self._gate.bind(endpoint)
        self.router.bind(endpoint)
        return endpoint

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """What brings messages: from this machine, and from the network."""
        return [self.router] if self._gate is None else [self.router, self._gate.socket]

    def drain(self) -> bool:
        """Send on what has arrived, at most a burst of each side; return whether more may wait."""
        more = self._drain(self.router, b"")
        if self._gate is not None:
            more = self._drain(self._gate.socket, OUTSIDE) or more
        return more

    def _drain(self, socket: zmq.Socket[bytes], side: bytes) -> bool:
        receive, routing = socket.recv, self.routing
        # Sides are told apart by the length of an id, so nobody may choose one of another length.
        length = len(side) + _ROUTING_ID_BYTES
        for _ in range(BURST):
            # Frame by frame: nothing large is copied, and small messages take half the time that
            # `recv_multipart` and `send_multipart` take.
            try:
                party, part = side + receive(_NOBLOCK), receive(_NOBLOCK, copy=False)
            except zmq.Again:
                return False
            route = part.bytes
            rest: list[zmq.Frame] = []
            while part.more:
                part = receive(_NOBLOCK, copy=False)
                rest.append(part)
            if len(party) != length:
                routing.refused += 1
                continue
            try:
                target = routing.routes.get(party + route)
                if target is not None and rest:
                    self._pass_on(party, target, route, rest)
                else:
                    self._first(party, route, rest)
            except zmq.ZMQError:
                self.dropped += 1
        return True

    def _pass_on(self, _party: bytes, target: bytes, route: bytes, rest: list[zmq.Frame]) -> None:
        """Send a batch on; the testing broker looks into it first."""
        socket = self.router
        if len(target) != _ROUTING_ID_BYTES:
            socket, target = self._outside(target)
        send = socket.send
        send(target, _MORE)  # an unknown target is refused here or not at all
        send(route, _MORE)
        last = rest.pop()
        for part in rest:
            send(part, _MORE, copy=False)
        send(last, _NOBLOCK, copy=False)

    def _outside(self, party: bytes) -> tuple[zmq.Socket[bytes], bytes]:
        """Return the socket of a party on the network, and its routing id there."""
        assert self._gate is not None, "nobody comes over the network without a gate"
        return self._gate.socket, party[len(OUTSIDE) :]

    def _first(self, party: bytes, route: bytes, rest: list[zmq.Frame]) -> None:
        """A word to the broker, the first batch on its way, or nothing of ours."""
        routing = self.routing
        if len(route) > LONGEST_ROUTE or not rest:
            routing.refused += 1
            return
        try:
            decoded = decode_route(route)
            if decoded.target == BROKER:
                word = self._read(party, rest[0])
                outside = len(party) != _ROUTING_ID_BYTES
                if outside and isinstance(word, Hello) and not self._check_key(party, rest[0]):
                    return
                self.say(routing.hear(party, decoded, word, time.monotonic()))
                return
        except MessageError as error:
            routing.refused += 1
            self._refuse(party, Refused("unsupported", str(error)))
            return
        # Longer, or in more frames, is no acknowledgement: see `Routing.forward`.
        short = len(rest) == 1 and len(rest[0]) <= LONGEST_WORD
        target = routing.forward(party, route, rest[0].buffer if short else b"")
        if isinstance(target, Refused):
            self._refuse(party, target)
            return
        if len(routing.routes) > MOST_ROUTES:
            routing.routes.clear()
        self._pass_on(party, target, route, rest)

    def _read(self, party: bytes, frame: zmq.Frame) -> Word:
        if len(frame) > LONGEST_WORD and party != self._supervisor:
            raise MessageError(f"a word of {len(frame):,} bytes is too long")
        return decode_word(frame.buffer)

    def _check_key(self, party: bytes, frame: zmq.Frame) -> bool:
        """Find out whose key it is; one that was revoked, or may something else now, has to go."""
        assert self._gate is not None, "nobody comes over the network without a gate"
        visa = self._gate.visa(frame)
        if visa is None:
            self._refuse(party, Refused("expelled", "its key is not allowed any more"))
            return False
        changed = self.routing.visas.issue(party, visa)
        if changed:
            self.say(self.routing.expel(party, changed))
        return not changed

    def _refuse(self, party: bytes, word: Refused) -> None:
        self._told[party] += 1
        if self._told[party] <= REFUSALS:
            self.say([Send(party, word)])

    def tick(self, now: float) -> None:
        """Do what is due about once a second."""
        self._told.clear()
        self.say(self.routing.tick(now))
        if self._gate is not None:
            self._gate.check()
            for party, reason in self.routing.visas.expired(self._gate.find):
                self.say(self.routing.expel(party, reason))
        refused = self.routing.refused - self._reported
        if refused and now >= self._report_at:
            self._reported, self._report_at = self.routing.refused, now + REPORT_SECONDS
            sys.stderr.write(f"refused {refused} messages that made no sense or were not allowed\n")
            sys.stderr.flush()

    def say(self, sends: Sequence[Send]) -> None:
        """Send words to parties; one that is not connected is told when it comes back."""
        missing: list[bytes] = []
        for send in sends:
            try:
                self._pass_word(send.party, [self._route, encode_word(send.word)])
            except zmq.ZMQError:
                self.dropped += 1
                missing.append(send.party)
        for party in missing:
            # Ends, because each of them is forgotten or has nothing to be told.
            self.say(self.routing.unreachable(party, time.monotonic()))

    def _pass_word(self, party: bytes, message: list[bytes]) -> None:
        socket = self.router
        if len(party) != _ROUTING_ID_BYTES:
            socket, party = self._outside(party)
        send = socket.send
        send(party, _MORE)
        send(message[0], _MORE)
        send(message[1], _NOBLOCK)

    def close(self, reason: str) -> None:
        """Tell every party that the system is over, then close."""
        if reason:
            self.say([Send(party, Closing(reason)) for party in self.routing.parties])
        for one in self.sockets:
            one.close(LINGER_MS if reason else 0)


def main(lifeline: Socket, fds: dict[str, int]) -> int:
    """Run the broker until its lifeline ends."""
    return serve(lifeline, Broker, fds)


def serve(lifeline: Socket, make: Callable[[BrokerBoot], Broker], fds: dict[str, int]) -> int:
    """Run a broker of some kind until its lifeline ends."""
    recorder = Recorder(open_page(fds["recorder"]))
    os.close(fds["recorder"])
    deframer = Deframer()
    lifeline.setblocking(True)
    boot, ended = _await_boot(lifeline, deframer)
    if boot is None or ended:
        return 0
    _take_limits(boot)
    broker = _made(boot, make, lifeline)
    if broker is None:
        return 1
    # The descriptors themselves: `zmq.Poller` asks the socket before and after.  ZeroMQ's speaks
    # again once `drain` has found nothing more; until then `more` says so.
    poller = select.poll()
    for one in broker.sockets:
        poller.register(one, select.POLLIN)
    poller.register(lifeline, select.POLLIN)
    tick_at = time.monotonic() + broker.tick_seconds
    more = True
    recorder.ready()
    while True:
        recorder.alive(time.monotonic())
        ready = dict(poller.poll(0 if more else broker.tick_seconds * 1000))
        if lifeline.fileno() in ready:
            end = _ended(lifeline, deframer)
            if end is not None:
                broker.drain()
                broker.close(end)
                return 0
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + broker.tick_seconds
            broker.tick(time.monotonic())
        more = broker.drain()  # last, because a send may take a word of the descriptor away


def _made(
    boot: BrokerBoot, make: Callable[[BrokerBoot], Broker], lifeline: Socket
) -> Broker | None:
    """Make a broker and say that it has started, or why not."""
    try:
        broker = make(boot)
    except OSError as error:  # an address that is taken, or is not of this machine
        lifeline.sendall(frame(Failed(error.strerror or str(error), "", starting=True)))
        return None
    lifeline.sendall(frame(Started(broker.endpoints)))
    lifeline.setblocking(False)
    return broker


def _is_thread(boot: BrokerBoot) -> bool:
    """Whether the broker is a thread of somebody's program, and no process of its own."""
    return boot.endpoints[0].startswith("inproc:")


def _take_limits(boot: BrokerBoot) -> None:
    """Set the limits of a process of one's own; a thread's would be those of somebody's program."""
    if not _is_thread(boot):
        _take_at_most(boot.memory)
        take_descriptors()


def _take_at_most(memory: int) -> None:
    """Let the kernel end this process rather than give it more memory than this; 0: any."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if memory and (most == resource.RLIM_INFINITY or memory < most):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, most))


def _await_boot(lifeline: Socket, deframer: Deframer) -> tuple[BrokerBoot | None, bool]:
    """Return the first word, and whether the end came along with it."""
    while data := lifeline.recv(65536):
        words = deframer.feed(data)
        for word in words:
            if isinstance(word, BrokerBoot):
                return word, any(isinstance(other, Stop) for other in words)
    return None, True


def _ended(lifeline: Socket, deframer: Deframer) -> str | None:
    """Return why the broker shall end, "" without a word, None when it shall go on."""
    try:
        data = lifeline.recv(65536)
    except BlockingIOError:
        return None
    except OSError:
        return ""
    if not data:
        return ""
    return next((w.reason for w in deframer.feed(data) if isinstance(w, Stop)), None)
