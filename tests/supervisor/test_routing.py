"""The broker's mind."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.address import LONGEST_NAME
from actors.control import (
    SUPERVISOR,
    Declare,
    Ended,
    Goodbye,
    Heard,
    Hello,
    LaneRecord,
    Obituary,
    Ping,
    Refused,
    Resolve,
    Standing,
    Stands,
    Stop,
    Synced,
    Welcome,
    lane_key,
)
from actors.envelope import MAGIC, Route, encode_route
from supervisor.registry import remember
from supervisor.routing import (
    CLIENT_FIRST,
    CLIENT_RETURN,
    CLIENT_SILENCE,
    KNOCKING,
    Routing,
)

BOSS, ONE, TWO, ACTOR, LATER = (letter * 16 for letter in (b"s", b"1", b"2", b"a", b"l"))


class Broker:
    """A routing with a supervisor; `said` holds the words for each party."""

    def __init__(self, *, introduced=True, synced=True):
        self.routing = Routing(BOSS)
        self.said = {}
        if introduced:
            self.say(BOSS, Hello(SUPERVISOR, 1))
        if introduced and synced:
            self.say(BOSS, Synced())

    def take(self, sends):
        self.said = {}
        for send in sends:
            self.said.setdefault(send.party, []).append(send.word)
        return self.said

    def say(self, party, word, now=0.0, host=b""):
        return self.take(self.routing.hear(party, Route(MAGIC, "", 0, "?", 1, host), word, now))

    def client(self, party, name, now=0.0):
        self.say(party, Hello(name, 1), now)

    def actor(self, party=ACTOR, life=1, *, up=True):
        standing = Standing.UP if up else Standing.DOWN
        self.say(BOSS, Declare("a", standing, life, party, 10))
        return self.say(party, Hello("a", life))

    def forward(self, party, target, life, sender):
        return self.routing.forward(party, encode_route(Route(MAGIC, target, life, sender, 1)))


def codes(words):
    return [word.code for word in words if isinstance(word, Refused)]


def standings(words):
    return [word.standing for word in words if isinstance(word, Stands)]


def test_a_client_is_welcome_by_the_name_it_chose():
    assert [type(w) for w in Broker().say(ONE, Hello("client-1", 1))[ONE]] == [Welcome]


def test_a_name_in_use_is_refused_but_its_holder_may_say_hello_again():
    broker = Broker()
    broker.client(ONE, "client-1")

    assert codes(broker.say(TWO, Hello("client-1", 1))[TWO]) == ["name-taken"]
    assert codes(broker.say(ONE, Hello("client-1", 1))[ONE]) == []


def test_one_connection_has_one_name():
    broker = Broker()
    broker.client(ONE, "client-1")

    assert codes(broker.say(ONE, Hello("client-2", 1))[ONE]) == ["impostor"]


@pytest.mark.parametrize("name", [SUPERVISOR, "", "x" * 200])
def test_nobody_takes_the_supervisors_name_or_an_impossible_one(name):
    assert codes(Broker().say(ONE, Hello(name, 1))[ONE]) == ["impostor"]


@pytest.mark.parametrize(
    "word", [Declare("a", Standing.UP, 1, ONE), Ended("a", 1, "", {}), Synced()]
)
def test_only_the_supervisor_declares(word):
    broker = Broker()
    broker.client(ONE, "client-1")

    assert codes(broker.say(ONE, word)[ONE]) == ["denied"]


def test_an_actor_that_says_hello_before_it_is_declared_waits_for_it():
    broker = Broker()
    assert broker.say(ACTOR, Hello("a", 1)) == {}
    assert broker.say(ACTOR, Resolve("client-1")) == {}

    said = broker.say(BOSS, Declare("a", Standing.DOWN, 1, ACTOR, 10))

    assert isinstance(said[ACTOR][0], Welcome)


@pytest.mark.parametrize("gone", [False, True], ids=["it falls", "its name is given away anew"])
def test_a_next_life_that_is_here_before_the_news_of_its_own_waits_for_it(gone):
    broker = Broker()
    broker.actor(ACTOR, 1)
    if gone:
        broker.say(BOSS, Ended("a", 1, "stopped", {}))
        broker.say(BOSS, Declare("a", Standing.GONE, 0, reason="stopped"))
    assert broker.say(LATER, Hello("a", 2)) == {}
    assert broker.say(LATER, Resolve("a")) == {}
    if not gone:
        broker.say(BOSS, Ended("a", 1, "killed", {}))
        broker.say(ACTOR, Hello("a", 1))

    said = broker.say(BOSS, Declare("a", Standing.DOWN, 2, LATER, 10))

    assert isinstance(said[LATER][0], Welcome)
    assert codes(broker.say(ACTOR, Hello("a", 1))[ACTOR]) == ["stale"]


def test_an_impostor_that_says_hello_first_is_never_let_in():
    broker = Broker(synced=False)
    broker.say(TWO, Hello("a", 1))
    broker.say(ACTOR, Hello("a", 1))

    said = broker.say(BOSS, Declare("a", Standing.UP, 1, ACTOR, 10))

    assert TWO not in said
    assert isinstance(said[ACTOR][0], Welcome)


def test_those_who_knock_do_not_pile_up():
    broker = Broker()
    for number in range(2 * KNOCKING):
        broker.say(number.to_bytes(16, "big"), Hello(f"n{number}", 1))

    assert len(broker.routing._knocking) == KNOCKING


def test_a_former_incarnation_is_stale():
    broker = Broker()
    broker.actor(LATER, 2)

    assert codes(broker.say(ACTOR, Hello("a", 1))[ACTOR]) == ["stale"]


def test_a_name_nobody_declared_is_unknown():
    broker = Broker()
    broker.client(ONE, "client-1")

    assert standings(broker.say(ONE, Resolve("a"))[ONE]) == [Standing.UNKNOWN]


@pytest.mark.parametrize("prefix", ["", "client-"])
def test_a_name_that_nobody_can_have_is_compared_with_none_and_waits_for_none(prefix):
    broker = Broker(synced=False)
    broker.client(ONE, "client-1")

    said = broker.say(ONE, Resolve(prefix + "x" * 10_000_000, 1))

    assert [word.standing for word in said[ONE]] == [Standing.UNKNOWN]


@pytest.mark.parametrize("odd", ["a b", "\x1b[2J", "\n", "../x", "\u202e", "@", "x" * 122])
def test_a_program_with_a_name_that_could_not_be_printed_is_refused(odd):
    broker = Broker()

    ((word,),) = broker.say(ONE, Hello(f"client-{odd}", 1)).values()

    assert word.code == "impostor"


def test_a_declared_name_is_up_only_once_it_is_connected_too():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.say(BOSS, Declare("a", Standing.UP, 1, ACTOR, 10))
    assert standings(broker.say(ONE, Resolve("a"))[ONE]) == [Standing.DOWN]

    said = broker.say(ACTOR, Hello("a", 1))

    assert standings(said[ONE]) == [Standing.UP]


def test_before_the_supervisor_has_spoken_questions_wait():
    broker = Broker(synced=False)
    broker.client(ONE, "client-1")
    assert broker.say(ONE, Resolve("a", 1)) == {}
    broker.actor()

    assert standings(broker.say(ONE, Resolve("a", 1))[ONE]) == [Standing.UP]
    assert standings(broker.say(BOSS, Synced()).get(ONE, [])) == []


def test_a_question_for_a_name_that_never_comes_is_answered_when_the_supervisor_is_done():
    broker = Broker(synced=False)
    broker.client(ONE, "client-1")
    broker.say(ONE, Resolve("b"))

    assert standings(broker.say(BOSS, Synced())[ONE]) == [Standing.UNKNOWN]


def test_the_supervisor_hears_when_all_it_has_said_is_known():
    broker = Broker()

    assert broker.say(BOSS, Synced(7)) == {BOSS: [Heard(7)]}
    assert broker.say(BOSS, Synced()) == {}


def test_the_rest_of_what_another_broker_was_told_is_no_introduction():
    broker = Broker(introduced=False)
    broker.client(ONE, "client-1")
    assert broker.say(BOSS, Synced()) == {}

    assert broker.say(ONE, Resolve("a")) == {}, "the supervisor has not spoken to this broker"

    broker.say(BOSS, Hello(SUPERVISOR, 1))
    assert standings(broker.say(BOSS, Synced())[ONE]) == [Standing.UNKNOWN]


@pytest.mark.parametrize(("known", "patience"), [(1, CLIENT_RETURN), (0, CLIENT_FIRST)])
def test_a_client_has_time_to_come_back_to_a_new_broker(known, patience):
    broker = Broker()
    broker.client(ONE, "client-1")
    assert broker.say(ONE, Resolve("client-2", known)) == {}
    assert broker.take(broker.routing.tick(patience - 0.1)).get(ONE) in (
        None,
        [Welcome(SUPERVISOR)],
    )

    said = broker.take(broker.routing.tick(patience))

    assert standings(said[ONE]) == [Standing.UNKNOWN]


def test_a_client_that_comes_back_in_time_is_up():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.say(ONE, Resolve("client-2", 1))

    said = broker.say(TWO, Hello("client-2", 1), 3.0)

    assert standings(said[ONE]) == [Standing.UP]


def test_a_silent_client_is_tried_and_only_one_that_cannot_be_reached_is_gone():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.client(TWO, "client-2")
    broker.say(TWO, Resolve("client-1"))
    now = CLIENT_SILENCE + 1
    broker.say(TWO, Ping(), now)
    assert broker.routing.unreachable(TWO, now) == []

    assert ONE in broker.take(broker.routing.tick(now))
    said = broker.take(broker.routing.unreachable(ONE, now))

    assert standings(said[TWO]) == [Standing.GONE]
    assert codes(broker.say(ONE, Hello("client-1", 1))[ONE]) == ["expelled"]


def test_an_actor_is_never_judged_by_its_silence():
    broker = Broker()
    broker.actor()

    assert broker.routing.tick(1000.0) == []
    assert broker.routing.unreachable(ACTOR, 1000.0) == []


def test_everybody_who_had_to_do_with_a_dead_life_gets_its_own_record():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.client(TWO, "client-2")
    broker.actor()
    for party, name in ((ONE, "client-1"), (TWO, "client-2")):
        broker.forward(party, "a", 1, name)

    said = broker.say(BOSS, Ended("a", 1, "killed", {lane_key("client-1", 1): LaneRecord(7)}))

    assert said[ONE] == [Obituary("a", 1, "killed", LaneRecord(7))]
    assert said[TWO] == [Obituary("a", 1, "killed", None)]


def test_a_party_that_was_away_hears_of_every_life_it_has_missed():
    broker = Broker()
    broker.client(ONE, "client-1")
    for life in (1, 2, 3):
        broker.say(BOSS, Ended("a", life, "killed", {}))
    broker.actor(LATER, 4)

    said = broker.say(ONE, Resolve("a", 2))[ONE]

    assert [w.incarnation for w in said if isinstance(w, Obituary)] == [2, 3]
    assert standings(said) == [Standing.UP]


def test_an_end_that_nobody_remembers_is_told_without_a_record():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor(LATER, 9)

    obituary, _ = broker.say(ONE, Resolve("a", 2))[ONE]

    assert (obituary.incarnation, obituary.known) == (2, False)


def test_whoever_missed_the_end_of_a_name_hears_of_its_last_life_first():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    broker.say(BOSS, Ended("a", 1, "stopped", {lane_key("client-1", 1): LaneRecord(7)}))
    broker.say(BOSS, Declare("a", Standing.GONE, 0, reason="stopped"))

    obituary, stands = broker.say(ONE, Resolve("a", 1))[ONE]

    assert obituary.lane == LaneRecord(7)
    assert (stands.standing, stands.reason) == (Standing.GONE, "stopped")


def test_the_last_batches_of_a_dead_life_are_still_sent_on_for_a_moment():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    frame = encode_route(Route(MAGIC, "client-1", 1, "a", 1))
    broker.routing.forward(ACTOR, frame)
    broker.say(BOSS, Ended("a", 1, "killed", {}))
    assert broker.routing.routes[ACTOR + frame] == ONE

    broker.routing.tick(1.0)
    assert broker.routing.routes[ACTOR + frame] == ONE
    broker.routing.tick(2.0)

    assert broker.routing.routes == {}


def test_the_end_of_a_life_that_was_never_connected_disturbs_nobody():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    broker.forward(ONE, "a", 1, "client-1")
    broker.say(BOSS, Ended("b", 1, "killed", {}))

    for now in (1.0, 2.0, 3.0):
        broker.routing.tick(now)

    assert list(broker.routing.routes.values()) == [ACTOR]


def test_nothing_is_sent_on_to_the_dead_or_for_an_impostor():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    assert broker.forward(ONE, "a", 1, "client-1") == ACTOR
    assert broker.forward(ONE, "a", 2, "client-1").code == "no-route"
    assert broker.forward(ONE, "a", 1, "client-2").code == "impostor"
    assert broker.forward(TWO, "a", 1, "client-2").code == "unregistered"

    broker.say(BOSS, Ended("a", 1, "killed", {}))

    assert broker.forward(ONE, "a", 1, "client-1").code == "no-route"
    assert broker.routing.routes == {}


def test_a_client_that_leaves_is_gone_for_everybody_who_knew_it():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.client(TWO, "client-2")
    broker.say(TWO, Resolve("client-1"))

    assert standings(broker.say(ONE, Goodbye())[TWO]) == [Standing.GONE]
    assert broker.routing.parties == [BOSS, TWO]


def test_words_the_broker_does_not_take_are_refused():
    broker = Broker()
    broker.client(ONE, "client-1")

    assert codes(broker.say(ONE, Stop("now", drain=False))[ONE]) == ["unsupported"]
    assert codes(broker.say(TWO, Ping())[TWO]) == ["unregistered"]


@given(frame=st.binary(max_size=60))
def test_a_garbled_route_is_refused(frame):
    refused = Broker().routing.forward(ONE, frame)

    assert isinstance(refused, Refused)
    assert refused.code == "unsupported"


MISDEEDS = {
    "a garbled route": lambda broker: broker.routing.forward(ONE, b"?"),
    "another's name on a batch": lambda broker: broker.forward(ONE, "a", 1, "client-2"),
    "the supervisor's word": lambda broker: broker.say(ONE, Synced()),
    "a word for somebody else": lambda broker: broker.say(ONE, Stop("now", drain=False)),
    "another's name": lambda broker: broker.say(TWO, Hello("client-1", 1)),
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_each_misdeed_is_counted_once_and_what_is_only_in_vain_is_not(misdeed):
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    broker.forward(ONE, "a", 1, "client-1")
    broker.forward(ONE, "nobody", 1, "client-1")
    broker.say(TWO, Ping())
    assert broker.routing.refused == 0

    MISDEEDS[misdeed](broker)

    assert broker.routing.refused == 1


# --- who is told what -----------------------------------------------------------------------------


@pytest.mark.parametrize("meet", ["asked", "wrote"])
def test_whoever_was_asked_about_or_written_to_hears_of_the_others_end(meet):
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    if meet == "asked":
        broker.say(ONE, Resolve("a"))
    else:
        broker.forward(ONE, "a", 1, "client-1")

    said = broker.say(ONE, Goodbye())

    assert [(w.name, w.standing) for w in said[ACTOR]] == [("client-1", Standing.GONE)]


def test_what_has_gone_is_nobodys_contact():
    broker = Broker()
    broker.actor()
    for number in range(3):
        broker.client(ONE, f"client-{number}")
        broker.say(ONE, Resolve("a"))
        broker.forward(ONE, "a", 1, f"client-{number}")
        broker.say(ONE, Goodbye())

    assert broker.routing._names["a"].contacts == set()
    assert broker.routing.routes == {}


def test_an_answer_says_where_a_life_is_what_it_takes_and_how_the_last_one_ended():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.say(BOSS, Declare("a", Standing.UP, 1, ACTOR, 10))
    broker.say(ACTOR, Hello("a", 1, endpoint="ipc:///x"), host=b"host")
    up = Stands("a", Standing.UP, 1, 10, "", b"host", endpoint="ipc:///x")
    assert broker.say(ONE, Resolve("a"))[ONE] == [up]

    broker.say(BOSS, Ended("a", 1, "killed", {}))

    (down,) = broker.say(ONE, Resolve("a"))[ONE]
    assert (down.standing, down.reason, down.endpoint) == (Standing.DOWN, "killed", "")


def test_a_pool_stands_as_those_who_serve_it():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.say(BOSS, Declare("p", Standing.UP, 0, mailbox=7, members=["p#1", "p#2"]))

    assert broker.say(ONE, Resolve("p"))[ONE] == [
        Stands("p", Standing.UP, 0, 7, members=["p#1", "p#2"])
    ]
    broker.say(BOSS, Declare("p", Standing.DOWN, 0, reason="starting"))
    assert broker.say(ONE, Resolve("p"))[ONE] == [Stands("p", Standing.DOWN, 0, reason="starting")]


def test_a_name_that_nobody_has_comes_with_those_that_may_be_meant():
    broker = Broker()
    broker.client(ONE, "client-calk")
    broker.say(BOSS, Declare("calc", Standing.UP, 1, ACTOR, 10))

    (stands,) = broker.say(ONE, Resolve("calk"))[ONE]

    assert (stands.standing, stands.reason) == (Standing.UNKNOWN, "calc")


@pytest.mark.parametrize(("known", "told"), [(0, []), (1, [1]), (2, [2]), (9, [])])
def test_only_a_life_that_one_knew_and_that_is_over_is_told_about(known, told):
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor(LATER, 9)

    said = broker.say(ONE, Resolve("a", known))[ONE]

    assert [w.incarnation for w in said if isinstance(w, Obituary)] == told


def test_a_forgotten_end_is_told_before_those_that_are_remembered():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.say(BOSS, Ended("a", 3, "killed", {}))

    said = broker.say(ONE, Resolve("a", 2))[ONE]

    told = [(w.incarnation, w.known) for w in said if isinstance(w, Obituary)]
    assert told == [(2, False), (3, True)]


def test_a_name_that_comes_again_remembers_the_lives_it_had():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    broker.say(BOSS, Ended("a", 1, "stopped", {lane_key("client-1", 1): LaneRecord(7)}))
    broker.say(BOSS, Declare("a", Standing.GONE, 0, reason="stopped"))
    broker.actor(LATER, 2)

    obituary, stands = broker.say(ONE, Resolve("a", 1))[ONE]

    assert (obituary.lane, stands.standing) == (LaneRecord(7), Standing.UP)


# --- who is let in --------------------------------------------------------------------------------


def test_a_name_may_be_long_but_not_longer():
    assert codes(Broker().say(ONE, Hello("client-".ljust(128, "x"), 1))[ONE]) == []
    assert codes(Broker().say(ONE, Hello("client-".ljust(129, "x"), 1))[ONE]) == ["impostor"]
    assert codes(Broker().say(ONE, Hello("client-1", 0))[ONE]) == ["impostor"]


def test_a_long_name_can_be_asked_about_and_a_longer_one_is_nobodys():
    broker = Broker()
    broker.client(ONE, "client-1")
    longest = "x" * LONGEST_NAME
    for name in (longest, longest + "x"):
        broker.say(BOSS, Declare(name, Standing.DOWN, 1, ACTOR))

    assert standings(broker.say(ONE, Resolve(longest))[ONE]) == [Standing.DOWN]
    assert broker.say(ONE, Resolve(longest + "x"))[ONE] == [
        Stands(longest + "x", Standing.UNKNOWN, 0)
    ]


def test_a_next_life_may_knock_before_the_supervisor_speaks_of_it():
    broker = Broker()
    broker.actor()
    broker.say(BOSS, Ended("a", 1, "killed", {}))
    assert broker.say(LATER, Hello("a", 2)) == {}

    said = broker.say(BOSS, Declare("a", Standing.DOWN, 2, LATER))

    assert isinstance(said[LATER][0], Welcome)


def test_a_next_life_takes_the_name_though_nobody_has_spoken_of_the_former_ones_end():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor()
    broker.say(ONE, Resolve("a"))

    said = broker.actor(LATER, 2)

    assert [(w.standing, w.incarnation) for w in said[ONE]] == [(Standing.UP, 2)]
    assert broker.routing.parties == [BOSS, ONE, LATER]
    assert broker.forward(ACTOR, "client-1", 1, "a").code == "unregistered"


def test_what_is_declared_again_stays_connected():
    broker = Broker()
    broker.client(ONE, "client-1")
    broker.actor(up=False)
    broker.forward(ONE, "a", 1, "client-1")

    said = broker.say(BOSS, Declare("a", Standing.UP, 1, ACTOR, 10))

    assert standings(said[ONE]) == [Standing.UP]
    assert list(broker.routing.routes.values()) == [ACTOR]
    broker.say(ACTOR, Hello("a", 1))
    assert list(broker.routing.routes.values()) == [ACTOR]


def test_what_somebody_asks_while_knocking_is_answered_once_it_is_in():
    broker = Broker(synced=False)
    broker.client(ONE, "client-1")
    broker.say(ACTOR, Hello("a", 1))
    assert broker.say(ACTOR, Ping()) == {}
    broker.say(ACTOR, Resolve("client-1"))
    assert broker.say(BOSS, Synced()) == {}

    said = broker.say(BOSS, Declare("a", Standing.DOWN, 1, ACTOR, 10))

    welcome, stands = said[ACTOR]
    assert isinstance(welcome, Welcome)
    assert (stands.name, stands.standing) == ("client-1", Standing.UP)


def test_of_those_who_knock_the_one_that_was_silent_longest_is_forgotten_first():
    broker = Broker()
    broker.say(ACTOR, Hello("a", 1))
    for number in range(KNOCKING - 1):
        broker.say(number.to_bytes(16, "big"), Hello(f"n{number}", 1))
    broker.say(ACTOR, Hello("a", 1))
    broker.say(LATER, Hello("b", 1))

    said = broker.say(BOSS, Declare("a", Standing.UP, 1, ACTOR, 10))

    assert isinstance(said[ACTOR][0], Welcome)


def test_a_name_that_the_supervisor_declares_is_no_programs_any_more():
    broker = Broker()
    broker.client(ONE, "client-1")

    broker.say(BOSS, Declare("client-1", Standing.UP, 1, ACTOR, 10))
    broker.say(ACTOR, Hello("client-1", 1))

    assert broker.routing.parties == [BOSS, ACTOR]
    assert broker.say(ACTOR, Goodbye()) == {}
    assert broker.routing.tick(1000.0) == []


# --- time and bounds ------------------------------------------------------------------------------


def test_a_client_is_silent_only_after_its_time():
    broker = Broker()
    broker.client(ONE, "client-1", 100.0)

    assert broker.routing.tick(100.0 + CLIENT_SILENCE) == []
    assert broker.routing.unreachable(ONE, 100.0 + CLIENT_SILENCE) == []
    assert [send.party for send in broker.routing.tick(100.1 + CLIENT_SILENCE)] == [ONE]


def test_the_time_to_come_back_begins_with_the_supervisors_word():
    broker = Broker(synced=False)
    broker.client(ONE, "client-1", 100.0)
    broker.say(BOSS, Synced(), 100.0)

    assert broker.say(ONE, Resolve("client-2"), 100.0) == {}


def test_a_memory_holds_what_was_noted_last():
    memory = {}
    for name in ("a", "b", "c", "b", "d"):
        remember(memory, name, name.upper(), 2)

    assert memory == {"b": "B", "d": "D"}
