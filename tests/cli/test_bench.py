"""`understudy bench`, and the arithmetic under its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import get_args

import psutil
import pytest

from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.program import NO_BYTE_CODE, QUICK, Result, perform, told
from supervisor.bench.rivals import Stage
from supervisor.bench.table import line
from supervisor.cli.bench import Benchmark
from tests.benchmarks import __main__ as everything
from tests.benchmarks import page
from tests.benchmarks.plot import curves, svg

COMMAND = [sys.executable, "-c", "import sys; from supervisor.cli import main; sys.exit(main())"]


@pytest.mark.process
def test_a_benchmark_stands_beside_its_rival_as_json():
    result = subprocess.run(
        [*COMMAND, "bench", "asyncio", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert result.returncode == 0, result.stderr
    (found,) = json.loads(result.stdout)["results"]
    (figure,) = found["figures"]
    assert found["benchmark"] == "asyncio"
    assert figure["beside"] == "from plain code"
    assert figure["value"] > 0
    assert figure["ratio"] > 0


@pytest.mark.process
def test_ctrl_c_does_not_reach_the_rivals_which_end_with_the_command_and_without_a_traceback():
    with Stage(relayed=True):
        groups = [os.getpgid(child.pid) for child in psutil.Process().children()]

    assert len(groups) >= 2
    assert os.getpgrp() not in groups


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Have what is started be a script instead of Python."""

    def put(line):
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


@pytest.mark.process
def test_a_rival_that_does_not_start_is_said(stand_in):
    stand_in("exit 3")

    with pytest.raises(RuntimeError, match="has ended with exit code 3 before it answered"):
        Stage()


@pytest.mark.process
def test_a_rival_that_does_not_answer_is_not_waited_for_for_ever(stand_in, monkeypatch):
    stand_in("exec sleep 60")
    monkeypatch.setattr("supervisor.bench.rivals.START_SECONDS", 0.1)

    with pytest.raises(TimeoutError, match=r"have not answered within 0.1 s"):
        Stage(relayed=True)


def test_a_programme_gives_back_what_it_changes(monkeypatch):
    monkeypatch.setenv(NO_BYTE_CODE, "1")

    (result,) = perform({"one": lambda: [Figure(os.environ.get(NO_BYTE_CODE, "none"), 1.0, "s")]})

    assert [figure.name for figure in result.figures] == ["none"]
    assert os.environ[NO_BYTE_CODE] == "1"


def test_a_benchmark_that_fails_is_said_and_keeps_nobody_from_the_next():
    def broken():
        raise FileNotFoundError("the stage is gone")

    first, second = perform({"one": broken, "two": lambda: [Figure("ask", 1.0, "us")]})

    assert first.figures == []
    assert "FileNotFoundError: the stage is gone" in first.failure
    assert "FAILED" in told(first)
    assert [figure.name for figure in second.figures] == ["ask"]
    assert second.failure == ""


def test_all_benchmarks_are_played_and_written_although_one_fails(tmp_path, monkeypatch, capsys):
    def broken(_repeats):
        raise FileNotFoundError("the stage is gone")

    played = {"one": broken, "two": lambda repeats: [Figure("ask", repeats, "us")]}
    monkeypatch.setattr(everything, "BENCHMARKS", played)
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "3", "--out", str(tmp_path)])

    assert everything.main() == 1

    run = page.load((tmp_path / "figures.json").read_text())
    assert [result.benchmark for result in run.results] == ["one", "two"]
    assert run.results[1].figures == [Figure("ask", 3, "us")]
    said = capsys.readouterr()
    assert "failed: one" in said.err
    assert "the stage is gone" in said.err
    assert "[2 of 2] two ..." in said.err


def test_what_was_measured_goes_between_the_marks_of_the_page():
    kill = Figure("kill", 30.0, "ms", 30.0, 50.0, note="p50 .. p99 of 8 kills")
    ask = Figure("ask", 200.0, "us", beside="raw", other=100.0, ratio=2.1)
    first = page.Run("Python 3, 2 cores, load 9.0", [Result("ask", 0.5, 30.0, [ask, kill])])
    again = [Result("ask", 1.5, 90.0, [ask]), Result("far", 7.0, 1.0, [ask])]
    text = f"before\n{page.BEGIN}old\n{page.END}after\n"

    once = page.pasted(text, page.part([first]))
    twice = page.pasted(once, page.part([first, page.Run("", again)]))

    assert "| ask | 200 µs | raw: 100 | 2.10 |" in once
    assert "| kill | 30 ms (30 .. 50, p50 .. p99 of 8 kills) |  |  |" in once
    assert "kill" not in twice
    assert "the load was 1.5 to 1.5" in twice
    for written in (once, twice):
        assert written.startswith("before\n")
        assert written.endswith(f"{page.END}after\n")
        assert "old" not in written
    page.pasted(page.PAGE.read_text(), "")  # it has the marks


def test_what_was_measured_beside_other_libraries_stands_together_whichever_library_it_is():
    def ask(beside):
        return Figure("ask", 200.0, "us", beside=beside, other=100.0, ratio=2.0)

    pyro5 = Result("pyro5", 0.5, 1.0, [ask("pyro5"), Figure("pyro5, round trip", 1.0, "us")])
    tells = Figure("tells", 5.0, "/s")
    ray = Result("ray", 0.5, 1.0, [ask("ray"), tells, Figure("ray, round trip", 2.0, "us")])
    ours = Result("ask", 0.5, 1.0, [ask("raw")])

    written = page.part([page.Run("Python 3, load 0.5", [pyro5, ray, ours])])

    table, others = written.split(page.BESIDE_OTHERS)
    assert [line.split(" | ")[2] for line in table.splitlines() if "ask" in line] == ["raw: 100"]
    assert [line.split(" | ")[0] for line in others.splitlines() if line.startswith("| ")] == [
        "| what",
        "| ask",
        "| ask",
        "| tells",
        "| ray, round trip",
        "| pyro5, round trip",
    ]


@pytest.mark.process
def test_an_unknown_benchmark_is_refused_with_those_there_are():
    result = subprocess.run(
        [*COMMAND, "bench", "nothing"], check=False, capture_output=True, text=True
    )

    assert result.returncode == 2
    assert "arrays" in result.stderr


def test_the_command_offers_every_quick_benchmark():
    assert set(get_args(Benchmark)) == set(QUICK)


def test_variants_take_turns_and_the_first_round_is_dropped():
    order: list[str] = []

    def variant(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = rounds(2, {"a": lambda: variant("a"), "b": lambda: variant("b")})

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_ratio_is_the_median_of_ratios_and_not_of_times():
    figure = compared("ask", "us", [1.0, 10.0, 3.0], [1.0, 5.0, 1.0], beside="raw")

    assert figure.value == 3.0
    assert figure.ratio == 2.0
    assert line(figure).split() == ["ask", "3", "us", "1", "..", "10", "1", "2.00", "raw"]


def test_what_grows_becomes_a_picture_with_both_curves():
    figures = [
        Figure("ask", 100.0, "us", beside="raw", other=50.0, ratio=2.0, at=64.0),
        Figure("ask", 2000.0, "us", beside="raw", other=900.0, ratio=2.2, at=1048576.0),
        Figure("spawn", 7.0, "ms"),
    ]

    picture = svg("An ask & its size", "bytes", "us", curves(figures))

    assert [curve.name for curve in curves(figures)] == ["understudy", "raw"]
    assert picture.count("<circle") == 4
    assert "An ask &amp; its size" in picture
    assert ">1Mi<" in picture
