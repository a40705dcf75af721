"""What a new life is given: an order for the launcher, and its first word on the lifeline.

order_for     which program, in which directory, with which descriptors
first_word    who it is, which class and arguments, where the broker is, what was saved
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.control import HEARTBEAT, Boot, Saved
from supervisor.launcher import Order

if TYPE_CHECKING:
    from supervisor.boot import SupervisorBoot
    from supervisor.lives import ChildLife
    from supervisor.plan import Launch
    from supervisor.spec import Child

MARKS: Final = 4
"""Marks of a turning loop within `handler_seconds`, so that who awaits never looks hung."""

SHORTEST_HEARTBEAT: Final = 0.02


def order_for(child: ChildLife, boot: SupervisorBoot, spec: Child) -> Order:
    """Return what the launcher has to know."""
    return Order(
        name=child.label,
        entry="actor",
        incarnation=child.incarnation,
        env=boot.env,
        cwd=boot.cwd,
        sys_path=boot.sys_path,
        argv=boot.argv,
        fds={"recorder": child.page_fd},
        threads=spec.threads,
        current=True,
    )


def first_word(
    child: ChildLife,
    boot: SupervisorBoot,
    spec: Child,
    launch: Launch,
    saved: Saved | None,
    endpoint: str,
) -> Boot:
    """Return what the process has to know; `endpoint` is the broker's."""
    return Boot(
        child.name,
        child.incarnation,
        child.routing_id,
        endpoint,
        launch.actor,
        dict(launch.fields),
        spec.limits.mailbox,
        boot.ask_timeout,
        spec.limits.shared_memory,
        boot.directory,
        saved.payload if saved else b"",
        saved.tag if saved else "",
        bool(boot.state_dir),
        child.direct,
        heartbeat=max(SHORTEST_HEARTBEAT, min(HEARTBEAT, spec.limits.handler_seconds / MARKS)),
    )
