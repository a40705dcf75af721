"""Starting actor processes, and learning how they ended.

    ForkLauncher      forks from a warm zygote: milliseconds          Linux
    SpawnLauncher     a fresh interpreter for each: portable
    ThreadLauncher    a thread of this process: breakpoints work

All three keep the promise of `Launcher`: an `Order` goes in, a `Launched` comes out, and its
`when_ended` tells how it ended. This file is the table of contents.
"""

from supervisor.launcher.fork import ForkLauncher
from supervisor.launcher.order import ENTRIES, Exit, Launched, Launcher, Life, Order
from supervisor.launcher.preload import CannotPreloadError
from supervisor.launcher.reaper import Reaper
from supervisor.launcher.spawn import SpawnLauncher
from supervisor.launcher.thread import ThreadLauncher
from supervisor.launcher.zygote import Theirs

__all__ = [
    "ENTRIES",
    "CannotPreloadError",
    "Exit",
    "ForkLauncher",
    "Launched",
    "Launcher",
    "Life",
    "Order",
    "Reaper",
    "SpawnLauncher",
    "Theirs",
    "ThreadLauncher",
]
