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
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import attrs
from numpy.typing import NDArray

from actors.actor import Actor
from actors.compute.attendance import Attendance
from actors.compute.checkpoint import Checkpoint, checkpoint_of, state_of
from actors.compute.handler import ClientHandler, Serving
from actors.compute.interface import Interface, command, interface_of
from actors.compute.pacing import Pacing
from actors.compute.settings import Settings, unknown
from actors.compute.stage import Stage
from actors.compute.turns import Turn, Turns
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
from actors.message import message
from actors.ref import ActorRef
from actors.requests import StopActor

BEAT_SECONDS: Final = 1.0

MOST_HANDLERS: Final = 16
"""Handlers that one client may have at the same time: each is a process."""

SAVE_SHARE: Final = 10
"""A change is kept at once unless that, changes coming fast, would take more than a tenth."""


@message(tag="understudy:compute.Beat")
class Beat:
    """Time for a heartbeat."""


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
        for _ in range(steps):
            self.step()

    def changed(self, names: frozenset[str]) -> None:
        """These parameters have new values.  What it raises refuses them."""

    def state(self) -> Any:
        """Return a message from which `resume` can go on, or None to begin anew after a crash."""
        return None

    def resume(self, state: Any) -> None:
        """Go on where a former life was: after `begin`, with its parameters already set."""

    # --- its life

    def on_start(self) -> None:
        """Begin."""
        now = time.monotonic()
        self._interface: Interface = interface_of(type(self))
        self._settings = Settings(self, self._interface)
        self._pacing = Pacing(
            steps_per_frame=self.steps_per_frame,
            frames_per_second=self.frames_per_second,
            running=not self.start_paused,
        )
        self._attendance = Attendance(now, limit=self.shutdown * 60.0)
        self._counts: Counter[str] = Counter()
        self._served: dict[str, str] = {}
        self._beat = asyncio.Event()
        self._ended = False
        self._kept_at = -math.inf
        self._keeping = 0.0
        self.begin()
        self._stage = Stage(self._settings, self.context.ring, self._moment)
        self._stage.check()  # a model whose scalars cannot travel does not start
        self._turns = Turns(self.context, self._pacing, advance=self.advance, show=self._stage.show)
        self._turns.come_in(0.0)
        self.context.tell_every(BEAT_SECONDS, Beat())

    def snapshot(self) -> Checkpoint:
        """Keep the parameters, the counters, and what the model says of its state."""
        return checkpoint_of(self._settings.parameters(), self._pacing, self.state())

    def restore(self, state: Checkpoint) -> None:
        """Go on where the former life was."""
        self._settings.take_over(state.parameters)
        self._obey()
        self.begin()
        own = state_of(state, lambda address: self.context.actor(address.name))
        if own is not None:
            self.resume(own)
        steps = 0 if own is None else state.steps
        self._pacing.resume(steps=steps, frames=state.frames, running=state.running)

    @receive
    def turn(self, _msg: Turn) -> None:
        """Do what is to be done now, and come again."""
        if not self._ended:
            self._turns.turn()

    def _moment(self, frame: int) -> Moment:
        return Moment(
            frame=frame,
            incarnation=self.context.incarnation,
            steps=self._pacing.steps,
            running=self._pacing.running,
            taken=time.monotonic(),
            parameters=self._settings.parameters(),
            scalars=self._settings.scalars(),
        )

    # --- what it can be told

    @command
    def start(self) -> None:
        """Step from now on."""
        self._turns.error = ""
        self._pacing.start()

    @command
    def pause(self) -> None:
        """Make no further step."""
        self._pacing.pause()

    @command
    def reset(self) -> None:
        """Begin anew with the parameters of this moment."""
        self.begin()
        self._turns.error = ""
        self._pacing.reset()

    @receive
    def on_command(self, msg: Start | Pause | Reset) -> None:
        """Start, pause or begin anew."""
        self._do(type(msg).__name__.lower())

    @receive
    def on_do(self, msg: Do) -> None:
        """Carry out a command by its name."""
        self._do(msg.name)

    @receive
    def on_step(self, msg: Step) -> None:
        """Make steps while paused."""
        self._note("step")
        self._pacing.step(msg.count)
        self._turns.come_in(0.0)

    @receive
    def on_quit(self, msg: Quit) -> None:
        """End for good, if nobody else is there."""
        self._note("quit")
        others = self._attendance.clients
        if others > 1 and not msg.force:
            raise PermissionError(
                f"{others} clients attend {self.context.name}: leave it to them, or force it"
            )
        self._end()

    def _do(self, name: str) -> None:
        self._note(name if name in self._interface.commands else "unknown")
        if name not in self._interface.commands:
            raise LookupError(unknown(name, "command", self._interface.commands))
        getattr(self, name)()
        self._go_on()

    def _go_on(self) -> None:
        """Somebody has changed something: show it, and lose it no more."""
        self._pacing.changed()
        self._turns.come_in(0.0)
        now = time.monotonic()
        # A large state takes a while to keep: then the next snapshot does it.
        if now - self._kept_at >= SAVE_SHARE * self._keeping:
            self.context.save(self.snapshot())
            self._kept_at = time.monotonic()
            self._keeping = self._kept_at - now

    # --- parameters and outputs

    @receive
    def on_get(self, msg: Get) -> dict[str, Value]:
        """Return values by name."""
        self._note("get")
        if not msg.names:
            return self._settings.parameters()
        return {name: self._settings.value(name) for name in msg.names}

    @receive
    def on_get_array(self, msg: GetArray) -> NDArray[Any]:
        """Return an array of this moment."""
        self._note("get_array")
        return self._settings.array(msg.name)

    @receive
    def on_set(self, msg: Set) -> None:
        """Change all of these parameters, or none."""
        self._note("set")
        before = self._settings.change(msg.values)
        try:
            self._obey()
            self._stage.check()
            self.changed(frozenset(msg.values))
        except BaseException:
            self._settings.put_back(before)
            self._obey()
            raise
        self._go_on()

    def _obey(self) -> None:
        """Let the parameters of the pace and of the end be in force."""
        self._pacing.steps_per_frame = self.steps_per_frame
        self._pacing.frames_per_second = self.frames_per_second
        self._attendance.limit = self.shutdown * 60.0

    # --- who is there, and how it fares

    @receive
    def describe(self, _msg: DescriptionRequest) -> Description:
        """Say what can be said."""
        self._note("describe")
        cls, interface = type(self), self._interface
        parameters = [field.parameter for field in interface.parameters.values()]
        outputs, commands = list(interface.outputs.values()), list(interface.commands.values())
        return Description(cls.__name__, cls.__doc__ or "", parameters, outputs, commands)

    @receive
    def heartbeat(self, _msg: HeartbeatRequest) -> Heartbeat:
        """Say how it fares."""
        self._note("heartbeat")
        return self._heartbeat()

    def _heartbeat(self) -> Heartbeat:
        pacing, attendance = self._pacing, self._attendance
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
            counts=dict(self._counts),
            error=self._turns.error,
        )

    @receive
    async def attend(self, _msg: Attend) -> AsyncIterator[Heartbeat]:
        """Count this reader as a client until it goes."""
        number = self._attendance.enter()
        try:
            while True:
                yield self._heartbeat()
                await self._beat.wait()
        finally:
            self._attendance.leave(number, time.monotonic())

    @receive
    def beat(self, _msg: Beat) -> None:
        """Tell everybody how it fares; end when nobody has been there for long enough."""
        self._beat.set()
        self._beat = asyncio.Event()
        self.context.publish(self._heartbeat())
        if self._attendance.over(time.monotonic()) and not self._ended:
            self.context.log.info("%s ends: nobody uses it", self.context.name)
            self._end()

    @receive
    def handler(self, _msg: HandlerRequest) -> ActorRef:
        """Give whoever asks a handler of its own, which ends with it."""
        client = self.context.sender
        if client is None:
            raise LookupError("whoever asks for a handler must have a name")
        if list(self._served.values()).count(client.name) >= MOST_HANDLERS:
            raise RuntimeError(
                f"{client.name} has {MOST_HANDLERS} handlers of {self.context.name} already, and "
                "each is a process: close views by message that are not needed any more, or look "
                "at several outputs through one handler"
            )
        handler = self.context.spawn(ClientHandler, server=self.context.ref, client=client)
        self._served[handler.name] = client.name
        return handler

    @receive
    def serving(self, msg: Serving) -> None:
        """Count a handler that a former life has made; or no longer one that ends."""
        handler = self.context.sender
        if handler is None:
            return
        if msg.over:
            self._served.pop(handler.name, None)
        else:
            self._served[handler.name] = msg.client

    def _note(self, what: str) -> None:
        self._counts[what] += 1
        self._attendance.heard(time.monotonic())

    def _end(self) -> None:
        self._ended = True
        self.context.actor(SUPERVISOR).tell(StopActor(self.context.name))
