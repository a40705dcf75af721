"""The supervisor's log: what it says of its children, while it happens.

    understudy.supervisor      lives that end, trees that give up
    understudy.dead_letters    messages that nobody handled

The words are chosen in supervisor/chronicle.py; here they are put together with what is known now.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Final, final

from actors.message import class_name
from supervisor import chronicle
from supervisor.lifecycle import WORK_DONE, ExitKind
from supervisor.muffler import Muffler

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.blackbox import Record
    from actors.notices import DeadLetter
    from supervisor.lifecycle import ExitReason, Report
    from supervisor.lives import ChildLife
    from supervisor.status import CrashReport
    from supervisor.tree import TreeDecider

log: Final = logging.getLogger("understudy.supervisor")
letters_log: Final = logging.getLogger("understudy.dead_letters")


@final
class Narrator:
    """Says how lives end, and what comes next."""

    def __init__(self, tree: TreeDecider, awaited: Callable[[str], bool]) -> None:
        self._tree = tree
        self._awaited = awaited
        """Whether somebody waits for the start of an actor, and is told why it fails."""

    def ended(
        self, child: ChildLife, reason: ExitReason, record: Record, report: CrashReport | None
    ) -> None:
        """A life is over, and the tree has decided what this means."""
        status, now = self._tree.child(child.name), time.monotonic()
        coming = self._tree.is_coming(child.name)
        if reason.kind is ExitKind.START_FAILED and not coming and self._awaited(child.name):
            log.info("%s did not start; whoever spawned it is told why", child.label)
            return
        around = () if status is None else status.path[:-1]
        tree = next((tree for tree in self._tree.trees(now) if tree.path == around), None)
        outlook = chronicle.Outlook(status, tree, coming, self._tree.is_ending, now)
        on_request = child.killed or child.expected
        ended = chronicle.Ended(child.label, reason, record, on_request, not child.killed)
        if not (on_request and outlook.ending):
            level, line = chronicle.how_it_ended(ended, outlook)
            log.log(level, "%s%s", line, _more(child, reason, report))

    def killing(self, child: ChildLife) -> None:
        """A child is killed, perhaps because it did not stop in time, or because all are."""
        status = self._tree.child(child.name)
        if child.expected and not child.killed and status is not None:
            count = child.record().mailbox
            many = chronicle.many(count, "message")
            left = f" with {many} left: a larger grace= is more time" if count else ""
            text = "%s has not stopped within %g s; it is killed%s"
            log.warning(text, child.label, status.spec.grace, left)

    def report(self, report: Report) -> None:
        """A tree reports what happened to it."""
        said = chronicle.of_a_tree(report)
        if said is not None:
            log.log(*said)

    def gives_up(self, reason: str) -> None:
        """The outermost tree ends, and the system with it."""
        level = logging.INFO if reason.startswith(WORK_DONE) else logging.ERROR
        log.log(level, "the system ends: %s", reason)

    def failed(self, error: BaseException) -> None:
        """The supervisor's own code raised."""
        log.critical("the supervisor itself failed", exc_info=error)


def _more(child: ChildLife, reason: ExitReason, report: CrashReport | None) -> str:
    """Return what nobody has said yet of a crash: what a handler raised is in the log already."""
    match reason.kind:
        case ExitKind.RAISED:
            return ""
        case ExitKind.START_FAILED if child.failure is not None:
            # Once is enough: the next starts fail in the same way.
            return chronicle.traceback_of(child.failure) if child.incarnation == 1 else ""
        case _:
            return chronicle.evidence(report) if report is not None else ""


@final
class DeadLetterLog:
    """Says which messages nobody handled: the first of a kind at once, the others by number."""

    def __init__(self) -> None:
        self._muffler: Muffler[tuple[str, str]] = Muffler()
        self._reasons: dict[tuple[str, str], str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, letter: DeadLetter) -> None:
        """A message became a dead letter."""
        key = (letter.target, class_name(letter.message))
        if self._muffler.heard(key, time.monotonic()):
            letters_log.warning(
                "dead letter: %s to %s from %s: %s", key[1], key[0], letter.sender, letter.reason
            )
        elif key in self._muffler:  # else it is only counted, with all that there is no place for
            self._reasons[key] = letter.reason
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Say what is still to be said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(math.inf)

    def _wait(self) -> None:
        delay = max(0.0, self._muffler.next_due - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._fired)

    def _fired(self) -> None:
        self._timer = None
        self._tell(time.monotonic())
        if self._muffler.next_due < math.inf:
            self._wait()

    def _tell(self, now: float) -> None:
        for (target, message), more in self._muffler.due(now):
            reason = self._reasons.pop((target, message), "")
            letters_log.warning(
                "dead letters: %d more %s to %s; the last: %s", more, message, target, reason
            )
        if self._muffler.unsaid:
            letters_log.warning("dead letters: %d more, of many kinds", self._muffler.unsaid)
            self._muffler.unsaid = 0
