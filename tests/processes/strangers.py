"""Somebody who says on a socket whatever a test tells him to, with or without a key."""

from __future__ import annotations

import secrets
import time

import zmq
from programs import SECONDS

from actors.control import BROKER, Hello, Welcome, decode_word, encode_word
from actors.envelope import MAGIC, Batch, Route, encode_batch, encode_route


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

    def write(self, target, *envelopes, incarnation=1):
        route = Route(MAGIC, target, incarnation, self.name, 1)
        batch = Batch(0.0, 1, len(envelopes), 0, 0, [], 100, 0, list(envelopes))
        self.send(encode_route(route), encode_batch(batch))

    def settle(self):
        """Return once the broker has taken everything said so far."""
        self.say(Hello(self.name, 1))
        self.hear(Welcome)
