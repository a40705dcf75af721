"""The out-of-band side of a message: its arrays and refs, on the way out and on the way in.

out   an array of 64 KiB and more, to a party on this host   copied into the arena, unless it was
                                                             born there, or came from elsewhere
      any other array                                        copied into a frame
in    shared memory is read where it lies, a frame is viewed; both are read-only
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import numpy as np

from actors.arrays.accounts import Account
from actors.arrays.allowance import LIMIT, Allowance
from actors.arrays.arena import Arena
from actors.arrays.birth import Birth, born_alone, freeze
from actors.arrays.lease import Lease
from actors.arrays.mapper import Mapper
from actors.arrays.ring import SharedRing
from actors.arrays.segment import HAS_MEMFD, sweep
from actors.arrays.sharing import NOTHING, Sharing
from actors.codec import ValueCodec
from actors.envelope import LARGEST_FRAME, Envelope, Frames
from actors.errors import InvalidMessage, MessageError
from actors.letter import Letter
from actors.wire.carrier import Part

if TYPE_CHECKING:
    import numpy.typing as npt

    from actors.address import Address
    from actors.ref import ActorRef, Outlet

SHARE_FROM: Final = 64 << 10
"""Bytes from which shared memory is faster than a frame (measured)."""


@final
class Memory:
    """Shared memory of this process: what it lends and what it has attached."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        limit: int = LIMIT,
        account: Account | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            directory: The system's own, where arrays are files when this machine has no memfd.
                Without both nothing is shared.
            limit: Bytes that arrays and rings of this process may take.
            account: With the system, whose processes have a limit together; None: there is none.
        """
        self.allowance: Final = Allowance(limit, account)
        self._directory = directory
        self._arena: Arena | None = None
        self._lock = threading.Lock()
        self._rings: dict[str, SharedRing] = {}
        self._forwarded: dict[int, Lease] = {}
        """What others are to find through this process, by a number below 0."""
        self._numbers = count(1)
        self.report: Callable[[Sharing], None] = self.allowance.describe
        """Told now and then what is shared here."""
        self.mapper = Mapper(directory)

    @property
    def arena(self) -> Arena:
        """The arena; made when first needed."""
        # Two threads that send their first large array at once must not make two of them.
        with self._lock:
            if self._arena is None:
                self._arena = Arena(self.allowance, self._directory)
                self.allowance.idle = self._arena.trim
            return self._arena

    def empty(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = "float64"
    ) -> npt.NDArray[Any]:
        """Return an array that is born in shared memory, whatever its size, where there is any."""
        return self.arena.empty(shape, dtype) if self._shares else born_alone(shape, dtype)

    @property
    def _shares(self) -> bool:
        return HAS_MEMFD or self._directory is not None

    def keep(self, name: str, ring: SharedRing) -> None:
        """Close a ring when this process lends no more, or another one takes its name."""
        former, self._rings[name] = self._rings.get(name), ring
        if former is not None:
            former.close()

    def lend(self, array: npt.NDArray[Any]) -> tuple[tuple[int, ...], int] | None:
        """Return where others find an array, and the number to `free`; None when there is no room.

        What was received is passed on as it lies there, under its first owner's eyes.  What was
        born here must be frozen before others hear of it.
        """
        if not self._shares:
            return None
        lease = Lease.of(array)
        found = None if lease is None else lease.forward(array)
        if lease is None or found is None:
            shared = self.arena.lend(array)
            return None if shared is None else (shared, shared[-1])
        number = -next(self._numbers)
        self._forwarded[number] = lease
        return found, number

    def free(self, blocks: tuple[int, ...]) -> None:
        """Give back blocks whose message is settled."""
        for block in blocks:
            if block < 0:
                del self._forwarded[block]
            else:
                self.arena.free(block)

    def tidy(self) -> None:
        """Give back what is not used any more.  Call it about once a second."""
        if self._arena is not None:
            self._arena.tidy()
        if self._arena is not None or self._rings or self.allowance.refused:
            arrays = NOTHING if self._arena is None else self._arena.statistics().sharing
            sharing = sum((ring.sharing for ring in self._rings.values()), start=arrays)
            self.report(attrs.evolve(sharing, refused=self.allowance.refused))
        self.mapper.tidy()
        if self._directory is not None and not HAS_MEMFD:
            sweep(self._directory)

    def close(self) -> None:
        """Let go of everything."""
        for ring in self._rings.values():
            ring.close()
        self._forwarded.clear()
        if self._arena is not None:
            self._arena.close()
        self.allowance.close()
        self.mapper.close()


ACCOUNTS_FILE: Final = "accounts"
"""In a system's directory: what its processes share."""


def account_of(directory: Path | None, name: str) -> Account | None:
    """Return an account with the system of this directory; None when it keeps none."""
    path = None if directory is None else directory / ACCOUNTS_FILE
    return Account(path, name) if path is not None and path.exists() else None


def directory_of(endpoint: str) -> Path | None:
    """Return the directory of a broker's local socket, and of all that belongs to its system."""
    scheme, _, path = endpoint.partition("://")
    return Path(path).parent if scheme == "ipc" else None


LARGEST_PIECE: Final = LARGEST_FRAME - (8 << 20)
"""Bytes of one payload or array; it shares its frame with the head of a batch and small letters."""


@final
class Outgoing:
    """Takes the arrays of one message that is being encoded."""

    __slots__ = ("_born", "blocks", "frames", "memory", "shared")

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory
        """None when the receiver cannot attach to this process."""
        self.frames: list[bytes | memoryview] = []
        self.blocks: list[int] = []
        self.shared = 0
        """Bytes in those blocks."""
        self._born: list[npt.NDArray[Any]] = []
        """To be frozen when the message turns out to be one that can be sent."""

    def put(self, array: npt.NDArray[Any]) -> Part:
        """Copy an array to where its receiver will find it."""
        dtype = array.dtype.str
        birth = Birth.of(array)
        if birth is not None and birth.holds(array):
            self._born.append(array)  # whichever way it goes, it is the same to whoever sends it
        if self.memory is not None and array.nbytes >= SHARE_FROM:
            lent = self.memory.lend(array)
            if lent is not None:
                self.blocks.append(lent[1])
                self.shared += array.nbytes
                return Part(-1, dtype, array.shape, lent[0])
        if array.nbytes > LARGEST_PIECE:  # before it is copied: there may be no memory for a copy
            raise InvalidMessage(reason=_too_large(array.nbytes))
        self.frames.append(array.tobytes())
        return Part(len(self.frames) - 1, dtype, array.shape)

    def freeze(self) -> None:
        """Make the arrays that were born shared read-only: the whole message will be sent.

        A message that is refused, or turned away, leaves them as they were.
        """
        while self._born:  # and hold them no longer: their memory is used again when they are gone
            freeze(self._born.pop())

    def letter(self, envelope: Envelope, *, redeliver: bool = False) -> Letter:
        """Return an envelope together with the arrays."""
        blocks, frames = tuple(self.blocks), tuple(self.frames)
        return Letter(envelope, frames, blocks, redeliver=redeliver, shared=self.shared)

    def get(self, part: Part) -> npt.NDArray[Any]:
        """Nothing is read while encoding."""
        raise MessageError(f"array part {part.where} on its way out")

    def bind(self, address: Address) -> ActorRef:
        """Nothing is read while encoding."""
        raise MessageError(f"{address} on its way out")


@final
class Alone:
    """Stands in for both carriers where a message can have nothing beside its payload.

    One is enough for all of them, so a plain message costs neither carrier.
    """

    __slots__ = ()

    frames: Final = ()
    blocks: Final = ()
    shared: Final = 0

    def freeze(self) -> None:
        """There is no array."""

    def letter(self, envelope: Envelope, *, redeliver: bool = False) -> Letter:
        """Return an envelope as a letter."""
        return Letter(envelope, redeliver=redeliver)

    def put(self, array: npt.NDArray[Any]) -> Part:
        """Refuse: there is no array in such a message."""
        raise MessageError(f"an array of {array.nbytes} bytes where there is none")

    def get(self, part: Part) -> npt.NDArray[Any]:
        """Refuse, as `put` does."""
        raise MessageError(f"array part {part.where} where there is none")

    def bind(self, address: Address) -> ActorRef:
        """Refuse, as `put` does."""
        raise MessageError(f"{address} where there is none")


ALONE: Final = Alone()


def check_size(payload: bytes, frames: Sequence[bytes | memoryview], message: str) -> None:
    """Refuse what no broker would carry; raises `InvalidMessage`."""
    largest = len(payload)
    if frames:
        largest = max(largest, *(memoryview(frame).nbytes for frame in frames))
    if largest > LARGEST_PIECE:
        raise InvalidMessage(message=message, reason=_too_large(largest))


def _too_large(size: int) -> str:
    return (
        f"{size >> 20} MiB in one piece is more than a connection carries "
        f"({LARGEST_FRAME >> 20} MiB). Send it in parts, as a stream for example"
    )


def encoded(
    codec: ValueCodec, value: Any, memory: Memory, *, near: bool
) -> tuple[bytes, Outgoing | Alone]:
    """Return a value as a payload, and what it has beside it; raises `InvalidMessage`.

    A receiver that is `near` finds large arrays in shared memory.  Once it is sure that this will
    be sent, and before it is, what was born shared has to be frozen: see `Outgoing.freeze`.
    """
    carrier = Outgoing(memory if near else None) if codec.beside else ALONE
    try:
        payload = codec.encode(value, carrier)
        if carrier.frames or len(payload) > LARGEST_PIECE:
            check_size(payload, carrier.frames, type(value).__name__)
    except InvalidMessage as error:
        memory.free(tuple(carrier.blocks))
        error.message = error.message or type(value).__name__
        raise
    except BaseException:
        memory.free(tuple(carrier.blocks))
        raise
    return payload, carrier


@final
class Incoming:
    """Finds the arrays and refs of one message that is being decoded."""

    __slots__ = ("frames", "memory", "outlet", "shared")

    def __init__(self, frames: Frames, memory: Memory | None, outlet: Outlet) -> None:
        self.frames = frames
        self.memory = memory
        """None when the sender has no business with the memory of this host."""
        self.outlet = outlet
        self.shared = 0
        """Bytes of the arrays that were found in shared memory."""

    def put(self, array: npt.NDArray[Any]) -> Part:
        """Nothing is written while decoding."""
        raise MessageError(f"an array of {array.nbytes} bytes on its way in")

    def get(self, part: Part) -> npt.NDArray[Any]:
        """Return the array; read-only."""
        if part.where < 0:
            if part.shared is None:
                raise MessageError("an array is neither in a frame nor in shared memory")
            if self.memory is None:
                raise MessageError("shared memory of this host, named by a program on another")
            array = self.memory.mapper.read(part.shared, part.dtype, part.shape)
            self.shared += array.nbytes
            return array
        if part.where >= len(self.frames):
            raise MessageError(f"array frame {part.where} is missing")
        try:
            return np.frombuffer(self.frames[part.where], np.dtype(part.dtype)).reshape(part.shape)
        except ValueError as error:
            raise MessageError(
                f"array frame {part.where} does not hold {part.shape}: {error}"
            ) from None

    def bind(self, address: Address) -> ActorRef:
        """Return a ref that works in this process."""
        return self.outlet.ref(address.name)
