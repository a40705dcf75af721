"""Where a door is: the endpoint, and which side waits there for the other.

    Bind("tcp://127.0.0.1:5555")      plain programs connect to us
    Connect("tcp://127.0.0.1:5555")   they are the ones who bind

Plain ZeroMQ neither encrypts nor asks who is there, so a place that other hosts can reach has to be
wanted in so many words.
"""

from __future__ import annotations

from ipaddress import ip_address

import attrs

from actors.ports import LAST_PORT, has_port

_NEAR = ("ipc://", "inproc://")


@attrs.frozen
class Place:
    """A checked endpoint.  Raises `ValueError` for one that is open to other hosts unasked."""

    endpoint: str
    beyond_this_host: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        transport, found, rest = self.endpoint.partition("://")
        if not (found and rest and transport in {"tcp", "ipc", "inproc"}):
            raise ValueError(
                f"{self.endpoint!r} is no place for a door: write tcp://127.0.0.1:PORT, "
                "ipc://PATH or inproc://NAME."
            )
        if transport == "tcp" and not has_port(
            self.endpoint, any_port=not isinstance(self, Connect)
        ):
            raise ValueError(
                f"{self.endpoint!r} has no port that can be used: write tcp://127.0.0.1:PORT, with "
                f"a number up to {LAST_PORT}, or with * for a free one, where it is bound."
            )
        if not (self.beyond_this_host or self.endpoint.startswith(_NEAR) or _is_loopback(rest)):
            raise ValueError(
                f"{self.endpoint} is open to other hosts, and plain ZeroMQ neither encrypts nor "
                "asks who is there. Take tcp://127.0.0.1:PORT, or say beyond_this_host=True."
            )


@attrs.frozen
class Bind(Place):
    """The door waits here for whoever connects.  Port `*` takes a free one."""


@attrs.frozen
class Connect(Place):
    """The door goes to whoever waits there, now or later, again and again."""


def _is_loopback(rest: str) -> bool:
    host = rest.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
