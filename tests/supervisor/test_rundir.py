"""The runtime directory: whose it is, when it is stale, and who may take it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from actors.errors import AccessDenied
from supervisor import rundir

ROOT = Path(__file__).parents[2]


@pytest.fixture
def base(monkeypatch, tmp_path_factory):
    """A runtime directory of our own, short enough for sockets, and only that one."""
    home = tmp_path_factory.mktemp("r")
    home.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    monkeypatch.setattr(rundir, "LONGEST_IPC", len(os.fsencode(home)) + 80)
    return home / "understudy"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def living_in(base: Path) -> list[rundir.SystemFile]:
    """Living systems of this test: others may run on this machine at the same time."""
    return [system for system in rundir.live_systems() if str(base) in system.endpoint]


def dead_system(base: Path, name: str) -> Path:
    """Leave behind what a system killed with -9 leaves behind."""
    code = (
        "import os, signal, sys; from supervisor import rundir\n"
        "rundir.LONGEST_IPC = 300\n"
        "home = rundir.create(sys.argv[1])\n"
        "home.write_system(endpoint='ipc:///x', version='0', started=0.0)\n"
        "(home.path / 'broker').touch()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = dict(os.environ) | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(base.parent)}
    subprocess.run([sys.executable, "-c", code, name], env=env, check=False, timeout=30)
    assert (base / name / "broker").exists()
    return base / name


def test_everything_is_for_the_owner_alone_whatever_the_umask(base):
    before = os.umask(0)
    try:
        with rundir.create("one") as home:
            home.write_system(endpoint="ipc:///x", version="1", started=1.0)

            assert home.path == base / "one"
            assert mode(base) == mode(home.path) == 0o700
            assert mode(home.path / "lock") == mode(home.path / "system.json") == 0o600
    finally:
        os.umask(before)


def test_closing_removes_the_directory_and_twice_is_fine(base):
    home = rundir.create("one")
    home.ipc_path("broker").touch()
    home.close()
    home.close()

    assert list(base.iterdir()) == []


def test_a_living_system_keeps_its_name_and_is_not_disturbed(base):
    with rundir.create("one") as home:
        home.ipc_path("broker").touch()
        with pytest.raises(rundir.AlreadyRunningError, match=f"already running, pid {os.getpid()}"):
            rundir.create("one")
        assert rundir.clean_stale() == []

        assert home.ipc_path("broker").exists()


def test_the_name_of_a_killed_system_is_free_and_its_files_are_gone(base):
    dead_system(base, "one")
    with rundir.create("one") as home:
        assert [path.name for path in home.path.iterdir()] == ["lock"]


def test_stale_directories_are_removed_and_living_ones_stay(base):
    dead = dead_system(base, "dead")
    with rundir.create("alive") as home:
        assert rundir.clean_stale() == [dead]
        assert list(base.iterdir()) == [home.path]


def test_what_an_interrupted_removal_left_is_removed(base):
    with rundir.create("one"):
        (base / ".two.0123abcd.gone").mkdir(mode=0o700)
        (base / ".two.0123abcd.gone" / "broker").touch()
        rundir.clean_stale()

        assert [path.name for path in base.iterdir()] == ["one"]


def test_living_systems_are_listed_and_dead_ones_are_not(base):
    dead_system(base, "dead")
    with rundir.create("b") as second, rundir.create("a") as first, rundir.create("starting"):
        told = [
            home.write_system(endpoint=f"ipc://{home.path}/broker", version="1", started=2.5)
            for home in (first, second)
        ]

        assert living_in(base) == told
        assert told[0].pid == os.getpid()
        assert rundir.read_system(first.path) == told[0]


def test_a_system_file_that_is_not_ours_is_passed_over(base):
    with rundir.create("one") as home:
        (home.path / "system.json").write_text(f'{{"name": 1, "endpoint": "ipc://{base}/x"}}')

        assert living_in(base) == []


def test_looking_at_systems_does_not_keep_a_name_taken(base):
    """Readers lock for an instant; creating waits for them instead of seeing a living system."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            rundir.live_systems()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(50):
            rundir.create("one").close()
    finally:
        stop.set()
        reader.join()


def test_creating_and_cleaning_at_once_end_with_a_directory_of_ones_own(base):
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            rundir.clean_stale()

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for _ in range(50):
            with rundir.create("one") as home:
                assert (home.path / "lock").exists()
    finally:
        stop.set()
        cleaner.join()


@pytest.mark.parametrize("what", ["base", "directory"])
def test_a_symbolic_link_in_place_of_a_directory_is_refused(base, what, tmp_path):
    if what == "base":
        base.symlink_to(tmp_path)
    else:
        base.mkdir(mode=0o700)
        (base / "one").symlink_to(tmp_path)

    with pytest.raises(AccessDenied, match=r"is a symbolic link.*remove it") as caught:
        rundir.create("one")
    assert isinstance(caught.value, PermissionError)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_others_may_enter_is_refused(base):
    base.mkdir()
    base.chmod(0o755)

    with pytest.raises(AccessDenied, match=r"open to others \(mode 0755, wanted 0700\)"):
        rundir.create("one")


def test_a_directory_of_somebody_else_is_refused(base):
    if os.geteuid() == 0:  # only root can give a directory away
        base.mkdir(mode=0o700)
        os.chown(base, 12345, 12345)
        with pytest.raises(AccessDenied, match="belongs to user 12345"):
            rundir.create("one")
    else:  # and everybody else finds one that belongs to root
        with pytest.raises(AccessDenied, match="belongs to user 0"):
            rundir._check_ours(Path("/"))


def test_a_lock_that_is_a_link_is_not_followed(base, tmp_path):
    base.mkdir(mode=0o700)
    (base / "one").mkdir(mode=0o700)
    (base / "one" / "lock").symlink_to(tmp_path / "victim")

    with pytest.raises(OSError, match="symbolic"):
        rundir.create("one")
    assert not (tmp_path / "victim").exists()


def test_a_runtime_directory_too_long_for_sockets_gives_way_to_tmp(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    name = f"test-{os.getpid()}"
    with rundir.create(name) as home:
        home.write_system(endpoint="ipc:///x", version="1", started=0.0)

        assert home.path == Path(f"/tmp/understudy-{os.geteuid()}") / name
        assert len(os.fsencode(home.ipc_path("x" * rundir.LONGEST_LEAF))) <= 107
        assert name in [system.name for system in rundir.live_systems()]


@pytest.mark.parametrize("given", ["", "relative/path", "/no/such/directory"])
def test_a_useless_runtime_directory_variable_is_passed_over(monkeypatch, given):
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)
    with rundir.create(f"test-{os.getpid()}") as home:
        assert home.path.parent == Path(f"/tmp/understudy-{os.geteuid()}")


def test_a_socket_path_the_kernel_would_refuse_is_refused_with_its_length(base):
    with rundir.create("one") as home, pytest.raises(ValueError, match=r"has \d+ bytes, at most"):
        home.ipc_path("x" * 100)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "ä", "x" * 65])
def test_a_name_that_is_no_plain_file_name_is_refused(base, name):
    with pytest.raises(ValueError, match="cannot name a system"):
        rundir.create(name)


def test_a_name_that_leaves_no_room_for_sockets_is_refused(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(ValueError, match="too long to name a system"):
        rundir.create("x" * 64)


def test_another_runtime_directory_is_another_world(monkeypatch):
    # Short paths, as the real ones are: where sockets do not fit, /tmp is everybody's.
    with tempfile.TemporaryDirectory(prefix="us-") as one, tempfile.TemporaryDirectory() as two:
        monkeypatch.setenv("XDG_RUNTIME_DIR", one)
        with rundir.create("lab") as here:
            here.write_system(endpoint="ipc:///nowhere", version="0", started=0.0)
            seen = [system.name for system in rundir.live_systems()]
            monkeypatch.setenv("XDG_RUNTIME_DIR", two)

            assert seen == ["lab"]
            assert rundir.live_systems() == []
