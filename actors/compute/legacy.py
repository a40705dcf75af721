"""The sockets of the legacy wire: plain REQ clients, and the door that answers them.

    stock client, REQ ──┐
    Client, REQ ────────┼──► LegacyDoor ──► wire.Conversations ──► a service, which answers
    ...                 ┘

There are no keys on this wire: whoever reaches the port may do everything the service can.  So it
is bound to this machine unless told otherwise.  What comes is bytes, JSON and arrays of numbers,
of a bounded size; nothing of it is run or unpickled.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, final

import numpy as np
import zmq
from numpy.typing import NDArray

from actors.compute.wire import (
    OK,
    Call,
    Conversations,
    Frames,
    Reply,
    Verb,
    WireError,
    answer,
    check_reply,
    failure,
    pack_array,
    read_json,
    unpack_array,
    write_json,
)
from actors.gateway.doors import Answering
from actors.gateway.place import Bind
from actors.ports import LAST_PORT

F = TypeVar("F", bound=Callable[..., Any])

HERE: Final = "127.0.0.1"
PORT: Final = 9000
LARGEST: Final = 256 << 20
"""Bytes of one part of a message; a client that sends more is cut off."""

MOST_CALLS: Final = 256
"""Calls at work at the same time, of all clients together; further ones wait in the socket, and
make the oldest give way once that has had 30 s."""


class Service(Protocol):
    """What answers."""

    @property
    def table(self) -> Mapping[bytes, Verb]:
        """What each bare name means."""
        ...

    def call(self, call: Call, /) -> Any | Awaitable[Any]:
        """Do it and return what is to be answered.  What it raises is answered as an error."""
        ...


@final
class LegacyDoor(Answering):
    """Answers plain clients on the running loop, one call of each at a time, as REQ clients do."""

    def __init__(self, service: Service, host: str = HERE, port: int = PORT) -> None:
        """Bind and answer from now on; port 0 takes a free one.

        Raises `OSError` when it cannot be bound, naming host and port, and `ValueError` for a
        number that is no port.
        """
        if not 0 <= port <= LAST_PORT:
            raise ValueError(f"{port} is no port: give one up to {LAST_PORT}, or 0 for a free one")
        self._service = service
        self._conversations = Conversations(service.table)
        self._busy: set[bytes] = set()
        # Whoever gives another host than this one has said so.
        place = Bind(f"tcp://{host}:{port or '*'}", beyond_this_host=True)
        super().__init__(place, at_once=MOST_CALLS, largest=LARGEST)

    @property
    def port(self) -> int:
        """Where it is bound."""
        return int(self.endpoint.rpartition(":")[2])

    async def _answer(self, client: bytes, said: list[bytes]) -> Frames:
        todo = self._conversations.received(client, said)
        if isinstance(todo, Reply):
            return todo.frames
        if client in self._busy:
            return failure(RuntimeError("busy: wait for the answer before, then ask"))
        self._busy.add(client)
        try:
            value = self._service.call(todo)
            return answer(todo, await value if inspect.isawaitable(value) else value)
        except Exception as error:  # noqa: BLE001 - a service may raise anything; its client hears
            return failure(error)
        finally:
            self._busy.remove(client)

    def _failure(self, error: Exception) -> Frames:
        return failure(error)


@final
class Answers:
    """A service made of functions, each for one name."""

    def __init__(self) -> None:
        self.table: dict[bytes, Verb] = {}
        self._does: dict[tuple[Verb, bytes], Callable[..., Any]] = {}

    def on(self, verb: Verb, name: bytes) -> Callable[[F], F]:
        """Mark the function that answers `verb` of `name`; the first verb is the bare name's.

        For what is sent it takes the value, else nothing.
        """
        _demand_bytes(name, f"on(Verb.{verb.name}, %r)")

        def mark(function: F) -> F:
            self.table.setdefault(name, verb)
            self._does[verb, name] = function
            return function

        return mark

    def call(self, call: Call) -> Any:
        """Call the function for it; for several names, each."""
        if call.verb is Verb.GET_MANY:
            names: list[str] = call.value
            return {name: self._find(Verb.GET, name.encode())() for name in names}
        if call.verb is Verb.SEND_MANY:
            values: dict[str, Any] = call.value
            found = [(self._find(Verb.SEND, name.encode()), values[name]) for name in values]
            for function, value in found:
                function(value)
            return OK
        function = self._find(call.verb, call.name)
        sent = call.verb in (Verb.SEND, Verb.SEND_ARRAY)
        return function(call.value) if sent else function()

    def _find(self, verb: Verb, name: bytes) -> Callable[..., Any]:
        found = self._does.get((verb, name))
        if found is None:
            raise LookupError(f"Unknown Message: {verb.value}:{name.decode('utf-8', 'replace')}")
        return found


@final
class Server:
    """Answers plain clients from a thread of its own, in which the service is called.

    with Server(answers, port=9000): ...
    """

    def __init__(self, service: Service, host: str = HERE, port: int = PORT) -> None:
        """Bind; port 0 takes a free one.  Raises as `LegacyDoor` does."""
        self._opened: Future[LegacyDoor] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(service, host, port), name="understudy-legacy", daemon=True
        )
        self._thread.start()
        self.host, self.port = host, self._opened.result().port

    def _run(self, service: Service, host: str, port: int) -> None:
        try:
            asyncio.run(self._answer(service, host, port))
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)  # it is raised where the server is made

    async def _answer(self, service: Service, host: str, port: int) -> None:
        door = LegacyDoor(service, host, port)
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._opened.set_result(door)
        await self._over.wait()
        door.close()

    def close(self) -> None:
        """Answer nobody any more.  Twice is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@final
class Client:
    """Asks a server of the legacy wire, this one's or super_hydro's.  For one thread at a time.

    Every call raises a built-in `TimeoutError` when no answer came in time, and `WireError` when
    the answer is an error; the client can be used again after both.
    """

    def __init__(self, host: str = HERE, port: int = PORT, *, timeout: float = 10.0) -> None:
        """Connect; the server may come later.  `timeout` in seconds is for each call."""
        self._url = f"tcp://{host}:{port}"
        self._timeout = timeout
        self._context = zmq.Context(io_threads=1)
        self._socket: zmq.Socket[bytes] | None = None
        self._closed = False

    def get(self, msg: bytes) -> Any:
        """Return the JSON value of a name."""
        _demand_bytes(msg, "get(%r)")
        (data,) = self._ask([msg], 1)
        try:
            return read_json(data)
        except (ValueError, RecursionError):
            self._forget()  # the server may wait for a second half
            name = msg.decode("utf-8", "replace")
            raise WireError(
                f"{name} was answered with {data[:40]!r}, which is no JSON. If {name} is something "
                f"to send, get it with get(b'get:{name}')"
            ) from None

    def request(self, msg: bytes) -> bytes:
        """Have something done; return what was answered."""
        _demand_bytes(msg, "request(%r)")
        (data,) = self._ask([msg], 1)
        return data

    def send(self, msg: bytes, obj: Any) -> bytes:
        """Send a JSON value; return what was answered.

        Raises `TypeError` or `ValueError` for what is no JSON, before anything is sent.
        """
        _demand_bytes(msg, "send(%r, ...)")
        return self._send(msg, [write_json(obj)])

    def get_array(self, msg: bytes) -> NDArray[Any]:
        """Return an array; it is read-only."""
        _demand_bytes(msg, "get_array(%r)")
        description, raw = self._ask([msg], 2)
        try:
            return unpack_array(description, raw)
        except (TypeError, ValueError, RecursionError) as error:
            raise WireError(f"what came is no array: {error}") from None

    def send_array(self, msg: bytes, array: NDArray[Any]) -> bytes:
        """Send an array of numbers, of any memory layout; return what was answered."""
        _demand_bytes(msg, "send_array(%r, ...)")
        return self._send(msg, list(pack_array(np.asarray(array))))

    def close(self) -> None:
        """Ask nothing any more.  Twice is fine."""
        if not self._closed:
            self._closed = True
            self._forget()
            self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, msg: bytes, second: list[bytes]) -> bytes:
        (first,) = self._ask([msg], 1)
        if first not in (OK, b""):
            raise WireError(f"{msg!r:.80} is not something to send: {first[:200]!r}")
        (data,) = self._ask(second, 1)
        return data

    def _ask(self, frames: Sequence[bytes], parts: int) -> list[bytes]:
        if self._closed:
            raise RuntimeError("this client is closed: make a new one")
        if self._socket is None:
            self._socket = self._context.socket(zmq.REQ)
            self._socket.linger = 0
            self._socket.maxmsgsize = LARGEST
            self._socket.connect(self._url)
        answered: list[bytes] = []
        try:
            self._socket.send_multipart(frames)
            if self._socket.poll(round(self._timeout * 1000)):
                answered = self._socket.recv_multipart()
        finally:
            if not answered:
                self._forget()  # a REQ that waits for an answer can do nothing else, for ever
        if not answered:
            raise TimeoutError(f"{self._url} has not answered within {self._timeout:g} s")
        check_reply(answered, parts)
        return answered

    def _forget(self) -> None:
        """Begin anew: the next call is, to the server, another client's."""
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(0)


def _demand_bytes(msg: object, how: str) -> None:
    """Refuse text before anything is sent."""
    if isinstance(msg, str):
        raise TypeError(f"messages are bytes, not str: write {how % msg.encode()}")
    if not isinstance(msg, bytes):
        raise TypeError(f"messages are bytes, not {type(msg).__name__}")
