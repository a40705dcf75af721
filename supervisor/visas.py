"""What the broker knows of parties that came over the network: whose key, and what it may do.

A decider.  Their names begin with "client-net-", which nobody else's may, so a name alone says
that a role has to be asked for; whoever has none may do nothing.

    Hello     ─► the name must be one of theirs
    welcome   ─► the supervisor is told name, key and role (`Vouched`) before anything they send;
                 when it comes to a new broker after them, it is told then
    route     ─► a viewer's messages go to the supervisor only; its acknowledgements of events also
                 to the actors that have sent it some, or they would stop
    re-check  ─► a key that was revoked, or has another role now, is shown out: once a second, and
                 when it says Hello again
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, final

from actors.address import NET_PREFIX
from actors.control import ENDED, SUPERVISOR, Refused, Stands, Vouched
from actors.envelope import decode_batch
from actors.errors import MessageError
from supervisor.roles import Role

OUTSIDE: Final = b"~"
"""First byte of the id of a party on the network side; the ids of local ones are shorter."""


class Visa(NamedTuple):
    """What was found out about a key."""

    key: bytes
    owner: str
    """The name the key was given."""
    role: Role


@final
class Visas:
    """Who came over the network."""

    def __init__(self) -> None:
        self._visas: dict[bytes, Visa] = {}

    def issue(self, party: bytes, visa: Visa) -> str:
        """The key of a party was recognised; return why the party has to go, "" when it may stay.

        What it holds is never exchanged for another: the ways it was shown would stay open to it.
        """
        held = self._visas.setdefault(party, visa)
        return "" if held == visa else _changed(visa)

    def refusal(self, party: bytes, name: str) -> Refused | None:
        """Say why a party may not take this name; None when it may."""
        visa = self._visas.get(party)
        if (visa is not None) != name.startswith(NET_PREFIX):
            text = f"names beginning with {NET_PREFIX!r} are for programs on the network, only"
            return Refused("impostor", text)
        return None

    def vouch(self, party: bytes, name: str) -> Vouched | None:
        """Return what the supervisor must know of a party that is welcome."""
        visa = self._visas.get(party)
        return None if visa is None else Vouched(name, visa.owner, str(visa.role))

    def forbids(self, party: bytes, target: str) -> str:
        """Say why a party may not write to `target`; "" when it may."""
        visa = self._visas.get(party)
        if visa is None or target == SUPERVISOR or visa.role.covers(Role.OPERATOR):
            return ""
        return f"the key {visa.owner} is a {visa.role}'s: it may look, not talk to actors"

    def hearers(self, parties: list[bytes], stands: Stands) -> list[bytes]:
        """Return those of the parties that are told how a name stands.

        Its end is for all; who may not write to it was told so, which a new life does not change.
        """
        if stands.standing in ENDED:
            return parties
        return [party for party in parties if not self.forbids(party, stands.name)]

    def expired(self, find: Callable[[bytes], Visa | None]) -> list[tuple[bytes, str]]:
        """Return the parties whose key may not do any more what it did, and why."""
        found: list[tuple[bytes, str]] = []
        for party, visa in self._visas.items():
            now = find(visa.key)
            if now is None:
                found.append((party, f"its key {visa.owner} was revoked"))
            elif now != visa:
                found.append((party, _changed(now)))
        return found

    def forget(self, party: bytes) -> None:
        """A party is gone."""
        self._visas.pop(party, None)


def _changed(now: Visa) -> str:
    return f"its key is {now.owner}, {now.role}, now; connect again"


def is_acknowledgement(batch: bytes | memoryview) -> bool:
    """Whether a batch says what has arrived, and holds nothing that reaches anybody."""
    try:
        return not decode_batch(batch).envelopes
    except MessageError:
        return False
