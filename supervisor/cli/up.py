"""`understudy up`: run a tree in the foreground."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Annotated

from cyclopts import Parameter

from actors.errors import AccessDenied, ActorError, ConnectionLost
from actors.failure import place_of
from supervisor.chronicle import many
from supervisor.cli.text import CommandError, ExitCode, safe
from supervisor.entrance import BrokenPreloadError, start
from supervisor.lifecycle import SHUT_DOWN, WORK_DONE
from supervisor.plan import plan_tree
from supervisor.rundir import AlreadyRunningError
from supervisor.spec import Tree
from supervisor.system import System

DEFAULT_NAME = "default"


def up(  # noqa: PLR0913 - one for each option of the command line
    tree: str = "",
    *,
    name: Annotated[str, Parameter(env_var="UNDERSTUDY_NAME")] = DEFAULT_NAME,
    listen: Annotated[list[str] | None, Parameter(negative=(), env_var="UNDERSTUDY_LISTEN")] = None,
    state_dir: Annotated[Path | None, Parameter(env_var="UNDERSTUDY_STATE_DIR")] = None,
    relay: Annotated[bool, Parameter(negative=(), env_var="UNDERSTUDY_RELAY")] = False,
    shared_memory: Annotated[str, Parameter(env_var="UNDERSTUDY_SHARED_MEMORY")] = "",
    preload: Annotated[
        list[str] | None, Parameter(negative=(), env_var="UNDERSTUDY_PRELOAD")
    ] = None,
    ready_timeout: float = 60.0,
) -> int:
    """Run a tree of actors in the foreground until Ctrl-C, `understudy down`, or its own end.

    Ctrl-C or SIGTERM lets the actors finish what they have; a second one kills them.
    Exit status: 0 it was shut down, or its work is done (`auto_shutdown`, after a good end),
    1 it could not start or has given up, or its work has failed, 2 an option is wrong,
    78 the tree, or a module to preload, cannot be used, 130 Ctrl-C, 143 SIGTERM.
    Example: `understudy up lab:tree --name lab`

    Parameters
    ----------
    tree:
        What to run, as package.module:name of a `supervisor.Tree`. Empty: no actors yet.
    name:
        The name by which other programs find this system.
    listen:
        A tcp endpoint to listen on as well, such as tcp://127.0.0.1:7700. May be repeated.
    state_dir:
        A directory where the states that actors save outlive the system. Empty: in memory only.
    relay:
        Send every message through the broker; no two processes connect directly.
    shared_memory:
        What all processes together may share for arrays, such as "4 GiB". Empty: half of the
        machine's memory.
    preload:
        A module to import once, before there are actors, such as lab.detectors. May be repeated.
    ready_timeout:
        Seconds the actors may take until all are ready.
    """
    _look_here()
    spec = load_tree(tree) if tree else Tree()
    began = time.monotonic()
    try:
        system = start(
            spec,
            name=name,
            listen=listen,
            state_dir=state_dir,
            relay=relay,
            shared_memory=shared_memory or None,
            preload=preload or (),
        )
    except FileExistsError as error:
        raise CommandError(
            str(error), hint=f"understudy status --name {name}   understudy down --name {name}"
        ) from None
    except AccessDenied as error:
        raise CommandError(error.reason, code=ExitCode.CONFIG) from None
    except ValueError as error:  # the tree has been looked at: it is an option
        raise CommandError(str(error), code=ExitCode.USAGE, hint="understudy up --help") from None
    except BrokenPreloadError as error:
        raise CommandError(str(error), code=ExitCode.CONFIG) from error
    except ConnectionLost as error:  # it is over already
        return _over(error.reason)
    except (ActorError, OSError) as error:
        raise CommandError(str(error)) from error
    with system:
        try:
            with suppress(ConnectionLost):  # its work may be done already
                _report(system, name, began, ready_timeout)
            reason = system.wait_ended() or ""
        except (KeyboardInterrupt, SystemExit) as told:
            _say_stopping(system, "Ctrl-C" if isinstance(told, KeyboardInterrupt) else "SIGTERM")
            raise
    return _over(reason)


def _over(reason: str) -> int:
    """Say why the system has ended; return the exit code, or raise it."""
    if reason in ("", SHUT_DOWN) or reason.startswith(WORK_DONE):
        _say(f"down: {reason}" if reason.startswith(WORK_DONE) else "down")
        return ExitCode.OK
    raise CommandError(f"the system ended: {reason}")


def load_tree(text: str) -> Tree:
    """Return the tree that `package.module:name` means; the current directory is importable."""
    module, colon, attribute = text.partition(":")
    if not colon or not module or not attribute or "/" in module:
        hint = "write package.module:name, with dots and without .py"
        raise CommandError(f"{text!r} does not name a tree", code=ExitCode.USAGE, hint=hint)
    found: object = imported(module, attribute)
    trees = [name for name, value in vars(found).items() if isinstance(value, Tree)]
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Tree):
        what = (
            "is not there" if found is None else f"is {type(found).__name__}, not a supervisor.Tree"
        )
        there = f"its trees are: {', '.join(trees)}" if trees else "it has no tree"
        raise CommandError(f"{attribute} of {module} {what}", code=ExitCode.CONFIG, hint=there)
    try:
        plan_tree(found, None)
    except (ActorError, TypeError, ValueError) as error:
        raise CommandError(f"{text} cannot run: {error}", code=ExitCode.CONFIG) from error
    return found


def imported(module: str, attribute: str) -> ModuleType:
    """Return a module of the user's, for the sake of `attribute`; the current directory counts."""
    _look_here()
    try:
        return importlib.import_module(module)
    except (
        Exception,
        SystemExit,
    ) as error:  # it is a program of the user's, and may raise anything
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        text = f"{module} cannot be imported: {kind}{error}"
        if not _is_itself_missing(module, error):
            hint = place_of(error)
        elif module.endswith(".py"):
            hint = f"a module is named without .py: {module.removesuffix('.py')}:{attribute}"
        else:
            hint = "run the command in the directory that holds it, or install its package"
        raise CommandError(text, code=ExitCode.CONFIG, hint=hint) from error


def _look_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _is_itself_missing(module: str, error: BaseException) -> bool:
    """Tell whether a module was not found, or a package around it, and not one that it imports."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return missing is not None and f"{module}.".startswith(f"{missing}.")


def _report(system: System, name: str, began: float, timeout: float) -> None:
    status = system.status()
    _say(f"{name}  pid {status.pid}  {status.endpoint}")
    for actor in status.actors:
        left = timeout - (time.monotonic() - began)
        try:
            system.ref(actor.name).wait_ready(max(0.0, left))
        except TimeoutError:
            last = system.status().actor(actor.name).last_exit or "it is still starting"
            raise CommandError(f"{actor.name} is not ready after {timeout:g} s: {last}") from None
        except ActorError:
            for now in system.status().actors:  # one that has ended for good is not among them
                if now.name == actor.name:
                    why = "" if now.last_exit == now.state else safe(now.last_exit)
                    _say(f"  {actor.name:20} {now.state:9} {why}".rstrip())
            continue
        _say(f"  {actor.name:20} ready     {time.monotonic() - began:.2f} s")
    for endpoint in status.listening:
        _say(f"listening  {endpoint}  (for allowed keys: understudy keys)")
    option = "" if name == DEFAULT_NAME else f" --name {name}"
    _say(f"ready   status: understudy status{option}   stop: Ctrl-C or understudy down{option}")


def _say_stopping(system: System, told: str) -> None:
    """Say what Ctrl-C, or SIGTERM, does now, and what it does the second time."""
    signal.signal(signal.SIGTERM, _killed)
    with suppress(ActorError):
        alive = sum(actor.pid is not None for actor in system.status().actors)
        _say(f"stopping {many(alive, 'actor')}; {told} again kills")


def _killed(number: int, _frame: FrameType | None) -> None:
    """Say that nothing is waited for any more, and die: the supervisor clears everything away."""
    with suppress(OSError):  # nobody may read it any more
        os.write(2, b"understudy: ended at once\n")  # `sys.stderr` may be in the midst of a line
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


__all__ = ["DEFAULT_NAME", "AlreadyRunningError", "imported", "load_tree", "up"]
