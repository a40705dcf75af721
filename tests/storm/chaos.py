"""What a storm does: kills, stops and cuts, drawn from a seed, one after the other.

Everything is written down: what was done to whom and when, how long it took until there was an
answer again, and how long a stopped process lived.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actors.errors import ActorError, DeadlineExceeded
from supervisor import System
from tests.processes.infrastructure import monitor_of, zygote_of
from tests.storm.cast import MEMBERS, NAMES, WATCHED, Ask, Quiet
from tests.storm.clients import Sender, Way, outcome_of
from tests.storm.cuts import Network
from tests.storm.guests import Guest

ANSWER_SECONDS = 60.0
SHORT_STOP = (0.02, 1.0)
"""Seconds; the shortest limit is 2."""

LONG_STOP = 60.0
"""Seconds after which whoever was stopped for good is set free, if nobody has replaced it."""

ASKABLE = ("clerk.1", "clerk.2", "behind")


class Victim:
    """A process that we mean to harm; its number cannot come to mean another one."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self._handle = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; whoever is gone gets none."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def gone(self, seconds: float) -> bool:
        """Wait so long for its end."""
        return bool(select.select([self._handle], [], [], seconds)[0])

    def close(self) -> None:
        """Forget it."""
        os.close(self._handle)


class Chaos(threading.Thread):
    """Harms a system until told not to."""

    def __init__(self, systems: tuple[System, System], network: Network, words: tuple[str, ...]):
        super().__init__(name="chaos", daemon=True)
        self._system, self._far = systems
        self._network = network
        self._words = words
        """What a program that joins is told: endpoints, folder, seed, pace."""
        self._folder, self._seed = folder, seed = words[2:4]
        self._dice = random.Random(f"{seed} chaos")
        self._over = threading.Event()
        self._probes = ThreadPoolExecutor(64, "probe")
        self._mine = threading.local()
        self._senders: list[Sender] = []
        self._serial = 0
        self._begun = time.monotonic()
        self._log = (Path(folder) / "chaos").open("a", buffering=1, encoding="utf-8")
        self.done = Counter[str]()
        self.fatal = Counter[str]()
        """How often each actor was meant to die."""
        self.recovered: dict[str, list[float]] = {}
        """Seconds from a kill -9 to the next answer; alone, or amid other harm."""
        self.replaced: dict[str, list[float]] = {}
        """Seconds from a stop to the end of the stopped process."""
        self._still: set[str] = set()
        """Who is stopped: to set one free must not set it free for another's stop."""
        self.faults: list[str] = []
        """What did not come back."""
        self._guest: Guest | None = None
        """A program that is there to be killed; None while it comes or goes."""
        self._killed: list[Guest] = []
        self._acts: dict[Callable[[], None], int] = {
            self._kill_actor: 30,
            self._kill_broker: 6,
            self._kill_zygote: 3,
            self._kill_monitor: 2,
            self._kill_guest: 4,
            self._stop_shortly: 14,
            self._stop_for_good: 3,
            self._stop_broker: 1,
            self._stop_zygote: 1,
            self._restart: 4,
            self._cut_road: 8,
            self._cut_network: 6,
            self._hold_network: 4,
        }

    def run(self) -> None:
        """Do harm; in the end everybody is set free, and every probe is over."""
        try:
            for name in ASKABLE:
                self._far.ref(name).ask(Quiet(), timeout=ANSWER_SECONDS).result()
            self._probes.submit(self._invite)
            while not self._over.wait(self._dice.expovariate(3.0)):
                (act,) = self._dice.choices(list(self._acts), list(self._acts.values()))
                try:
                    act()
                except (ProcessLookupError, FileNotFoundError):
                    continue  # it was gone already
                except DeadlineExceeded:
                    continue  # while so much is harmed nobody says in time where it is
        except BaseException as error:
            self.faults.append(f"the chaos itself ended: {error!r}")
            raise
        finally:
            self._network.hold(still=False)
            self._see_off()
            for sender in self._senders:
                sender.close()
            self._log.close()

    def end(self) -> None:
        """Do no more harm."""
        self._over.set()
        self.join()

    # --- kinds of harm

    def _kill_actor(self) -> None:
        name = self._dice.choice(NAMES)
        victim = self._actor(name)
        if victim is None:
            return
        self._fatal("kill", name)
        began = time.monotonic()
        victim.send(signal.SIGKILL)
        victim.close()
        if name in ASKABLE:
            self._probe("actor", self._system, name, began)

    def _kill_broker(self) -> None:
        victim = self._infrastructure("broker")
        if victim is None:
            return
        self._note("kill broker")
        began = time.monotonic()
        victim.send(signal.SIGKILL)
        victim.close()
        self._probe("broker", self._far, self._dice.choice(ASKABLE), began)

    def _kill_zygote(self) -> None:
        self._kill_infrastructure("zygote")

    def _kill_monitor(self) -> None:
        self._kill_infrastructure("monitor")

    def _kill_infrastructure(self, name: str) -> None:
        victim = self._infrastructure(name)
        if victim is not None:
            self._note(f"kill {name}")
            victim.send(signal.SIGKILL)
            victim.close()

    def _kill_guest(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            self._note("kill program")
            self._probes.submit(self._replace, guest)

    def _replace(self, guest: Guest) -> None:
        guest.kill()
        self._killed.append(guest)
        self._invite()

    def _invite(self) -> None:
        while not self._over.is_set():
            guest = Guest(self._system, self._words, len(self._killed) + 1)
            if guest.joined:
                self._guest = guest
                return
            guest.kill()  # it came while there was no broker, or no network

    def _see_off(self) -> None:
        """Kill the last program too, and wait until all are forgotten."""
        self._probes.shutdown()
        if self._guest is not None:
            self._note("kill program")
            self._guest.kill()
            self._killed.append(self._guest)
        for guest in self._killed:
            self.faults += guest.traces()

    def _stop_shortly(self) -> None:
        name = self._dice.choice([*NAMES, "broker", "zygote", "monitor"])
        victim = self._actor(name) if name in NAMES else self._infrastructure(name)
        seconds = self._dice.uniform(*SHORT_STOP)
        if victim is None or not self._claim(victim):
            return
        self._note(f"stop {name}", seconds)
        self._probes.submit(self._stop_once, victim, seconds)

    def _stop_once(self, victim: Victim, seconds: float) -> None:
        began = time.monotonic()
        victim.send(signal.SIGSTOP)
        gone = victim.gone(seconds)
        took = time.monotonic() - began
        victim.send(signal.SIGCONT)
        if not gone and took > 1.5:  # this machine has let us wait: it may be replaced yet
            self.fatal[victim.name] += 1
        self._free(victim)

    def _stop_for_good(self) -> None:
        name = self._dice.choice(NAMES)
        victim = self._actor(name)
        if victim is not None and self._claim(victim):
            self._fatal("stop for good", name)
            self._probes.submit(self._stay_stopped, victim, "actor")

    def _stop_broker(self) -> None:
        victim = self._infrastructure("broker")
        if victim is not None and self._claim(victim):
            self._note("stop for good broker")
            self._probes.submit(self._stay_stopped, victim, "broker")

    def _stop_zygote(self) -> None:
        victim = self._infrastructure("zygote")
        if victim is not None and self._claim(victim):
            self._note("stop for good zygote")
            self._probes.submit(self._stay_stopped, victim, "zygote", must=False)
            self._kill_actor()  # nobody misses a zygote before there is something to fork

    def _stay_stopped(self, victim: Victim, kind: str, *, must: bool = True) -> None:
        began = time.monotonic()
        victim.send(signal.SIGSTOP)
        if victim.gone(LONG_STOP):
            self.replaced.setdefault(kind, []).append(time.monotonic() - began)
        elif must:
            self.faults.append(f"{victim.name} was stopped for {LONG_STOP:g} s, and is still there")
        victim.send(signal.SIGCONT)
        self._free(victim)

    def _claim(self, victim: Victim) -> bool:
        if victim.name in self._still:
            victim.close()
            return False
        self._still.add(victim.name)
        return True

    def _free(self, victim: Victim) -> None:
        self._still.discard(victim.name)
        victim.close()

    def _restart(self) -> None:
        name = self._dice.choice(NAMES)
        self._fatal("restart", name)
        self._probes.submit(self._restarted, name)

    def _restarted(self, name: str) -> None:
        try:
            self._system.restart(name)
        except ActorError as error:
            self.faults.append(f"restart of {name}: {error!r}")

    def _cut_road(self) -> None:
        """Close a direct connection of this program, without telling anybody."""
        with self._system._portal.lock:
            links = self._system._peer.links.values()
            roads = [link.way.road for link in links if link.way.road is not None]
            if roads:
                road = self._dice.choice(sorted(roads, key=lambda road: road.endpoint))
                self._system._connection._carrier(road).hang_up(road)
        self._note("cut road")

    def _cut_network(self) -> None:
        self._note("cut network")
        self._network.cut()

    def _hold_network(self) -> None:
        seconds = self._dice.uniform(*SHORT_STOP)
        self._note("hold network", seconds)
        self._network.hold(still=True)
        self._over.wait(seconds)
        self._network.hold(still=False)

    # --- finding and telling

    def _actor(self, name: str) -> Victim | None:
        pid = self._system.status().actor(name).pid
        return None if pid is None else Victim(name, pid)

    def _infrastructure(self, name: str) -> Victim | None:
        ways = {"zygote": zygote_of, "monitor": monitor_of}
        find = ways.get(name)
        pid = self._system.status().broker_pid if find is None else find(self._system)
        return None if pid is None else Victim(name, pid)

    def _fatal(self, what: str, name: str) -> None:
        self.fatal[name] += 1
        kind = "member" if name in MEMBERS else "actor" if name in WATCHED else "watcher"
        self.done[f"{what} {kind}"] += 1
        self._write(f"{what} {name}")

    def _note(self, what: str, seconds: float = 0.0) -> None:
        self.done[what if " for good" in what or "stop" not in what else "stop shortly"] += 1
        self._write(what, seconds)

    def _write(self, what: str, seconds: float = 0.0) -> None:
        at = round(time.monotonic() - self._begun, 4)
        self._log.write(json.dumps({"at": at, "what": what, "seconds": round(seconds, 4)}) + "\n")

    def _probe(self, kind: str, system: System, name: str, began: float) -> None:
        self._probes.submit(self._await_answer, kind, system, name, began)

    def _await_answer(self, kind: str, system: System, name: str, began: float) -> None:
        """Ask until there is an answer; the one who asks is a sender like any other."""
        sender = self._sender()
        harm, alone = sum(self.done.values()), not self._still
        while time.monotonic() < began + ANSWER_SECONDS:
            letter = sender.write(Way("ask", name, lambda *words: Ask(*words[:2])))
            try:
                value = system.ref(name).ask(letter.msg, timeout=ANSWER_SECONDS).result()
            except ActorError as error:  # it died again, while it was answering
                sender.note(letter, outcome_of(error))
                continue
            sender.answered(letter, value, 0.0)
            took = time.monotonic() - began
            alone = alone and harm == sum(self.done.values())
            where = f"{kind}, {'nothing else harmed' if alone else 'amid other harm'}"
            self.recovered.setdefault(where, []).append(took)
            return
        self.faults.append(f"no answer of {name} within {ANSWER_SECONDS:g} s")

    def _sender(self) -> Sender:
        found: Sender | None = getattr(self._mine, "sender", None)
        if found is None:
            name = threading.current_thread().name
            found = self._mine.sender = Sender(name, self._folder, f"{self._seed} {name}")
            self._senders.append(found)
        return found
