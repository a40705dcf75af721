"""What the next life of a computation needs to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.address import Address
from actors.codec import FrameCarrier
from actors.compute.pacing import Pacing
from actors.compute.words import Value
from actors.message import message
from actors.ref import ActorRef
from actors.saved import pack_state, read_state, state_codec


@message(tag="understudy:compute.Checkpoint")
class Checkpoint:
    """Parameters, counters, and what the model says of its state."""

    parameters: dict[str, Value]
    steps: int
    frames: int
    running: bool
    tag: str = ""
    """Class of the model's own state; "" when it keeps none."""
    state: bytes = b""


def checkpoint_of(parameters: dict[str, Value], pacing: Pacing, state: object) -> Checkpoint:
    """Return what to keep; `state` is a message, or None.  Raises `TypeError` for anything else."""
    tag, data = "", b""
    if state is not None:
        codec, carrier = state_codec(state), FrameCarrier()
        payload = codec.encode(state, carrier)
        tag, data = codec.tag, pack_state(type(state), payload, carrier.frames)
    return Checkpoint(parameters, pacing.steps, pacing.frames, pacing.running, tag, data)


def state_of(checkpoint: Checkpoint, bind: Callable[[Address], ActorRef]) -> Any:
    """Return the model's state, or None; raises `RuntimeError` when it cannot be read."""
    if not checkpoint.tag:
        return None
    return read_state(checkpoint.tag, checkpoint.state, bind)
