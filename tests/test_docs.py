"""Runs what the reader is told to run: every Python block of README and docs, and every example.

Each block becomes a script file of its own and runs in a fresh interpreter, as it would for the
reader. `tests/README.md` says how a block states its output or why it cannot run alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from actors import errors

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TIME_LIMIT = 50  # seconds; below pytest's own limit, so that a hang names its block

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\s*^```output\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
PRINTS = re.compile(r"^# prints:\n((?:#.*\n?)+)", re.MULTILINE)


@attrs.frozen
class Block:
    """One Python block: where it stands, what it says, what it must print (None: anything)."""

    place: str
    code: str
    output: str | None


def _blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        before = text[: found.start()].rstrip()
        if NOT_RUN.fullmatch(before.rpartition("\n")[2]):
            continue
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{page.relative_to(ROOT).as_posix()}:{line}", found["code"], found["output"])


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def _run(script, cwd):
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
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

    done = _run(script, tmp_path)

    assert done.returncode == 0, done.stderr
    if block.output is not None:
        assert _matches(block.output, done.stdout), f"{done.stdout}\n{done.stderr}"


@pytest.mark.process
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_and_prints_what_it_says(example, tmp_path):
    done = _run(example, tmp_path)

    assert done.returncode == 0, done.stderr
    stated = PRINTS.search(example.read_text(encoding="utf-8"))
    if stated is not None:
        expected = "\n".join(line[1:].strip() for line in stated[1].splitlines())
        assert _matches(expected, done.stdout), f"{done.stdout}\n{done.stderr}"


def test_the_readme_starts_with_the_two_commands_and_a_block_that_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first_screen = "\n".join(text.splitlines()[:50])

    assert "make demo" in first_screen
    assert "make test" in first_screen
    assert any(block.place.startswith("README.md:") for block in BLOCKS)


def test_the_page_of_errors_names_every_error():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    tree = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.ActorError)
        and kind is not errors.ActorError
    }

    assert named == tree


def test_a_line_of_three_dots_stands_for_any_lines():
    assert _matches("one\n...\nfour\n", "one\ntwo\nthree\nfour\n")
    assert not _matches("one\nfour\n", "one\ntwo\nfour\n")
