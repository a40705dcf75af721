"""Type checkers report every wrong use in `typing/api.py`, and no right one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests" / "typing" / "api.py"
SILENCED = {
    "mypy": re.compile(r"  # type: ignore\[[^\]]+\]"),
    "basedpyright": re.compile(r"  # pyright: ignore\[[^\]]+\]"),
}

# Both read numpy's types first; on a cold cache and a busy machine that takes a minute.
pytestmark = pytest.mark.timeout(300)


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr  # else the checker itself failed
    return done.stdout


def reported_by_mypy(path: Path) -> dict[int, str]:
    lines = run("mypy", "--strict", "--no-error-summary", str(path)).splitlines()
    found = [re.match(r"(.*?):(\d+): error: (.*)", line) for line in lines]
    return {int(m[2]): m[3] for m in found if m and Path(ROOT, m[1]).samefile(path)}


def reported_by_basedpyright(path: Path) -> dict[int, str]:
    report = json.loads(run("basedpyright", "--outputjson", str(path)))
    found = [one for one in report["generalDiagnostics"] if Path(one["file"]).samefile(path)]
    return {one["range"]["start"]["line"] + 1: one["message"] for one in found}


@pytest.mark.parametrize(
    ("checker", "reported_by"),
    [("mypy", reported_by_mypy), ("basedpyright", reported_by_basedpyright)],
    ids=["mypy", "basedpyright"],
)
def test_exactly_the_wrong_uses_are_reported(checker, reported_by, tmp_path):
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    wrong = {
        number: line for number, line in enumerate(lines, start=1) if SILENCED[checker].search(line)
    }
    bare = tmp_path / "api.py"
    for comment in SILENCED.values():
        lines = [comment.sub("", line) for line in lines]
    bare.write_text("\n".join(lines), encoding="utf-8")

    reported = reported_by(bare)

    assert {n: text for n, text in reported.items() if n not in wrong} == {}
    assert {n: line for n, line in wrong.items() if n not in reported} == {}
    assert wrong


def test_every_wrong_use_is_wrong_for_both_checkers():
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        silenced = {name for name, comment in SILENCED.items() if comment.search(line)}

        assert silenced in (set(), set(SILENCED)), line
