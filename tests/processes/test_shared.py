"""Arrays in shared memory between real processes: who holds what, whoever is killed."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from programs import eventually

import supervisor
from actors import Actor, message, receive
from actors.arrays.lease import Lease
from actors.errors import SharedMemoryFull
from supervisor import Limits
from tests.processes.leaks import Hand, Look, Make, Pass, passed

SIZE = 100_000


pytestmark = pytest.mark.process


@message
class Close:
    pass


@pytest.fixture
def system():
    with supervisor.start() as system:
        yield system


@pytest.fixture
def hands(system):
    two = system.spawn(Hand, name="two")
    return system.spawn(Hand, name="one", next=two), two


def found(system):
    gc.collect()
    return system._portal.memory.arena.statistics()


def test_what_goes_from_hand_to_hand_is_copied_once(system, hands):
    before = found(system)
    array = hands[0].ask(Pass(np.ones(SIZE))).result()

    # It is our own block: the actors that it went through have only passed it on.
    lease = Lease.of(array)
    assert lease is not None
    after = found(system)
    assert (after.shared, after.copied) == (before.shared + 1, before.copied + 1)
    system._portal.ask("two", Look(array), None).result()
    assert found(system).copied == after.copied


def test_a_killed_reader_gives_back_what_it_held(system, hands):
    hands[0].ask(Look(np.ones(SIZE))).result()
    hands[0].ask(Look(np.zeros(1))).result()  # the first message is settled by now
    assert found(system).lent == 1

    system.kill("one")
    assert found(system).lent == 0


def test_a_killed_owner_leaves_its_readers_what_they_read(system, hands):
    array = hands[1].ask(Make(SIZE, 7.0)).result()
    assert Lease.of(array) is not None
    system.kill("two")

    assert array.min() == array.max() == 7.0
    again = hands[0].ask(Pass(array)).result()  # and it is passed on without its owner
    assert again.min() == again.max() == 7.0


def test_the_status_says_who_shares_how_much_with_how_many_for_how_long(system, hands):
    assert system.status().actor("two").shared is None
    array = hands[1].ask(Make(SIZE, 7.0)).result()
    hands[0].ask(Look(array)).result()

    def shared():
        return system.status().actor("two").shared

    assert eventually(lambda: shared() is not None and shared().readers == 2)
    seen = shared()
    assert array.nbytes <= seen.size < 1.25 * array.nbytes
    assert seen.arrays == 1
    assert 0.0 <= seen.age < 60.0
    system.kill("one")
    assert eventually(lambda: shared().readers == 1)
    del array
    assert eventually(lambda: shared() is None)


class Screen(Actor):
    """Has a ring and nothing else to share."""

    def on_start(self):
        self.ring = self.context.ring("live")
        self.ring.write(np.ones(SIZE))

    @receive
    def close(self, _msg: Close) -> None:
        self.ring.close()


def test_the_status_counts_a_ring_as_an_array_of_all_its_slots(system):
    screen = system.spawn(Screen, name="screen")

    def shared():
        return system.status().actor("screen").shared

    assert eventually(lambda: shared() is not None)
    assert 4 * 8 * SIZE < shared().size == system.status().shared.size < 1.25 * 4 * 8 * SIZE
    assert (shared().arrays, shared().readers) == (1, 0)
    assert 0.0 <= shared().age < 60.0
    screen.tell(Close())
    assert eventually(lambda: shared() is None)


def test_an_actor_shares_no_more_than_its_limit_and_is_told_so(system):
    actor = system.spawn(Hand, name="poor", limits=Limits(shared_memory="1 MiB"))
    assert actor.ask(Make(SIZE, 7.0)).result().max() == 7.0  # 800 kB

    with pytest.raises(SharedMemoryFull, match=r"1,048,576 bytes that this process may share"):
        actor.ask(Make(2 * SIZE, 7.0)).result()
    large = actor.ask(Look(np.ones(2 * SIZE))).result()  # what others share is no matter of its own
    assert large.max() == 1.0

    def refused():
        shared = system.status().actor("poor").shared
        return shared is not None and shared.refused == 1

    assert eventually(refused)


def test_the_status_says_what_programs_share_and_what_had_to_be_copied(system, hands):
    array = system.empty(4 * SIZE)
    array[:] = 7.0
    kept = [hands[0].ask(Look(array)).result(), hands[0].ask(Look(array[SIZE:])).result()]
    hands[0].ask(Look(array[::2])).result()

    def seen():
        return system.status().shared.programs.get(system._peer.name)

    assert eventually(lambda: seen() is not None and seen().arrays == 3)
    found = seen()
    assert (found.copied, found.copied_bytes) == (2, 5 * SIZE * 8)
    assert found.size >= 9 * SIZE * 8
    assert found.readers >= 3
    assert 0.0 < found.age < 60.0
    assert not found.refused
    assert system.status().shared.size >= found.size
    del kept


@pytest.mark.parametrize("inproc", [False, True])
def test_all_processes_of_a_system_share_no_more_than_its_limit(inproc):
    with supervisor.start(shared_memory="3 MiB", inproc=inproc) as system:
        hands = [system.spawn(Hand, name=name) for name in ("one", "two")]
        kept = [hands[0].ask(Make(2 * SIZE, 1.0)).result()]  # 1.6 MB
        with pytest.raises(SharedMemoryFull, match=r"of the 3,145,728 bytes that the processes of"):
            hands[1].ask(Make(2 * SIZE, 2.0)).result()
        assert hands[0].ask(Look(np.full(2 * SIZE, 3.0))).result().max() == 3.0  # as a frame
        assert system.status().shared.size <= system.status().shared.limit == 3 << 20

        system.kill("one")  # with it go its arrays, but for what is read
        kept += [hands[1].ask(Make(2 * SIZE, 2.0)).result()]
        assert [array.max() for array in kept] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "error"), [("4 kB", ValueError), ("x", ValueError), (0.5, TypeError)]
)
def test_a_limit_for_the_system_that_is_no_size_is_refused(given, error):
    with pytest.raises(error, match="shared_memory"):
        supervisor.start(shared_memory=given)


def test_after_twenty_kills_all_memory_is_back(system):
    before, after, (well, _) = passed(system, kills=20, seed=7)

    assert well > 0
    assert after == before
