"""Modules that are imported once for all actors (supervisor/launcher/preload.py)."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from infrastructure import zygote_of
from keepers import Snapper
from launcher_stage import PRELOAD
from programs import Program, eventually, gone

import supervisor
from actors.errors import SpawnError
from supervisor.launcher import CannotPreloadError, ForkLauncher, Order, Theirs, zygotes

MODULE = """
import os, random, select, sys, threading
import numpy as np
from actors import Actor, Request, message, receive

TEXT = "{text}"

def litter():
    # Rings that hold descriptors: as many as the loops of asyncio that somebody has not closed.
    for _ in range(12):
        ring = [select.epoll()]
        ring.append(ring)

litter()
IMPORTED = os.getpid()
FILE = open(__file__, "rb", buffering=0)
ARGV = list(sys.argv)
CWD = os.getcwd()
os.environ["STAGED"] = "yes"
sys.path.append("/staged")

@message
class Facts(Request[dict[str, str]]):
    pass

class Player(Actor):
    @receive
    def facts(self, msg: Facts) -> dict[str, str]:
        return dict(
            text=TEXT,
            imported=str(IMPORTED),
            pid=str(os.getpid()),
            line=FILE.readline().decode(),
            argv=repr(ARGV),
            cwd=CWD,
            environment=os.environ.get("STAGED", ""),
            path=repr(sys.path),
            random=repr((random.random(), np.random.random())),
            threads=repr([thread.name for thread in threading.enumerate()]),
        )
"""

NAME = "preloaded.players"

THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(99,), name="poll", daemon=True).start()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("stage")
    (path / "preloaded").mkdir()
    (path / "preloaded" / "__init__.py").touch()
    (path / "preloaded" / "players.py").write_text(MODULE.format(text="as written"))
    sys.path.insert(0, str(path))
    kept = dict(os.environ), list(sys.path)
    yield path
    os.environ.pop("STAGED", None)
    sys.path[:] = kept[1]
    sys.path.remove(str(path))


@pytest.fixture(scope="module")
def system(folder):
    # The system first: it has the path, and not what the module does when it is imported here.
    with supervisor.start(preload=NAME) as system:
        system.spawn(importlib.import_module(NAME).Player, name="player")
        yield system


@pytest.fixture
def facts(system):
    request = sys.modules[NAME].Facts
    return lambda: system.ref("player").ask(request(), timeout=60.0).result()


def test_each_life_finds_the_module_as_if_it_had_imported_it(system, facts, folder):
    first = facts()
    system.kill("player")
    second = facts()

    assert first["imported"] == second["imported"] not in (first["pid"], second["pid"])
    assert first["argv"] == repr(sys.argv)
    assert first["cwd"] == str(Path.cwd())
    assert first["environment"] == "yes"
    assert first["path"].endswith("'/staged']")
    assert str(folder) in first["path"]
    assert first["random"] != second["random"]
    assert first["line"] == "\n"
    assert (
        second["line"] == "import os, random, select, sys, threading\n"
    )  # one open file, shared with the first life


def test_what_was_edited_is_imported_again_and_what_cannot_be_is_left_to_the_actor(
    system, facts, folder
):
    file, before = folder / "preloaded" / "players.py", facts()["imported"]

    file.write_text(MODULE.format(text="edited"))
    assert system.restart("player") is not None
    assert facts()["text"] == "edited"
    assert facts()["imported"] not in (before, facts()["pid"])

    package = file.with_name("__init__.py")
    package.write_text(THREAD)
    system.kill("player")
    now = facts()
    assert now["imported"] == now["pid"]
    assert "'poll'" in now["threads"]  # not one that began, and ended, in the zygote

    package.write_text("raise SystemExit('in the middle of an edit')")
    system.spawn(Snapper, name="another")  # of another module: nothing is wrong with it
    system.stop("another")

    package.write_text("")
    system.kill("player")
    now = facts()
    assert now["imported"] != now["pid"]


NEEDY = """
import signal
IN_ADVANCE = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN  # an actor can import it
try:
    import preloaded.helper
except ImportError:
    if IN_ADVANCE:
        raise
"""


def test_a_module_is_imported_again_when_what_it_imports_was_mended(system, facts, folder):
    player, helper = folder / "preloaded" / "players.py", folder / "preloaded" / "helper.py"
    player.write_text(NEEDY + MODULE.format(text="needy"))
    for broken in ("", "from preloaded.players import IN_ADVANCE\nIN_ADVANCE and 1 / 0"):
        if broken:
            helper.write_text(broken)  # before, there was none
        system.kill("player")
        now = facts()
        assert now["text"] == "needy"
        assert now["imported"] == now["pid"]

        helper.write_text("")
        system.kill("player")
        now = facts()
        assert now["imported"] != now["pid"]


def test_the_next_zygote_preloads_too(system, facts):
    zygote, before = eventually(lambda: zygote_of(system)), facts()["imported"]
    assert before == str(zygote)

    os.kill(zygote, signal.SIGKILL)
    system.kill("player")
    now = facts()

    assert now["imported"] not in (before, now["pid"])
    assert gone([zygote])


@pytest.mark.process
def test_nothing_is_imported_in_advance_where_there_is_no_zygote():
    with supervisor.start(inproc=True, preload="no_such_module"):
        pass


@pytest.mark.process
def test_a_module_that_cannot_be_imported_is_an_error_of_start_with_its_traceback(folder):
    (folder / "broken_players.py").write_text("def read():\n    return 1 / 0\n\nread()\n")

    handler = signal.getsignal(signal.SIGTERM)

    with pytest.raises(SpawnError) as caught:
        supervisor.start(preload=("json", "broken_players"))

    assert signal.getsignal(signal.SIGTERM) is handler
    said = str(caught.value)
    assert "broken_players cannot be imported: ZeroDivisionError: division by zero" in said
    assert "broken_players.py, line 2)" in said
    assert "return 1 / 0" in caught.value.remote_traceback
    assert "supervisor/launcher" not in caught.value.remote_traceback


REFUSED = {
    "no_such_module": ("", "ModuleNotFoundError: No module named 'no_such_module'$"),
    "unreadable": ("x = (\n", r"SyntaxError: .*\(unreadable.py, line 1\)"),
    "leaves": ("raise SystemExit('bye')", r"leaves cannot be imported: SystemExit: bye \(.*, line"),
    "starts": (THREAD, r"a thread running when it is imported \(poll\).*start it in `on_start`"),
    "begets": (
        "import subprocess\nbegotten = subprocess.Popen(['sleep', '1234.5'])",
        "leaves a process running when it is imported",
    ),
    "unguarded": ("import supervisor\nsupervisor.start()", "imported unguarded. Put it under `if"),
    "hangs": (
        "import subprocess\nsubprocess.run(['sleep', '1234.5'])",
        "hangs was not imported in 4 s",
    ),
    "vanishes": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        r"2 processes have ended while they imported vanishes \(killed by SIGSEGV\)",
    ),
}


@pytest.mark.process
@pytest.mark.parametrize("name", REFUSED)
def test_a_module_that_no_actor_can_share_is_refused_and_leaves_nothing(
    name, tmp_path, monkeypatch
):
    code, said = REFUSED[name]
    if code:
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    if name == "hangs":
        monkeypatch.setattr(zygotes, "READY_SECONDS", 4.0)

    async def main() -> None:
        launcher = ForkLauncher(preload=PRELOAD, theirs=Theirs(modules=[name]))
        with pytest.raises(CannotPreloadError, match=f"preload: {name}|preload: .*{said}") as told:
            await launcher.start(threads_exist=False)
        assert told.match(said)
        if name == "leaves":
            with pytest.raises(CannotPreloadError, match="bye"):  # nor can a launch
                await launcher.launch(Order(name="late", entry="actor"))
        await launcher.close()

    asyncio.run(asyncio.wait_for(main(), 100.0))


@pytest.mark.process
def test_a_start_that_is_given_up_while_it_imports_waits_for_no_import(tmp_path, monkeypatch):
    (tmp_path / "lasts.py").write_text("import time\ntime.sleep(1234.5)")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(zygotes, "_END_SECONDS", 100.0)

    async def main() -> None:
        launcher = ForkLauncher(preload=PRELOAD, theirs=Theirs(modules=["lasts"]))
        start = asyncio.create_task(launcher.start(threads_exist=False))
        await asyncio.sleep(0)  # it has not said yet what it imports
        start.cancel()
        await launcher.close()

    asyncio.run(asyncio.wait_for(main(), 30.0))


SLOW = """
import os, pathlib, time
here = pathlib.Path(__file__).parent
if (here / "slow").exists():
    (here / "part").write_text(str(os.getpid()))
    (here / "part").rename(here / "importing")
    time.sleep(50)

import subprocess
from actors import Actor

class Idle(Actor):
    def on_start(self):
        if self.context.name == "busy":
            subprocess.Popen(["sleep", "1234.5"])
"""

PROGRAM = """
import os, pathlib, sys, time
import supervisor

if __name__ == "__main__":
    slow = pathlib.Path("slow")
    if sys.argv[1] == "the first time":
        slow.touch()
    system = supervisor.start(preload=("idle",))
    import idle
    system.spawn(idle.Idle, name="idle")
    system.spawn(idle.Idle, name="busy")
    slow.touch()
    os.utime("idle.py", (1, 1))
    system.kill("idle")
    time.sleep(50)
"""


@pytest.mark.process
@pytest.mark.parametrize("when", ["the first time", "again"])
def test_a_supervisor_that_is_killed_while_a_module_is_imported_leaves_nothing(tmp_path, when):
    (tmp_path / "idle.py").write_text(SLOW)
    (tmp_path / "program.py").write_text(PROGRAM)
    with Program("program.py", when, cwd=tmp_path):
        eventually((tmp_path / "importing").exists)
        supervisor = psutil.Process(int((tmp_path / "importing").read_text())).parent()
        family = supervisor.children(recursive=True)
        sleepers = [one for one in family if one.name() == "sleep"]
        supervisor.kill()
        assert gone([one.pid for one in family])
    assert len(sleepers) == (1 if when == "again" else 0)


@pytest.mark.parametrize("when", ["the first time", "again"])
def test_a_program_that_is_killed_while_a_module_is_imported_leaves_nothing(tmp_path, when):
    (tmp_path / "idle.py").write_text(SLOW)
    (tmp_path / "program.py").write_text(PROGRAM)
    with Program("program.py", when, cwd=tmp_path) as program:
        eventually((tmp_path / "importing").exists)
        zygote = psutil.Process(int((tmp_path / "importing").read_text()))
        family = [zygote.pid, *(one.pid for one in zygote.parents())]
        mine = family[: family.index(program.pid)]
        os.kill(program.pid, signal.SIGKILL)
        assert gone(mine)
    assert len(mine) > 1


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_a_program_that_is_told_to_end_while_it_starts_ends_in_order(
    tmp_path, monkeypatch, number, code
):
    (tmp_path / "idle.py").write_text(SLOW)
    (tmp_path / "program.py").write_text(PROGRAM)
    with tempfile.TemporaryDirectory() as directory:  # sockets want a short path
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        with Program("program.py", "the first time", cwd=tmp_path) as program:
            eventually((tmp_path / "importing").exists)
            zygote = psutil.Process(int((tmp_path / "importing").read_text()))
            supervisor = zygote.parent()
            program.process.send_signal(number)
            assert program.end() == code
            # It has waited for both, and for what they had to clear away.
            assert not any(one.is_running() for one in (zygote, supervisor))
            assert list(Path(directory, "understudy").iterdir()) == []
