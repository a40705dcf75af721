"""Actors: typed messages, handles, streams and arrays.  See `supervisor` for what runs them."""

import actors.codec  # pyright: ignore[reportUnusedImport] - it makes @message check fields
import actors.neighbours  # noqa: F401 # pyright: ignore[reportUnusedImport] - it refuses strangers
from actors.actor import Actor, FailurePolicy, receive
from actors.arrays.spec import Array, Shape
from actors.log import log, log_task
from actors.message import Request, StreamRequest, message
from actors.notices import DeadLetter, Terminated
from actors.ref import ActorRef
from actors.reply import Reply
from actors.stream import Stream

__all__ = [
    "Actor",
    "ActorRef",
    "Array",
    "DeadLetter",
    "FailurePolicy",
    "Reply",
    "Request",
    "Shape",
    "Stream",
    "StreamRequest",
    "Terminated",
    "log",
    "log_task",
    "message",
    "receive",
]
