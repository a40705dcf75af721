"""`understudy compute`: a model of the user's, with its own options."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from supervisor.cli.app import main

sys.path.append(str(Path(__file__).parent.parent / "processes"))

from programs import Program, gone

BEHAVIOUR = Path(__file__).parent.parent / "behaviour"
COMMAND = "import sys; from supervisor.cli import main; sys.exit(main())"


@pytest.fixture
def here(monkeypatch):
    """The directory where the models are."""
    monkeypatch.chdir(BEHAVIOUR)
    monkeypatch.syspath_prepend(str(BEHAVIOUR))
    monkeypatch.setenv("COLUMNS", "100")


def test_0_29_the_models_parameters_are_options_in_its_help(here, capsys):
    assert main(["compute", "models:Count", "--help"]) == 0

    shown = " ".join(capsys.readouterr().out.split())
    assert "Counts its steps, up or down." in shown
    assert "--by INT what a step adds [default: 1]" in shown
    assert "--pull FLOAT FLOAT" in shown
    assert "[default: 60.0]" in shown  # minutes until it ends by itself


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["models:Count", "--by", "77"], 2, "'by' must be in"),
        (["models:Count", "--by", "x"], 2, "see `understudy compute models:Count --help`"),
        (["models:Count", "--plain-port", "65536"], 2, "Must be <= 65535"),
        (["models:Count", "--plain-port", "-1"], 2, "Must be >= 1"),
        (["models:Cout"], 78, "its models are: Count"),
        (["nosuch:Count"], 78, "cannot be imported"),
        (["models"], 2, "package.module:Model"),
        (["--by", "1"], 2, "name the model first"),
        ([], 2, "name the model first"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_run_is_refused_before_anything_starts(here, capsys, arguments, code, says):
    assert main(["compute", *arguments]) == code
    assert says in capsys.readouterr().err


def test_help_without_a_model_says_how_to_name_one(here, capsys):
    assert main(["compute", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Usage: understudy compute MODEL [OPTIONS]")
    assert "package.module:Model --help" in shown
    assert "MODEL A ComputeServer" in shown
    assert "OPTIONS The model" not in shown


@pytest.mark.process
def test_0_26_it_exits_with_0_when_nobody_has_come():
    with Program(
        "-c",
        COMMAND,
        "compute",
        "models:Count",
        "--shutdown",
        "0.02",
        "--name",
        "cli-idle",
        cwd=BEHAVIOUR,
    ) as program:
        assert program.end(50.0) == 0
    assert program.output[-1] == "count has ended"


@pytest.mark.process
def test_0_31_ctrl_c_in_the_midst_of_a_step_ends_it_in_good_order():
    with Program(
        "-c",
        COMMAND,
        "compute",
        "models:Count",
        "--slow",
        "0.2",
        "--name",
        "cli-slow",
        cwd=BEHAVIOUR,
        listen=("stderr",),
    ) as program:
        assert b"count runs in cli-slow" in program.process.stdout.readline()
        started = psutil.Process(program.pid).children(recursive=True)
        assert len(started) >= 2  # the broker, and the computation in the midst of a step
        begun = time.monotonic()
        program.interrupt()
        assert program.process.wait(50.0) == 130
        # Not even a second on a quiet machine; a stop that waits for something takes longer.
        assert time.monotonic() - begun < 10.0
        assert gone([process.pid for process in started])
