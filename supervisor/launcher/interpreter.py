"""Fresh interpreters: the only place that starts a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_BOOTSTRAP: Final = """\
import importlib, json, sys
path, target, arguments = json.loads(sys.argv.pop())
sys.path[:] = path
module, function = target.split(":")
getattr(importlib.import_module(module), function)(*arguments)
"""


def start_interpreter(
    target: str,
    arguments: Sequence[object],
    *,
    keep: Iterable[int],
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> int:
    """Start Python on `module:function`, with this process's sys.path, as leader of a session.

    Args:
        target: the function to call.
        arguments: what JSON can carry.
        keep: descriptors that stay open under their numbers; all others are closed.
        env: the whole environment; None: this process's.
        stdout: descriptor; None: this process's. stdin is empty.
        stderr: likewise.

    Returns:
        The pid. Somebody else has to reap it.

    Raises:
        OSError: the system refuses, or there is no interpreter to start.
    """
    if not sys.executable:
        raise OSError("cannot start a process: sys.executable does not name the interpreter")
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        # -P: the current directory must not shadow a module before sys.path is set.
        [sys.executable, "-P", "-c", _BOOTSTRAP, json.dumps([sys.path, target, list(arguments)])],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=env,
        pass_fds=tuple(keep),
        start_new_session=True,
    )
    # Reaping is the reaper's: a Popen that believed it still ran would take the status away.
    process.returncode = 0
    return process.pid
