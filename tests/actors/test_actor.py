from __future__ import annotations

import asyncio
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NewType,
    Protocol,
    TypedDict,
    TypeVar,
)

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.actor import (
    Actor,
    FailurePolicy,
    HandlerKind,
    fields_of,
    handlers_of,
    receive,
)
from actors.agreement import item_of, surely_differ
from actors.message import Request, StreamRequest, message

if TYPE_CHECKING:
    from somewhere import Something  # type: ignore[import-not-found]


@message
class Add(Request[float]):
    x: float
    y: float


@message
class Sub(Request[float]):
    x: float
    y: float


@message
class Reset(Request[None]):
    pass


@message
class Note:
    text: str


@message
class Names(Request[list[str]]):
    pass


@message
class Tail(StreamRequest[int]):
    count: int = 3


class Unmarked:
    """A class that is no message."""


class Calculator(Actor):
    scale: float = 1.0

    @receive
    def add(self, msg: Add) -> float:
        return (msg.x + msg.y) * self.scale


# ---- an actor is an ordinary object


def test_handlers_are_ordinary_methods() -> None:
    assert Calculator(scale=2.0).add(Add(1, 2)) == 6.0


def test_async_and_stream_handlers_are_ordinary_methods_too() -> None:
    class Mixed(Actor):
        @receive
        async def add(self, msg: Add) -> float:
            return msg.x

        @receive
        def tail(self, msg: Tail) -> Iterator[int]:
            yield from range(msg.count)

    assert asyncio.run(Mixed().add(Add(1, 2))) == 1
    assert list(Mixed().tail(Tail())) == [0, 1, 2]


def test_hooks_do_nothing_by_themselves() -> None:
    actor = Calculator()

    assert actor.on_start() is None
    assert actor.on_stop("done") is None
    assert actor.snapshot() is None
    assert actor.restore(Note("x")) is None
    assert (actor.failure_policy, actor.snapshot_seconds) == (FailurePolicy.RESTART, 1.0)


def test_context_before_the_runtime_set_it_says_when_it_comes() -> None:
    with pytest.raises(AttributeError, match=r"Calculator\.context is not there yet: .*on_start"):
        _ = Calculator().context


def test_context_is_what_the_runtime_set() -> None:
    actor = Calculator()
    other = Calculator()
    context: Any = object()

    actor.context = context

    assert actor.context is context
    assert not hasattr(other, "context")


# ---- fields


def test_annotated_fields_are_arguments_with_all_of_attrs() -> None:
    class Server(Actor):
        port: int = attrs.field(validator=attrs.validators.ge(1))
        host: str = "localhost"
        tags: list[str] = attrs.field(factory=list)
        size: int = attrs.field(default=0, converter=int)
        _secret: str = "s"
        total: int = attrs.field(init=False, default=7)
        kind: ClassVar[str] = "server"

        @size.validator
        def _check(self, _: Any, value: int) -> None:
            if value < 0:
                raise ValueError("negative")

    server = Server(80, size="3", secret="t")  # type: ignore[arg-type]

    assert (server.port, server.host, server.tags) == (80, "localhost", [])
    assert (server.size, server._secret, server.total) == (3, "t", 7)
    assert list(fields_of(Server)) == ["port", "host", "tags", "size", "secret"]
    assert fields_of(Server)["host"].default == "localhost"
    with pytest.raises(ValueError, match="must be >= 1"):
        Server(0)
    with pytest.raises(ValueError, match="negative"):
        Server(1, size=-1)
    with pytest.raises(TypeError, match="prot"):
        Server(prot=80)  # type: ignore[call-arg]


def test_fields_are_inherited() -> None:
    class Base(Actor):
        a: int

    class Derived(Base):
        b: int = 2

    assert list(fields_of(Derived)) == ["a", "b"]
    assert (Derived(1).a, Derived(1).b) == (1, 2)


def test_other_attributes_may_be_set_freely() -> None:
    actor = Calculator()
    actor.total = 5  # type: ignore[attr-defined]

    assert vars(actor)["total"] == 5


def test_the_class_stays_the_class_that_was_written() -> None:
    seen: list[type] = []

    class Base(Actor):
        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)
            seen.append(cls)

    class Derived(Base):
        a: int = 1

    assert seen == [Derived]
    assert type(Derived()) is Derived


@pytest.mark.parametrize("slots", [True, False])
def test_attrs_define_on_top_is_harmless(slots: bool) -> None:  # noqa: FBT001
    @attrs.define(slots=slots)
    class Server(Actor):
        port: int
        host: str = "localhost"
        tags: list[str] = attrs.field(factory=list)

        @receive
        def add(self, msg: Add) -> float:
            return msg.x + self.port

        def where(self) -> Any:
            return __class__  # type: ignore[name-defined]

    server: Any = Server(80)

    assert list(fields_of(Server)) == ["port", "host", "tags"]
    assert (server.port, server.host, server.tags) == (80, "localhost", [])
    assert "__dict__" in dir(server)
    assert server.where() is Server
    assert handlers_of(Server)[Add].function(server, Add(1, 2)) == 81


def test_fields_may_be_keywords_only() -> None:
    @attrs.define(kw_only=True)
    class Server(Actor):
        host: str = "localhost"
        port: int

    class Derived(Server):
        tag: str = ""

    server = Server(port=80)

    assert (server.host, server.port) == ("localhost", 80)
    assert Derived(port=1, tag="x").tag == "x"


@pytest.mark.parametrize("slots", [True, False])
def test_a_frozen_actor_is_refused(slots: bool) -> None:  # noqa: FBT001
    with pytest.raises(TypeError, match=r"Server is frozen.*Use @attrs\.define"):

        @attrs.frozen(slots=slots)
        class Server(Actor):
            port: int = 80


def test_an_inherited_init_still_runs() -> None:
    class Counter(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.count = 5

    class Derived(Counter):
        pass

    assert Derived().count == 5
    with pytest.raises(TypeError, match="Greedy has an __init__ of its own"):

        class Greedy(Counter):
            port: int = 80


def test_actors_are_compared_by_identity() -> None:
    assert Calculator() != Calculator()
    assert len({Calculator(), Calculator()}) == 2


@pytest.mark.parametrize("name", ["name", "restart", "limits", "context", "_name"])
def test_fields_that_spawn_or_the_runtime_needs_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Bad\.{name}.*Choose another name"):
        type("Bad", (Actor,), {"__annotations__": {name: int}, "__module__": __name__})


def test_a_class_variable_may_have_a_reserved_name() -> None:
    class Fine(Actor):
        name: ClassVar[str] = "fine"

    assert Fine.name == "fine"


def test_an_own_init_without_arguments_is_fine() -> None:
    class Counter(Actor):
        def __init__(self) -> None:
            self.count = 0

    assert Counter().count == 0
    assert not fields_of(Counter)


def test_an_own_init_with_arguments_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Server has an __init__ of its own.*annotated fields"):

        class Server(Actor):
            def __init__(self, port: int) -> None:
                self.port = port


def test_an_own_init_beside_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="Server has an __init__ of its own"):

        class Server(Actor):
            port: int

            def __init__(self) -> None:
                self.port = 5


def test_what_is_no_actor_class_has_no_fields_and_no_handlers() -> None:
    for thing in (int, 5, Note):
        with pytest.raises(TypeError, match="not an actor class"):
            fields_of(thing)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not an actor class"):
            handlers_of(thing)  # type: ignore[arg-type]
    assert not fields_of(Actor)


def test_actors_can_be_generic_and_abstract() -> None:
    class Base(Actor, ABC, Generic[TypeVar("T")]):  # type: ignore[misc]
        @receive
        @abstractmethod
        def add(self, msg: Add) -> float: ...

    class Derived(Base[int]):  # type: ignore[misc]
        def add(self, msg: Add) -> float:
            return 3

    with pytest.raises(TypeError, match="abstract"):
        Base()
    assert handlers_of(Derived)[Add].function(Derived(), Add(1, 2)) == 3


# ---- the table


def test_the_table_has_every_kind() -> None:
    class All(Actor):
        @receive
        def add(self, msg: Add) -> float:
            return 1

        @receive(concurrent=True, failure_policy=FailurePolicy.RESUME)
        async def sub(self, msg: Sub) -> float:
            return 1

        @receive
        def tail(self, msg: Tail) -> Iterator[int]:
            yield 1

        @receive()
        def note(self, msg: Note) -> None: ...

        def helper(self, msg: Reset) -> None: ...

    table = handlers_of(All)

    assert list(table) == [Add, Sub, Tail, Note]
    assert [row.kind.name for row in table.values()] == ["SYNC", "ASYNC", "STREAM", "SYNC"]
    assert [row.answers for row in table.values()] == [float, float, int, None]
    assert [row.concurrent for row in table.values()] == [False, True, False, False]
    assert table[Sub].failure_policy is FailurePolicy.RESUME
    assert table[Add].failure_policy is None
    assert (table[Add].name, table[Add].message, table[Add].function) == ("add", Add, All.add)


def test_a_stream_may_be_asynchronous_and_concurrent() -> None:
    class Reader(Actor):
        @receive(concurrent=True)
        async def tail(self, msg: Tail) -> AsyncIterator[int]:
            yield 1

    assert handlers_of(Reader)[Tail].kind is HandlerKind.ASYNC_STREAM


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        handlers_of(Calculator)[Sub] = handlers_of(Calculator)[Add]  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        handlers_of(Calculator)[Add].name = "sub"  # type: ignore[misc]


def test_a_request_for_nothing_answers_none() -> None:
    class Resettable(Actor):
        @receive
        def reset(self, msg: Reset) -> None: ...

    assert handlers_of(Resettable)[Reset].answers is type(None)


def test_a_union_handles_each_of_its_messages() -> None:
    class Both(Actor):
        @receive
        def calculate(self, msg: Add | Sub) -> float:
            return msg.x + msg.y if isinstance(msg, Add) else msg.x - msg.y

        @receive
        def rest(self, msg: Note | Reset) -> None: ...

    assert list(handlers_of(Both)) == [Add, Sub, Note, Reset]
    assert {handlers_of(Both)[kind].name for kind in (Add, Sub)} == {"calculate"}


def test_an_annotated_message_is_the_message() -> None:
    class Decorated(Actor):
        @receive
        def add(self, msg: Annotated[Add, "any"]) -> float:
            return 1

    assert list(handlers_of(Decorated)) == [Add]


def test_messages_of_a_function_are_found() -> None:
    @message
    class Local(Request[int]):
        pass

    class Outer(Actor):
        class Inner(Actor):
            @receive
            def local(self, msg: Local) -> int:
                return 1

        @message
        class Nested:
            pass

        @receive
        def local(self, msg: Local) -> int:
            return 1

        @receive()
        def nested(self, msg: Nested) -> None: ...

    assert list(handlers_of(Outer)) == [Local, Outer.Nested]
    assert list(handlers_of(Outer.Inner)) == [Local]


def test_generic_messages_are_handled_by_their_class() -> None:
    kind = TypeVar("kind", bound=float)

    @message
    class Box(Request[int], Generic[kind]):
        value: kind

    class Boxes(Actor):
        @receive
        def box(self, msg: Box[int]) -> int:
            return 1

    assert list(handlers_of(Boxes)) == [Box]


def test_a_missing_return_annotation_is_fine() -> None:
    class Loose(Actor):
        @receive
        def add(self, msg: Add):  # type: ignore[no-untyped-def]
            return 1.0

    assert handlers_of(Loose)[Add].answers is float


def test_a_return_annotation_that_means_nothing_at_run_time_is_fine() -> None:
    class Loose(Actor):
        @receive
        def add(self, msg: Add) -> Something:
            return 1.0

    assert Add in handlers_of(Loose)


def test_a_wrapping_decorator_is_fine_above_and_below() -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return 2 * function(*args)

        return wrapper

    class Twice(Actor):
        @twice
        @receive
        def add(self, msg: Add) -> float:
            return msg.x

        @receive
        @twice
        def sub(self, msg: Sub) -> float:
            return msg.x

    assert handlers_of(Twice)[Add].function(Twice(), Add(3, 0)) == 6
    assert handlers_of(Twice)[Sub].function(Twice(), Sub(3, 0)) == 6


def test_an_answer_that_is_named_before_it_exists_is_not_judged() -> None:
    @message
    class Early(Request["Late"]):  # type: ignore[name-defined]
        pass

    class Answering(Actor):
        @receive
        def early(self, msg: Early) -> int:
            return 1

    assert handlers_of(Answering)[Early].answers is None


# ---- inheritance


def test_handlers_are_inherited() -> None:
    class More(Calculator):
        @receive
        def sub(self, msg: Sub) -> float:
            return 1

    assert set(handlers_of(More)) == {Add, Sub}
    assert list(handlers_of(Calculator)) == [Add]


def test_a_subclass_handles_the_same_message_under_another_name() -> None:
    class Other(Calculator):
        @receive
        def plus(self, msg: Add) -> float:
            return -1

    assert handlers_of(Other)[Add].name == "plus"


def test_overriding_a_handler_by_name_keeps_its_mark() -> None:
    class Base(Actor):
        @receive(failure_policy=FailurePolicy.STOP)
        def add(self, msg: Add) -> float:
            return 1

    class Derived(Base):
        async def add(self, msg: Add) -> float:  # type: ignore[override]
            return 2

    class Careless(Base):
        def add(self, msg):  # type: ignore[no-untyped-def]
            return 3

    assert handlers_of(Derived)[Add].function is Derived.add
    assert handlers_of(Derived)[Add].kind is HandlerKind.ASYNC
    assert handlers_of(Derived)[Add].failure_policy is FailurePolicy.STOP
    assert handlers_of(Careless)[Add].function is Careless.add


def test_the_nearest_handler_wins_over_several_bases() -> None:
    class Mixin:
        @receive
        def note(self, msg: Note) -> None: ...

    class Left(Mixin, Actor):
        @receive
        def add_left(self, msg: Add) -> float:
            return 1

    class Both(Left, Calculator):
        pass

    assert handlers_of(Both)[Add].name == "add_left"
    assert Note in handlers_of(Both)


# ---- refusals: each names class, method, message and the remedy


def refused(match: str) -> Any:
    return pytest.raises(TypeError, match=match)


def test_a_parameter_without_annotation_is_refused() -> None:
    with refused(r"Bad\.add: its parameter msg has no annotation.*add\(self, msg: Add\)"):

        class Bad(Actor):
            @receive
            def add(self, msg): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("annotation", [Unmarked, int, Any, Add | None, TypeVar("T"), "Note.text"])
def test_what_is_no_message_class_is_refused(annotation: Any) -> None:
    def add(self: Any, msg: Any) -> float:
        return 1

    add.__annotations__["msg"] = annotation

    with refused(r"Bad\.add: .*is not a message class\. Write @message above"):
        type("Bad", (Actor,), {"add": receive(add)})


def test_a_subclass_of_a_message_is_not_a_message_by_itself() -> None:
    class Special(Note):
        pass

    with refused(r"Bad\.note: .*Special, which is not a message class"):

        class Bad(Actor):
            @receive
            def note(self, msg: Special) -> None: ...


def test_a_message_that_is_not_defined_yet_is_refused() -> None:
    with refused(r"Bad\.add: .*Something.*not under TYPE_CHECKING"):

        class Bad(Actor):
            @receive
            def add(self, msg: Something) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        lambda self: None,
        lambda self, msg, more: None,
        lambda self, msg, more=1: None,
        lambda self, *msg: None,
        lambda self, *, msg: None,
        lambda: None,
    ],
    ids=lambda function: str(inspect.signature(function)),
)
def test_a_handler_with_other_than_one_parameter_is_refused(function: Any) -> None:
    function = receive(function)
    with refused(r"Bad\.add: a handler has exactly one parameter after self"):
        type("Bad", (Actor,), {"add": function})


def test_a_message_that_could_answer_anything_is_refused() -> None:
    anything = TypeVar("anything")

    @message
    class Box(Request[anything], Generic[anything]):
        pass

    with refused(r"Bad\.box for .*Box: .*could be anything.*Handle that one instead"):

        class Bad(Actor):
            @receive
            def box(self, msg: Box) -> int:  # type: ignore[type-arg]
                return 1


def test_two_handlers_for_one_message_are_refused() -> None:
    with refused(r"Bad\.plus for Add: add handles the same message. Keep one of the two"):

        class Bad(Actor):
            @receive
            def add(self, msg: Add) -> float:
                return 1

            @receive
            def plus(self, msg: Sub | Add) -> float:
                return 1


@pytest.mark.parametrize("answer", [str, None, list[float], float | None, Awaitable[float]])
def test_an_answer_that_contradicts_the_request_is_refused(answer: Any) -> None:
    def add(self: Any, msg: Any) -> Any: ...

    add.__annotations__ = {"msg": Add, "return": answer}

    with refused(r"Bad\.add for Add: it is annotated to answer .* promises float"):
        type("Bad", (Actor,), {"add": receive(add)})


def test_an_item_that_contradicts_the_stream_is_refused() -> None:
    with refused(r"Bad\.tail for Tail: it is annotated to answer str, .* promises int"):

        class Bad(Actor):
            @receive
            def tail(self, msg: Tail) -> Iterator[str]:
                yield ""


def test_a_generator_annotated_as_asynchronous_is_refused() -> None:
    with refused(r"Bad\.tail for Tail: .*AsyncIterator\[int\]"):

        class Bad(Actor):
            @receive
            def tail(self, msg: Tail) -> AsyncIterator[int]:  # type: ignore[misc]
                yield 1


def test_an_answer_to_a_message_that_is_only_told_is_refused() -> None:
    with refused(r"Bad\.note for Note: .*return int.*derive Note from Request\[int\]"):

        class Bad(Actor):
            @receive
            def note(self, msg: Note) -> int:
                return 1


def test_a_stream_request_needs_a_generator() -> None:
    with refused(r"Bad\.tail for Tail: .*Let it yield its items"):

        class Bad(Actor):
            @receive
            def tail(self, msg: Tail) -> list[int]:
                return [1]


@pytest.mark.parametrize("kind", [Add, Note])
def test_a_generator_needs_a_stream_request(kind: type) -> None:
    def generator(self: Any, msg: Any) -> Any:
        yield 1

    async def asynchronous(self: Any, msg: Any) -> Any:
        yield 1

    for function in (generator, asynchronous):
        function.__annotations__["msg"] = kind
        with refused(rf"Bad\.add for {kind.__name__}: .*StreamRequest"):
            type("Bad", (Actor,), {"add": receive(function)})


def test_concurrent_needs_async() -> None:
    with refused(r"Bad\.add for Add: concurrent=True .*Make it async def"):

        class Bad(Actor):
            @receive(concurrent=True)
            def add(self, msg: Add) -> float:
                return 1


@pytest.mark.parametrize("decorator", [staticmethod, classmethod, property])
def test_what_is_no_method_is_refused(decorator: Any) -> None:
    with refused(r"@receive marks a method, not|is a .*, not a method"):

        class Below(Actor):
            @receive
            @decorator
            def add(self, msg: Add) -> float:
                return 1

    if decorator is property:
        return  # a property has no function that a mark could be found on
    with refused(r"Above\.add: it handles a message but is a .*Make it a method"):

        class Above(Actor):
            @decorator
            @receive
            def add(self, msg: Add) -> float:
                return 1


def test_a_class_is_not_a_handler() -> None:
    with refused("@receive marks a method, not type"):
        receive(Add)


def test_a_decorator_that_hides_the_kind_is_refused() -> None:
    def careless(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    with refused(r"Bad\.add: a decorator hides that it is async def"):

        class Bad(Actor):
            @careless
            @receive
            async def add(self, msg: Add) -> float:
                return 1


def test_overriding_a_handler_with_something_else_is_refused() -> None:
    with refused(r"Bad\.add: it handles a message but is a int"):

        class Bad(Calculator):
            add = 5  # type: ignore[assignment]


def test_losing_a_message_of_the_base_is_refused() -> None:
    with refused(r"Bad\.add for Add: it takes the place of Calculator\.add without handling"):

        class Bad(Calculator):
            @receive
            def add(self, msg: Sub) -> float:  # type: ignore[override]
                return 1


def test_a_refused_class_leaves_no_trace() -> None:
    before = dict(handlers_of(Calculator))
    with refused("Keep one of the two"):

        class Bad(Calculator):
            @receive
            def one(self, msg: Add) -> float:
                return 1

            @receive
            def two(self, msg: Add) -> float:
                return 1

    assert dict(handlers_of(Calculator)) == before


@pytest.mark.parametrize(
    ("name", "hook", "says"),
    [
        (
            "restore",
            lambda self: None,
            r"called as self\.restore\(state\).*def restore\(self, state\)",
        ),
        ("on_stop", lambda self: None, r"called as self\.on_stop\(reason\)"),
        ("on_start", lambda self, port: None, r"TypeError \(missing a required argument: 'port'\)"),
        ("snapshot", lambda: None, r"Write def snapshot\(self\), or async def"),
        ("on_start", staticmethod(lambda self: None), r"called as self\.on_start\(\)"),
        ("on_start", classmethod(lambda cls, more: None), r"called as self\.on_start\(\)"),
        ("on_stop", property(lambda self: print), r"and it is property"),
        ("snapshot", 3, r"and it is int"),
    ],
    ids=["short", "bare", "greedy", "selfless", "static", "of the class", "property", "number"],
)
def test_a_hook_that_could_not_be_called_is_refused(name: str, hook: Any, says: str) -> None:
    with refused(rf"^Bad\.{name}: .*{says}"):
        type("Bad", (Actor,), {name: hook})


def test_a_hook_that_yields_is_refused() -> None:
    with refused(r"Bad\.on_start: it yields, so calling it would run no line of it"):

        class Bad(Actor):
            def on_start(self) -> Iterator[int]:  # type: ignore[override]
                yield 1


def test_a_hook_is_looked_at_wherever_it_comes_from() -> None:
    class Mixin:
        def restore(self) -> None: ...

    with refused(r"^Bad\.restore: "):
        type("Bad", (Mixin, Actor), {})


@pytest.mark.parametrize("name", ["on_start", "on_stop", "snapshot", "failure_policy"])
def test_what_stands_behind_actor_and_would_never_be_used_is_refused(name: str) -> None:
    mixin = type("Mixin", (), {name: lambda *_: None})
    base = type("Base", (Actor,), {})

    with refused(rf"^Bad\.{name}: Mixin stands behind Actor.*class Bad\(Mixin, Actor\)"):
        type("Bad", (Actor, mixin), {})
    with refused(r"Mixin stands behind Actor"):
        type("Bad", (base, mixin), {})


def test_a_hook_behind_actor_is_fine_when_the_class_has_its_own_or_it_is_a_declaration() -> None:
    class Mixin:
        started = False

        def on_start(self) -> None:
            self.started = True

    class Startable(Protocol):
        def on_start(self) -> None: ...

    class Stoppable(ABC):
        @abstractmethod
        def on_stop(self, reason: str) -> None: ...

    class Fine(Actor, Mixin):
        def on_start(self) -> None:
            Mixin.on_start(self)

    class Declared(Actor, Startable, Stoppable):
        pass

    actor = Fine()
    actor.on_start()
    assert actor.started
    assert Declared().on_start() is None


def test_an_argument_of_spawn_may_come_from_a_mixin_behind_actor_whatever_its_name() -> None:
    # Recorded: it was taken for a setting of the class, which would never be used.
    @attrs.define
    class Mixin:
        snapshot_seconds: float = 5.0

    class Camera(Actor, Mixin):
        pass

    assert Camera(snapshot_seconds=7.0).snapshot_seconds == 7.0  # type: ignore[call-arg]


def test_hooks_of_every_shape_that_can_be_called_are_fine() -> None:
    class Fine(Actor):
        on_stop = functools.partialmethod(lambda self, when, reason: None, 3.0)
        snapshot = staticmethod(lambda: None)
        snapshot_seconds = 0

        @functools.cache  # noqa: B019 - a callable that is no function
        def on_start(self, *more: int) -> None: ...

        async def restore(self, state: Note, checked: bool = False) -> None: ...  # noqa: FBT001, FBT002

    actor = Fine()
    assert actor.on_start() is None
    assert actor.on_stop("done") is None
    assert actor.snapshot() is None


def test_a_hook_is_called_as_its_decorator_takes_it() -> None:
    def connected(hook: Callable[..., None]) -> Callable[..., None]:
        return functools.wraps(hook)(lambda self: hook(self, "the database"))

    def failing(hook: Callable[..., None]) -> Callable[..., None]:
        return functools.wraps(hook)(lambda: None)

    class Fine(Actor):
        @connected
        def on_start(self, database: str) -> None:
            self.database = database

    actor = Fine()
    actor.on_start()
    assert actor.database == "the database"
    with refused(r"^Bad\.on_start: it is called as self\.on_start\(\)"):
        type("Bad", (Actor,), {"on_start": failing(lambda self: None)})


def test_a_policy_that_is_none_is_refused() -> None:
    with refused(r"Bad\.failure_policy: 'restart' is no FailurePolicy\. .*FailurePolicy\.RESTART"):

        class Bad(Actor):
            failure_policy = "restart"  # type: ignore[assignment]

    with refused(r"^@receive\(failure_policy=\): 'resume' is no FailurePolicy"):

        class Worse(Actor):
            @receive(failure_policy="resume")  # type: ignore[call-overload, untyped-decorator]
            def note(self, msg: Note) -> None: ...


@pytest.mark.parametrize("slots", [True, False])
def test_a_setting_may_be_an_argument_or_a_property(slots: bool) -> None:  # noqa: FBT001
    @attrs.define(slots=slots, eq=False)
    class Fine(Actor):
        snapshot_seconds: float = 2.0  # type: ignore[misc]

        @property
        def failure_policy(self) -> FailurePolicy:  # type: ignore[override]
            return FailurePolicy.STOP

    actor = Fine(snapshot_seconds=3.0)
    assert (actor.snapshot_seconds, actor.failure_policy) == (3.0, FailurePolicy.STOP)


@pytest.mark.parametrize("seconds", ["1", True, None])
def test_snapshot_seconds_that_are_no_number_are_refused(seconds: Any) -> None:
    with refused(r"^Bad\.snapshot_seconds: it is a number of seconds, not "):
        type("Bad", (Actor,), {"snapshot_seconds": seconds})


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_snapshot_seconds_that_are_no_time_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^Bad\.snapshot_seconds: .* is no time between"):
        type("Bad", (Actor,), {"snapshot_seconds": seconds})


def test_a_function_may_be_marked_before_its_class_exists() -> None:
    assert inspect.isfunction(receive(lambda self, msg: None))


# ---- do two annotations surely differ?

Metres = NewType("Metres", float)


class Place(TypedDict):
    x: float


@pytest.mark.parametrize(
    ("said", "promised"),
    [
        (float, float),
        (int, float),
        (bool, float),
        (int, complex),
        (float, complex),
        (Metres, float),
        (float, Metres),
        (Any, float),
        (float, Any),
        (object, float),
        (TypeVar("T"), float),
        ("Later", float),
        (float, float | None),
        (None, float | None),
        (None, None),
        (list[str], list[str]),
        (list, list[str]),
        (list[Any], list[str]),
        (list[str], Sequence[str]),
        (Sequence[str], list[str]),
        (list[int], list[float]),
        (tuple[int, ...], tuple[int, int]),
        (tuple[int, str], tuple[int, str]),
        (dict[str, int], dict[str, float]),
        (Literal["a", "b"], str),
        (str, Literal["a"]),
        (Annotated[float, "m"], float),
        (NDArray[np.float32], np.ndarray),
        (np.float64, float),
        (np.ndarray, NDArray[np.float32]),
        (Add, Add | Sub),
        (Place, dict),
        (dict, Place),
        (Callable[[int], str], Callable[[str], str]),
    ],
    ids=repr,
)
def test_types_that_may_agree_do_not_surely_differ(said: Any, promised: Any) -> None:
    assert not surely_differ(said, [promised])


@pytest.mark.parametrize(
    ("said", "promised"),
    [
        (str, float),
        (float, int),
        (None, float),
        (float, None),
        (float | None, float),
        (float | str, float),
        (list[str], list[int]),
        (list[int], tuple[int, ...]),
        (tuple[int, str], tuple[int, int]),
        (tuple[int], tuple[int, int]),
        (dict[str, str], dict[str, int]),
        (list[list[str]], list[list[int]]),
        (Literal["a", 1], str),
        (Add, Sub),
        (Annotated[str, "m"], float),
        (Awaitable[float], float),
    ],
    ids=repr,
)
def test_types_that_contradict_each_other_surely_differ(said: Any, promised: Any) -> None:
    assert surely_differ(said, [promised])


annotations = st.recursive(
    st.sampled_from([int, float, str, bytes, None, Any, Add, Sub, bool, complex, np.ndarray]),
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]
        st.tuples(inner, inner).map(lambda two: dict[two]),  # type: ignore[misc]
        st.tuples(inner, inner).map(lambda two: tuple[two]),  # type: ignore[misc]
        st.tuples(inner, inner).map(lambda two: Annotated[two[0], "note"]),
        inner.map(lambda one: one | None if one is not None else one),
    ),
    max_leaves=6,
)


@given(annotations, annotations)
def test_no_type_differs_from_itself_or_from_a_union_with_it(one: Any, other: Any) -> None:
    assert not surely_differ(one, [one])
    assert not surely_differ(one, [other, one])
    assert surely_differ(one, [other]) in (True, False)


@pytest.mark.parametrize(
    ("said", "asynchronous", "item"),
    [
        (Iterator[int], False, int),
        (Generator[int, None, None], False, int),
        (Iterator, False, Any),
        (AsyncIterator[int], True, int),
        (AsyncIterator[int], False, AsyncIterator[int]),
        (Any, True, Any),
    ],
)
def test_the_item_of_a_generators_annotation(said: Any, asynchronous: bool, item: Any) -> None:  # noqa: FBT001
    assert item_of(said, asynchronous=asynchronous) == item


def test_a_default_that_all_lives_would_share_is_refused():
    with pytest.raises(TypeError, match=r"Bank\.applied: .*factory=dict"):

        class Bank(Actor):
            applied: dict[str, int] = {}  # noqa: RUF012 - that is the mistake
