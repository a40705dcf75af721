"""An open port as anybody on the network sees it: what costs him nothing may cost us little."""

from __future__ import annotations

import contextlib
import gc
import resource
import select
import socket
import struct
import time

import psutil
import pytest
from scenes import Add, Player
from strangers import GREETING, Stranger

import supervisor
from actors.connection import HANDSHAKE_MS, Curve
from supervisor.access import new_key_pair
from supervisor.keys import KeyRing
from supervisor.roles import Role

pytestmark = pytest.mark.process

SILENT = 2000
SCANS = 1000
VISITS = 300
LATE = 3.0  # seconds a loaded machine may need besides


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
    deadline = time.monotonic() + HANDSHAKE_MS / 1000 + LATE
    while process.num_fds() > before + 2:
        assert time.monotonic() < deadline, "descriptors are left"
        time.sleep(0.01)


def visit(host):
    """Come in with a key, say hello, leave."""
    with Stranger(host.status().listening[0], curve=host.curve) as guest:
        guest.settle()


def test_thousands_who_never_speak_are_cut_off_and_keep_nobody_out(host, port, broker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SILENT + 500), hard))
    try:
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(port)) for _ in range(SILENT)]
            began = time.monotonic()
            visit(host)
            assert time.monotonic() - began < LATE
            ended = wait_for_ends(silent)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert ended < HANDSHAKE_MS / 1000 + LATE


def wait_for_ends(sockets):
    """Return the seconds until the other side has closed all of them."""
    began = time.monotonic()
    poller = select.poll()
    waiting = {one.fileno(): one for one in sockets}
    for descriptor, one in waiting.items():
        one.setblocking(False)
        poller.register(descriptor, select.POLLIN)
    while waiting:
        ready = poller.poll(20_000)
        assert ready, f"{len(waiting)} connections are still open"
        for descriptor, _ in ready:
            with contextlib.suppress(BlockingIOError):
                if not recv_all(waiting[descriptor]):
                    poller.unregister(descriptor)
                    del waiting[descriptor]
    return time.monotonic() - began


def recv_all(one):
    try:
        return one.recv(4096)
    except ConnectionError:
        return b""


def test_a_handshake_a_byte_at_a_time_is_cut_off(port, broker):
    greeting = GREETING.replace(b"NULL" + bytes(1), b"CURVE")
    began = time.monotonic()
    with socket.create_connection(port) as slow:
        slow.settimeout(0.25)
        for byte in greeting:
            try:
                slow.sendall(bytes([byte]))
                while slow.recv(1000):
                    pass
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break  # closed

    assert time.monotonic() - began < HANDSHAKE_MS / 1000 + LATE


def test_a_scanner_leaves_no_line_and_no_descriptor(port, broker, capfd):
    for _ in range(SCANS):
        with socket.create_connection(port) as scan:
            # Close with a reset, as scanners do.
            scan.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    lines = [line for line in capfd.readouterr().err.splitlines() if "@broker" in line]
    assert len(lines) <= 1


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
