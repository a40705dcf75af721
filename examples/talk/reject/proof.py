"""Rejection, proved: under every single fault, every desk acts upon every rejection, once.

Prints:
    every desk acts once: ... worlds in ... s: every single fault (...); none fails
"""

import asyncio

from desk import Acts
from event import Application, ApplicationRejected
from main import desks, tree
from registrar import Reject

from actors import ActorRef
from actors.errors import NotDelivered, OutcomeUnknown
from actors.testing import Simulation, check

REJECTIONS = [
    Reject(Application("A-1", "Ada"), reschedule=True, notify_account_manager=True),
    Reject(Application("B-2", "Bob", institution_pays=True), disassociate=True),
]


async def reject(registrar: ActorRef, rejection: Reject) -> str:
    """Ask until it is done; the number of the application tells the registrar that it knows it."""
    while True:
        try:
            return await registrar.ask(rejection)
        except (NotDelivered, OutcomeUnknown):
            await asyncio.sleep(0.1)


async def every_desk_acts_once(sim: Simulation) -> None:
    """Every book says what the desk has to do, and nothing twice."""
    for rejection, outcome in zip(REJECTIONS, ("rescheduled", "deleted"), strict=True):
        assert await reject(sim.ref("registrar"), rejection) == outcome
    await sim.settle()
    for child in desks():
        expected = {
            one.application.number: list(child.cls().act(_event(one))) for one in REJECTIONS
        }
        assert await sim.ref(child.name).ask(Acts()) == expected, child.name


def _event(one: Reject) -> ApplicationRejected:
    return ApplicationRejected(
        one.application, one.reschedule, one.notify_account_manager, one.disassociate
    )


if __name__ == "__main__":
    print("every desk acts once:", check(every_desk_acts_once, tree=tree, max_faults=1))
