"""Keys where a system is started or joined: which are needed, and what to say without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.connection import Curve
from actors.errors import AccessDenied
from supervisor.access import identity_of
from supervisor.keys import KeyRing, key_text, parse_key

LOOPBACK: Final = ("127.0.0.1", "[::1]")


def guarded(listen: str | Sequence[str] | None) -> tuple[list[str], str]:
    """Return the endpoints to listen on and the directory of the keys that guard them.

    Raises:
        ValueError: not a tcp endpoint.
        AccessDenied: it would be open to the network, and nobody has made keys yet.
    """
    given = [listen] if isinstance(listen, str) else list(listen or ())
    endpoints = [endpoint.replace("//localhost:", "//127.0.0.1:") for endpoint in given]
    if not endpoints:
        return [], ""
    ring = KeyRing()
    for endpoint in endpoints:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if not endpoint.startswith("tcp://") or not (port.isdigit() or port == "*") or not host:
            raise ValueError(f"listen={endpoint!r}: write it as tcp://127.0.0.1:7700")
        if host not in LOOPBACK and ring.identity() is None:
            raise AccessDenied(
                reason=f"listen={endpoint!r} is open to the network, and there are no keys yet. "
                "Run `understudy keys init`, then `understudy keys allow KEY --name NAME` for "
                "everyone who may join; or listen on tcp://127.0.0.1:PORT"
            )
    identity_of(ring)
    return endpoints, str(ring.directory)


def curve_for(endpoint: str, key: str | None) -> Curve:
    """Return the keys to join the system at `endpoint` with.

    Raises:
        ValueError: `key` is no key.
    """
    ring = KeyRing()
    own = identity_of(ring)
    server = parse_key(key) if key else ring.server(endpoint)
    # Without any word about it, it can only be a system of our own user, whose key is ours.
    return Curve(server or own.public, own.public, own.secret)


def explain(endpoint: str, refused: str) -> str:
    """Say why a system did not let us in, and what to do about it."""
    own = KeyRing().identity()
    mine = key_text(own.public) if own is not None else "KEY"
    return (
        f"{endpoint}: {refused}. Here: `understudy keys trust {endpoint} SERVERKEY` (it prints "
        f"its key with `understudy keys show`); there: `understudy keys allow {mine} --name NAME`"
    )
