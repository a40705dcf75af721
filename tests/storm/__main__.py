"""A storm: numbered messages in all directions while everything dies, hangs and is cut.

    python -m tests.storm                          a minute
    python -m tests.storm --minutes 30 --seed 7    longer, with other dice

Two programs talk with the actors of `cast.py`, over the network and on this host, in plain code
and in asyncio code, and a third one that is killed; `chaos.py` kills, stops and cuts.  Actors and
senders write down what they do, and `checker.py` reads it when all is over.  Whatever it complains
of makes the exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import psutil

import supervisor
from actors import DeadLetter, Terminated
from actors.errors import ActorError
from supervisor import System
from tests.storm import checker, records
from tests.storm.cast import NAMES, OVERLAP, PASSES_ON, Last, Quiet, tree
from tests.storm.chaos import Chaos
from tests.storm.clients import AsyncClient, Correspondent, PlainClient, Reader, Sender, settle
from tests.storm.cuts import Network
from tests.storm.records import Ledger

GONE_WITHIN = 20.0
"""Seconds; that 2 are enough is for tests to show which have the machine to themselves."""

CALM_SECONDS = 60.0
MARK = "UNDERSTUDY_STORM"


class Listening(threading.Thread):
    """Writes down what the system says of itself, until it is told of the last thing."""

    def __init__(self, system: System, folder: str) -> None:
        super().__init__(name="listening", daemon=True)
        self._letters = system.subscribe(DeadLetter)
        self._ends = system.subscribe(Terminated)
        self._letter_book = Ledger(folder, "letters")
        self._end_book = Ledger(folder, "ends")
        self.newest: dict[str, int] = {}
        self._reader = threading.Thread(target=self._read_ends, daemon=True)
        self.errors: list[str] = []

    def run(self) -> None:
        """Note dead letters, and ended lives beside."""
        self._reader.start()
        with contextlib.suppress(ActorError):
            for letter in self._letters:
                if letter.message.endswith(":Last"):
                    return
                found = records.letter_of(letter.target, letter.text, letter.reason)
                if found is None:
                    continue
                self._letter_book.write(*found)

    def _read_ends(self) -> None:
        for end in self._ends:
            self._end_book.write(end.name, end.incarnation)
            self.newest[end.name] = end.incarnation

    def end(self) -> None:
        """Listen no more."""
        self.join(CALM_SECONDS)
        self._ends.close()
        self._letters.close()
        self._reader.join(CALM_SECONDS)
        self._letter_book.close()
        self._end_book.close()


def storm(seconds: float, seed: int, folder: str, pace: float) -> dict[str, object]:
    """Let it rage for so long, and return what is to be said about it."""
    stop = threading.Event()
    with supervisor.start(tree(folder), listen="tcp://127.0.0.1:*") as system:
        system.wait_ready(60.0)
        status = system.status()
        network = Network(int(status.listening[0].rpartition(":")[2]))
        listening = Listening(system, folder)
        listening.start()
        clients: list[Correspondent] = [
            cls(system, Sender(name, folder, f"{seed} {name}"), stop, pace)
            for cls, name in (
                (PlainClient, "plain"),
                (PlainClient, "other"),
                (AsyncClient, "loop"),
                (Reader, "reader"),
            )
        ]
        far = f"tcp://127.0.0.1:{network.port}"
        words = (far, status.endpoint, folder, str(seed), str(pace))
        second = subprocess.Popen(
            [sys.executable, "-m", "tests.storm.clients", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert second.stdout is not None
        second.stdout.readline()  # it has joined
        with supervisor.connect(status.listening[0]) as relayed:
            chaos = Chaos((system, relayed), network, words)
            for thread in (*clients, chaos):
                thread.start()
            chaos.join(seconds)
            chaos.end()
            stop.set()
            for client in clients:
                client.join()
            second.communicate(timeout=CALM_SECONDS * 2)
            settle(relayed)
            settle(system)
            _hear_the_last(system, listening)
            lives = {actor.name: actor.incarnation for actor in system.status().actors}
            crashes = len(system.status().failures)
        network.close()
    return _verdict(folder, chaos, lives, second.returncode) | {"failures": crashes}


def _hear_the_last(system: System, listening: Listening) -> None:
    """Wait until every notice that is on its way has come."""
    system.ref("clerk.1").ask(Quiet(), timeout=CALM_SECONDS).result()
    end = time.monotonic() + CALM_SECONDS
    while time.monotonic() < end:
        lives = {actor.name: actor.incarnation for actor in system.status().actors}
        if all(listening.newest.get(name, 0) >= life - 1 for name, life in lives.items()):
            break
        time.sleep(0.05)
    system.ref("clerk.1").tell(Last())
    listening.end()


def _verdict(folder: str, chaos: Chaos, lives: dict[str, int], code: int) -> dict[str, object]:
    place = Path(folder)
    sent, letters = records.sent(place), records.letters(place)
    seen = checker.Storm(
        sent=sent,
        handled=records.handled(place),
        letters=letters,
        ends=records.ends(place, "ends"),
        lives={name: lives[name] for name in NAMES},
        fatal={name: chaos.fatal[name] for name in NAMES},
        passes_on=PASSES_ON,
        killed=records.killed(place),
        overlap=OVERLAP,
    )
    wrong = checker.complaints(seen) + chaos.faults
    if code:
        wrong.append(f"the second program ended with {code}")
    late = sorted(message.late for message in sent)
    return {
        "wrong": wrong,
        "messages": len(sent),
        "begun": len(seen.handled),
        "outcomes": checker.tally(sent),
        "dead_letters": len(letters),
        "redelivered": sum(line.attempt > 1 for line in seen.handled),
        "ended_lives": sum(lives.values()) - len(lives),
        "harm": dict(sorted(chaos.done.items())),
        "recovery_ms": {kind: _spread(took) for kind, took in chaos.recovered.items()},
        "replaced_s": {kind: _spread(took, 1.0) for kind, took in chaos.replaced.items()},
        "latest_end_ms": round(late[-1] * 1000.0, 1) if late else 0.0,
    }


def _spread(took: list[float], unit: float = 1000.0) -> dict[str, float]:
    if not took:
        return {"count": 0}
    ordered = sorted(took)
    return {
        "count": len(took),
        "p50": round(statistics.median(ordered) * unit, 2),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))] * unit, 2),
        "most": round(ordered[-1] * unit, 2),
    }


# --- nothing left behind


@attrs.frozen
class Things:
    """What must be as it was before."""

    processes: frozenset[int]
    files: frozenset[str]
    descriptors: tuple[str, ...]


def things(runtime: Path, mark: str) -> Things:
    """Look around.

    Shared memory has no name, so it goes with the processes, or is a file like any other; what
    lies in /dev/shm is somebody else's.
    """
    return Things(
        frozenset(pid for pid in psutil.pids() if _marked(pid, mark)),
        frozenset(map(str, runtime.rglob("*"))),
        tuple(_open_files()),
    )


def _open_files() -> Iterator[str]:
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that reads the directory
            yield entry.readlink().as_posix()


def _marked(pid: int, mark: str) -> bool:
    try:
        process = psutil.Process(pid)
        alive = pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
        return alive and process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def left_behind(runtime: Path, mark: str, before: Things) -> list[str]:
    """Wait for all to go; return what is still there then."""
    end = time.monotonic() + GONE_WITHIN
    while True:
        now = things(runtime, mark)
        found = [
            f"left behind: {sorted(new)}"
            for new in (now.processes - before.processes, now.files - before.files)
            if new
        ]
        if len(now.descriptors) > len(before.descriptors):
            found.append(f"open: {sorted(now.descriptors)}, before: {sorted(before.descriptors)}")
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def main() -> int:
    """Run a storm."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--pace", type=float, default=0.1, help="longest pause of a sender, s")
    parser.add_argument("--keep", action="store_true", help="leave the ledgers on disk")
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    folder = tempfile.mkdtemp(prefix="us-", dir="/tmp")  # a socket's path is short
    runtime = Path(folder) / "run"
    runtime.mkdir(mode=0o700)
    (Path(folder) / "storm").mkdir()
    mark = os.environ[MARK] = secrets.token_hex(8)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    os.environ["UNDERSTUDY_KEYS"] = str(Path(folder) / "keys")
    with supervisor.start():
        pass  # what a program opens once and for all is open now
    before, load = things(runtime, mark), os.getloadavg()[0]
    found = storm(options.minutes * 60.0, seed, str(Path(folder) / "storm"), options.pace)
    wrong = [*found.pop("wrong"), *left_behind(runtime, mark, before)]  # type: ignore[misc]
    found |= {"seed": seed, "minutes": options.minutes}
    found |= {"load": [round(load, 1), round(os.getloadavg()[0], 1)], "wrong": wrong}
    said = json.dumps(found, indent=2)
    print(said)  # noqa: T201 - a program, not a test
    (Path(folder) / "report").write_text(said, encoding="utf-8")
    if options.keep or wrong:
        print(f"the ledgers: {folder}", file=sys.stderr)  # noqa: T201
    else:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
