"""How a program gets a system: `start` makes one, `connect` joins one.

`start` runs the supervisor as a process of its own (or, `inproc=True`, as threads).  Its lifeline
is a socket that closes with this program, however the program ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, final

from actors.errors import ActorError, ConnectionLost, SpawnError
from actors.hints import similar
from actors.log import levels
from actors.process import script_guard
from supervisor import rundir
from supervisor.boot import (
    Deframer,
    SupervisorBoot,
    SupervisorEnded,
    SupervisorFailed,
    SupervisorReady,
    Word,
    frame,
)
from supervisor.farewell import interruptible, terminate
from supervisor.gate import EXAMPLE, check_tcp, curve_for, guarded
from supervisor.launcher.interpreter import start_interpreter
from supervisor.options import check_kinds, check_options, modules_of, shared_memory_of
from supervisor.plan import plan_tree
from supervisor.process import serve
from supervisor.spec import Tree
from supervisor.system import System

READY_SECONDS: Final = 30.0
"""Seconds the supervisor process may take to begin."""

PRELOAD_SECONDS: Final = 65.0
"""Seconds more for modules to preload; after 60 the supervisor says which one is too slow."""

DEFAULT_LAUNCHER: Final = "fork" if sys.platform == "linux" else "spawn"

CLOSE_SECONDS: Final = 3600.0

THE_SYSTEM: Final = "the system"
"""What did not start, in a `SpawnError`."""


class BrokenPreloadError(SpawnError):
    """A module that was to be preloaded cannot be: the program's to mend, not the machine's."""


LAST_WORD_SECONDS: Final = 1.0
"""Seconds a system that cannot be joined has to say that it is over."""

REAP_SECONDS: Final = 5.0
"""Seconds the supervisor process has to end once it was told."""


@interruptible
def start(  # noqa: PLR0913 - the options of the contract, all but the tree by keyword
    tree: Tree | None = None,
    *,
    listen: str | Sequence[str] | None = None,
    name: str | None = None,
    inproc: bool = False,
    ask_timeout: float = 30.0,
    launcher: str | None = None,
    state_dir: str | Path | None = None,
    relay: bool = False,
    shared_memory: int | str | None = None,
    preload: str | Sequence[str] = (),
    _faults: bytes = b"",
) -> System:
    """Start a system: a supervisor process with its broker and monitor, and the actors of `tree`.

    Leaving the `with` block finishes what was told, stops the actors in reverse order and ends
    every process.  They end too, within 2 s, when this program is killed.

    Raises `TypeError` or `ValueError` for what cannot be meant, `SpawnError` when the system does
    not start, `FileExistsError` when the name is taken, `AccessDenied` for a network without keys.

    Args:
        tree: what to run from the beginning; more can be spawned later.
        listen: tcp endpoints, such as "tcp://0.0.0.0:7700" (port `*`: any).  Whoever joins there
            needs a key that is allowed: `understudy keys`.
        name: by which `connect` finds it; unique among this user's systems.
        inproc: run everything as threads of this process, for debugging.
        ask_timeout: seconds an ask waits when nobody says otherwise.
        launcher: "fork" (Linux, the default there) or "spawn".
        state_dir: where the states that actors save are kept on disk, so that they outlive the
            system; made if it is missing, and used by one system at a time.  None: in memory.
        relay: send every message through the broker.  Otherwise two parties of one host that talk
            to each other connect directly, and need the broker no more for it.
        shared_memory: bytes, or a text such as "4 GiB", that arrays and rings of all processes
            together may take of shared memory; None: half of the machine's memory.
        preload: modules that actors find imported, as "lab.detectors": they are imported once, for
            all of them.  Only the fork launcher does so; what such a module must not do is on the
            page "Restart what died".
        _faults: private; what the broker shall do wrong, see `actors.testing.replay`.
    """
    script_guard()
    check_options(tree, name, ask_timeout, launcher)
    check_kinds(state_dir, inproc=inproc, relay=relay)
    endpoints, keys = guarded(listen)
    boot = SupervisorBoot(
        name=name or f"s-{os.getpid()}-{os.urandom(4).hex()}",
        tree=plan_tree(tree or Tree(), None),
        listen=endpoints,
        ask_timeout=ask_timeout,
        env=dict(os.environb),
        cwd=os.fsencode(Path.cwd()),
        sys_path=_path(),
        parent=os.getpid(),
        launcher="thread" if inproc else launcher or DEFAULT_LAUNCHER,
        state_dir="" if state_dir is None else str(Path(state_dir).absolute()),
        version=version_text(),
        argv=[os.fsencode(text) for text in sys.argv],
        keys=keys,
        relay=relay or bool(_faults),  # a broker that shall do wrong must see everything
        faults=_faults,
        shared_memory=shared_memory_of(shared_memory),
        preload=modules_of(preload),
        levels=levels(),
    )
    host = _Host(boot)
    try:
        ready = host.begin()
        system = System(
            ready.endpoint,
            directory=ready.directory,
            ask_timeout=ask_timeout,
            end=host.end,
            abandon=host.abandon,
        )
    except ConnectionLost:
        reason = host.last_word()  # its tree may have done its work already
        host.abandon()
        if reason:
            raise ConnectionLost(reason=reason) from None
        raise
    except BaseException:
        host.abandon()
        raise
    host.serve(system)
    # A program that ends without `with` has told things too, and wants them handled.
    atexit.register(system.close_at_exit)
    return system


@interruptible
def connect(endpoint: str | None = None, key: str | None = None) -> System:
    """Join a running system.

    Args:
        endpoint: of its broker, or the name of a system of this user; by default
            `$UNDERSTUDY_ENDPOINT`, else the system called "default", else the only one there is.
        key: the public key of the system at a tcp endpoint (`understudy keys show` there); by
            default the one that `understudy keys trust` has noted, else this user's own.

    Raises:
        ValueError: neither an endpoint nor a name.
        ConnectionLost: no such system; or nobody is there for 3 s, or does not answer for 10 s.
        AccessDenied: it does not know our key, or has another key than `key`.
        OSError: this program may open no more descriptors; it says what to raise.
    """
    wanted = _checked(endpoint)
    if wanted.startswith("tcp://"):
        return System(wanted, curve=curve_for(wanted, key))
    if key is not None:
        raise ValueError("key= is for tcp endpoints; a system of this user needs none")
    if wanted.startswith(("ipc://", "inproc://")):
        return System(wanted)
    found = rundir.live_systems()
    for system in found:
        if system.name == (wanted or "default"):
            return System(system.endpoint, directory=_directory(system.endpoint))
    if not wanted and len(found) == 1:
        return System(found[0].endpoint, directory=_directory(found[0].endpoint))
    missing = _not_found(wanted, [system.name for system in found])
    raise ConnectionLost(missing, reason=missing)


def _checked(endpoint: str | None) -> str:
    """Return what to join, an endpoint or a name; "" when nobody has said."""
    if not isinstance(endpoint, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"endpoint={endpoint!r:.80}: give a text: a tcp endpoint, or a system's name"
        )
    wanted = endpoint or os.environ.get("UNDERSTUDY_ENDPOINT") or ""
    what = "endpoint" if endpoint else "UNDERSTUDY_ENDPOINT"
    if wanted.startswith("tcp://"):
        check_tcp(what, wanted)
    elif not wanted.startswith(("ipc://", "inproc://")) and (":" in wanted or "/" in wanted):
        raise ValueError(f"{what}={wanted!r:.80}: write {EXAMPLE}, or the name of a system")
    return wanted


def _not_found(wanted: str, names: list[str]) -> str:
    if not names:
        which = f"no system called {wanted!r} runs" if wanted else "no system runs"
        return f"{which}; start one with `understudy up`"
    which = f"no system called {wanted!r} runs" if wanted else "several systems run"
    if meant := similar(wanted, names):
        return f"{which}; did you mean {' or '.join(meant)}?"
    return f"{which}; name one of these: {', '.join(names)}"


@final
class _Host:
    """The supervisor process, seen from the program that started it."""

    def __init__(self, boot: SupervisorBoot) -> None:
        self._boot = boot
        self._lifeline, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._deframer = Deframer()
        self._words: deque[Word] = deque()
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._ended = threading.Event()
        self._reaping = threading.Lock()
        self._former: Any = None

    def begin(self) -> SupervisorReady:
        """Start the supervisor; return once its broker is there."""
        self._catch_sigterm()  # first: what is preloaded may take its time
        if self._boot.launcher == "thread":
            self._thread = threading.Thread(
                target=serve, args=(self._theirs,), name="understudy-supervisor", daemon=True
            )
            self._thread.start()
        else:
            descriptor = self._theirs.fileno()
            self._pid = start_interpreter(
                "supervisor.process:main", [descriptor], keep=[descriptor], env=_single_threaded()
            )
            self._theirs.close()
        self._lifeline.sendall(frame(self._boot))
        self._lifeline.settimeout(READY_SECONDS + (PRELOAD_SECONDS if self._boot.preload else 0.0))
        word = self._next()
        self._lifeline.settimeout(None)
        if isinstance(word, SupervisorReady):
            return word
        if isinstance(word, SupervisorFailed):
            raise _failure(word)
        reason = "the supervisor process ended before it was ready; see its standard error"
        raise SpawnError(actor=THE_SYSTEM, reason=reason)

    def serve(self, system: System) -> None:
        """Listen for the end of the system."""
        self._listener = threading.Thread(
            target=self._listen, args=(system,), name="understudy-lifeline", daemon=True
        )
        self._listener.start()

    def end(self, system: System) -> None:
        """End the system in good order; interrupted, at once."""
        try:
            if not self._ended.is_set():
                system.shut_down()
            self._ended.wait(CLOSE_SECONDS)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the lifeline: whatever still runs is killed.  For any thread; twice is fine."""
        try:
            self._abandon()
        finally:
            self._restore_sigterm()

    def _abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_RDWR)
        with self._reaping:
            if self._pid:
                _reap(self._pid)
                self._pid = 0
        if self._thread is not None:
            self._thread.join(10.0)
        if self._listener is not None and self._listener is not threading.current_thread():
            self._listener.join(10.0)
        self._lifeline.close()

    def _listen(self, system: System) -> None:
        reason = self._why_over()
        self._ended.set()
        system.lose(reason or "the supervisor process has died")

    def last_word(self) -> str:
        """Return why the system is over already; "" when it is not."""
        with contextlib.suppress(OSError):
            self._lifeline.settimeout(LAST_WORD_SECONDS)
        return self._why_over()

    def _why_over(self) -> str:
        word: Word | None = None
        with contextlib.suppress(OSError, ActorError):
            word = self._next()
        if isinstance(word, SupervisorFailed):
            return f"the supervisor itself failed: {word.text}"
        return word.reason if isinstance(word, SupervisorEnded) else ""

    def _next(self) -> Word | None:
        while not self._words:
            try:
                data = self._lifeline.recv(1 << 16)
            except OSError:  # a time limit, or the other end has died with our words unread
                return None
            if not data:
                return None
            self._words.extend(self._deframer.feed(data))
        return self._words.popleft()

    # --- SIGTERM ends this program as leaving the `with` block does

    def _catch_sigterm(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._former = signal.signal(signal.SIGTERM, terminate)

    def _restore_sigterm(self) -> None:
        if self._former is not None and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) is terminate:  # else it is the program's own
                signal.signal(signal.SIGTERM, self._former)
            self._former = None


def _reap(pid: int) -> None:
    """Wait for the supervisor process; kill it when it is stuck."""
    end = time.monotonic() + REAP_SECONDS
    with contextlib.suppress(ChildProcessError):  # this program reaps its children by itself
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
            time.sleep(0.002)


def _failure(word: SupervisorFailed) -> Exception:
    if word.kind == "AlreadyRunningError":
        return FileExistsError(word.text)
    failed = BrokenPreloadError if word.module else SpawnError
    return failed(actor=THE_SYSTEM, reason=word.text, remote_traceback=word.traceback)


def _path() -> list[bytes]:
    # Not resolved: a link on the path is there on purpose.
    return [os.fsencode(Path.cwd() / entry) for entry in sys.path]


def _directory(endpoint: str) -> str:
    return str(Path(endpoint.removeprefix("ipc://")).parent)


def version_text() -> str:
    """Return the version of the installed package."""
    try:
        return version("understudy")
    except PackageNotFoundError:
        return "0"


def _single_threaded() -> dict[str, str]:
    """The supervisor preloads numpy for its children, who must not inherit a pool of threads."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(pools, "1")}
