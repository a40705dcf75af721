"""The broker: how fast it comes back."""

from __future__ import annotations

import os
import signal
import time

import supervisor
from actors import ActorRef
from supervisor import System
from supervisor.bench.cast import Pid, Player
from supervisor.bench.figures import Figure
from supervisor.bench.lives import recovery


def broker(repeats: int) -> list[Figure]:
    """Kill -9 of the broker, until an ask that cannot do without it is answered."""
    with supervisor.start() as system, supervisor.start(relay=True) as relayed:
        known, relay = (one.spawn(Player, name="player") for one in (system, relayed))
        times = [_without_broker(relayed, relay) for _ in range(max(5, repeats))]
        apart = [_without_broker(system, known) for _ in range(max(5, repeats))]
    return [
        recovery("broker kill to traffic restored", times, ", everything relayed"),
        recovery("the same between parties that are acquainted", apart),
    ]


def _without_broker(system: System, player: ActorRef) -> float:
    player.ask(Pid()).result()
    before = None
    while before is None:
        before = system.status().broker_pid
    begun = time.perf_counter()
    os.kill(before, signal.SIGKILL)
    player.ask(Pid(), timeout=30.0).result()
    took = (time.perf_counter() - begun) * 1e3
    while system.status().broker_pid in (None, before):
        pass
    return took
