"""`understudy status`: how a system stands, as a table or as JSON."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from supervisor.cli.text import CommandError, ExitCode, duration, safe, size
from supervisor.entrance import connect
from supervisor.status import ActorStatus, SystemStatus

SCHEMA = 1
"""Version of the JSON form."""


def status(
    actor: str = "",
    *,
    name: Annotated[str, Parameter(env_var="UNDERSTUDY_NAME")] = "",
    json: bool = False,
) -> int:
    """Show every actor: state, process, memory, messages, restarts.

    Exit status: 0 all is well, 1 some actor is down, 3 no such system runs.

    Parameters
    ----------
    actor:
        Show only this actor.
    name:
        The name the system was started with; empty: "default", or the only one there is.
    json:
        One JSON object on standard output instead of the table.
    """
    with connect(name or None) as system:
        seen = system.status()
    shown = [each for each in seen.actors if actor in ("", each.name)]
    if not shown and actor:
        raise CommandError(f"no actor is called {actor!r}", hint="understudy status")
    if json:
        data = msgspec.to_builtins(seen) | {"schema": SCHEMA, "degraded": seen.degraded}
        data["actors"] = msgspec.to_builtins(shown)
        sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
    else:
        show(seen, shown, Console())
    return ExitCode.FAILED if seen.degraded else ExitCode.OK


def show(seen: SystemStatus, shown: list[ActorStatus], console: Console) -> None:
    """Print the table."""
    well = sum(each.state in ("running", "busy") for each in seen.actors)
    mark = "!" if seen.degraded else "*"
    console.print(
        f"{mark} {seen.name}   running {duration(seen.uptime)}   "
        f"{well} of {len(seen.actors)} actors up"
        f"   pid {seen.pid}   broker pid {seen.broker_pid or '-'}",
        highlight=False,
        markup=False,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in _COLUMNS.items():
        table.add_column(column, justify="right" if justify else "left", no_wrap=column != "NOTE")
    for each in shown:
        table.add_row(*_row(each))
    console.print(table)
    console.print(
        "Recent failures" if seen.failures else "Recent failures  (none)", highlight=False
    )
    for failure in seen.failures[-5:]:
        console.print(f"  {safe(failure)}", highlight=False, markup=False)
    if seen.dead_letters:
        console.print(f"Dead letters  {seen.dead_letters}", highlight=False)


_COLUMNS = {
    "ACTOR": False,
    "STATE": False,
    "PID": True,
    "UP": True,
    "CPU": True,
    "MEM": True,
    "MAILBOX": True,
    "HANDLED": True,
    "RESTARTS": True,
    "NOTE": False,
}


def _row(actor: ActorStatus) -> list[str]:
    return [
        f"{actor.name}/{actor.incarnation}",
        actor.state,
        str(actor.pid or "-"),
        duration(actor.uptime) if actor.pid else "-",
        "-" if actor.cpu is None else f"{actor.cpu:.0%}",
        size(actor.memory),
        str(actor.mailbox),
        str(actor.handled),
        str(actor.restarts),
        _note(actor),
    ]


def _note(actor: ActorStatus) -> str:
    if actor.next_start is not None:
        return safe(f"{actor.last_exit} (next start in {actor.next_start:.1f} s)")
    if actor.state in ("failed", "stopped"):
        return safe(actor.last_exit)
    return f"in {actor.current}" if actor.current else ""
