"""Every way a program can be run: script, module, standard input, prompt, asyncio, thread."""

from __future__ import annotations

import os
import zipapp

import pytest
from programs import SCENES

pytestmark = pytest.mark.process

FIRST_MINUTE = {"first": 3.0, "killed": 1, "second": 7.0}

SNIPPET = """\
from actors import Actor, Request, message, receive
import supervisor

@message
class Add(Request[float]):
    x: float
    y: float

class Calculator(Actor):
    @receive
    def add(self, msg: Add) -> float:
        return msg.x + msg.y

with supervisor.start() as system:
    calc = system.spawn(Calculator, name="calc")
    print(calc.ask(Add(1, 2)).result())
    killed = system.kill("calc")
    print(calc.ask(Add(3, 4)).result())

"""


@pytest.mark.parametrize("way", ["script", "module", "asyncio", "thread"])
def test_the_first_minute_works(way, run, scene):
    match way:
        case "script":
            program = scene("hello")
        case "module":
            program = run("-m", "scenes", "hello", cwd=SCENES.parent)
        case "asyncio":
            program = scene("hello_async")
        case _:
            program = scene("from_thread")

    assert program.end() == 0, program.errors
    assert program.fact("first") == FIRST_MINUTE


@pytest.mark.parametrize("way", ["standard input", "prompt"])
def test_classes_that_exist_in_no_file_work(way, run):
    command = ["-"] if way == "standard input" else ["-i", "-q"]
    program = run(*command, stdin=SNIPPET)

    assert program.end() == 0, program.errors
    assert program.output == ["3.0", "7.0"]


def test_a_script_without_its_guard_is_told_so(tmp_path, run):
    path = tmp_path / "unguarded.py"
    path.write_text(SNIPPET, encoding="utf-8")
    program = run(path)

    assert program.end() == 1
    assert program.errors.count("supervisor.start() was reached while an actor process") == 1
    assert '`if __name__ == "__main__":`' in program.errors
    assert program.output == []


def test_actors_find_the_surroundings_of_their_program(tmp_path, scene):
    program = scene("surroundings", cwd=tmp_path)

    assert program.end() == 0, program.errors
    cwd, variable, *path = program.fact("found")
    assert cwd == os.path.realpath(tmp_path)
    assert variable == "changed by the program"
    assert str(SCENES.parent) in path
    assert path[-1] == "/nowhere/in/particular"


AT_HOME = """\
import os, sys
import supervisor
from actors import Actor, Request, message, receive

@message
class Home(Request[list[str]]):
    pass

class Dweller(Actor):
    @receive
    def home(self, _msg: Home) -> list[str]:
        return [*sys.argv[1:], os.path.basename(__file__), os.fsencode(os.environ["ODD"]).hex()]

if __name__ == "__main__":
    os.chdir("/")
    with supervisor.start() as system:
        print(*system.spawn(Dweller).ask(Home()).result())
"""


@pytest.mark.parametrize("way", ["my script-1", "link.py", "app.pyz", "-m"])
def test_actors_find_the_program_and_its_arguments(way, tmp_path, run, monkeypatch):
    """However it was started: any file name, a link, a zipped program, a package."""
    monkeypatch.setitem(os.environb, b"ODD", b"\xff")  # an environment need not be text
    path = tmp_path / "package" / "__main__.py"
    path.parent.mkdir()
    path.write_text(AT_HOME, encoding="utf-8")
    if way == "app.pyz":
        zipapp.create_archive(path.parent, tmp_path / way)
    elif way == "link.py":
        (tmp_path / way).symlink_to(path)
    elif way != "-m":
        path.rename(tmp_path / way)
    program = run(*(["-m", "package"] if way == "-m" else [way]), "an argument", cwd=tmp_path)

    assert program.end() == 0, program.errors
    file = way if way in ("my script-1", "link.py") else "__main__.py"
    assert program.output == [f"an argument {file} ff"]


IN_THE_SCRIPT = """
import supervisor
from actors import Actor, Request, message, receive

@message
class Give(Request[int]):
    pass

class Giver(Actor):
    @receive
    def give(self, _msg: Give) -> int:
        return 1

if __name__ == "__main__":
    import bank
    with supervisor.start() as system:
        giver = system.spawn(Giver, name="giver")
        print(giver.ask(Give()).result())
        giver.ask(bank.Give()).result()  # as another program has it that imports the file
"""


def test_who_imports_the_messages_of_a_running_script_hears_where_they_belong(tmp_path, run):
    (tmp_path / "bank.py").write_text(IN_THE_SCRIPT, encoding="utf-8")
    program = run("bank.py", cwd=tmp_path)

    assert program.end() == 1
    assert program.output == ["1"]
    assert "giver handles Give of the script bank.py, and bank:Give is another class" in (
        "".join(program.errors)
    )


@pytest.mark.parametrize("first", ["actors", "supervisor"])
def test_somebody_elses_supervisor_is_refused(first, tmp_path, run):
    package = tmp_path / "supervisor"
    package.mkdir()
    (package / "__init__.py").write_text("# supervisord\n", encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(f"import {first}\nimport actors, supervisor\n", encoding="utf-8")
    program = run(script)

    assert program.end() == 1
    assert f"`import supervisor` finds another package, {package / '__init__.py'}" in program.errors
