"""Falling and rising: restarts, what becomes of messages meanwhile, watchers, dead letters."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from troupe import (
    Add,
    AsyncKeeper,
    Bind,
    Calculator,
    Clumsy,
    Collector,
    Ends,
    Exit,
    ExitAsked,
    Fail,
    FailTold,
    Faint,
    Forgetful,
    Get,
    Keeper,
    LateBloomer,
    Lingerer,
    Moody,
    Note,
    Open,
    Put,
    Quitter,
    Resumer,
    Saver,
    Scribe,
    Sleeper,
    Stillborn,
    Texts,
    Wait,
    WaitTogether,
    Watch,
    Watcher,
    Who,
)

from actors import DeadLetter, Terminated
from actors.errors import (
    ActorStopped,
    ConnectionLost,
    NoSuchActor,
    NotDelivered,
    OutcomeUnknown,
    SpawnError,
)
from supervisor import Child, Intensity, Restart, Tree, calls


def fall_told(system, ref):
    ref.tell(FailTold("down"))


def fall_exit(system, ref):
    ref.tell(Exit(3))


def fall_kill(system, ref):
    system.kill(ref.name)


def until_busy(system, ref):
    """Return when a handler of the actor is running."""
    while system.status().actor(ref.name).state != "busy":
        pass


FALLS = pytest.mark.parametrize("fall", [fall_told, fall_exit, fall_kill])


@FALLS
def test_an_actor_that_falls_comes_back_and_its_ref_works(system, spawn, fall):
    ref = spawn(Clumsy)
    assert ref.ask(Who()).result() == (ref.name, 1)

    fall(system, ref)

    assert ref.ask(Who()).result() == (ref.name, 2)


def test_queued_messages_are_handled_in_order_and_once_by_the_next_life(system, spawn):
    ref = spawn(Clumsy)
    blocked = ref.ask(Wait("first"))
    for n in range(500):
        ref.tell(Put(n))
    until_busy(system, ref)

    system.kill(ref.name)

    with pytest.raises(OutcomeUnknown):
        blocked.result()
    assert ref.ask(Get()).result() == list(range(500))


@pytest.mark.parametrize("fall", [fall_told, fall_exit])
def test_what_was_sent_after_a_fatal_message_is_handled_by_the_next_life(system, spawn, fall):
    ref = spawn(Clumsy)
    for n in range(200):
        ref.tell(Put(n))
    fall(system, ref)
    for n in range(200, 500):
        ref.tell(Put(n))

    assert ref.ask(Get()).result() == list(range(200, 500))


def test_the_ask_in_progress_ends_as_unknown_and_the_waiting_ones_are_answered(system, spawn):
    ref = spawn(Clumsy)
    running = ref.ask(Wait("running"))
    waiting = [ref.ask(Who()) for _ in range(20)]
    until_busy(system, ref)
    with system.watch(ref) as ends:
        assert system.kill(ref.name) == 1
        assert next(ends).incarnation == 1

    with pytest.raises(OutcomeUnknown) as caught:
        running.result()
    assert caught.value.target == ref.name
    assert [reply.result() for reply in waiting] == [(ref.name, 2)] * 20


def test_an_ask_whose_handler_exits_ends_as_unknown(spawn):
    ref = spawn(Clumsy)

    with pytest.raises(OutcomeUnknown):
        ref.ask(ExitAsked(1)).result()

    assert ref.ask(Who()).result() == (ref.name, 2)


def test_overlapping_asks_in_progress_all_end_as_unknown(system, spawn):
    ref = spawn(Clumsy)
    replies = [ref.ask(WaitTogether(str(n))) for n in range(10)]
    assert len(ref.ask(Texts()).result()) == 10

    system.kill(ref.name)

    for reply in replies:
        with pytest.raises(OutcomeUnknown):
            reply.result()


@FALLS
def test_a_told_message_in_progress_becomes_a_dead_letter(system, spawn, fall):
    ref = spawn(Clumsy)
    with system.subscribe(DeadLetter) as letters:
        if fall is fall_kill:
            ref.tell(Wait("told"))
            until_busy(system, ref)
        fall(system, ref)

        letter = next(each for each in letters if each.target == ref.name)

    assert letter.target == ref.name
    assert letter.sender.startswith("client-")
    assert letter.reason
    assert any(word in letter.text for word in ("FailTold", "Exit", "Wait"))


@FALLS
def test_a_watching_program_gets_one_notice_per_life(system, spawn, fall):
    ref = spawn(Clumsy)
    with system.watch(ref) as ends:
        for incarnation in (1, 2):
            assert ref.ask(Who()).result() == (ref.name, incarnation)
            fall(system, ref)
            notice = next(ends)
            assert (notice.name, notice.incarnation) == (ref.name, incarnation)
            assert notice.restarting
    assert ref.ask(Who()).result() == (ref.name, 3)


def test_a_watching_actor_gets_one_notice_per_life(system, spawn):
    watcher, ref = spawn(Watcher), spawn(Clumsy)
    watcher.ask(Watch(ref)).result()
    watcher.ask(Watch(ref)).result()

    for incarnation in (1, 2):
        assert ref.ask(Who()).result() == (ref.name, incarnation)
        system.kill(ref.name)
    system.stop(ref.name)

    while len(ends := watcher.ask(Ends()).result()) < 3:
        pass
    assert [end.incarnation for end in ends] == [1, 2, 3]
    assert [end.restarting for end in ends] == [True, True, False]


def test_watching_outlives_the_watcher(system, spawn):
    watcher, ref = spawn(Watcher), spawn(Clumsy)
    watcher.ask(Watch(ref)).result()
    system.kill(watcher.name)
    assert watcher.ask(Who()).result() == (watcher.name, 2)

    system.kill(ref.name)

    while not (ends := watcher.ask(Ends()).result()):
        pass
    assert [end.incarnation for end in ends] == [1]


def test_watching_a_name_that_is_not_there_is_answered_at_once(system, spawn, name):
    watcher = spawn(Watcher)
    watcher.ask(Watch(system.ref(name))).result()

    while not (ends := watcher.ask(Ends()).result()):
        pass
    assert [(end.name, end.incarnation) for end in ends] == [(name, 0)]
    with system.watch(system.ref(name)) as notices:
        assert next(notices).incarnation == 0


def test_every_end_can_be_followed(system, spawn):
    ref = spawn(Clumsy)
    with system.subscribe(Terminated) as ends:
        system.kill(ref.name)

        assert next(end for end in ends if end.name == ref.name).incarnation == 1


def test_kill_returns_the_life_it_ended(system, spawn, name):
    ref = spawn(Clumsy)

    assert system.kill(ref.name) == 1
    ref.wait_ready(timeout=10)
    assert system.kill(ref.name) == 2
    with pytest.raises(NoSuchActor):
        system.kill(name)


def test_restart_ends_one_life_in_order_and_begins_the_next(system, spawn):
    ref = spawn(Clumsy)
    for n in range(100):
        ref.tell(Put(n))

    assert system.restart(ref.name) == 2
    assert ref.ask(Who()).result() == (ref.name, 2)


def test_an_ask_that_raises_leaves_the_actor_alive(spawn):
    ref = spawn(Clumsy)

    with pytest.raises(ValueError, match="as asked"):
        ref.ask(Fail("value")).result()

    assert ref.ask(Who()).result() == (ref.name, 1)


def test_resume_lets_the_actor_live_on_and_makes_a_dead_letter(system, spawn):
    ref = spawn(Resumer)
    with system.subscribe(DeadLetter) as letters:
        ref.tell(Put(1))
        ref.tell(FailTold("never mind"))
        ref.tell(Put(2))

        assert ref.ask(Get()).result() == [1, 2]
        assert "never mind" in next(x for x in letters if x.target == ref.name).reason


def test_stop_policy_ends_the_actor_for_good(system, spawn):
    ref = spawn(Quitter)
    with system.watch(ref) as ends:
        ref.tell(FailTold("enough"))

        notice = next(ends)

    assert (notice.incarnation, notice.restarting) == (1, False)
    assert "enough" in notice.reason


@pytest.mark.parametrize(
    ("restart", "code", "comes_back"),
    [
        (Restart.PERMANENT, 0, True),
        (Restart.PERMANENT, 1, True),
        (Restart.TRANSIENT, 0, False),
        (Restart.TRANSIENT, 1, True),
        (Restart.TEMPORARY, 0, False),
        (Restart.TEMPORARY, 1, False),
    ],
)
def test_the_kind_of_restart_decides_who_comes_back(system, spawn, restart, code, comes_back):
    ref = spawn(Clumsy, restart=restart)
    with system.watch(ref) as ends:
        ref.tell(Exit(code))
        notice = next(ends)

    assert notice.restarting is comes_back
    if comes_back:
        assert ref.ask(Who()).result() == (ref.name, 2)
    else:
        with pytest.raises((NoSuchActor, ActorStopped)):
            ref.ask(Who()).result()


def test_what_is_queued_at_a_stop_comes_back(system, spawn):
    ref = spawn(Clumsy)
    held = ref.ask(Wait("held"), timeout=1.0)
    queued = [ref.ask(Who()) for _ in range(5)]
    until_busy(system, ref)
    with system.subscribe(DeadLetter) as letters:
        ref.tell(Note("too late"))
        system.stop(ref.name)  # waits for the held one, until its deadline

        assert isinstance(held.exception(), OutcomeUnknown)
        for reply in queued:
            with pytest.raises(ActorStopped):
                reply.result()
        letter = next(each for each in letters if each.target == ref.name)
        assert "too late" in letter.text
    with pytest.raises(NoSuchActor):
        system.stop(ref.name)


def test_a_name_that_was_stopped_may_be_used_again(system, spawn):
    ref = spawn(Clumsy)
    system.stop(ref.name)

    again = spawn(Calculator, name=ref.name)

    assert again == ref
    assert ref.ask(Add(1, 1)).result() == 2.0


def test_a_snapshot_that_is_cancelled_holds_up_no_message(spawn):
    ref = spawn(Faint)
    for n in range(1, 5):
        ref.tell(Put(n))
        assert ref.ask(Get()).result(20.0)[0] == sum(range(n + 1))


@pytest.mark.parametrize("keeper", [Keeper, AsyncKeeper, Saver])
def test_what_was_saved_goes_to_the_next_life(system, spawn, keeper):
    ref = spawn(keeper)
    for n in range(1, 5):
        ref.tell(Put(n))
    assert ref.ask(Get()).result() == [10, 10, 10, 10]
    assert ref.ask(Get()).result() == [10, 10, 10, 10]  # by now it was between two messages

    system.kill(ref.name)
    assert ref.ask(Get()).result() == [10, 10, 10, 10]
    system.restart(ref.name)

    assert ref.ask(Get()).result() == [10, 10, 10, 10]
    assert ref.ask(Who()).result() == (ref.name, 3)


def test_state_that_no_life_would_take_over_is_refused(spawn):
    ref = spawn(Forgetful)

    with pytest.raises(TypeError, match=r"Forgetful has no restore, .*def restore\(self, state\)"):
        ref.ask(Who()).result()


def test_state_that_the_next_life_could_not_read_is_refused(system, spawn):
    ref = spawn(Scribe)
    ref.ask(Bind(2)).result()

    with pytest.raises(ValueError, match=r"could read this state: Page is not valid: .*'lines'"):
        ref.ask(Bind(4)).result()
    with pytest.raises(TypeError, match=r"Scribe\.restore takes Page, not the State"):
        ref.ask(Bind(0)).result()

    system.kill(ref.name)
    assert ref.ask(Get()).result() == [0, 1]


def test_a_child_that_cannot_start_again_is_tried_again(system, spawn, tmp_path):
    file = tmp_path / "here"
    file.touch()
    ref = spawn(Moody, path=str(file))
    file.unlink()
    with system.watch(ref) as ends:
        system.kill(ref.name)
        assert [next(ends).incarnation for _ in range(3)] == [1, 2, 3]
        with pytest.raises(TimeoutError, match=f"^{ref.name} is not ready after 0.2 s: "):
            system.wait_ready(timeout=0.2)
        file.touch()

    ref.wait_ready(timeout=20)
    assert ref.ask(Who()).result()[1] > 3


def test_a_restart_that_fails_says_why_and_what_follows(system, spawn, tmp_path):
    file = tmp_path / "here"
    file.touch()
    ref = spawn(Moody, path=str(file))
    file.unlink()

    with pytest.raises(SpawnError, match=r"no file\. The supervisor goes on trying") as failed:
        system.restart(ref.name)

    assert (failed.value.actor, ref.name in str(failed.value)) == (ref.name, True)
    assert "in on_start" in failed.value.remote_traceback
    file.touch()
    assert system.restart(ref.name) > 2
    assert ref.ask(Who()).result()[1] > 2


def fall_again(ref):
    with contextlib.suppress(ConnectionLost, NotDelivered):
        ref.tell(FailTold("again"))
        ref.ask(Who()).exception()


@pytest.mark.process
def test_too_many_falls_end_the_system_and_every_call_says_why(start_system):
    tree = Tree(intensity=Intensity(2, 60.0), children=[Child(Clumsy, name="clumsy")])
    system = start_system(tree)
    ref = system.ref("clumsy")
    reply = ref.ask(WaitTogether("x"))

    for _ in range(10):
        fall_again(ref)

    assert isinstance(reply.exception(), ConnectionLost | OutcomeUnknown)
    why = system.wait_ended(timeout=20)
    assert why is not None
    assert "clumsy" in why
    for call in (lambda: ref.ask(Who()), system.status, lambda: ref.tell(Note(""))):
        with pytest.raises(ConnectionLost, match="clumsy"):
            call()


@pytest.mark.process
def test_a_declared_child_whose_start_fails_again_and_again_ends_the_system(start_system):
    tree = Tree(
        intensity=Intensity(3, 60.0), children=[Child(Stillborn, name="stillborn", text="never")]
    )
    system = start_system(tree)

    why = system.wait_ended(timeout=30)

    assert why is not None
    assert "stillborn" in why


def test_a_child_whose_first_start_fails_is_not_added(system, name):
    for _ in range(3):
        with pytest.raises(SpawnError, match="no luck"):
            system.spawn(Stillborn, name=name)

    with pytest.raises(KeyError):
        system.status().actor(name)
    with pytest.raises(NoSuchActor):
        system.ref(name).tell(Note("anybody?"))


def test_open_is_heard_by_the_next_life_too(system, spawn):
    ref = spawn(Clumsy)
    system.kill(ref.name)
    reply = ref.ask(WaitTogether("again"))
    ref.tell(Open())

    assert reply.result() == "again"


def test_an_actor_that_is_still_starting_can_be_stopped(system, name):
    with ThreadPoolExecutor(1) as pool:
        spawning = pool.submit(system.spawn, Sleeper, name=name)
        while name not in {actor.name for actor in system.status().actors}:
            pass
        begin = time.monotonic()
        system.stop(name)

        assert time.monotonic() - begin < 4.0  # its grace of 5 s is not needed
        with pytest.raises(SpawnError):
            spawning.result()


def test_several_callers_may_restart_an_actor_at_once(system, spawn):
    ref = spawn(Clumsy)
    with ThreadPoolExecutor(4) as pool:
        lives = list(pool.map(system.restart, [ref.name] * 4))

    assert min(lives) >= 2
    assert ref.ask(Who()).result()[1] == max(lives)


def test_many_messages_may_overtake_one_that_overlaps_and_none_is_lost(spawn):
    ref = spawn(Collector)
    slow = ref.ask(WaitTogether("slow"))

    quick = [ref.ask(Who(), timeout=20.0) for _ in range(400)]
    slow.cancel()

    assert {reply.result() for reply in quick} == {(ref.name, 1)}


@pytest.mark.parametrize("fall", [fall_told, fall_exit])
def test_an_actor_that_falls_and_lingers_is_ended_after_its_grace(start_system, fall):
    # Recorded: after `sys.exit` nobody counted the grace, and the actor was never replaced.
    system = start_system(Tree(children=[Child(Lingerer, name="lingerer", grace=0.2)]))
    ref = system.ref("lingerer")

    try:
        fall(system, ref)

        assert ref.ask(Add(1, 2), timeout=10.0).result() == 3.0
        assert system.status().actor("lingerer").incarnation == 2
    finally:
        system.kill("lingerer")  # leaving would wait for one that is up, and has not fallen


def test_a_child_whose_spawner_gave_up_is_not_added(system, name, monkeypatch):
    monkeypatch.setattr(calls, "START_SECONDS", 0.2)

    with pytest.raises(SpawnError):
        system.spawn(LateBloomer, name=name, seconds=60.0)

    monkeypatch.undo()
    while any(actor.name == name for actor in system.status().actors):
        pass
    system.spawn(Calculator, name=name)
    system.stop(name)
