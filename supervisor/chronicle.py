"""What the supervisor's log says, in plain words made of plain data.

    calc/1 was killed by SIGKILL while handling Add from viewer/2, for 3.2 s; restarting as calc/2
    ^ who  ^ how it ended        ^ in the middle of what                      ^ what comes next

What somebody asked for is said at INFO, what nobody wanted at WARNING, what ends a tree at ERROR.
"""

from __future__ import annotations

import logging
from typing import assert_never

import attrs

from actors.blackbox import Record
from actors.control import Failed
from actors.message import class_name
from supervisor.lifecycle import (
    ChildStatus,
    Context,
    ExitKind,
    ExitReason,
    Report,
    State,
    TreeStatus,
)
from supervisor.status import CrashReport


@attrs.frozen
class Ended:
    """How one life of a child ended."""

    label: str  # name and incarnation
    reason: ExitReason
    record: Record
    on_request: bool  # by kill, restart or stop
    counted: bool  # it counts towards the intensity of its tree


@attrs.frozen
class Outlook:
    """How the child and its tree stand after the tree has decided."""

    child: ChildStatus | None  # None: its name is free again
    tree: TreeStatus | None  # the tree around it
    coming: bool  # it is up, or will be without anybody's doing
    ending: bool  # the whole system goes down
    now: float


def many(count: int, thing: str) -> str:
    """Return "1 message", or "3 messages"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def in_the_middle_of(record: Record) -> str:
    """Return what was being handled ("Add from viewer/2"), "" for nothing."""
    if not record.in_progress:
        return ""
    item = record.in_progress[0]
    text = class_name(item.tag) or "a timer"
    return f"{text} from {_who(item.sender)}" if item.sender else text


def _who(sender: str) -> str:
    """Return a sender for people: a program has one life only, and a timer is nobody."""
    if sender.startswith("client-"):
        return sender.partition("/")[0]
    return "a timer" if sender.startswith("@timer") else sender


def traceback_of(failure: Failed) -> str:
    """Return where a start failed, in lines below the one that tells of it."""
    return "".join(f"\n    {line}" for line in failure.traceback.splitlines())


def evidence(report: CrashReport) -> str:
    """Return what else is known of a crash, in lines below the one that tells of it."""
    lines: list[str] = []
    if report.stack:
        lines += ["  where it stood:", *(f"    {line}" for line in report.stack.splitlines())]
    if report.last_lines:
        lines += ["  its last lines:", *(f"    {line}" for line in report.last_lines)]
    if lines and report.peak_memory:
        lines.append(f"  its peak memory: {report.peak_memory / 1e6:.0f} MB")
    return "".join(f"\n{line}" for line in lines)


def how_it_ended(ended: Ended, outlook: Outlook) -> tuple[int, str]:
    """Return the level and the line for the end of a life."""
    reason = ended.reason
    wanted = ended.on_request or reason.is_normal
    head = f"{ended.label} {_how(reason, killed=ended.on_request)}"
    busy = in_the_middle_of(ended.record)
    if busy and reason.kind is not ExitKind.STOPPED:
        head += f" while handling {busy}"
        seconds = outlook.now - ended.record.in_progress[0].since
        if seconds >= 1.0:
            head += f", for {seconds:.1f} s"
    after = _what_next(ended, outlook)
    return logging.INFO if wanted else logging.WARNING, f"{head}; {after}" if after else head


def of_a_tree(report: Report) -> tuple[int, str] | None:
    """Return the level and the line for a report; None when it is about one life of a child."""
    tree = report.supervisor[-1]
    match report.context:
        case Context.SHUTDOWN if len(report.supervisor) == 1:
            return None  # the end of the system is said by itself
        case Context.SHUTDOWN:
            return logging.ERROR, f"the tree {tree} ends: {report.reason}"
        case _ if report.incarnation:
            return None
        case Context.CHILD_TERMINATED | Context.START_ERROR | Context.SHUTDOWN_ERROR:
            return logging.WARNING, f"the tree {report.offender} is down; {tree} decides about it"
        case _:
            assert_never(report.context)


def _how(reason: ExitReason, *, killed: bool) -> str:
    match reason.kind:
        case ExitKind.NORMAL:
            return "ended by itself, in good order"
        case ExitKind.STOPPED:
            return "stopped"
        case ExitKind.RAISED | ExitKind.EXITED:
            return str(reason)
        case ExitKind.SIGNALLED:
            return "was killed on request" if killed else f"was {reason}"
        case ExitKind.START_FAILED:
            return str(reason)
        case _:
            assert_never(reason.kind)


def _what_next(ended: Ended, outlook: Outlook) -> str:
    child = outlook.child
    tree = outlook.tree
    if outlook.ending or (tree is not None and tree.state is State.STOPPING):
        return ""
    if child is None or child.state in (State.STOPPED, State.FAILED):
        return "" if ended.reason.is_normal else "it is not restarted"
    again = f"restarting as {child.name}/"
    match child.state:
        case State.STARTING | State.RUNNING:
            text = f"{again}{child.incarnation}"
        case State.BACKOFF:
            delay = (child.next_start or outlook.now) - outlook.now
            when = f"in {delay:.1f} s" if delay >= 0.05 else "at once"  # noqa: PLR2004 - 0.0 s
            text = f"{again}{child.incarnation + 1} {when}"
        case State.WAITING:  # in vain, when a tree around its own is taken down
            return "it restarts in its turn" if outlook.coming else ""
        case State.STOPPING:
            return ""
        case _:
            assert_never(child.state)
    return text + _tally(ended, tree)


def _tally(ended: Ended, tree: TreeStatus | None) -> str:
    """Return which of the tree's restarts this is; "" when that has been said, or is unknown."""
    if ended.on_request and ended.reason.kind is not ExitKind.SIGNALLED:
        # By `restart`, or with a sibling that fell: then that one's end is counted.
        return " (told to stop, so it does not count)"
    if not ended.counted or tree is None:
        return ""
    return (
        f" (restart {tree.restarts_used} of at most {tree.restarts_allowed} in {tree.period:g} s)"
    )
