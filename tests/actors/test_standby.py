"""A process that waits for somebody's life, and what it says of what it has imported."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import threading
from types import ModuleType

import pytest

from actors.control import Boot, Check, ClassName, Prepared
from actors.deframer import Deframer, frame
from actors.imported import COARSE, PRELOADED, Imported, stamp
from actors.lifeline import Lifeline
from actors.standby import files_behind, stand_by

ACTOR = ClassName("somewhere", "Player")
BOOT = Boot("player", 2, b"r" * 16, "", ACTOR, {}, 10, 1.0, 4096, "")


@pytest.fixture
def supervisor():
    """The other end of a spare's lifeline: says words, and hears what is answered."""
    ours, theirs = socket.socketpair()
    deframer = Deframer()

    class Supervisor:
        lifeline = Lifeline(theirs)

        def say(self, word):
            ours.sendall(frame(word))

        def hear(self):
            words = []
            while not words:
                words = deframer.feed(ours.recv(1 << 16))
            [word] = words
            return word

        def end(self):
            ours.close()

    yield Supervisor()
    for end in (ours, theirs):
        end.close()


@pytest.fixture
def module(tmp_path):
    """The file of a module."""
    path = tmp_path / "somewhere.py"
    path.write_text("x = 1")
    return path


@pytest.fixture
def spare(supervisor, module):
    """One that has imported the module; returns who it is to be."""
    became = []
    began = stamp(str(module))[-1] + 2 * COARSE  # some time after it was written
    work = lambda: became.append(stand_by(supervisor.lifeline, [str(module), "gone"], began))  # noqa: E731
    thread = threading.Thread(target=work)
    thread.start()
    assert supervisor.hear() == Prepared()
    yield lambda: (thread.join(10.0), became[0])[1]
    supervisor.end()
    thread.join(10.0)


def test_it_becomes_who_it_is_told_to_be(supervisor, spare):
    supervisor.say(Check())
    assert supervisor.hear() == Prepared(current=True)

    supervisor.say(BOOT)
    assert spare() == BOOT


def test_it_becomes_nobody_when_its_supervisor_has_ended(supervisor, spare):
    supervisor.end()

    assert spare() is None


def edited(path):
    path.write_text("x = 22")


def replaced_by_an_installer(path):
    """By a file of the same size that was given the same time."""
    new = path.with_suffix(".new")
    new.write_text("x = 2")
    seen = path.stat()
    os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    new.rename(path)


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [edited, replaced_by_an_installer, removed])
def test_what_was_changed_since_is_noticed(supervisor, spare, module, change):
    change(module)
    supervisor.say(Check())

    assert supervisor.hear() == Prepared(current=False)


def test_what_was_changed_during_the_import_may_have_been_read_before(supervisor, module):
    began = stamp(str(module))[-1]
    edited(module)
    thread = threading.Thread(target=stand_by, args=(supervisor.lifeline, [str(module)], began))
    thread.start()
    assert supervisor.hear() == Prepared()

    supervisor.say(Check())
    assert supervisor.hear() == Prepared(current=False)
    supervisor.end()
    thread.join(10.0)


@pytest.fixture
def preloaded(module):
    """The file of a module that the process has found imported."""
    path = module.with_name("found.py")
    path.write_text("y = 1")
    PRELOADED.append(Imported([str(path)], stamp(str(path))[-1] + 2 * COARSE))
    yield path
    PRELOADED.pop()


def test_what_was_imported_for_it_in_advance_is_looked_at_too(supervisor, preloaded, spare):
    supervisor.say(Check())
    assert supervisor.hear() == Prepared(current=True)

    edited(preloaded)
    supervisor.say(Check())
    assert supervisor.hear() == Prepared(current=False)


class Hostile:
    """Stands for a module, as some libraries' objects do."""

    def __getattr__(self, name):
        raise ImportError(f"cannot load {name}")


def test_the_files_are_those_of_what_was_imported_since_whatever_stands_for_a_module(
    tmp_path, monkeypatch
):
    known = list(sys.modules)
    (tmp_path / "lazy_one.py").write_text("raise RuntimeError('nobody has asked for it')")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("lazy_one")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    lazy = importlib.util.module_from_spec(spec)
    loader.exec_module(lazy)
    plain = ModuleType("plain_one")
    plain.__file__ = "/plain.py"
    for name, module in (("lazy_one", lazy), ("plain_one", plain), ("odd_one", Hostile())):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "blocked_one", None)

    files = files_behind(ClassName("m", "C", script="/script", definition=""), known)

    assert files == {"/script", "/plain.py", str(tmp_path / "lazy_one.py")}
