"""What one says to a computation, and what it says of itself.

Start Pause Reset Step Quit Do       what it shall do
Get Set                              its parameters and outputs
DescriptionRequest HeartbeatRequest  what can be said, and how it fares
Attend                               "I am here", for as long as the stream is open
Look Leave                           to a client's handler: the newest frame; no more
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
from numpy.typing import NDArray

from actors.message import Request, StreamRequest, message
from actors.ref import ActorRef
from actors.seconds import check_seconds

Value: TypeAlias = bool | int | float | str | list[float] | None
"""What a parameter or a scalar output is on its way: plain data."""


def _time_span(_message: object, attribute: attrs.Attribute[float], value: object) -> None:
    check_seconds(value, attribute.name)


@message(tag="understudy:compute.Start")
class Start(Request[None]):
    """Step from now on."""


@message(tag="understudy:compute.Pause")
class Pause(Request[None]):
    """Make no further step."""


@message(tag="understudy:compute.Reset")
class Reset(Request[None]):
    """Begin anew with the parameters of this moment; it runs, or is paused, as before."""


@message(tag="understudy:compute.Step")
class Step(Request[None]):
    """Make so many steps while paused; answered at once."""

    count: int = 1


@message(tag="understudy:compute.Quit")
class Quit(Request[None]):
    """End the computation for good.

    Refused with a `PermissionError` while others attend, unless forced.
    """

    force: bool = False


@message(tag="understudy:compute.Do")
class Do(Request[None]):
    """Carry out a command by its name: `start`, `pause`, `reset`, or one of the model's own."""

    name: str


@message(tag="understudy:compute.Get")
class Get(Request[dict[str, Value]]):
    """Parameters and scalar outputs of this moment, by name; no names: all parameters."""

    names: list[str] = attrs.field(factory=list[str])


@message(tag="understudy:compute.GetArray")
class GetArray(Request[NDArray[Any]]):
    """An array output of this moment."""

    name: str


@message(tag="understudy:compute.Set")
class Set(Request[None]):
    """Change parameters: all of them, or, when one is refused, none."""

    values: dict[str, Value]


@message(tag="understudy:compute.Parameter")
class Parameter:
    """A value that steers the computation."""

    name: str
    type: str
    """As it is written in the class."""
    doc: str
    live: bool
    """Whether it can be set while the computation lives."""


@message(tag="understudy:compute.Output")
class Output:
    """Something the computation shows."""

    name: str
    doc: str
    array: bool
    """An array, in a ring of this name; else a scalar, which goes with every frame."""


@message(tag="understudy:compute.Command")
class Command:
    """Something the computation can be told to do."""

    name: str
    doc: str


@message(tag="understudy:compute.Description")
class Description:
    """What can be said to a computation."""

    model: str
    doc: str
    parameters: list[Parameter]
    outputs: list[Output]
    commands: list[Command]


@message(tag="understudy:compute.DescriptionRequest")
class DescriptionRequest(Request[Description]):
    """What can be said to you?"""


@message(tag="understudy:compute.Heartbeat")
class Heartbeat:
    """How a computation fares; also published as an event, once a second."""

    name: str
    incarnation: int
    running: bool
    steps: int
    """Since the beginning, or the last reset."""
    frames: int
    ms_per_step: float
    """Mean over the latest steps; 0 before the first."""
    attainable_fps: float
    """Frames per second it could show if `frames_per_second` did not hold it back."""
    clients: int
    """Streams of `Attend` that are open."""
    ends_in: float
    """Minutes until it ends by itself if nobody comes; inf: never."""
    counts: dict[str, int]
    """How often each command came in this life: `get`, `set`, `pause` ..."""
    error: str
    """Why the last step or frame failed, which paused it; "" when all is well."""


@message(tag="understudy:compute.HeartbeatRequest")
class HeartbeatRequest(Request[Heartbeat]):
    """How do you fare?"""


@message(tag="understudy:compute.Attend")
class Attend(StreamRequest[Heartbeat]):
    """I am here as long as this stream is open: a heartbeat now, and one every second."""


@message(tag="understudy:compute.Moment")
class Moment:
    """What goes with every frame: when it was, and what was in force."""

    frame: int
    """Shown so far; with the incarnation, a later frame has a larger one."""
    incarnation: int
    steps: int
    running: bool
    taken: float
    """Seconds, `time.monotonic` of the computation's host."""
    parameters: dict[str, Value]
    scalars: dict[str, Value]


@message(tag="understudy:compute.Frame")
class Frame:
    """One frame of one output."""

    moment: Moment
    array: NDArray[Any]


@message(tag="understudy:compute.Handler")
class HandlerRequest(Request[ActorRef]):
    """I cannot look into this host's memory: who sends me frames?"""


@message(tag="understudy:compute.Look")
class Look(Request[Frame | None]):
    """The newest frame of an output, as soon as there is one after (incarnation, frame).

    None when there is none within `seconds` (10 at the most).
    """

    output: str
    after: tuple[int, int] = (0, 0)
    seconds: float = attrs.field(default=1.0, validator=_time_span)


@message(tag="understudy:compute.Leave")
class Leave:
    """I look no more."""
