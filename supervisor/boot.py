"""What the starting program tells the supervisor process, and what it answers."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from actors.errors import MessageError
from supervisor.plan import TreePlan

_LENGTH: Final = struct.Struct(">I")


class SupervisorBoot(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """How the system shall be."""

    name: str
    """Of its runtime directory."""
    tree: TreePlan
    listen: list[str]
    ask_timeout: float
    env: dict[bytes, bytes]
    """As bytes, like what follows: names of files and the like need not be UTF-8."""
    cwd: bytes
    sys_path: list[bytes]
    parent: int
    """Process id of the starting program: the system ends with it."""
    launcher: str
    """fork, spawn or thread."""
    state_dir: str
    version: str
    argv: list[bytes] = []
    """What the starting program was called with."""
    keys: str = ""
    """Directory of the keys that guard tcp endpoints."""
    relay: bool = False
    """Everything goes through the broker: no direct connections."""
    faults: bytes = b""
    """What its broker shall do wrong (`actors.testing.replay`); b"" for an ordinary broker."""
    shared_memory: int = 0
    """Bytes that all processes together may share; 0: half of the machine's."""
    preload: list[str] = []
    """Modules that actors shall find imported."""
    directory: str = ""
    """Its runtime directory, which the supervisor makes; "" before that."""
    levels: dict[str, int] = {}
    """Levels of the library's loggers, as the starting program has set them."""


class SupervisorReady(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The broker is there; actors are being started."""

    endpoint: str
    directory: str
    listening: list[str]
    pid: int


class SupervisorFailed(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """It could not begin."""

    text: str
    kind: str
    traceback: str
    module: str = ""
    """The program's, if one that was to be preloaded is to blame."""


class SupervisorEnded(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The system is over."""

    reason: str


Word = SupervisorBoot | SupervisorReady | SupervisorFailed | SupervisorEnded

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Word).decode


def frame(word: Word) -> bytes:
    """Return a word with its length in front."""
    data = _encode(word)
    return _LENGTH.pack(len(data)) + data


class Deframer:
    """Cuts the stream into words again."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[Word]:
        """Take what the socket gave; return the words that are complete now."""
        self._pending += data
        words: list[Word] = []
        while len(self._pending) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._pending)[0]
            if len(self._pending) < end:
                break
            try:
                words.append(_decode(self._pending[_LENGTH.size : end]))
            except msgspec.MsgspecError as error:
                raise MessageError(f"not a word of the supervisor: {error}") from None
            self._pending = self._pending[end:]
        return words
