"""How a program uses a computation: the same calls whether it runs here or elsewhere.

with supervisor.connect() as system:
    wave = Computation(system, "wave")
    wave.set(speed=2.0)
    with wave.view("height") as view:
        for frame in view:
            show(frame.array, frame.moment.steps)
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self, final

from numpy.typing import NDArray

from actors.arrays.reader import RingReader
from actors.compute.interface import plain
from actors.compute.stage import moment_of
from actors.compute.words import (
    Attend,
    Description,
    DescriptionRequest,
    Do,
    Frame,
    Get,
    GetArray,
    HandlerRequest,
    Heartbeat,
    HeartbeatRequest,
    Leave,
    Look,
    Pause,
    Quit,
    Reset,
    Set,
    Start,
    Step,
    Value,
)
from actors.errors import (
    ActorError,
    ActorStopped,
    MessageError,
    NoSuchActor,
    NotDelivered,
    OutcomeUnknown,
)
from actors.ref import ActorRef
from actors.seconds import check_seconds
from actors.stream import Stream

LOOK_SECONDS: Final = 5.0
"""Seconds a question for the next frame may wait at the other end."""

GLANCE_SECONDS: Final = 0.1
"""Seconds a wait for a frame in shared memory goes on without a look at how the writer fares."""


class Programs(Protocol):
    """What is needed of a system."""

    def ref(self, name: ActorRef | str, /) -> ActorRef:
        """Return a handle to an actor; `TypeError` for what names none."""
        ...

    def frames(self, ref: ActorRef | str, name: str, /) -> RingReader:
        """Return a reader of an actor's ring."""
        ...


@final
class Computation:
    """A computation, as a program sees it.  Safe from any thread; raises what asks raise."""

    def __init__(self, system: Programs, server: ActorRef | str) -> None:
        self._system = system
        self.ref = system.ref(server)
        """Its actor, for asks of one's own."""

    # --- what it shall do

    def start(self) -> None:
        """Step from now on."""
        self.ref.ask(Start()).result()

    def pause(self) -> None:
        """Make no further step."""
        self.ref.ask(Pause()).result()

    def reset(self) -> None:
        """Begin anew with the parameters of this moment."""
        self.ref.ask(Reset()).result()

    def step(self, count: int = 1) -> None:
        """Make so many steps while paused; returns before they are made.

        Raises `ValueError` while it is running, or for fewer than one.
        """
        self.ref.ask(Step(count)).result()

    def do(self, name: str) -> None:
        """Carry out a command by its name; `LookupError` names those there are."""
        self.ref.ask(Do(name)).result()

    def quit(self, *, force: bool = False) -> None:
        """End it for good; `PermissionError` while others attend, unless forced."""
        self.ref.ask(Quit(force)).result()

    # --- its parameters and outputs

    def get(self, *names: str) -> dict[str, Value]:
        """Return parameters and scalar outputs of this moment; no names: all parameters.

        `LookupError` names those there are.
        """
        return self.ref.ask(Get(list(names))).result()

    def get_array(self, name: str) -> NDArray[Any]:
        """Return an array output of this moment; for more than one, `view` it."""
        return self.ref.ask(GetArray(name)).result()

    def set(self, **values: Any) -> None:
        """Change parameters: all of them or, when one is refused, none.

        Raises `LookupError` for a name that is none, `ValueError` for a value that is refused.
        """
        self.ref.ask(Set({name: plain(value) for name, value in values.items()})).result()

    def describe(self) -> Description:
        """Return its parameters, outputs and commands, with their documentation."""
        return self.ref.ask(DescriptionRequest()).result()

    def heartbeat(self) -> Heartbeat:
        """Return how it fares."""
        return self.ref.ask(HeartbeatRequest()).result()

    def view(self, output: str, *, by_message: bool = False) -> View:
        """Return a view of an array output; this program counts as a client while it is open.

        On the computation's host frames are read from shared memory, elsewhere they come as
        messages; `by_message` has them come so in any case.  `LookupError` for an output that is
        no array.
        """
        arrays = [one.name for one in self.describe().outputs if one.array]
        if output not in arrays:
            have = ", ".join(arrays) or "none"
            raise LookupError(f"{self.ref.name} has no array {output!r:.80}; it has: {have}")
        return View(self._system, self.ref, output, by_message=by_message)


@final
class View:
    """The newest frames of one output, across restarts.  For one thread at a time.

    A slow reader misses frames; it holds up neither the computation nor other readers.
    """

    def __init__(
        self, system: Programs, server: ActorRef, output: str, *, by_message: bool = False
    ) -> None:
        self._server = server
        self._output = output
        self._reader = None if by_message else system.frames(server, output)
        self._handler: ActorRef | None = None
        self._last = (0, 0)
        self._renewed = False
        """Whether it attends in a life of which no frame was seen yet."""
        self._beat: Heartbeat | None = None
        """The newest of this life that was read."""
        self._ended = ""
        """Why the former life has ended."""
        self._attending: Stream[Heartbeat] | None = server.stream(Attend())

    @property
    def by_message(self) -> bool:
        """Whether frames come as messages, because the computation's memory is out of reach."""
        return self._reader is None

    def newest(self) -> Frame | None:
        """Return the newest frame; None when there is none that was not read yet."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> Frame:
        """Return the newest frame as soon as there is one that was not read yet.

        Raises a built-in TimeoutError after `timeout` seconds, which says whether the computation
        is paused, and why; and `ActorStopped` once it has ended for good.
        """
        if timeout is not None:
            check_seconds(timeout)
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, end - time.monotonic())
            frame = self._look(min(left, LOOK_SECONDS))
            if frame is not None:
                return frame
            if time.monotonic() >= end:
                where = f"{self._output} of {self._server.name}"
                raise TimeoutError(f"no new frame of {where} within {timeout:g} s: {self._why()}")

    def __iter__(self) -> Iterator[Frame]:
        """Return frames as they come, each new when the one before was dealt with."""
        while True:
            yield self.wait()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Return frames as they come, in asyncio code; errors are those of `wait`."""
        while True:
            self._check_open()
            found = await self._ask_in_loop() if self._reader is None else self._look_here(0.0)
            frame = self._taken(found)
            if frame is not None:
                yield frame
            elif self._reader is not None:
                await asyncio.sleep(self._reader.pause())

    def close(self) -> None:
        """Look no more, and be no client any more.  Twice is fine."""
        if self._reader is not None:
            self._reader.close()
        attending, self._attending = self._attending, None
        if attending is not None:
            attending.close()
        handler, self._handler = self._handler, None
        if handler is not None:
            with suppress(ActorError):  # whoever has lost us, or has ended, ends it as well
                handler.tell(Leave())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> Stream[Heartbeat]:
        if self._attending is None:
            raise RuntimeError("this view is closed: make a new one")
        return self._attending

    def _look(self, seconds: float) -> Frame | None:
        self._check_open()
        frame = None if self._reader is None else self._look_here(seconds)
        if self._reader is None:
            frame = self._ask(seconds)
        return self._taken(frame)

    def _taken(self, frame: Frame | None) -> Frame | None:
        """Return what was found, once it is known how the computation fares."""
        attending = self._check_open()
        if frame is not None:
            life = frame.moment.incarnation
            if self._last[0] not in (0, life) and not self._renewed:
                # A frame of the next life has overtaken the news that the former one is over.
                attending.close()
                attending = self._attending = self._server.stream(Attend())
                self._beat = None
            self._renewed = self._renewed and life == self._last[0]
            self._last = life, frame.moment.frame
        try:
            self._attending = self._attend(attending)
        except (NoSuchActor, ActorStopped) as error:
            if frame is None:  # what was shown last is seen before the end is told
                raise self._no_more() from error
        return frame

    def _no_more(self) -> ActorStopped:
        name, why = self._server.name, self._ended
        why = f" ({why})" if why not in {"", "stopped"} else ""
        text = f"{name} stopped{why}: no frame will come. Spawn it again, then open a new view."
        return ActorStopped(text, target=name, reason=self._ended)

    def _attend(self, attending: Stream[Heartbeat]) -> Stream[Heartbeat]:
        """Read what is there of the heartbeats; when a life is over, attend in the next one.

        Raises `NoSuchActor` or `ActorStopped` when there will be none.
        """
        while attending.done():
            try:
                self._beat = attending.next()
            except (NoSuchActor, ActorStopped):
                raise
            except (StopIteration, NotDelivered, OutcomeUnknown) as end:
                self._beat = None
                self._ended = getattr(end, "reason", self._ended)
                self._renewed = True
                return self._server.stream(Attend())
        return attending

    def _why(self) -> str:
        """Say why there is no frame, as far as it is known."""
        if self._beat is None:
            return "it has not answered; `understudy status` shows how it fares"
        if self._beat.error:
            return f"it is paused, because its computation raised {self._beat.error}"
        return "it runs" if self._beat.running else "it is paused"

    def _look_here(self, seconds: float) -> Frame | None:
        reader = self._reader
        assert reader is not None
        try:
            found = reader.wait(min(seconds, GLANCE_SECONDS)) if seconds else reader.newest()
        except TimeoutError:
            return None
        except MessageError:  # it lies on another host, or is another user's
            self._reader = None
            reader.close()
            return None
        return None if found is None else Frame(moment_of(found.meta), found.array)

    def _ask(self, seconds: float) -> Frame | None:
        patience = seconds + LOOK_SECONDS
        try:
            if self._handler is None:
                self._handler = self._server.ask(HandlerRequest(), timeout=patience).result()
            question = Look(self._output, self._last, seconds)
            return self._handler.ask(question, timeout=patience).result()
        except (NotDelivered, OutcomeUnknown) as error:
            self._unanswered(error)
        return None

    async def _ask_in_loop(self) -> Frame | None:
        """Do what `_ask` does, in asyncio code."""
        patience = 2 * LOOK_SECONDS
        try:
            if self._handler is None:
                self._handler = await self._server.ask(HandlerRequest(), timeout=patience)
            question = Look(self._output, self._last, LOOK_SECONDS)
            return await self._handler.ask(question, timeout=patience)
        except (NotDelivered, OutcomeUnknown) as error:
            self._unanswered(error)
        return None

    def _unanswered(self, error: NotDelivered | OutcomeUnknown) -> None:
        if isinstance(error, NoSuchActor | ActorStopped):
            self._handler = None  # any other failure it survives, perhaps in its next life
