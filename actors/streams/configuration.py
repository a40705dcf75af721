"""What a configuration asks for: checked as a whole, before anything is done.

    {"class_name": "zmq_pubsub", "endpoint": "tcp://*:15000", "high_water_mark": 1}

A key that is missing or wrong is an error that names it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from difflib import get_close_matches
from enum import Enum, StrEnum
from typing import Any, Final, cast, final

import attrs

from actors.ports import LAST_PORT, has_port

WITHOUT_EFFECT: Final = ("send_timeout_milliseconds", "should_block", "should_copy")
"""Keys of the original that have nothing to say here: a write never blocks and always copies."""

LARGEST_PACKET: Final = 1 << 30
"""Bytes in each part of a packet that a reader takes, unless `max_bytes` says otherwise."""

_SPELLING: Final = re.compile(r"(?:dls_?::(?:valkyrie|pairstream)::)?(\w+)")
_RING: Final = re.compile(r"shm://([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})")
_EVERYWHERE: Final = re.compile(r"tcp://\*:")
_ANY_PORT: Final = re.compile(r":0+$")
_NUMBERED: Final = re.compile(r"(?:[^%]|%%)*%0?\d*d(?:[^%]|%%)*")


KNOWN: Final = frozenset(
    (
        "class_name",
        "console",
        "endpoint",
        "filename_pattern",
        "high_water_mark",
        "log",
        "max_bytes",
        "recv_timeout_milliseconds",
        "topics",
        *WITHOUT_EFFECT,
    )
)
"""Keys that mean something."""


@final
class Role(Enum):
    """Which end of a stream it is."""

    READER = "reader"
    WRITER = "writer"


@final
class Carrier(StrEnum):
    """What may carry packets, as a `class_name` spells it."""

    PUBSUB = "zmq_pubsub"
    PUSHPULL = "zmq_pushpull"
    PULLPUSH = "zmq_pullpush"
    SHM = "shm"
    FILE = "file"
    DUMMY = "dummy"

    @property
    def binder(self) -> Role:
        """Which end of its sockets binds; the other one connects."""
        return Role.READER if self is Carrier.PULLPUSH else Role.WRITER


@final
@attrs.frozen
class Configuration:
    """A checked configuration; see `docs/reference/streams.md` for the keys."""

    role: Role
    carrier: Carrier
    endpoint: str = ""
    high_water_mark: int = 1
    timeout: float | None = None
    """Seconds that `read` waits; None for ever."""
    topics: frozenset[str] = frozenset()
    """Packets to read, by their meta's "topic"; none means all."""
    pattern: str = ""
    """Path of files, with one %d."""
    console: bool = False
    max_bytes: int = LARGEST_PACKET
    level: int | None = None
    unknown: tuple[str, ...] = ()
    """Keys that mean nothing here; they are said once and otherwise ignored."""

    @property
    def title(self) -> str:
        """How errors and the log call it."""
        where = self.pattern or self.endpoint
        return f"{self.carrier} {self.role.value}{' at ' if where else ''}{where}"

    @property
    def binds(self) -> bool:
        """Whether this end binds its socket, or connects it."""
        return self.role is self.carrier.binder

    @property
    def place(self) -> str:
        """Where to bind or connect: who binds takes all interfaces for the loopback.

        There is no authentication on these sockets.  Who wants to be reached from elsewhere names
        an address of the host, or 0.0.0.0.
        """
        return _EVERYWHERE.sub("tcp://127.0.0.1:", self.endpoint) if self.binds else self.endpoint

    @property
    def ring(self) -> str:
        """The name in `shm://NAME`."""
        return self.endpoint.removeprefix("shm://")


def read_configuration(configuration: Mapping[str, Any], role: Role) -> Configuration:
    """Check a configuration.

    Raises:
        TypeError: it is no mapping.
        ValueError: a key is missing or wrong; it is named, with what is allowed.
    """
    if not isinstance(configuration, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"configuration: expected a dict, got {type(configuration).__name__}")
    carrier = _carrier(configuration, role)
    log = configuration.get("log", {})
    checked = Configuration(
        role=role,
        carrier=carrier,
        endpoint=_endpoint(configuration, carrier, role),
        high_water_mark=_number(configuration, "high_water_mark", default=1, least=1),
        timeout=_timeout(configuration),
        topics=_topics(configuration),
        pattern=_pattern(configuration) if carrier is Carrier.FILE else "",
        console=_flag(configuration, "console"),
        max_bytes=_number(configuration, "max_bytes", default=LARGEST_PACKET, least=1),
        level=_level(log),
        unknown=tuple(sorted(str(key) for key in configuration if key not in KNOWN)),
    )
    if checked.topics and role is Role.WRITER:
        raise ValueError('topics: readers choose; a writer says the topic in meta["topic"]')
    return checked


def _carrier(configuration: Mapping[str, Any], role: Role) -> Carrier:
    spelled: object = configuration.get("class_name")
    names = [carrier.value for carrier in Carrier]
    if spelled is None:
        raise ValueError(f"class_name is missing: choose one of {', '.join(names)}")
    found = _SPELLING.fullmatch(spelled) if isinstance(spelled, str) else None
    if found is None or found[1] not in names:
        near = get_close_matches(str(spelled).rpartition(":")[2], names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}"
        raise ValueError(f"class_name {spelled!r:.80} is no carrier: {hint}")
    carrier = Carrier(found[1])
    if carrier is Carrier.FILE and role is Role.READER:
        raise ValueError(
            "class_name 'file' has a writer only: read the files with json.load and np.fromfile"
        )
    return carrier


def _endpoint(configuration: Mapping[str, Any], carrier: Carrier, role: Role) -> str:
    endpoint: object = configuration.get("endpoint")
    if carrier in (Carrier.FILE, Carrier.DUMMY):
        return endpoint if isinstance(endpoint, str) else ""
    example = "shm://detector" if carrier is Carrier.SHM else "tcp://localhost:15000"
    if endpoint is None:
        raise ValueError(f"endpoint is missing: {carrier} needs one, such as {example!r}")
    if not isinstance(endpoint, str) or "\0" in endpoint:
        raise ValueError(f"endpoint {endpoint!r:.80}: expected a text such as {example!r}")
    if carrier is Carrier.SHM:
        wrong = _wrong_ring(endpoint)
    else:
        wrong = _wrong_socket(endpoint, binds=role is carrier.binder)
    if wrong:
        raise ValueError(f"endpoint {endpoint!r:.80}: {wrong}")
    return endpoint


def _wrong_ring(endpoint: str) -> str:
    """Return what is wrong with the endpoint of a ring, or nothing."""
    if _RING.fullmatch(endpoint):
        return ""
    return (
        "expected shm:// and a name of letters, digits, '_', '.' and '-', such as 'shm://detector'"
    )


def _wrong_socket(endpoint: str, *, binds: bool) -> str:
    """Return what is wrong with the endpoint of a ZeroMQ socket, or nothing."""
    if endpoint.startswith("inproc://"):
        return (
            "inproc:// reaches nobody, as each end has a ZeroMQ context of its own. Within one "
            "host use ipc://PATH, or class_name 'shm' and shm://NAME; within one process a queue"
        )
    if re.match(r"(tcp|ipc)://.", endpoint) is None:
        return "expected tcp://HOST:PORT or ipc://PATH"
    if endpoint.startswith("tcp://") and (not has_port(endpoint) or _ANY_PORT.search(endpoint)):
        return f"expected tcp://HOST:PORT, with a port from 1 to {LAST_PORT} that both ends know"
    if not binds and _EVERYWHERE.match(endpoint):
        host = _EVERYWHERE.sub("tcp://localhost:", endpoint)
        return f"this end connects, so it names the host of the other one, such as {host!r}"
    return ""


def _number(configuration: Mapping[str, Any], key: str, *, default: int, least: int) -> int:
    value: object = configuration.get(key, default)
    wrong = ValueError(f"{key} {value!r:.80}: expected a whole number from {least}")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong
    try:
        number = int(value)
    except ValueError:
        raise wrong from None
    if number < least:
        why = " (0 would mean without limit)" if key == "high_water_mark" else ""
        raise ValueError(f"{key} {number}: expected a whole number from {least}{why}")
    if number >= 1 << 31:
        raise ValueError(f"{key} {number}: expected less than {1 << 31}")
    return number


def _flag(configuration: Mapping[str, Any], key: str) -> bool:
    value: object = configuration.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} {value!r:.80}: expected True or False")  # noqa: TRY004
    return value


def _timeout(configuration: Mapping[str, Any]) -> float | None:
    milliseconds = _number(configuration, "recv_timeout_milliseconds", default=0, least=0)
    return milliseconds / 1000 if milliseconds else None


def _topics(configuration: Mapping[str, Any]) -> frozenset[str]:
    topics: object = configuration.get("topics", ())
    if not isinstance(topics, list | tuple) or not all(
        isinstance(topic, str) for topic in cast("list[object]", topics)
    ):
        raise ValueError(f"topics {topics!r:.80}: expected a list of texts")
    return frozenset(cast("list[str]", topics))


def _pattern(configuration: Mapping[str, Any]) -> str:
    pattern: object = configuration.get("filename_pattern")
    endpoint: object = configuration.get("endpoint")
    if pattern is None and isinstance(endpoint, str) and endpoint.startswith("file://"):
        pattern = endpoint.removeprefix("file://").replace("%", "%%").rstrip("/") + "/%d"
    if pattern is None:
        raise ValueError(
            "filename_pattern is missing: say where the files go, with one %d for the packet's "
            "number, such as '/data/run-%06d', or a folder as endpoint 'file:///data'"
        )
    if (
        not isinstance(pattern, str)
        or "\0" in pattern
        or not _NUMBERED.fullmatch(pattern)
        or not _NUMBERED.fullmatch(pattern.rpartition("/")[2])
    ):
        raise ValueError(
            f"filename_pattern {pattern!r:.80}: expected a path with exactly one %d, in the file's "
            "name"
        )
    return pattern


def _level(log: object) -> int | None:
    if not isinstance(log, Mapping):
        raise ValueError(f'log {log!r:.80}: expected a dict such as {{"level": "DEBUG"}}')  # noqa: TRY004
    level: object = cast("Mapping[str, object]", log).get("level")
    if level is None or (isinstance(level, int) and not isinstance(level, bool)):
        return level
    found = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else None
    if found is None:
        raise ValueError(f"log.level {level!r:.80}: expected DEBUG, INFO, WARNING or ERROR")
    return found
