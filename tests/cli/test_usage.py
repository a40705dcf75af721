"""Wrong command lines: each is answered with what is wrong, and what to write instead."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.cli.app import COMMANDS, application, main

STAGE = {
    "scene": """
        from actors import Actor
        from supervisor import Child, Tree

        class Lamp(Actor):
            watts: float = 1.0

        tree = Tree(children=[Child(Lamp, name="lamp")])
        other = Tree()
        stray = Tree(children=[Child(Lamp, name="lamp", wats=2.0)])
        mistyped = Tree(children=[Child(Lamp, name="lamp", watts="bright")])
        stranger = Tree(children=[Child(str, name="lamp")])
        number = 3
        """,
    "empty_stage": "",
    "undefined_stage": "\nundefined",
    "hungry_stage": "import no_such_library",
    "leaving_stage": "raise SystemExit('no device')",
}

Answer = tuple[int, str]


@pytest.fixture
def answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Run a command where there are modules; return its exit code and what it complains of."""
    for name, text in STAGE.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str) -> Answer:
        code = main(arguments)
        return code, capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("tree", "code", "text"),
    [
        ("scene", 2, "does not name a tree"),
        ("./scene.py:tree", 2, "with dots and without .py"),
        ("nowhere:tree", 78, "run the command in the directory that holds it"),
        ("scene.py:tree", 78, "a module is named without .py: scene:tree"),
        ("scene:tre", 78, "its trees are: tree, other, stray, mistyped, stranger"),
        ("empty_stage:tree", 78, "it has no tree"),
        ("scene:number", 78, "is int, not a supervisor.Tree"),
        ("scene:stray", 78, "scene:stray cannot run: Lamp has no field 'wats'"),
        ("scene:mistyped", 78, "Lamp.watts is not valid: expected float, got str 'bright'"),
        ("scene:stranger", 78, "takes an Actor class, not <class 'str'>"),
        ("undefined_stage:tree", 78, "NameError: name 'undefined' is not defined"),
        ("undefined_stage:tree", 78, "undefined_stage.py, line 2"),
        ("hungry_stage:tree", 78, "hungry_stage.py, line 1"),
        ("leaving_stage:tree", 78, "cannot be imported: SystemExit: no device"),
    ],
)
def test_a_tree_that_cannot_run_is_refused_with_the_reason(
    answer: Callable[..., Answer], tree: str, code: int, text: str
) -> None:
    found, said = answer("up", tree)

    assert (found, text in said) == (code, True), said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["staus"], 'Did you mean "status"?'),
        (["demo", "extra"], "`understudy demo` takes nothing like 'extra' here"),
        (["keys", "allow"], "`understudy keys allow` needs KEY"),
        (["keys", "allow", "a" * 52], "`understudy keys allow` needs --name"),
        (["up", "--name"], "--name needs a value\n  see `understudy up --help`"),
        (["up", "--name", "a/b"], "'a/b' cannot name a system"),
        (["up", "--listen", "127.0.0.1:7700"], "write it as tcp://127.0.0.1:7700"),
        (["up", "--listen", "tcp://127.0.0.1:77000"], "with a port up to 65535"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    answer: Callable[..., Answer], arguments: list[str], text: str
) -> None:
    code, said = answer(*arguments)

    assert (code, text in said) == (2, True), said


def test_status_and_down_say_that_nothing_runs(answer: Callable[..., Answer]) -> None:
    assert answer("status") == (3, "error: no system runs; start one with `understudy up`\n")
    assert answer("down") == (3, "error: no system called 'default' runs\n  none runs at all\n")


def test_an_open_address_without_keys_is_refused(
    answer: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_KEYS", str(tmp_path / "keys"))

    code, said = answer("up", "scene:tree", "--listen", "tcp://0.0.0.0:*")

    assert code == 78
    assert "understudy keys init" in said


def test_a_module_that_cannot_be_preloaded_is_wrong_configuration(
    answer: Callable[..., Answer],
) -> None:
    code, said = answer("up", "--name", f"usage-{os.getpid()}", "--preload", "hungry_stage")

    assert code == 78
    assert "preload: hungry_stage cannot be imported: ModuleNotFoundError" in said


@pytest.mark.parametrize("first", ["the command", "--help"])
@pytest.mark.parametrize("command", ["up", "down", "status", "demo"])
def test_every_command_explains_itself(
    command: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help", command] if first == "--help" else [command, "--help"]) == 0
    page = capsys.readouterr().out

    assert "Usage:" in page
    assert f"understudy {command}" in page
    assert "Example: understudy" in page


def test_a_list_of_commands_leaves_each_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["comput"], [], ["compute", "--help"]):
        capsys.readouterr()
        main(words)

    assert "Example: understudy compute" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_its_own_help_does(name):
    assert application()[name].help.splitlines()[0] == COMMANDS[name]
