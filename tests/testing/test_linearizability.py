from __future__ import annotations

import ast
import asyncio
import itertools
import math
import random
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from fractions import Fraction
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actors.testing.linearizability as linearizability_room
from actors.actor import Actor, receive
from actors.errors import (
    ActorStopped,
    AnswerLost,
    ConnectionLost,
    DeadlineExceeded,
    HandlerError,
    InvalidMessage,
    MailboxFull,
    NoSuchActor,
    OutcomeUnknown,
    pack_error,
    unpack_error,
)
from actors.message import Request, message
from actors.ref import ActorRef
from actors.testing import History, Operation, Outcome, linearizable, simulate
from actors.testing.operation import Fate
from actors.testing.specification import Sequential
from actors.testing.states import copied, key_of
from actors.testing.timeline import timeline


@message
class Put(Request[None]):
    key: str
    value: int


@message
class Get(Request[int]):
    key: str


@message
class Swap(Request[bool]):
    key: str
    old: int
    new: int


@message
class Take(Request[int]):
    """Answers and removes the oldest; raises when there is none."""


class Store(Actor):
    def on_start(self):
        self.data = {}

    @receive
    def put(self, msg: Put) -> None:
        self.data[msg.key] = msg.value

    @receive
    def get(self, msg: Get) -> int:
        return self.data.get(msg.key, 0)

    @receive
    def swap(self, msg: Swap) -> bool:
        if self.data.get(msg.key, 0) != msg.old:
            return False
        self.data[msg.key] = msg.new
        return True

    @receive
    def take(self, _msg: Take) -> int:
        if not self.data:
            raise LookupError("nothing left")
        return self.data.pop(next(iter(self.data)))


def run(store, msg):
    """What a store answers: (result, error)."""
    handler = {Put: store.put, Get: store.get, Swap: store.swap, Take: store.take}[type(msg)]
    try:
        return handler(msg), None
    except LookupError as error:
        return None, error


def op(client, msg, begin, end=None, result=None, error=None):
    return Operation(client, msg, begin, end, result, error)


def put(begin, end, value=1, key="k", client="a"):
    return op(client, Put(key, value), begin, end)


def get(begin, end, result, key="k", client="b"):
    return op(client, Get(key), begin, end, result)


# ---------------------------------------------------------------------------- what is legal

LEGAL = {
    "nothing at all": [],
    "a read that overlaps a write may see the old value": [put(0, 3), get(1, 2, 0)],
    "a read that overlaps a write may see the new value": [put(0, 3), get(1, 2, 1)],
    "what happens at one moment overlaps": [put(0, 1), get(1, 2, 0)],
    "a write without an answer may have happened": [put(0, None), get(5, 6, 1)],
    "a write without an answer may never happen": [put(0, None), get(5, 6, 0)],
    "a write without an answer may happen late": [put(0, None), get(1, 2, 0), get(3, 4, 1)],
    "two overlapping writes may come in either order": [
        put(0, 9, 1), put(0, 9, 2, client="c"), get(10, 11, 1),
    ],
}  # fmt: skip

ILLEGAL = {
    "a read after a write sees the old value": [put(0, 1), get(2, 3, 0)],
    "a read sees what nobody wrote": [put(0, 1), get(2, 3, 7)],
    "a read before any write sees it": [get(0, 1, 1), put(2, 3)],
    "a value once read is gone again": [put(0, 9), get(1, 2, 1), get(3, 4, 0)],
    "a lost write happens before it was invoked": [get(0, 1, 1), put(2, None)],
    "a lost write happens twice": [
        put(0, None, 1), get(1, 2, 1), put(3, 4, 2), get(5, 6, 1), get(7, 8, 2),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_legal(name):
    verdict = linearizable(LEGAL[name], Store)

    assert verdict.outcome is Outcome.LINEARIZABLE
    assert verdict
    verdict.require()


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal(name):
    verdict = linearizable(ILLEGAL[name], Store)

    assert verdict.outcome is Outcome.NOT_LINEARIZABLE
    assert not verdict
    with pytest.raises(AssertionError, match=r"not linearizable: \d operations"):
        verdict.require()


def test_the_order_of_a_verdict_is_legal_and_keeps_real_time():
    history = [put(0, 9), get(1, 2, 1), get(3, 4, 1), put(5, None, 7), get(6, 8, 7)]

    order = linearizable(history, Store).order

    assert [run_all(order)[index] for index in range(len(order))] == [one.result for one in order]
    assert set(order) == set(history)


def run_all(order):
    store = Store()
    store.on_start()
    return [run(store, one.message)[0] for one in order]


# ---------------------------------------------------------------------------- brute force


def obeys_time(order):
    return not any(
        later.fate is Fate.ANSWERED and later.returned_at < one.invoked_at
        for one, later in itertools.combinations(order, 2)
    )


def explains(order):
    store = Store()
    store.on_start()
    for one in order:
        result, error = run(store, one.message)
        if one.fate is Fate.ANSWERED and (
            result != one.result or type(error) is not type(one.error)
        ):
            return False
    return True


def by_brute_force(history):
    """Every subset of the lost operations, every order."""
    must = [one for one in history if one.fate is Fate.ANSWERED]
    may = [one for one in history if one.fate is Fate.LOST]
    return any(
        obeys_time(order) and explains(order)
        for size in range(len(may) + 1)
        for some in itertools.combinations(may, size)
        for order in itertools.permutations([*must, *some])
    )


KEYS = st.sampled_from(["k", "l"])
VALUES = st.integers(0, 2)
MESSAGES = st.one_of(
    st.builds(Put, KEYS, VALUES),
    st.builds(Get, KEYS),
    st.builds(Swap, KEYS, VALUES, VALUES),
    st.just(Take()),
)
ERRORS = [OutcomeUnknown(), DeadlineExceeded(), AnswerLost(), ConnectionLost(), ActorStopped()]


@st.composite
def histories(draw, messages=MESSAGES):
    """What three clients could see of a store, some of it untrue."""
    store = Store()
    store.on_start()
    spans = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=5))
    operations = []
    for number, (begin, length) in enumerate(spans):
        msg = draw(messages)
        end = draw(st.sampled_from(["true", "true", "true", "untrue", "lost", "error"]))
        result, error = run(store, msg)
        if end == "untrue":
            result, error = draw(st.sampled_from([None, True, False, 0, 1, 2])), None
        if end == "error":
            result, error = None, draw(st.sampled_from(ERRORS))
        returned = None if end == "lost" else begin + length
        operations.append(op(f"c{number % 3}", msg, begin, returned, result, error))
    return operations


@settings(max_examples=500, deadline=None)
@given(histories())
def test_the_verdict_is_that_of_brute_force(history):
    assert bool(linearizable(history, Store)) == by_brute_force(history)


@settings(max_examples=300, deadline=None)
@given(histories(MESSAGES.filter(lambda msg: not isinstance(msg, Take))))
def test_splitting_by_key_changes_no_verdict(history):
    split = linearizable(history, Store, key=lambda msg: msg.key)

    assert split.outcome is linearizable(history, Store).outcome


@settings(max_examples=200, deadline=None)
@given(histories(), st.integers(0, 10))
def test_a_small_limit_gives_unknown_but_never_another_verdict(history, limit):
    whole, limited = linearizable(history, Store), linearizable(history, Store, max_states=limit)

    assert limited.outcome in {whole.outcome, Outcome.UNKNOWN}
    assert limited.states <= limit


@settings(max_examples=200, deadline=None)
@given(histories())
def test_the_order_told_is_legal_however_far_it_goes(history):
    verdict = linearizable(history, Store)

    assert obeys_time(verdict.order)
    assert explains(verdict.order)
    if verdict:
        assert {one for one in history if one.fate is Fate.ANSWERED} <= set(verdict.order)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_the_text_is_ascii_and_fits_a_hundred_columns(history):
    text = str(linearizable(history, Store))

    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100


# ---------------------------------------------------------------------------- errors


def test_each_error_says_what_is_known_of_the_effect():
    value_error = unpack_error(pack_error(ValueError("no")))
    timeout = unpack_error(pack_error(TimeoutError("in the handler")))
    full = unpack_error(pack_error(MailboxFull()))
    fates = {
        Fate.ANSWERED: [None, value_error, timeout, full, HandlerError(), KeyError()],
        Fate.LOST: [*ERRORS[:4], TimeoutError(), asyncio.CancelledError(), KeyboardInterrupt()],
        Fate.NEVER: [ActorStopped(), NoSuchActor(), MailboxFull(), InvalidMessage()],
    }

    for fate, errors in fates.items():
        for error in errors:
            assert op("a", Get("k"), 0, 1, error=error).fate is fate, error


def test_an_operation_that_was_never_handled_counts_for_nothing():
    never = op("a", Put("k", 1), 0, 1, error=NoSuchActor())

    assert not linearizable([never, get(2, 3, 1)], Store)
    assert linearizable([never, get(2, 3, 0)], Store)


@pytest.mark.parametrize("error", ERRORS[:4])
def test_an_operation_of_unknown_outcome_may_happen_even_after_its_error(error):
    lost = op("a", Put("k", 1), 0, 1, error=error)

    assert linearizable([lost, get(2, 3, 0), get(4, 5, 1)], Store)
    assert linearizable([lost, get(2, 3, 0), get(4, 5, 0)], Store)


def test_what_a_handler_raised_is_compared_by_the_name_of_its_class():
    def took(error):
        return [op("a", Take(), 0, 1, error=error)]

    assert linearizable(took(LookupError()), Store)
    assert linearizable(took(unpack_error(pack_error(LookupError("other text")))), Store)
    assert linearizable(took(HandlerError(type_name="store.errors:Outer.LookupError")), Store)
    assert not linearizable(took(HandlerError(type_name="KeyError")), Store)
    assert not linearizable([op("a", Take(), 0, 1, result=None)], Store)
    assert not linearizable([op("a", Get("k"), 0, 1, error=LookupError())], Store)


def test_an_operation_does_not_return_before_it_is_invoked():
    with pytest.raises(ValueError, match="before it was invoked"):
        op("a", Get("k"), 2, 1)


# ---------------------------------------------------------------------------- specifications


class Register:
    """A specification that is no actor."""

    def __init__(self, value=0):
        self.value = value

    def put(self, msg):
        self.value = msg.value

    def get(self, _msg):
        return self.value

    handlers = {Put: put, Get: get}  # noqa: RUF012 - as a user would write it


def test_any_class_with_handlers_is_a_specification():
    assert linearizable([put(0, 1), get(2, 3, 1)], Register)
    assert linearizable([get(2, 3, 9)], lambda: Register(9))
    assert not linearizable([get(2, 3, 9)], Register)


def test_a_specification_must_handle_what_is_in_the_history():
    with pytest.raises(TypeError, match="Register has no handler for Take"):
        linearizable([op("a", Take(), 0, 1)], Register)
    with pytest.raises(TypeError, match="object is no specification"):
        linearizable([put(0, 1)], object)


def test_a_specification_is_plain_def():
    class Waits(Actor):
        @receive
        async def get(self, msg: Get) -> int:
            return 0

    class Starts(Actor):
        async def on_start(self): ...

    with pytest.raises(TypeError, match=r"Waits\.get is async def.*plain def"):
        linearizable([get(0, 1, 0)], Waits)
    with pytest.raises(TypeError, match=r"Starts\.on_start is async def"):
        linearizable([get(0, 1, 0)], Starts)


def test_a_state_that_cannot_be_copied_is_refused_by_name():
    class Locked(Register):
        def __init__(self):
            self.lock = threading.Lock()

    with pytest.raises(TypeError, match=r"state holds a lock.*plain data"):
        linearizable([put(0, 1), get(0, 1, 0)], Locked)


@message
class Push(Request[list[int]]):
    items: list[int]


class Stack(Actor):
    def on_start(self):
        self.items = self.alias = []

    @receive
    def push(self, msg: Push) -> list[int]:
        if not self.items:
            self.items = msg.items  # keeps a part of the message ...
        self.items.append(len(self.items))  # ... changes it, and answers with its own state
        return self.items


def test_neither_the_message_nor_the_answer_is_shared_with_the_state():
    history = [
        op("a", Push([7]), 0, 1, result=[7, 1]),
        op("a", Push([]), 2, 3, result=[7, 1, 2]),
        op("a", Push([]), 4, 5, result=[7, 1, 2, 3]),
    ]

    assert linearizable(history, Stack)
    assert history[0].message == Push([7])


@message
class Acquire(Request[bool]):
    who: ActorRef


@message
class Holder(Request[ActorRef | None]):
    pass


class Lock(Actor):
    """Keeps the ref of its holder in its state."""

    holder = None

    @receive
    def acquire(self, msg: Acquire) -> bool:
        if self.holder is None:
            self.holder = msg.who
        return self.holder == msg.who

    @receive
    def tell_holder(self, _msg: Holder) -> ActorRef | None:
        return self.holder


def test_refs_in_messages_answers_and_states_are_values():
    async def scenario(sim):
        lock = sim.spawn(Lock, name="lock")
        one, other = (sim.spawn(Store, name=name) for name in ("one", "other"))
        client = history.client("c", lock)
        assert await client.ask(Acquire(one))
        assert not await client.ask(Acquire(other))
        assert await client.ask(Acquire(one))
        assert await client.ask(Holder()) == one

    history = History(clock=lambda: next(ticks))
    ticks = itertools.count()
    assert simulate(scenario).error is None

    linearizable(history, Lock).require()
    lie = op("d", Acquire(ActorRef("other", None)), 100.0, 101.0, result=True)
    assert not linearizable([*history, lie], Lock)


def test_a_message_that_cannot_be_copied_is_no_answer_of_the_specification():
    class Counts:
        handlers = {deque: lambda _self, _message: 1}  # noqa: RUF012

    message = deque([threading.Lock()])

    with pytest.raises(TypeError, match=r"a deque in the history cannot be copied: .*lock"):
        linearizable([op("a", message, 0, 1, result=1)], Counts)


def test_results_compare_by_value_arrays_and_nan_included():
    class Camera(Register):
        def get(self, msg):
            return {"x": np.arange(3), "nan": math.nan}[msg.key]

        handlers = {Get: get}  # noqa: RUF012

    assert linearizable([get(0, 1, np.arange(3), key="x")], Camera)
    assert not linearizable([get(0, 1, np.arange(4), key="x")], Camera)
    assert linearizable([get(0, 1, float("nan"), key="nan")], Camera)


# ---------------------------------------------------------------------------- states


@attrs.define
class Slotted:
    x: list[int]
    y: list[int]


STATES = [
    1, 1.0, True, -0.0, 0.0, math.nan, 2**80, "1", b"1", None, 1j, Fraction(1, 2), (), (1,), [],
    [1], [[1]], {}, {"a": 1}, {"b": 2, "a": 1}, {"a": 1, "b": 2}, set(), {1}, {2, 1},
    frozenset({1}), deque([1]), deque([1], maxlen=2), OrderedDict(a=1), defaultdict(list, a=[1]),
    Counter("aab"), np.arange(3), np.arange(3.0), np.float32(1), Outcome.UNKNOWN, Put("a", 1),
    Put("a", 2), Push([]), Push([1]), Slotted([1], [1]), Register(1), Register([1]),
    random.Random(1), random.Random(2), bytearray(b"x"), [Register(1)], (Register(1), [2]),
    {(1, "a"): [Put("a", 1)]}, int, len,
]  # fmt: skip


def test_states_that_differ_have_different_keys():
    keys = [key_of(state) for state in STATES]

    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("state", STATES, ids=map(str, range(len(STATES))))
def test_a_copy_of_a_state_has_its_key(state):
    assert key_of(copied(state)) == key_of(state)
    assert type(copied(state)) is type(state)


def test_a_copy_shares_nothing_that_can_change():
    state = Register([{"a": [1]}, Slotted([1], [2]), Push([3]), deque([[4]]), ([5],)])
    before = key_of(state)

    copy = copied(state)
    copy.value[0]["a"].append(0)
    copy.value[1].x.append(0)
    copy.value[2].items.append(0)
    copy.value[3][0].append(0)
    copy.value[4][0].append(0)

    assert key_of(state) == before


def test_messages_and_tuples_that_cannot_change_are_not_copied():
    for state in (Put("a", 1), (1, ("a", Put("a", 1)))):
        assert copied(state) is state


def test_one_list_under_two_names_is_kept_and_told_from_two_equal_lists():
    same, other = [1], [1]
    shared, apart = Register([same, same]), Register([same, other])

    assert key_of(shared) != key_of(apart)
    assert key_of([same, other, same]) != key_of([same, other, other])
    copy = copied(shared)
    assert copy.value[0] is copy.value[1]


def test_a_state_that_contains_itself_has_a_key_and_a_copy():
    state = Register()
    state.value = [state]

    copy = copied(state)

    assert copy.value[0] is copy
    assert key_of(copy) == key_of(state)


def test_the_order_in_which_attributes_were_set_makes_no_difference():
    one, other = Register(), Register()
    one.a, one.b = 1, 2
    other.b, other.a = 2, 1

    assert key_of(one) == key_of(other)


def test_equal_states_are_one_state():
    model = Sequential(Store)
    put_a, put_b = Put("a", 1), Put("b", 1)

    _, once = model.step(0, put_a)
    _, twice = model.step(once, put_a)

    assert once == twice != 0
    assert model.step(once, put_b)[1] not in {0, once}


# ---------------------------------------------------------------------------- the text


FAILURE = """\
not linearizable: 6 operations, 8 states tried
The longest order that the specification allows:
    1 alice      Put(key='k', value=1) -> None
    2 bob        Get(key='k') -> 1
    3 carol      Put(key='k', value=2) -> ?
    4 a clien... Get(key='k') -> 2
Then none of these can come next:
      bob        Get(key='k') -> 0
                 where the specification answers 2
Timeline, not to scale ("..." has no end, ">" is stuck):
    alice      |-----------|                        Put(key='k', value=1) -> None
    bob           |-----|                           Get(key='k') -> 1
    carol            |--...                         Put(key='k', value=2) -> ?
    alice                     |--|                  Put(key='k', value=5) -> not handled (NoSuchA...
  > bob                             |-----|         Get(key='k') -> 0
    a clien...                         |------|     Get(key='k') -> 2"""


def test_a_failure_tells_the_order_what_is_stuck_and_the_timeline():
    history = [
        put(0, 4, 1, client="alice"),
        get(1, 3, 1, client="bob"),
        op("carol", Put("k", 2), 2, None),
        op("alice", Put("k", 5), 4.5, 4.6, error=NoSuchActor()),
        get(5, 7, 0, client="bob"),
        get(6, 8, 2, client="a client with a very long name"),
    ]

    assert str(linearizable(history, Store)) == FAILURE


def test_what_the_specification_would_raise_is_told():
    text = str(linearizable([op("a", Take(), 0, 1, result=3)], Store))

    assert "(none at all)" in text
    assert "where the specification raises LookupError: nothing left" in text


def test_a_long_history_is_told_around_what_is_stuck():
    history = [put(n, n + 0.5, n) for n in range(300)]
    history += [get(300, 301, 7), *(get(n, n + 0.5, 299) for n in range(302, 400))]

    text = str(linearizable(history, Store))
    lines = text.splitlines()

    assert len(lines) < 60
    assert "(288 operations before)" in text
    assert "(375 other operations)" in text
    assert "  > b" in text
    assert "Put(key='k', value=299) -> None" in lines[-3]


def test_an_operation_of_unknown_outcome_has_no_end_in_the_timeline():
    lost = op("a", Put("k", 1), 0, 1, error=DeadlineExceeded())

    assert "|--..." in timeline([lost, get(2, 3, 1)])[1]


def test_the_key_is_named_and_the_other_parts_are_left_out():
    history = [put(0, 1, key="fine"), put(0, 1, key="odd"), get(2, 3, 0, key="odd")]

    verdict = linearizable(history, Store, key=lambda msg: msg.key)

    assert verdict.key == "odd"
    assert str(verdict).startswith("not linearizable: 2 operations of key 'odd', ")
    assert "fine" not in str(verdict)


def test_unknown_says_what_to_do():
    verdict = linearizable([put(0, 1), get(2, 3, 1)], Store, max_states=1)

    assert verdict.outcome is Outcome.UNKNOWN
    assert "Raise max_states, or split the history with key=." in str(verdict)
    assert repr(verdict) == f"<Verdict {verdict}>"
    with pytest.raises(AssertionError, match="unknown"):
        verdict.require()


def test_a_part_that_is_not_linearizable_counts_more_than_one_that_is_unknown():
    history = [put(0, 9, n, key="big", client=str(n)) for n in range(6)]
    history += [get(10, 11, 77, key="big"), get(0, 1, 1, key="small")]

    verdict = linearizable(history, Store, key=lambda msg: msg.key, max_states=20)

    assert verdict.outcome is Outcome.NOT_LINEARIZABLE
    assert verdict.key == "small"


def test_text_that_is_not_ascii_and_reprs_of_many_lines_stay_on_their_line():
    history = [get(0, 1, np.zeros((9, 9)), key="\u00e9\n", client="Zo\u00eb")]

    lines = timeline(history)

    assert len(lines) == 2
    assert lines[1].isascii()
    assert lines[1].endswith("...")


# ---------------------------------------------------------------------------- size


def recorded(operations, clients, keys, *, lost=0.0, seed=0):
    """What clients see of a correct store: overlapping operations, some replies lost."""
    chance = random.Random(seed)
    store, free, calls = Store(), dict.fromkeys(range(clients), 0.0), []
    store.on_start()
    for _ in range(operations):
        client = min(free, key=free.get)
        begin = free[client] + chance.random() / 2
        end = free[client] = begin + 3 * chance.random()
        key, kind = f"k{chance.randrange(keys)}", chance.randrange(3)
        msg = [Put(key, chance.randrange(5)), Get(key), Swap(key, *chance.choices(range(5), k=2))]
        calls.append((begin + chance.random() * (end - begin), client, msg[kind], begin, end))
    history = []
    for _, client, msg, begin, end in sorted(calls, key=lambda call: call[0]):
        is_lost = chance.random() < lost
        if is_lost and chance.random() < 0.5:
            history.append(op(f"c{client}", msg, begin))
            continue
        result, _ = run(store, msg)
        history.append(op(f"c{client}", msg, begin, None if is_lost else end, result))
    return history


def with_one_lie(history):
    reads = [n for n, one in enumerate(history) if isinstance(one.message, Get)]
    place = next(n for n in reads[len(reads) * 3 // 4 :] if history[n].returned_at is not None)
    return [*history[:place], attrs.evolve(history[place], result=99), *history[place + 1 :]]


@pytest.mark.parametrize(
    ("operations", "clients", "keys", "lost", "split", "most"),
    [
        (200, 4, 4, 0, False, 5_000),
        (200, 10, 4, 0.05, True, 5_000),
        (1_000, 4, 16, 0, False, 20_000),
        (1_000, 10, 16, 0.05, True, 5_000),
        (1_000, 30, 16, 0.05, True, 10_000),
    ],
)
def test_long_histories_take_few_states(operations, clients, keys, lost, split, most):
    history = recorded(operations, clients, keys, lost=lost)
    key = (lambda msg: msg.key) if split else None

    verdict = linearizable(history, Store, key=key, max_states=most)

    assert verdict
    assert len(verdict.operations) == operations
    if split or operations < 1_000:
        assert linearizable(with_one_lie(history), Store, key=key, max_states=most).outcome is (
            Outcome.NOT_LINEARIZABLE
        )


# ---------------------------------------------------------------------------- recording


class FakeReply:
    """The shape of a Reply, whose end is decided by the test."""

    def __init__(self, end):
        self.end = end

    def result(self, timeout=None):
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.result()


class FakeRef:
    """Answers at once, from a store."""

    def __init__(self):
        self.store, self.ends = Store(), []
        self.store.on_start()

    def ask(self, msg, *, timeout=None):
        end = self.ends.pop(0) if self.ends else run(self.store, msg)[0]
        if isinstance(end, NoSuchActor):
            raise end
        return FakeReply(end)


def test_a_history_records_plain_and_asyncio_clients_by_the_clock_given():
    ticks = itertools.count(10)
    history, ref = History(clock=lambda: next(ticks)), FakeRef()
    alice, bob = history.client("alice", ref), history.client("bob", ref)

    async def write():
        return await alice.ask(Put("k", 3))

    assert asyncio.run(write()) is None
    assert bob.ask(Get("k")).result() == 3

    seen = [(one.client, one.invoked_at, one.returned_at, one.result) for one in history]
    assert seen == [("alice", 10, 11, None), ("bob", 12, 13, 3)]
    assert len(history) == 2
    linearizable(history, Store).require()


def test_what_happens_at_one_tick_of_the_clock_keeps_its_order():
    history, ref = History(clock=lambda: 0.0), FakeRef()
    client = history.client("a", ref)

    client.ask(Put("k", 1)).result()
    client.ask(Get("k")).result()
    times = [moment for one in history for moment in (one.invoked_at, one.returned_at)]

    assert times == sorted(set(times))
    assert times[-1] < 1e-300
    wrong = [
        attrs.evolve(one, result=0) if isinstance(one.message, Get) else one for one in history
    ]
    assert not linearizable(wrong, Store)


def test_errors_are_recorded_and_raised():
    history, ref = History(), FakeRef()
    client = history.client("a", ref)
    gone, lost = NoSuchActor(), DeadlineExceeded()
    ref.ends = [gone, lost]

    with pytest.raises(NoSuchActor):
        client.ask(Get("k"))
    with pytest.raises(DeadlineExceeded):
        client.ask(Get("k")).result()

    assert [one.error for one in history] == [gone, lost]
    assert [one.fate for one in history] == [Fate.NEVER, Fate.LOST]


@pytest.mark.parametrize("end", [TimeoutError(), asyncio.CancelledError(), KeyboardInterrupt()])
def test_giving_up_the_waiting_leaves_the_operation_open(end):
    history, ref = History(), FakeRef()
    ref.ends = [end]
    reply = history.client("a", ref).ask(Get("k"))

    with pytest.raises(type(end)):
        reply.result(0.1)
    assert [one.returned_at for one in history] == [None]

    reply._reply.end = 7
    assert reply.result() == 7
    ended = list(history)
    assert reply.result() == 7
    assert list(history) == ended
    assert [one.result for one in history] == [7]


def test_a_reply_that_nobody_waits_for_counts_as_lost():
    history = History()
    history.client("a", FakeRef()).ask(Put("k", 1))

    assert [one.fate for one in history] == [Fate.LOST]


def test_clients_in_many_threads_share_one_history():
    history, ref = History(), FakeRef()

    def work(name):
        client = history.client(name, ref)
        for n in range(50):
            client.ask(Put(name, n)).result()
            client.ask(Get(name)).result()

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(history) == 400
    linearizable(history, Store, key=lambda msg: msg.key).require()


# ---------------------------------------------------------------------------- the room


def test_the_deciding_rooms_have_no_clock_no_thread_and_no_input():
    world = {"asyncio", "os", "random", "socket", "subprocess", "threading", "time", "zmq"}
    for name in ("linearizability", "operation", "specification", "states", "timeline"):
        module = sys.modules[f"{linearizability_room.__package__}.{name}"]
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert imported & world == set()
