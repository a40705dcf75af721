"""An actor that computes step by step, while others watch and steer.

    controllers ── Set, Pause ... ──► ComputeServer ── shared memory ──► viewers of this host
                                           │                     └─────► a handler each for others
                                           └── Heartbeat, an event a second ──► who subscribes

Steps run between messages: a few at a time, never so many that a message would wait for long.
`pacing.py` decides when to step and when to show, `turns.py` does it, `attendance.py` says who is
there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final

import attrs
from numpy.typing import NDArray

from actors.actor import Actor
from actors.compute.attendance import Attendance, Service
from actors.compute.checkpoint import Checkpoint, checkpoint_of, state_of
from actors.compute.handler import ClientHandler, Serving
from actors.compute.interface import Interface, command, interface_of
from actors.compute.keeping import Keep, Keeping
from actors.compute.pacing import Pacing
from actors.compute.settings import Settings, unknown
from actors.compute.stage import Stage
from actors.compute.turns import Beat, Turn, Turns
from actors.compute.words import (
    Attend,
    Description,
    DescriptionRequest,
    Do,
    Get,
    GetArray,
    HandlerRequest,
    Heartbeat,
    HeartbeatRequest,
    Moment,
    Pause,
    Quit,
    Reset,
    Set,
    Start,
    Step,
    Value,
)
from actors.control import SUPERVISOR
from actors.handler import receive
from actors.ref import ActorRef
from actors.requests import KnownNames, StopActor

BEAT_SECONDS: Final = 1.0


class ComputeServer(Actor):
    """The base of a computation that goes on step by step.

    A subclass says how to `begin` and how to `step`; its annotated fields of plain types are
    parameters, which clients may set while it runs (those with `on_setattr=attrs.setters.frozen`
    only at the spawn); methods marked `@output` are what it shows, `@command` what else it can be
    told.  A step that raises pauses the computation, and every heartbeat says why.  A step that may
    take longer than `Limits(handler_seconds=)` calls `self.context.progress()`.
    """

    steps_per_frame: Annotated[int, "steps between two frames"] = attrs.field(
        default=20, validator=attrs.validators.ge(1), kw_only=True
    )
    frames_per_second: Annotated[float, "frames per second, at the most"] = attrs.field(
        default=80.0, validator=attrs.validators.gt(0), kw_only=True
    )
    shutdown: Annotated[float, "minutes without clients after which it ends"] = attrs.field(
        default=math.inf, validator=attrs.validators.ge(0), kw_only=True
    )
    start_paused: Annotated[bool, "wait for a start, rather than step at once"] = attrs.field(
        default=False, kw_only=True, on_setattr=attrs.setters.frozen
    )

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__attrs_attrs__" in vars(cls):
            interface_of(cls)

    # --- what a model says

    def begin(self) -> None:
        """Make the initial state from the parameters: at the start, and at each reset."""

    def step(self) -> None:
        """Go on by one step."""
        raise NotImplementedError(f"{type(self).__name__} has no step(): write it")

    def advance(self, steps: int) -> None:
        """Go on by so many steps; for models that make several at once faster than one by one."""
        for made in range(steps):
            self.__made = made
            self.step()

    def changed(self, names: frozenset[str]) -> None:
        """These parameters have new values.

        What it raises refuses them: it is called once more when they have their former ones again.
        """

    def state(self) -> Any:
        """Return a message from which `resume` can go on, or None to begin anew after a crash."""
        return None

    def resume(self, state: Any) -> None:
        """Go on where a former life was: after `begin`, with its parameters already set."""

    # --- its life; what is private has two underscores, since a model has attributes of its own

    def on_start(self) -> None:
        """Begin."""
        now = time.monotonic()
        self.__interface: Interface = interface_of(type(self))
        self.__settings = Settings(self, self.__interface)
        self.__pacing = Pacing(
            steps_per_frame=self.steps_per_frame,
            frames_per_second=self.frames_per_second,
            running=not self.start_paused,
        )
        self.__attendance = Attendance(now, limit=self.shutdown * 60.0)
        self.__counts: Counter[str] = Counter()
        self.__service = Service()
        self.__beat = asyncio.Event()
        self.__ended = False
        self.__made = 0
        self.__keeping = Keeping(self.context, self.snapshot)
        self.begin()
        self.__stage = Stage(self.__settings, self.context.ring, self.__moment)
        self.__stage.check()  # a model whose scalars cannot travel does not start
        self.__turns = Turns(
            self.context, self.__pacing, advance=self.__advance, show=self.__stage.show
        )
        self.__turns.come_in(0.0)
        self.context.tell_every(BEAT_SECONDS, Beat())

    def snapshot(self) -> Checkpoint:
        """Keep the parameters, the counters, and what the model says of its state."""
        return checkpoint_of(self.__settings.parameters(), self.__pacing, self.state())

    def restore(self, state: Checkpoint) -> None:
        """Go on where the former life was."""
        self.__settings.take_over(state.parameters)
        self.__obey()
        self.begin()
        own = state_of(state, lambda address: self.context.actor(address.name))
        if own is not None:
            self.resume(own)
        steps = 0 if own is None else state.steps
        self.__pacing.resume(steps=steps, frames=state.frames, running=state.running)

    @receive
    def turn(self, _msg: Turn) -> None:
        """Do what is to be done now, and come again."""
        if not self.__ended:
            self.__turns.turn()

    def __advance(self, steps: int) -> None:
        self.__made, begun = 0, time.perf_counter()
        try:
            self.advance(steps)
        except BaseException:
            if self.__made:  # what was stepped before the one that raised has been stepped
                self.__pacing.stepped(self.__made, time.perf_counter() - begun)
            raise

    def __moment(self, frame: int) -> Moment:
        return Moment(
            frame=frame,
            incarnation=self.context.incarnation,
            steps=self.__pacing.steps,
            running=self.__pacing.running,
            taken=time.monotonic(),
            parameters=self.__settings.parameters(),
            scalars=self.__settings.scalars(),
        )

    # --- what it can be told

    @command
    def start(self) -> None:
        """Step from now on."""
        self.__turns.error = ""
        self.__pacing.start()

    @command
    def pause(self) -> None:
        """Make no further step."""
        self.__pacing.pause()

    @command
    def reset(self) -> None:
        """Begin anew with the parameters of this moment."""
        self.begin()
        self.__turns.error = ""
        self.__pacing.reset()

    @receive
    def on_command(self, msg: Start | Pause | Reset) -> None:
        """Start, pause or begin anew."""
        self.__do(type(msg).__name__.lower())

    @receive
    def on_do(self, msg: Do) -> None:
        """Carry out a command by its name."""
        self.__do(msg.name)

    @receive
    def on_step(self, msg: Step) -> None:
        """Make steps while paused."""
        self.__note("step")
        self.__pacing.step(msg.count)
        self.__turns.come_in(0.0)

    @receive
    def on_quit(self, msg: Quit) -> None:
        """End for good, if nobody else is there."""
        self.__note("quit")
        others = self.__attendance.others(self.__sender())
        if others and not msg.force:
            raise PermissionError(
                f"others attend {self.context.name} ({others}): leave it to them, or force it"
            )
        self.__end()

    def __do(self, name: str) -> None:
        self.__note(name if name in self.__interface.commands else "unknown")
        if name not in self.__interface.commands:
            raise LookupError(unknown(name, "command", self.__interface.commands))
        getattr(self, name)()
        self.__go_on()

    def __go_on(self) -> None:
        """Somebody has changed something: show it, and lose it no more."""
        self.__pacing.changed()
        self.__turns.come_in(0.0)
        self.__keeping.changed()

    @receive
    def on_keep(self, _msg: Keep) -> None:
        """Keep what was changed meanwhile."""
        self.__keeping.due()

    # --- parameters and outputs

    @receive
    def on_get(self, msg: Get) -> dict[str, Value]:
        """Return values by name."""
        self.__note("get")
        if not msg.names:
            return self.__settings.parameters()
        return {name: self.__settings.value(name) for name in msg.names}

    @receive
    def on_get_array(self, msg: GetArray) -> NDArray[Any]:
        """Return an array of this moment."""
        self.__note("get_array")
        return self.__settings.array(msg.name)

    @receive
    def on_set(self, msg: Set) -> None:
        """Change all of these parameters, or none."""
        self.__note("set")
        before = self.__settings.change(msg.values)
        try:
            self.__obey()
            self.__stage.check()
            self.__tell_model(frozenset(msg.values), before)
        except BaseException:
            self.__settings.put_back(before)
            self.__obey()
            raise
        self.__go_on()

    def __tell_model(self, names: frozenset[str], before: Mapping[str, Any]) -> None:
        try:
            self.changed(names)
        except BaseException:
            # It may have followed some of the new values before it came to what it refuses.
            self.__settings.put_back(before)
            try:
                self.changed(names)
            except Exception:
                text = "changed() of %s raised with the former parameters too, so it may differ now"
                self.context.log.exception(text, self.context.name)
            raise

    def __obey(self) -> None:
        """Let the parameters of the pace and of the end be in force."""
        self.__pacing.steps_per_frame = self.steps_per_frame
        self.__pacing.frames_per_second = self.frames_per_second
        self.__attendance.limit = self.shutdown * 60.0

    # --- who is there, and how it fares

    @receive
    def describe(self, _msg: DescriptionRequest) -> Description:
        """Say what can be said."""
        self.__note("describe")
        cls, interface = type(self), self.__interface
        parameters = [field.parameter for field in interface.parameters.values()]
        outputs, commands = list(interface.outputs.values()), list(interface.commands.values())
        return Description(cls.__name__, cls.__doc__ or "", parameters, outputs, commands)

    @receive
    def heartbeat(self, _msg: HeartbeatRequest) -> Heartbeat:
        """Say how it fares."""
        self.__note("heartbeat")
        return self.__heartbeat()

    def __heartbeat(self) -> Heartbeat:
        pacing, attendance = self.__pacing, self.__attendance
        return Heartbeat(
            name=self.context.name,
            incarnation=self.context.incarnation,
            running=pacing.running,
            steps=pacing.steps,
            frames=pacing.frames,
            ms_per_step=pacing.step_seconds * 1000.0,
            attainable_fps=pacing.attainable,
            clients=attendance.clients,
            ends_in=attendance.left(time.monotonic()) / 60.0,
            counts=dict(self.__counts),
            error=self.__turns.error,
        )

    @receive
    async def attend(self, _msg: Attend) -> AsyncIterator[Heartbeat]:
        """Count this reader as a client until it goes."""
        number = self.__attendance.enter(self.__sender())
        try:
            while True:
                yield self.__heartbeat()
                await self.__beat.wait()
        finally:
            self.__attendance.leave(number, time.monotonic())

    @receive
    def beat(self, _msg: Beat) -> None:
        """Tell everybody how it fares; end when nobody has been there for long enough."""
        self.__beat.set()
        self.__beat = asyncio.Event()
        self.context.publish(self.__heartbeat())
        if self.__attendance.over(time.monotonic()) and not self.__ended:
            self.context.log.info("%s ends: nobody uses it", self.context.name)
            self.__end()

    @receive(concurrent=True)
    async def handler(self, _msg: HandlerRequest) -> ActorRef:
        """Give whoever asks a handler of its own, which ends with it."""
        client = self.context.sender
        if client is None:
            raise LookupError("whoever asks for a handler must have a name")
        if self.__service.is_full(client.name):
            await self.__look_who_serves()
            self.__service.check(client.name, self.context.name)
        handler = self.context.spawn(ClientHandler, server=self.context.ref, client=client)
        self.__service.begin(handler.name, client.name)
        return handler

    async def __look_who_serves(self) -> None:
        """Count those no more that are over and have not said so: killed, or never begun."""
        # The answer is read between two steps, so nobody waits for it who need not.
        names = self.__service.handlers
        known = await self.context.actor(SUPERVISOR).ask(KnownNames(names))
        for name in set(names).difference(known):
            self.__service.end(name)

    @receive
    def on_serving(self, msg: Serving) -> None:
        """Count a handler that a former life has made; or no longer one that ends."""
        handler = self.context.sender
        if handler is None:
            return
        if msg.over:
            self.__service.end(handler.name)
        else:
            self.__service.begin(handler.name, msg.client)

    def __sender(self) -> str:
        sender = self.context.sender
        return "" if sender is None else sender.name

    def __note(self, what: str) -> None:
        self.__counts[what] += 1
        self.__attendance.heard(time.monotonic())

    def __end(self) -> None:
        self.__ended = True
        self.context.actor(SUPERVISOR).tell(StopActor(self.context.name))
