"""Everything through the broker, beside a broker in Python that passes on single messages."""

from __future__ import annotations

import supervisor
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, rounds
from supervisor.bench.rivals import Stage
from supervisor.bench.talk import (
    MANY,
    RELAYED,
    ROUND_TRIPS,
    TELLS,
    ask_many,
    rate,
    tell_many,
    timed,
)


def relay(repeats: int) -> list[Figure]:
    """Round trips, pipelined asks and tells of a system whose parties never connect directly."""
    with supervisor.start(relay=True) as system, Stage(relayed=True) as raw:
        player = system.spawn(Player, name="player")
        trips = rounds(
            repeats,
            {
                "ours": timed(ROUND_TRIPS, lambda: player.ask(Add(1.5, 2.5)).result()),
                "raw": timed(ROUND_TRIPS, raw.ask),
            },
        )
        asks = rounds(
            repeats,
            {
                "ours": rate(MANY, lambda count: ask_many(player, count)),
                "raw": rate(MANY, raw.ask_many),
            },
        )
        tells = rounds(
            repeats,
            {
                "ours": rate(TELLS, lambda count: tell_many(player, count)),
                "raw": rate(TELLS, raw.tell_many),
            },
        )
    micro = {name: [one * 1e6 for one in found] for name, found in trips.items()}
    return [
        compared("ask through the broker", "us", micro["ours"], micro["raw"], beside=RELAYED),
        compared(
            f"asks through the broker, {MANY} in flight",
            "/s",
            asks["ours"],
            asks["raw"],
            beside=RELAYED,
        ),
        compared("tells through the broker", "/s", tells["ours"], tells["raw"], beside=RELAYED),
    ]
