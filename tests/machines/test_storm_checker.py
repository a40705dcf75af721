"""The checker of storms: it is silent about a storm in which all went well, and sees every flaw.

A storm is drawn in which nothing goes wrong: actors handle, die, are excused.  Then one thing is
changed that should not be, and the checker has to say so.
"""

from __future__ import annotations

import random

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.storm.checker import Storm, complaints
from tests.storm.records import (
    ANSWER_LOST,
    ANSWERED,
    CLOSED,
    FAILED,
    HUNG,
    OVERDUE,
    TOLD,
    UNDELIVERED,
    UNKNOWN,
    WRONG,
    End,
    Handled,
    Letter,
    Sent,
    letter_of,
)

MEMBERS = ("mover#1", "mover#2")
ACTORS = ("clerk", "relay", "behind", *MEMBERS)
SENDERS = ("a", "b")


class Calm:
    """Plays a storm after which nobody has a reason to complain."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.lives = dict.fromkeys(ACTORS, 1)
        self.numbers = dict.fromkeys(SENDERS, 0)
        self.sent: list[Sent] = []
        self.handled: list[Handled] = []
        self.letters: list[Letter] = []
        self.ends: list[End] = []

    def storm(self) -> Storm:
        for _ in range(self.dice.randint(1, 40)):
            self.message()
        return Storm(
            self.sent,
            self.handled,
            self.letters,
            self.ends,
            self.lives,
            fatal={name: life - 1 for name, life in self.lives.items()},
            passes_on={"relay": "behind"},
        )

    def message(self) -> None:
        sender = self.dice.choice(SENDERS)
        target = self.dice.choice(["clerk", "relay", "mover"])
        how = self.dice.choice(["tell", "ask", "insist-tell", "insist-ask"])
        if target == "relay":
            how = how.removeprefix("insist-")
        self.numbers[sender] += 1
        number = self.numbers[sender]
        actor = self.dice.choice(MEMBERS) if target == "mover" else target
        outcome = self.handle(actor, how, sender, number)
        self.sent.append(Sent(sender, number, target, how, outcome))

    def handle(self, actor: str, how: str, sender: str, number: int) -> str:
        """Let it happen; return how it ends for the sender."""
        asks, fate = how.endswith("ask"), self.dice.random()
        if asks and fate < 0.1:
            return self.dice.choice([UNDELIVERED, OVERDUE])
        if fate < 0.3 and actor != "relay":
            return self.fatal(actor, how, sender, number)
        self.begin(actor, sender, number)
        if actor == "relay":
            self.pass_on(sender, number)
        return self.dice.choice([ANSWERED, ANSWER_LOST]) if asks else TOLD

    def fatal(self, actor: str, how: str, sender: str, number: int) -> str:
        """It dies of it, before or after it began."""
        if self.dice.random() < 0.5:
            self.begin(actor, sender, number)
        self.die(actor)
        if how.startswith("insist"):
            self.begin(actor, sender, number, attempt=2)
            return ANSWERED if how.endswith("ask") else TOLD
        if how == "ask":
            return UNKNOWN
        self.letters.append(Letter(actor, sender, number, begun=True))
        return TOLD

    def pass_on(self, sender: str, number: int) -> None:
        if self.dice.random() < 0.2:
            self.die("relay")  # the last thing that life did; it had not left yet
        else:
            self.begin("behind", sender, number)

    def begin(self, actor: str, sender: str, number: int, attempt: int = 1) -> None:
        self.handled.append(Handled(actor, self.lives[actor], attempt, sender, number))

    def die(self, actor: str) -> None:
        self.ends.append(End(actor, self.lives[actor]))
        self.lives[actor] += 1


@st.composite
def calm(draw: st.DrawFn) -> Storm:
    return Calm(draw(st.randoms(use_true_random=False))).storm()


@given(calm())
def test_a_storm_in_which_all_went_well_is_not_complained_of(storm):
    assert complaints(storm) == []


def without(lines, index):
    return lines[:index] + lines[index + 1 :]


def certain(storm):
    """Places of lines that must be there, and once: handled for sure, and never again."""
    sure = {(s.sender, s.number): s for s in storm.sent if s.outcome in (ANSWERED, ANSWER_LOST)}
    return [
        n
        for n, line in enumerate(storm.handled)
        if (message := sure.get((line.sender, line.number)))
        and message.target == line.actor
        and message.how == "ask"
    ]


@given(calm(), st.data())
def test_a_lost_line_is_seen(storm, data):
    places = certain(storm)
    if not places:
        return
    index = data.draw(st.sampled_from(places))

    worse = attrs.evolve(storm, handled=without(storm.handled, index))

    assert any("lost" in text for text in complaints(worse))


@given(calm(), st.data())
def test_a_doubled_line_is_seen(storm, data):
    if not storm.handled:
        return
    index = data.draw(st.integers(0, len(storm.handled) - 1))

    again = [*storm.handled[: index + 1], *storm.handled[index:]]

    assert any("twice" in text for text in complaints(attrs.evolve(storm, handled=again)))


@given(calm(), st.data())
def test_swapped_lines_are_seen(storm, data):
    lines = storm.handled
    pairs = [
        (i, j)
        for j, second in enumerate(lines)
        for i, first in enumerate(lines[:j])
        if (first.actor, first.sender, first.life) == (second.actor, second.sender, second.life)
        and "#" not in first.actor
    ]
    if not pairs:
        return
    i, j = data.draw(st.sampled_from(pairs))
    swapped = list(lines)
    swapped[i], swapped[j] = swapped[j], swapped[i]

    assert any("order" in text for text in complaints(attrs.evolve(storm, handled=swapped)))


@given(calm(), st.data())
def test_a_missing_doubled_or_swapped_notice_is_seen(storm, data):
    if not storm.ends:
        return
    index = data.draw(st.integers(0, len(storm.ends) - 1))
    fewer = without(storm.ends, index)
    more = [*storm.ends, storm.ends[index]]

    for ends in (fewer, more):
        assert any(
            "heard of the ends" in text for text in complaints(attrs.evolve(storm, ends=ends))
        )


@given(calm(), st.sampled_from([HUNG, WRONG]))
def test_an_ask_that_never_ends_or_has_anothers_answer_is_seen(storm, outcome):
    bad = Sent("a", 10_000, "clerk", "ask", outcome)

    assert complaints(attrs.evolve(storm, sent=[*storm.sent, bad]))


@given(calm())
def test_an_end_long_after_the_deadline_is_seen(storm):
    late = Sent("a", 10_000, "clerk", "ask", OVERDUE, late=21.0)

    assert any("deadline" in c for c in complaints(attrs.evolve(storm, sent=[*storm.sent, late])))


ONE = Handled("clerk", 1, 1, "a", 1)
AGAIN = Handled("clerk", 2, 2, "a", 1)
DEATH = {"ends": [End("clerk", 1)], "lives": {"clerk": 2}}
NO_DEATH = {"ends": [], "lives": {"clerk": 1}}


def told(outcome=TOLD, how="tell", target="clerk"):
    return Sent("a", 1, target, how, outcome)


@pytest.mark.parametrize(
    ("words", "sent", "handled", "letters", "rest"),
    [
        ("lost", [told()], [], [], DEATH),
        ("although", [told(UNDELIVERED, "ask")], [ONE], [], DEATH),
        ("although", [told()], [ONE], [Letter("clerk", "a", 1, begun=False)], DEATH),
        ("come back already", [told(FAILED, "ask")], [], [Letter("clerk", "a", 1, True)], DEATH),
        ("dead letters of one", [told()], [], [Letter("clerk", "a", 1, True)] * 2, DEATH),
        ("twice", [told()], [ONE, AGAIN], [], DEATH),
        ("twice", [told(how="insist-tell")], [ONE, ONE._replace(attempt=2)], [], DEATH),
        ("from nowhere", [], [ONE], [], DEATH),
        ("perhaps handled", [told(UNKNOWN, "ask")], [ONE], [], NO_DEATH),
        ("perhaps handled", [told()], [], [Letter("clerk", "a", 1, True)], NO_DEATH),
        ("a life that was over", [told()], [ONE._replace(life=2), ONE], [], DEATH),
        ("was meant to 0", [], [], [], {**DEATH, "fatal": {"clerk": 0}}),
    ],
)
def test_each_rule_speaks_for_itself(words, sent, handled, letters, rest):
    found = complaints(Storm(sent, handled, letters, **rest))

    assert any(words in text for text in found), found


def test_what_was_lost_before_something_that_arrived_was_not_lost_with_its_sender():
    sent = [Sent("a", n, "relay", "tell", TOLD) for n in (1, 2)]
    passed = [Handled("relay", 1, 1, "a", n) for n in (1, 2)]
    arrived = [Handled("behind", 1, 1, "a", n) for n in (1, 2)]
    ends, lives, on = [End("relay", 1)], {"relay": 2, "behind": 1}, {"relay": "behind"}

    tail = Storm(sent, [*passed, arrived[0]], [], ends, lives, passes_on=on)
    middle = attrs.evolve(tail, handled=[*passed, arrived[1]])
    alive = attrs.evolve(tail, ends=[], lives={"relay": 1, "behind": 1})

    assert complaints(tail) == []
    assert any("lost between" in text for text in complaints(middle))
    assert any("lost between" in text for text in complaints(alive))


def test_what_a_killed_sender_had_told_may_be_lost_and_nothing_of_it_may_come_twice():
    sent = [told(), Sent("a", 2, "clerk", "ask", ANSWERED), Sent("b", 1, "clerk", "tell", TOLD)]
    unnoted, second = Handled("clerk", 1, 1, "a", 3), Handled("clerk", 1, 1, "a", 2)
    others = Handled("clerk", 1, 1, "b", 1)
    killed = Storm(sent, [second, unnoted, others], [], killed=frozenset("a"), **NO_DEATH)

    assert complaints(killed) == []
    alive = complaints(attrs.evolve(killed, killed=frozenset()))
    assert [text.partition(":")[0] for text in alive] == ["lost", "from nowhere"]
    for wrong, lines in (
        ("lost", [second, unnoted]),
        ("lost", [unnoted, others]),
        ("twice", [second, unnoted, unnoted, others]),
        ("order", [unnoted, second, others]),
    ):
        found = complaints(attrs.evolve(killed, handled=lines))
        assert any(wrong in text for text in found), (wrong, found)


def test_a_death_excuses_all_streams_that_were_open():
    streams = [Sent("a", n, "clerk", "stream", UNKNOWN) for n in (1, 2, 3)]

    assert complaints(Storm(streams, [], [], **DEATH)) == []


@pytest.mark.parametrize("outcome", [UNDELIVERED, CLOSED])
def test_a_stream_that_was_stopped_or_closed_may_have_begun_once(outcome):
    stopped = Storm([told(outcome, "stream")], [ONE], [], **DEATH)

    assert complaints(stopped) == []
    assert complaints(attrs.evolve(stopped, handled=[])) == []
    assert complaints(attrs.evolve(stopped, handled=[ONE, ONE]))


def test_a_dead_letter_is_read_for_its_number_and_for_what_it_excuses():
    text = "Tell(sender='plain-1', number=17, seconds=0.0)"

    assert letter_of("clerk", text, "killed by SIGKILL") == Letter("clerk", "plain-1", 17, True)
    behind = letter_of("clerk", text, "9 wait for it already: an event waits for no subscriber")
    assert behind is not None
    assert not behind.begun
    assert letter_of("watcher", "Terminated(name='x', incarnation=1)", "stopped") is None
