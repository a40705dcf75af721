"""The broker process: one ROUTER socket, and `routing.py` to say what to do.

    receive ─► [party, route, ...] ─► known route?  yes: send on, nothing is decoded
                                                    no:  ask `Routing`, say what it says

It holds no message and reads no payload, so losing it loses nothing.  Routing ids are random and
set by the parties; a second peer with the same id is refused (HANDOVER off), an unroutable send
is an error instead of a silent loss (MANDATORY on).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Final, final

import zmq

from actors.control import BROKER, BrokerBoot, Closing, Deframer, Refused, Started, Stop, decode_word, encode_word, frame
from actors.envelope import MAGIC, Route, decode_route, encode_route
from actors.errors import MessageError
from supervisor.routing import Routing, Send

BURST: Final = 500
"""Wire messages taken before the lifeline is looked at again."""

TICK: Final = 1.0

LINGER_MS: Final = 200
"""Time the last words have to leave."""

_ROUTING_ID_BYTES: Final = 16


@final
class Broker:
    """Performs what `Routing` decides."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], boot: BrokerBoot) -> None:
        self.routing = Routing(boot.supervisor)
        self.dropped = 0
        """Messages that could not be sent on; the links notice and repeat them."""
        self._route = encode_route(Route(MAGIC, "", 0, BROKER, 0))
        self.router = context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.router.setsockopt(zmq.ROUTER_HANDOVER, 0)
        self.router.setsockopt(zmq.LINGER, 0)
        # The links bound what is under way; dropping here would only make them repeat it.
        self.router.setsockopt(zmq.SNDHWM, 0)
        self.router.setsockopt(zmq.RCVHWM, 0)
        self.router.setsockopt(zmq.MAXMSGSIZE, boot.max_message)
        self.router.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        self.endpoints = [self._bind(endpoint) for endpoint in boot.endpoints]

    def _bind(self, endpoint: str) -> str:
        if endpoint.startswith("ipc://") and os.path.exists(endpoint[6:]):
            os.unlink(endpoint[6:])  # of the broker that was here before
        self.router.bind(endpoint)
        return self.router.getsockopt_string(zmq.LAST_ENDPOINT) if "tcp:" in endpoint else endpoint

    def drain(self) -> bool:
        """Send on what has arrived, at most a burst; return whether more may wait."""
        receive, send = self.router.recv_multipart, self.router.send_multipart
        routing = self.routing
        for _ in range(BURST):
            try:
                frames = receive(zmq.NOBLOCK)
            except zmq.Again:
                return False
            try:
                target = routing.routes.get(frames[0] + frames[1])
                if target is None:
                    self._first(frames)
                    continue
                frames[0] = target
                send(frames, zmq.NOBLOCK)
            except IndexError:
                routing.refused += 1
            except zmq.ZMQError:
                self.dropped += 1
        return True

    def _first(self, frames: list[bytes]) -> None:
        """A word to the broker, or the first batch on its way."""
        party = frames[0]
        if len(party) != _ROUTING_ID_BYTES:
            self.routing.refused += 1
            return
        try:
            route = decode_route(frames[1])
            if route.target == BROKER:
                self.say(self.routing.hear(party, route, decode_word(frames[2]), time.monotonic()))
                return
        except MessageError as error:
            self.routing.refused += 1
            self.say([Send(party, Refused("unsupported", str(error)))])
            return
        target = self.routing.forward(party, frames[1])
        if isinstance(target, Refused):
            self.say([Send(party, target)])
            return
        self.router.send_multipart([target, *frames[1:]], zmq.NOBLOCK)

    def say(self, sends: Sequence[Send]) -> None:
        """Send words to parties; one that is not connected is told when it comes back."""
        missing: list[bytes] = []
        for send in sends:
            try:
                message = [send.party, self._route, encode_word(send.word)]
                self.router.send_multipart(message, zmq.NOBLOCK)
            except zmq.ZMQError:
                self.dropped += 1
                missing.append(send.party)
        for party in missing:
            # Ends, because each of them is forgotten or has nothing to be told.
            self.say(self.routing.unreachable(party, time.monotonic()))

    def close(self, reason: str) -> None:
        """Tell every party that the system is over, then close."""
        if reason:
            self.say([Send(party, Closing(reason)) for party in self.routing.parties])
        self.router.close(LINGER_MS if reason else 0)


def main(lifeline: socket.socket, _fds: dict[str, int]) -> int:
    """Run the broker until its lifeline ends."""
    deframer = Deframer()
    lifeline.setblocking(True)
    boot = _await_boot(lifeline, deframer)
    if boot is None:
        return 0
    context: zmq.Context[zmq.Socket[bytes]] = (
        zmq.Context.instance() if boot.endpoints[0].startswith("inproc:") else zmq.Context()
    )
    broker = Broker(context, boot)
    lifeline.sendall(frame(Started(broker.endpoints)))
    lifeline.setblocking(False)
    poller = zmq.Poller()
    poller.register(broker.router, zmq.POLLIN)
    poller.register(lifeline, zmq.POLLIN)
    tick_at = time.monotonic() + TICK
    more = False
    while True:
        ready = dict(poller.poll(0 if more else TICK * 1000))
        if lifeline.fileno() in ready:
            end = _ended(lifeline, deframer)
            if end is not None:
                broker.drain()
                broker.close(end)
                return 0
        more = broker.drain()
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + TICK
            broker.say(broker.routing.tick(time.monotonic()))


def _await_boot(lifeline: socket.socket, deframer: Deframer) -> BrokerBoot | None:
    while data := lifeline.recv(65536):
        for word in deframer.feed(data):
            if isinstance(word, BrokerBoot):
                return word
    return None


def _ended(lifeline: socket.socket, deframer: Deframer) -> str | None:
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
