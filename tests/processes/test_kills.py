"""kill -9 of every process there is: nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from infrastructure import monitor_of, zygote_of
from programs import eventually, gone
from scenes import Add, Count, Player, Spin, Who, Write

import supervisor
from actors.errors import ActorError, ConnectionLost

pytestmark = pytest.mark.process

SUPERVISOR_DIED = "the supervisor process has died"


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def the_zygote(system):
    return eventually(lambda: zygote_of(system))


def test_killing_the_program_ends_everything_it_has_started(scene):
    program = scene("hold")
    facts = program.fact("supervisor")
    program.process.kill()
    pids = [facts["supervisor"], *facts["actors"], *facts["grandchildren"]]

    assert gone(pids)
    assert program.end() == -signal.SIGKILL
    eventually(lambda: not Path(facts["directory"]).exists(), 2.0)


def test_killing_the_supervisor_ends_everything_and_names_the_reason():
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        spinning = system.spawn(Player, name="spinning")
        pids = [system.status().broker_pid, player.ask(Who()).result()]
        pids.append(spinning.ask(Who()).result())
        spinning.tell(Spin())
        waiting = spinning.ask(Add(1, 2))
        kill(system.pid)

        with pytest.raises(ConnectionLost, match=SUPERVISOR_DIED):
            waiting.result()
        with pytest.raises(ConnectionLost, match=SUPERVISOR_DIED):
            player.ask(Add(1, 2))
        with pytest.raises(ConnectionLost, match=SUPERVISOR_DIED):
            system.spawn(Player)
        assert gone(pids)


def test_what_supervisor_and_sweeper_leave_goes_at_the_next_start():
    with supervisor.start(name="first") as first:
        directory = Path(first._directory)
        zygote, pid = the_zygote(first), first.pid
        player = first.spawn(Player, name="player").ask(Who()).result()
        os.kill(zygote, signal.SIGSTOP)
        kill(pid)
        kill(zygote)
        assert gone([pid, zygote, player])
    assert directory.exists()

    with supervisor.start():
        eventually(lambda: not directory.exists(), 2.0)


def test_nobody_notices_the_death_of_the_zygote():
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        kill(the_zygote(system))

        assert system.kill("player") == 1
        assert player.ask(Add(3, 4)).result() == 7.0
        assert system.spawn(Player).ask(Add(1, 2)).result() == 3.0
        kill(the_zygote(system))
        assert system.spawn(Player).ask(Add(1, 2)).result() == 3.0
        assert system.status().failures == []


def test_the_monitor_is_replaced():
    with supervisor.start() as system:
        system.spawn(Player, name="player")
        first = eventually(lambda: monitor_of(system))
        kill(first)

        eventually(lambda: monitor_of(system) not in (None, first))
        eventually(lambda: system.status().actors[0].memory)


def test_killing_an_idle_broker_costs_a_moment():
    with supervisor.start() as system, supervisor.connect(system._connection.endpoint) as other:
        player = system.spawn(Player, name="player")
        assert other.ref("player").ask(Add(1, 2)).result() == 3.0
        for _ in range(2):
            broker = system.status().broker_pid
            kill(broker)
            assert gone([broker])

            assert other.ref("player").ask(Add(1, 2), timeout=5.0).result() == 3.0
            assert player.ask(Add(1, 2), timeout=5.0).result() == 3.0
        # Over direct connections the question may come before the news of the second end.
        while (restarts := system.status().broker_restarts) < 2:
            pass
        assert restarts == 2
        assert system.status().actors[0].restarts == 0


def test_killing_a_busy_broker_loses_nothing_and_repeats_nothing():
    with supervisor.start() as system, supervisor.connect(system._connection.endpoint) as other:
        player = system.spawn(Player, name="player")
        failures = []

        def work(ref, begin):
            try:
                for number in range(begin, begin + 1500):
                    ref.tell(Write(""))
                    assert ref.ask(Add(number, 1), timeout=20.0).result() == number + 1
            except (ActorError, AssertionError) as error:
                failures.append(error)

        refs = (player, other.ref("player"))
        workers = [threading.Thread(target=work, args=(r, n)) for n, r in enumerate(refs)]
        for worker in workers:
            worker.start()
        kills = 0
        while any(worker.is_alive() for worker in workers) and kills < 2:
            before = system.status().actors[0].handled
            eventually(lambda: system.status().actors[0].handled > before + 100)  # noqa: B023
            # The conversation goes on without one, so the former may not yet be replaced.
            kill(eventually(lambda: system.status().broker_pid))
            kills += 1
        for worker in workers:
            worker.join(40.0)

        assert not failures
        assert kills == 2
        assert player.ask(Count()).result() == 3000


def test_asks_and_tells_in_flight_survive_the_broker():
    with supervisor.start() as system:
        player = system.spawn(Player, name="player")
        replies = [player.ask(Add(number, 0)) for number in range(5000)]
        for _ in range(2000):
            player.tell(Write(""))
        kill(system.status().broker_pid)

        assert [reply.result() for reply in replies] == list(range(5000))
        assert player.ask(Count()).result() == 2000
