"""Lets plain clients of the legacy wire use a computation.

parameter that may change    send     (get it with `get:name`)
other parameter, scalar      get
array output                 get_array
command                      request
heartbeat, commands          get

JSON has no infinity, so `null` stands for it, both ways: a `shutdown` that is null is never.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import msgspec

from actors.actor import Actor
from actors.compute.legacy import HERE, PORT, LegacyDoor
from actors.compute.wire import Call, Verb
from actors.compute.words import (
    Description,
    DescriptionRequest,
    Do,
    Get,
    GetArray,
    Heartbeat,
    HeartbeatRequest,
    Set,
    Value,
)
from actors.ref import ActorRef


@final
class Desk:
    """Answers calls with what a computation says."""

    def __init__(self, server: ActorRef, described: Description) -> None:
        self._server = server
        self._described = described
        self.table: Mapping[bytes, Verb] = _table(described)
        self._numbers = {one.name for one in described.parameters if one.type == "float"}

    async def call(self, call: Call) -> Any:
        """Ask the computation."""
        name = call.name.decode()
        match call.verb:
            case Verb.REQUEST:
                return await self._server.ask(Do(name))
            case Verb.GET:
                return await self._get(name)
            case Verb.GET_MANY:
                found = await self._server.ask(Get(call.value))
                return {name: _told(value) for name, value in found.items()}
            case Verb.SEND:
                return await self._server.ask(Set({name: self._value(name, call.value)}))
            case Verb.SEND_MANY:
                values: dict[str, Any] = call.value
                meant = {name: self._value(name, value) for name, value in values.items()}
                return await self._server.ask(Set(meant))
            case Verb.GET_ARRAY:
                return await self._server.ask(GetArray(name))
            case _:
                raise TypeError(f"{name} takes no array: send a value")

    async def _get(self, name: str) -> Any:
        if name == "heartbeat":
            beat: Heartbeat = await self._server.ask(HeartbeatRequest())
            told: dict[str, Any] = msgspec.to_builtins(beat)
            return told | {"ends_in": _told(beat.ends_in)}
        if name == "commands":
            return _commands(self._described)
        return _told((await self._server.ask(Get([name])))[name])

    def _value(self, name: str, value: object) -> Value:
        """Return what was sent as what a parameter can be; raises `ValueError`."""
        if value is None and name in self._numbers:
            return math.inf
        taken: Value = msgspec.convert(value, bool | int | float | str | list[float] | None)
        return taken


def _table(described: Description) -> dict[bytes, Verb]:
    table = {b"heartbeat": Verb.GET, b"commands": Verb.GET}
    for one in described.commands:
        table[one.name.encode()] = Verb.REQUEST
    for shown in described.outputs:
        table[shown.name.encode()] = Verb.GET_ARRAY if shown.array else Verb.GET
    for parameter in described.parameters:
        table[parameter.name.encode()] = Verb.SEND if parameter.live else Verb.GET
    return table


def _commands(described: Description) -> dict[str, dict[str, str]]:
    """Return what there is by verb, each with its documentation."""
    outputs, parameters = described.outputs, described.parameters
    return {
        "do": {one.name: one.doc for one in described.commands},
        "get": {one.name: one.doc for one in parameters}
        | {one.name: one.doc for one in outputs if not one.array},
        "set": {one.name: one.doc for one in parameters if one.live},
        "get_array": {one.name: one.doc for one in outputs if one.array},
    }


def _told(value: Value) -> Value:
    """Return what is said of a value: null for infinity."""
    return None if value == math.inf else value


class Reception(Actor):
    """Binds a port for plain clients of one computation: `legacy.py` says who may come."""

    server: ActorRef
    host: str = HERE
    port: int = PORT

    async def on_start(self) -> None:
        """Learn what the computation offers, then bind."""
        described = await self.server.ask(DescriptionRequest())
        self.door = LegacyDoor(Desk(self.server, described), self.host, self.port)
        self.context.log.info("plain clients: tcp://%s:%d", self.host, self.door.port)
