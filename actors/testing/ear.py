"""A party of a system that is no actor: what it is sent is handed to a function.

    real system    a connection of its own, pumped by a thread
    simulation     a pump of its own in the scenario's process

Like any party it acknowledges what it got, so nothing that is sent to it is lost or doubled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final, final

from actors.address import CLIENT_PREFIX
from actors.attachments import Memory
from actors.client import ClientThread
from actors.codec import codec_for
from actors.connection import Connection
from actors.envelope import Envelope, Kind
from actors.errors import ActorError, ConnectionLost, MessageError, UnknownMessage, pack_error
from actors.letter import Letter
from actors.link import Delivery
from actors.message import class_of
from actors.outbox import OUTBOX_MESSAGES
from actors.peer import Peer
from actors.portal import Portal, Until
from actors.verbs import answer_codec

WELCOME_SECONDS: Final = 10.0
"""Seconds the broker has to answer."""

Heard = Callable[[Any, "Open | None"], None]
"""Takes a message, and what its answer goes through."""


def real_party(endpoint: str, name: str) -> Portal:
    """Connect a party of this name to a running system."""
    peer = Peer(f"{CLIENT_PREFIX}{name}-{os.urandom(4).hex()}", 1, mailbox=OUTBOX_MESSAGES)
    portal = Portal(peer, Memory(), ask_timeout=WELCOME_SECONDS)
    thread = ClientThread(portal, Connection(endpoint, os.urandom(16), None))
    thread.start()
    thread.block(
        Until(portal, lambda: bool(peer.registered or portal.lost is not None)), WELCOME_SECONDS
    )
    if not peer.registered:
        thread.stop()
        raise ConnectionLost(reason=f"no broker answers at {endpoint}; see that the system runs")
    return portal


@final
class Open:
    """An ask that waits for its answer."""

    def __init__(self, ear: Ear, delivery: Delivery) -> None:
        self._ear = ear
        self._delivery = delivery

    def answer(self, value: Any) -> None:
        """Send a value, or an error."""
        self._ear.answer(self._delivery, value)


@final
class Ear:
    """Takes what arrives at a party."""

    def __init__(self, portal: Portal, heard: Heard) -> None:
        self._portal = portal
        self._heard = heard
        self._listen()

    def close(self) -> None:
        """Leave the system; for real ones."""
        driver = self._portal.driver
        if isinstance(driver, ClientThread):
            driver.stop()

    def _listen(self) -> None:
        deliveries = self._portal.peer.deliveries
        Until(self._portal, lambda: bool(deliveries)).on_change(self._take)

    def _take(self) -> None:
        if self._portal.lost is not None:
            self.close()
            return
        deliveries = self._portal.peer.deliveries
        while deliveries:
            self._one(deliveries.popleft())
        self._listen()

    def _one(self, delivery: Delivery) -> None:
        envelope = delivery.envelope
        try:
            if envelope.kind == Kind.STREAM:
                raise UnknownMessage(tag=envelope.tag, target="a probe")
            codec = codec_for(class_of(envelope.tag))
            near = delivery.link.near(self._portal.peer.host)
            msg = self._portal.decode(codec, envelope.payload, delivery.frames, near=near)
        except MessageError as error:
            if envelope.kind == Kind.TELL:
                self._finish(delivery)
                raise
            self.answer(delivery, error)
            return
        if envelope.kind == Kind.TELL:
            self._finish(delivery)
            self._heard(msg, None)
        else:
            self._heard(msg, Open(self, delivery))

    def answer(self, delivery: Delivery, value: Any) -> None:
        """Answer an ask with a value, or an error."""
        correlation = delivery.envelope.correlation
        frames: tuple[Any, ...] = ()
        if isinstance(value, ActorError):
            reply = Envelope(Kind.FAILURE, 0, correlation, "", pack_error(value, escaped=False))
        else:
            codec = answer_codec(class_of(delivery.envelope.tag))
            payload, carrier = self._portal.encode(codec, value, delivery.link)
            frames = tuple(carrier.frames)
            reply = Envelope(Kind.REPLY, 0, correlation, "", payload, len(frames))
        with self._portal.lock:
            self._portal.peer.answer(delivery.link, delivery.incarnation, Letter(reply, frames))
        self._finish(delivery)

    def _finish(self, delivery: Delivery) -> None:
        portal = self._portal
        with portal.lock:
            portal.peer.finished(
                delivery.link, delivery.inbound, delivery.envelope.seq, time.monotonic()
            )
        portal.driver.wake()
