"""The user's programs in these tests: `python scenes.py NAME [ARGUMENT]`, a JSON line per event."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import supervisor
from actors import Actor, ActorRef, Request, message, receive
from actors.errors import ActorError


@message
class Add(Request[float]):
    x: float
    y: float


@message
class Who(Request[int]):
    """The actor's process id."""


@message
class Leave(Request[int]):
    """Start a program that would run for long; its process id."""


@message
class Surroundings(Request[list[str]]):
    variable: str


@message
class Write:
    text: str


@message
class Count(Request[int]):
    """How often `Write` was handled."""


@message
class Say:
    text: str
    to: str = "stdout"


@message
class Flood:
    size: int


@message
class Bomb:
    """Stay in C for ever, holding the interpreter's lock."""


@message
class Spin:
    """Stay in Python for ever."""


@message
class Slow(Request[float]):
    seconds: float


@message(redeliver=True)
class Carry(Request[int]):
    """Work for a pool: its number, after a while."""

    number: int
    seconds: float = 0.0


@message
class Hold(Request[int]):
    """Work that never ends."""


class Mover(Actor):
    """Writes down what it begins: number, attempt, name."""

    ledger: str

    @receive
    def carry(self, msg: Carry) -> int:
        with Path(self.ledger).open("a", encoding="utf-8") as book:
            book.write(f"{msg.number} {self.context.attempt} {self.context.name}\n")
        time.sleep(msg.seconds)
        return msg.number

    @receive
    def hold(self, msg: Hold) -> int:
        threading.Event().wait()
        return 0


@message
class SpawnOne(Request[str]):
    """Start another actor."""

    name: str


class Parent(Actor):
    @receive
    def spawn_one(self, msg: SpawnOne) -> str:
        return self.context.spawn(Player, name=msg.name).name


@message
class Recite(Request[list[int]]):
    """Say which incarnation takes it, and as its how manieth."""

    number: int


@message
class Hand(Request[int]):
    """Ask the other one so many times."""

    times: int


class Player(Actor):
    path: str = ""
    slow_stop: float = 0.0
    slow_start: float = 0.0
    marks: bool = False  # write down the name and the life at its start and its end
    fails_if: str = ""  # while this file is there it does not start

    def on_start(self) -> None:
        time.sleep(self.slow_start)
        if self.fails_if and Path(self.fails_if).exists():
            raise RuntimeError("broken")
        self.written = 0
        if self.marks:
            self.note(f"+{self.context.name}/{self.context.incarnation}")

    def on_stop(self, _reason: str) -> None:
        time.sleep(self.slow_stop)
        self.note(f"-{self.context.name}/{self.context.incarnation}" if self.marks else "stopped")

    def note(self, text: str) -> None:
        if self.path:
            with Path(self.path).open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y

    @receive
    def who(self, _msg: Who) -> int:
        return os.getpid()

    @receive
    def leave(self, _msg: Leave) -> int:
        return subprocess.Popen(["sleep", "1000"]).pid

    @receive
    def surroundings(self, msg: Surroundings) -> list[str]:
        return [str(Path.cwd()), os.environ.get(msg.variable, ""), *sys.path]

    @receive
    def write(self, msg: Write) -> None:
        self.written += 1
        self.note(msg.text)

    @receive
    def count(self, _msg: Count) -> int:
        return self.written

    @receive
    def say(self, msg: Say) -> None:
        stream = getattr(sys, msg.to)
        stream.write(msg.text)
        stream.flush()

    @receive
    def flood(self, msg: Flood) -> None:
        sys.stdout.write(("x" * 99 + "\n") * (msg.size // 100))
        sys.stdout.flush()

    @receive
    def bomb(self, _msg: Bomb) -> None:
        re.match(r"(a+)+$", "a" * 60 + "b")

    @receive
    def spin(self, _msg: Spin) -> None:
        while True:
            pass

    @receive
    def slow(self, msg: Slow) -> float:
        self.note("begun")
        time.sleep(msg.seconds)
        self.note("done")
        return msg.seconds


class Reciter(Actor):
    """Counts, and asks somebody else."""

    other: ActorRef | None = None

    def on_start(self) -> None:
        self.recited = 0

    @receive
    def who(self, _msg: Who) -> int:
        return os.getpid()

    @receive
    def recite(self, _msg: Recite) -> list[int]:
        self.recited += 1
        return [self.context.incarnation, self.recited]

    @receive
    async def hand(self, msg: Hand) -> int:
        assert self.other is not None
        for number in range(msg.times):
            assert await self.other.ask(Add(number, 1)) == number + 1
        return msg.times


def tell(**facts: Any) -> None:
    """Say what happened to the test that runs this program."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def attempt(call: Any) -> str:
    """Return the error that a call ends with, as a line of text."""
    try:
        call()
    except (ActorError, OSError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


# --- programs -------------------------------------------------------------------------------------


def hello() -> None:
    """The first minute."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        first = player.ask(Add(1, 2)).result()
        killed = system.kill("player")
        tell(first=first, killed=killed, second=player.ask(Add(3, 4)).result())


def hello_async() -> None:
    """The same from an asyncio program."""

    async def main() -> None:
        async with supervisor.start() as system:
            player = system.spawn(Player, name="player")
            first = await player.ask(Add(1, 2))
            killed = await asyncio.to_thread(system.kill, "player")
            tell(first=first, killed=killed, second=await player.ask(Add(3, 4)))

    asyncio.run(main())


def from_thread() -> None:
    """The system outlives the thread that has started it."""
    found: list[supervisor.System] = []
    thread = threading.Thread(target=lambda: found.append(supervisor.start()))
    thread.start()
    thread.join()
    with found[0] as system:
        player = system.spawn(Player, name="player")
        first = player.ask(Add(1, 2)).result()
        killed = system.kill("player")
        tell(first=first, killed=killed, second=player.ask(Add(3, 4)).result())


def surroundings() -> None:
    """What an actor finds around itself."""
    os.environ["SCENE"] = "changed by the program"
    sys.path.append("/nowhere/in/particular")
    with supervisor.start() as system:
        tell(found=system.spawn(Player).ask(Surroundings("SCENE")).result())


def hold() -> None:
    """A busy system that somebody is about to kill."""
    system = supervisor.start()
    names = ("idle", "bombed", "spinning")
    idle, bombed, spinning = (system.spawn(Player, name=name) for name in names)
    pids = [player.ask(Who()).result() for player in (idle, bombed, spinning)]
    grandchildren = [player.ask(Leave()).result() for player in (idle, bombed, spinning)]
    bombed.tell(Bomb())
    spinning.tell(Spin())
    until(lambda: [actor.current for actor in system.status().actors].count("") == 1)
    directory = str(system._directory)
    tell(supervisor=system.pid, actors=pids, grandchildren=grandchildren, directory=directory)
    wait()


def forked() -> None:
    """A program with forked children: one that unwinds, then one that stays."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        before = player.ask(Who()).result()
        child = os.fork()
        if child == 0:
            sys.exit(3)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        same = player.ask(Who()).result() == before
        staying = os.fork()
        if staying == 0:
            wait()
        tell(code=code, same=same, child=staying, system=[system.pid, before])
        wait()


def wait() -> None:
    """Wait for the end.  In steps: a signal that comes just before a wait does not end it."""
    while True:
        time.sleep(0.05)


async def wait_in_loop() -> None:
    """The same in asyncio."""
    while True:  # noqa: ASYNC110 - nothing is waited for
        await asyncio.sleep(0.05)


def until(condition: Any, seconds: float = 20.0) -> None:
    """Wait for a condition of the running system."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the system never came to that")
        time.sleep(0.01)


def work(path: str) -> None:
    """Wait in the `with` block while an actor has a message in progress and more to come."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player", path=path)
        player.ask(Slow(0.5))
        for number in range(100):
            player.tell(Write(str(number)))
        until(lambda: Path(path).exists())
        try:
            tell(pid=system.pid)
            wait()
        finally:
            tell(unwound=True)


def work_async(path: str) -> None:
    """The same in asyncio."""

    async def main() -> None:
        async with supervisor.start() as system:
            player = system.spawn(Player, name="player", path=path)
            reply = player.ask(Slow(0.5))
            for number in range(100):
                player.tell(Write(str(number)))
            await asyncio.to_thread(until, lambda: Path(path).exists())
            try:
                tell(pid=system.pid)
                await wait_in_loop()
            finally:
                tell(unwound=True)
                del reply

    asyncio.run(main())


def stop_slowly(path: str) -> None:
    """An actor whose `on_stop` takes longer than anybody wants to wait."""
    with supervisor.start() as system:
        system.spawn(Player, name="player", path=path, slow_stop=60.0)
        try:
            tell(pid=system.pid)
            wait()
        finally:
            tell(unwound=True)


def leave_slowly(path: str, how: str) -> None:
    """The program is leaving by itself, and an actor takes its time to stop."""
    player = supervisor.Child(Player, name="player", path=path, slow_stop=4.0, grace=15.0)
    system = supervisor.start(supervisor.Tree(children=[player]))
    system.wait_ready()
    tell(pid=system.pid)

    async def block(seconds: float | None = None) -> None:
        async with asyncio.timeout(seconds), system:
            pass

    if how == "async with":
        asyncio.run(block())
    elif how == "cancelled":
        asyncio.run(block(2.5))
    elif how != "at exit":
        with system:
            if how == "with an error":
                raise ValueError("the reason")


def interrupted(doing: str) -> None:
    """Ctrl-C while something of ours takes its time."""
    if doing == "start":
        tell(doing=doing)
    with supervisor.start() as system:
        if doing == "spawn":
            tell(doing=doing)
            system.spawn(Player, name="player", slow_start=3.0)
        player = system.spawn(Player, name="player")
        reply = player.ask(Slow(20.0))
        tell(doing=doing)
        if doing == "ask":
            reply.result()


def unwind_slowly(path: str) -> None:
    """The program itself takes its time when it is told to end."""
    with supervisor.start() as system:
        system.spawn(Player, name="player", path=path, slow_stop=60.0)
        try:
            tell(pid=system.pid)
            wait()
        finally:
            tell(unwound=True)
            wait()


def tell_and_exit(path: str) -> None:
    """Many tells, and no word of waiting."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player", path=path)
        for number in range(10_000):
            player.tell(Write(str(number)))


def output() -> None:
    """Everything an actor can print."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        player.tell(Say("a whole line\n"))
        player.tell(Say("half a line, "))
        player.tell(Say("and its other half\n"))
        player.tell(Say("an error\n", to="stderr"))
        player.tell(Say("ünï¢ødé ☃\n"))
        player.tell(Say("an escape \x1b[2J in it\n"))
        player.tell(Flood(1_000_000))
        player.ask(Add(1, 2)).result()
        player.tell(Say("no end of line"))


def flood() -> None:
    """An actor prints while nobody reads."""
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        player.tell(Flood(20_000_000))
        other = system.spawn(Player, name="other")
        sys.stderr.write(f"answered {other.ask(Add(1, 2)).result()}\n")
        sys.stderr.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
