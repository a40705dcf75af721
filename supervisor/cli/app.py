"""The tree of commands and what they share: one room a command, joined here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import cyclopts

from actors.errors import AccessDenied, ActorError, ConnectionLost
from supervisor.cli.text import CommandError, ExitCode, safe
from supervisor.entrance import version_text

COMMANDS: Final = {
    "up": "Run a tree of actors in the foreground until Ctrl-C, `understudy down`, or its own end.",
    "status": "Show every actor: state, process, memory, messages, restarts.",
    "down": "End a running system: its actors finish what they have, in reverse order.",
    "demo": "Solve a stirred superfluid live, with viewers, and kill its server on the way.",
    "bench": "Measure this machine: asks, tells, arrays, live frames, starts, kills, memory.",
    "compute": "Run a computation in the foreground until it ends, Ctrl-C, or `understudy down`.",
    "keys": "Say who may join over the network (tcp), and whose systems we join.",
}
"""The first line of each one's own help: to list them, none has to be imported."""


def application(*, listing: bool = False) -> cyclopts.App:
    """Return all commands, each imported when it is called; for a `listing`, with one line each."""
    tree = cyclopts.App(
        name="understudy",
        help="Supervised actor processes over ZeroMQ.  Begin with `understudy demo`.",
        version=version_text,
        version_flags=["--version"],
        result_action="return_value",
    )
    for name, line in COMMANDS.items():
        # Such a line would stand for the whole help of a command, too.
        tree.command(f"supervisor.cli.{name}:{name}", name=name, help=line if listing else None)
    return tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    app = application(listing=list(words) in ([], ["--help"], ["-h"]))
    return run(lambda: app(words, exit_on_error=False, print_error=False))


def run(command: Callable[[], object]) -> int:
    """Run `command` and turn what it raises into a sentence and an exit code."""
    try:
        result = command()
    except cyclopts.CycloptsError as error:
        used = " ".join(["understudy", *(error.command_chain or ())])
        return _complain(_mistake(error, used), ExitCode.USAGE, f"see `{used} --help`")
    except CommandError as error:
        return _complain(str(error), error.code, error.hint)
    except ConnectionLost as error:
        return _complain(error.reason or str(error), ExitCode.NOT_RUNNING, "")
    except AccessDenied as error:
        return _complain(error.reason, ExitCode.REFUSED, "")
    except ActorError as error:
        return _complain(str(error), ExitCode.FAILED, "")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    return result if isinstance(result, int) else ExitCode.OK


def _mistake(error: cyclopts.CycloptsError, command: str) -> str:
    """Return what is wrong with a command line, in words of ours where cyclopts' are too clever."""
    match error:
        case cyclopts.MissingArgumentError() if error.argument is not None:
            what = error.keyword or error.argument.name
            given = bool(error.keyword or error.argument.tokens)
            return f"{what} needs a value" if given else f"`{command}` needs {what}"
        case cyclopts.UnusedCliTokensError():
            more = " ".join(error.unused_tokens or ())
            return f"`{command}` takes nothing like {more!r} here"
        case _:
            return str(error)


def _complain(text: str, code: ExitCode, hint: str) -> int:
    sys.stderr.write(f"error: {safe(text)}\n")
    if hint:
        sys.stderr.write(f"  {hint}\n")
    return code
