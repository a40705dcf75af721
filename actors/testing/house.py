"""The supervisor, and the processes it starts, inside the simulation.

    Supervisor, Desk, Exchange, TreeDecider   the real ones, in a process of their own
    ChildLife                                 `Child`: no process, no socket, a page in memory
    Life                                      the real one: `actors.process`

This room stands above both houses: it alone, and `simulation.py`, import the supervisor.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast, final

from actors import classes
from actors.attachments import Memory
from actors.blackbox import Record, read
from actors.context import Context
from actors.control import SUPERVISOR, Boot, ClassName, Failed, Saved, Started, Word
from actors.envelope import Kind
from actors.failure import trace_of
from actors.peer import Peer
from actors.portal import Portal
from actors.process import Life
from actors.recorder import Recorder
from actors.runtime import Runtime
from actors.testing.node import Node
from actors.testing.party import Pump
from actors.testing.post import KILLED, LATENCY
from supervisor.boot import SupervisorBoot
from supervisor.desk import Desk
from supervisor.exchange import Exchange
from supervisor.launcher import Exit
from supervisor.lives import ChildLife
from supervisor.plan import Launch, plan_tree, tree_of
from supervisor.routing import Routing
from supervisor.spec import Tree
from supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from actors.actor import Actor
    from actors.testing.schedule import Schedule
    from actors.testing.post import Post
    from actors.testing.world import World

LAUNCH: Final = 0.005
"""Seconds from the order until the process runs."""

REAP: Final = 0.001
"""Seconds until the supervisor knows of an end."""

FIRST_PID: Final = 1000


@final
class House:
    """One system: its supervisor and the actors that live."""

    def __init__(
        self, world: World, tree: Tree | None, *, ask_timeout: float, schedule: Schedule
    ) -> None:
        self.world = world
        self.schedule = schedule
        self.ask_timeout = ask_timeout
        self.post: Post
        self.node = Node(world, SUPERVISOR)
        self.known: dict[tuple[str, str], type[Actor]] = {}
        """Classes of the scenario, which need not be importable by their names."""
        self.children: dict[str, Child] = {}
        """The present life of each name."""
        self.supervisor: Supervisor
        self.programs: list[Pump] = []
        """The connections of programs."""
        self.remarks: list[str] = []
        """What may explain a failure."""
        self.over = ""
        """Why there is no system any more."""
        self.pids = FIRST_PID
        self._tree = tree or Tree()
        self.routing_id = self.node.random.randbytes(16)

    def routing(self) -> Routing:
        """Return the mind of a new broker."""
        return Routing(self.routing_id)

    def open(self, post: Post) -> None:
        """Start the supervisor, and the actors of its tree."""
        self.post = post
        self.node.call(self._build)
        self.node.loop.call_soon(self.supervisor.begin)

    def _build(self) -> None:
        plan = plan_tree(self._tree, None)
        boot = SupervisorBoot(
            "simulation", plan, [], self.ask_timeout, {}, "/", [], 0, "simulation", b"", "", ""
        )
        launches: dict[str, Launch] = {}
        tree = tree_of(plan, launches)
        supervisor = self.supervisor = Supervisor(boot, tree, launches, child_life=self._child)
        supervisor.launcher = cast("Any", None)
        portal = Portal(Peer(SUPERVISOR, 1), Memory(), ask_timeout=self.ask_timeout)
        recorder = Recorder(Recorder.blank())
        desk = supervisor.desk = Desk().open(supervisor, portal.notify)
        owner = _Owner()
        runtime = Runtime(desk, portal, recorder=recorder, owner=owner, own_errors=True)
        pump = runtime.pump = Pump(
            self.node, self.post, portal, self.routing_id, handle=runtime.turn
        )
        supervisor.exchange = Exchange(portal.peer, pump.again)
        desk.context = Context(portal, owner)
        runtime.open = True
        supervisor.done.add_done_callback(self._ended)
        self._runtime = runtime

    def _child(self, name: str, incarnation: int, *, on_word: Callable[..., None]) -> ChildLife:
        child = self.children[name] = Child(self, name, incarnation, on_word)
        return cast("ChildLife", child)

    def _ended(self, done: asyncio.Future[str]) -> None:
        self.over = done.result()
        self.world.trace.happened("end", "", f"the system ends: {self.over}")
        self.post.close(self.over)

    # --- `post.Theatre`

    def node_of(self, name: str) -> Node | None:
        """Return the process of a living actor."""
        child = self.children.get(name)
        return child.node if child is not None and child.node and not child.node.dead else None

    def crash_supervisor(self) -> None:
        """End the supervisor: its children, and the broker, end with it."""
        self.over = "the supervisor process has died"
        for child in self.children.values():
            if child.node is not None:
                child.node.die(None, KILLED)
        self.node.die(None, KILLED)
        self.world.at(self.world.now + LATENCY, self._lose)

    def _lose(self) -> None:
        """Every program learns that the system is over."""
        for pump in self.programs:
            pump.node.call(pump.portal.lose, self.over)

    # --- how things stand

    def waiting(self) -> str:
        """Say who waits for whom."""
        pumps = [pump for node in self.world.nodes if not node.dead for pump in node.pumps]
        waits = [
            f"{pump.label} for {call.target} to answer {call.message}"
            for pump in pumps
            for call in pump.peer.calls.all()
            if call.letter is not None and call.letter.envelope.kind == Kind.ASK
        ]
        return "; ".join(waits) or "nobody for an answer"

    def expiring(self) -> None:
        """An ask is about to expire: say so when those who wait do so in a circle."""
        waits: dict[str, list[str]] = {}
        for child in self.children.values():
            if child.node is not None and not child.node.dead and child.doing():
                for pump in child.node.pumps:
                    calls = pump.peer.calls.all()
                    waits.setdefault(child.name, []).extend(call.target for call in calls)
        path = circle(waits)
        remark = f"ask cycle: {' -> '.join(path)}"
        if path and remark not in self.remarks:
            self.remarks.append(remark)
            self.world.note("", remark)

    def unsettled(self) -> str:
        """Say what is still going on; "" when nothing is."""
        if self.over:
            return ""
        if not self.supervisor._tree.is_up:  # noqa: SLF001
            return "an actor is being started"
        if self.post.in_flight:
            return "messages are on their way"
        living = [child for child in self.children.values() if child.node and not child.node.dead]
        for child in living:
            doing = child.doing()
            if doing:
                return doing
        pumps = [pump for child in living if child.node for pump in child.node.pumps]
        for pump in (*pumps, *self.programs):
            waits = unfinished(pump)
            if waits:
                return waits
        return ""

    def find_class(self, name: ClassName) -> type[Actor]:
        """Return an actor class as its process would find it."""
        found = self.known.get((name.module, name.qualname))
        if found is not None:
            return found
        if name.script:
            here: Any = sys.modules.get("__main__")
            for part in name.qualname.split("."):
                here = getattr(here, part, None)
            if isinstance(here, type):
                return here
        return classes.load(name)


@final
class Child:
    """One life of one child: what `ChildLife` is for a real process."""

    def __init__(
        self, house: House, name: str, incarnation: int, on_word: Callable[..., None]
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
        self.failure: Failed | None = None
        self.exit: Exit | None = None
        self.peak_memory: int | None = None
        self.page_fd = -1
        self.pid: int | None = None
        self.ended: asyncio.Future[Exit] = house.node.loop.create_future()
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
            what = record.in_progress[0].tag.rpartition(":")[2] if record.in_progress else "a timer"
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
        self._house.pids += 1
        self.pid = self._house.pids
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
            text = f"{type(error).__name__}: {error}"
            lifeline.say(Failed(text, trace_of(error), starting=True))
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
        self._world.at(self._world.now + REAP, self._reaped, Exit(code, signal))

    def _reaped(self, how: Exit) -> None:
        if not self._house.node.dead:
            self._house.node.loop.call_soon(self._bury, how)

    def _bury(self, how: Exit) -> None:
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


def circle(waits: dict[str, list[str]]) -> list[str]:
    """Return the first circle among who waits for whom, its beginning repeated at the end."""
    for start in waits:
        paths = [[start]]
        seen = {start}
        while paths:
            path = paths.pop()
            for name in waits.get(path[-1], ()):
                if name == start:
                    return [*path, start]
                if name not in seen:
                    seen.add(name)
                    paths.append([*path, name])
    return []


def unfinished(pump: Pump) -> str:
    """Say what a party waits for; "" when for nothing."""
    for call in pump.peer.calls.all():
        letter = call.letter
        if letter is not None and letter.envelope.kind == Kind.ASK:
            return f"{pump.label} waits for {call.target} to answer {call.message}"
    for link in pump.peer.links.values():
        if not link.out.idle:
            return f"{pump.label} has messages for {link.name}"
    return ""


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

    def listen(self, hear: Callable[[], None]) -> None:
        """Call `hear` whenever words have arrived."""
        self._child.listen(hear)

    def deaf(self) -> None:
        """Listen no longer."""
        self._child.listen(None)


@final
class _Owner:
    """The desk lives as long as the supervisor."""

    def say(self, word: Word) -> None:
        """Nobody is above the supervisor."""

    def end(self, code: int, reason: str) -> None:
        """A request that raised is answered with its error; the desk goes on."""

    def tell_self(self, msg: object) -> None:
        """The desk uses no timers."""

    def save(self, state: object) -> None:
        """The desk has no state to save."""

    def progress(self) -> None:
        """The desk is never judged."""
