"""Would the tests notice?  Each small change to a decider's code should make one of them fail.

    make mutants ARGS="routing"                  one decider
    make mutants ARGS="link outbox --sample 50"  fifty changes to each, drawn with a seed
    make mutants ARGS="tree --line 120"          what is changed in this line only
    make mutants                                 all of them, which takes its time

A change (a *mutant*) survives when every focused test of its decider still passes; survivors are
printed as a diff. Some mean the same as the original, most are a test that is missing.

The tests are collected once. Each mutant is tried in a forked child, in which the functions of the
decider get the code of the changed file; so only the bodies of functions are mutated, and texts for
people, asserts and annotations are left alone. The child ends at its first failing test, or when it
has used far more processor time than the tests need: a mutant that hangs is noticed too.
Hypothesis has its profile `mutants`: the same examples every time, few of them, none kept.
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import random
import resource
import sys
import types
from pathlib import Path

import pytest

from tests.mutation.changes import Mutant, functions, mutants, shown

ROOT = Path(__file__).resolve().parents[2]

PEER = (
    "tests/actors/test_peer.py",
    "tests/actors/test_roads.py",
    "tests/machines/test_peer_machine.py",
)
TREE = (
    "tests/supervisor/test_tree.py",
    "tests/machines/test_tree_machine.py",
    "tests/machines/test_tree_order.py",
)
LINK = ("tests/actors/test_link.py", "tests/machines/test_link_machine.py")
ROUTING = ("tests/supervisor/test_routing.py", "tests/machines/test_routing_machine.py")
POOL = ("tests/actors/test_pool.py", "tests/machines/test_pool_machine.py")

TESTS = {
    "actors/link.py": (*LINK, *PEER),
    "actors/outbox.py": (
        "tests/actors/test_outbox.py",
        "tests/machines/test_outbox_machine.py",
        "tests/machines/test_passing_machine.py",
        *LINK,
        "tests/actors/test_peer.py",
    ),
    "actors/letter.py": (
        "tests/actors/test_outbox.py",
        "tests/machines/test_outbox_machine.py",
        *LINK,
        "tests/actors/test_peer.py",
    ),
    "actors/credit.py": ("tests/actors/test_credit.py",),
    "actors/runs.py": ("tests/actors/test_runs.py", "tests/actors/test_link.py"),
    "actors/arrivals.py": (
        "tests/actors/test_arrivals.py",
        "tests/machines/test_hold.py",
        *PEER,
        *POOL,
    ),
    "actors/departures.py": ("tests/actors/test_departures.py", *PEER, *POOL),
    "actors/roads.py": PEER,
    "actors/fates.py": (*PEER, *POOL),
    "actors/calls.py": ("tests/actors/test_calls.py", *PEER),
    "actors/cycles.py": ("tests/machines/test_cycle_machine.py",),
    "actors/mailbox.py": ("tests/actors/test_mailbox.py",),
    "actors/pool.py": POOL,
    "actors/backoff.py": ("tests/actors/test_backoff.py",),
    "supervisor/tree.py": TREE,
    "supervisor/node.py": TREE,
    "supervisor/keeper.py": TREE,
    "supervisor/strategy.py": ("tests/supervisor/test_strategy.py",),
    "supervisor/intensity.py": ("tests/supervisor/test_intensity.py",),
    "supervisor/routing.py": (*ROUTING, "tests/supervisor/test_visas.py"),
    "supervisor/registry.py": ("tests/supervisor/test_registry.py", *ROUTING),
    "supervisor/liveness.py": (
        "tests/supervisor/test_liveness.py",
        "tests/machines/test_liveness_machine.py",
    ),
}
"""Each decider and the tests that are meant to notice, the quick ones first."""

MEMORY = 4 << 30
"""Bytes a mutant may have; one that never stops to collect is noticed by its MemoryError."""


SURVIVED, NOTICED = 0, 2
"""How a mutant's process ends."""

CLEAN, SURVIVORS, BROKEN = range(3)
"""How a hunt ends: with none left, with some, or before it began, as the tests fail without it."""


class Hunt:
    """Tries mutants of one decider, in place of pytest's run of the tests."""

    def __init__(self, path: str, options: argparse.Namespace) -> None:
        self.path = path
        self.options = options
        self.failed = False
        self.broken = True
        """Whether the tests fail as they are, or cannot be run."""
        self.survivors: list[str] = []
        self.tried = 0
        self.functions: list[types.FunctionType] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once as they are, then once for each mutant."""
        items = list(session.items)
        self.functions = _functions(self.path)
        gc.freeze()  # a collection in a child would copy all of the memory it shares
        if session.testsfailed or self._try(items, {}, 0) is not None:
            _say(f"{self.path}: its tests fail as they are")
            return True
        self.broken = False
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        limit = int(10 + 5 * (used.ru_utime + used.ru_stime))
        tree = ast.parse((ROOT / self.path).read_text(encoding="utf-8"))
        original = functions(compile(tree, self.path, "exec", dont_inherit=True))
        for mutant in self._chosen(list(mutants(tree))):
            text, changed = shown(tree, mutant, self.path)
            new = {_key(a): b for a, b in zip(original, changed, strict=True) if a != b}
            self.tried += 1
            noticed = self._try(items, new, limit)
            if noticed is None:
                self.survivors.append(text)
                _say(text)
            elif noticed >= 0:
                items.insert(0, items.pop(noticed))  # it may well notice the next one too
        return True

    def _chosen(self, found: list[Mutant]) -> list[Mutant]:
        if self.options.line:
            found = [one for one in found if one.statement.lineno in self.options.line]
        if self.options.sample and self.options.sample < len(found):
            found = random.Random(self.options.seed).sample(found, self.options.sample)
        return found

    def _try(
        self, items: list[pytest.Item], new: dict[tuple[str, int], types.CodeType], limit: int
    ) -> int | None:
        """Return which test fails with the new code, -1 for the child itself; None for none."""
        sys.stdout.flush()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            code = NOTICED
            try:
                _confine(limit)
                for one in self.functions:
                    one.__code__ = new.get(_key(one.__code__), one.__code__)
                failing = self._first_failure(items)
                if failing is None:
                    code = SURVIVED
                else:
                    os.write(writer, str(failing).encode())
            finally:
                os._exit(code)  # whatever came out of the tests, nothing goes on from here
        os.close(writer)
        with os.fdopen(reader) as words:
            word = words.read()
        _, status = os.waitpid(child, 0)
        if status == SURVIVED:
            return None
        return int(word) if word else -1

    def _first_failure(self, items: list[pytest.Item]) -> int | None:
        for index, item in enumerate(items):
            following = items[index + 1] if index + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return index
        return None


def _key(code: types.CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _confine(limit: int) -> None:
    """Be silent, and end when a mutant hangs or grows."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if limit:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _functions(path: str) -> list[types.FunctionType]:
    """Return the functions of a decider, wherever they are held."""
    found = [one for one in gc.get_objects() if isinstance(one, types.FunctionType)]
    return [one for one in found if one.__code__.co_filename == str(ROOT / path)]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Hunt in the deciders that are named; return 1 when the tests of one fail as they are.

    Survivors are no failure: some mean the same as the original.
    """
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.split("\n", 1)[0])
    parser.add_argument("decider", nargs="*", help=", ".join(Path(one).stem for one in TESTS))
    parser.add_argument("--sample", type=int, help="try so many mutants of each, by chance")
    parser.add_argument("--seed", type=int, default=1, help="for --sample")
    parser.add_argument("--line", type=int, nargs="*", help="only mutants of these lines")
    options = parser.parse_args()
    wanted = [p for p in TESTS if not options.decider or Path(p).stem in options.decider]
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    os.chdir(ROOT)
    if not wanted:
        parser.error(f"no such decider: {' '.join(options.decider)}")
    ends = [_apart(Hunt(path, options)) for path in wanted]
    if len(ends) > 1:
        _say(f"{len(ends)} deciders, {ends.count(SURVIVORS)} with survivors")
    return int(any(end not in (CLEAN, SURVIVORS) for end in ends))


def _apart(hunt: Hunt) -> int:
    """Hunt in a process of its own: what one leaves behind must not help the next to notice."""
    child = os.fork()
    if not child:
        code = BROKEN
        try:
            code = _hunt(hunt)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _hunt(hunt: Hunt) -> int:
    """Hunt in one decider, and say how that ended."""
    plain = ["-q", "-s", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider"]
    pytest.main([*plain, "-p", "no:understudy", *TESTS[hunt.path]], plugins=[hunt])
    if hunt.broken:
        return BROKEN
    killed = hunt.tried - len(hunt.survivors)
    rate = 100 * killed / max(1, hunt.tried)
    _say(f"{hunt.path}: {hunt.tried} mutants, {killed} noticed ({rate:.0f} %)")
    return SURVIVORS if hunt.survivors else CLEAN


if __name__ == "__main__":
    sys.exit(main())
