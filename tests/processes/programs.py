"""Programs that a test starts, listens to, and ends; every wait has a limit."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

SCENES = Path(__file__).resolve().with_name("scenes.py")
SECONDS = 20.0
PATIENCE = 50.0  # for what has no limit of its own, on a machine that fifty others want, too


class Program:
    """One program in a process group of its own, as a terminal's foreground job."""

    def __init__(self, *command, cwd=None, stdin="", listen=("stdout", "stderr")):
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.lines = {"stdout": [], "stderr": []}
        self._facts = queue.SimpleQueue()
        self._threads = []
        if stdin:
            self.process.stdin.write(stdin.encode())
            self.process.stdin.close()
        for name in listen:
            self.listen(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Kill it if it still lives; what it started must end by itself."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def listen(self, name):
        """Read what the program prints there from now on."""
        thread = threading.Thread(target=self._read, args=(name,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read(self, name):
        for data in getattr(self.process, name):
            line = data.decode("utf-8", "replace").rstrip("\n")
            self.lines[name].append(line)
            if name == "stdout" and line.startswith("{"):
                self._facts.put(json.loads(line))

    def fact(self, name, seconds=SECONDS) -> Any:
        """Return what the program tells next, which must be of this name."""
        try:
            facts = self._facts.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"the program never told of {name}: {self.lines}") from None
        assert name in facts, facts
        return facts[name] if len(facts) == 1 else facts

    def interrupt(self):
        """Press Ctrl-C: the signal goes to the whole foreground job."""
        os.killpg(self.pid, signal.SIGINT)

    def end(self, seconds=SECONDS) -> int:
        """Wait for the program's end, and for that of everything that has its output open."""
        code = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "something still holds the program's output open"
        return code

    @property
    def output(self) -> list[str]:
        """The lines of standard output."""
        return self.lines["stdout"]

    @property
    def errors(self) -> str:
        """Everything on standard error."""
        return "\n".join(self.lines["stderr"])


def gone(pids, seconds=2.0) -> bool:
    """Wait until these processes, of whatever parent, have ended; zombies have."""
    end = time.monotonic() + seconds
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([pidfd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return False
        finally:
            os.close(pidfd)
    return True


def eventually(condition, seconds=PATIENCE) -> Any:
    """Return what `condition` returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        time.sleep(0.005)
    return found
