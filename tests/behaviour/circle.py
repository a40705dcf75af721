"""Actors that ask in circles, for the behaviour suite."""

from __future__ import annotations

from actors import Actor, ActorRef, Request, StreamRequest, message, receive
from actors.errors import AskCycle


@message
class Path(Request[tuple[str, ...]]):
    """Ask the next of `stops`, who asks the next; answers the names that were visited."""

    stops: tuple[ActorRef, ...]


@message
class Beside(Request[tuple[str, ...]]):
    """The same, to a handler that may overlap with others."""

    stops: tuple[ActorRef, ...]


@message
class BesideLast(Request[tuple[str, ...]]):
    """The same; only the last stop is asked in the way that may overlap."""

    stops: tuple[ActorRef, ...]
    before: int = 0
    """Messages told to the last stop just before it is asked."""


@message
class Word:
    text: str


@message
class Words(Request[list[str]]):
    pass


@message
class Start:
    stops: tuple[ActorRef, ...]


@message
class LeaveAsk(Request[str]):
    """Ask and answer without waiting."""

    to: ActorRef
    back: ActorRef


@message
class Back(Request[tuple[str, ...]]):
    to: ActorRef


@message
class Left(Request[tuple[str, ...]]):
    pass


@message
class Items(StreamRequest[str]):
    stops: tuple[ActorRef, ...]


@message
class Read(Request[list[str]]):
    writer: ActorRef
    stops: tuple[ActorRef, ...]


class Blocking(Actor):
    """Waits in `def` handlers."""

    def on_start(self) -> None:
        self.words: list[str] = []

    @receive
    def path(self, msg: Path) -> tuple[str, ...]:
        return (self.context.name, *self._go(Path, msg.stops))

    @receive
    def beside(self, msg: Beside) -> tuple[str, ...]:
        return (self.context.name, *self._go(Beside, msg.stops))

    @receive
    def beside_last(self, msg: BesideLast) -> tuple[str, ...]:
        kind = Beside if len(msg.stops) == 1 else BesideLast
        for n in range(msg.before if len(msg.stops) == 1 else 0):
            msg.stops[0].tell(Word(str(n)))
        return (self.context.name, *self._go(kind, msg.stops))

    def _go(self, kind, stops):
        return stops[0].ask(kind(stops[1:])).result() if stops else ()

    @receive
    def start(self, msg: Start) -> None:
        try:
            self._go(Path, msg.stops)
        except AskCycle as error:
            self.words.append(" -> ".join(error.path))

    @receive
    def read(self, msg: Read) -> list[str]:
        return list(msg.writer.stream(Items(msg.stops)))

    @receive
    def items(self, msg: Items):
        yield "first"
        yield " ".join(self._go(Path, msg.stops))

    @receive
    def leave_ask(self, msg: LeaveAsk) -> str:
        self.left = msg.to.ask(Back(msg.back))
        return "left"

    @receive
    def back(self, msg: Back) -> tuple[str, ...]:
        return msg.to.ask(Path(())).result()

    @receive
    def collect(self, msg: Left) -> tuple[str, ...]:
        return self.left.result() if self.left.done() else ()

    @receive
    def word(self, msg: Word) -> None:
        self.words.append(msg.text)

    @receive
    def tell_words(self, msg: Words) -> list[str]:
        return self.words


class Awaiting(Actor):
    """Waits in `async def` handlers; one of them may overlap with others."""

    def on_start(self) -> None:
        self.words: list[str] = []

    @receive
    async def path(self, msg: Path) -> tuple[str, ...]:
        return (self.context.name, *await self._go(Path, msg.stops))

    @receive
    async def beside_last(self, msg: BesideLast) -> tuple[str, ...]:
        kind = Beside if len(msg.stops) == 1 else BesideLast
        for n in range(msg.before if len(msg.stops) == 1 else 0):
            msg.stops[0].tell(Word(str(n)))
        rest = {"before": msg.before} if kind is BesideLast else {}
        return (self.context.name, *await self._go(kind, msg.stops, **rest))

    @receive(concurrent=True)
    async def beside(self, msg: Beside) -> tuple[str, ...]:
        return (self.context.name, *await self._go(Beside, msg.stops))

    async def _go(self, kind, stops, **rest):
        return await stops[0].ask(kind(stops[1:], **rest)) if stops else ()

    @receive
    def word(self, msg: Word) -> None:
        self.words.append(msg.text)

    @receive
    def tell_words(self, msg: Words) -> list[str]:
        return self.words


class Overlapping(Actor):
    """Every handler may overlap, but for one."""

    @receive(concurrent=True)
    async def beside(self, msg: Beside) -> tuple[str, ...]:
        if not msg.stops:
            return (self.context.name,)
        kind = Path if len(msg.stops) == 1 else Beside
        return (self.context.name, *await msg.stops[0].ask(kind(msg.stops[1:])))

    @receive
    def path(self, msg: Path) -> tuple[str, ...]:
        return (self.context.name,)
