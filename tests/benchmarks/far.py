"""What a large array on a slow line costs those who ask for something small meanwhile."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import zmq
from numpy.typing import NDArray

import supervisor
from actors import Reply, Request, message, receive
from supervisor.bench.cast import Add, Player
from supervisor.bench.figures import Figure, compared, quantile, rounds
from tests.benchmarks.narrow import narrowed

RATE = 40e6  # bytes a second; a busy machine's proxy carries less
SIZE = 64 << 20
PAUSE = 0.005
QUIET = "nothing else on the line"
WHOLE = "raw pyzmq, in one message"


@message
class Keep(Request[int]):
    data: NDArray[np.uint8]


@message
class Give(Request[NDArray[np.uint8]]):
    size: int


class Store(Player):
    @receive
    def keep(self, msg: Keep) -> int:
        return msg.data.size

    @receive
    def give(self, msg: Give) -> NDArray[np.uint8]:
        return np.zeros(msg.size, np.uint8)


def far(repeats: int) -> list[Figure]:
    """Delays of small asks (99 of 100) while 64 MiB travel on a line of 40 MB/s, both ways."""
    repeats = max(1, repeats // 5)
    with ExitStack() as stack:
        keys = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(patch.dict(os.environ, UNDERSTUDY_KEYS=f"{keys}/keys"))
        host = stack.enter_context(supervisor.start(listen="tcp://127.0.0.1:*"))
        for number in range(4):
            host.spawn(Store, name=f"store{number}")
        host.spawn(Player, name="player")
        endpoint = stack.enter_context(narrowed(host.status().listening[0], RATE))
        guest = stack.enter_context(supervisor.connect(endpoint))
        stores = [guest.ref(f"store{number}") for number in range(4)]
        for store in stores:
            store.ask(Give(1)).result()
        speeds: dict[str, list[float]] = {}
        data = np.zeros(SIZE, np.uint8)

        def while_going(
            name: str, start: Callable[[], list[Reply]], asked: str = "player"
        ) -> float:
            begun = time.perf_counter()
            delays = _delays(guest, start(), asked=asked)
            speeds.setdefault(name, []).append(SIZE / (time.perf_counter() - begun) / 1e6)
            return quantile(delays, 0.99)

        to, back = "to an actor", "to a program"
        four, same = "four at once, to a program", "to a program, from the actor that is asked"
        delays = rounds(
            repeats,
            {
                to: lambda: while_going(to, lambda: [stores[0].ask(Keep(data))]),
                back: lambda: while_going(back, lambda: [stores[0].ask(Give(SIZE))]),
                same: lambda: while_going(same, lambda: [stores[0].ask(Give(SIZE))], "store0"),
                four: lambda: while_going(four, lambda: [s.ask(Give(SIZE // 4)) for s in stores]),
                QUIET: lambda: quantile(_delays(guest, [], seconds=1.0), 0.99),
                WHOLE: _behind_one_message,
            },
        )
    figures = []
    for name in (to, back, same, four):
        figures += [
            compared(
                f"64 MiB {name}: a small ask", "ms", delays[name], delays[WHOLE], beside=WHOLE
            ),
            compared(
                f"64 MiB {name}: a small ask", "ms", delays[name], delays[QUIET], beside=QUIET
            ),
            compared(f"64 MiB {name}", "MB/s", speeds[name][1:]),
        ]
    return figures


def _delays(
    guest: supervisor.System, large: list[Reply], *, seconds: float = 0.0, asked: str = "player"
) -> list[float]:
    """Ask an actor until everything large is there; return how long each ask took (ms)."""
    player, delays, end = guest.ref(asked), [], time.perf_counter() + seconds
    while time.perf_counter() < end or not all(reply.done() for reply in large):
        begun = time.perf_counter()
        player.ask(Add(1, 2)).result()
        delays.append((time.perf_counter() - begun) * 1e3)
        time.sleep(PAUSE)
    return delays


def _behind_one_message() -> float:
    """The same with a DEALER and a ROUTER: what is sent after 64 MiB waits for them (ms)."""
    context = zmq.Context()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def echo() -> None:
        small = 0
        while small < 2:
            frames = router.recv_multipart(copy=False)
            if len(frames[-1]) < SIZE:
                router.send_multipart(frames)
                small += 1

    echoing = threading.Thread(target=echo)
    echoing.start()
    with narrowed(f"tcp://127.0.0.1:{port}", RATE) as endpoint:
        dealer.connect(endpoint)
        dealer.send(b"")
        dealer.recv()
        begun = time.perf_counter()
        dealer.send(bytes(SIZE), copy=False)
        dealer.send(b"")
        dealer.recv()
        took = time.perf_counter() - begun
    echoing.join()
    context.destroy(0)
    return took * 1e3
