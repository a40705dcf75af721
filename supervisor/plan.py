"""A tree of child specs as plain data, on its way from the user's program to the supervisor.

The supervisor never imports user code: a plan names the class and carries the arguments encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import attrs
import msgspec

from actors.actor import Actor
from actors.backoff import Backoff
from actors.classes import name_of
from actors.control import ClassName
from actors.requests import SpawnActor
from actors.spawning import CHILD_OPTIONS, encode_fields
from supervisor.limits import Limits
from supervisor.spec import (
    AutoShutdown,
    Child,
    Intensity,
    Pool,
    Restart,
    Scalar,
    Strategy,
    Tree,
)

POOL_OPTIONS: Final = (
    *(name for name in CHILD_OPTIONS if name not in ("significant", "spare")),
    "size",
    "intensity",
)
"""What `Pool` takes beside the actor's fields."""


class ChildPlan(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """One actor."""

    name: str
    actor: ClassName
    fields: dict[str, bytes]
    restart: Restart
    grace: float
    backoff: tuple[float, float, float, float]
    limits: dict[str, float | int | None]
    metadata: dict[str, Scalar]
    threads: int
    significant: bool
    spare: int = 0


class PoolPlan(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """One name served by several processes."""

    member: ChildPlan
    size: int
    intensity: tuple[int, float]


class TreePlan(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Children supervised together."""

    strategy: Strategy
    intensity: tuple[int, float]
    children: list[ChildPlan | PoolPlan | TreePlan]
    name: str | None
    restart: Restart
    backoff: tuple[float, float, float, float]
    significant: bool
    auto_shutdown: AutoShutdown


@attrs.frozen
class Launch:
    """What the process of one actor is told at its start."""

    actor: ClassName
    fields: Mapping[str, bytes]


def plan_child(
    child: Child, definitions: Path | None, options: Sequence[str] = CHILD_OPTIONS
) -> ChildPlan:
    """Return a child as data; raises what `encode_fields` and `name_of` raise."""
    cls = cast("type[Actor]", child.cls)
    # First, for it says what is no actor's class at all.
    fields = encode_fields(cls, child.fields, options)
    return ChildPlan(
        child.name,
        name_of(cls, definitions),
        fields,
        child.restart,
        child.grace,
        attrs.astuple(child.backoff),
        attrs.asdict(child.limits),
        dict(child.metadata),
        child.threads,
        child.significant,
        child.spare,
    )


def plan_tree(tree: Tree, definitions: Path | None) -> TreePlan:
    """Return a tree as data."""
    children: list[ChildPlan | PoolPlan | TreePlan] = []
    for child in tree.children:
        match child:
            case Child():
                children.append(plan_child(child, definitions))
            case Pool():
                member = plan_child(child.template, definitions, POOL_OPTIONS)
                children.append(PoolPlan(member, child.size, attrs.astuple(child.intensity)))
            case Tree():
                children.append(plan_tree(child, definitions))
    return TreePlan(
        tree.strategy,
        attrs.astuple(tree.intensity),
        children,
        tree.name,
        tree.restart,
        attrs.astuple(tree.backoff),
        tree.significant,
        tree.auto_shutdown,
    )


def child_of(plan: ChildPlan) -> Child:
    """Return the spec of a plan; the class itself stays a name."""
    limits = dict(plan.limits)
    return Child(
        object,
        name=plan.name,
        restart=plan.restart,
        grace=plan.grace,
        backoff=Backoff(*plan.backoff),
        limits=Limits(**limits),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        metadata=plan.metadata,
        threads=plan.threads,
        significant=plan.significant,
        spare=plan.spare,
    )


def spec_of(msg: SpawnActor) -> Child:
    """Return the spec of a child that is added at run time."""
    limits = {k: v for k, v in (msg.limits or {}).items() if v is not None}
    return Child(
        object,
        name=msg.name,
        restart=Restart(msg.restart) if msg.restart else Restart.PERMANENT,
        limits=Limits(**limits),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )


def tree_of(plan: TreePlan, launches: dict[str, Launch]) -> Tree:
    """Return the spec of a plan, and put what each child's process needs into `launches`."""
    children: list[Child | Pool | Tree] = []
    for each in plan.children:
        match each:
            case ChildPlan():
                launches[each.name] = Launch(each.actor, each.fields)
                children.append(child_of(each))
            case PoolPlan():
                children.append(_pool_of(each, launches))
            case TreePlan():
                children.append(tree_of(each, launches))
    return Tree(
        plan.strategy,
        Intensity(*plan.intensity),
        children=children,
        name=plan.name,
        restart=plan.restart,
        backoff=Backoff(*plan.backoff),
        significant=plan.significant,
        auto_shutdown=plan.auto_shutdown,
    )


def _pool_of(plan: PoolPlan, launches: dict[str, Launch]) -> Pool:
    template = child_of(plan.member)
    pool = Pool(
        object,
        name=template.name,
        size=plan.size,
        intensity=Intensity(*plan.intensity),
        restart=template.restart,
        grace=template.grace,
        backoff=template.backoff,
        limits=template.limits,
        metadata=template.metadata,
        threads=template.threads,
    )
    for member in pool.members:
        launches[member.name] = Launch(plan.member.actor, plan.member.fields)
    return pool
