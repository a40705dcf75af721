"""One life of an actor in the simulation: what a process, and `ChildLife`, are for a real one.

Child     what the supervisor holds: words, the flight recorder's page, the end
node      an event loop of its own, in which the real `actors.process.Life` lives
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from actors.blackbox import Record, read
from actors.control import Boot, ClassName, Ending, Failed, Saved, Started, Word
from actors.lifeline import failed
from actors.message import class_name
from actors.process import Life
from actors.recorder import Recorder
from actors.testing.node import Node
from actors.testing.party import Pump
from actors.testing.post import KILLED, Post

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.portal import Portal
    from actors.runtime import Runtime
    from actors.testing.world import World

LAUNCH: Final = 0.005
"""Seconds from the order until the process runs."""

REAP: Final = 0.001
"""Seconds until the supervisor knows of an end."""


class Family(Protocol):
    """What a child needs of the system around it."""

    world: World
    post: Post
    node: Node
    """The supervisor's process."""

    def next_pid(self) -> int:
        """Return a process id."""
        ...

    def find_class(self, name: ClassName) -> type[Actor]:
        """Return an actor class as its process would find it."""
        ...

    def ended(self, code: int | None, signal: int | None) -> Any:
        """Return in the supervisor's words how a process ended."""
        ...


@final
class Child:
    """One life of one child: what `ChildLife` is for a real process."""

    exiting = ""

    def __init__(
        self, house: Family, name: str, incarnation: int, on_word: Callable[..., None]
    ) -> None:
        world = house.world
        self.name = name
        self.incarnation = incarnation
        self.label = f"{name}/{incarnation}"
        self.routing_id = world.random.randbytes(16)
        self.began = world.now
        self.killed = False
        self.expected = False
        self.up = False
        self.begun = True
        self.failure: Failed | None = None
        self.exit: Any = None
        self.peak_memory: int | None = None
        self.verdict = None
        self.last_lines: deque[str] = deque()
        self.page_fd = -1
        self.pid: int | None = None
        self.ended: asyncio.Future[Any] = house.node.loop.create_future()
        self.node: Node | None = None
        self.life: Life | None = None
        self._house = house
        self._world = world
        self._on_word = on_word
        self._page = Recorder.blank()
        self._said: deque[Word] = deque()
        """By the child, and not heard by the supervisor yet."""
        self._told: list[Word] = []
        """By the supervisor, and not heard by the child yet."""
        self._hear: Callable[[], None] | None = None
        self._closed = False

    @property
    def runtime(self) -> Runtime | None:
        """What handles its messages; None before it begins."""
        return getattr(self.life, "_runtime", None)

    @property
    def actor(self) -> Actor | None:
        """The actor itself; None before it begins."""
        return getattr(self.life, "_actor", None)

    def doing(self) -> str:
        """Say what keeps it busy; "" when nothing does."""
        runtime, node = self.runtime, self.node
        if node is not None and node.frozen:
            return f"{self.name} hangs"
        if runtime is None or not self.up:
            return f"{self.name} is starting"
        if runtime.busy or (node is not None and node.parked is not None):
            record = self.record()
            what = class_name(record.in_progress[0].tag) if record.in_progress else "a timer"
            return f"{self.name} is handling {what}"
        return f"{self.name} has messages waiting" if len(runtime.mailbox) else ""

    # --- what the supervisor uses

    def record(self) -> Record:
        """Return what the flight recorder says now."""
        return read(self._page)

    async def launch(self, _launcher: object, _order: object, first: Word) -> None:
        """Start the process."""
        await asyncio.sleep(LAUNCH)
        assert isinstance(first, Boot)
        self.pid = self._house.next_pid()
        node = self.node = Node(self._world, self.name, self.incarnation)
        self._world.nodes.append(node)
        node.on_exit = self._exited
        if self.killed:
            node.die(None, KILLED)
        else:
            node.call(self._begin, first)

    def say(self, word: Word) -> None:
        """Put a word on the lifeline; a child that is gone hears nothing."""
        if not self._closed:
            self._told.append(word)
            self._ring()

    def stack(self) -> str:
        """No process, no stack."""
        return ""

    def listen_to_the_end(self) -> None:
        """Nothing it prints is caught."""

    def kill(self) -> None:
        """SIGKILL, as soon as there is a process."""
        if self.node is not None:
            self.node.die(None, KILLED)

    def abandon(self) -> None:
        """It could not be launched: nobody need wait for its end."""
        self.ended.cancel()

    def close(self) -> None:
        """Nothing more is said or heard."""
        self._closed = True

    # --- the process

    def _begin(self, boot: Boot) -> None:
        node = self.node
        assert node is not None
        lifeline = _Lifeline(self)
        try:
            cls = self._house.find_class(boot.actor)
        except BaseException as error:  # noqa: BLE001 - importing runs user code
            lifeline.say(failed(error, starting=True))
            node.die(1, None)
            return
        life = Life(lifeline, boot, own_process=False, host=b"", connect=self._connect)
        self.life = life
        task = node.loop.create_task(life.live(cls, self._page), name=self.label)
        task.add_done_callback(self._over)

    def _connect(
        self,
        portal: Portal,
        boot: Boot,
        handle: Callable[[], None],
        _alive: Callable[[float], None],
    ) -> Pump:
        assert self.node is not None
        return Pump(self.node, self._house.post, portal, boot.routing_id, handle=handle)

    def _over(self, task: asyncio.Task[int]) -> None:
        """Its life is over in good order: what still runs is cancelled, as `asyncio.run` does."""
        assert self.node is not None
        error = None if task.cancelled() else task.exception()
        code = 1 if task.cancelled() or error is not None else task.result()
        if error is not None:
            self._world.note(self.label, f"the life itself raised {error!r}")
        rest = self.node.loop.tasks
        if rest:
            for other in rest:
                other.cancel()
            self._closing = self.node.loop.create_task(self._close(rest, code))
        else:
            self.node.die(code, None)

    async def _close(self, rest: list[asyncio.Task[Any]], code: int) -> None:
        await asyncio.wait(rest)
        assert self.node is not None
        self.node.die(code, None)

    def _exited(self, code: int | None, signal: int | None) -> None:
        self._world.at(self._world.now + REAP, self._reaped, self._house.ended(code, signal))

    def _reaped(self, how: Any) -> None:
        if not self._house.node.dead:
            self._house.node.loop.call_soon(self._bury, how)

    def _bury(self, how: Any) -> None:
        # Its last words may still be on the lifeline.
        self._listen()
        self.exit = how
        if not self.ended.done():
            self.ended.set_result(how)

    # --- the lifeline

    def speak(self, word: Word) -> None:
        """The child says something."""
        self._said.append(word)
        trace = self._world.trace
        if isinstance(word, Started):
            trace.happened("start", self.name, f"incarnation {self.incarnation} is up")
        elif isinstance(word, Saved):
            trace.happened("save", self.name, word.tag)
        elif isinstance(word, Failed):
            trace.happened("note", self.name, f"raised {word.text}")
            if word.text.startswith("AssertionError"):
                self._world.finish(AssertionError(f"in {self.label}: {word.traceback}"))
        if not self._house.node.dead:
            self._house.node.loop.call_soon(self._listen)

    def _listen(self) -> None:
        while self._said:
            word = self._said.popleft()
            if isinstance(word, Failed) and not word.text.startswith("on_stop"):
                self.failure = word
            elif isinstance(word, Ending):
                self.exiting = word.text
            self._on_word(self, word)

    def _ring(self) -> None:
        if self._hear is not None and self.node is not None and not self.node.dead:
            self.node.loop.call_soon(self._hear)

    def hear(self) -> list[Word]:
        """Return what the supervisor has said."""
        told, self._told = self._told, []
        return told

    def listen(self, hear: Callable[[], None] | None) -> None:
        """The child listens from now on, or (None) no longer."""
        self._hear = hear
        if self._told:
            self._ring()


@final
class _Lifeline:
    """A child's end of its lifeline."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def say(self, word: Word) -> None:
        """Send a word; whatever becomes of the child, it arrives."""
        self._child.speak(word)

    def hear(self) -> list[Word]:
        """Return the words that have arrived."""
        return self._child.hear()

    def ready(self, _seconds: float) -> bool:
        """Asking costs nothing here."""
        return True

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever words have arrived."""
        self._child.listen(hear)

    def deaf(self) -> None:
        """Listen no longer."""
        self._child.listen(None)
