"""Keys where a system is started or joined: which are needed, and what to say without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.connection import Curve
from actors.errors import AccessDenied
from actors.ports import LAST_PORT, has_port
from supervisor.access import identity_of
from supervisor.keys import KeyRing, key_text, parse_key

LOOPBACK: Final = ("127.0.0.1", "[::1]")

EXAMPLE: Final = "tcp://127.0.0.1:7700"


def guarded(listen: str | Sequence[str] | None) -> tuple[list[str], str]:
    """Return the endpoints to listen on and the directory of the keys that guard them.

    Raises:
        TypeError, ValueError: not a tcp endpoint.
        AccessDenied: it would be open to the network, and nobody has made keys yet.
    """
    given = [listen] if isinstance(listen, str) else listen or ()
    if not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"listen={listen!r:.80}: give a text such as {EXAMPLE!r}, or a list of them"
        )
    endpoints = [endpoint.replace("//localhost:", "//127.0.0.1:") for endpoint in given]
    if not endpoints:
        return [], ""
    ring = KeyRing()
    for endpoint in endpoints:
        host = check_tcp("listen", endpoint, any_port=True)
        if host not in LOOPBACK and ring.identity() is None:
            raise AccessDenied(
                reason=f"listen={endpoint!r} is open to the network, and there are no keys yet. "
                "Run `understudy keys init`, then `understudy keys allow KEY --name NAME` for "
                "everyone who may join; or listen on tcp://127.0.0.1:PORT"
            )
    identity_of(ring)
    return endpoints, str(ring.directory)


def check_tcp(what: str, endpoint: str, *, any_port: bool = False) -> str:
    """Return the host of a tcp endpoint.

    Raises:
        ValueError: it is none; the text calls it `what` and shows how one is written.
    """
    if not endpoint.startswith("tcp://") or not has_port(endpoint, any_port=any_port):
        raise ValueError(
            f"{what}={endpoint!r}: write it as {EXAMPLE}, with a port up to {LAST_PORT}"
        )
    return endpoint.removeprefix("tcp://").rpartition(":")[0]


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
