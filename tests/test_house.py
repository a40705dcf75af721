"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSES = ("actors", "supervisor")
LARGEST_ROOM = 400  # lines; a file beyond that is two rooms
LARGEST_EXAMPLE = 60
TOP_LEVEL = {
    ".ci",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "actors",
    "docs",
    "examples",
    "pyproject.toml",
    "supervisor",
    "tests",
}
GIT_OWN = {".git", ".gitignore"}
NAMED_FOR_NOTHING = re.compile(r"(utils?|helpers?|common|misc|base|tools?|stuff|junkdrawer)")
MAY_SKIP = {
    "tests/machines/test_tree_erlang.py"
}  # it needs another language's machine, and says so
PICKLES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
PICKLE_DOORS = {"actors/definitions.py"}  # classes that exist in no file, for the same user only


def _rooms():
    return sorted(path for house in HOUSES for path in (ROOT / house).rglob("*.py"))


def _name(path):
    return path.relative_to(ROOT).as_posix()


def _parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imported(node):
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        return {node.module.partition(".")[0]}
    return set()


def _lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_room_is_larger_than_400_lines():
    too_large = {_name(path): _lines(path) for path in _rooms() if _lines(path) > LARGEST_ROOM}

    assert too_large == {}


def test_no_example_is_larger_than_60_lines():
    examples = sorted((ROOT / "examples").glob("*.py"))
    too_large = {_name(p): _lines(p) for p in examples if _lines(p) > LARGEST_EXAMPLE}

    assert too_large == {}


def test_every_room_is_named_for_what_it_holds():
    parts = {part for path in _rooms() for part in path.relative_to(ROOT).with_suffix("").parts}
    nameless = sorted(part for part in parts if NAMED_FOR_NOTHING.fullmatch(part))

    assert nameless == []


def test_every_room_says_what_it_is_for():
    silent = [_name(path) for path in _rooms() if not ast.get_docstring(_parse(path))]

    assert silent == []


def test_nothing_is_pickled():
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in _rooms()
        if _name(path) not in PICKLE_DOORS
        for node in ast.walk(_parse(path))
        if _imported(node) & PICKLES
        or (isinstance(node, ast.keyword) and node.arg == "allow_pickle")
    ]

    assert found == []


def test_no_error_is_swallowed():
    broad = {"BaseException", "Exception"}
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in _rooms()
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in broad))
        and all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
    ]

    assert found == []


def test_no_test_is_skipped_or_expected_to_fail():
    excuses = {"skip", "skipif", "xfail", "importorskip"}
    found = [
        f"{_name(path)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if _name(path) not in MAY_SKIP
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.Attribute)
        and node.attr in excuses
        and ast.unparse(node.value) in {"pytest", "pytest.mark"}
    ]

    assert found == []


def test_the_top_level_holds_the_fixed_names_and_nothing_else():
    made_by_running = [
        line.strip("/")
        for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    names = {
        path.name
        for path in ROOT.iterdir()
        if path.name not in GIT_OWN
        and not any(fnmatch.fnmatch(path.name, pattern) for pattern in made_by_running)
    }

    assert names == TOP_LEVEL


@pytest.mark.parametrize("house", HOUSES)
def test_each_house_is_typed(house):
    assert (ROOT / house / "py.typed").is_file()


def test_constraints_are_names_and_versions_only():
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    odd = [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)]

    assert odd == []
    assert pins == sorted(pins, key=str.lower)
