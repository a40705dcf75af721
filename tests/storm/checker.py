"""Reads what a storm has left behind, and says what should not be.  Pure.

    order        what one sender sent to one actor was begun in that order
    nothing lost every accepted message was begun, or came back with a reason
    never twice  a second beginning only where a class is redelivered, and then in another life
    no excuse    "perhaps handled" is said once for each death, and not more often
    notices      every ended life is heard of once, in order
    asks         every one ended, and not after its deadline

A pool counts as one actor without an order.  Whoever passes on what it is told is a sender that
dies: of what one of its lives passed on, a tail may be missing, and nothing before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

import attrs

from tests.storm.records import (
    ANSWER_LOST,
    ANSWERED,
    CLOSED,
    FAILED,
    HUNG,
    OVERDUE,
    REFUSED,
    TOLD,
    UNDELIVERED,
    UNKNOWN,
    WRONG,
    End,
    Handled,
    Letter,
    Sent,
)

Key = tuple[str, str, int]
"""Station, sender, number: one message at one place."""

BEGINNINGS = {
    ANSWERED: (1, 1),
    TOLD: (1, 1),
    UNDELIVERED: (0, 0),
    REFUSED: (0, 0),
    UNKNOWN: (0, 1),
    OVERDUE: (0, 1),
    ANSWER_LOST: (1, 1),
    FAILED: (0, 1),
    CLOSED: (0, 1),
}
"""How often the handler of a message may have begun, by what its sender was told."""

ATTEMPTS = 3
MOST_COMPLAINTS = 50


@attrs.frozen
class Storm:
    """What happened, as far as anybody can tell."""

    sent: list[Sent]
    handled: list[Handled]
    letters: list[Letter]
    ends: list[End]
    """As one who watches everybody heard of them."""
    lives: Mapping[str, int]
    """The number of the life that was there at the end, for each actor."""
    fatal: Mapping[str, int] = attrs.field(factory=dict)
    """How often each was meant to die."""
    passes_on: Mapping[str, str] = attrs.field(factory=dict)
    """Who passes on what it is told, and to whom."""
    killed: frozenset[str] = frozenset()
    """Senders that died: what they had not noted is unknown, what they had told may be lost."""
    overlap: Mapping[str, int] = attrs.field(factory=dict)
    """How many handlers may be in progress at once, where it is not one."""
    patience: float = 20.0
    """Seconds that the end of an ask may lie behind its deadline; most are a busy machine's."""


def complaints(storm: Storm) -> list[str]:
    """Return what should not have happened, in words; nothing is the best one can say."""
    found: list[str] = []
    for rule in (_order, _lives, _repetitions, _fates, _passed_on, _excuses, _notices, _asks):
        found += rule(storm)
    return found[:MOST_COMPLAINTS]


def station(actor: str) -> str:
    """Return the name that messages are sent to: members of a pool have one together."""
    return actor.partition("#")[0]


def _lines(storm: Storm) -> dict[Key, list[Handled]]:
    found: dict[Key, list[Handled]] = defaultdict(list)
    for line in storm.handled:
        found[station(line.actor), line.sender, line.number].append(line)
    return found


def _order(storm: Storm) -> Iterator[str]:
    last: dict[tuple[str, str], Handled] = {}
    for line in storm.handled:
        if "#" in line.actor:
            continue
        before = last.get((line.actor, line.sender))
        if before is not None and before.number > line.number:
            yield f"order: {line} after {before}"
        last[line.actor, line.sender] = line


def _lives(storm: Storm) -> Iterator[str]:
    """No life begins anything after its successor has."""
    newest: dict[str, int] = {}
    for line in storm.handled:
        if line.life < newest.get(line.actor, 1):
            yield f"a life that was over: {line}"
        newest[line.actor] = max(line.life, newest.get(line.actor, 1))


def _repetitions(storm: Storm) -> Iterator[str]:
    """Which life takes what for the how manieth time."""
    insisted = {(s.sender, s.number) for s in storm.sent if s.how.startswith("insist")}
    noted = {(s.sender, s.number) for s in storm.sent}
    for key, lines in _lines(storm).items():
        unknown = key[1] in storm.killed and key[1:] not in noted  # it may have insisted
        if key[1:] not in insisted and not unknown:
            if len(lines) > 1 or lines[0].attempt != 1:
                yield f"twice: {lines}"
            continue
        if len(lines) > ATTEMPTS:
            yield f"more than {ATTEMPTS} times: {lines}"
        for first, second in pairwise(sorted(lines, key=lambda line: line.attempt)):
            same_life = (first.actor, first.life) == (second.actor, second.life)
            if first.attempt == second.attempt or same_life:
                yield f"twice: {first}, {second}"


def _fates(storm: Storm) -> Iterator[str]:
    """What senders were told, against what began."""
    lines, letters = _lines(storm), Counter[Key]()
    begun: dict[Key, bool] = {}
    for letter in storm.letters:
        key = station(letter.target), letter.sender, letter.number
        letters[key] += 1
        begun[key] = letter.begun
    for key, count in letters.items():
        if count > 1:
            yield f"{count} dead letters of one message: {key}"
    sent_to: set[Key] = set()
    for message in storm.sent:
        key = message.target, message.sender, message.number
        sent_to.add(key)
        count, letter = len(lines.get(key, ())), begun.get(key)
        lost = message.outcome == TOLD and not count and letter is None
        if not (lost and message.sender in storm.killed):
            yield from _fate(message, count=count, letter=letter)
    later = set(storm.passes_on.values())
    for key in [*lines, *letters]:
        if key not in sent_to and key[0] not in later and key[1] not in storm.killed:
            yield f"from nowhere: {key}"


def _fate(message: Sent, *, count: int, letter: bool | None) -> Iterator[str]:
    """`letter`: whether it says that the handler may have begun; None when there is none."""
    if message.outcome in (HUNG, WRONG):
        return
    least, most = BEGINNINGS[message.outcome]
    if message.outcome == TOLD and letter is not None:
        least, most = (0, 1) if letter else (0, 0)
    elif letter is not None:
        yield f"a dead letter of what has come back already: {message}"
    if message.how.startswith("insist"):
        most *= ATTEMPTS
    if message.how == "stream":
        most = 1  # one that has begun ends as `ActorStopped` too
    if count < least:
        yield f"lost: {message}"
    elif count > most:
        yield f"handled although it was said that it was not: {message}, {count} times"


def _passed_on(storm: Storm) -> Iterator[str]:
    for first, second in storm.passes_on.items():
        yield from _passed_between(storm, first, second)


def _passed_between(storm: Storm, first: str, second: str) -> Iterator[str]:
    """Of what one life passed on, nothing is missing before something that arrived."""
    known = {(s.sender, s.number) for s in storm.sent if s.target == second}
    tells = {(s.sender, s.number) for s in storm.sent if s.how == "tell"}
    here = {(m.sender, m.number) for m in storm.handled if m.actor == second}
    back = {(m.sender, m.number) for m in storm.letters if m.target == second}
    by_life: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for line in storm.handled:
        if line.actor == first:
            by_life[line.life].append((line.sender, line.number))
    for life, passed in by_life.items():
        arrived = life == storm.lives.get(first)
        for message in reversed(passed):
            if message in here or message in back:
                arrived = True
            elif arrived and message in tells:
                yield f"lost between {first}/{life} and {second}: {message}"
        known.update(passed)
    yield from (f"from nowhere at {second}: {message}" for message in here - known)


def _excuses(storm: Storm) -> Iterator[str]:
    """One death excuses one message, or as many as may be in progress at once."""
    deaths, excused = Counter[str](), Counter[str]()
    for name, life in storm.lives.items():
        deaths[station(name)] += life - 1
        if name in storm.fatal and life - 1 > storm.fatal[name]:
            yield f"{name} ended {life - 1} times, and was meant to {storm.fatal[name]} times"
    # As many streams as there are may be open at a death.
    unknown = [one for one in storm.sent if one.outcome == UNKNOWN and one.how != "stream"]
    excused.update(message.target for message in unknown)
    excused.update(station(letter.target) for letter in storm.letters if letter.begun)
    excused.update(station(line.actor) for line in storm.handled if line.attempt > 1)
    for name, count in excused.items():
        if count > deaths[name] * storm.overlap.get(name, 1):
            yield f"{count} messages of {name} perhaps handled, and it ended {deaths[name]} times"


def _notices(storm: Storm) -> Iterator[str]:
    heard: dict[str, list[int]] = defaultdict(list)
    for end in storm.ends:
        heard[end.name].append(end.life)
    for name, life in storm.lives.items():
        if heard[name] != list(range(1, life)):
            yield f"{name} is in its life {life}; heard of the ends of {_brief(heard[name])}"


def _brief(numbers: list[int]) -> str:
    gaps = [f"{a} then {b}" for a, b in pairwise([0, *numbers]) if b != a + 1]
    return f"{len(numbers)} lives, {', '.join(gaps) or 'in order'}"


def _asks(storm: Storm) -> Iterator[str]:
    for message in storm.sent:
        if message.outcome == HUNG:
            yield f"never ended: {message}"
        elif message.outcome == WRONG:
            yield f"the answer to something else: {message}"
        elif message.late > storm.patience:
            yield f"ended {message.late:.2f} s after its deadline: {message}"


def tally(sent: Iterable[Sent]) -> dict[str, int]:
    """Return how many messages ended in which way."""
    return dict(Counter(message.outcome for message in sent))
