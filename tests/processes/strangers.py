"""Somebody who says on a socket whatever a test tells him to, with or without a key."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time

import zmq
from programs import SECONDS

from actors.control import BROKER, Hello, Refused, Welcome, decode_word, encode_word
from actors.envelope import MAGIC, Batch, Route, decode_batch, encode_batch, encode_route
from actors.errors import MessageError
from actors.framing import Assembler, head

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16 + 32)
"""The first bytes of ZMTP 3.0, of the mechanism without keys."""


class Stranger:
    """A DEALER that says whatever it is told to."""

    def __init__(self, endpoint, routing_id=None, curve=None):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.routing_id = routing_id or secrets.token_bytes(16)
        self.socket.linger = 0
        self.deadline = time.monotonic() + SECONDS
        if curve is not None:
            self.socket.curve_serverkey = curve.server
            self.socket.curve_publickey, self.socket.curve_secretkey = curve.public, curve.secret
        self.socket.connect(endpoint)
        self.name = f"client-{'stranger' if curve is None else 'net'}-{secrets.token_hex(4)}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.context.term()

    def send(self, *frames):
        self.socket.send_multipart(frames)

    def say(self, word):
        self.send(encode_route(Route(MAGIC, BROKER, 0, self.name, 1)), encode_word(word))

    def receive(self):
        """Return the next wire message but for its route."""
        left = max(0.0, self.deadline - time.monotonic())
        assert self.socket.poll(left * 1000), "nothing more has come"
        return self.socket.recv_multipart()[1]

    def hear(self, kind):
        """Return the next word of this kind."""
        while not isinstance(word := decode_word(self.receive()), kind):
            pass
        return word

    def asked(self):
        """Return the next batch that somebody has sent: its envelopes."""
        while True:
            with contextlib.suppress(MessageError):  # a word of the broker
                return decode_batch(self.receive()).envelopes

    def words_until_welcome(self):
        """Say hello again; return the codes of all that was refused before it was heard."""
        self.say(Hello(self.name, 1))
        codes = []
        while not isinstance(word := decode_word(self.receive()), Welcome):
            if isinstance(word, Refused):
                codes.append(word.code)
        return codes

    def write(self, target, *envelopes, incarnation=1, handled=0):
        """Send a batch that acknowledges all up to `handled`."""
        route = Route(MAGIC, target, incarnation, self.name, 1)
        last = max((envelope.seq for envelope in envelopes), default=0)
        batch = Batch(0.0, 1, last, handled, handled, [], 100, 0, list(envelopes))
        self.send(encode_route(route), encode_batch(batch))

    def settle(self):
        """Return once the broker has taken everything said so far."""
        self.say(Hello(self.name, 1))
        self.hear(Welcome)


class LocalStranger(Stranger):
    """The same on a direct connection without ZeroMQ."""

    def __init__(self, endpoint):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(endpoint.removeprefix("unix://"))
        self.name = f"client-stranger-{secrets.token_hex(4)}"

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        if frames:
            self.socket.sendall(head(frames) + b"".join(frames))

    def receive(self):
        messages, assembler = [], Assembler()
        while not messages:
            messages = assembler.feed(memoryview(self.socket.recv(1 << 16)))
        return messages[0][1]


def shake_hands(endpoint, routing_id):
    """Come in by hand over a local socket: greeting and READY, as ZMTP 3.0 wants them."""
    door = socket.socket(socket.AF_UNIX)
    door.settimeout(SECONDS)
    door.connect(endpoint.removeprefix("ipc://"))
    door.sendall(GREETING)
    _take(door, len(GREETING))
    ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x10" + routing_id
    door.sendall(bytes([4, len(ready)]) + ready)
    _, length = _take(door, 2)
    _take(door, length)
    return door


def _take(door, size):
    data = b""
    while len(data) < size:
        data += door.recv(size - len(data))
    return data
