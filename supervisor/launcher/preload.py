"""Importing what a program wants its actors to find imported: `start(preload=...)`.

    surroundings of an actor ─► import each ─► no thread? no process? ─► what it left is noted

All children of the zygote share what these modules have made, so a child has to be told what they
left outside of Python's memory: descriptors, which stay open in it, and the changes of environment
and `sys.path`, which its order would undo. A thread would be missing in the child, with its locks
held for ever, and a process would have a stranger for its parent: both are refused.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final, final

import attrs

from actors import classes
from actors.failure import place_of, text_of, trace_of
from actors.imported import PRELOADED, Imported, files_since
from supervisor.launcher.kernel import (
    die_with_parent,
    is_single_threaded,
    open_descriptors,
    outlive_parent,
)

_THREAD_SECONDS: Final = 1.0  # a thread that is about to end has so long


class CannotPreloadError(ImportError):
    """A module cannot be imported in advance; the text says which, why, and what to do."""

    def __init__(self, text: str, module: str = "", remote_traceback: str = "") -> None:
        super().__init__(text)
        self.module = module
        self.remote_traceback = remote_traceback


@attrs.frozen
class Traces:
    """What the modules have left in this process, beside what is in Python's memory."""

    descriptors: frozenset[int] = frozenset()
    environment: dict[bytes, bytes | None] = attrs.field(factory=dict[bytes, bytes | None])
    """Variables they have set; None for one that they took away."""
    path: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """What they have put in front of `sys.path`, and behind it."""

    def into(self, environment: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return a child's environment as the modules would have left it."""
        if not self.environment:
            return environment
        changed = {**environment, **self.environment}
        return {name: value for name, value in changed.items() if value is not None}

    def around(self, path: Sequence[str]) -> list[str]:
        """Return a child's `sys.path` as the modules would have left it."""
        front, back = self.path
        return [*front, *path, *back]


@final
class _Listener:
    """A finder that leaves the finding to the others and tells what is about to be read.

    A module that cannot be imported is forgotten by Python, and what it had imported may be the
    reason; a module that ends the process, or never ends, leaves no error to look at.
    """

    def __init__(self, reads: Callable[[str], None]) -> None:
        self._reads: Final = reads

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as if this finder were not there."""
        spec: ModuleSpec | None = None
        for finder in sys.meta_path:
            if finder is not self and spec is None and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
        if spec is None:
            for folder in map(str, sys.path if path is None else path):
                place = Path(folder, name.rpartition(".")[2])
                self._reads(f"{place}.py")
                self._reads(str(place / "__init__.py"))
        elif spec.has_location and spec.origin:
            self._reads(spec.origin)
        return spec


def preload(
    modules: Sequence[str],
    argv: Sequence[str],
    announce: Callable[[str], None],
    reads: Callable[[str], None],
) -> Traces:
    """Import modules in the zygote; return what they left there.

    Args:
        modules: their names.
        argv: what the program was called with.
        announce: is told the name of each before it is imported.
        reads: is told each file that their imports read, before, and those they look for in vain.

    Raises:
        CannotPreloadError: one cannot be imported, or not be shared.
    """
    descriptors, environment, path = open_descriptors(), dict(os.environb), list(sys.path)
    known, began = set(sys.modules), time.time_ns()
    listener = _Listener(reads)
    with _as_for_an_actor(argv):
        sys.meta_path.insert(0, listener)
        for name in modules:
            announce(name)
            _import(name)
        with suppress(ValueError):  # a module may have taken it away
            sys.meta_path.remove(listener)
    PRELOADED.append(Imported(files_since(known), began))
    gc.collect()  # what would be closed later frees a number, which is somebody else's by then
    return Traces(
        frozenset(open_descriptors() - descriptors),
        {
            name: os.environb.get(name)
            for name in environment.keys() | os.environb.keys()
            if os.environb.get(name) != environment.get(name)
        },
        _beside(path, sys.path),
    )


@contextmanager
def _as_for_an_actor(argv: Sequence[str]) -> Generator[None]:
    """Let modules find what they would find in an actor, where this process is another."""
    # It would otherwise outlive the supervisor, and for ever if the import never ends.
    die_with_parent(os.getppid())
    nowhere = os.dup(1)
    os.dup2(2, 1)  # an actor's lines come with its name; these are nobody's yet
    sys.argv[:] = argv
    root = logging.getLogger()
    handler = logging.NullHandler()  # as in an actor, `basicConfig` finds that all is set up
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, kept in handlers.items():
            signal.signal(number, kept)
        root.removeHandler(handler)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()  # or each child might write it again
        os.dup2(nowhere, 1)
        os.close(nowhere)
        asyncio._set_running_loop(None)  # noqa: SLF001 - documented for exactly such code
        outlive_parent()


def _import(name: str) -> None:
    try:
        with classes.importing(name):
            importlib.import_module(name)
    except BaseException as error:  # a module may raise anything, SystemExit too
        error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        text = f"{name} cannot be imported: {type(error).__name__}: {text_of(error)}"
        place = place_of(error)
        if not place.startswith("<frozen") and not isinstance(error, SyntaxError):
            text = f"{text} ({place})"  # it was found, and says itself what it lacks
        raise CannotPreloadError(text, name, trace_of(error)) from error
    if threads := _other_threads():
        raise CannotPreloadError(
            f"{name} leaves a thread running when it is imported ({threads}), and a process with "
            "threads cannot be forked: start it in `on_start`, or preload without this module",
            name,
        )
    if _has_children():
        raise CannotPreloadError(
            f"{name} leaves a process running when it is imported, which could belong to no "
            "actor: start it in `on_start`, or preload without this module",
            name,
        )


def _other_threads() -> str:
    """Return the names of this process's threads but for its first; "" for none."""
    until = time.monotonic() + _THREAD_SECONDS
    while not is_single_threaded():
        if time.monotonic() > until:
            names = [thread.name for thread in threading.enumerate()]
            return ", ".join(names[1:]) or "of a library in C"
        time.sleep(0.001)
    return ""


def _has_children() -> bool:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # it has ended
        return True
    return False


def _beside(old: list[str], new: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stands in front of an older path, and what is added anywhere behind that."""
    first = next((place for place, entry in enumerate(new) if entry in old), len(new))
    return tuple(new[:first]), tuple(entry for entry in new[first:] if entry not in old)
