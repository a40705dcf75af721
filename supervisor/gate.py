"""Keys where a system is started or joined: which are needed, and what to say without them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.connection import Curve
from actors.errors import AccessDenied
from actors.ports import LAST_PORT, has_port
from supervisor.access import identity_of
from supervisor.keys import KeyRing, key_text, parse_key

LOOPBACK: Final = ("127.0.0.1", "[::1]")

EXAMPLE: Final = "tcp://127.0.0.1:7700"

REACH_SECONDS: Final = 2.0
"""Seconds a host has to take a connection, when one looks why nobody answers."""


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


def unreachable(endpoint: str) -> str:
    """Return why nobody can be reached at an endpoint; "" when somebody listens there."""
    if endpoint.startswith("ipc://"):
        return "" if Path(endpoint.removeprefix("ipc://")).exists() else "there is no such socket"
    if not endpoint.startswith("tcp://"):
        return ""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except socket.gaierror as error:
        return f"the name {host} is not known ({error.strerror})"
    except UnicodeError:
        return f"{host} cannot be a host's name"
    except ConnectionRefusedError:
        return "nobody listens on that port"
    except TimeoutError:
        return "the host does not take the connection"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def explain_silence(endpoint: str, why: str, seconds: float) -> str:
    """Say that nobody answers, what is known of it, and what to do."""
    remedy = "See that it runs (`understudy status`)"
    if endpoint.startswith("tcp://"):
        remedy = "See that it runs there, was started with listen=, and that the port is right"
    what = why or "somebody is there, but does not greet us"
    return f"no system answers at {endpoint}: {what} (tried for {seconds:g} s). {remedy}."
