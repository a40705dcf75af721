"""Who comes in over the network: CURVE on the socket, and a doorkeeper that knows the keys (ZAP).

    peer ── CURVE handshake ──► libzmq ── "may this key?" ──► Doorkeeper ── allowed file
                                  │                                │
                                  └─ every frame then carries ◄────┘
                                     the key as its User-Id

Without an answer nobody comes in: ZAP_ENFORCE_DOMAIN makes a dead doorkeeper a closed door (left
alone, libzmq would let everybody in).  The doorkeeper has a context of its own, and so a ZAP
address of its own, because a program that runs a system in its threads may have one too.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Final, final

import zmq
from zmq.utils import z85

from actors.connection import HEARTBEAT_MS
from actors.errors import AccessDenied
from actors.routers import HANDSHAKE_MS
from supervisor.keys import Allowed, KeyPair, KeyRing, key_text, parse_key
from supervisor.muffler import Muffler
from supervisor.roles import Role
from supervisor.visas import Visa

DOMAIN: Final = b"understudy"

ZAP: Final = "inproc://zeromq.zap.01"

REFUSAL_SECONDS: Final = 60.0
"""Seconds between two lines about the same refused key."""

UNREAD: Final = 100_000
"""Messages kept for one who came over the network and does not read; what is more is dropped."""

_ZAP_FRAMES: Final = 7  # version, request, domain, address, identity, mechanism, key


def new_key_pair() -> KeyPair:
    """Return a fresh CURVE key pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(z85.decode(public), z85.decode(secret))


def identity_of(ring: KeyRing) -> KeyPair:
    """Return our key pair, made now when there is none."""
    return ring.identity() or ring.keep_identity(new_key_pair())


@final
class Allowances:
    """The keys that may come in, as the file says now.  For any thread."""

    def __init__(self, ring: KeyRing, own: KeyPair) -> None:
        self._ring = ring
        self._own = Allowed(own.public, Role.ADMIN, "self")
        self._stamp: tuple[int, int, int] | None = None
        self._entries: dict[bytes, Allowed] = {}
        self._lock = threading.Lock()

    def find(self, key: bytes) -> Allowed | None:
        """Return what `key` may do; None for nothing.  Our own key may do everything."""
        if key == self._own.key:
            return self._own
        with self._lock:
            self._refresh()
            return self._entries.get(key)

    def _refresh(self) -> None:
        try:
            found = self._ring.allowed_path.lstat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = (0, 0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._entries = self._ring.allowed()
        except AccessDenied as error:
            # A file that cannot be trusted lets nobody in.
            self._entries = {}
            _say(str(error))


@final
class Doorkeeper:
    """The thread that answers libzmq's question whether a key may come in."""

    def __init__(self, allowances: Allowances) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        """For the sockets it guards."""
        self._allowances = allowances
        self._socket = self.context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(ZAP)
        self._refusals: Muffler[bytes] = Muffler(REFUSAL_SECONDS)
        self._thread = threading.Thread(target=self._run, name="understudy-door", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether anybody still answers; if not, nobody new comes in."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                request = self._socket.recv_multipart()
            except zmq.ContextTerminated:
                self._socket.close(0)
                return
            self._socket.send_multipart(self._answer(request))

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, number = [*request, b"", b""][:2]
        if len(request) != _ZAP_FRAMES or request[2] != DOMAIN or request[5] != b"CURVE":
            return [version, number, b"400", b"no key", b"", b""]
        address, key = request[3], request[6]
        allowed = self._allowances.find(key)
        if allowed is None:
            self._note_refusal(key, address.decode("ascii", "replace"))
            return [version, number, b"400", b"unknown key", b"", b""]
        return [version, number, b"200", b"", key_text(key).encode(), b""]

    def _note_refusal(self, key: bytes, address: str) -> None:
        """Say which key was refused; a scanner with ever new ones does not fill the log."""
        now = time.monotonic()
        for again, more in self._refusals.due(now):
            _say(f"refused the key {key_text(again)} {more} more times")
        if not self._refusals.heard(key, now):
            return
        others, self._refusals.unsaid = self._refusals.unsaid, 0
        besides = f" (and {others} attempts with others before)" if others else ""
        _say(
            f"refused a key from {address}{besides}; "
            f"to let it in: understudy keys allow {key_text(key)} --name NAME"
        )


@final
class Gate:
    """The broker's socket on the network side: nobody without an allowed key is heard."""

    def __init__(self, keys: Path, max_message: int) -> None:
        ring = KeyRing(keys)
        own = identity_of(ring)
        self._allowances = Allowances(ring, own)
        self._doorkeeper = Doorkeeper(self._allowances)
        self.socket = router(self._doorkeeper.context, max_message)
        # Whoever comes back with its id takes its place, though nobody has noticed yet that the
        # connection of before is broken (a router forgot it, a laptop slept): ignored once, it
        # would be for ever.  Nobody but a party knows its id: 16 random bytes, told to the broker
        # alone and under CURVE.
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.SNDHWM, UNREAD)
        self.socket.setsockopt(zmq.CURVE_SERVER, 1)
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
        self.socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        self.socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)

    def bind(self, endpoint: str) -> str:
        """Listen; return the endpoint with its port.  Raises `OSError` when that cannot be."""
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            number = error.errno or 0
            text = f"nobody can listen on {endpoint}: {os.strerror(number)}"
            raise OSError(number, text) from error
        return self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def visa(self, frame: zmq.Frame) -> Visa | None:
        """Return whose key a frame came under; None when it is allowed no more."""
        return self.find(parse_key(str(frame.get("User-Id"))))

    def find(self, key: bytes) -> Visa | None:
        """Return what a key may do now."""
        found = self._allowances.find(key)
        return None if found is None else Visa(found.key, found.name, found.role)

    def check(self) -> None:
        """Raise `RuntimeError` when the doorkeeper has died: a new broker has a new one."""
        if not self._doorkeeper.alive:
            raise RuntimeError("the thread that checks keys has ended; nobody new could come in")


def router(context: zmq.Context[zmq.Socket[bytes]], max_message: int) -> zmq.Socket[bytes]:
    """Return a ROUTER socket that loses nothing in silence; of two with one id the first is it."""
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
    socket.setsockopt(zmq.LINGER, 0)
    # The links bound what is under way; dropping here would only make them repeat it.
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, max_message)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    return socket


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
