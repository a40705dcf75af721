"""`understudy down`: end a running system in good order."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Final

import psutil
from cyclopts import Parameter

from actors.control import SUPERVISOR
from actors.errors import AccessDenied, ActorError, DeadlineExceeded
from actors.hints import similar
from actors.requests import Shutdown
from supervisor.calls import ANSWER_SECONDS
from supervisor.cli.text import CommandError, ExitCode, safe
from supervisor.cli.up import DEFAULT_NAME
from supervisor.rundir import SystemFile, live_systems
from supervisor.system import System

SHORTEST_ANSWER: Final = 1.0
"""Seconds that even somebody in a hurry gives the supervisor to answer."""

KILL_SECONDS: Final = 10.0
"""Seconds until a process that is killed must be gone."""


def down(
    *,
    name: Annotated[str, Parameter(env_var="UNDERSTUDY_NAME")] = DEFAULT_NAME,
    timeout: float = 60.0,
    now: bool = False,
) -> int:
    """End a running system: its actors finish what they have, in reverse order.

    Exit status: 0 it is down, 3 no such system runs.  Example: `understudy down --name lab`

    Parameters
    ----------
    name:
        The name the system was started with.
    timeout:
        Seconds to wait for the end; then it is ended at once, also when it does not answer.
    now:
        Kill everything at once.
    """
    systems = live_systems()
    found = next((system for system in systems if system.name == name), None)
    if found is None:
        names = ", ".join(system.name for system in systems)
        hint = f"understudy down --name NAME, with one of: {names}" if names else "none runs at all"
        if meant := similar(name, [system.name for system in systems]):
            hint = f"did you mean {' or '.join(meant)}?"
        text = f"no system called {name!r} runs"
        raise CommandError(text, code=ExitCode.NOT_RUNNING, hint=hint)
    process = psutil.Process(found.pid)
    if not now:
        until = time.monotonic() + timeout
        silence = _told_to_end(found, timeout)
        if silence is not None and process.is_running():
            # What the error says of timeouts is for programs.
            why = "" if isinstance(silence, DeadlineExceeded) else f": {safe(str(silence))}"
            sys.stderr.write(f"{name} does not answer{why}\n")
        if _ended(process, max(0.0, until - time.monotonic())):
            sys.stdout.write(f"{name} is down\n")
            return ExitCode.OK
        sys.stderr.write(f"{name} is not down after {timeout:g} s; it is killed\n")
    process.kill()
    if not _ended(process, KILL_SECONDS):
        raise CommandError(f"{name} (pid {found.pid}) cannot be ended")
    sys.stdout.write(f"{name} is down (killed)\n")
    return ExitCode.OK


def _told_to_end(found: SystemFile, timeout: float) -> ActorError | None:
    """Ask a system to end in good order; return why it did not answer, None when it did.

    When it hangs nothing is heard of its supervisor, or of its broker, who greets whoever joins.
    """
    seconds = min(ANSWER_SECONDS, max(SHORTEST_ANSWER, timeout))
    try:
        system = System(found.endpoint)
        try:
            system.ref(SUPERVISOR).ask(Shutdown(wait=False), timeout=seconds).result()
        finally:
            system.close()
    except AccessDenied:
        raise
    except ActorError as error:
        return error
    return None


def _ended(process: psutil.Process, timeout: float) -> bool:
    try:
        process.wait(timeout)
    except psutil.TimeoutExpired:
        return False
    return True
