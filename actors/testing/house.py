"""The supervisor, and the processes it starts, inside the simulation.

    Supervisor, Desk, Exchange, TreeDecider   the real ones, in a process of their own
    ChildLife                                 `Child`: no process, no socket, a page in memory
    Life                                      the real one: `actors.process`

This room stands above both houses: it alone, and `simulation.py`, import the supervisor.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast, final

from actors import classes
from actors.attachments import Memory
from actors.context import Context
from actors.control import SUPERVISOR, ClassName, Word
from actors.envelope import Kind
from actors.peer import Peer
from actors.portal import Portal
from actors.recorder import UnreadRecorder
from actors.runtime import Runtime
from actors.testing.child import Child
from actors.testing.node import Node
from actors.testing.party import Pump, label_of
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
    from actors.testing.post import Post
    from actors.testing.schedule import Schedule
    from actors.testing.world import World

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
        self._pids = FIRST_PID
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
            "simulation", plan, [], self.ask_timeout, {}, b"/", [], 0, "simulation", "", ""
        )
        launches: dict[str, Launch] = {}
        tree = tree_of(plan, launches)
        supervisor = self.supervisor = Supervisor(boot, tree, launches)
        supervisor.child_life = self._child
        supervisor.launcher = cast("Any", None)
        portal = Portal(Peer(SUPERVISOR, 1), Memory(), ask_timeout=self.ask_timeout)
        recorder = UnreadRecorder(UnreadRecorder.blank())
        desk = supervisor.desk = Desk().open(supervisor, portal)
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

    # --- `child.Family`

    def next_pid(self) -> int:
        """Return a process id."""
        self._pids += 1
        return self._pids

    def ended(self, code: int | None, signal: int | None) -> Exit:
        """Return how a process ended."""
        return Exit(code, signal)

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

    @property
    def _pumps(self) -> list[Pump]:
        return [pump for node in self.world.nodes if not node.dead for pump in node.pumps]

    def parties(self) -> set[str]:
        """Return the names by which schedules can mean somebody."""
        return {*self.children, *(label_of(pump.peer.name) for pump in self.programs)}

    def hope(self) -> bool:
        """Whether some ask has a deadline: then not everything is over."""
        return any(pump.peer.calls.next_deadline() < math.inf for pump in self._pumps)

    def waiting(self) -> str:
        """Say who waits for whom."""
        waits = [
            f"{pump.label} for {call.target} to answer {call.message}"
            for pump in self._pumps
            for call in pump.peer.calls.all()
            if call.letter is not None and call.letter.envelope.kind == Kind.ASK
        ]
        path = self._circle()
        if path:
            waits.append(f"that is a circle: {' -> '.join(path)}")
        return "; ".join(waits) or "nobody for an answer"

    def expiring(self) -> None:
        """An ask is about to expire: say so when those who wait do so in a circle."""
        path = self._circle()
        remark = f"ask cycle: {' -> '.join(path)}"
        if path and remark not in self.remarks:
            self.remarks.append(remark)
            self.world.note("", remark)

    def _circle(self) -> list[str]:
        """Return the actors that wait for each other, if any do."""
        waits: dict[str, list[str]] = {}
        for child in self.children.values():
            if child.node is not None and not child.node.dead and child.doing():
                for pump in child.node.pumps:
                    calls = pump.peer.calls.all()
                    waits.setdefault(child.name, []).extend(call.target for call in calls)
        return circle(waits)

    def unsettled(self) -> str:
        """Say what is still going on; "" when nothing is."""
        if self.over:
            return ""
        if not self.supervisor.settled:
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
