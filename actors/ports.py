"""The port of a tcp endpoint: ZeroMQ takes 99999 for 34463, "22x" for 22, and does not say so."""

from __future__ import annotations

from typing import Final

LAST_PORT: Final = 65535


def has_port(endpoint: str, *, any_port: bool = False) -> bool:
    """Return whether `tcp://HOST:PORT` has a host and a port, or `*` where any free one will do."""
    host, _, port = endpoint.partition("://")[2].rpartition(":")
    numbered = port.isascii() and port.isdigit() and int(port) <= LAST_PORT
    return bool(host) and (numbered or (any_port and port == "*"))
