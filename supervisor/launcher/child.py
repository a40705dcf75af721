"""The child's side of a launch: from a bare process to its entry running.

    forked by the zygote, or a fresh interpreter
      │  own session, default signals, stdin from nowhere, stdout and stderr into pipes,
      │  every other descriptor closed
      ▼
    waits on its lifeline for its order      ◄── the supervisor sends it once it knows the pid
      │  EOF instead: nobody knows of this process, so it ends having done nothing
      ▼
    dies with its parent from here on; environment, directory, sys.path, threads, random seeds
      ▼
    main(lifeline, fds), flush, os._exit(code)

Because nothing runs before the order, a launch that was cut off half-way can simply be repeated.

The order is a 4-byte big-endian length and a msgpack array. What follows on the lifeline belongs
to the entry.
"""

from __future__ import annotations

import array
import importlib
import os
import random
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final, NoReturn, TextIO, cast

import msgspec

from supervisor.launcher.kernel import (
    close_others,
    die_with_parent,
    limit_pools,
    set_blas_threads,
)
from supervisor.launcher.order import Order
from supervisor.launcher.preload import Traces

RAISED: Final = 70
"""Exit code of a child whose entry raised (EX_SOFTWARE); its stderr has the traceback."""

_HEAD: Final = struct.Struct(">I")

MOST_DESCRIPTORS: Final = 64
"""Extra descriptors in one order; the kernel passes some 250 with one message."""

Main = Callable[[socket.socket, dict[str, int]], int | None]


class Instructions(msgspec.Struct, array_like=True, frozen=True):
    """An order on its way down a lifeline; bytes where a name of a file may not be UTF-8."""

    target: str
    names: list[str]  # of the extra descriptors, in the order they come with the first byte
    env: list[tuple[bytes, bytes]]
    cwd: bytes
    sys_path: list[bytes]
    argv: list[bytes]
    threads: int
    parent: int


def pack_order(order: Order) -> bytes:
    """Make the bytes that `enter` waits for; this process will be the child's parent.

    Raises:
        LookupError: no such entry.
        ValueError: more descriptors than one message carries.
    """
    if len(order.fds) > MOST_DESCRIPTORS:
        raise ValueError(
            f"cannot start {order.name}: {len(order.fds)} descriptors, "
            f"at most {MOST_DESCRIPTORS} can be passed"
        )
    env = dict(order.env)
    limit_pools(env, order.threads)
    body = msgspec.msgpack.encode(
        Instructions(
            target=order.target,
            names=list(order.fds),
            env=[(os.fsencode(key), os.fsencode(value)) for key, value in env.items()],
            cwd=os.fsencode(order.cwd),
            sys_path=[os.fsencode(path) for path in order.sys_path or sys.path],
            argv=[os.fsencode(text) for text in order.argv],
            threads=order.threads,
            parent=os.getpid(),
        )
    )
    return _HEAD.pack(len(body)) + body


def become_child(lifeline: int, stdout: int, stderr: int, keep: Collection[int]) -> None:
    """Leave the zygote behind, in a process just forked from it, but for descriptors to `keep`."""
    os.setsid()
    default_signals()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    close_others({0, 1, 2, lifeline, *keep})


def begin(lifeline: int) -> NoReturn:
    """Be a child, in a fresh interpreter that leads its own session."""
    default_signals()
    enter(lifeline, Traces())


def enter(lifeline: int, traces: Traces) -> NoReturn:
    """Wait for the order, carry it out, and end this process.

    `traces` are those of the modules that were imported for it in advance.
    """
    code = RAISED
    try:
        fresh_stdio()
        os.set_inheritable(lifeline, False)
        line = socket.socket(fileno=lifeline)
        line.setblocking(True)
        instructions, descriptors = _receive(line)
        if instructions is None:
            os._exit(0)
        die_with_parent(instructions.parent)
        _settle(instructions, traces)
        fds = dict(zip(instructions.names, descriptors, strict=True))
        code = find_entry(instructions.target)(line, fds) or 0
    except SystemExit as end:
        code = exit_code(end)
    except BaseException:  # noqa: BLE001 - the last frame of a process: it must say why it ended
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code & 0xFF)


def find_entry(target: str) -> Main:
    """Import the function that `module:function` names."""
    module, _, function = target.partition(":")
    return cast("Main", getattr(importlib.import_module(module), function))


def exit_code(end: SystemExit) -> int:
    """What the interpreter would make of it: a code, or a text on stderr and 1."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def default_signals() -> None:
    """Give every signal the behaviour of a new Python program, except that SIGINT does nothing.

    The terminal's SIGINT is for the user's program alone; actors are told to stop by words.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def fresh_stdio() -> None:
    """Make Python's standard streams anew over descriptors 0, 1 and 2, line by line.

    The inherited objects may be somebody's replacements, or hold what was never flushed.
    """
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = _line_writer(1)
    sys.stderr = _line_writer(2)


def _line_writer(descriptor: int) -> TextIO:
    # Not strict: a lone surrogate in a printed path must not end an actor.
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def _receive(line: socket.socket) -> tuple[Instructions | None, list[int]]:
    """Wait for the order and its descriptors; None when there will be none."""
    head, descriptors = b"", list[int]()
    while len(head) < _HEAD.size:
        piece, passed = receive_with_descriptors(line, _HEAD.size - len(head))
        if not piece:
            return None, []
        head += piece
        descriptors += passed
    body = _exactly(line, _HEAD.unpack(head)[0])
    if body is None:
        return None, []
    return msgspec.msgpack.decode(body, type=Instructions), descriptors


def receive_with_descriptors(line: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Receive up to `size` bytes and the descriptors sent with them; no bytes when it is over."""
    numbers = array.array("i")
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * numbers.itemsize)
    try:
        data, ancillary, _, _ = line.recvmsg(size, room)
    except ConnectionResetError:  # said once, when the other has died with words of ours unread
        return receive_with_descriptors(line, size)  # what it has said before is still there
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
    for number in numbers:
        os.set_inheritable(number, False)
    return data, list(numbers)


def _exactly(line: socket.socket, size: int) -> bytes | None:
    """Read `size` bytes and not one more: the rest is the entry's. None at EOF."""
    data = bytearray()
    while len(data) < size:
        piece, _ = receive_with_descriptors(line, size - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)


def _settle(instructions: Instructions, traces: Traces) -> None:
    _change_environment(traces.into(dict(instructions.env)))
    os.chdir(instructions.cwd)
    sys.path[:] = traces.around([os.fsdecode(path) for path in instructions.sys_path])
    if instructions.argv:
        sys.argv[:] = [os.fsdecode(text) for text in instructions.argv]
    importlib.invalidate_caches()
    random.seed(os.urandom(32))
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    set_blas_threads(instructions.threads)


def _change_environment(env: dict[bytes, bytes]) -> None:
    # Only what differs: each write costs a copy of a page that was shared with the zygote.
    for name in os.environb.keys() - env.keys():
        del os.environb[name]
    for name, value in env.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
