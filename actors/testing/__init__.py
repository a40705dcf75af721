"""The protocol testing kit: simulated systems, messages drawn from their classes, histories judged.

Needs the extra `understudy[testing]`; nothing else in `actors` imports it.
"""

from actors.testing import basis as _basis  # noqa: F401  # pyright: ignore[reportUnusedImport]
from actors.testing.check import CounterExample, Report, check
from actors.testing.clock import ManualClock
from actors.testing.construction import UnstableConverter
from actors.testing.escapes import SimEscape
from actors.testing.history import History
from actors.testing.linearizability import Outcome, Verdict, linearizable
from actors.testing.missed import NothingHit
from actors.testing.operation import Operation
from actors.testing.probe import Probe
from actors.testing.records import ImpossibleField, OpaqueValidator
from actors.testing.replay import Replayed, replay
from actors.testing.schedule import (
    BrokerRestart,
    Crash,
    Delay,
    Deviation,
    Drop,
    Hang,
    Partition,
    SupervisorCrash,
    schedules,
)
from actors.testing.simulation import Client, Run, Simulation, simulate
from actors.testing.strategies import check_converters, messages, register
from actors.testing.world import Deadlock, NoProgress

__all__ = [
    "BrokerRestart",
    "Client",
    "CounterExample",
    "Crash",
    "Deadlock",
    "Delay",
    "Deviation",
    "Drop",
    "Hang",
    "History",
    "ImpossibleField",
    "ManualClock",
    "NoProgress",
    "NothingHit",
    "OpaqueValidator",
    "Operation",
    "Outcome",
    "Partition",
    "Probe",
    "Replayed",
    "Report",
    "Run",
    "SimEscape",
    "Simulation",
    "SupervisorCrash",
    "UnstableConverter",
    "Verdict",
    "check",
    "check_converters",
    "linearizable",
    "messages",
    "register",
    "replay",
    "schedules",
    "simulate",
]
