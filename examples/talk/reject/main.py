"""Rejection as an event: one actor rejects, and six desks do what follows from it.

    program ──Reject──▶ registrar ──ApplicationRejected──▶ section, roster, notes, candidate,
                                                           account_manager, accounting

The registrar does not know the desks, the desks know neither it nor one another.  A file more in
`desks/` is a desk more, and no other file changes.  A desk that is killed misses nothing: what is
said meanwhile waits for it, and what it had in hand is given to its next life.  What reaches it
twice has a number, so nothing is done twice.

Prints:
    A-1 of Ada is withdrawn
        candidate: wrote to Ada: you will hear of the fee
        notes: noted the rejection, noted that it is withdrawn
        roster: looked Ada up
        section: opened the place of Ada
    B-2 of Bob is rescheduled
        account_manager: told the account manager of Bob
        accounting: moved the fee of Bob
        candidate: wrote to Bob: you will hear of the fee
        notes: noted the rejection, noted that it is rescheduled
        roster: looked Bob up
        section: opened the place of Bob
    C-3 of Cyd is deleted
        candidate: wrote to Cyd: the institution will hear of the fee
        notes: noted the rejection
        roster: looked Cyd up, struck Cyd off
        section: opened the place of Cyd
"""

import importlib
import pkgutil
import time
from pathlib import Path

from desk import Acts, Desk
from event import Application
from registrar import Registrar, Reject

import supervisor
from supervisor import Child, System, Tree

FOLDER = Path(__file__).resolve().parent / "desks"


def desks() -> list[Child]:
    """A child for each desk of each file in the folder."""
    files = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]))
    return [
        Child(cls, name=name)
        for name in files
        for cls in vars(importlib.import_module(f"desks.{name}")).values()
        if isinstance(cls, type) and issubclass(cls, Desk) and cls is not Desk
    ]


tree = Tree(children=[*desks(), Child(Registrar, name="registrar")])  # desks listen first


def books(system: System, count: int) -> dict[str, dict[str, list[str]]]:
    """Return what each desk has done, as soon as all have acted upon so many rejections."""
    while True:
        found = {desk.name: system.ref(desk.name).ask(Acts()).result() for desk in desks()}
        if all(len(acts) == count for acts in found.values()):
            return found
        time.sleep(0.05)


REJECTIONS = [
    Reject(Application("A-1", "Ada")),
    Reject(Application("B-2", "Bob"), reschedule=True, notify_account_manager=True),
    Reject(Application("C-3", "Cyd", institution_pays=True), disassociate=True),
]


def main() -> None:
    with supervisor.start(tree) as system:
        registrar = system.ref("registrar")
        replies = [registrar.ask(rejection) for rejection in REJECTIONS]
        system.kill("notes")
        outcomes = [reply.result() for reply in replies]
        done = books(system, len(REJECTIONS))
    for rejection, outcome in zip(REJECTIONS, outcomes, strict=True):
        application = rejection.application
        print(f"{application.number} of {application.candidate} is {outcome}")
        for desk, acts in done.items():
            if acts[application.number]:
                print(f"    {desk}:", ", ".join(acts[application.number]))


if __name__ == "__main__":
    main()
