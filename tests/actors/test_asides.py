"""What the broker tells the supervisor of programs on the network."""

from __future__ import annotations

from actors.asides import VOUCHED, Asides
from actors.control import Vouched


def test_the_roles_of_so_many_programs_are_kept_and_of_those_heard_of_last():
    asides = Asides()
    for number in range(VOUCHED):
        asides.take(Vouched(f"@net-{number}", "laptop", "viewer"))

    asides.take(Vouched("@net-0", "laptop", "operator"))
    asides.take(Vouched("@net-new", "laptop", "viewer"))

    assert len(asides.roles) == VOUCHED
    assert asides.roles["@net-0"] == "operator", "it is here again"
    assert "@net-1" not in asides.roles
