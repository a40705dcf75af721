"""What direct connections are made of: sockets of one host, ZeroMQ, and the broker between."""

from __future__ import annotations

import os
from contextlib import ExitStack
from unittest.mock import patch

import supervisor
from actors import ActorRef
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import (
    DIRECT,
    MANY,
    ROUND_TRIPS,
    TELLS,
    ask_many,
    rate,
    tell_many,
    timed,
)

LOCAL = "local sockets"
ZEROMQ = "over ZeroMQ"
BROKER = "through the broker"


def carriers(repeats: int) -> list[Figure]:
    """Asks and tells over each, and raw pyzmq, in turn."""
    with ExitStack() as stack:
        refs = {name: _player(stack, name) for name in (LOCAL, ZEROMQ, BROKER)}
        raw = stack.enter_context(Stage(relayed=False))
        trips = {
            name: timed(ROUND_TRIPS, lambda ref=ref: ref.ask(Add(1.5, 2.5)).result())
            for name, ref in refs.items()
        } | {DIRECT: timed(ROUND_TRIPS, raw.ask)}
        flights = {
            name: rate(MANY, lambda count, ref=ref: ask_many(ref, count))
            for name, ref in refs.items()
        } | {DIRECT: rate(MANY, raw.ask_many)}
        tells = {
            name: rate(TELLS, lambda count, ref=ref: tell_many(ref, count))
            for name, ref in refs.items()
        } | {DIRECT: rate(TELLS, raw.tell_many)}
        return [
            *_figures("ask round trip", "us", rounds(repeats, trips), 1e6),
            *_figures(f"pipelined asks, {MANY} in flight", "/s", rounds(repeats, flights)),
            *_figures("tells one way", "/s", rounds(repeats, tells)),
        ]


def _player(stack: ExitStack, carrier: str) -> ActorRef:
    chosen = "1" if carrier == LOCAL else "0"
    with patch.dict(os.environ, UNDERSTUDY_LOCAL_SOCKETS=chosen):
        system = stack.enter_context(supervisor.start(relay=carrier == BROKER))
        player = system.spawn(Player, name="player")
        for _ in range(ROUND_TRIPS):  # until they are connected
            player.ask(Add(1.5, 2.5)).result()
    return player


def _figures(
    name: str, unit: str, measured: dict[str, list[float]], scale: float = 1.0
) -> list[Figure]:
    values = {key: [value * scale for value in rows] for key, rows in measured.items()}
    pairs = [(LOCAL, DIRECT), (LOCAL, ZEROMQ), (LOCAL, BROKER), (ZEROMQ, DIRECT)]
    return [
        compared(f"{name}, {ours}", unit, values[ours], values[theirs], beside=theirs)
        for ours, theirs in pairs
    ]
