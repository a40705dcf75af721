"""Supervisor: starts actor processes, keeps them running, and joins programs to them."""

import supervisor.beginning  # noqa: F401 # pyright: ignore[reportUnusedImport] - see there: it comes first
from actors.backoff import Backoff
from supervisor.entrance import connect, start
from supervisor.limits import Limits
from supervisor.spec import AutoShutdown, Child, Intensity, Pool, Restart, Strategy, Tree
from supervisor.system import System

__all__ = [
    "AutoShutdown",
    "Backoff",
    "Child",
    "Intensity",
    "Limits",
    "Pool",
    "Restart",
    "Strategy",
    "System",
    "Tree",
    "connect",
    "start",
]
