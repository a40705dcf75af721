"""Runs what the reader is told to run: every Python block of README and docs, and every example.

Each block becomes a script file of its own and runs in a fresh interpreter, as it would for the
reader. `tests/README.md` says how a block states its output or why it cannot run alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import pytest

import actors
import supervisor
from actors import errors
from actors.hooks import HOOKS
from actors.schema import CannotTravel, UnboundVariable
from supervisor import Backoff, Intensity, Limits
from supervisor.cli.text import ExitCode
from supervisor.entrance import BrokenPreloadError

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [
    *sorted((ROOT / "examples").glob("*.py")),
    *(  # those of a story's files that can be run
        path
        for path in sorted((ROOT / "examples" / "talk").rglob("*.py"))
        if "__main__" in path.read_text(encoding="utf-8")
    ),
]
TIME_LIMIT = 50  # seconds; below pytest's own limit, so that a hang names its block

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\s*^```output\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = re.compile(r"<!-- (?:not run(?: here)?|file): \S.* -->")
FROM_INPUT = "<!-- run: from standard input -->"
COMMAND = [sys.executable, "-c", "import sys; from supervisor.cli import main; sys.exit(main())"]
PRINTS = re.compile(r"^Prints:\n((?: {4}.*\n)+)", re.MULTILINE)


@attrs.frozen
class Block:
    """One Python block: where it stands, what it says, what it must print (None: anything)."""

    place: str
    code: str
    output: str | None
    typed: bool = False
    """It goes to the interpreter's standard input, as at a prompt; else it is a script."""


def _within(example):
    return example.relative_to(ROOT / "examples").as_posix()


def _blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        mark = text[: found.start()].rstrip().rpartition("\n")[2]
        line = text.count("\n", 0, found.start()) + 1
        place = f"{page.relative_to(ROOT).as_posix()}:{line}"
        block = Block(place, found["code"], found["output"], typed=mark == FROM_INPUT)
        yield block, NOT_RUN.fullmatch(mark) is None


def _blocks_of(path):
    return [block for block, _ in _blocks(ROOT / path)]


BLOCKS = [block for page in PAGES for block, alone in _blocks(page) if alone]


def _run(command, cwd, *, typed=""):
    return subprocess.run(
        command,
        cwd=cwd,
        # Hypothesis' own profile for machines with other work: reading a checkout's sources
        # for constants takes a second, which it takes for the slowness of a strategy.
        env={**os.environ, "CI": "true"},
        input=typed,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


def _matches(expected, printed):
    """Compare line by line; a line `...` stands for any number of lines."""
    lines = [re.escape(line) for line in expected.strip().splitlines()]
    pattern = "\n".join(lines).replace(re.escape("..."), "(?:.*)")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.process
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_a_documented_block_does_what_the_page_says(block, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(block.code, encoding="utf-8")

    if block.typed:
        done = _run([sys.executable, "-u", "-"], tmp_path, typed=block.code)
    else:
        done = _run([sys.executable, "-u", str(script)], tmp_path)

    assert done.returncode == 0, done.stderr
    if block.output is not None:
        assert _matches(block.output, done.stdout), f"{done.stdout}\n{done.stderr}"


@pytest.mark.process
@pytest.mark.parametrize("example", EXAMPLES, ids=_within)
def test_an_example_runs_and_prints_what_it_says(example, tmp_path):
    done = _run([sys.executable, "-u", str(example)], tmp_path)

    assert done.returncode == 0, done.stderr
    stated = PRINTS.search(example.read_text(encoding="utf-8"))
    assert stated is not None, "its docstring does not say what it prints"
    assert _matches(textwrap.dedent(stated[1]), done.stdout), f"{done.stdout}\n{done.stderr}"


@pytest.mark.process
def test_a_tree_from_a_file_runs_and_is_joined_as_the_pages_say(tmp_path):
    (tree,) = _blocks_of("docs/how-to/trees-in-a-file.md")
    join = _blocks_of("docs/how-to/join-a-running-system.md")[0]
    (tmp_path / "lab.py").write_text(tree.code, encoding="utf-8")
    (tmp_path / "join.py").write_text(join.code, encoding="utf-8")
    up = subprocess.Popen(
        [*COMMAND, "up", "lab:tree"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert up.stdout is not None
    said = ""
    for line in up.stdout:
        said += line
        if line.startswith("ready"):
            break

    joined = _run([sys.executable, "join.py"], tmp_path)
    status = _run([*COMMAND, "status"], tmp_path)
    down = _run([*COMMAND, "down"], tmp_path)
    up.communicate(timeout=TIME_LIMIT)

    assert _shape(said) == _shape(_console("docs/how-to/trees-in-a-file.md", "up lab:tree"))
    assert joined.stdout == join.output, joined.stderr
    assert status.returncode == 0
    assert (down.returncode, up.returncode) == (0, 0)


def _console(path, command):
    """What a page shows below a command."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.search(rf"^\$ understudy {command}\n((?:[^`$].*\n)+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


def _shape(said):
    """Leave out what differs from one machine and one run to the next."""
    lines = re.sub(r"[\d.]+ s|pid \d+|ipc:\S+", "#", said).splitlines()
    return [lines[0], *sorted(lines[1:-1]), lines[-1]]


def test_the_page_of_the_command_line_is_what_the_commands_say_of_themselves():
    # In a process of its own: the library of the commands looks at how the program was started.
    shown = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "cli.py"), "--show"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    page = ROOT / "docs" / "reference" / "cli.md"

    assert page.read_text(encoding="utf-8") == shown.stdout, "run: python docs/cli.py"


def test_the_exit_codes_of_the_page_are_those_of_the_commands():
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    rooms = (ROOT / "supervisor" / "cli").glob("*.py")
    used = {name for room in rooms for name in re.findall(r"ExitCode\.([A-Z_]+)", room.read_text())}

    assert listed == {ExitCode[name].value for name in used}


def test_make_demo_installs_what_the_programs_of_the_readme_need():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\n$(RUN_READY):")[2]
    needed = {"testing": "from actors.testing import"}
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [extra for extra, line in needed.items() if line in text] == ["testing"]
    assert "testing" in recipe.partition("\n\n")[0]


def test_the_readme_starts_with_the_two_commands_and_a_block_that_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first_screen = "\n".join(text.splitlines()[:50])

    assert "make demo" in first_screen
    assert "make test" in first_screen
    assert any(block.place.startswith("README.md:") for block in BLOCKS)


def test_the_page_of_errors_names_every_error():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    first_table = page.partition("## What they carry")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", first_table, re.MULTILINE))
    tree = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.ActorError)
        and kind is not errors.ActorError
    }

    assert named == tree


@pytest.mark.parametrize("kind", [CannotTravel, UnboundVariable, BrokenPreloadError])
def test_the_page_of_errors_names_those_beside_the_tree_that_a_traceback_shows(kind):
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    others = page.partition("## Others you may meet")[2]

    assert re.search(rf"^\| .*`{kind.__name__}`.* `{kind.__base__.__name__}`", others, re.MULTILINE)


@pytest.mark.parametrize("package", [actors, supervisor], ids=lambda package: package.__name__)
def test_the_reference_shows_every_public_name(package):
    page = ROOT / "docs" / "reference" / f"api-{package.__name__}.md"
    shown = re.findall(r"^\.\. auto(?:class|function):: (\w+)", page.read_text(), re.MULTILINE)

    assert set(shown) - {"actors"} == set(package.__all__)  # actors.context.Context is there too


def test_the_reference_says_of_every_hook_when_it_is_called():
    page = (ROOT / "docs" / "reference" / "api-actors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)\((.*?)\)` \|", page, re.MULTILINE)

    assert {name: tuple(given.split(", "))[1:] for name, given in shown} == HOOKS


@pytest.mark.parametrize("options", [Backoff(), Intensity(), Limits()])
def test_the_defaults_of_the_page_are_those_of_the_code(options):
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    name = type(options).__name__
    stated = dict(re.findall(rf"^\| `{name}\.(\w+)` \| (.*?)(?: s)? \|", page, re.MULTILINE))

    assert stated == {
        key: "none" if value is None else f"{value:,}"
        for key, value in attrs.asdict(options).items()
    }


def test_every_room_that_a_page_names_is_there():
    named = {
        room
        for page in PAGES
        for room in re.findall(r"`((?:actors|supervisor|docs|tests)/[\w./]*)`", page.read_text())
    }

    assert named
    assert [room for room in sorted(named) if not (ROOT / room).exists()] == []


def test_every_security_case_is_there_and_every_test_it_names():
    page = (ROOT / "docs" / "reference" / "security-cases.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", page)
    cases = {
        int(n)
        for first in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE)
        for n in first.split(", ")
    }
    spoken = set(range(47, 82))  # of files, in one sentence

    assert cases | spoken == set(range(1, 89))
    assert len(named) == page.count("::test_")
    missing = [
        f"{path}::{test}"
        for path, test in named
        if f"def {test.rpartition('::')[2]}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_proof_that_the_guarantees_name_is_there():
    page = (ROOT / "docs" / "explanation" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    proved = set(re.findall(r"^\| \*\*(G\d)\*\* \|.*`tests/", page, re.MULTILINE))

    assert proved == {f"G{number}" for number in range(1, 10)}
    for path, name in named:
        code = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name or 'test_'}" in code or path == "tests/soak.py", (path, name)
        assert not name or f"def {name}(" in code, (path, name)


def test_a_line_of_three_dots_stands_for_any_lines():
    assert _matches("one\n...\nfour\n", "one\ntwo\nthree\nfour\n")
    assert not _matches("one\nfour\n", "one\ntwo\nfour\n")
