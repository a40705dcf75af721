"""`understudy demo`: the main job, from beginning to end.

A compute server solves the equation of a stirred superfluid; three viewers fetch its frames, each
through a handler of its own; a controller steers; in mid-run the server is killed with -9.  The
demo checks what it sees against stated tolerances and fails when one is not met.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Final, final

import attrs
import msgspec
import psutil
from cyclopts import Parameter, validators
from rich.console import Console
from rich.live import Live
from rich.table import Table

from actors.attachments import SHARE_FROM
from actors.compute.audience import Controller, PictureRequest, Seen, SeenRequest, Viewer
from actors.compute.live import FluidHandler, FluidServer, Health, HealthRequest
from actors.errors import ActorError
from supervisor.cli.picture import refusal, write_picture
from supervisor.cli.text import CommandError, ExitCode, safe
from supervisor.cli.text import size as bytes_text
from supervisor.entrance import start
from supervisor.status import SystemStatus
from supervisor.system import System

VIEWERS: Final = 3
LOOK_EVERY: Final = 0.25
RECOVERY_LIMIT: Final = 2.0
"""Seconds from kill -9 until every viewer has a frame of the next incarnation."""

NORM_LIMIT: Final = 1e-11
ENERGY_LIMIT: Final = 1e-3
FPS_LIMIT: Final = 5.0
HEARTBEAT_LIMIT: Final = 3.0


@attrs.frozen
class Check:
    """One thing that was looked at."""

    what: str
    found: str
    wanted: str
    good: bool


@final
@attrs.define
class Run:
    """What the demo knows of itself while it runs."""

    system: System
    seconds: float
    health: Health | None = None
    before: Health | None = None
    """The last health of the first incarnation."""
    seen: list[Seen] = attrs.field(factory=list[Seen])
    status: SystemStatus | None = None
    killed_at: float | None = None
    killed: int | None = None
    recovered: float | None = None
    """Seconds until every viewer saw the next incarnation."""
    attached: int | None = None
    """Viewers that have mapped somebody's memory; None where that cannot be seen."""
    began: float = attrs.field(factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began


def demo(
    *,
    seconds: Annotated[float, Parameter(validator=validators.Number(gte=4, lte=3600))] = 20.0,
    size: Annotated[int, Parameter(validator=validators.Number(gte=32, lte=1024))] = 128,
    picture: Path = Path("superfluid.png"),
    json: bool = False,
) -> int:
    """Solve a stirred superfluid live, with viewers, and kill its server on the way.

    Exit status: 0 when everything that was checked is as it must be, 1 when not, 2 usage.
    Example: `understudy demo --seconds 60 --size 256`

    Parameters
    ----------
    seconds:
        How long to run.
    size:
        Points along each side of the grid.
    picture:
        Where to write the last frame: .png, .jpg, .gif (needs Pillow, the extra `demo`).
    json:
        Print the summary as one JSON object, and nothing else.
    """
    if wrong := refusal(picture):
        raise CommandError(f"--picture {picture}: {wrong}", code=ExitCode.USAGE)
    console = Console(file=sys.stderr if json else sys.stdout)
    with start() as system:
        run = _perform(system, seconds, size, console)
        note = _write_picture(system, picture)
        processes = _processes(run.status)
    checks = _checks(run, size)
    checks.append(_nothing_left(processes))
    if json:
        sys.stdout.write(msgspec.json.encode(_summary(run, checks, note)).decode() + "\n")
    else:
        _show(checks, note, console)
    return ExitCode.OK if all(check.good for check in checks) else ExitCode.FAILED


# --- the run -------------------------------------------------------------------------------------


def _perform(system: System, seconds: float, size: int, console: Console) -> Run:
    console.print(
        f"a superfluid on {size} x {size} points, {VIEWERS} viewers, {seconds:g} s",
        highlight=False,
    )
    compute = system.spawn(FluidServer, name="compute", size=size)
    handlers = [
        system.spawn(FluidHandler, name=f"handler-{i}", server=compute)
        for i in range(1, VIEWERS + 1)
    ]
    for i, handler in enumerate(handlers, start=1):
        system.spawn(Viewer, name=f"viewer-{i}", handler=handler)
    system.spawn(Controller, name="controller", server=compute, radius=size / 5)
    run = Run(system, seconds)
    show, display = _display(run, console)
    with display:
        while run.elapsed < seconds:
            time.sleep(LOOK_EVERY)
            _look(run)
            if run.killed_at is None and run.elapsed > seconds / 2:
                run.before = run.health
                run.killed = system.kill("compute")
                run.killed_at = time.monotonic()
                console.print(
                    f"{run.elapsed:5.1f} s  kill -9 compute/{run.killed}", highlight=False
                )
            _watch_recovery(run)
            show()
    run.attached = _attached(run.status)
    return run


def _look(run: Run) -> None:
    """Ask everybody how it goes; a server that is just being restarted answers later."""
    try:
        run.health = run.system.ref("compute").ask(HealthRequest(), timeout=5.0).result()
        run.seen = [
            run.system.ref(f"viewer-{i}").ask(SeenRequest(), timeout=5.0).result()
            for i in range(1, VIEWERS + 1)
        ]
    except ActorError as error:
        sys.stderr.write(f"no answer: {safe(str(error))}\n")
    run.status = run.system.status()


def _watch_recovery(run: Run) -> None:
    """Measure how long the viewers were without the server: their own longest gap."""
    if run.killed_at is None or run.recovered is not None or not run.seen:
        return
    if all(len(seen.incarnations) > 1 for seen in run.seen):
        run.recovered = max(seen.longest_gap for seen in run.seen)


def _display(
    run: Run, console: Console
) -> tuple[Callable[[], None], AbstractContextManager[object]]:
    if console.is_terminal:
        live = Live(_table(run), console=console, auto_refresh=False)
        return (lambda: live.update(_table(run), refresh=True)), live
    spoken = [0.0]

    def line() -> None:
        if run.elapsed >= spoken[0] + 5.0:
            spoken[0] = run.elapsed
            console.print(_sentence(run), highlight=False, soft_wrap=True)

    return line, nullcontext()


def _sentence(run: Run) -> str:
    health = run.health
    if health is None:
        return f"{run.elapsed:5.1f} s  starting"
    frames = sum(seen.frames for seen in run.seen) / max(1, len(run.seen))
    return (
        f"{run.elapsed:5.1f} s  compute/{health.incarnation}  "
        f"{health.steps_per_second:.0f} steps/s  "
        f"{frames / run.elapsed:.1f} frames/s a viewer  norm {health.norm_drift:+.1e}  "
        f"energy {health.energy_drift:+.1e}"
    )


def _table(run: Run) -> Table:
    table = Table(title=_sentence(run), box=None)
    for column in ("actor", "state", "life", "pid", "memory", "cpu", "heartbeat", "handled"):
        table.add_column(column, justify="left" if column in ("actor", "state") else "right")
    for actor in run.status.actors if run.status else ():
        table.add_row(
            actor.name,
            actor.state,
            str(actor.incarnation),
            str(actor.pid or "-"),
            bytes_text(actor.memory),
            "-" if actor.cpu is None else f"{actor.cpu:.0%}",
            "-" if actor.heartbeat is None else f"{actor.heartbeat:.1f} s",
            str(actor.handled),
        )
    return table


# --- what was seen -------------------------------------------------------------------------------


def _checks(run: Run, size: int) -> list[Check]:
    health, before = run.health, run.before
    if health is None or before is None or not run.seen or run.status is None:
        return [Check("the run", "no answers", "answers from server and viewers", good=False)]
    frames = min(seen.frames for seen in run.seen) / run.seconds
    norm = max(abs(before.norm_drift), abs(health.norm_drift))
    energy = max(abs(before.energy_drift), abs(health.energy_drift))
    lives = [seen.incarnations for seen in run.seen]
    disorder = sum(seen.disorder for seen in run.seen)
    beats = [actor.heartbeat for actor in run.status.actors]
    slowest = max((math.inf if beat is None else beat) for beat in beats)
    measured = sum(actor.memory is not None for actor in run.status.actors)
    recovered = math.inf if run.recovered is None else run.recovered
    checks = [
        Check(
            "frames per second, slowest viewer",
            f"{frames:.1f}",
            f">= {FPS_LIMIT:g}",
            frames >= FPS_LIMIT,
        ),
        Check("norm, relative drift", f"{norm:.1e}", f"<= {NORM_LIMIT:g}", norm <= NORM_LIMIT),
        Check(
            "energy less work, relative drift",
            f"{energy:.1e}",
            f"<= {ENERGY_LIMIT:g}",
            energy <= ENERGY_LIMIT,
        ),
        Check("kill -9 ended incarnation", str(run.killed), "1", run.killed == 1),
        Check(
            "went on from the snapshot of frame",
            f"{health.resumed_from} (of {before.frames})",
            "> 0",
            health.resumed_from > 0,
        ),
        Check(
            "lives each viewer saw",
            str(lives),
            "[1, 2] each",
            all(seen == [1, 2] for seen in lives),
        ),
        Check("frames in wrong order", str(disorder), "0", disorder == 0),
        Check(
            "longest gap of a viewer",
            f"{recovered:.2f} s",
            f"<= {RECOVERY_LIMIT:g} s",
            recovered <= RECOVERY_LIMIT,
        ),
        Check(
            "the controller's setting after it", f"{health.strength:g}", "1", health.strength == 1.0
        ),
        Check(
            "slowest heartbeat of an actor",
            f"{slowest:.1f} s",
            f"<= {HEARTBEAT_LIMIT:g} s",
            slowest <= HEARTBEAT_LIMIT,
        ),
        Check(
            "actors the monitor has measured",
            f"{measured} of {len(run.status.actors)}",
            "all",
            measured == len(run.status.actors),
        ),
    ]
    shared = run.attached
    if shared is not None and size * size * 8 >= SHARE_FROM:
        checks.append(
            Check("viewers that read shared memory", str(shared), str(VIEWERS), shared == VIEWERS)
        )
    return checks


def _attached(status: SystemStatus | None) -> int | None:
    """Return how many viewers have mapped somebody's memory; None where that cannot be seen."""
    if sys.platform != "linux" or status is None:
        return None
    count = 0
    for actor in status.actors:
        if actor.name.startswith("viewer-") and actor.pid:
            count += "memfd:" in Path(f"/proc/{actor.pid}/maps").read_text().replace(_OWN_PAGE, "")
    return count


_OWN_PAGE: Final = "memfd:understudy-recorder"


def _processes(status: SystemStatus | None) -> list[psutil.Process]:
    if status is None:
        return []
    children: list[psutil.Process] = psutil.Process(status.pid).children(recursive=True)
    return children


def _nothing_left(processes: list[psutil.Process]) -> Check:
    _, alive = psutil.wait_procs(processes, timeout=2.0)
    return Check("processes left behind", str(len(alive)), "0", not alive)


def _write_picture(system: System, path: Path) -> str:
    """Write what a viewer sees; return what to say of it."""
    picture = system.ref("viewer-1").ask(PictureRequest(), timeout=10.0).result()
    if picture is None:
        return "no picture: no frame has come"
    try:
        write_picture(path, picture.density)
    except (ImportError, OSError) as error:
        return f"no picture: {error}"
    return f"picture: {path}"


def _summary(run: Run, checks: list[Check], note: str) -> dict[str, object]:
    return {
        "schema": 1,
        "ok": all(check.good for check in checks),
        "seconds": run.seconds,
        "checks": [attrs.asdict(check) for check in checks],
        "note": note,
    }


def _show(checks: list[Check], note: str, console: Console) -> None:
    table = Table(title="What was checked", box=None, title_justify="left")
    for column in ("", "what", "found", "wanted"):
        table.add_column(column)
    for check in checks:
        table.add_row("ok" if check.good else "FAIL", check.what, check.found, check.wanted)
    console.print(table)
    console.print(safe(note), highlight=False, markup=False)
