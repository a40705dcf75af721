"""A system as a whole: beginning and end, status, logging, trees."""

from __future__ import annotations

import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import running
from latecomers import GATE, Patient
from troupe import (
    Add,
    Calculator,
    Clumsy,
    Collector,
    FailTold,
    Forwarder,
    Get,
    Note,
    Put,
    Restless,
    Say,
    Stillborn,
    Texts,
    WaitTogether,
    Watch,
    Watcher,
    Who,
    Writer,
)

import supervisor
from actors import DeadLetter
from actors.errors import ActorStopped, ConnectionLost
from actors.link import Link
from supervisor import Backoff, Child, Tree
from supervisor import system as program

pytestmark = pytest.mark.process


def test_an_asyncio_program_runs_a_system(transport):
    async def main():
        listen = "tcp://127.0.0.1:*" if transport == "tcp" else None
        async with supervisor.start(inproc=transport == "inproc", listen=listen) as system:
            calc = system.spawn(Calculator, name="calc")
            first = await calc.ask(Add(1, 2))
            many = await asyncio.gather(*(calc.ask(Add(n)) for n in range(1000)))
            return first, many

    assert asyncio.run(main()) == (3.0, [float(n) for n in range(1000)])


def test_leaving_the_block_lets_every_actor_finish_what_it_was_told(transport, tmp_path):
    path = tmp_path / "lines"

    with running(transport) as system:
        ref = system.spawn(Writer, name="writer", path=str(path))
        for n in range(2000):
            ref.tell(Put(n))

    assert path.read_text().split() == [str(n) for n in range(2000)]


def test_leaving_the_block_stops_an_actor_that_never_rests_and_does_not_kill_it(
    transport, tmp_path
):
    # Recorded: a snapshot held the next message, which held the stop, until the grace was over.
    path = tmp_path / "reason"

    with running(transport) as system:
        system.spawn(Restless, name="restless", path=str(path))

    assert path.read_text() == "the system is shut down"


def test_everything_raises_connection_lost_after_the_end(transport):
    with running(transport) as system:
        ref = system.spawn(Calculator, name="calc")
        assert ref.ask(Add(1, 1)).result() == 2.0

    for call in (
        lambda: ref.ask(Add(1, 1)),
        system.status,
        lambda: ref.tell(Add(1, 1)),
        lambda: system.empty(10),
    ):
        with pytest.raises(ConnectionLost):
            call()
    system.close()


def test_a_tree_is_up_and_its_children_have_their_arguments(transport):
    tree = Tree(
        children=[
            Child(Calculator, name="one", scale=2.0, metadata={"kind": "test"}),
            Child(Collector, name="two"),
        ]
    )
    with running(transport, tree) as system:
        system.wait_ready(timeout=20)

        assert system.ref("one").ask(Add(1, 2)).result() == 6.0
        assert system.ref("two").ask(Who()).result() == ("two", 1)
        assert [actor.name for actor in system.status().actors] == ["one", "two"]
        assert system.status().actor("one").metadata == {"kind": "test"}


def test_a_declared_child_that_is_down_is_waited_for(transport):
    with running(transport, Tree(children=[Child(Collector, name="slow")])) as system:
        # It may or may not be up yet: using it must work either way.
        assert system.ref("slow").ask(Who()).result() == ("slow", 1)


def test_the_status_says_how_everything_stands(transport):
    with running(transport) as system:
        ref = system.spawn(Collector, name="collector")
        ref.tell(Put(1))
        assert ref.ask(Get()).result() == [1]
        with system.watch(ref) as ends:
            system.kill("collector")
            next(ends)
        assert ref.ask(Who()).result() == ("collector", 2)

        status = system.status()
        actor = status.actor("collector")

        assert (actor.state, actor.incarnation, actor.restarts) == ("running", 2, 1)
        assert actor.handled == 1
        assert actor.failed == 0
        assert actor.mailbox == 0
        assert actor.restart == "permanent"
        assert "9" in actor.last_exit or "KILL" in actor.last_exit
        assert status.pid == system.pid
        assert status.uptime > 0
        assert status.dead_letters == 0
        assert not status.degraded
        if transport != "inproc":
            assert actor.pid is not None
            assert status.broker_pid is not None


def test_0_14_log_records_reach_the_supervisors_stderr_with_name_and_incarnation(
    transport, capfd, caplog
):
    caplog.set_level("INFO")
    with running(transport) as system:
        ref = system.spawn(Collector, name="speaker")
        ref.ask(Say("hear, hear")).result()
        system.restart("speaker")
        ref.ask(Say("again")).result()

    if transport == "inproc":  # threads of this process: its own logging has them
        assert "hear, hear" in caplog.text
    else:
        err = capfd.readouterr().err
        assert re.search(r"INFO +speaker/1: hear, hear", err)
        assert re.search(r"INFO +speaker/2: again", err)
        assert re.search(r"INFO +speaker/2: and again", err)


def test_a_fall_and_what_was_lost_are_said_in_plain_words(transport, capfd, caplog):
    with running(transport) as system:
        ref = system.spawn(Clumsy, name="speaker")
        with system.subscribe(DeadLetter) as letters:
            ref.tell(FailTold("no such gain"))
            next(letters)
        ref.wait_ready(20)

    said = caplog.text if transport == "inproc" else capfd.readouterr().err
    assert re.search(r"speaker/1 raised \w+: no such gain.*restarting as speaker/2", said)
    assert "(restart 1 of at most 10 in 5 s)" in said
    assert re.search(r"dead letter: FailTold to speaker from client-[\w-]+: .*no such gain", said)


def test_the_log_says_that_a_restart_on_request_does_not_count(transport, capfd, caplog):
    caplog.set_level("INFO")
    with running(transport) as system:
        system.spawn(Collector, name="speaker")
        system.restart("speaker")

    said = caplog.text if transport == "inproc" else capfd.readouterr().err
    assert "speaker/1 stopped; restarting as speaker/2 (told to stop, so it does not count)" in said
    assert "of at most" not in said


def test_a_watcher_that_ends_with_its_system_leaves_no_dead_letter(transport, capfd, caplog):
    with running(transport) as system:
        watcher = system.spawn(Watcher, name="watcher")
        for name in ("one", "two", "three"):  # they end first, each a moment before the next
            watcher.ask(Watch(system.spawn(Collector, name=name))).result()

    assert "dead letter" not in (caplog.text if transport == "inproc" else capfd.readouterr().err)


def test_the_levels_a_program_has_set_hold_in_the_supervisor(transport, capfd, caplog):
    caplog.set_level("ERROR", "understudy.supervisor")
    caplog.set_level("ERROR", "understudy.dead_letters")
    with running(transport) as system:
        ref = system.spawn(Clumsy, name="speaker")
        with system.subscribe(DeadLetter) as letters:
            ref.tell(FailTold("no such gain"))
            next(letters)
        ref.wait_ready(20)

    said = caplog.text if transport == "inproc" else capfd.readouterr().err
    assert "dead letter" not in said
    assert "restarting as" not in said


def test_two_systems_do_not_meet(transport):
    with running(transport) as one, running(transport) as two:
        first, second = one.spawn(Collector, name="same"), two.spawn(Collector, name="same")
        first.tell(Note("one"))
        second.tell(Note("two"))

        assert first.ask(Texts()).result() == ["one"]
        assert second.ask(Texts()).result() == ["two"]


def test_asks_that_are_open_at_the_end_are_ended(transport):
    with running(transport) as system:
        ref = system.spawn(Collector, name="collector")
        reply = ref.ask(WaitTogether("x"))
        reply.cancel()
        last = ref.ask(Get())

    assert last.exception() is None or isinstance(last.exception(), ActorStopped | ConnectionLost)


def test_a_sibling_is_given_by_its_name_in_a_tree(start_system):
    tree = Tree(
        children=[
            Child(Calculator, name="calculator"),
            Child(Forwarder, name="forwarder", target="calculator"),
        ]
    )
    system = start_system(tree)

    assert system.ref("forwarder").ask(Add(1, 2)).result() == 3.0


def test_leaving_the_block_does_not_wait_for_ever_for_an_actor_that_is_down(
    transport, monkeypatch, caplog
):
    monkeypatch.setattr(program, "FLUSH_SECONDS", 0.3)
    never = Child(Stillborn, name="never", backoff=Backoff(initial=60.0, maximum=60.0))

    with running(transport, Tree(children=[never])) as system:
        system.ref("never").tell(Note("nobody will read this"))

    assert "left with unfinished messages: never (1 message)" in caplog.text


def test_actors_that_ended_leave_no_descriptors_behind(transport):
    with running(transport) as system:
        counts = []
        for n in range(40):
            system.spawn(Calculator, name=f"short-{n}")
            system.stop(f"short-{n}")
            counts.append(len(list(Path("/dev/fd").iterdir())))

    assert counts[-1] <= counts[1] + 15  # some may be ending still


def test_the_supervisor_answers_however_many_starts_it_waits_for():
    GATE.clear()
    with supervisor.start(inproc=True) as system, ThreadPoolExecutor(70) as pool:
        starts = [pool.submit(system.spawn, Patient) for _ in range(70)]
        try:
            while len(system.status().actors) < len(starts):
                pass
            asked = [system.status().name for _ in range(300)]  # each overlaps with all the starts
        finally:
            GATE.set()

        assert set(asked) == {system.status().name}
        assert len({start.result().name for start in starts}) == len(starts)


def test_what_is_unfinished_is_counted_while_another_thread_sends_to_a_new_name(start_system):
    system = start_system()
    peer, lock, home = system._peer, system._portal.lock, threading.get_ident()

    def send():
        with lock:
            peer.links["new"] = Link("new")

    class Meddled(Link):
        __slots__ = ()

        def __getattribute__(self, name):
            if name == "out" and threading.get_ident() == home:
                sender.start()
                sender.join(0.5)  # it has to wait for us where the lock is held
            return super().__getattribute__(name)

    sender = threading.Thread(target=send)
    with lock:
        peer.links["meddled"] = Meddled("meddled")

    unfinished = system._unfinished()

    sender.join()
    with lock:
        del peer.links["meddled"], peer.links["new"]
    assert not unfinished
