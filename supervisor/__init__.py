"""Supervisor: starts actor processes, keeps them running, and joins programs to them."""

import sys

try:
    from actors.backoff import Backoff
    from supervisor.entrance import connect, start
    from supervisor.limits import Limits
    from supervisor.spec import AutoShutdown, Child, Intensity, Pool, Restart, Strategy, Tree
    from supervisor.system import System
except KeyboardInterrupt:
    # The command is still being read: nothing has begun, and nobody wants to see where.
    if not sys.argv[0].endswith("understudy"):
        raise
    raise SystemExit(130) from None

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
