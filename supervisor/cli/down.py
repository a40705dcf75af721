"""`understudy down`: end a running system in good order."""

from __future__ import annotations

import sys
from typing import Annotated

import psutil
from cyclopts import Parameter

from actors.hints import similar
from supervisor.cli.text import CommandError, ExitCode
from supervisor.cli.up import DEFAULT_NAME
from supervisor.rundir import live_systems
from supervisor.system import System


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
        Seconds to wait for the end; then it is ended at once.
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
        system = System(found.endpoint)
        try:
            system.begin_shut_down()
        finally:
            system.close()
        if _ended(process, timeout):
            sys.stdout.write(f"{name} is down\n")
            return ExitCode.OK
        sys.stderr.write(f"{name} is not down after {timeout:g} s; it is killed\n")
    process.kill()
    if not _ended(process, timeout):
        raise CommandError(f"{name} (pid {found.pid}) cannot be ended")
    sys.stdout.write(f"{name} is down (killed)\n")
    return ExitCode.OK


def _ended(process: psutil.Process, timeout: float) -> bool:
    try:
        process.wait(timeout)
    except psutil.TimeoutExpired:
        return False
    return True
