"""The actors of the behaviour suite, in a module that an actor's process can import."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from actors import (
    Actor,
    ActorRef,
    Array,
    Request,
    Shape,
    StreamRequest,
    Terminated,
    log,
    message,
    receive,
)
from actors.actor import FailurePolicy
from actors.errors import ActorError

# ---- messages


@message
class Add(Request[float]):
    x: float
    y: float = 0.0


@message
class Note:
    text: str


@message
class Put:
    n: int


@message
class Get(Request[list[int]]):
    pass


@message
class Texts(Request[list[str]]):
    pass


@message
class Fail(Request[None]):
    kind: str
    text: str = "as asked"


@message
class FailTold:
    text: str = "as told"


@message
class Exit:
    code: int


@message
class ExitAsked(Request[None]):
    code: int


@message
class Wait(Request[str]):
    """Wait for the gate; answers the tag."""

    tag: str = ""


@message
class WaitTogether(Request[str]):
    """Like Wait, but overlapping."""

    tag: str = ""


@message
class Open:
    """Let everybody through the gate."""


@message
class Block(Request[float]):
    """Hold the loop for so many seconds."""

    seconds: float


@message
class Who(Request[tuple[str, int]]):
    """Name and incarnation."""


@message
class Sender(Request[str]):
    pass


@message
class Deadline(Request[float | None]):
    """Seconds left until the deadline, None for ever."""


@message
class Relay(Request[float]):
    """Ask `to` in the handler's own way."""

    to: ActorRef
    x: float


@message
class RelayWrongly(Request[float]):
    to: ActorRef


@message
class RelayDeadline(Request[float | None]):
    to: ActorRef


@message
class Count(StreamRequest[int]):
    n: int
    fail_after: int = -1


@message
class CountLater(StreamRequest[int]):
    n: int
    fail_after: int = -1


@message
class CountCancelled(StreamRequest[int]):
    """A stream that waits for something that is cancelled."""


@message
class Blocks(StreamRequest[NDArray[np.float64]]):
    n: int
    size: int


@message
class Produced(Request[int]):
    """How many items the latest stream has produced."""


@message
class Closings(Request[int]):
    """How many generators have run their `finally`."""


@message
class Image:
    pixels: NDArray[Any]


@message
class Mirror(Request[np.ndarray]):
    array: np.ndarray


@message
class Album:
    """Arrays wherever a message can hold them."""

    cover: np.ndarray
    pages: list[np.ndarray] = attrs.field(factory=list)
    marked: dict[str, np.ndarray] = attrs.field(factory=dict)
    inside: Album | None = None


@message
class Turn(Request[Album]):
    """Answered by the same album, with its pages backwards."""

    album: Album


@message
class Born(Request[np.ndarray]):
    """Answered by an array that was born in shared memory."""

    size: int
    value: float


@message
class Strict(Request[float]):
    points: Array["float32", (None, 3)]  # noqa: F821, UP037 - a dtype, not a name
    square: Annotated[NDArray[np.float64], Shape("n", "n")]


@message
class Circulate(Request[np.ndarray]):
    """Answered by what a friend answers to `Mirror`."""

    array: np.ndarray


@message
class Images(Request[list[np.ndarray]]):
    pass


@message
class Writeable(Request[bool]):
    array: np.ndarray


@message
class Book(Request[str]):
    """Who is in the book?"""

    who: ActorRef
    others: dict[str, ActorRef] = attrs.field(factory=dict)


@message
class GiveRef(Request[ActorRef]):
    pass


@message
class Nobody(Request[int]):
    """No actor takes this."""


@message
class WrongAnswer(Request[int]):
    pass


@message
class After:
    seconds: float
    n: int


@message
class Every:
    seconds: float


@message
class Stop:
    pass


@message
class Watch(Request[None]):
    who: ActorRef


@message
class Ends(Request[list[Terminated]]):
    pass


@message
class SpawnChild(Request[ActorRef]):
    name: str
    fail: bool = False


@message
class State:
    total: int
    array: np.ndarray = attrs.field(factory=lambda: np.zeros(3))


@message
class Say(Request[None]):
    text: str
    level: int = logging.INFO


# ---- errors


class OddError(Exception):
    """An exception that cannot be made again from its text."""

    def __init__(self, number, *, unit):
        super().__init__(f"{number} {unit} is odd")
        self.lock = object()


class OddValueError(ValueError):
    pass


# ---- actors


class Calculator(Actor):
    scale: float = 1.0

    @receive
    def add(self, msg: Add) -> float:
        return self.scale * (msg.x + msg.y)


class Collector(Actor):
    """Keeps what it is told, in order."""

    def on_start(self) -> None:
        self.numbers: list[int] = []
        self.texts: list[str] = []
        self.gate = asyncio.Event()

    @receive
    def put(self, msg: Put) -> None:
        self.numbers.append(msg.n)

    @receive
    def note(self, msg: Note) -> None:
        self.texts.append(msg.text)

    @receive
    def get(self, msg: Get) -> list[int]:
        return self.numbers

    @receive
    def get_texts(self, msg: Texts) -> list[str]:
        return self.texts

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        return self.context.name, self.context.incarnation

    @receive
    def sender(self, msg: Sender) -> str:
        return self.context.sender.name if self.context.sender is not None else ""

    @receive
    def deadline(self, msg: Deadline) -> float | None:
        deadline = self.context.deadline
        return None if deadline is None else deadline - time.monotonic()

    @receive
    def block(self, msg: Block) -> float:
        time.sleep(msg.seconds)
        return msg.seconds

    @receive
    async def wait(self, msg: Wait) -> str:
        self.texts.append(f"begin {msg.tag}")
        try:
            await self.gate.wait()
        finally:
            self.texts.append(f"end {msg.tag}")
        return msg.tag

    @receive(concurrent=True)
    async def wait_together(self, msg: WaitTogether) -> str:
        self.texts.append(f"begin {msg.tag}")
        try:
            await self.gate.wait()
        finally:
            self.texts.append(f"end {msg.tag}")
        return msg.tag

    @receive
    def open(self, msg: Open) -> None:
        self.gate.set()

    @receive
    def say(self, msg: Say) -> None:
        log(msg.text, msg.level)
        self.context.log.log(msg.level, "and %s", msg.text)


class Clumsy(Collector):
    """Falls in every way there is."""

    @receive
    def fail(self, msg: Fail) -> None:
        match msg.kind:
            case "value":
                raise ValueError(msg.text)
            case "key":
                raise KeyError(msg.text)
            case "odd":
                raise OddError(3, unit=msg.text)
            case "odd value":
                raise OddValueError(msg.text)
            case "os":
                raise FileNotFoundError(2, msg.text)
            case _:
                raise Exception(msg.kind)  # noqa: TRY002

    @receive
    def fail_told(self, msg: FailTold) -> None:
        raise RuntimeError(msg.text)

    @receive
    def exit(self, msg: Exit) -> None:
        sys.exit(msg.code)

    @receive
    def exit_asked(self, msg: ExitAsked) -> None:
        sys.exit(msg.code)

    @receive
    def wrong(self, msg: WrongAnswer) -> int:
        answer: Any = "seven"
        return answer


class Resumer(Clumsy):
    failure_policy = FailurePolicy.RESUME


class Quitter(Clumsy):
    failure_policy = FailurePolicy.STOP


class Messenger(Actor):
    """Asks others from a `def` handler."""

    @receive
    def relay(self, msg: Relay) -> float:
        return msg.to.ask(Add(msg.x, 1.0)).result()

    @receive
    def relay_deadline(self, msg: RelayDeadline) -> float | None:
        return msg.to.ask(Deadline()).result()


class AsyncMessenger(Actor):
    """Asks others from an `async def` handler."""

    @receive
    async def relay(self, msg: Relay) -> float:
        return await msg.to.ask(Add(msg.x, 1.0))

    @receive
    async def relay_wrongly(self, msg: RelayWrongly) -> float:
        return msg.to.ask(Add(1, 1)).result()

    @receive
    async def relay_deadline(self, msg: RelayDeadline) -> float | None:
        return await msg.to.ask(Deadline())


class Source(Actor):
    """Writes streams."""

    def on_start(self) -> None:
        self.produced = 0
        self.closed = 0

    @receive
    def count(self, msg: Count) -> Iterator[int]:
        self.produced = 0
        try:
            for n in range(msg.n):
                if n == msg.fail_after:
                    raise ValueError(f"no {n}")
                self.produced += 1
                yield n
        finally:
            self.closed += 1

    @receive
    async def count_later(self, msg: CountLater) -> AsyncIterator[int]:
        self.produced = 0
        try:
            for n in range(msg.n):
                if n == msg.fail_after:
                    raise ValueError(f"no {n}")
                await asyncio.sleep(0)
                self.produced += 1
                yield n
        finally:
            self.closed += 1

    @receive
    async def count_cancelled(self, msg: CountCancelled) -> AsyncIterator[int]:
        yield 0
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    @receive
    def blocks(self, msg: Blocks) -> Iterator[NDArray[np.float64]]:
        block = np.empty(msg.size)
        for n in range(msg.n):
            block[:] = n
            yield block

    @receive
    def tell_produced(self, msg: Produced) -> int:
        return self.produced

    @receive
    def tell_closed(self, msg: Closings) -> int:
        return self.closed

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        return self.context.name, self.context.incarnation

    @receive
    def fail(self, msg: FailTold) -> None:
        raise RuntimeError(msg.text)


class Gallery(Actor):
    """Takes and gives arrays."""

    first: NDArray[np.float64] = attrs.field(factory=lambda: np.zeros(0))
    friend: ActorRef | None = None

    def on_start(self) -> None:
        self.images: list[np.ndarray] = []

    @receive
    def image(self, msg: Image) -> None:
        self.images.append(msg.pixels)

    @receive
    def mirror(self, msg: Mirror) -> np.ndarray:
        return msg.array

    @receive
    def turn(self, msg: Turn) -> Album:
        return attrs.evolve(msg.album, pages=msg.album.pages[::-1])

    @receive
    def circulate(self, msg: Circulate) -> np.ndarray:
        assert self.friend is not None
        return self.friend.ask(Mirror(msg.array)).result()

    @receive
    def born(self, msg: Born) -> np.ndarray:
        array = self.context.empty(msg.size)
        array[:] = msg.value
        return array

    @receive
    def strict(self, msg: Strict) -> float:
        return float(msg.points.sum() + msg.square.sum())

    @receive
    def all(self, msg: Images) -> list[np.ndarray]:
        return [self.first, *self.images]

    @receive
    def writeable(self, msg: Writeable) -> bool:
        return msg.array.flags.writeable

    @receive
    def ask_friend(self, msg: Who) -> tuple[str, int]:
        assert self.friend is not None
        return self.friend.ask(Who()).result()


class Registry(Actor):
    @receive
    def book(self, msg: Book) -> str:
        answer = msg.who.ask(Who()).result()[0]
        return ",".join([answer, *(f"{k}={v.name}" for k, v in sorted(msg.others.items()))])

    @receive
    def give(self, msg: GiveRef) -> ActorRef:
        return self.context.ref


class Hooked(Actor):
    """Tells `witness` of its life."""

    witness: ActorRef
    label: str = "hooked"

    def on_start(self) -> None:
        self.witness.tell(Note(f"{self.label} start {self.context.incarnation}"))

    def on_stop(self, reason: str) -> None:
        self.witness.tell(Note(f"{self.label} stop: {reason}"))

    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y

    @receive
    def fail(self, msg: FailTold) -> None:
        raise RuntimeError(msg.text)


class AsyncHooked(Hooked):
    async def on_start(self) -> None:
        answer = await self.witness.ask(Who())
        self.witness.tell(Note(f"{self.label} start {answer[0] == self.witness.name}"))

    async def on_stop(self, reason: str) -> None:
        await self.witness.ask(Who())
        self.witness.tell(Note(f"{self.label} stop: {reason}"))


class AskingHook(Hooked):
    """A `def` hook may wait in place."""

    def on_start(self) -> None:
        answer = self.witness.ask(Who()).result()
        self.witness.tell(Note(f"{self.label} start {answer[0] == self.witness.name}"))


class Clock(Collector):
    """Sends itself messages."""

    @receive
    def after(self, msg: After) -> None:
        self.context.tell_after(msg.seconds, Put(msg.n))

    @receive
    def every(self, msg: Every) -> None:
        self.timer = self.context.tell_every(msg.seconds, Put(1))

    @receive
    def stop(self, msg: Stop) -> None:
        self.timer.cancel()

    @receive
    def sender(self, msg: Sender) -> str:
        return "nobody" if self.context.sender is None else self.context.sender.name


class Watcher(Actor):
    def on_start(self) -> None:
        self.ends: list[Terminated] = []

    @receive
    def watch(self, msg: Watch) -> None:
        self.context.watch(msg.who)

    @receive
    def ended(self, msg: Terminated) -> None:
        self.ends.append(msg)

    @receive
    def tell(self, msg: Ends) -> list[Terminated]:
        return self.ends

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        return self.context.name, self.context.incarnation


class Parent(Watcher):
    @receive
    def spawn_child(self, msg: SpawnChild) -> ActorRef:
        if msg.fail:
            ref = self.context.spawn(Stillborn, name=msg.name)
            self.context.watch(ref)
            return ref
        return self.context.spawn(Calculator, name=msg.name or None, scale=10.0)


class AsyncParent(Actor):
    @receive
    async def spawn_child(self, msg: SpawnChild) -> ActorRef:
        return self.context.spawn(Calculator, name=msg.name)


class Stillborn(Actor):
    text: str = "no luck"

    def on_start(self) -> None:
        raise ValueError(self.text)


class LateBloomer(Calculator):
    """Takes so many seconds to start."""

    seconds: float

    async def on_start(self) -> None:
        await asyncio.sleep(self.seconds)


class Lingerer(Calculator):
    """Falls when it is told to, and then does not find its end."""

    @receive
    def fail_told(self, msg: FailTold) -> None:
        raise RuntimeError(msg.text)

    @receive
    def exit(self, msg: Exit) -> None:
        sys.exit(msg.code)

    async def on_stop(self, reason: str) -> None:
        await asyncio.sleep(3600)


class Moody(Actor):
    """Starts only while the file is there."""

    path: str

    def on_start(self) -> None:
        if not Path(self.path).exists():
            raise ValueError("no file")

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        return self.context.name, self.context.incarnation


class Forgetful(Actor):
    """Saves, and never takes over what was saved."""

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        self.context.save(State(1, np.zeros(3)))
        return self.context.name, self.context.incarnation


class Keeper(Actor):
    """Its total outlives it."""

    snapshot_seconds = 0.0

    def on_start(self) -> None:
        self.total = 0
        self.array = np.zeros(3)

    def snapshot(self) -> State:
        return State(self.total, self.array)

    def restore(self, state: State) -> None:
        self.total, self.array = state.total, state.array.copy()

    @receive
    def put(self, msg: Put) -> None:
        self.total += msg.n
        self.array += msg.n

    @receive
    def get(self, msg: Get) -> list[int]:
        return [self.total, *self.array.astype(int).tolist()]

    @receive
    def who(self, msg: Who) -> tuple[str, int]:
        return self.context.name, self.context.incarnation


class AsyncKeeper(Keeper):
    async def snapshot(self) -> State:
        await asyncio.sleep(0)
        return State(self.total, self.array)

    async def restore(self, state: State) -> None:
        await asyncio.sleep(0)
        self.total, self.array = state.total, state.array.copy()


class Faint(Keeper):
    """Gives its snapshots up."""

    async def snapshot(self) -> State:
        raise asyncio.CancelledError


class Saver(Keeper):
    """Saves when it likes."""

    def snapshot(self) -> None:
        return None

    @receive
    def put(self, msg: Put) -> None:
        super().put(msg)
        self.context.save(State(self.total, self.array))


@message
class Page:
    lines: list[int] = attrs.field(factory=list, validator=attrs.validators.max_len(3))


@message
class Bind(Request[None]):
    """Save a page, or so many lines as no page has, or what is none."""

    lines: int


@message
class Pages(StreamRequest[Page]):
    """A good page, one that no reader takes, and good ones for ever."""


class Scribe(Actor):
    """Saves what it is asked to, and takes a page over."""

    def on_start(self) -> None:
        self.lines: list[int] = []

    def restore(self, state: Page) -> None:
        self.lines = state.lines

    @receive
    def pages(self, msg: Pages) -> Iterator[Page]:
        try:
            yield Page([1])
            torn = Page()
            torn.lines.extend(range(9))
            yield torn
            while True:
                yield Page()
        finally:
            self.lines.append(len("closed"))

    @receive
    def bind(self, msg: Bind) -> None:
        page = Page()
        page.lines.extend(range(msg.lines))
        self.context.save(page if msg.lines else State(1))

    @receive
    def get(self, msg: Get) -> list[int]:
        return self.lines


class Restless(Actor):
    """Always has something to do for itself, and takes a snapshot after each of it."""

    path: str

    snapshot_seconds = 0.001

    def on_start(self) -> None:
        self.context.tell_after(0.0, Note("again"))

    def on_stop(self, reason: str) -> None:
        Path(self.path).write_text(reason)

    async def snapshot(self) -> None:
        await asyncio.sleep(0.01)

    @receive
    def note(self, msg: Note) -> None:
        self.context.tell_after(0.0, msg)


class Catcher(Actor):
    """Says which error its own ask met."""

    @receive
    async def relay(self, msg: Book) -> str:
        try:
            await msg.who.ask(Add(1, 2))
        except ActorError as error:
            return type(error).__name__
        return ""


class Writer(Actor):
    """Appends to a file, slowly enough that messages queue."""

    path: str

    @receive
    def put(self, msg: Put) -> None:
        with open(self.path, "a") as file:  # noqa: PTH123
            file.write(f"{msg.n}\n")


class Sleeper(Actor):
    """Never comes up by itself."""

    async def on_start(self) -> None:
        await asyncio.Event().wait()


class Forwarder(Actor):
    """Passes every sum on to another actor."""

    target: ActorRef

    @receive
    async def add(self, msg: Add) -> float:
        return await self.target.ask(msg)
