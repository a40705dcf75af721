"""What type checkers know of the public API. Checked, never executed.

Right uses come first. Every wrong use stands on one line with the two comments that silence the
checkers there, so a plain run of mypy and basedpyright proves both sides: a right use that is
reported is an error, and so is a wrong use that is not (its comments are then unneeded).
`tests/test_typing.py` runs them, and again with the comments taken away.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, ClassVar, assert_type

import attrs
import numpy as np
from numpy.typing import NDArray

import supervisor
from actors import (
    Actor,
    ActorRef,
    DeadLetter,
    Reply,
    Request,
    Shape,
    Stream,
    StreamRequest,
    Terminated,
    log,
    log_task,
    message,
    receive,
)
from actors.actor import FailurePolicy
from actors.errors import DeadlineExceeded, HandlerError, MailboxFull, NotDelivered
from supervisor import Backoff, Child, Intensity, Limits, Pool, Restart, Strategy, System, Tree


@message
class Add(Request[float]):
    x: float
    y: float = 0.0


@message(tag="lab:Tail", redeliver=True)
class Tail(StreamRequest[str]):
    path: str
    lines: int = attrs.field(default=10, validator=attrs.validators.ge(1))


@message
class Note:
    text: str
    answer_to: ActorRef | None = None
    tags: list[str] = attrs.field(factory=list)


@message
class Smooth(Request[NDArray[np.float32]]):
    picture: Annotated[NDArray[np.float32], Shape("h", "w")]


@message
class Reset(Request[None]):
    pass


class Calculator(Actor):
    scale: float
    unit: str = "m"
    calls: int = attrs.field(init=False, default=0)
    failure_policy = FailurePolicy.RESUME
    kind: ClassVar[str] = "calculator"

    def on_start(self) -> None:
        self.total = 0.0

    async def on_stop(self, reason: str) -> None:
        log(reason)

    def snapshot(self) -> Note:
        return Note(str(self.total))

    def restore(self, state: Note) -> None:
        self.total = float(state.text)

    @receive
    def add(self, msg: Add) -> float:
        self.total += msg.x + msg.y
        return self.total

    @receive(concurrent=True, failure_policy=FailurePolicy.STOP)
    async def reset(self, msg: Reset) -> None:
        self.total = 0.0

    @receive
    def tail(self, msg: Tail) -> Iterator[str]:
        yield msg.path

    @receive
    def notice(self, msg: Terminated | DeadLetter | Note) -> None:
        assert_type(self.context.name, str)
        assert_type(self.context.ref, ActorRef)
        assert_type(self.context.sender, ActorRef | None)
        assert_type(self.context.deadline, float | None)
        assert_type(self.context.attempt, int)
        self.context.publish(Note("hello"))
        self.context.subscribe(Note)
        self.context.subscribe(Terminated)


class Reader(Actor):
    @receive
    async def tail(self, msg: Tail) -> AsyncIterator[str]:
        yield msg.path


# ---- right uses


def messages_know_their_init() -> None:
    assert_type(Add(1, 2), Add)
    assert_type(Add(x=1.5).y, float)
    assert_type(Tail("log", lines=3).lines, int)
    assert_type(Note("hello", None, ["a"]).tags, list[str])


def actors_know_their_init_and_stay_ordinary_objects() -> None:
    calculator = Calculator(1.0, unit="km")

    assert_type(calculator, Calculator)
    assert_type(calculator.scale, float)
    assert_type(calculator.add(Add(1, 2)), float)
    assert_type(calculator.tail(Tail("log")), Iterator[str])


def plain_code(ref: ActorRef) -> None:
    assert_type(ref.ask(Add(1, 2)), Reply[float])
    assert_type(ref.ask(Add(1, 2)).result(), float)
    assert_type(ref.ask(Add(1, 2), timeout=math.inf).result(timeout=1), float)
    assert_type(ref.ask(Smooth(np.zeros((2, 2), np.float32))).result(), NDArray[np.float32])
    assert_type(ref.stream(Tail("log")), Stream[str])
    assert_type(ref.name, str)
    for line in ref.stream(Tail("log")):
        assert_type(line, str)
    with ref.stream(Tail("log")) as stream:
        assert_type(stream, Stream[str])
        assert_type(next(stream), str)
    ref.tell(Note("hello"))
    ref.tell(Add(1, 2))
    ref.wait_ready(timeout=5)
    with log_task("asking"):
        log("still asking")


async def asyncio_code(ref: ActorRef) -> None:
    assert_type(await ref.ask(Add(1, 2)), float)
    await ref.ask(Reset())
    async for line in ref.stream(Tail("log")):
        assert_type(line, str)
    async with ref.stream(Tail("log")) as stream:
        assert_type(await anext(stream), str)
    await ref.room()


def replies_are_covariant(reply: Reply[int]) -> Reply[float]:
    return reply


def systems() -> None:
    with supervisor.start() as system:
        assert_type(system, System)
        assert_type(system.spawn(Calculator, name="calc", scale=2.0), ActorRef)
        assert_type(system.spawn(Calculator, restart=Restart.TRANSIENT, scale=2.0), ActorRef)
        assert_type(system.ref("calc"), ActorRef)
        assert_type(system.kill("calc"), int | None)
        system.stop("calc")
        system.restart("calc")
        system.publish(Note("hello"))
        assert_type(system.subscribe(Note), Stream[Note])
        assert_type(system.subscribe(DeadLetter), Stream[DeadLetter])
        with system.subscribe(Note) as notes:
            assert_type(next(notes), Note)
    with supervisor.connect() as system:
        assert_type(system, System)


async def asyncio_systems() -> None:
    async with supervisor.start() as system:
        assert_type(system, System)


def trees_are_data() -> Tree:
    return Tree(
        strategy=Strategy.ONE_FOR_ALL,
        intensity=Intensity(),
        children=[
            Child(Calculator, name="calc", scale=1.0, restart=Restart.PERMANENT, grace=2.0),
            Child(Reader, name="reader", backoff=Backoff(), limits=Limits()),
            Pool(Reader, name="readers", size=4),
            Tree(children=[Child(Reader, name="inner")]),
        ],
    )


def errors_carry_their_data(ref: ActorRef) -> None:
    try:
        ref.ask(Add(1, 2)).result()
    except HandlerError as error:
        assert_type(error.type_name, str)
        assert_type(error.remote_traceback, str)
    except MailboxFull as error:
        assert_type(error.limit, int)
    except NotDelivered as error:
        assert_type(error.target, str)
    except DeadlineExceeded as error:
        _timeout: TimeoutError = error


# ---- wrong uses


def wrong_messages(ref: ActorRef) -> None:
    Add("1", 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Add(1, 2, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Add()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Add(1, z=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Add(1).x = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    Calculator("fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Calculator()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Calculator(1.0, calls=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Calculator(1.0).add(Note(""))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_verbs(ref: ActorRef) -> None:
    ref.ask(Note("hello"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.ask(Tail("log"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.stream(Add(1, 2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.stream(Note("hello"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.ask(Add)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.tell("hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.ask(Add(1), 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    _ = ref.send  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def wrong_answers(ref: ActorRef) -> None:
    _a: str = ref.ask(Add(1)).result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _b: float = ref.ask(Add(1))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _c: Reply[str] = ref.ask(Add(1))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    _d: int = next(ref.stream(Tail("")))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def wrong_awaits(ref: ActorRef) -> None:
    _a: str = await ref.ask(Add(1))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    await ref.stream(Tail(""))  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]


def wrong_events(actor: Calculator) -> None:
    actor.context.publish("hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    actor.context.publish(Note)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    actor.context.subscribe(Note("x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_systems(system: System) -> None:
    system.spawn("Calculator")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    system.spawn(Note)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    system.spawn(Calculator, name=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    system.spawn(Calculator, restart="always")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    system.publish("hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    system.subscribe(Note("hello"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _a: Stream[Reset] = system.subscribe(Note)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    system.ref(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrong_trees() -> None:
    Child("Calculator", name="calc")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Child(Calculator)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Child(Calculator, name=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Child(Calculator, name="calc", grace="5 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Child(Calculator, name="calc", restart="always")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Pool(Reader, name="readers")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Tree(children=[Calculator])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Tree(strategy="one for all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
