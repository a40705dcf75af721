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
from typing import Final

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


def preload(
    modules: Sequence[str],
    omitted: Sequence[str],
    argv: Sequence[str],
    announce: Callable[[str], None],
) -> Traces:
    """Import modules in the zygote; return what they left there.

    Args:
        modules: their names.
        omitted: which of them not to import, for they could not be: only their files are noted.
        argv: what the program was called with.
        announce: is told the name of each before it is imported.

    Raises:
        CannotPreloadError: one cannot be imported, or not be shared.
    """
    descriptors, environment, path = open_descriptors(), dict(os.environb), list(sys.path)
    known, began = set(sys.modules), time.time_ns()
    with _as_for_an_actor(argv):
        for name in modules:
            if name not in omitted:
                announce(name)
                _import(name)
        files = {file for name in omitted for file in _files_of(name)}
    PRELOADED.append(Imported(files | files_since(known), began))
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


def _files_of(name: str) -> set[str]:
    """Return the files that a module and its packages would be imported from, importing none.

    What it could not be imported for may be in a package of its: a thread, or `SystemExit`.
    """
    files, path, known = set[str](), None, ""
    with suppress(Exception):  # a finder may raise anything
        for part in name.split("."):
            known = f"{known}.{part}".lstrip(".")
            found = (finder.find_spec(known, path) for finder in sys.meta_path)
            spec = next(filter(None, found), None)
            if spec is None:
                break
            if spec.origin:
                files.add(spec.origin)
            path = spec.submodule_search_locations
    return files


def _beside(old: list[str], new: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stands in front of an older path, and what is added anywhere behind that."""
    first = next((place for place, entry in enumerate(new) if entry in old), len(new))
    return tuple(new[:first]), tuple(entry for entry in new[first:] if entry not in old)
