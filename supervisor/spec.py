"""What a user declares: children, pools and trees, as frozen values.

    Tree(Strategy.REST_FOR_ONE, Intensity(10, 5.0), children=[
        Child(Camera, name="camera", exposure=0.01),        extra keywords: the actor's fields
        Pool(Converter, name="convert", size=4),            convert#1 .. convert#4
        Tree(children=[Child(Viewer, name="viewer")]),      restarts as a whole
    ])

The words are those of Erlang/OTP's `supervisor`. Children start in the order of the list and stop
in reverse. Whatever cannot work is refused here, with the reason, before anything starts.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, final

import attrs

from actors.address import check_name
from actors.backoff import Backoff
from supervisor.limits import Limits

RESERVED_FIELDS = frozenset({"name", "restart", "limits", "context"})
"""No field of an actor is called so: they are its spec's, or the actor base class's own."""

Scalar = str | int | float | bool
"""What a value of `metadata` may be."""

T = TypeVar("T")


@final
class Restart(enum.Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # only after an abnormal end
    TEMPORARY = "temporary"  # never, not even when a sibling's restart took it down


@final
class Strategy(enum.Enum):
    """Which siblings restart together with a child (drawn in supervisor/strategy.py)."""

    ONE_FOR_ONE = "one_for_one"  # none
    ONE_FOR_ALL = "one_for_all"  # all
    REST_FOR_ONE = "rest_for_one"  # those started after it


@final
class AutoShutdown(enum.Enum):
    """Whether a tree ends by itself when its significant children have ended for good."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"  # at the first one
    ALL_SIGNIFICANT = "all_significant"  # at the last one


@final
@attrs.frozen
class Intensity:
    """How many restarts a tree allows in how many seconds; one more and it gives up.

    Raises:
        ValueError: `restarts` is not an int from 0 up, or `period` not above 0 and finite.
    """

    restarts: int = 10
    period: float = 5.0  # seconds; a restart exactly that old still counts

    def __attrs_post_init__(self) -> None:
        if not _is_int(self.restarts) or self.restarts < 0:
            raise ValueError(f"Intensity.restarts is {self.restarts!r}: give an int from 0 up.")
        if not _is_number(self.period) or not 0 < self.period < math.inf:
            raise ValueError(f"Intensity.period is {self.period!r}: give seconds above 0.")


@final
@attrs.frozen(init=False)
class Child:
    """One actor to be kept running.

    Every keyword that is not an option below is a field of the actor: `Child(Camera, name="cam",
    exposure=0.01)`. Whether the class has such a field is checked when the child is handed to a
    system. A field named like an option is given with `with_fields`.

    Raises:
        TypeError, ValueError: an option has the wrong type or value, a field has a reserved name
            (`name`, `restart`, `limits`, `context`), or two options contradict each other: a
            PERMANENT child that is significant, a TEMPORARY one with a backoff or a spare.
    """

    cls: type[object]  # the actor class
    name: str  # unique in the whole system
    restart: Restart
    grace: float  # seconds from "stop" to SIGKILL; 0: SIGKILL at once; inf: never
    backoff: Backoff  # the pause before each restart
    limits: Limits
    metadata: Mapping[str, Scalar]  # read-only; what `System.find` looks for
    threads: int  # of BLAS and OpenMP, in the child's process
    significant: bool  # its end for good may end its tree: see AutoShutdown
    spare: int  # 1: a process that has imported the class already stands ready for the next life
    fields: Mapping[str, object]  # read-only; the arguments of the actor

    def __init__(  # noqa: PLR0913 - the options of the contract, all but the class by keyword
        self,
        cls: type[object],
        /,
        *,
        name: str,
        restart: Restart = Restart.PERMANENT,
        grace: float = 5.0,
        backoff: Backoff | None = None,
        limits: Limits | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        threads: int = 1,
        significant: bool = False,
        spare: int = 0,
        **fields: object,
    ) -> None:
        _refuse_keyword("Child", "fields", fields, "Write Child(...).with_fields({...}).")
        self._set(
            cls=cls,
            name=name,
            restart=restart,
            grace=grace,
            backoff=Backoff() if backoff is None else backoff,
            limits=Limits() if limits is None else limits,
            metadata=_as_mapping(name, metadata),
            threads=threads,
            significant=significant,
            spare=spare,
            fields=MappingProxyType(fields),
        )

    def with_fields(self, fields: Mapping[str, object]) -> Child:
        """Return the same child with these arguments of the actor added or replaced."""
        if not isinstance(fields, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"with_fields takes a dict of fields, not {fields!r:.80}.")
        return self._with(fields=MappingProxyType({**self.fields, **fields}))

    def named(self, name: str) -> Child:
        """Return the same child under another name."""
        return self._with(name=name)

    def _with(self, **changes: object) -> Child:
        copy = object.__new__(Child)
        copy._set(**{**attrs.asdict(self, recurse=False), **changes})
        return copy

    def _set(self, **values: object) -> None:
        init: Any = getattr(self, "__attrs_init__")  # noqa: B009 - pyright does not know it
        init(**values)
        _check_child(self)


@final
@attrs.frozen(init=False)
class Pool:
    """One name served by several processes that pull work.

    Its members are called "<name>#1", "<name>#2", ... They start and stop all at once, and one
    that dies restarts alone, whatever the strategy of the tree around. When the members together
    exceed `intensity`, the pool restarts as a whole, and that counts in the tree around.

    Raises:
        TypeError, ValueError: as `Child`; or `size` is not an int from 1 up.
    """

    template: Child  # a member but for its name, which is the pool's
    size: int
    intensity: Intensity
    members: tuple[Child, ...]

    def __init__(  # noqa: PLR0913 - the options of the contract, all but the class by keyword
        self,
        cls: type[object],
        /,
        *,
        name: str,
        size: int,
        intensity: Intensity | None = None,
        restart: Restart = Restart.PERMANENT,
        grace: float = 5.0,
        backoff: Backoff | None = None,
        limits: Limits | None = None,
        metadata: Mapping[str, Scalar] | None = None,
        threads: int = 1,
        **fields: object,
    ) -> None:
        if not _is_int(size) or size < 1:
            raise ValueError(f"Pool.size of {name!r} is {size!r}: give an int from 1 up.")
        _refuse_keyword("Pool", "fields", fields, "Write Pool(...).with_fields({...}).")
        _refuse_keyword("Pool", "significant", fields, "Put the Pool into a significant Tree.")
        _refuse_keyword("Pool", "spare", fields, "Its other members stand ready already.")
        template = Child(
            cls,
            name=name,
            restart=restart,
            grace=grace,
            backoff=backoff,
            limits=limits,
            metadata=metadata,
            threads=threads,
        ).with_fields(fields)
        self._set(template, size, Intensity() if intensity is None else intensity)

    @property
    def name(self) -> str:
        """The name its users know; unique in the whole system."""
        return self.template.name

    def with_fields(self, fields: Mapping[str, object]) -> Pool:
        """Return the same pool with these arguments of the actor added or replaced."""
        copy = object.__new__(Pool)
        copy._set(self.template.with_fields(fields), self.size, self.intensity)
        return copy

    def _set(self, template: Child, size: int, intensity: Intensity) -> None:
        _check_type("Pool.intensity", intensity, Intensity)
        members = tuple(template.named(f"{template.name}#{i}") for i in range(1, size + 1))
        init: Any = getattr(self, "__attrs_init__")  # noqa: B009 - pyright does not know it
        init(template=template, size=size, intensity=intensity, members=members)


def _as_mapping(name: str, metadata: Mapping[str, Scalar] | None) -> Mapping[str, Scalar]:
    if not isinstance(metadata, Mapping | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"metadata of child {name!r} is {metadata!r:.80}: give a dict.")
    return MappingProxyType(dict(metadata or {}))


def _as_tuple(children: Iterable[Child | Pool | Tree]) -> tuple[Child | Pool | Tree, ...]:
    if not isinstance(children, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"children of a tree is {type(children).__name__}: give a list of them.")
    return tuple(children)


@final
@attrs.frozen
class Tree:
    """Children that are supervised together.

    When more of them restart than `intensity` allows, the tree gives up: it stops what is left
    and ends. A tree inside a tree is then restarted by the outer one, like a child, and counted
    there; the outermost one ends the system. Giving up is an end in good order, as in Erlang/OTP,
    so a tree that is TRANSIENT or TEMPORARY stays down then: leave it PERMANENT to have it back.

    A tree without a name cannot be stopped or restarted by hand.

    Raises:
        TypeError, ValueError: an option has the wrong type or value, a name occurs twice, or two
            options contradict each other.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = attrs.field(factory=Intensity)
    children: tuple[Child | Pool | Tree, ...] = attrs.field(
        default=(), converter=_as_tuple, kw_only=True
    )
    name: str | None = attrs.field(default=None, kw_only=True)  # in the same space as all names
    restart: Restart = attrs.field(default=Restart.PERMANENT, kw_only=True)
    backoff: Backoff = attrs.field(factory=Backoff, kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    auto_shutdown: AutoShutdown = attrs.field(default=AutoShutdown.NEVER, kw_only=True)

    def __attrs_post_init__(self) -> None:
        what = f"tree {self.name!r}" if self.name is not None else "a tree"
        if isinstance(self.strategy, list | tuple | Child | Pool | Tree):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the children of {what} have a name: write Tree(children=[...]).")
        _check_type(f"strategy of {what}", self.strategy, Strategy)
        _check_type(f"intensity of {what}", self.intensity, Intensity)
        _check_type(f"auto_shutdown of {what}", self.auto_shutdown, AutoShutdown)
        if self.name is not None:
            check_name(self.name)
        check_restart(what, self)
        for child in self.children:
            _check_type(f"a child of {what}", child, (Child, Pool, Tree))
            check_significant(child, self.auto_shutdown)
        twice = [name for name, count in Counter(self.names()).items() if count > 1]
        if twice:
            raise ValueError(f"{what} uses the name {twice[0]!r} twice. Names are unique.")

    def names(self) -> tuple[str, ...]:
        """Return every name in the tree, its own, its pools' and their members' included."""
        own = () if self.name is None else (self.name,)
        return own + tuple(name for child in self.children for name in _names(child))


def check_significant(child: Child | Pool | Tree, auto_shutdown: AutoShutdown) -> None:
    """Refuse a significant child in a tree that never shuts down by itself."""
    if isinstance(child, Pool) or not child.significant:
        return
    if auto_shutdown is AutoShutdown.NEVER:
        raise ValueError(
            f"{child.name!r} is significant, but its tree has auto_shutdown NEVER. "
            "Give the tree ANY_SIGNIFICANT or ALL_SIGNIFICANT."
        )


def check_restart(what: str, spec: Child | Tree) -> None:
    """Refuse restart options that contradict each other."""
    _check_type(f"restart of {what}", spec.restart, Restart)
    _check_type(f"backoff of {what}", spec.backoff, Backoff)
    _check_type(f"significant of {what}", spec.significant, bool)
    if spec.significant and spec.restart is Restart.PERMANENT:
        raise ValueError(
            f"{what} is significant and PERMANENT, so it never ends for good. "
            "Make it TRANSIENT or TEMPORARY."
        )
    if spec.restart is Restart.TEMPORARY and spec.backoff != Backoff():
        raise ValueError(f"{what} is TEMPORARY, so it never restarts: it takes no backoff.")


def _names(child: Child | Pool | Tree) -> tuple[str, ...]:
    match child:
        case Child():
            return (child.name,)
        case Pool():
            return (child.name, *(member.name for member in child.members))
        case Tree():
            return child.names()


def _check_child(child: Child) -> None:
    _check_type("the actor class", child.cls, type)
    check_name(child.name)
    what = f"child {child.name!r}"
    if not _is_number(child.grace) or math.isnan(child.grace) or child.grace < 0:
        raise ValueError(f"grace of {what} is {child.grace!r}: give seconds from 0 up.")
    if not _is_int(child.threads) or child.threads < 1:
        raise ValueError(f"threads of {what} is {child.threads!r}: give an int from 1 up.")
    _check_type(f"limits of {what}", child.limits, Limits)
    if not _is_int(child.spare) or child.spare not in (0, 1):
        raise ValueError(f"spare of {what} is {child.spare!r}: give 1 for a spare process, or 0.")
    if child.spare and child.restart is Restart.TEMPORARY:
        raise ValueError(f"{what} is TEMPORARY, so it never restarts: it takes no spare.")
    for key, value in child.metadata.items():
        _check_type(f"metadata key of {what}", key, str)
        _check_type(f"metadata {key!r} of {what}", value, (str, int, float))
    reserved = sorted(RESERVED_FIELDS.intersection(child.fields))
    if reserved:
        raise ValueError(f"{what} is given a field {reserved[0]!r}, which is a reserved name.")
    check_restart(what, child)


def _refuse_keyword(spec: str, keyword: str, fields: Mapping[str, object], advice: str) -> None:
    if keyword in fields:
        raise TypeError(f"{spec} takes no {keyword}=. {advice}")


def _check_type(what: str, value: object, kind: type[T] | tuple[type[T], ...]) -> None:
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(each.__name__ for each in kinds)
        article = "an" if wanted[0] in "AEIOU" else "a"
        raise TypeError(f"{what} is {value!r:.80}: give {article} {wanted}.")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
