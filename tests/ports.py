"""Ports of this host, for servers that a test starts."""

from __future__ import annotations

import socket


def free_port():
    """Return a port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
