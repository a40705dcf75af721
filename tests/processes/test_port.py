"""An open port as anybody on the network sees it: what costs him nothing may cost us little."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import time

import psutil
import pytest
from programs import eventually
from scenes import Add, Player
from strangers import GREETING, Stranger

import supervisor
from actors.connection import Curve
from actors.routers import HANDSHAKE_MS
from supervisor.access import new_key_pair
from supervisor.keys import KeyRing
from supervisor.roles import Role

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

SILENT = 2000
SCANS = 1000
VISITS = 300
PATIENCE = 60.0  # seconds; what would never come does not come in these either


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    ring = KeyRing(tmp_path_factory.mktemp("host") / "keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_KEYS", str(ring.directory))
        system = supervisor.start(listen="tcp://127.0.0.1:*")
    with system:
        pair = new_key_pair()
        ring.allow(pair.public, name="guest", role=Role.OPERATOR)
        system.curve = Curve(ring.identity().public, pair.public, pair.secret)
        system.spawn(Player, name="player")
        yield system


@pytest.fixture
def port(host):
    address, _, number = host.status().listening[0].removeprefix("tcp://").rpartition(":")
    return address, int(number)


@pytest.fixture
def broker(host):
    """The broker's process; it is the same one afterwards, with no more descriptors."""
    process = psutil.Process(host.status().broker_pid)
    before = process.num_fds()

    yield process

    assert host.ref("player").ask(Add(1, 2)).result() == 3.0
    assert host.status().broker_pid == process.pid
    deadline = time.monotonic() + PATIENCE
    while process.num_fds() > before + 2:
        assert time.monotonic() < deadline, "descriptors are left"
        time.sleep(0.01)


def visit(host):
    """Come in with a key, say hello, leave."""
    with Stranger(host.status().listening[0], curve=host.curve) as guest:
        guest.settle()


def test_thousands_who_never_speak_are_cut_off_and_keep_nobody_out(host, port, broker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SILENT + 500
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        with contextlib.ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection(port)) for _ in range(most - 500)
            ]
            visit(host)  # comes in, though all of those came before
            wait_for_ends(silent)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wait_for_ends(sockets):
    """Return once the other side has closed all of them."""
    poller = select.poll()
    waiting = {one.fileno(): one for one in sockets}
    for descriptor, one in waiting.items():
        one.setblocking(False)
        poller.register(descriptor, select.POLLIN)
    while waiting:
        ready = poller.poll(PATIENCE * 1000)
        assert ready, f"{len(waiting)} connections are still open"
        for descriptor, _ in ready:
            with contextlib.suppress(BlockingIOError):
                if not recv_all(waiting[descriptor]):
                    poller.unregister(descriptor)
                    del waiting[descriptor]


def recv_all(one):
    try:
        return one.recv(4096)
    except ConnectionError:
        return b""


def test_a_handshake_a_byte_at_a_time_is_cut_off(port, broker):
    greeting = GREETING.replace(b"NULL" + bytes(1), b"CURVE")
    pause = 4 * HANDSHAKE_MS / 1000 / len(greeting)  # all of it would take four times what it may
    sent = 0
    with socket.create_connection(port) as slow:
        slow.settimeout(pause)
        for byte in greeting:
            try:
                slow.sendall(bytes([byte]))
                sent += 1
                while slow.recv(1000):
                    pass
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break  # closed

    assert sent < len(greeting), "it was not cut off"


def test_a_scanner_leaves_no_descriptor(port, broker):
    scan(port, SCANS)


def scan(port, times):
    for _ in range(times):
        with socket.create_connection(port) as door:
            # Close with a reset, as scanners do.
            door.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


WATCHED = """
import sys
import supervisor

with supervisor.start(listen="tcp://127.0.0.1:*") as system:
    print(system.status().listening[0], flush=True)
    print(system.status().endpoint, flush=True)
    sys.stdin.read()
"""


def test_a_scanner_leaves_no_line(tmp_path):
    """In a program of its own, whose processes have a file as their stderr from the first on."""
    KeyRing(tmp_path / "keys")
    said = tmp_path / "stderr"
    with said.open("wb") as errors:
        program = subprocess.Popen(
            [sys.executable, "-c", WATCHED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"UNDERSTUDY_KEYS": str(tmp_path / "keys")},
        )
    with program:
        address, _, number = (
            program.stdout.readline().decode().strip().removeprefix("tcp://").rpartition(":")
        )
        local = program.stdout.readline().decode().strip()
        scan((address, int(number)), SCANS)
        scanned = said.read_text(encoding="utf-8")
        with Stranger(local) as stranger:  # what does leave a line, so that one can be found
            stranger.send(b"junk", b"junk")
            eventually(lambda: "refused 1 messages" in said.read_text(encoding="utf-8"))
        program.stdin.close()
        assert program.wait(PATIENCE) == 0

    assert scanned == ""
    lines = said.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "refused 1 messages" not in line] == []


def test_visitors_who_come_and_go_leave_nothing(host, broker):
    supervisor_ = psutil.Process(host.pid)
    for _ in range(VISITS):
        visit(host)
    gc.collect()
    before = broker.memory_info().rss, supervisor_.memory_info().rss, supervisor_.num_fds()
    threads = broker.num_threads()
    for _ in range(VISITS):
        visit(host)

    assert broker.num_threads() == threads
    assert supervisor_.num_fds() <= before[2] + 2
    # The names of the last 10,000 are remembered, so that none comes back: a kilobyte each.
    assert broker.memory_info().rss - before[0] < VISITS * 4096 + (1 << 20)
    assert supervisor_.memory_info().rss - before[1] < VISITS * 4096 + (1 << 20)
