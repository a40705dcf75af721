"""What the supervisor decides (supervisor/tree.py, keeper.py, node.py, lifecycle.py)."""

from __future__ import annotations

import math
from random import Random

import pytest

from actors.backoff import Backoff
from supervisor.lifecycle import (
    ChildGone,
    ChildStopped,
    Context,
    Exited,
    ExitKind,
    ExitReason,
    GiveUp,
    Gone,
    KillChild,
    Origin,
    Refusal,
    Refused,
    Report,
    RestartAsked,
    SetTimer,
    ShutdownAsked,
    ShutDownComplete,
    Spawn,
    StartChild,
    Started,
    StartFailed,
    StartupAsked,
    State,
    StopAsked,
    StopChild,
    TimerFired,
    Urgency,
)
from supervisor.node import Incarnations
from supervisor.spec import (
    AutoShutdown,
    Child,
    Intensity,
    Pool,
    Restart,
    Strategy,
    Tree,
)
from supervisor.tree import TreeDecider

CRASH = ExitReason(ExitKind.SIGNALLED, signal=9)
NORMAL = ExitReason(ExitKind.NORMAL)
STOPPED = ExitReason(ExitKind.STOPPED)
BROKEN = ExitReason(ExitKind.START_FAILED, text="no camera")


class Actor:
    pass


def child(name: str, **options) -> Child:
    return Child(Actor, name=name, **options)


def tree(*children, **options) -> Tree:
    return Tree(
        children=[child(each) if isinstance(each, str) else each for each in children], **options
    )


class World:
    """Stands for the doer: performs nothing, remembers everything, answers when told to."""

    def __init__(self, *children, up=True, **options):
        spec = tree(*children, **options)
        self.decider = TreeDecider(spec, Random(1))
        self.now = 100.0
        self.timers: dict[int, float] = {}
        if up:
            self.settle(StartupAsked())

    def send(self, event) -> list:
        commands = self.decider.handle(event, self.now)
        for command in commands:
            if isinstance(command, SetTimer):
                self.timers[command.token] = command.at
        return commands

    def settle(self, event) -> list:
        """Send an event and answer every command as a well-behaved process would."""
        log = []
        todo = [event]
        while todo:
            commands = self.send(todo.pop(0))
            log += commands
            for command in commands:
                match command:
                    case StartChild():
                        todo.append(Started(command.name, command.incarnation))
                    case StopChild():
                        todo.append(Exited(command.name, command.incarnation, STOPPED))
                    case KillChild():
                        todo.append(Exited(command.name, command.incarnation, CRASH))
        return log

    def life(self, name) -> tuple[str, int]:
        return name, self.decider.child(name).incarnation

    def exited(self, name, reason=CRASH, *, counted=True) -> Exited:
        return Exited(*self.life(name), reason, counted=counted)

    def started(self, name) -> Started:
        return Started(*self.life(name))

    def start_failed(self, name, *, counted=True) -> StartFailed:
        return StartFailed(*self.life(name), BROKEN, counted=counted)

    def state(self, name) -> State:
        return self.decider.child(name).state

    def states(self) -> dict[str, State]:
        return {each.name: each.state for each in self.decider.status()}

    def wait_for_next_start(self, name) -> list:
        """Let time pass until the child's timer is due."""
        at = self.decider.child(name).next_start
        token = next(token for token, due in self.timers.items() if due == at)
        self.now = at
        return self.send(TimerFired(token))


def to_processes(commands) -> list[str]:
    """Commands to processes in short: "+a/1" start, "-a/1" stop, "!a/1" kill."""
    sign = {StartChild: "+", StopChild: "-", KillChild: "!"}
    return [
        f"{sign[type(command)]}{command.name}/{command.incarnation}"
        for command in commands
        if type(command) in sign
    ]


def only(commands, kind) -> list:
    return [command for command in commands if isinstance(command, kind)]


def one(commands, kind):
    [command] = only(commands, kind)
    return command


# ----------------------------------------------------------------------------- coming up


def test_children_start_one_after_the_other_in_the_order_of_the_list():
    world = World("a", "b", "c", up=False)

    assert to_processes(world.send(StartupAsked())) == ["+a/1"]
    assert to_processes(world.send(world.started("a"))) == ["+b/1"]
    assert to_processes(world.send(world.started("b"))) == ["+c/1"]
    assert not world.decider.is_up
    assert to_processes(world.send(world.started("c"))) == []
    assert world.decider.is_up


def test_start_child_carries_what_to_start():
    world = World(Pool(Actor, name="p", size=1, x=1), up=False)

    command = one(world.send(StartupAsked()), StartChild)

    assert command.spec == child("p#1", x=1)
    assert command.pool == "p"


def test_starting_up_twice_changes_nothing():
    world = World("a")

    assert world.send(StartupAsked()) == []


def test_a_tree_inside_is_up_before_what_comes_after_it_starts():
    world = World("a", tree("b", "c"), "d", up=False)

    assert to_processes(world.settle(StartupAsked())) == ["+a/1", "+b/1", "+c/1", "+d/1"]


def test_a_pool_starts_its_members_all_at_once():
    world = World(Pool(Actor, name="p", size=3), "z", up=False)

    assert to_processes(world.send(StartupAsked())) == ["+p#1/1", "+p#2/1", "+p#3/1"]
    world.send(world.started("p#1"))
    world.send(world.started("p#3"))
    assert to_processes(world.send(world.started("p#2"))) == ["+z/1"]


def test_a_tree_without_children_is_up_at_once():
    world = World()

    assert world.decider.is_up
    assert world.decider.status() == ()


def test_a_declared_child_whose_first_start_fails_is_tried_again():
    world = World("a", "b", up=False)
    world.send(StartupAsked())

    assert to_processes(world.send(world.start_failed("a"))) == ["+a/2"]
    commands = world.send(world.start_failed("a"))

    assert world.state("a") is State.BACKOFF
    assert to_processes(commands) == ["+b/1"], "one_for_one: the others do not wait for it"
    assert to_processes(world.wait_for_next_start("a")) == ["+a/3"]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_those_that_depend_on_a_child_wait_until_it_has_started(strategy):
    world = World("a", "b", strategy=strategy, up=False)
    world.send(StartupAsked())
    world.send(world.start_failed("a"))

    assert to_processes(world.send(world.start_failed("a"))) == []
    assert world.states() == {"a": State.BACKOFF, "b": State.WAITING}
    assert to_processes(world.wait_for_next_start("a")) == ["+a/3"]
    assert to_processes(world.send(world.started("a"))) == ["+b/1"]


# ----------------------------------------------------------------------------- restart kinds


@pytest.mark.parametrize(
    ("restart", "reason", "state"),
    [
        (Restart.PERMANENT, NORMAL, State.STARTING),
        (Restart.PERMANENT, CRASH, State.STARTING),
        (Restart.TRANSIENT, NORMAL, State.STOPPED),
        (Restart.TRANSIENT, STOPPED, State.STOPPED),
        (Restart.TRANSIENT, ExitReason(ExitKind.EXITED, code=0), State.STOPPED),
        (Restart.TRANSIENT, ExitReason(ExitKind.EXITED, code=1), State.STARTING),
        (Restart.TRANSIENT, ExitReason(ExitKind.RAISED, text="ValueError"), State.STARTING),
        (Restart.TRANSIENT, CRASH, State.STARTING),
        (Restart.TEMPORARY, NORMAL, State.STOPPED),
        (Restart.TEMPORARY, CRASH, State.FAILED),
    ],
)
def test_the_restart_kind_and_the_reason_decide_what_follows(restart, reason, state):
    world = World(child("a", restart=restart))

    commands = world.send(world.exited("a", reason))

    assert world.state("a") is state
    assert to_processes(commands) == (["+a/2"] if state is State.STARTING else [])
    stopped = [] if state is State.STARTING else [ChildStopped("a", 1, reason)]
    assert only(commands, ChildStopped) == stopped
    assert world.decider.child("a").last_exit == reason


def test_a_child_that_is_down_for_good_can_be_started_by_hand():
    world = World(child("a", restart=Restart.TEMPORARY))
    world.send(world.exited("a"))

    assert to_processes(world.send(RestartAsked("a"))) == ["+a/2"]


def test_reports_of_lives_that_are_over_change_nothing():
    world = World("a")
    world.send(world.exited("a"))

    assert world.send(Exited("a", 1, CRASH)) == []
    assert world.send(Started("a", 1)) == []
    assert world.send(Exited("nobody", 1, CRASH)) == []
    assert world.state("a") is State.STARTING


def test_an_end_that_is_reported_twice_counts_once():
    world = World("a", "b", intensity=Intensity(2, 5.0))
    world.settle(world.exited("a"))
    world.send(world.exited("a"))
    assert world.state("a") is State.BACKOFF

    assert world.send(world.exited("a")) == []
    world.settle(StopAsked("b"))
    assert world.send(world.exited("b")) == []
    assert world.send(world.started("b")) == []


def test_an_end_before_the_start_was_reported_is_a_failed_start():
    world = World("a", up=False)
    world.send(StartupAsked())

    report = one(world.send(world.exited("a")), Report)

    assert report.context is Context.START_ERROR


# ----------------------------------------------------------------------------- backoff, intensity


def test_the_first_restart_is_immediate_and_the_next_ones_wait_longer_and_longer():
    world = World("a", intensity=Intensity(100, 5.0))
    delays = []
    for _ in range(12):
        world.settle(world.exited("a"))
        due = world.decider.child("a").next_start
        delays.append(0.0 if due is None else due - world.now)
        if due is not None:
            world.settle(TimerFired(max(world.timers)))

    ceilings = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10]
    assert delays[0] == 0
    assert all(delay > 0 for delay in delays[1:])
    assert all(delay <= top for delay, top in zip(delays, ceilings, strict=True))


def test_five_seconds_of_health_make_the_next_restart_immediate_again():
    world = World("a")
    world.settle(world.exited("a"))
    world.now += 5.0

    assert to_processes(world.send(world.exited("a"))) == ["+a/3"]


def test_failed_restarts_count_and_wait_like_deaths():
    world = World("a", intensity=Intensity(2, 5.0))
    world.send(world.exited("a"))
    world.send(world.start_failed("a"))
    assert world.state("a") is State.BACKOFF
    world.wait_for_next_start("a")

    assert only(world.send(world.start_failed("a")), GiveUp)


def test_deaths_that_do_not_count_restart_at_once_for_ever():
    world = World("a", intensity=Intensity(0, 5.0))

    for life in range(2, 50):
        assert to_processes(world.send(world.exited("a", counted=False))) == [f"+a/{life}"]
        if life % 2:
            world.send(world.started("a"))


def test_deaths_that_do_not_count_leave_backoff_and_intensity_as_they_were():
    world = World("a", intensity=Intensity(1, 5.0))
    world.settle(world.exited("a"))
    world.settle(world.exited("a", counted=False))

    assert world.decider.trees(world.now)[0].restarts_used == 1
    assert only(world.send(world.exited("a")), GiveUp)


def test_too_many_restarts_end_the_system_in_reverse_order_with_the_reason():
    world = World("a", "b", "c", intensity=Intensity(1, 5.0))
    world.settle(world.exited("b"))

    log = world.settle(world.exited("b"))

    assert "b needs more than the 1 restarts in 5 s" in one(log, GiveUp).reason
    assert "killed by signal 9" in one(log, GiveUp).reason
    assert to_processes(log) == ["-c/1", "-a/1"]
    assert log[-1] == ShutDownComplete()
    assert world.states() == {"a": State.STOPPED, "b": State.FAILED, "c": State.STOPPED}


def test_restarts_older_than_the_period_do_not_count():
    world = World("a", intensity=Intensity(1, 5.0))

    for _ in range(5):
        assert only(world.settle(world.exited("a")), GiveUp) == []
        world.now += 5.001


def test_intensity_is_shared_by_the_children_of_a_tree():
    world = World("a", "b", intensity=Intensity(1, 5.0))
    world.settle(world.exited("a"))

    assert only(world.send(world.exited("b")), GiveUp)


# ----------------------------------------------------------------------------- strategies


def test_one_for_one_leaves_the_others_alone():
    world = World("a", "b", "c")

    assert to_processes(world.settle(world.exited("b"))) == ["+b/2"]


def test_one_for_all_stops_the_others_in_reverse_order_and_starts_all_in_order():
    world = World("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-c/1", "-a/1", "+a/2", "+b/2", "+c/2"]


def test_rest_for_one_restarts_the_child_and_those_started_after_it():
    world = World("a", "b", "c", "d", strategy=Strategy.REST_FOR_ONE)

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-d/1", "-c/1", "+b/2", "+c/2", "+d/2"]


def test_siblings_are_stopped_one_at_a_time_and_nothing_starts_before_all_are_down():
    world = World("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)

    assert to_processes(world.send(world.exited("a"))) == ["-c/1"]
    assert to_processes(world.send(world.exited("c", STOPPED))) == ["-b/1"]
    assert to_processes(world.send(world.exited("b", STOPPED))) == ["+a/2"]


def test_siblings_are_stopped_at_once_and_wait_while_the_one_that_fell_is_held_back():
    world = World("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)
    world.settle(world.exited("b"))

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-c/2", "-a/2"]
    assert world.states() == {"a": State.WAITING, "b": State.BACKOFF, "c": State.WAITING}
    assert to_processes(world.wait_for_next_start("b")) == ["+a/3"]


def test_a_sibling_that_dies_while_it_is_to_be_stopped_is_not_counted():
    world = World("a", "b", "c", strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(1, 5.0))
    world.send(world.exited("a"))

    assert to_processes(world.send(world.exited("b"))) == [], "c is still being stopped"
    assert to_processes(world.settle(world.exited("c", STOPPED))) == ["+a/2", "+b/2", "+c/2"]


def test_a_death_that_does_not_count_takes_its_siblings_along_all_the_same():
    world = World("a", "b", strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(0, 5.0))

    log = world.settle(world.exited("a", counted=False))

    assert to_processes(log) == ["-b/1", "+a/2", "+b/2"]


def test_an_earlier_sibling_that_dies_meanwhile_widens_a_rest_for_one_restart():
    world = World("a", "b", "c", strategy=Strategy.REST_FOR_ONE)
    world.send(world.exited("b"))

    assert to_processes(world.send(world.exited("a"))) == []
    assert to_processes(world.settle(world.exited("c", STOPPED))) == ["+a/2", "+b/2", "+c/2"]
    assert world.decider.trees(world.now)[0].restarts_used == 2


def test_a_failed_start_in_one_for_all_takes_down_again_what_was_up_already():
    world = World("a", "b", strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("b"))
    world.send(world.exited("a", STOPPED))
    world.send(world.started("a"))

    assert to_processes(world.send(world.start_failed("b"))) == ["-a/2"]


def test_a_child_does_not_wait_for_what_falls_later_inside_an_earlier_tree():
    # Found by the comparison with OTP: "b" was held back as long as "inner" had its own trouble.
    inner = tree("x", "y", name="inner")
    world = World(inner, "b", strategy=Strategy.REST_FOR_ONE)
    world.settle(world.exited("x"))
    world.settle(world.exited("x"))
    assert world.state("x") is State.BACKOFF

    assert to_processes(world.settle(world.exited("b"))) == ["+b/2"]


def test_a_child_waits_until_an_earlier_tree_has_come_up_once():
    inner = tree("x", "y", name="inner")
    world = World(inner, "b", strategy=Strategy.REST_FOR_ONE, up=False)
    world.send(StartupAsked())
    world.send(world.started("x"))
    assert to_processes(world.send(world.start_failed("y"))) == ["+y/2"]
    assert world.state("b") is State.WAITING

    assert to_processes(world.send(world.started("y"))) == ["+b/1"]


def test_members_of_a_pool_that_is_stopped_have_not_failed_even_if_they_had_to_be_killed():
    world = World(Pool(Actor, name="p", size=2))
    world.send(StopAsked("p"))
    for name in ("p#1", "p#2"):
        world.settle(world.exited(name))

    assert set(world.states().values()) == {State.STOPPED}
    assert world.decider.pool_of("p#1") == ("p", [], 10_000)
    world.settle(RestartAsked("p"))
    assert world.decider.pool_of("p#2") == ("p", ["p#1", "p#2"], 10_000)


def test_what_a_child_spawns_lives_and_goes_with_its_own_tree():
    inner = tree("x", Pool(Actor, name="p", size=1), name="inner", intensity=Intensity(0, 5.0))
    world = World(inner, "b")
    for spawner, name in (("x", "s"), ("p#1", "t"), ("client-1", "u")):
        world.settle(Spawn(child(name), beside=spawner))
    paths = {each.name: each.path for each in world.decider.status()}
    assert paths["s"] == ("root", "inner", "s")
    assert paths["t"] == ("root", "inner", "t")
    assert paths["u"] == ("root", "u")

    log = world.settle(world.exited("x"))  # one too many: the inner tree restarts as a whole

    assert to_processes(log) == ["-t/1", "-s/1", "-p#1/1", "+x/2", "+p#1/2"]
    assert [each.name for each in log if isinstance(each, ChildGone)] == ["t", "s"]


def test_the_time_of_the_next_start_is_known_only_while_it_is_held_back():
    world = World("a")
    world.settle(world.exited("a"))
    world.settle(world.exited("a"))
    held = world.decider.child("a")
    assert held.state is State.BACKOFF
    assert world.now < held.next_start <= world.now + 0.1
    assert (held.restarts, held.incarnation) == (1, 2)

    world.wait_for_next_start("a")

    started = world.decider.child("a")
    assert started.next_start is None
    assert (started.restarts, started.incarnation) == (2, 3)


def test_a_child_that_has_not_started_has_not_restarted_either():
    world = World("a", "b", up=False)
    world.send(StartupAsked())

    assert [each.restarts for each in world.decider.status()] == [0, 0]
    assert [each.incarnation for each in world.decider.status()] == [1, 0]


def test_a_first_start_that_fails_while_siblings_fall_adds_nothing():
    # Found by the comparison with OTP: the sibling's restart brought the child up after all.
    world = World("a", strategy=Strategy.ONE_FOR_ALL)
    world.send(Spawn(child("s")))
    assert to_processes(world.send(world.exited("a"))) == ["-s/1"]

    log = world.settle(world.start_failed("s"))

    assert one(log, ChildGone).why is Gone.FIRST_START_FAILED
    assert to_processes(log) == ["+a/2"]


def test_a_restart_by_name_brings_up_what_is_declared_and_not_stopped():
    world = World(tree("x", "y", name="inner"), "b")
    world.settle(Spawn(child("s"), under="inner"))
    world.settle(StopAsked("y"))
    world.send(RestartAsked("inner"))

    assert world.decider.returning("inner") == ["x"]
    assert world.decider.returning("b") == ["b"]


def test_a_temporary_child_taken_down_with_its_siblings_is_not_started_again():
    world = World("a", child("t", restart=Restart.TEMPORARY), "c", strategy=Strategy.ONE_FOR_ALL)

    log = world.settle(world.exited("a"))

    assert to_processes(log) == ["-c/1", "-t/1", "+a/2", "+c/2"]
    assert one(log, ChildStopped).name == "t"


def test_a_transient_child_that_ended_normally_is_started_again_with_its_siblings():
    world = World("a", child("t", restart=Restart.TRANSIENT), strategy=Strategy.ONE_FOR_ALL)
    world.settle(world.exited("t", NORMAL))

    assert to_processes(world.settle(world.exited("a"))) == ["+a/2", "+t/2"]


def test_a_stopped_child_is_not_started_again_with_its_siblings():
    world = World("a", "b", strategy=Strategy.ONE_FOR_ALL)
    world.settle(StopAsked("b"))

    assert to_processes(world.settle(world.exited("a"))) == ["+a/2"]
    assert world.state("b") is State.STOPPED


# ----------------------------------------------------------------------------- trees in trees


def test_a_tree_that_gives_up_is_restarted_by_the_one_around_and_counted_there():
    inner = tree("b", "c", intensity=Intensity(0, 5.0))
    world = World("a", inner, "d")

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-c/1", "+b/2", "+c/2"]
    assert only(log, GiveUp) == []
    assert [each.restarts_used for each in world.decider.trees(world.now)] == [1, 0]


def test_giving_up_climbs_until_it_ends_the_system():
    inner = tree("b", intensity=Intensity(0, 5.0))
    middle = tree("a", inner, intensity=Intensity(0, 5.0))
    world = World(middle, "c", intensity=Intensity(0, 5.0))

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-a/1", "-c/1"]
    reason = one(log, GiveUp).reason
    assert reason.startswith("tree#1 needs more than the 0 restarts in 5 s")
    assert "tree#2 needs more than" in reason
    assert "b needs more than" in reason
    contexts = [(report.context, report.offender) for report in only(log, Report)]
    assert contexts == [
        (Context.CHILD_TERMINATED, "b"),
        (Context.SHUTDOWN, "b"),
        (Context.CHILD_TERMINATED, "tree#2"),
        (Context.SHUTDOWN, "tree#2"),
        (Context.CHILD_TERMINATED, "tree#1"),
        (Context.SHUTDOWN, "tree#1"),
    ]
    assert log[-1] == ShutDownComplete()


def test_a_tree_that_gives_up_again_and_again_is_held_back_by_its_own_backoff():
    inner = tree("b", name="t", intensity=Intensity(0, 5.0))
    world = World(inner, intensity=Intensity(9, 5.0))
    world.settle(world.exited("b"))
    world.settle(world.exited("b"))

    inner_status = world.decider.trees(world.now)[1]

    assert inner_status.state is State.BACKOFF
    assert world.state("b") is State.WAITING
    world.now = inner_status.next_start
    assert to_processes(world.send(TimerFired(max(world.timers)))) == ["+b/3"]


def test_five_seconds_of_health_let_a_tree_that_gave_up_restart_at_once_again():
    world = World(tree("b", name="t", intensity=Intensity(0, 5.0)), intensity=Intensity(9, 5.0))
    world.settle(world.exited("b"))
    world.now += 5.0

    assert to_processes(world.settle(world.exited("b"))) == ["+b/3"]


def test_a_child_restarted_by_hand_while_its_tree_is_held_back_waits_for_the_tree():
    world = World(tree("b", name="t", intensity=Intensity(0, 5.0)), intensity=Intensity(9, 5.0))
    world.settle(world.exited("b"))
    world.settle(world.exited("b"))

    assert world.send(RestartAsked("b")) == []
    assert to_processes(world.settle(RestartAsked("t"))) == ["+b/3"]


def test_a_tree_that_is_held_back_while_it_comes_up_does_not_hold_up_the_others():
    inner = tree("a", "b", strategy=Strategy.ONE_FOR_ALL)
    world = World(inner, "z", up=False)
    world.send(StartupAsked())
    world.send(world.start_failed("a"))

    assert to_processes(world.send(world.start_failed("a"))) == ["+z/1"]


def test_a_tree_that_gave_up_while_it_came_up_does_not_hold_up_the_others():
    inner = tree("a", "b", intensity=Intensity(0, 5.0))
    world = World(inner, "z", up=False)
    world.send(StartupAsked())
    world.send(world.start_failed("a"))

    assert to_processes(world.send(world.start_failed("a"))) == ["+z/1"]
    assert [each.state for each in world.decider.trees(world.now)] == [State.RUNNING, State.BACKOFF]


def test_a_tree_that_is_giving_up_can_be_stopped():
    world = World(tree("a", "b", name="t", intensity=Intensity(0, 5.0)))
    world.send(world.exited("a"))

    world.send(StopAsked("t"))

    assert to_processes(world.settle(world.exited("b", STOPPED))) == []
    assert world.decider.trees(world.now)[1].state is State.STOPPED


def test_a_tree_that_is_giving_up_can_be_restarted_and_that_is_not_counted():
    world = World(
        tree("a", "b", name="t", intensity=Intensity(0, 5.0)), intensity=Intensity(0, 5.0)
    )
    world.send(world.exited("a"))

    world.send(RestartAsked("t"))

    assert to_processes(world.settle(world.exited("b", STOPPED))) == ["+a/2", "+b/2"]


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_a_tree_that_is_not_permanent_stays_down_when_it_gives_up(restart):
    inner = tree("b", "c", name="t", intensity=Intensity(0, 5.0), restart=restart)
    world = World("a", inner)

    log = world.settle(world.exited("b"))

    assert to_processes(log) == ["-c/1"]
    assert [stopped.name for stopped in only(log, ChildStopped)] == ["b", "c"]
    assert world.states() == {"a": State.RUNNING, "b": State.FAILED, "c": State.STOPPED}
    assert to_processes(world.settle(RestartAsked("t"))) == ["+b/2", "+c/2"]


def test_a_tree_restarts_with_its_siblings_as_a_whole_and_in_order():
    world = World("a", tree("b", "c"), "d", strategy=Strategy.ONE_FOR_ALL)

    log = world.settle(world.exited("a"))

    stops, starts = ["-d/1", "-c/1", "-b/1"], ["+a/2", "+b/2", "+c/2", "+d/2"]
    assert to_processes(log) == stops + starts


def test_a_tree_starts_afresh_when_it_is_restarted():
    temporary = child("t", restart=Restart.TEMPORARY)
    inner = tree("b", temporary, "c", intensity=Intensity(1, 5.0))
    world = World("a", inner, strategy=Strategy.ONE_FOR_ALL)
    world.settle(world.exited("b"))
    world.settle(world.exited("t"))
    world.settle(StopAsked("c"))

    log = world.settle(world.exited("a"))

    assert to_processes(log) == ["-b/2", "+a/2", "+b/3", "+t/2"], "c was stopped by hand"
    assert world.decider.trees(world.now)[1].restarts_used == 0


def test_a_tree_that_is_about_to_be_taken_down_restarts_nothing():
    world = World("a", tree("b", "c"), "d", strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("a"))

    assert to_processes(world.send(world.exited("c"))) == []
    assert world.state("c") is State.WAITING


def test_a_member_of_a_pool_that_dies_restarts_alone_whatever_the_tree_around():
    world = World("a", Pool(Actor, name="p", size=3), "z", strategy=Strategy.ONE_FOR_ALL)

    assert to_processes(world.settle(world.exited("p#2"))) == ["+p#2/2"]


def test_a_pool_that_gives_up_is_restarted_as_a_whole():
    pool = Pool(Actor, name="p", size=2, intensity=Intensity(0, 5.0), restart=Restart.TRANSIENT)
    world = World(pool)

    assert to_processes(world.settle(world.exited("p#1"))) == ["-p#2/1", "+p#1/2", "+p#2/2"]


def test_a_pool_restarts_with_its_siblings():
    world = World("a", Pool(Actor, name="p", size=2), strategy=Strategy.ONE_FOR_ALL)

    log = world.send(world.exited("a"))

    assert to_processes(log) == ["-p#2/1", "-p#1/1"], "all at once"


# ----------------------------------------------------------------------------- significant children


def transient(name: str, **options) -> Child:
    return child(name, restart=Restart.TRANSIENT, **options)


def test_the_end_of_any_significant_child_ends_its_tree():
    world = World("a", transient("s", significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    log = world.settle(world.exited("s", NORMAL))

    assert one(log, GiveUp).reason.startswith("its work is done: the significant child s has ended")
    assert to_processes(log) == ["-a/1"]
    assert log[-1] == ShutDownComplete()


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("well", [False, True])
def test_work_is_done_only_if_who_had_to_end_has_ended_well(well, inner):
    job = Child(Actor, name="s", restart=Restart.TEMPORARY, significant=True)
    tree = Tree(
        name="t",
        children=[job],
        restart=Restart.TEMPORARY,
        significant=True,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    world = World(tree if inner else job, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    log = world.settle(world.exited("s", *([NORMAL] if well else [])))

    assert one(log, GiveUp).reason.startswith("its work is done: ") == well


@pytest.mark.parametrize("how", [NORMAL, CRASH], ids=str)
def test_a_significant_child_that_is_stopped_by_hand_says_nothing_of_the_work(how):
    world = World(
        transient("s", significant=True),
        transient("t", significant=True),
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    )
    world.send(StopAsked("t"))
    world.settle(world.exited("t", how))

    log = world.settle(world.exited("s", NORMAL))

    assert one(log, GiveUp).reason.startswith("its work is done: ")


def test_a_significant_child_that_has_failed_says_that_the_work_is_not_done():
    children = [
        Child(Actor, name=name, restart=Restart.TEMPORARY, significant=True) for name in "st"
    ]
    world = World(*children, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.settle(world.exited("t"))

    assert "its work is done" not in one(world.settle(world.exited("s", NORMAL)), GiveUp).reason


def test_a_significant_child_that_restarts_ends_nothing():
    world = World(transient("s", significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    assert to_processes(world.settle(world.exited("s"))) == ["+s/2"]


def test_the_end_of_another_child_ends_nothing():
    world = World(transient("a"), "b", auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    assert only(world.settle(world.exited("a", NORMAL)), GiveUp) == []
    assert world.state("b") is State.RUNNING


def test_a_significant_child_that_is_stopped_by_hand_ends_nothing():
    world = World(transient("s", significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    assert only(world.settle(StopAsked("s")), GiveUp) == []


def test_all_significant_children_must_have_ended_where_the_tree_says_so():
    world = World(
        transient("s", significant=True),
        transient("t", significant=True),
        "a",
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    )

    assert only(world.settle(world.exited("s", NORMAL)), GiveUp) == []
    assert only(world.settle(world.exited("t", NORMAL)), GiveUp)


def test_who_never_came_up_does_not_outlive_the_last_significant_child():
    world = World(transient("s", significant=True), "a", auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.send(Spawn(transient("t", significant=True)))

    assert only(world.send(world.exited("s", NORMAL)), GiveUp) == []
    log = world.send(world.start_failed("t"))

    assert "the significant child s has ended" in one(log, GiveUp).reason
    kinds = [type(command) for command in log]
    assert kinds.index(ChildGone) < kinds.index(GiveUp)
    assert to_processes(log) == ["-a/1"]


def test_who_is_stopped_before_it_came_up_does_not_outlive_the_last_significant_child():
    world = World(transient("s", significant=True), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.send(Spawn(transient("t", significant=True)))
    world.send(world.exited("s", NORMAL))
    world.send(StopAsked("t"))

    assert only(world.send(world.exited("t", NORMAL)), GiveUp)


def test_who_came_up_late_is_waited_for_though_all_others_have_ended():
    world = World(transient("s", significant=True), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.send(Spawn(transient("t", significant=True)))
    world.send(world.exited("s", NORMAL))
    world.send(world.started("t"))
    world.send(Spawn(transient("u", significant=True)))

    assert only(world.send(world.start_failed("u")), GiveUp) == []
    assert only(world.settle(world.exited("t", NORMAL)), GiveUp)


def test_who_has_ended_and_is_stopped_by_hand_after_a_restart_ends_no_tree():
    world = World(transient("s", significant=True), "a", auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.send(Spawn(transient("t", significant=True)))
    world.send(world.exited("s", NORMAL))
    world.send(RestartAsked("s"))
    world.settle(StopAsked("s"))

    assert only(world.send(world.start_failed("t")), GiveUp) == []


def test_a_failed_first_start_ends_no_tree_whose_significant_child_was_stopped_by_hand():
    world = World(transient("s", significant=True), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    world.settle(StopAsked("s"))
    world.send(Spawn(transient("t", significant=True)))

    assert only(world.send(world.start_failed("t")), GiveUp) == []


def test_a_permanent_tree_that_shut_itself_down_is_started_again():
    inner = tree(transient("s", significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    world = World(inner)

    assert to_processes(world.settle(world.exited("s", NORMAL))) == ["+s/2"]


def test_the_end_of_a_significant_tree_climbs():
    inner = tree(
        transient("s", significant=True),
        restart=Restart.TRANSIENT,
        significant=True,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    world = World("a", inner, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)

    log = world.settle(world.exited("s", NORMAL))

    assert "child tree#2 has ended" in one(log, GiveUp).reason
    assert to_processes(log) == ["-a/1"]


# ----------------------------------------------------------------------------- spawn


def test_a_spawned_child_starts_at_once_and_is_then_kept_running():
    world = World("a")

    assert to_processes(world.settle(Spawn(child("x")))) == ["+x/1"]
    assert to_processes(world.settle(world.exited("x"))) == ["+x/2"]
    assert world.decider.child("x").origin is Origin.SPAWNED


def test_a_spawned_child_whose_first_start_fails_is_gone_and_its_name_free():
    world = World("a")
    world.send(Spawn(child("x")))

    commands = world.send(world.start_failed("x"))

    assert one(commands, ChildGone) == ChildGone("x", 1, Gone.FIRST_START_FAILED, BROKEN)
    assert world.decider.child("x") is None
    assert world.decider.trees(world.now)[0].restarts_used == 0
    assert to_processes(world.send(Spawn(child("x")))) == ["+x/2"]


def test_a_first_start_that_failed_for_no_fault_of_the_child_is_tried_again():
    world = World()
    world.send(Spawn(child("x")))

    assert to_processes(world.send(world.start_failed("x", counted=False))) == ["+x/2"]


def test_a_spawned_child_that_was_up_once_is_retried_like_any_other():
    world = World()
    world.settle(Spawn(child("x")))
    world.send(world.exited("x"))

    world.send(world.start_failed("x"))

    assert world.state("x") is State.BACKOFF


def test_a_spawned_child_that_ends_for_good_is_forgotten():
    world = World()
    world.settle(Spawn(child("x", restart=Restart.TEMPORARY)))

    commands = world.send(world.exited("x"))

    assert one(commands, ChildGone) == ChildGone("x", 1, Gone.ENDED, CRASH)
    assert world.decider.members("x") == ()


@pytest.mark.parametrize("name", ["a", "p", "p#2", "t"])
def test_spawning_a_taken_name_is_refused(name):
    world = World("a", Pool(Actor, name="p", size=2), tree(name="t"))

    with pytest.raises(Refused, match=f"the name '{name}' is taken") as refused:
        world.send(Spawn(child(name)))
    assert refused.value.refusal is Refusal.NAME_TAKEN


def test_a_child_can_be_spawned_under_a_tree_and_follows_its_strategy():
    world = World(tree("a", name="t", strategy=Strategy.ONE_FOR_ALL))
    world.settle(Spawn(child("x"), under="t"))

    assert world.decider.child("x").path == ("root", "t", "x")
    assert to_processes(world.settle(world.exited("a"))) == ["-x/1", "+a/2", "+x/2"]


def test_a_child_spawned_while_its_tree_restarts_waits_for_its_turn():
    world = World("a", "b", strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("a"))

    assert to_processes(world.send(Spawn(child("x")))) == []
    log = world.settle(world.exited("b", STOPPED))
    assert to_processes(log) == ["+a/2", "+b/2", "+x/1"]


def test_a_spawned_child_is_gone_when_the_tree_it_is_under_restarts():
    world = World("a", tree("b", name="t"), strategy=Strategy.ONE_FOR_ALL)
    world.settle(Spawn(child("x"), under="t"))

    log = world.settle(world.exited("a"))

    assert to_processes(log) == ["-x/1", "-b/1", "+a/2", "+b/2"]
    assert one(log, ChildGone).why is Gone.STOPPED


def test_what_cannot_be_spawned_under_is_refused():
    world = World("a", Pool(Actor, name="p", size=1), tree("b", name="t"))
    world.settle(StopAsked("t"))

    for under, refusal in [
        ("a", Refusal.NOT_A_TREE),
        ("p", Refusal.NOT_A_TREE),
        ("nobody", Refusal.UNKNOWN_NAME),
        ("t", Refusal.TREE_DOWN),
    ]:
        with pytest.raises(Refused) as refused:
            world.send(Spawn(child("x"), under=under))
        assert refused.value.refusal is refusal
        assert world.decider.child("x") is None


def test_spawning_under_a_tree_that_is_about_to_be_taken_down_is_refused():
    world = World("a", tree("b", name="t"), "c", strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("a"))

    with pytest.raises(Refused) as refused:
        world.send(Spawn(child("x"), under="t"))
    assert refused.value.refusal is Refusal.TREE_DOWN


def test_a_significant_child_is_refused_where_it_would_mean_nothing():
    world = World()

    with pytest.raises(Refused, match="auto_shutdown NEVER") as refused:
        world.send(Spawn(transient("x", significant=True)))
    assert refused.value.refusal is Refusal.BAD_SPEC


def test_incarnations_of_a_name_grow_for_ever():
    world = World()
    world.settle(Spawn(child("x")))
    world.settle(world.exited("x"))
    world.settle(StopAsked("x"))

    assert to_processes(world.settle(Spawn(child("x")))) == ["+x/3"]


def test_names_that_are_free_again_leave_little_behind():
    world = World()
    numbers = world.decider._keeper._incarnations
    numbers.remembered = 3
    for turn in range(20):
        world.settle(Spawn(child(f"x{turn}")))
        world.settle(StopAsked(f"x{turn}"))

    assert len(numbers._taken) + len(numbers._free) == 3
    assert len(world.decider._nodes) == 0
    assert len(world.decider._keeper._timers) == 0


def test_incarnations_never_repeat_though_few_names_are_remembered():
    numbers = Incarnations(remembered=2)
    given: dict[str, list[int]] = {}
    for turn in range(200):
        name = f"n{turn % 5}"
        given.setdefault(name, []).append(numbers.next(name))
        numbers.release(name)

    for each in given.values():
        assert each == sorted(set(each))


def test_the_name_that_has_been_free_for_longest_is_forgotten_first():
    numbers = Incarnations(remembered=2)
    for name in ("old", "old", "old", "b", "c"):
        numbers.next(name)
        numbers.release(name)

    assert numbers.next("c") == 2
    assert numbers.next("new") == 4  # beyond what was forgotten


def test_a_name_that_was_never_used_begins_with_its_first_life():
    numbers = Incarnations()
    for _ in range(3):
        numbers.next("a")
    numbers.release("a")
    numbers.release("never")

    assert numbers.next("b") == 1
    assert numbers.next("a") == 4
    assert numbers.next("never") == 1


# ----------------------------------------------------------------------------- stop, restart


def test_stop_asks_within_the_grace_and_the_child_stays_down():
    world = World(child("a", grace=2.0))

    commands = world.send(StopAsked("a"))

    assert one(commands, StopChild) == StopChild("a", 1, 2.0)
    assert one(commands, SetTimer).at == world.now + 2.0
    assert world.send(world.exited("a", STOPPED)) == [ChildStopped("a", 1, STOPPED)]
    assert world.state("a") is State.STOPPED


def test_a_child_that_does_not_stop_within_its_grace_is_killed():
    world = World("a")
    token = one(world.send(StopAsked("a")), SetTimer).token
    world.now += 5.0

    assert world.send(TimerFired(token)) == [KillChild("a", 1)]
    commands = world.send(world.exited("a"))
    assert one(commands, Report).context is Context.SHUTDOWN_ERROR
    assert world.state("a") is State.STOPPED


def test_no_grace_at_all_means_to_kill():
    world = World(child("a", grace=0))

    assert world.send(StopAsked("a")) == [KillChild("a", 1)]
    assert only(world.send(world.exited("a")), Report) == []


def test_grace_for_ever_sets_no_timer():
    world = World(child("a", grace=math.inf))

    assert world.send(StopAsked("a")) == [StopChild("a", 1, math.inf)]


def test_the_timer_of_a_grace_that_was_kept_kills_nobody():
    world = World("a")
    token = one(world.send(RestartAsked("a")), SetTimer).token
    world.settle(world.exited("a", STOPPED))

    assert world.send(TimerFired(token)) == []
    assert world.send(TimerFired(12345)) == []


def test_the_timer_of_a_grace_that_was_kept_does_not_shorten_the_next_one():
    world = World("a")
    early = one(world.send(RestartAsked("a")), SetTimer).token
    world.settle(world.exited("a", STOPPED))
    world.now += 4.0
    late = one(world.send(RestartAsked("a")), SetTimer).token

    assert world.send(TimerFired(early)) == []
    assert world.send(TimerFired(late)) == [KillChild("a", 2)]


def test_stop_of_a_spawned_child_frees_its_name():
    world = World()
    world.settle(Spawn(child("x")))

    log = world.settle(StopAsked("x"))

    assert one(log, ChildGone) == ChildGone("x", 1, Gone.STOPPED, STOPPED)
    with pytest.raises(Refused, match="there is no child, pool or tree 'x'"):
        world.send(StopAsked("x"))


def test_stop_of_a_child_that_is_held_back_cancels_its_next_start():
    world = World("a")
    world.settle(world.exited("a"))
    world.settle(world.exited("a"))

    assert world.send(StopAsked("a")) == [ChildStopped("a", 2, CRASH)]
    assert world.send(TimerFired(max(world.timers))) == []
    assert world.state("a") is State.STOPPED


def test_stop_of_a_child_that_is_starting_stops_the_start():
    world = World("a", up=False)
    world.send(StartupAsked())

    assert to_processes(world.send(StopAsked("a"))) == ["-a/1"]
    assert to_processes(world.send(world.started("a"))) == []
    assert to_processes(world.send(world.start_failed("a"))) == []
    assert world.state("a") is State.STOPPED


def test_stop_before_startup_keeps_a_child_from_starting():
    world = World("a", "b", up=False)
    world.send(StopAsked("a"))

    assert to_processes(world.settle(StartupAsked())) == ["+b/1"]


def test_stop_twice_is_fine():
    world = World("a")
    world.send(StopAsked("a"))

    assert world.send(StopAsked("a")) == []
    world.send(world.exited("a", STOPPED))
    assert world.send(StopAsked("a")) == []


def test_restart_stops_within_the_grace_then_starts_at_once_and_is_not_counted():
    world = World("a", intensity=Intensity(0, 5.0))

    for life in range(1, 20):
        log = world.settle(RestartAsked("a"))
        assert to_processes(log) == [f"-a/{life}", f"+a/{life + 1}"]


def test_restart_concerns_that_child_only_whatever_the_strategy():
    world = World("a", "b", strategy=Strategy.ONE_FOR_ALL)

    assert to_processes(world.settle(RestartAsked("a"))) == ["-a/1", "+a/2"]


def test_restart_of_a_temporary_child_starts_it_again():
    world = World(child("a", restart=Restart.TEMPORARY))

    assert to_processes(world.settle(RestartAsked("a"))) == ["-a/1", "+a/2"]


def test_a_restart_by_hand_happens_once_then_the_restart_kind_counts_again():
    world = World("a", child("t", restart=Restart.TEMPORARY), strategy=Strategy.ONE_FOR_ALL)
    world.settle(RestartAsked("t"))

    log = world.settle(world.exited("a"))

    assert to_processes(log) == ["-t/2", "+a/2"]


def test_restart_of_a_child_that_is_held_back_starts_it_at_once():
    world = World("a")
    world.settle(world.exited("a"))
    world.settle(world.exited("a"))

    assert to_processes(world.send(RestartAsked("a"))) == ["+a/3"]


def test_restart_of_a_stopped_child_starts_it():
    world = World("a")
    world.settle(StopAsked("a"))

    assert to_processes(world.send(RestartAsked("a"))) == ["+a/2"]


def test_the_last_wish_counts():
    world = World("a")
    world.send(StopAsked("a"))
    world.send(RestartAsked("a"))
    assert to_processes(world.settle(world.exited("a", STOPPED))) == ["+a/2"]

    world.send(RestartAsked("a"))
    world.send(StopAsked("a"))
    assert to_processes(world.settle(world.exited("a", STOPPED))) == []


def test_a_pool_or_a_tree_is_stopped_and_restarted_by_its_name():
    world = World(Pool(Actor, name="p", size=2), tree("a", "b", name="t"))

    assert to_processes(world.settle(StopAsked("t"))) == ["-b/1", "-a/1"]
    assert to_processes(world.settle(RestartAsked("t"))) == ["+a/2", "+b/2"]
    log = world.settle(RestartAsked("p"))
    assert to_processes(log) == ["-p#2/1", "-p#1/1", "+p#1/2", "+p#2/2"]


def test_a_child_of_a_stopped_tree_is_not_restarted_alone():
    world = World(tree("a", name="t"))
    world.settle(StopAsked("t"))

    with pytest.raises(Refused, match="the tree 't' around 'a' is down") as refused:
        world.send(RestartAsked("a"))
    assert refused.value.refusal is Refusal.TREE_DOWN


def test_an_unknown_name_is_refused():
    world = World()

    for event in (StopAsked("x"), RestartAsked("x")):
        with pytest.raises(Refused) as refused:
            world.send(event)
        assert refused.value.refusal is Refusal.UNKNOWN_NAME


def test_stop_of_the_outermost_tree_is_a_shutdown_and_restart_starts_it_again():
    world = World("a", name="top")

    assert to_processes(world.settle(RestartAsked("top"))) == ["-a/1", "+a/2"]
    assert world.settle(StopAsked("top"))[-1] == ShutDownComplete()


# ----------------------------------------------------------------------------- shutdown


def test_shutdown_stops_everything_in_reverse_start_order_one_at_a_time():
    world = World("a", tree("b", "c"), "d")
    world.settle(Spawn(child("x")))

    assert to_processes(world.send(ShutdownAsked())) == ["-x/1"]
    log = world.settle(world.exited("x", STOPPED))

    assert to_processes(log) == ["-d/1", "-c/1", "-b/1", "-a/1"]
    assert one(log, ChildGone).name == "x"
    assert log[-1] == ShutDownComplete()
    assert set(world.states().values()) == {State.STOPPED}


def test_shutdown_kills_each_child_whose_grace_is_over():
    world = World("a", "b")
    token = one(world.send(ShutdownAsked()), SetTimer).token
    world.now += 5.0

    assert to_processes(world.send(TimerFired(token))) == ["!b/1"]
    assert to_processes(world.settle(world.exited("b"))) == ["-a/1"]


def test_shutdown_at_once_kills_all_that_is_alive():
    world = World("a", tree("b"), "c")
    world.send(ShutdownAsked())

    assert to_processes(world.send(ShutdownAsked(Urgency.AT_ONCE))) == ["!a/1", "!b/1", "!c/1"]
    world.send(world.exited("a"))
    world.send(world.exited("b"))
    assert world.send(world.exited("c"))[-1] == ShutDownComplete()


def test_who_is_killed_at_the_end_is_stopping_until_it_is_down():
    world = World("a")

    world.send(ShutdownAsked(Urgency.AT_ONCE))

    assert world.state("a") is State.STOPPING


def test_who_is_killed_within_its_grace_is_not_killed_again_at_its_end():
    world = World(child("a", grace=2.0))
    world.send(ShutdownAsked())
    world.send(ShutdownAsked(Urgency.AT_ONCE))

    (token,) = world.timers
    assert world.send(TimerFired(token)) == []


def test_a_child_that_was_held_back_has_no_timer_left_when_its_tree_restarts():
    world = World(tree("b", name="t"))
    world.settle(world.exited("b"))
    world.settle(world.exited("b"))
    assert world.state("b") is State.BACKOFF

    world.send(RestartAsked("t"))

    assert len(world.decider._keeper._timers) == 0


def test_nothing_restarts_while_the_system_ends():
    world = World("a", tree("b"), "c")
    world.send(ShutdownAsked())

    assert to_processes(world.send(world.exited("b"))) == []
    assert to_processes(world.settle(world.exited("c", STOPPED))) == ["-a/1"]


def test_a_next_start_that_comes_due_while_the_system_ends_does_not_happen():
    world = World(tree("a", "b"), "z")
    world.settle(world.exited("a"))
    world.settle(world.exited("a"))
    world.send(ShutdownAsked())

    assert to_processes(world.wait_for_next_start("a")) == []
    assert world.settle(world.exited("z", STOPPED))[-1] == ShutDownComplete()


def test_shutdown_before_startup_is_complete_at_once():
    world = World("a", up=False)

    assert world.send(ShutdownAsked())[-1] == ShutDownComplete()
    assert world.send(StartupAsked()) == []
    assert world.send(ShutdownAsked()) == []


def test_what_would_start_something_is_refused_while_the_system_ends():
    world = World("a")
    world.send(ShutdownAsked())

    assert world.decider.is_ending
    for event in (Spawn(child("x")), RestartAsked("a")):
        with pytest.raises(Refused) as refused:
            world.send(event)
        assert refused.value.refusal is Refusal.ENDING
    assert world.send(StopAsked("a")) == []


# ----------------------------------------------------------------------------- status, reports


def test_status_shows_every_child_in_start_order_with_its_path():
    world = World("a", Pool(Actor, name="p", size=1), tree(tree("b", name="t")))

    assert [each.path for each in world.decider.status()] == [
        ("root", "a"),
        ("root", "p", "p#1"),
        ("root", "tree#3", "t", "b"),
    ]
    assert [each.pool for each in world.decider.status()] == [None, "p", None]


def test_status_tells_what_became_of_a_child():
    world = World(child("a", restart=Restart.TRANSIENT))
    world.settle(world.exited("a"))
    world.settle(world.exited("a"))
    world.now += 0.001

    status = world.decider.child("a")

    assert (status.state, status.incarnation, status.restarts) == (State.BACKOFF, 2, 1)
    assert status.last_exit == CRASH
    assert status.since == 100.0 < status.next_start <= 100.1
    assert status.restart is Restart.TRANSIENT
    assert status.origin is Origin.DECLARED


def test_the_status_of_a_tree_shows_how_much_of_its_intensity_is_used():
    world = World("a", intensity=Intensity(3, 5.0))
    world.settle(world.exited("a"))
    world.now += 3
    world.settle(world.exited("a"))

    assert world.decider.trees(world.now)[0].restarts_used == 2
    assert world.decider.trees(world.now + 3)[0].restarts_used == 1


def test_members_are_the_children_a_name_stands_for():
    world = World("a", Pool(Actor, name="p", size=2), tree("b", name="t"))

    assert [world.decider.members(name) for name in ("a", "p", "t", "x")] == [
        ("a",),
        ("p#1", "p#2"),
        ("b",),
        (),
    ]


def test_a_report_names_supervisor_context_reason_and_offender():
    world = World(tree("a", name="t"))

    report = one(world.send(world.exited("a")), Report)

    assert report == Report(("root", "t"), Context.CHILD_TERMINATED, CRASH, "a", 1)
    assert str(report) == "root/t: child_terminated: a/1: killed by signal 9"


def test_a_normal_end_of_a_child_that_may_end_is_no_news():
    world = World(child("a", restart=Restart.TRANSIENT))

    assert only(world.send(world.exited("a", NORMAL)), Report) == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (NORMAL, "ended by itself"),
        (CRASH, "killed by signal 9"),
        (ExitReason(ExitKind.EXITED, code=3), "exited with code 3"),
        (ExitReason(ExitKind.RAISED, text="ValueError: x"), "raised ValueError: x"),
    ],
)
def test_a_reason_reads_well(reason, text):
    assert str(reason) == text


@pytest.mark.parametrize(
    "options",
    [
        {"restart": Restart.TRANSIENT},
        {"restart": Restart.TEMPORARY, "significant": True},
        {"backoff": Backoff.none()},
    ],
)
def test_the_outermost_tree_takes_no_options_that_only_a_tree_around_could_heed(options):
    with pytest.raises(ValueError, match="put it into another Tree"):
        TreeDecider(tree("a", **options), Random(1))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (StopAsked("t"), False),
        (StopAsked("around"), False),
        (ShutdownAsked(), False),
        (RestartAsked("t"), True),
        (RestartAsked("around"), True),
    ],
)
def test_who_waits_in_a_tree_that_is_taken_down_comes_back_only_with_that_tree(event, expected):
    world = World(tree(tree("b", "a", name="t"), name="around"), "c")
    world.send(event)
    world.send(world.exited("a", STOPPED))

    assert world.state("a") is State.WAITING
    assert world.decider.is_coming("a") is expected


@pytest.mark.parametrize(
    ("restart", "expected"),
    [(Restart.PERMANENT, True), (Restart.TRANSIENT, False), (Restart.TEMPORARY, False)],
)
def test_who_falls_with_its_tree_comes_back_if_that_is_restarted(restart, expected):
    inner = tree("b", "a", name="t", intensity=Intensity(0, 5.0), restart=restart)
    world = World(inner, "c")
    world.send(world.exited("a"))

    assert world.state("a") is State.WAITING
    assert world.decider.is_coming("a") is expected


def test_nobody_comes_back_when_the_outermost_tree_has_fallen():
    world = World("b", "a", intensity=Intensity(0, 5.0))
    world.send(world.exited("a"))

    assert world.state("a") is State.WAITING
    assert not world.decider.is_coming("a")


def test_a_temporary_tree_that_a_sibling_takes_along_does_not_come_back():
    inner = tree("b", "a", name="t", restart=Restart.TEMPORARY)
    world = World("c", inner, strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("c"))
    world.send(world.exited("a", STOPPED))

    assert world.state("a") is State.WAITING
    assert not world.decider.is_coming("a")


def test_a_permanent_tree_that_a_sibling_takes_along_comes_back():
    world = World("c", tree("b", "a", name="t"), strategy=Strategy.ONE_FOR_ALL)
    world.send(world.exited("c"))
    world.send(world.exited("a", STOPPED))

    assert world.state("a") is State.WAITING
    assert world.decider.is_coming("a")
