"""Our supervisor against Erlang/OTP's own, where Erlang is installed (`apt install erlang-base`).

The cases of test_tree_order.py are also run by real supervisors in one Erlang machine
(tests/machines/otp.escript), so the model of OTP in otp.py cannot be wrong in our favour. In
nested trees only one child dies at a time: which of two supervisors is faster is nobody's promise.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from supervisor.spec import Child, Restart, Tree
from tests.machines.otp import OtpSystem, OutsideOtp
from tests.machines.test_tree_order import (
    ADDED,
    HOW,
    LONG,
    Ours,
    auto_shutdowns,
    deaths,
    names_in,
    outermost,
    without_backoff,
)
from tests.machines.trees import Actor, trees

EXAMPLES = 10_000 if LONG else 60
SCRIPT = Path(__file__).with_name("otp.escript")


class Erlang:
    """One Erlang machine that runs cases."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [command, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, spec, rounds):
        """Return the log of the start and of every round."""
        case = term((tree_term(spec), [round_term(each) for each in rounds]))
        self.process.stdin.write(f"{case}.\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the Erlang machine has ended"
        return answer.removesuffix("\n").split("|")

    def end(self):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def erlang():
    command = shutil.which("escript")
    if command is None:
        pytest.skip("NOT COMPARED with real Erlang/OTP: `escript` is missing (erlang-base)")
    machine = Erlang(command)
    yield machine
    machine.end()


def term(value):
    """Spell a value as an Erlang term."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return value
        case tuple():
            return "{" + ",".join(map(term, value)) + "}"
        case list():
            return "[" + ",".join(map(term, value)) + "]"


def tree_term(spec):
    return (
        spec.name or "none",
        spec.strategy.value,
        spec.intensity.restarts,
        spec.auto_shutdown.value,
        [child_term(each) for each in spec.children],
    )


def child_term(spec):
    head = (spec.name, spec.restart.value, spec.significant)
    return ("tree", *head, tree_term(spec)) if isinstance(spec, Tree) else ("child", *head)


def round_term(each):
    doing, fails, during = each
    match doing:
        case ("spawn", under, child):
            doing = ("spawn", under or "none", child_term(child))
        case ("shutdown",):
            doing = "shutdown"
    return (doing, sorted(fails.items()), sorted(during.items()))


def text(log):
    return ",".join(f"{what} {name}" for what, name in log)


@st.composite
def adding(draw, spec):
    """Draw ("spawn", tree, child): a child to be added, and to which tree."""
    may = auto_shutdowns(spec)
    under = draw(st.sampled_from(sorted(may, key=str)))
    # In OTP a transient child that has ended keeps its place, and its name; ours is forgotten.
    restart = draw(st.sampled_from([Restart.PERMANENT, Restart.TEMPORARY]))
    significant = may[under] and restart is not Restart.PERMANENT and draw(st.booleans())
    name = draw(st.sampled_from(ADDED))
    child = Child(Actor, name=name, restart=restart, significant=significant)
    return ("spawn", under, without_backoff(child))


def same_as_erlang(erlang, spec, data, *, at_once):
    """Draw rounds while ours and the model play them, then let Erlang play them all."""
    otp, ours, fate = OtpSystem(spec), Ours(spec), data.draw
    names = [*names_in(spec), *ADDED]
    expected, rounds, used = [text(otp.log)], [], set()
    during = st.dictionaries(st.integers(1, 6), deaths(names), max_size=3)
    for _ in range(fate(st.integers(1, 6))):
        doing = fate(things_to_do(otp, at_once=at_once))
        if doing[0] == "spawn":
            _, under, child = doing
            if child.name in used or otp.top.tree(under) is None:
                continue
            used.add(child.name)
        fails = Counter(fate(st.lists(st.sampled_from(names), max_size=3)))
        plan = (fails, fate(during) if at_once else {})
        before = len(otp.log)
        try:
            play(ours, doing, plan)
            play(otp, doing, plan)
        except OutsideOtp:
            break
        assert ours.log == otp.log
        rounds.append((doing, *plan))
        expected.append(text(otp.log[before:]))
        if otp.ended:
            break
    event(f"{len(rounds)} rounds")
    assert erlang.run(spec, rounds) == expected


@st.composite
def things_to_do(draw, otp, *, at_once):
    """Draw ("exits", [(child, how), ...]), ("spawn", tree, child) or ("shutdown",)."""
    alive = sorted(otp.world.alive)
    match draw(st.sampled_from([*(["exits"] * 4 if alive else []), "spawn", "shutdown"])):
        case "exits":
            most = 3 if at_once else 1
            some = st.lists(st.sampled_from(alive), min_size=1, max_size=most, unique=True)
            return ("exits", [(name, draw(HOW)) for name in draw(some)])
        case "spawn":
            return draw(adding(otp.spec))
        case _:
            return ("shutdown",)


def play(system, doing, plan):
    system.plan(*plan)
    match doing:
        case ("exits", ending):
            system.exits(ending, 0.0)
        case ("spawn", under, child):
            system.spawn(child, under, 0.0)
        case _:
            system.shut_down()


@pytest.mark.timeout(7200 if LONG else 180)
@given(spec=trees(depth=2, pools=False).map(outermost), data=st.data())
@settings(max_examples=EXAMPLES)
def test_nested_trees_do_as_real_supervisors_do(erlang, spec, data):
    same_as_erlang(erlang, spec, data, at_once=False)


@pytest.mark.timeout(7200 if LONG else 180)
@given(spec=trees(depth=0, pools=False).map(outermost), data=st.data())
@settings(max_examples=EXAMPLES)
def test_flat_trees_do_as_real_supervisors_do(erlang, spec, data):
    same_as_erlang(erlang, spec, data, at_once=True)
