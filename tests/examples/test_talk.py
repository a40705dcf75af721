"""The stories of `examples/talk`: what each promises, and that its proof can fail.

`tests/test_docs.py` runs the same files as programs, with real processes.  A test's number is the
row of the talk's promises that it checks.
"""

import ast
import importlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actors.testing import CounterExample, Crash, check, simulate

TALK = Path(__file__).resolve().parents[2] / "examples" / "talk"
REJECT = TALK / "reject"


SMALLEST = """\
import supervisor
from actors import Actor, Request, message, receive

@message
class Hello(Request[str]):
    pass

class World(Actor):
    @receive
    def hello(self, msg: Hello) -> str:
        return "World"

if __name__ == "__main__":
    with supervisor.start() as system:
        print(system.spawn(World).ask(Hello()).result())
"""


def _modules(folder):
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    return {".".join(file.parts) for file in files}


def _run(script):
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def story(monkeypatch):
    """Import a story's files as a reader would, who stands in their folder."""
    monkeypatch.syspath_prepend(str(TALK))
    monkeypatch.syspath_prepend(str(REJECT))
    yield importlib.import_module
    for name in _modules(TALK) | _modules(REJECT) | {"desks"}:
        sys.modules.pop(name, None)


@pytest.fixture
def altered(monkeypatch, tmp_path, story):
    """Import a story's files from a copy in which one line is another."""

    def alter(folder, name, line, other):
        copy = tmp_path / "altered"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / name).read_text(encoding="utf-8")
        assert text.count(line) == 1
        (copy / name).write_text(text.replace(line, other), encoding="utf-8")
        monkeypatch.syspath_prepend(str(copy))
        return story

    return alter


# --- hello


def test_4_05_clients_that_come_first_are_answered_each_with_its_own(story):
    hello = story("hello")

    async def scenario(sim):
        for name in hello.CLIENTS:
            assert await sim.ref(name).ask(hello.Heard()) == ["World"] * 10
        assert await sim.ref("world").ask(hello.HowOften()) == 30

    run = simulate(scenario, tree=hello.tree)

    assert run.error is None


@pytest.mark.process
def test_4_12_hello_world_takes_fifteen_lines_and_no_socket(tmp_path):
    script = tmp_path / "smallest.py"
    script.write_text(SMALLEST, encoding="utf-8")

    done = _run(script)

    assert done.stdout == "World\n", done.stderr
    assert len(SMALLEST.splitlines()) <= 15
    assert "zmq" not in SMALLEST


# --- fizzbuzz


@pytest.mark.parametrize(("divisor", "word", "count"), [(3, "Fizz", 33), (5, "Buzz", 20)])
def test_4_06_after_a_hundred_come_exactly_so_many_whoever_else_publishes(
    story, divisor, word, count
):
    fizzbuzz = story("fizzbuzz")

    async def scenario(sim):
        heard = {}
        with sim.subscribe(fizzbuzz.Round) as rounds:
            for number, name in enumerate(("one", "two")):
                sim.spawn(fizzbuzz.Ventilator, name=name, seconds=0.05 + number / 100)
            await sim.sleep(1.23)  # it is late
            sim.spawn(fizzbuzz.Listener, name="late", divisor=divisor, word=word)
            while len(heard) < 2:
                one = await anext(rounds)
                heard[one.ventilator] = one.words
        expected = [word if n % divisor == 0 else str(n) for n in range(1, 101)]
        assert heard == {"one": expected, "two": expected}
        assert expected.count(word) == count

    run = simulate(scenario)

    assert run.error is None


def test_a_listener_that_counts_on_across_a_gap_is_found_out(altered):
    gap = "if line is not None and msg.value == len(line) + 1:"
    story = altered(
        TALK,
        "fizzbuzz.py",
        gap,
        "if line is not None or self.lines.update({source: (line := [])}) is None:",
    )

    with pytest.raises(CounterExample) as caught:
        check(story("proofs").every_round_is_a_whole_one, max_faults=1, kinds=[Crash])

    assert len(caught.value.schedule) == 1


# --- the farm


def test_4_09_the_crop_of_dying_farmers_is_that_of_a_single_process(story):
    farm = story("farm")
    todo = farm.pictures(60)

    async def scenario(sim):
        crop, killed = await farm.harvest(sim, todo)
        made = {(one.name, image.shape): image for one in crop for image in one.images}
        assert sum(len(one.images) for one in crop) == len(made) == 180
        assert killed > 0
        for picture, size in itertools.product(todo, farm.SIZES):
            expected = farm.thumbnail(picture.pixels, size)
            assert np.array_equal(made[picture.name, (size, size)], expected)

    run = simulate(scenario, tree=farm.tree)

    assert run.error is None


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_thumbnail_is_the_mean_of_what_it_covers(story, size):
    photograph = importlib.import_module("pywt.data").camera()
    side = 512 // size
    expected = photograph.reshape(size, side, size, side).sum(axis=(1, 3)) // side**2

    assert np.array_equal(story("farm").thumbnail(photograph, size), expected)


def test_a_farm_that_does_not_ask_again_is_found_out(altered):
    story = altered(TALK, "farm.py", "await asyncio.sleep(0.1)", "raise")

    with pytest.raises(CounterExample) as caught:
        check(
            story("proofs").every_picture_is_answered_once,
            tree=story("farm").tree,
            max_faults=1,
            kinds=[Crash],
        )

    assert "AnswerLost" in str(caught.value)


# --- rejection


def _circumstances():
    return itertools.product((False, True), repeat=4)


def _number(*flags):
    return "".join("ny"[flag] for flag in flags)


def test_4_10_the_truth_table_of_the_slides_holds_though_a_desk_dies(story):
    event, registrar, main = story("event"), story("registrar"), story("main")
    desk = story("desk")
    outcomes = {}

    async def scenario(sim):
        for pays, again, tell, leave in _circumstances():
            number = _number(pays, again, tell, leave)
            application = event.Application(number, "Ada", pays)
            rejection = registrar.Reject(application, again, tell, leave)
            outcomes[number] = await sim.ref("registrar").ask(rejection)
            if number == "nyny":
                assert sim.kill("roster") is not None
        await sim.settle()
        books = {c.name: await sim.ref(c.name).ask(desk.Acts()) for c in main.desks()}
        for pays, again, tell, leave in _circumstances():
            number = _number(pays, again, tell, leave)
            acted = {name: len(book[number]) for name, book in books.items()}
            assert acted == {
                "section": 1,
                "account_manager": tell,
                "roster": 1 + leave,
                "notes": 1 if pays else 2,
                "candidate": 1,
                "accounting": again and not pays,
            }

    run = simulate(scenario, tree=main.tree)

    assert run.error is None
    assert len(outcomes) == 16
    for number, outcome in outcomes.items():
        expected = "deleted" if number[0] == "y" else ["withdrawn", "rescheduled"][number[1] == "y"]
        assert outcome == expected


PRESS = """
import os
import signal

from desk import Desk


class Press(Desk):
    def act(self, msg):
        if msg.application.number == "B-2" and self.context.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield f"said nothing of {msg.application.candidate}"
"""


@pytest.mark.process
def test_4_10_one_desk_more_is_one_file_more_and_what_it_dies_of_it_is_given_again(tmp_path):
    folder = tmp_path / "reject"
    shutil.copytree(REJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "desks" / "press.py").write_text(PRESS, encoding="utf-8")

    done = _run(folder / "main.py")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("press: said nothing of") == 3
    assert "press/1 was killed" in done.stderr


@pytest.mark.parametrize(
    ("name", "line", "other", "culprit"),
    [
        ("registrar.py", "for event in self.rejected.values():", "for event in ():", "registrar"),
        ("desk.py", "self.context.save(Book(self.acts))", "pass", ""),
    ],
    ids=["says nothing again", "keeps no book"],
)
def test_4_10_whoever_forgets_is_found_out(altered, name, line, other, culprit):
    story = altered(REJECT, name, line, other)

    with pytest.raises(CounterExample) as caught:
        check(
            story("proof").every_desk_acts_once,
            tree=story("main").tree,
            max_faults=1,
            kinds=[Crash],
        )

    assert culprit in str(caught.value.schedule)


def test_4_11_desks_and_registrar_do_not_know_each_other():
    rooms = {"registrar", *(path.stem for path in (REJECT / "desks").glob("*.py"))}
    files = [REJECT / "registrar.py", REJECT / "event.py", REJECT / "desk.py"]
    for path in [*files, *(REJECT / "desks").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (*(alias.name for alias in node.names), getattr(node, "module", "") or "")
            for part in name.split(".")
        }

        assert imported.isdisjoint(rooms), path.name
