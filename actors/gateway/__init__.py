"""Doors for programs that speak plain ZeroMQ: REP and REQ, PUB and SUB, PUSH and PULL.

phrasebook   which bytes mean which message                    pure
place        where a door is: who binds, who connects          pure
questions    what a REQ socket sends and is told           pure
sockets      one plain socket, watched by the actor's loop     zmq
doors        the six doors that an actor can have
"""

from actors.gateway.doors import Pub, Pull, Push, Rep, Req, Sub, Traffic
from actors.gateway.phrasebook import LARGEST, Phrasebook, Refusal
from actors.gateway.place import Bind, Connect

__all__ = [
    "LARGEST",
    "Bind",
    "Connect",
    "Phrasebook",
    "Pub",
    "Pull",
    "Push",
    "Refusal",
    "Rep",
    "Req",
    "Sub",
    "Traffic",
]
