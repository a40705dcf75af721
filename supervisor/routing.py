"""The broker's mind: who holds which name, where a batch goes, who is told what.  A decider.

    hear(party, word)      Hello, Resolve, Declare, Ended, ...  ─► words to send to parties
    forward(party, route)  where a batch goes; remembered, so the next one costs one look-up
    tick                   silent clients are looked for, questions are answered at last
    unreachable(party)     a word could not be sent: a silent client is gone

A *contact* of a name is a party that asked about it or wrote to it: it is told when that name's
life ends (with what the flight recorder said about its own messages) and when the next one is up.
The broker keeps nothing else: no message, no payload.  After its own restart everybody introduces
themselves again.  Until the supervisor has said which names there are, and clients have had time
to come back, a question about an unknown name waits: UNKNOWN would end what is only on its way.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, final

from actors.address import CLIENT_PREFIX, LONGEST_NAME, NET_PREFIX, is_name
from actors.control import (
    ENDED,
    SUPERVISOR,
    Declare,
    Ended,
    Goodbye,
    Heard,
    Hello,
    Obituary,
    Ping,
    Refused,
    Resolve,
    Standing,
    Stands,
    Synced,
    Welcome,
    Word,
    lane_key,
)
from actors.envelope import Route, decode_route
from actors.errors import MessageError
from supervisor.registry import Entry, absent, is_next, missed, remember
from supervisor.visas import Visas, is_acknowledgement

CLIENT_SILENCE: Final = 5.0
"""Seconds after which it is tried whether a silent client can be reached at all."""

CLIENT_RETURN: Final = 15.0
"""Seconds a client has to come back to a new broker, when somebody has heard of it before."""

CLIENT_FIRST: Final = 2.0
"""The same, when nobody has heard of it."""

GONE_NAMES: Final = 10_000
"""Names remembered after their end, so that no late party brings one back to life."""

GONE_OBITUARIES: Final = 256
"""Of so many of them the last lives are remembered too."""

KNOCKING: Final = 1000
"""Parties that wait for the supervisor's word on who they are."""

QUESTIONS: Final = 100_000
"""Questions that wait for an answer, over all parties."""


class Send(NamedTuple):
    """A word for one party."""

    party: bytes
    word: Word


@final
class Routing:
    """Names, parties and routes."""

    def __init__(self, supervisor: bytes) -> None:
        self.routes: dict[bytes, bytes] = {}
        """Routing id + route frame of a sender: routing id of the receiver."""
        self.refused = 0
        self.visas = Visas()
        self._supervisor = supervisor
        self._names: dict[str, Entry] = {}
        self._parties: dict[bytes, tuple[str, int]] = {}
        self._knocking: dict[bytes, tuple[Hello, bytes]] = {}
        """Parties that have said Hello before they were declared, with their host keys."""
        self._gone: dict[str, str] = {}
        self._last_words: dict[str, deque[Ended]] = {}
        self._departed: list[set[bytes]] = [set(), set()]
        """Dead parties whose last batches are still sent on: since this tick, since the last."""
        self._synced_at: float | None = None
        """When the supervisor had said which names there are; None: not yet."""
        self._questions: dict[tuple[bytes, str], Resolve] = {}

    @property
    def parties(self) -> list[bytes]:
        """Routing ids of everybody connected."""
        return list(self._parties)

    # --- batches ---------------------------------------------------------------------------------

    def forward(
        self, party: bytes, frame: bytes, batch: bytes | memoryview = b""
    ) -> bytes | Refused:
        """Return the routing id a batch goes to; a `Refused` is for its sender."""
        try:
            route = decode_route(frame)
        except MessageError as error:
            self.refused += 1
            return Refused("unsupported", str(error))
        name, incarnation = self._parties.get(party, ("", 0))
        if not name:
            return _STRANGER
        if (route.sender, route.sender_incarnation) != (name, incarnation):
            self.refused += 1
            return Refused("impostor", f"you are {name}/{incarnation}")
        target = self._names.get(route.target)
        if target is None or target.party is None or target.incarnation != route.target_incarnation:
            return Refused("no-route", f"{route.target}/{route.target_incarnation} is not here")
        forbidden = self.visas.forbids(party, route.target)
        if forbidden:
            # Who may not write has contacts because they write to it; each batch is looked into.
            news = name in target.contacts and is_acknowledgement(batch)
            self.refused += not news
            return target.party if news else Refused("denied", forbidden)
        self._names[name].contacts.add(route.target)
        target.contacts.add(name)
        self.routes[party + frame] = target.party
        return target.party

    # --- words -----------------------------------------------------------------------------------

    def hear(self, party: bytes, route: Route, word: Word, now: float) -> list[Send]:
        """Take a word of a party; return what to say to whom."""
        match word:
            case Hello():
                return self._hello(party, word, route.host, now)
            case Declare() | Ended() | Synced():
                if party == self._supervisor:
                    # Before its Hello it is the end of what an earlier broker was to be told.
                    return self._told(word, now) if party in self._parties else []
                self.refused += 1
                return [Send(party, Refused("denied", "only the supervisor says that"))]
            case _ if party not in self._parties:
                return self._hear_stranger(party, word)
            case Ping():
                self._names[self._parties[party][0]].seen = now
                return []
            case Resolve():
                return self._resolve(party, word, now)
            case Goodbye():
                name, _ = self._parties[party]
                return self._remove(name, "it left") if self._names[name].client else []
            case _:
                self.refused += 1
                text = f"the broker does not take {type(word).__name__}"
                return [Send(party, Refused("unsupported", text))]

    def _hear_stranger(self, party: bytes, word: Word) -> list[Send]:
        if party not in self._knocking:
            return [Send(party, _STRANGER)]
        if isinstance(word, Resolve):
            self._ask(party, word)
        return []

    def tick(self, now: float) -> list[Send]:
        """Do what is due about once a second."""
        # A program that computes for long may be silent, so silence alone ends nobody: a word is
        # sent to it, and when that cannot be done `unreachable` is called.
        sends = [
            Send(entry.party, _WELCOME)
            for entry in self._names.values()
            if entry.client and entry.party and now - entry.seen > CLIENT_SILENCE
        ]
        self._departed.insert(0, set())
        self._drop_routes(self._departed.pop())
        return sends + self._try_questions(now)

    def unreachable(self, party: bytes, now: float) -> list[Send]:
        """A word could not be sent to this party; a client that is silent too is gone."""
        name, _ = self._parties.get(party, ("", 0))
        entry = self._names.get(name)
        if entry is None or not entry.client or now - entry.seen <= CLIENT_SILENCE:
            return []
        return self._remove(name, "its connection is gone")

    # --- who is who ------------------------------------------------------------------------------

    def _hello(self, party: bytes, word: Hello, host: bytes, now: float) -> list[Send]:
        refusal = self._refusal(party, word)
        if refusal is not None:
            self.refused += 1
            if party not in self._parties:
                self.visas.forget(party)
            return [Send(party, refusal)]
        entry = self._names.get(word.name)
        if word.name == SUPERVISOR or (word.name.startswith(CLIENT_PREFIX) and entry is None):
            entry = self._names.setdefault(word.name, Entry())
            entry.client, entry.standing = word.name != SUPERVISOR, Standing.UP
        elif entry is None or not (entry.client or entry.expected) or self._is_next(word):
            remember(self._knocking, party, (word, host), KNOCKING)
            return []
        return self._register(party, word, host, now)

    def _register(self, party: bytes, word: Hello, host: bytes, now: float) -> list[Send]:
        entry = self._names[word.name]
        near = not word.name.startswith(NET_PREFIX)  # nobody connects directly over the network
        entry.party, entry.host, entry.seen = party, host if near else b"", now
        entry.endpoint = word.endpoint if near else ""
        entry.incarnation = word.incarnation
        self._parties[party] = (word.name, word.incarnation)
        # The supervisor may be the last to find a new broker: it hears then who is here already.
        here = self._parties if party == self._supervisor else [party]
        words = [self.visas.vouch(one, self._parties[one][0]) for one in here]
        sends = [Send(self._supervisor, vouched) for vouched in words if vouched]
        # Whoever wrote to it in vain meanwhile writes again when it hears that it is here.
        sends += [Send(party, _WELCOME), *self._announce(word.name)]
        return sends + self._try_questions(now)

    def expel(self, party: bytes, reason: str) -> list[Send]:
        """Show a party out, for good."""
        name, _ = self._parties.get(party, ("", 0))
        self.visas.forget(party)
        gone = self._remove(name, reason) if name else []
        return [Send(party, Refused("expelled", reason)), *gone]

    def _refusal(self, party: bytes, word: Hello) -> Refused | None:
        name, life = word.name, (word.name, word.incarnation)
        if self._parties.get(party, life) != life:
            return Refused("impostor", f"you are {self._parties[party][0]}")
        if name == SUPERVISOR or party == self._supervisor:
            right = name == SUPERVISOR and party == self._supervisor
            return None if right else Refused("impostor", "you are not the supervisor")
        if name in self._gone and not self._is_next(word):
            return Refused("expelled", f"{name} is gone: {self._gone[name]}")
        if not is_name(name) or word.incarnation < 1:
            return Refused("impostor", "that is no name, or no life")
        entry = self._names.get(name)
        if entry is None or self.visas.refusal(party, name):
            return self.visas.refusal(party, name)
        if entry.client:
            taken = Refused("name-taken", f"{name} is here already")
            return None if entry.party == party else taken
        present = (entry.expected, entry.incarnation) == (party, word.incarnation)
        if entry.expected and not present and not self._is_next(word):
            return Refused("stale", f"{name}/{word.incarnation} is not the present incarnation")
        return None

    def _is_next(self, word: Hello) -> bool:
        """Whether it may be a life of which the supervisor's word is still on its way."""
        return is_next(word, self._names.get(word.name), self._last_words.get(word.name, ()))

    # --- questions -------------------------------------------------------------------------------

    def _resolve(self, party: bytes, word: Resolve, now: float) -> list[Send]:
        forbidden = self.visas.forbids(party, word.name)
        if forbidden:
            # Events come to it all the same, and each life counts what it has acknowledged.
            denied = Stands(word.name, Standing.DENIED, 0, reason=forbidden)
            return [*self._missed(party, word), Send(party, denied)]
        if len(word.name) > LONGEST_NAME:  # comparing it with others would take long
            return [Send(party, Stands(word.name, Standing.UNKNOWN, 0))]
        asker, _ = self._parties[party]
        entry = self._names.get(word.name)
        if entry is None:
            if word.name not in self._gone and self._may_come(word, now):
                self._ask(party, word)
                return []
            # Whoever may ask about a name may know of the others too: see `Visas.forbids`.
            stands = absent(word.name, self._gone, self._names)
        else:
            entry.contacts.add(asker)
            self._names[asker].contacts.add(word.name)
            stands = entry.stands(word.name)
        return [*self._missed(party, word), Send(party, stands)]

    def _missed(self, party: bytes, word: Resolve) -> list[Send]:
        lives = missed(word, self._names.get(word.name), self._last_words.get(word.name, ()))
        return [Send(party, self._obituary(one, party)) for one in lives]

    def _ask(self, party: bytes, word: Resolve) -> None:
        """Let a question wait."""
        if len(self._questions) < QUESTIONS:
            self._questions[party, word.name] = word

    def _may_come(self, word: Resolve, now: float) -> bool:
        """Whether a name that is unknown now may be known in a moment."""
        if self._synced_at is None:
            return True
        patience = CLIENT_RETURN if word.known else CLIENT_FIRST
        return word.name.startswith(CLIENT_PREFIX) and now - self._synced_at < patience

    def _try_questions(self, now: float) -> list[Send]:
        """Answer the questions that came before there was an answer."""
        if not self._questions:
            return []
        questions, self._questions = self._questions, {}
        sends: list[Send] = []
        for (party, _), word in questions.items():
            if party in self._parties:
                sends += self._resolve(party, word, now)
            elif party in self._knocking:
                self._ask(party, word)
        return sends

    # --- the supervisor's words ------------------------------------------------------------------

    def _told(self, word: Declare | Ended | Synced, now: float) -> list[Send]:
        match word:
            case Synced():
                self._synced_at = now
                heard = [Send(self._supervisor, Heard(word.number))] if word.number else []
                return heard + self._try_questions(now)
            case Ended():
                return self._ended(word)
            case Declare() if word.standing in ENDED:
                self._names.setdefault(word.name, Entry())
                removed = self._remove(word.name, word.reason, word.standing)
                return removed + self._try_questions(now)
            case Declare():
                return self._declare(word, now)

    def _declare(self, word: Declare, now: float) -> list[Send]:
        self._gone.pop(word.name, None)
        entry = self._names.get(word.name)
        if entry is None:
            entry = self._names[word.name] = Entry()
            entry.ended.extend(self._last_words.pop(word.name, ()))
        if word.routing_id != entry.party:
            self._forget_party(entry)
        entry.client = False
        entry.standing, entry.incarnation = word.standing, word.incarnation
        entry.members = word.members
        entry.expected, entry.mailbox, entry.reason = word.routing_id, word.mailbox, word.reason
        hello, host = self._knocking.pop(word.routing_id, (None, b""))
        if hello is not None and (hello.name, hello.incarnation) == (word.name, word.incarnation):
            return self._register(word.routing_id, hello, host, now)
        return self._announce(word.name) + self._try_questions(now)

    def _ended(self, word: Ended) -> list[Send]:
        entry = self._names.setdefault(word.name, Entry())
        entry.ended.append(word)
        if entry.incarnation <= word.incarnation:
            # What it sent last may still arrive, overtaken by this word on another connection.
            self._forget_party(entry, late=True)
            entry.standing, entry.incarnation, entry.expected = Standing.DOWN, word.incarnation, b""
            entry.reason = word.reason
        return [Send(party, self._obituary(word, party)) for party in self._present(entry.contacts)]

    def _announce(self, name: str) -> list[Send]:
        entry = self._names[name]
        stands, contacts = entry.stands(name), self._present(entry.contacts)
        return [Send(party, stands) for party in self.visas.hearers(contacts, stands)]

    def _remove(self, name: str, reason: str, standing: Standing = Standing.GONE) -> list[Send]:
        entry = self._names[name]
        self._forget_party(entry)
        entry.standing, entry.reason = standing, reason
        sends = self._announce(name)
        del self._names[name]
        for other in entry.contacts:
            if other in self._names:
                self._names[other].contacts.discard(name)
        remember(self._gone, name, reason, GONE_NAMES)
        if entry.ended:
            remember(self._last_words, name, entry.ended, GONE_OBITUARIES)
        return sends

    # --- parties ---------------------------------------------------------------------------------

    def _forget_party(self, entry: Entry, *, late: bool = False) -> None:
        party, entry.party = entry.party, None
        if party is None:
            return
        self._parties.pop(party, None)
        self.visas.forget(party)
        self.routes = {k: v for k, v in self.routes.items() if v != party}
        if late:
            self._departed[0].add(party)
        else:
            self._drop_routes({party})

    def _drop_routes(self, parties: set[bytes]) -> None:
        if parties:
            ids = tuple(parties)
            self.routes = {k: v for k, v in self.routes.items() if not k.startswith(ids)}

    def _obituary(self, ended: Ended, party: bytes) -> Obituary:
        lane = ended.lanes.get(lane_key(*self._parties[party]))
        return Obituary(ended.name, ended.incarnation, ended.reason, lane, ended.known)

    def _present(self, names: set[str]) -> list[bytes]:
        """Return the parties among `names`, in an order that does not depend on hashes."""
        entries = [self._names[name] for name in sorted(names) if name in self._names]
        return [entry.party for entry in entries if entry.party is not None]


_STRANGER: Final = Refused("unregistered", "say Hello first")
_WELCOME: Final = Welcome(SUPERVISOR)
