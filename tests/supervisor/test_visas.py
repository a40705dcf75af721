"""Who came over the network, and what they may do."""

from __future__ import annotations

import itertools

import pytest

from actors.control import (
    Declare,
    Ended,
    Goodbye,
    Hello,
    Resolve,
    Standing,
    Stands,
    Synced,
    Vouched,
)
from actors.envelope import MAGIC, Batch, Envelope, Kind, Route, encode_batch, encode_route
from actors.errors import AccessDenied
from actors.requests import KillActor, SpawnActor, StopActor
from supervisor.roles import Role, admit
from supervisor.routing import Routing
from supervisor.status import StatusRequest
from supervisor.visas import OUTSIDE, Visa

BOSS, LOCAL, ACTOR = b"b" * 16, b"l" * 16, b"a" * 16
FAR = OUTSIDE + b"f" * 16
NAME = "client-net-f00"


def visa(role, key=b"k" * 32):
    return Visa(key, "laptop", role)


@pytest.fixture
def broker():
    """A broker that knows its supervisor and the actor `a`."""
    routing = Routing(BOSS)
    route = Route(MAGIC, "", 0, "@supervisor", 1)
    routing.hear(BOSS, route, Hello("@supervisor", 1), 0.0)
    routing.hear(BOSS, route, Declare("a", Standing.UP, 1, ACTOR), 0.0)
    routing.hear(BOSS, route, Synced(), 0.0)
    routing.hear(ACTOR, Route(MAGIC, "", 0, "a", 1), Hello("a", 1), 0.0)
    return routing


def enter(broker, role, name=NAME, party=FAR):
    broker.visas.issue(party, visa(role))
    return hear(broker, party, Hello(name, 1))


def hear(broker, party, word, name=NAME):
    sends = broker.hear(party, Route(MAGIC, "", 0, name, 1), word, 0.0)
    return [(send.party, send.word) for send in sends]


def forward(broker, target, party=FAR, name=NAME, batch=b""):
    return broker.forward(party, encode_route(Route(MAGIC, target, 1, name, 1)), batch)


def batch_of(*envelopes):
    return encode_batch(Batch(0.0, 1, 0, 0, 0, [], 100, 0, list(envelopes)))


# --- names ----------------------------------------------------------------------------------------


def test_the_supervisor_hears_of_a_role_before_anything_else(broker):
    said = enter(broker, Role.VIEWER)

    assert said[0] == (BOSS, Vouched(NAME, "laptop", "viewer"))


def test_a_supervisor_that_comes_to_a_new_broker_last_hears_who_came_before_it():
    new = Routing(BOSS)
    enter(new, Role.OPERATOR)
    hear(new, b"n" * 16, Hello("client-1", 1))

    said = hear(new, BOSS, Hello("@supervisor", 1), "@supervisor")

    assert said[0] == (BOSS, Vouched(NAME, "laptop", "operator"))
    assert sum(isinstance(word, Vouched) for _, word in said) == 1


@pytest.mark.parametrize("name", ["client-1", "a", "@supervisor", "@monitor"])
def test_nobody_from_the_network_takes_a_local_name(broker, name):
    ((party, word),) = enter(broker, Role.ADMIN, name)

    assert (party, word.code) == (FAR, "impostor")


def test_nobody_local_takes_a_name_of_the_network(broker):
    ((_, word),) = hear(broker, LOCAL, Hello(NAME, 1))

    assert word.code == "impostor"


def test_ids_of_the_network_are_no_ids_of_this_machine(broker):
    # Whatever it calls itself: the same sixteen bytes on the other side are somebody else.
    ((party, word),) = enter(broker, Role.ADMIN, "@supervisor", OUTSIDE + BOSS)

    assert (party, word.code) == (OUTSIDE + BOSS, "impostor")


def test_whoever_is_turned_away_leaves_nothing(broker):
    for number in range(10):
        party = OUTSIDE + number.to_bytes(16, "big")
        ((_, word),) = enter(broker, Role.OPERATOR, "client-1", party)
        assert word.code == "impostor"

    assert broker.visas.expired(lambda _key: None) == []


def test_whoever_is_here_and_asks_for_another_name_keeps_its_role(broker):
    enter(broker, Role.VIEWER)

    ((_, word),) = hear(broker, FAR, Hello("client-net-other", 1))

    assert word.code == "impostor"
    assert forward(broker, "a").code == "denied"


# --- roles ----------------------------------------------------------------------------------------


def test_a_viewer_talks_to_the_supervisor_only(broker):
    enter(broker, Role.VIEWER)

    assert forward(broker, "@supervisor") == BOSS
    assert forward(broker, "a").code == "denied"
    ((_, stands),) = hear(broker, FAR, Resolve("a"))
    assert isinstance(stands, Stands)
    assert (stands.standing, "may look" in stands.reason) == (Standing.DENIED, True)
    assert stands.incarnation == 0
    assert broker.refused == 1


def test_a_viewer_acknowledges_what_an_actor_has_written_to_it(broker):
    enter(broker, Role.VIEWER)
    before = forward(broker, "a", batch=batch_of())

    forward(broker, NAME, ACTOR, "a")

    assert (before.code, forward(broker, "a", batch=batch_of())) == ("denied", ACTOR)
    assert FAR not in {route[: len(FAR)] for route in broker.routes}  # each is looked at


def test_a_viewer_that_was_away_hears_which_lives_have_ended_meanwhile(broker):
    enter(broker, Role.VIEWER)
    hear(broker, BOSS, Ended("a", 1, "killed", {}), "@supervisor")
    hear(broker, BOSS, Declare("a", Standing.UP, 2, ACTOR), "@supervisor")

    said = [word for _, word in hear(broker, FAR, Resolve("a", 1))]

    assert [(one.incarnation, one.reason) for one in said[:-1]] == [(1, "killed")]
    assert said[-1].standing is Standing.DENIED


def test_a_new_life_is_no_leave_for_a_viewer_that_the_old_one_has_written_to(broker):
    # Recorded: it was told that the actor is up, and believed that it may write to it.
    enter(broker, Role.VIEWER)
    enter(broker, Role.OPERATOR, "client-net-0b5", OUTSIDE + b"o" * 16)
    for name in (NAME, "client-net-0b5"):
        forward(broker, name, ACTOR, "a")

    hear(broker, BOSS, Ended("a", 1, "killed", {}), "@supervisor")
    said = hear(broker, BOSS, Declare("a", Standing.UP, 2, ACTOR), "@supervisor")
    over = hear(broker, BOSS, Declare("a", Standing.GONE, 2), "@supervisor")

    assert {party for party, _ in said} == {OUTSIDE + b"o" * 16}
    assert {party for party, _ in over} == {FAR, OUTSIDE + b"o" * 16}


@pytest.mark.parametrize("kind", Kind)
def test_a_viewer_puts_nothing_into_an_acknowledgement(broker, kind):
    enter(broker, Role.VIEWER)
    forward(broker, NAME, ACTOR, "a")
    batch = batch_of(Envelope(kind, 1, 1, "play:Add", b""))

    assert forward(broker, "a", batch=batch).code == "denied"
    for junk in (b"", b"\xc0", b"\x99" + b"\xc0" * 8, batch[:-1], batch_of() + b"\0"):
        assert forward(broker, "a", batch=junk).code == "denied"
    assert broker.routes.keys() == {ACTOR + encode_route(Route(MAGIC, NAME, 1, "a", 1))}


def test_nobody_is_sent_to_an_endpoint_that_a_guest_has_named(broker):
    broker.visas.issue(FAR, visa(Role.OPERATOR))
    route = Route(MAGIC, "", 0, NAME, 1, b"the host of the system")
    broker.hear(FAR, route, Hello(NAME, 1, endpoint="ipc:///run/understudy/lab/pabc"), 0.0)

    ((_, stands),) = hear(broker, ACTOR, Resolve(NAME), "a")

    assert (stands.standing, stands.endpoint, stands.host) == (Standing.UP, "", b"")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_others_talk_to_actors(broker, role):
    enter(broker, role)

    assert forward(broker, "a") == ACTOR


REQUESTS = {StatusRequest: Role.VIEWER, StopActor: Role.OPERATOR, KillActor: Role.OPERATOR}
REQUESTS |= {SpawnActor: Role.ADMIN, Hello: Role.ADMIN}


@pytest.mark.parametrize(("role", "request_"), list(itertools.product(Role, REQUESTS)))
def test_each_request_needs_its_role(role, request_):
    may = list(Role).index(role) >= list(Role).index(REQUESTS[request_])

    if may:
        admit({NAME: str(role)}, NAME, request_)
    else:
        with pytest.raises(AccessDenied, match=f"needs a key with the role {REQUESTS[request_]}"):
            admit({NAME: str(role)}, NAME, request_)


def test_whoever_is_not_vouched_for_may_do_nothing():
    with pytest.raises(AccessDenied, match="has none"):
        admit({"client-net-other": "admin"}, NAME, StatusRequest)


def test_local_parties_need_no_role():
    admit({}, "client-1", SpawnActor)
    admit({}, "a", SpawnActor)


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [None, visa(Role.VIEWER)])
def test_a_key_that_may_less_now_is_shown_out(broker, now):
    enter(broker, Role.OPERATOR)
    forward(broker, "a")

    ((party, reason),) = broker.visas.expired(lambda _key: now)
    said = broker.expel(party, reason)

    assert said[0].word.code == "expelled"
    assert forward(broker, "a").code == "unregistered"
    assert broker.visas.expired(lambda _key: None) == []


@pytest.mark.parametrize("now", [visa(Role.VIEWER), visa(Role.OPERATOR, b"o" * 32)])
def test_a_hello_under_a_key_that_may_something_else_now_shows_out(broker, now):
    enter(broker, Role.OPERATOR)
    forward(broker, "a")

    said = broker.expel(FAR, broker.visas.issue(FAR, now))

    assert (said[0].party, said[0].word.code) == (FAR, "expelled")
    assert "its key is laptop" in said[0].word.text
    assert not any(route.startswith(FAR) for route in broker.routes)
    assert forward(broker, "a").code == "unregistered"


def test_a_hello_again_under_the_same_key_changes_nothing(broker):
    enter(broker, Role.OPERATOR)
    forward(broker, "a")

    assert broker.visas.issue(FAR, visa(Role.OPERATOR)) == ""
    assert forward(broker, "a") == ACTOR


def test_whoever_is_shown_out_before_it_has_a_name_has_no_role_left(broker):
    broker.visas.issue(FAR, visa(Role.ADMIN))

    broker.expel(FAR, "its key laptop was revoked")

    ((party, word),) = hear(broker, FAR, Hello(NAME, 1))
    assert (party, word.code) == (FAR, "impostor")


def test_keys_that_still_hold_are_left_alone(broker):
    enter(broker, Role.OPERATOR)

    assert broker.visas.expired(lambda _key: visa(Role.OPERATOR)) == []


def test_a_program_that_left_leaves_nothing(broker):
    enter(broker, Role.OPERATOR)
    hear(broker, FAR, Goodbye())

    assert broker.visas.expired(lambda _key: None) == []
    assert broker.routes == {}
