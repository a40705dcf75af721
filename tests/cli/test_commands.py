"""The command line, run as users run it: as processes, in a directory of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor.beginning import end_quietly
from supervisor.cli.app import main

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-c", "import sys; from supervisor.cli import main; sys.exit(main())"]

PLAY = """
    import asyncio
    import os
    from actors import Actor, Request, message, receive
    from supervisor import AutoShutdown, Child, Restart, Tree

    ANY = AutoShutdown.ANY_SIGNIFICANT

    @message
    class Add(Request[float]):
        x: float
        y: float

    @message
    class Leave(Request[None]):
        pass

    @message
    class Finish:
        pass

    class Calculator(Actor):
        @receive
        def add(self, msg: Add) -> float:
            return msg.x + msg.y

        @receive
        def leave(self, msg: Leave) -> None:
            print("the last line")
            os.abort()

        def on_stop(self, reason: str) -> None:
            print("good bye:", reason)

    class Broken(Actor):
        def on_start(self) -> None:
            raise RuntimeError("no such device")

    class Job(Actor):
        code: int

        def on_start(self) -> None:
            self.context.tell_every(0.01, Finish())

        @receive
        def finish(self, _msg: Finish) -> None:
            raise SystemExit(self.code)

    class Dawdler(Actor):
        async def on_stop(self, reason: str) -> None:
            await asyncio.get_running_loop().create_future()

    def batch(code: int) -> Tree:
        job = Child(Job, name="job", code=code, restart=Restart.TEMPORARY, significant=True)
        return Tree(children=[Child(Calculator, name="first"), job], auto_shutdown=ANY)

    done, failed = batch(0), batch(3)
    tree = Tree(children=[Child(Calculator, name="first"), Child(Calculator, name="second")])
    slow = Tree(children=[Child(Dawdler, name="dawdler", grace=600.0)])
    broken = Tree(children=[Child(Broken, name="camera")])
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a module of actors."""
    tmp_path = tmp_path_factory.mktemp("stage")
    (tmp_path / "play.py").write_text(textwrap.dedent(PLAY))
    return tmp_path


def run(stage: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=stage, capture_output=True, text=True, timeout=50, check=False
    )


class Up:
    """A running `understudy up`."""

    def __init__(self, stage: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "up", *arguments],
            cwd=stage,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        self.read_until("ready")

    def read_until(self, beginning: str) -> None:
        """Return after a line that begins so, or the last one."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(beginning):
                break

    def finish(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=50)
        return self.process.returncode, "".join(self.lines) + rest


@pytest.fixture(scope="module")
def up(stage: Path) -> Iterator[Up]:
    """The system that two tests find running, and the third one ends."""
    system = Up(stage, "play:tree")
    yield system
    if system.process.poll() is None:
        os.killpg(system.process.pid, signal.SIGINT)
        system.finish()


@pytest.mark.parametrize("library", ["psutil", "cyclopts"])
def test_ctrl_c_while_the_command_is_still_read_shows_no_traceback(
    tmp_path: Path, library: str
) -> None:
    pressed = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / f"{library}.py").write_text(pressed)
    program = "import sys; sys.argv[0] = '/bin/understudy'; from supervisor.cli import main"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")  # a shell shows 130


def test_once_it_is_read_ctrl_c_is_the_commands_own(tmp_path: Path) -> None:
    program = (
        "import sys, signal; sys.argv[0] = '/bin/understudy'; from supervisor.cli import main;"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", program], timeout=50, check=True)


def test_a_program_with_a_like_name_keeps_its_own_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/my-understudy"])

    end_quietly()

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_system_of_the_same_name_is_refused(stage: Path, up: Up) -> None:
    second = run(stage, "up", "play:tree")

    assert second.returncode == 1
    assert "already running, pid" in second.stderr
    assert "Traceback" not in second.stderr
    assert run(stage, "status").returncode == 0


def test_a_name_that_nothing_has_is_answered_with_those_there_are(stage: Path, up: Up) -> None:
    status, down = run(stage, "status", "--name", "lab"), run(stage, "down", "--name", "lab")

    assert (status.returncode, down.returncode) == (3, 3)
    assert "no system called 'lab' runs; name one of these: default" in status.stderr
    assert "with one of: default" in down.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", "frist"], 1, "no actor is called 'frist'\n  did you mean first?"),
        (
            ["status", "default"],
            1,
            "no actor is called 'default'\n  to look at a system: understudy status --name default",
        ),
        (
            ["status", "camera"],
            1,
            "no actor is called 'camera'\n  understudy status   shows those there are",
        ),
        (
            ["status", "--name", "defalt"],
            3,
            "no system called 'defalt' runs; did you mean default?",
        ),
        (
            ["down", "--name", "defalt"],
            3,
            "no system called 'defalt' runs\n  did you mean default?",
        ),
    ],
)
def test_a_mistyped_name_is_answered_with_what_was_meant(
    up: Up, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(arguments) == code
    assert capsys.readouterr().err == f"error: {said}\n"


def test_status_connect_and_down_work_together_with_up(stage: Path, up: Up) -> None:
    seen = run(stage, "status")
    data = json.loads(run(stage, "status", "--json").stdout)
    program = (
        "import supervisor, play\n"
        "with supervisor.connect() as system:\n"
        "    print(system.ref('first').ask(play.Add(1, 2)).result())"
    )
    joined = subprocess.run(
        [sys.executable, "-c", program],
        cwd=stage,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    down = run(stage, "down")
    code, said = up.finish()

    assert seen.returncode == 0
    assert "2 of 2 actors up" in seen.stdout
    assert [actor["name"] for actor in data["actors"]] == ["first", "second"]
    assert data["schema"] == 1
    assert joined.stdout == "3.0\n"
    assert (down.returncode, down.stdout) == (0, "default is down\n")
    assert code == 0
    assert "good bye: the system is shut down" in said


def test_status_of_an_actor_tells_how_it_fell_and_a_system_has_its_states_on_disk(
    stage: Path,
) -> None:
    system = Up(stage, "play:tree", "--state-dir", "kept")
    program = (
        "import supervisor, play\n"
        "with supervisor.connect() as system:\n"
        "    print(type(system.ref('first').ask(play.Leave()).exception(30)).__name__)"
    )
    left = subprocess.run(
        [sys.executable, "-c", program],
        cwd=stage,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    first, second = run(stage, "status", "first"), run(stage, "status", "second")
    run(stage, "down")
    system.finish()

    assert left.stdout == "OutcomeUnknown\n"
    assert "first/1 killed by SIGABRT" in first.stdout
    assert "in Leave from client-" in first.stdout
    assert "in leave" in first.stdout.partition("where it stood:")[2]
    assert "the last line" in first.stdout.partition("its last lines:")[2]
    assert "where it stood" not in second.stdout
    assert (stage / "kept" / "states.sqlite3").exists()


def test_sigterm_ends_the_system_in_good_order_too(stage: Path) -> None:
    up = Up(stage, "play:tree")
    up.process.terminate()
    code, said = up.finish()

    assert code == 143
    assert said.count("good bye: the system is shut down") == 2
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("tree", "code", "says"),
    [("done", 0, "down: its work is done"), ("failed", 1, "the system ended: the significant")],
)
def test_the_exit_status_of_a_batch_is_how_its_work_ended(
    tree: str, code: int, says: str, stage: Path
) -> None:
    ended = run(stage, "up", f"play:{tree}", "--name", f"batch-{os.getpid()}")

    assert ended.returncode == code
    assert says in ended.stdout + ended.stderr
    assert "good bye: the system is shut down" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_ctrl_c_ends_the_system_in_good_order(stage: Path) -> None:
    up = Up(stage, "play:tree")
    os.killpg(up.process.pid, signal.SIGINT)
    code, said = up.finish()

    assert code == 130
    assert "stopping 2 actors; Ctrl-C again kills" in said
    assert said.count("good bye: the system is shut down") == 2
    assert "Traceback" not in said


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("first", "said"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_a_second_signal_ends_the_command_at_once_and_says_so(
    stage: Path, first: signal.Signals, said: str, second: signal.Signals
) -> None:
    # Recorded: the first SIGTERM said nothing of a second one, which ended all without a word.
    up = Up(stage, "play:slow", "--name", f"slow-{os.getpid()}")
    up.process.send_signal(first)
    up.read_until("understudy: waiting for dawdler to stop")
    up.process.send_signal(second)
    code, text = up.finish()

    assert f"stopping 1 actor; {said} again kills" in text
    assert text.count("understudy: ended at once") == 1
    assert code == (130 if second == signal.SIGINT else -signal.SIGTERM)  # a shell shows 143
    assert "Traceback" not in text


def test_an_actor_that_never_starts_ends_the_command_with_the_reason(stage: Path) -> None:
    ended = run(stage, "up", "play:broken", "--ready-timeout", "5")

    assert ended.returncode == 1
    assert "no such device" in ended.stdout + ended.stderr


@pytest.mark.timeout(100)
def test_the_demo_checks_itself_and_leaves_a_picture(stage: Path) -> None:
    done = run(stage, "demo", "--seconds", "6", "--size", "96", "--json")
    summary = json.loads(done.stdout)

    assert [check["what"] for check in summary["checks"] if not check["good"]] == []
    assert done.returncode == 0
    assert (stage / "superfluid.png").stat().st_size > 1000


@pytest.mark.parametrize("hung", [["pid"], ["pid", "broker_pid"]], ids=["supervisor", "both"])
def test_down_ends_a_system_that_does_not_answer_any_more(stage: Path, hung: list[str]) -> None:
    name = f"hung-{len(hung)}-{os.getpid()}"
    up = Up(stage, "play:tree", "--name", name)
    status = json.loads(run(stage, "status", "--name", name, "--json").stdout)
    supervisor = psutil.Process(status["pid"])
    processes = [supervisor, *supervisor.children(recursive=True)]
    for each in hung:  # who joins is greeted by the broker; it is the supervisor that ends all
        os.kill(status[each], signal.SIGSTOP)

    try:
        down = run(stage, "down", "--name", name, "--timeout", "1")
        gone = psutil.wait_procs(processes, timeout=30)[1] == []
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        code, said = up.finish()

    assert gone
    assert (down.returncode, down.stdout) == (0, f"{name} is down (killed)\n")
    assert f"{name} does not answer" in down.stderr
    assert code != 0
    assert "the system ended" in said or "error:" in said
