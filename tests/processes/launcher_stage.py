"""What the launcher's tests run in other processes: entries, and a supervisor to be killed."""

# ruff: noqa: T201 - printing is what is tested

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from supervisor import rundir
from supervisor.launcher import ENTRIES, ForkLauncher, Launched, Order, SpawnLauncher
from supervisor.launcher.kernel import loaded_blas

PRELOAD = ("numpy", "zmq", "msgspec", "attrs", "psutil", "asyncio")


def wait(line: socket.socket, fds: dict[str, int]) -> int:
    """Say hello, and wait until the supervisor lets go."""
    line.send(b"!")
    line.recv(1)
    return 3


def facts(line: socket.socket, fds: dict[str, int]) -> None:
    """Tell what this process looks like from inside."""
    loaded_blas.cache_clear()  # a fresh interpreter looked before numpy was there
    links = list(Path("/proc/self/fd").iterdir())  # the listing's own one is gone afterwards
    found = {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "cwd": str(Path.cwd()),
        "path": sys.path,
        "env": dict(os.environ),
        "random": random.random(),
        "numpy": float(np.random.random()),  # noqa: NPY002 - the global generator is meant
        "fds": sorted(int(link.name) for link in links if link.is_symlink()),
        "given": fds,
        "line": line.fileno(),
        "stdin": str(Path("/proc/self/fd/0").readlink()),
        "interrupt": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "terminate": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "blas": [current() for current, _ in loaded_blas()],
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }
    line.sendall(json.dumps(found).encode())


def read_page(line: socket.socket, fds: dict[str, int]) -> None:
    """Write into a descriptor of the order."""
    os.pwrite(fds["page"], b"written by the child", 0)


def count_me(line: socket.socket, fds: dict[str, int]) -> None:
    """Write one byte: a child that ran twice would write two."""
    os.write(fds["counter"], b"x")
    line.recv(1)


def chat(line: socket.socket, fds: dict[str, int]) -> None:
    """Print to both, and leave the last line open."""
    print("to stdout")
    print("to stderr", file=sys.stderr)
    print("no newline", end="")


def fail(line: socket.socket, fds: dict[str, int]) -> None:
    raise ValueError("on purpose")


def leave(line: socket.socket, fds: dict[str, int]) -> None:
    sys.exit("a last word")


def stuck(line: socket.socket, fds: dict[str, int]) -> None:
    """Hold the interpreter's lock in C for years."""
    line.send(b"!")
    re.match(r"(a+)+$", "a" * 40 + "b")


def family(line: socket.socket, fds: dict[str, int]) -> None:
    """Have a child of one's own, tell its pid, and wait."""
    child = subprocess.Popen(["sleep", "600"])
    line.sendall(child.pid.to_bytes(4))
    line.recv(1)
    child.returncode = 0


def orphaner(line: socket.socket, fds: dict[str, int]) -> None:
    """Leave a grandchild behind that ends at once: somebody else has to reap it."""
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            while os.getppid() == middle:
                time.sleep(0.001)
        os._exit(0)
    os.waitpid(middle, 0)
    line.send(b"!")
    line.recv(1)


def register() -> None:
    """Make the functions above entries."""
    for main in (wait, facts, read_page, count_me, chat, fail, leave, stuck, family, orphaner):
        ENTRIES[main.__name__] = f"launcher_stage:{main.__name__}"


def order(entry: str, **fields: object) -> Order:
    """An order for one of the entries above."""
    path = [*sys.path, str(Path(__file__).resolve().parent)]
    return Order(name=entry, entry=entry, sys_path=path, **fields)  # type: ignore[arg-type]


async def hear(launched: Launched, size: int = 1) -> bytes:
    """Receive from a child; nothing when it is gone."""
    return await asyncio.get_running_loop().sock_recv(launched.lifeline, size)


async def be_supervisor(kind: str) -> None:
    """Start children of three sorts, tell all pids, and wait to be killed."""
    register()
    home = rundir.create("stage")
    (home.path / "socket").touch()
    launcher: ForkLauncher | SpawnLauncher
    if kind == "fork":
        launcher = ForkLauncher(preload=PRELOAD)
        await launcher.start(threads_exist=False)
    else:
        launcher = SpawnLauncher()
        await launcher.start()
    launcher.guard(home.path)
    idle = await launcher.launch(order("wait"))
    busy = await launcher.launch(order("stuck"))
    parent = await launcher.launch(order("family"))
    await hear(idle)
    await hear(busy)
    grandchild = int.from_bytes(await hear(parent, 4))
    zygote = launcher.zygote_pid if isinstance(launcher, ForkLauncher) else None
    children = {"idle": idle.pid, "stuck": busy.pid, "parent": parent.pid, "grand": grandchild}
    print(json.dumps({"zygote": zygote, "children": children, "home": str(home.path)}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(be_supervisor(sys.argv[1]))
