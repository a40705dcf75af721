"""`understudy status`: how a system stands, as a table or as JSON."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from actors.errors import ConnectionLost
from actors.hints import similar
from supervisor.chronicle import evidence
from supervisor.cli.text import CommandError, ExitCode, duration, safe, size
from supervisor.entrance import connect
from supervisor.rundir import live_systems
from supervisor.status import ActorStatus, SharedMemory, SystemStatus
from supervisor.system import System

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
    Example: `understudy status --name lab --json`

    Parameters
    ----------
    actor:
        Show only this actor, and all that is known of how its incarnations fell.
    name:
        The name the system was started with; empty: "default", or the only one there is.
    json:
        One JSON object on standard output instead of the table.
    """
    with _join(name, actor) as system:
        seen = system.status()
    shown = [each for each in seen.actors if actor in ("", each.name)]
    if not shown and actor:
        raise CommandError(f"no actor is called {actor!r}", hint=_meant(actor, seen))
    if json:
        data = msgspec.to_builtins(seen) | {"schema": SCHEMA, "degraded": seen.degraded}
        data["actors"] = msgspec.to_builtins(shown)
        sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
    else:
        show(seen, shown, _console())
        for crash in seen.crashes:
            if crash.name == actor:
                sys.stdout.write(f"{safe(f'{crash.name}/{crash.incarnation} {crash.reason}')}")
                sys.stdout.write("\n".join(map(safe, evidence(crash).split("\n"))) + "\n")
    return ExitCode.FAILED if seen.degraded else ExitCode.OK


def _join(name: str, actor: str) -> System:
    try:
        return connect(name or None)
    except ValueError as error:  # also of UNDERSTUDY_ENDPOINT
        raise CommandError(str(error), code=ExitCode.USAGE) from None
    except ConnectionLost as error:
        hint = "" if name else _system_meant(actor)
        raise CommandError(str(error), code=ExitCode.NOT_RUNNING, hint=hint) from None


def _meant(actor: str, seen: SystemStatus) -> str:
    """Return what to do about a name that no actor of this system has."""
    if meant := similar(actor, [each.name for each in seen.actors]):
        return f"did you mean {' or '.join(meant)}?"
    return _system_meant(actor) or "understudy status   shows those there are"


def _system_meant(name: str) -> str:
    """Return how to look at the system that was named where an actor is expected; "": none was."""
    meant = similar(name, [system.name for system in live_systems()])
    return f"to look at a system: understudy status --name {meant[0]}" if meant else ""


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
    console.print(_table(shown, console.width))
    for each in shown:
        if note := _note(each):
            label = f"{each.name}/{each.incarnation}"
            console.print(f"  {label}: {note}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        "Recent failures" if seen.failures else "Recent failures  (none)", highlight=False
    )
    for failure in seen.failures[-5:]:
        console.print(f"  {safe(failure)}", highlight=False, markup=False, soft_wrap=True)
    _show_shared(seen, shown, console)
    if seen.dead_letters:
        console.print(f"Dead letters  {seen.dead_letters}", highlight=False)


def _show_shared(seen: SystemStatus, shown: list[ActorStatus], console: Console) -> None:
    """Print who shares how much: the actors shown, and the programs when all are."""
    who = {each.name: each.shared for each in shown if each.shared is not None}
    whole = ""
    if seen.shared is not None:
        whole = f"  {size(seen.shared.size)} of {size(seen.shared.limit)}"
        who |= seen.shared.programs if len(shown) == len(seen.actors) else {}
    if who:
        console.print(f"Shared memory{whole}", highlight=False)
    for name, shared in who.items():
        text = safe(f"  {name}: {_shared(shared)}")
        console.print(text, highlight=False, markup=False, soft_wrap=True)


_COLUMNS: Final = {
    "ACTOR": False,
    "STATE": False,
    "PID": True,
    "UP": True,
    "CPU": True,
    "MEM": True,
    "MAILBOX": True,
    "HANDLED": True,
    "RESTARTS": True,
}

_LEFT_OUT: Final = ("HANDLED", "CPU", "MEM", "PID", "RESTARTS", "UP")
"""What a narrow terminal does not show, the least important first."""

_GAP: Final = 2


def _console() -> Console:
    """Return where the table goes: a file or a pipe is as wide as it needs to be."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


_WIDE: Final = 400


def _table(shown: list[ActorStatus], width: int) -> Table:
    """Return the table of as many columns as there is room for; no cell is ever cut."""
    rows = [dict(zip(_COLUMNS, _row(each), strict=True)) for each in shown]
    widths = {name: max(map(len, [name, *(row[name] for row in rows)])) for name in _COLUMNS}
    for name in _LEFT_OUT:
        if sum(widths.values()) + _GAP * (len(widths) - 1) > width:
            del widths[name]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for name in widths:
        table.add_column(name, justify="right" if _COLUMNS[name] else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in widths))
    return table


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
    ]


def _shared(shared: SharedMemory) -> str:
    text = (
        f"{size(shared.size)}   arrays {shared.arrays}   readers {shared.readers}   "
        f"oldest {duration(shared.age)}   copied {shared.copied} ({size(shared.copied_bytes)})"
    )
    return f"{text}   found no room {shared.refused}" if shared.refused else text


def _note(actor: ActorStatus) -> str:
    if actor.next_start is not None:
        return safe(f"{actor.last_exit} (next start in {actor.next_start:.1f} s)")
    if actor.state in ("failed", "stopped"):
        return "" if actor.last_exit == actor.state else safe(actor.last_exit)
    notes = [f"handles {actor.current}"] if actor.current else []
    if actor.spare is not None:
        notes.append(f"a spare stands ready (pid {actor.spare})")
    return ", ".join(notes)
