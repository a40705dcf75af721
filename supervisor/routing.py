"""The broker's mind: who holds which name, where a batch goes, who is told what.  A decider.

    hear(party, word)      Hello, Resolve, Declare, Ended, ...  ─► words to send to parties
    forward(party, route)  where a batch goes; remembered, so the next one costs one look-up

A *contact* of a name is a party that asked about it or wrote to it: it is told when that name's
life ends (with what the flight recorder said about its own messages) and when the next one is up.
The broker keeps nothing else: no message, no payload.  After its own restart everybody introduces
themselves again, and questions wait until the supervisor has said which names there are.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple, final

from actors.control import (
    SUPERVISOR,
    Declare,
    Ended,
    Goodbye,
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

CLIENT_PREFIX: Final = "client-"
"""Names that a program may take by itself."""

CLIENT_SILENCE: Final = 15.0
"""Seconds after which a silent client counts as gone."""

OBITUARIES: Final = 32
"""Ended lives remembered per name, for parties that were away."""

GONE_NAMES: Final = 10_000
"""Names remembered after their end, so that no late party brings one back to life."""


class Send(NamedTuple):
    """A word for one party."""

    party: bytes
    word: Word


class _Name:
    """What is known of one name."""

    __slots__ = ("contacts", "ended", "expected", "host", "incarnation", "mailbox", "party", "reason", "seen", "standing")

    def __init__(self) -> None:
        self.standing = Standing.DOWN
        self.incarnation = 0
        self.expected = b""
        """Routing id that the supervisor gave to the present incarnation."""
        self.party: bytes | None = None
        """Routing id of the connected holder."""
        self.host = b""
        self.mailbox = 0
        self.reason = ""
        self.seen = 0.0
        self.contacts: set[str] = set()
        self.ended: deque[Ended] = deque(maxlen=OBITUARIES)


@final
class Routing:
    """Names, parties and routes."""

    def __init__(self, supervisor: bytes) -> None:
        self.routes: dict[bytes, bytes] = {}
        """Routing id + route frame of a sender: routing id of the receiver."""
        self.refused = 0
        self._supervisor = supervisor
        self._names: dict[str, _Name] = {}
        self._parties: dict[bytes, tuple[str, int]] = {}
        self._gone: dict[str, str] = {}
        self._synced = False
        self._questions: list[tuple[bytes, Resolve]] = []

    @property
    def parties(self) -> list[bytes]:
        """Routing ids of everybody connected."""
        return list(self._parties)

    # --- batches ---------------------------------------------------------------------------------

    def forward(self, party: bytes, frame: bytes) -> bytes | Refused:
        """Return the routing id a batch goes to; a `Refused` is for its sender."""
        try:
            route = decode_route(frame)
        except MessageError as error:
            self.refused += 1
            return Refused("unsupported", str(error))
        name, incarnation = self._parties.get(party, ("", 0))
        if not name:
            return Refused("unregistered", "say Hello first")
        if (route.sender, route.sender_incarnation) != (name, incarnation):
            self.refused += 1
            return Refused("impostor", f"you are {name}/{incarnation}")
        target = self._names.get(route.target)
        if target is None or target.party is None or target.incarnation != route.target_incarnation:
            return Refused("no-route", f"{route.target}/{route.target_incarnation} is not here")
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
            case Ping():
                return self._ping(party, now)
            case Declare() | Ended() | Synced():
                if party != self._supervisor:
                    self.refused += 1
                    return [Send(party, Refused("denied", "only the supervisor says that"))]
                return self._told(word, now)
            case _ if party not in self._parties:
                return [Send(party, Refused("unregistered", "say Hello first"))]
            case Resolve():
                return self._resolve(party, word)
            case Goodbye():
                name, _ = self._parties[party]
                return self._remove(name, "it left") if name.startswith(CLIENT_PREFIX) else []
            case _:
                self.refused += 1
                return [Send(party, Refused("unsupported", f"the broker does not take {type(word).__name__}"))]

    def tick(self, now: float) -> list[Send]:
        """Forget clients that have been silent for too long."""
        silent = [
            name
            for name, entry in self._names.items()
            if name.startswith(CLIENT_PREFIX) and now - entry.seen > CLIENT_SILENCE
        ]
        return [send for name in silent for send in self._remove(name, "it fell silent")]

    def _hello(self, party: bytes, word: Hello, host: bytes, now: float) -> list[Send]:
        refusal = self._refusal(party, word)
        if refusal is not None:
            self.refused += 1
            return [Send(party, refusal)]
        entry = self._names.get(word.name)
        if entry is None:
            entry = self._names[word.name] = _Name()
        entry.party, entry.host, entry.seen = party, host, now
        entry.incarnation = word.incarnation
        self._parties[party] = (word.name, word.incarnation)
        sends = [Send(party, Welcome(SUPERVISOR if self._synced else ""))]
        if word.name.startswith(CLIENT_PREFIX) or word.name == SUPERVISOR:
            entry.standing = Standing.UP
            sends += self._announce(word.name)
            sends += self._answer_waiting(word.name)
        return sends

    def _refusal(self, party: bytes, word: Hello) -> Refused | None:
        if word.name in self._gone:
            return Refused("expelled", f"{word.name} is gone: {self._gone[word.name]}")
        if word.name == SUPERVISOR:
            return None if party == self._supervisor else Refused("impostor", "you are not the supervisor")
        entry = self._names.get(word.name)
        if word.name.startswith(CLIENT_PREFIX):
            if entry is not None and entry.party != party:
                return Refused("name-taken", f"{word.name} is connected already")
            return None
        if entry is None or not entry.expected:
            # Before the supervisor has spoken, anybody may be right; its word decides later.
            return None if not self._synced else Refused("impostor", f"nobody expects {word.name}")
        if (entry.expected, entry.incarnation) != (party, word.incarnation):
            return Refused("stale", f"{word.name}/{word.incarnation} is not the present incarnation")
        return None

    def _ping(self, party: bytes, now: float) -> list[Send]:
        known = self._parties.get(party)
        if known is None:
            return [Send(party, Refused("unregistered", "say Hello first"))]
        self._names[known[0]].seen = now
        return []

    def _resolve(self, party: bytes, word: Resolve) -> list[Send]:
        asker, _ = self._parties[party]
        entry = self._names.get(word.name)
        if entry is None or (not self._synced and not entry.standing == Standing.UP):
            if not self._synced:
                self._questions.append((party, word))
                return []
            standing = Standing.GONE if word.name in self._gone else Standing.UNKNOWN
            return [Send(party, Stands(word.name, standing, 0, reason=self._gone.get(word.name, "")))]
        entry.contacts.add(asker)
        self._names[asker].contacts.add(word.name)
        missed = [e for e in entry.ended if word.known and e.incarnation >= word.known]
        sends = [Send(party, self._obituary(ended, party)) for ended in missed]
        if word.known and word.known < entry.incarnation and not any(e.incarnation == word.known for e in missed):
            sends.insert(0, Send(party, Obituary(word.name, word.known, "long ago", None, known=False)))
        return [*sends, Send(party, _stands(word.name, entry))]

    def _answer_waiting(self, name: str | None = None) -> list[Send]:
        """Answer the questions that came before there was an answer."""
        due = [q for q in self._questions if name in (None, q[1].name)]
        self._questions = [q for q in self._questions if q not in due]
        return [send for party, word in due if party in self._parties for send in self._resolve(party, word)]

    # --- the supervisor's words ------------------------------------------------------------------

    def _told(self, word: Declare | Ended | Synced, now: float) -> list[Send]:
        match word:
            case Synced():
                self._synced = True
                for entry in self._names.values():
                    entry.seen = now
                return self._answer_waiting()
            case Ended():
                return self._ended(word)
            case Declare(standing=Standing.GONE):
                return self._remove(word.name, word.reason)
            case Declare():
                return self._declare(word)

    def _declare(self, word: Declare) -> list[Send]:
        self._gone.pop(word.name, None)
        entry = self._names.setdefault(word.name, _Name())
        if word.routing_id and entry.party not in (None, word.routing_id):
            # Somebody else said Hello by this name before the supervisor had spoken.
            self._forget_party(entry)
        entry.standing, entry.incarnation = word.standing, word.incarnation
        entry.expected, entry.mailbox, entry.reason = word.routing_id, word.mailbox, word.reason
        return self._announce(word.name)

    def _ended(self, word: Ended) -> list[Send]:
        entry = self._names.setdefault(word.name, _Name())
        entry.ended.append(word)
        if entry.incarnation <= word.incarnation:
            self._forget_party(entry)
            entry.standing, entry.incarnation, entry.expected = Standing.DOWN, word.incarnation, b""
            entry.reason = word.reason
        return [
            Send(party, self._obituary(word, party)) for party in map(self._party_of, entry.contacts) if party
        ]

    def _announce(self, name: str) -> list[Send]:
        entry = self._names[name]
        stands = _stands(name, entry)
        return [Send(party, stands) for party in map(self._party_of, entry.contacts) if party]

    def _remove(self, name: str, reason: str) -> list[Send]:
        entry = self._names.get(name)
        if entry is None:
            return []
        self._forget_party(entry)
        entry.standing, entry.reason = Standing.GONE, reason
        sends = self._announce(name)
        del self._names[name]
        for other in entry.contacts:
            if other in self._names:
                self._names[other].contacts.discard(name)
        self._gone[name] = reason
        while len(self._gone) > GONE_NAMES:
            del self._gone[next(iter(self._gone))]
        return sends

    def _forget_party(self, entry: _Name) -> None:
        party, entry.party = entry.party, None
        if party is None:
            return
        self._parties.pop(party, None)
        self.routes = {k: v for k, v in self.routes.items() if v != party and not k.startswith(party)}

    def _obituary(self, ended: Ended, party: bytes) -> Obituary:
        lane = ended.lanes.get(lane_key(*self._parties[party]))
        return Obituary(ended.name, ended.incarnation, ended.reason, lane, ended.known)

    def _party_of(self, name: str) -> bytes | None:
        entry = self._names.get(name)
        return entry.party if entry is not None else None


def _stands(name: str, entry: _Name) -> Stands:
    return Stands(name, entry.standing, entry.incarnation, entry.mailbox, entry.reason, entry.host)
