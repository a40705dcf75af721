"""Classes that stand in no file: from standard input, at prompts, changed in later cells."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.process

CELLS = '''
import enum
from typing import Generic, TypeVar
import attrs
import numpy as np
import supervisor
from actors import Actor, ActorRef, Array, Request, StreamRequest, message, receive
from actors.gateway import Phrasebook

T = TypeVar("T")
FACTOR = 10

class Colour(enum.Enum):
    RED = "red"

@attrs.frozen
class Point:
    x: float

def scaled(value):
    return value * FACTOR

@message
class Shape(Request[float]):
    at: Point

@message
class Circle(Shape):
    r: float
    colour: Colour = Colour.RED

@message
class Box(Request[T], Generic[T]):
    item: T

@message
class Count(Box[int]):
    pass

@message
class Mean(Request["Point"]):
    data: Array["float64", (None,)]

@message
class Give(StreamRequest[int]):
    to: int

@message
class Have(Request[str]):
    """A child."""

@message
class Say(Request[str]):
    word: str

BOOK, ONLY = Phrasebook({"Say": Say}), Phrasebook.of(Say)

class Polite:
    def greeting(self):
        return f"{type(self).__name__} greets"

class Geometer(Actor):
    origin: Point = Point(0.0)
    @receive
    def circle(self, msg: Circle) -> float:
        return scaled(msg.r) + msg.at.x + self.origin.x

class Assistant(Polite, Geometer):
    other: ActorRef | None = None
    @receive
    async def count(self, msg: Count) -> int:
        return msg.item + 1
    @receive
    def mean(self, msg: Mean) -> Point:
        return Point(float(np.mean(msg.data)))
    @receive
    def give(self, msg: Give):
        yield from range(msg.to)
    @receive
    def have(self, _msg: Have) -> str:
        self.context.spawn(Assistant, name="child", origin=Point(1000.0))
        return self.greeting()
    @receive
    def say(self, msg: Say) -> str:
        return BOOK.read([b"Say", *ONLY.write(msg)]).word

class Heir(Assistant):
    def on_start(self):
        super().on_start()

def inside():
    OFFSET = 7
    @message
    class Local(Request[int]):
        n: int
    class Inner(Actor):
        @receive
        def local(self, msg: Local) -> int:
            return msg.n * FACTOR + OFFSET
    return Local, Inner

Local, Inner = inside()

with supervisor.start() as system:
    first = system.spawn(Geometer, origin=Point(100.0))
    print(first.ask(Circle(Point(1.0), 3.0)).result())
    heir = system.spawn(Heir, name="heir", other=first)
    print(heir.ask(Circle(Point(1.0), 3.0)).result(), heir.ask(Count(4)).result())
    print(list(heir.stream(Give(3))), heir.ask(Mean(np.ones(5))).result())
    print(heir.ask(Have()).result(), system.ref("child").ask(Circle(Point(1.0), 3.0)).result())
    print(system.kill("heir"), heir.ask(Count(4)).result())
    print(system.spawn(Inner).ask(Local(4)).result())
    print(heir.ask(Say("a book came too")).result())
'''

ANSWERS = [
    "131.0",
    "31.0 5",
    "[0, 1, 2] Point(x=1.0)",
    "Heir greets 1031.0",
    "1 5",
    "47",
    "a book came too",
]

CHANGES = """
import threading
import supervisor
from actors import Actor, Request, message, receive

LOCK = threading.Lock()

def locked():
    return LOCK

def attempt(call):
    try:
        print(call())
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0])

@message
class Add(Request[float]):
    x: float
    y: float

class Calculator(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y

Old = Add
system = supervisor.start()
calc = system.spawn(Calculator, name="calc")

@message
class Add(Request[float]):
    x: float
    y: float

attempt(lambda: (calc.ask(Add(1, 2)).result(), calc.ask(Old(1, 2)).result()))
attempt(lambda: system.spawn(Calculator).ask(Add(1, 2)).result())

@message
class Add(Request[float]):
    x: float
    y: float
    z: float

@message
class Sub(Request[float]):
    x: float

attempt(lambda: calc.ask(Add(1, 2, 3)).result())
attempt(lambda: system.spawn(Calculator).ask(Add(1, 2, 3)).result())
attempt(lambda: calc.ask(Sub(1)).result())

class Calculator(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y + msg.z
    @receive
    def sub(self, msg: Sub) -> float:
        return -msg.x

attempt(lambda: system.spawn(Calculator).ask(Add(1, 2, 3)).result())
attempt(lambda: system.spawn(Calculator).ask(Sub(1)).result())
attempt(lambda: (system.kill("calc"), calc.ask(Old(1, 2)).result()))

class Locksmith(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return float(locked() is LOCK)

class Caller(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return calc.ask(msg).result()

attempt(lambda: system.spawn(Locksmith))
attempt(lambda: system.spawn(Caller))
system.close()
"""


@pytest.mark.parametrize("postponed", [False, True])
def test_everything_that_a_cell_can_hold_is_handed_over(postponed, run):
    cells = "from __future__ import annotations\n" + CELLS if postponed else CELLS
    program = run("-", stdin=cells)

    assert program.end() == 0, program.errors
    assert program.output == ANSWERS


@pytest.mark.parametrize("postponed", [False, True])
def test_a_console_inside_a_program_is_a_prompt_too(postponed, run):
    cells = "from __future__ import annotations\n" + CELLS if postponed else CELLS
    console = "import code, sys; push = code.InteractiveConsole().push"
    typed = "for line in sys.stdin.read().splitlines() + ['']: push(line)"
    program = run("-c", f"exec({console + chr(10) + typed!r})", stdin=cells)

    assert program.end() == 0, program.errors
    assert program.output == ANSWERS, program.errors


def test_a_prompt_after_a_script_is_a_prompt(tmp_path, run):
    script = tmp_path / "script.py"
    script.write_text(CELLS[: CELLS.index("class Heir")], encoding="utf-8")
    program = run(
        "-i", "-q", script, stdin="exec(" + repr(CELLS[CELLS.index("class Heir") :]) + ")\n"
    )

    assert program.end() == 0, program.errors
    assert program.output == ANSWERS, program.errors


def test_a_cell_that_is_run_again_counts_for_the_next_spawn(run):
    program = run("-", stdin=CHANGES)

    assert program.end() == 0, program.errors
    another = "the sender has another version of this class"
    assert program.output[:2] == ["(3.0, 3.0)", "3.0"]
    for line in program.output[2:4]:
        assert line.startswith(f"InvalidMessage: Add is not valid: {another}")
        assert line.endswith(
            "run the cell of the actor's class too, stop the actor, and spawn it again"
        )
    assert program.output[4] == (
        "UnknownMessage: no message class __main__:Sub is known here. It was written after this "
        "actor was started: let the actor's class handle it, stop the actor, and spawn it again."
    )
    assert program.output[5:8] == ["6.0", "-1.0", "(1, 3.0)"]
    assert "`LOCK` (lock) cannot be (cannot pickle" in program.output[8]
    assert "`calc` (ActorRef) cannot be" in program.output[9]
    assert len(program.output) == 10


AGAIN = """
import os
import attrs
import supervisor
from actors import Actor, Request, message, receive
from actors.definitions import _OWN

FACTOR = 10

@message
class Times(Request[int]):
    n: int

class Multiplier(Actor):
    @receive
    def times(self, msg: Times) -> int:
        return msg.n * FACTOR

with supervisor.start(INPROC) as system:
    def files():
        directory = os.path.join(system._directory, "definitions")
        return [os.stat(os.path.join(directory, each)) for each in os.listdir(directory)]

    many = [system.spawn(Multiplier, name=f"m{n}") for n in range(4)]
    many[0].ask(Times(0)).result()
    attrs.make_class("Another", ["x"])  # on Python 3.13 this is seen in all that attrs has made
    many.append(system.spawn(Multiplier, name="m4"))
    print([one.ask(Times(n)).result() for n, one in enumerate(many)], len(files()), len(_OWN))
    FACTOR = 100
    other = system.spawn(Multiplier, name="other")
    print(other.ask(Times(1)).result(), len(files()), len(_OWN), {oct(f.st_mode) for f in files()})
    print(system.restart("m4"), many[4].ask(Times(1)).result())
"""


def test_a_class_that_is_spawned_again_and_again_is_written_once(run):
    program = run("-", stdin=AGAIN.replace("INPROC", ""))

    assert program.end() == 0, program.errors
    assert program.output == ["[0, 10, 20, 30, 40] 1 1", "100 2 2 {'0o100600'}", "2 10"]


def test_threads_that_share_a_class_of_the_prompt_need_one_file_too(run):
    program = run("-", stdin=AGAIN.replace("INPROC", "inproc=True"))

    assert program.end() == 0, program.errors
    assert program.output[0] == "[0, 10, 20, 30, 40] 1 1"
