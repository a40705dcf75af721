"""Roads: over which connection the letters of a link travel.  A decider.

    relay     through the broker: always there first, and again when a direct road breaks
    direct    a connection between two lives of one host, made by either, used by both; never over
              the network, where the broker alone has the keys (docs/explanation/security.md)

    first letter over the relay ─► dial ─► Meet ─► Met ─► a better road is known
        ─► nothing is under way on the relay ─► the letters take the direct road

Letters are numbered, so a receiver takes nothing twice and nothing early, whatever road it came by.
Nothing need be sorted there either: the sender changes roads when all that it has sent has arrived.
What little may still be under way is sent again on the new road; if it is much, new letters are
held back for the one round trip until it has arrived.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, TypeAlias, final

from actors.control import Meet, Met, Standing, decode_word, encode_word
from actors.envelope import LONGEST_ROUTE, MAGIC, Route, decode_route, encode_route
from actors.errors import MessageError
from actors.link import Link, Road

MOST_ROADS: Final = 256
"""Direct connections a party makes, and as many again that it takes; the others use the relay."""

PATIENCE: Final = 0.1
"""Seconds the relay has to say that everything has arrived."""

FEW: Final = 16
SMALL: Final = 64 << 10
"""Letters, and bytes in them, that are rather sent twice than waited for."""

REDIAL: Final = 1.0
"""Seconds after which a connection that came to nothing, or broke, is tried again; then twice as
many, and so on."""

MOST_DIALS: Final = 6
"""Tries for one life."""

RETIRED: Final = 64
"""Roads to lives that are over, from which answers may still arrive."""

Frames: TypeAlias = list[bytes | memoryview]

Parcel: TypeAlias = tuple[Road, Frames]
"""What shall go out on a direct connection."""

_INTRODUCTION: Final = 2  # frames: route, word


@final
class Roads:
    """The direct connections of one party."""

    def __init__(self, name: str, incarnation: int, host: bytes) -> None:
        self.near: tuple[str, ...] = ()
        """How endpoints begin that we can reach; none: everything is relayed."""
        self.dials: deque[Road] = deque()
        """To connect now."""
        self.hangups: deque[Road] = deque()
        """To disconnect now."""
        self.parcels: deque[Parcel] = deque()
        """To send now."""
        self.dialled: dict[bytes, Road] = {}
        self.met: dict[bytes, Road] = {}
        self._name = name
        self._incarnation = incarnation
        self._host = host
        self._lives: dict[tuple[str, int], Road] = {}
        """Open roads by where they lead."""
        self._retired: deque[Road] = deque()
        self._serial = 0
        self.next_due = math.inf
        """When a link has waited long enough for the relay's word."""

    @property
    def busy(self) -> bool:
        """Whether there is something to do for the doer."""
        return bool(self.parcels or self.dials or self.hangups)

    # --- making a connection ---------------------------------------------------------------------

    def wish(self, link: Link, now: float) -> None:
        """Letters of this link went over the relay: connect, unless that was just tried."""
        if link.way.better is not None or now < link.way.dial_at or not self._reaches(link):
            return
        if link.way.dials >= MOST_DIALS or len(self.dialled) >= MOST_ROADS:
            return
        link.way.dial_at = now + REDIAL * 2**link.way.dials
        link.way.dials += 1
        self._drop_unanswered(link)
        self._serial += 1
        number = b"road%d" % self._serial
        road = Road(number, link.name, link.out.incarnation, endpoint=link.way.endpoint)
        self.dialled[number] = road
        self.dials.append(road)
        self.parcels.append((road, [link.route, encode_word(Meet())]))

    def _reaches(self, link: Link) -> bool:
        if not self.near or link.standing is not Standing.UP or link.name == self._name:
            return False
        # The endpoint is another party's word: nothing outside our own directory is opened.
        place, _, name = link.way.endpoint.rpartition("/")
        return f"{place}/" in self.near and name.isalnum()

    def _drop_unanswered(self, link: Link) -> None:
        for road in [r for r in self.dialled.values() if r.name == link.name and not r.open]:
            self.close(road)

    def introduce(self, road: Road | None, frames: list[bytes], *, dialled: bool) -> Road:
        """Take the first frames of a connection, its number in front; return its open road.

        Raises:
            MessageError: they are not what such a connection begins with.
        """
        route = _introduction(frames[1:], Met if dialled else Meet)
        if (route.target, route.target_incarnation) != (self._name, self._incarnation):
            raise MessageError(f"{route.target}/{route.target_incarnation} is not me")
        life = (route.sender, route.sender_incarnation)
        if road is None:
            if dialled or not route.sender or route.sender == self._name:
                raise MessageError("there is no road for that one")
            road = self._greet(frames[0], *life)
        elif (road.name, road.incarnation) != life:
            raise MessageError(f"that is not {road.name}/{road.incarnation}")
        road.open, road.route = True, frames[1]
        self._lives.setdefault(life, road)
        return road

    def _greet(self, road_id: bytes, name: str, incarnation: int) -> Road:
        if len(self.met) >= MOST_ROADS:
            raise MessageError("no more direct connections")
        road = self.met[road_id] = Road(road_id, name, incarnation)
        back = Route(MAGIC, name, incarnation, self._name, self._incarnation, self._host)
        self.parcels.append((road, [encode_route(back), encode_word(Met())]))
        return road

    # --- choosing --------------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        """`link.out` has just been bound to a life: there may be a road to it already."""
        link.way.road = None
        link.way.better = self._lives.get((link.name, link.out.incarnation))

    def offer(self, link: Link, road: Road) -> bool:
        """A road has just been opened; return whether the link should change to it."""
        if (
            link.way.road is None
            and link.way.better is None
            and link.out.incarnation == road.incarnation
        ):
            link.way.better = road
            return True
        return False

    def may_send(self, link: Link, now: float, *, relay: bool) -> bool:
        """Whether new letters may leave a link that is to change its road.

        Not while others are on the old one; `relay` says whether that can be used at all.
        """
        out = link.out
        if out.base > out.last or link.way.arrived >= out.last:
            self._change(link)
        elif not relay or now >= link.way.change_at or _little(link):
            out.rewind(link.way.arrived)
            self._change(link)
        elif link.way.change_at == math.inf:
            link.way.change_at = now + PATIENCE
            self.next_due = min(self.next_due, link.way.change_at)
            link.mark = -1  # ask for an acknowledgement now
        return link.way.road is not None

    def _change(self, link: Link) -> None:
        link.way.road, link.way.better, link.way.change_at = link.way.better, None, math.inf

    @staticmethod
    def stay(link: Link) -> bool:
        """Do not change the road; return whether letters may have waited for that."""
        waited, link.way.better = link.way.better is not None, None
        return waited

    # --- ends ------------------------------------------------------------------------------------

    def leave(self, link: Link) -> None:
        """A life of the link's name is over; its last answers may still arrive."""
        if link.way.road is not None and link.way.road.incarnation <= link.ended:
            link.way.road = None
        if link.way.better is not None and link.way.better.incarnation <= link.ended:
            link.way.better = None
        if not link.out.incarnation:
            link.way.change_at, link.way.arrived = math.inf, 0
            link.way.dial_at, link.way.dials = 0.0, 0
        for road in self._all():
            if road.name == link.name and road.incarnation <= link.ended:
                if road not in self._retired:
                    self._retired.append(road)
                self._lives.pop((road.name, road.incarnation), None)
        while len(self._retired) > RETIRED:
            self.close(self._retired[0])

    def close(self, road: Road) -> None:
        """Nothing comes or goes on this road any more."""
        roads = self.dialled if road.dialled else self.met
        if roads.pop(road.id, None) is None:
            return
        road.open = False
        if road.dialled:
            self.hangups.append(road)
        if road in self._retired:
            self._retired.remove(road)
        life = (road.name, road.incarnation)
        if self._lives.get(life) is road:
            del self._lives[life]
            others = [r for r in self._all() if r.open and (r.name, r.incarnation) == life]
            if others:
                self._lives[life] = others[0]

    def break_off(self, link: Link, road: Road) -> bool:
        """A road has turned out to be broken; return whether letters may be lost on it."""
        self.close(road)
        lost = link.way.road is road
        if lost or link.way.better is road:
            self.attach(link)
            link.way.change_at = math.inf
        return lost

    def _all(self) -> list[Road]:
        return [*self.dialled.values(), *self.met.values()]


def _little(link: Link) -> bool:
    """Whether so little is under way that sending it again delays nobody."""
    out, arrived = link.out, max(link.way.arrived, link.out.base - 1)
    if out.last - arrived > FEW:
        return False
    letters = [out.flying.get(seq) for seq in range(arrived + 1, out.last + 1)]
    return sum(letter.size for letter in letters if letter is not None) <= SMALL


def _introduction(frames: list[bytes], word: type[Meet | Met]) -> Route:
    if len(frames) != _INTRODUCTION or len(frames[0]) > LONGEST_ROUTE:
        raise MessageError(f"a direct connection begins with a route and {word.__name__}")
    route = decode_route(frames[0])
    if not isinstance(decode_word(frames[1]), word):
        raise MessageError(f"a direct connection begins with {word.__name__}")
    return route
