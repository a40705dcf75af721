from __future__ import annotations

import builtins
import inspect
import itertools
import pickle  # noqa: TID251 - a user's process pool may pickle what it raises
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors import errors, failure
from actors.errors import (
    AccessDenied,
    ActorError,
    ActorStopped,
    AnswerLost,
    AskCycle,
    ConnectionLost,
    DeadlineExceeded,
    Expired,
    HandlerError,
    InvalidMessage,
    MailboxFull,
    MessageError,
    NoSuchActor,
    NotDelivered,
    OutcomeUnknown,
    SpawnError,
    UnknownMessage,
    pack_error,
    unpack_error,
)

OURS = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
OURS = [kind for kind in OURS if issubclass(kind, ActorError)]

BUILTIN = [kind for kind in vars(builtins).values() if inspect.isclass(kind)]
BUILTIN = list(dict.fromkeys(kind for kind in BUILTIN if issubclass(kind, BaseException)))

NEVER_ITSELF = {
    "BaseException": "no Exception: `except Exception` must catch every error from an actor",
    "BaseExceptionGroup": "no Exception, and a group cannot exist without its members",
    "ExceptionGroup": "a group cannot exist without its members",
    "GeneratorExit": "no Exception",
    "KeyboardInterrupt": "no Exception: it would end the caller's program",
    "SystemExit": "no Exception: it would end the caller's program",
    "StopIteration": "would end the generator that waits for the reply",
    "StopAsyncIteration": "would end the generator that waits for the reply",
}


def one_of(kind: type[BaseException]) -> BaseException:
    """Make an instance of any built-in exception class."""
    for args in (
        ("broken",),
        ("utf-8", b"\xff", 0, 1, "broken"),
        ("utf-8", "\xff", 0, 1, "broken"),
        ("\xff", 0, 1, "broken"),
        ("broken", [ValueError("inner")]),
    ):
        try:
            return kind(*args)
        except TypeError:
            continue
    raise AssertionError(kind)


def raised(error: BaseException) -> BaseException:
    def raises() -> None:
        raise error

    try:
        raises()
    except BaseException as caught:  # noqa: BLE001 - KeyboardInterrupt and SystemExit too
        return caught
    raise AssertionError(error)


def there(error: BaseException, *, escaped: bool = True) -> ActorError:
    """Return the error as it arrives in another process."""
    return unpack_error(pack_error(error, escaped=escaped))


# ---- the tree


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = [
        line.split("#")[0].replace("│", " ").replace("├── ", "").replace("└── ", "    ")
        for line in (errors.__doc__ or "").splitlines()
    ]
    names = [line.split()[0] for line in drawn if line.split()]

    assert {kind.__name__ for kind in OURS} <= set(names)


@pytest.mark.parametrize("kind", OURS)
def test_every_error_is_made_without_arguments_and_says_something(kind: type[ActorError]) -> None:
    error = kind()

    assert str(error)
    assert isinstance(error, ActorError)
    assert repr(error).startswith(kind.__name__)


@pytest.mark.parametrize("kind", OURS)
def test_a_given_text_is_said(kind: type[ActorError]) -> None:
    assert "in my own words" in str(kind("in my own words"))


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (Expired, TimeoutError),
        (DeadlineExceeded, TimeoutError),
        (ConnectionLost, ConnectionError),
        (AccessDenied, PermissionError),
    ],
)
def test_errors_with_a_builtin_namesake_are_caught_as_that(
    kind: type[ActorError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="for a reason"):
        raise kind("for a reason")


@pytest.mark.parametrize("kind", [NoSuchActor, ActorStopped, MailboxFull, Expired, AskCycle])
def test_what_was_never_handled_is_not_delivered(kind: type[NotDelivered]) -> None:
    error = kind(target="bank", message="Deposit")

    assert isinstance(error, NotDelivered)
    assert not isinstance(error, OutcomeUnknown)
    assert (error.target, error.message) == ("bank", "Deposit")


@pytest.mark.parametrize("kind", [DeadlineExceeded, AnswerLost])
def test_what_may_have_been_handled_is_never_called_safe_to_repeat(
    kind: type[OutcomeUnknown],
) -> None:
    error = kind(target="bank", message="Deposit")

    assert isinstance(error, OutcomeUnknown)
    assert not isinstance(error, NotDelivered)
    assert "bank" in str(error)
    assert "Deposit" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnknownMessage(tag="m:Add"), "m:Add"),
        (UnknownMessage(tag="m:Add", target="calc"), "calc has no handler"),
        (InvalidMessage(message="Add", field="x", reason="expected float, got str"), "Add.x"),
        (NotDelivered(message="Add"), "safe to send again"),
        (NoSuchActor(target="calc"), "calc"),
        (ActorStopped(target="calc", reason="scale down"), "calc stopped (scale down) before"),
        (ActorStopped(target="calc", reason="stopped"), "calc stopped before"),
        (MailboxFull(target="calc", limit=10_000), "10000 messages"),
        (AskCycle(path=("a", "b", "a")), "a -> b -> a"),
        (OutcomeUnknown(target="calc", reason="signal 9"), "signal 9"),
        (DeadlineExceeded(timeout=1.5), "1.5 s"),
        (SpawnError(actor="calc", reason="no such file"), "calc could not be started: no such"),
        (AccessDenied(reason="spawn by guest"), "spawn by guest"),
        (ConnectionLost(reason="the root gave up"), "the root gave up"),
        (HandlerError("no", type_name="ValueError"), "ValueError: no"),
        (HandlerError(type_name="ValueError"), "ValueError"),
    ],
)
def test_the_made_text_uses_the_data(error: ActorError, words: str) -> None:
    assert words in str(error)


def test_two_errors_are_the_same_only_when_they_are_one() -> None:
    error = NoSuchActor(target="a")

    assert error == error  # noqa: PLR0124
    assert error != NoSuchActor(target="a")
    assert len({error, NoSuchActor(target="a")}) == 2


# ---- our own across the wire


def filled(kind: type[ActorError]) -> ActorError:
    """Make an error with every attribute away from its default."""
    values: dict[type, Any] = {str: "wörter", int: 7, float: 2.5, tuple: ("a", "b")}
    names = {a.name: values[type(a.default)] for a in attrs.fields(kind)}
    return kind(**names)


@pytest.mark.parametrize("kind", OURS)
def test_an_error_of_ours_arrives_as_exactly_its_class_with_its_data(
    kind: type[ActorError],
) -> None:
    sent = filled(kind)

    arrived = there(sent, escaped=False)

    assert type(arrived) is kind
    assert vars(arrived) == vars(sent)
    assert str(arrived) == str(sent)


@pytest.mark.parametrize("kind", OURS)
def test_an_error_of_ours_without_text_makes_it_again(kind: type[ActorError]) -> None:
    arrived = there(kind(), escaped=False)

    assert arrived.text == ""
    assert str(arrived) == str(kind())


@pytest.mark.parametrize("kind", OURS)
def test_an_error_of_ours_that_escapes_a_handler_is_both(kind: type[ActorError]) -> None:
    sent = filled(kind)

    arrived = there(raised(sent))

    assert isinstance(arrived, HandlerError)
    assert isinstance(arrived, kind)
    for attribute in attrs.fields(kind):
        if attribute.name not in ("text", "remote_traceback"):
            assert getattr(arrived, attribute.name) == getattr(sent, attribute.name)
    assert "in raises" in arrived.remote_traceback


def test_an_escaped_error_keeps_its_class_over_several_processes() -> None:
    first = there(raised(MailboxFull(target="disk", limit=5)))
    second = there(raised(first))
    third = there(raised(second))

    assert isinstance(third, HandlerError)
    assert isinstance(third, MailboxFull)
    assert (third.target, third.limit) == ("disk", 5)
    assert third.type_name == "MailboxFull"
    assert third.text == first.text


def test_a_builtin_keeps_its_name_and_text_over_several_processes() -> None:
    first = there(raised(KeyError("missing")))
    second = there(raised(first))

    assert isinstance(second, KeyError)
    assert (second.type_name, second.text) == ("KeyError", "'missing'")
    assert first.remote_traceback.rstrip() in second.remote_traceback, "the whole way is shown"


def test_an_error_of_ours_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(MailboxFull(target="disk", limit=5)))

    assert type(copy) is MailboxFull
    assert (copy.target, copy.limit) == ("disk", 5)


def test_a_subclass_of_the_users_arrives_as_our_class() -> None:
    class OverdrawnError(InvalidMessage):
        pass

    arrived = there(OverdrawnError("too much", field="amount"), escaped=False)

    assert type(arrived) is InvalidMessage
    assert isinstance(arrived, InvalidMessage)
    assert arrived.field == "amount"


# ---- anybody's exception across the wire


@pytest.mark.parametrize("kind", BUILTIN)
def test_except_works_for_a_remote_builtin(kind: type[BaseException]) -> None:
    error = one_of(kind)

    arrived = there(raised(error))

    assert isinstance(arrived, HandlerError)
    assert arrived.type_name == type(error).__name__
    assert isinstance(arrived, kind) == (kind.__name__ not in NEVER_ITSELF) or kind is BaseException
    assert str(arrived)
    assert repr(arrived)


def test_a_remote_file_error_has_its_number_and_file() -> None:
    arrived = there(FileNotFoundError(2, "No such file", "/nowhere"))

    assert isinstance(arrived, OSError)
    assert (arrived.errno, arrived.strerror, arrived.filename) == (2, "No such file", "/nowhere")


def test_a_remote_key_error_has_its_key() -> None:
    assert there(KeyError("missing")).args == ("missing",)


def test_arguments_that_are_not_all_plain_stay_behind() -> None:
    assert there(ValueError("about", object())).args == ()


def test_a_users_exception_is_named_and_is_its_builtin_base() -> None:
    class OverdrawnError(LookupError):
        pass

    arrived = there(raised(OverdrawnError("by 5")))

    assert isinstance(arrived, LookupError)
    assert arrived.type_name.endswith("OverdrawnError")
    assert arrived.type_name.startswith(f"{__name__}:")
    assert arrived.text == "by 5"


def test_several_builtin_bases_are_kept_where_they_fit_together() -> None:
    class BothError(KeyError, AttributeError):
        pass

    arrived = there(BothError("x"))

    assert isinstance(arrived, KeyError)
    assert isinstance(arrived, AttributeError)


def test_an_ordinary_exception_is_a_handler_error_even_when_it_did_not_escape_one() -> None:
    assert isinstance(there(ValueError("x"), escaped=False), HandlerError)


def test_the_remote_traceback_is_shown_with_the_error() -> None:
    arrived = there(raised(ValueError("over there")))

    assert "in raises" in arrived.__notes__[0]
    assert arrived.__notes__[0].rstrip().endswith("ValueError: over there")


def test_an_awaited_stop_iteration_does_not_end_the_waiting_generator() -> None:
    def waiting() -> Any:
        raise there(StopIteration("inner"))
        yield

    with pytest.raises(HandlerError, match="StopIteration: inner"):
        next(waiting())


# ---- hostile and odd exceptions

odd_texts = st.one_of(
    st.text(st.characters(exclude_categories=())),  # lone surrogates too
    st.just("ä" * 1_000_000),
    st.just("\ud800" * 10_000),
)


class OddError(Exception):
    """Whose every part is what the test says."""

    def __init__(self, said: Any, arguments: Any = (), notes: Any = None) -> None:
        super().__init__(*arguments)
        self.said = said
        if notes is not None:
            self.__notes__ = notes

    def __str__(self) -> str:
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said


class Text(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise RuntimeError("not like this")

    def __getitem__(self, _: Any) -> str:
        raise RuntimeError("not like this either")


class PropertiedError(OSError):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise SystemExit

    @property
    def filename(self) -> Any:  # type: ignore[override]
        raise SystemExit


odd_errors = st.one_of(
    st.builds(
        OddError,
        st.one_of(
            odd_texts,
            odd_texts.map(Text),
            st.integers(),
            st.none(),
            st.sampled_from([KeyboardInterrupt(), SystemExit(), RecursionError(), ValueError()]),
        ),
        st.lists(st.one_of(st.integers(), odd_texts, st.builds(object), st.lists(st.none()))),
        st.one_of(st.none(), st.integers(), st.lists(st.one_of(odd_texts, st.builds(object)))),
    ),
    st.sampled_from(BUILTIN).map(one_of),
    st.builds(lambda text: ExceptionGroup("several", [ValueError(text)]), odd_texts),
    st.builds(HandlerError, odd_texts, type_name=odd_texts, remote_traceback=odd_texts),
    st.builds(AskCycle, path=st.lists(odd_texts, max_size=100).map(tuple)),
    st.builds(MailboxFull, limit=st.one_of(st.integers(), st.none(), odd_texts)),
    st.builds(ActorError, st.one_of(odd_texts, st.integers(), st.builds(object))),
    st.just(PropertiedError("x")),
)


@given(odd_errors, st.booleans(), st.booleans())
@example(error=OddError("x" * 10_000_000), escaped=True, thrown=True)
def test_any_exception_packs_into_bounded_bytes_and_comes_back(
    error: BaseException,
    escaped: bool,  # noqa: FBT001
    thrown: bool,  # noqa: FBT001
) -> None:
    data = pack_error(raised(error) if thrown else error, escaped=escaped)
    arrived = unpack_error(data)

    assert isinstance(arrived, ActorError)
    assert len(data) < failure.LARGEST_PACKED
    assert len(arrived.text.encode()) <= failure.LONGEST_TEXT
    assert str(arrived)
    if isinstance(arrived, HandlerError):
        assert len(arrived.type_name.encode()) <= failure.LONGEST_NAME
        assert len(arrived.remote_traceback.encode()) <= failure.LONGEST_TRACEBACK


@given(odd_texts.filter(lambda text: len(text) <= 1000 and text.isprintable()))
def test_a_printable_text_arrives_unchanged(text: str) -> None:
    assert there(ValueError(text)).text == text


@pytest.mark.parametrize(
    "wild", [KeyboardInterrupt(), SystemExit(), RecursionError(), ValueError()], ids=repr
)
def test_a_str_that_raises_leaves_name_and_traceback(wild: BaseException) -> None:
    arrived = there(raised(OddError(wild)))

    assert isinstance(arrived, HandlerError)
    assert arrived.text == "(its __str__ raised)"
    assert arrived.type_name.endswith(":OddError")
    assert "in raises" in arrived.remote_traceback


def test_a_traceback_that_cannot_be_written_leaves_name_and_text() -> None:
    class NoCauseError(Exception):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise SystemExit

        __context__ = __cause__  # type: ignore[assignment]
        __traceback__ = __cause__  # type: ignore[assignment]

    arrived = there(NoCauseError("but a text"))

    assert isinstance(arrived, HandlerError)
    assert arrived.text == "but a text"
    assert arrived.remote_traceback == "(its traceback could not be written)"


def test_attributes_that_raise_leave_name_and_text() -> None:
    arrived = there(PropertiedError("x"))

    assert isinstance(arrived, OSError)
    assert arrived.text == "x"


def test_more_arguments_than_anybody_reads_stay_behind() -> None:
    assert there(ValueError(*range(1000))).args == ()


def test_arguments_that_the_builtin_is_not_made_of_are_only_kept() -> None:
    data = msgspec.msgpack.encode(failure.Failure(["UnicodeDecodeError"], args=[1, 2]))

    error = unpack_error(data)

    assert isinstance(error, UnicodeDecodeError)
    assert error.args == (1, 2)


def test_a_type_name_survives_even_the_slyest_metaclass() -> None:
    class Sly(type):
        def __getattribute__(cls, name: str) -> Any:
            raise KeyboardInterrupt(name)

    class SlyError(Exception, metaclass=Sly):
        pass

    arrived = there(SlyError("x"))

    assert isinstance(arrived, HandlerError)
    assert arrived.type_name.endswith("SlyError")


def test_a_long_traceback_keeps_both_ends() -> None:
    error = ValueError("the last line")
    error.add_note("\n".join(f"line {number}" for number in range(20_000)))

    remote = there(raised(error)).__notes__[0]

    assert "in raises" in remote
    assert "the middle is left out" in remote
    assert "line 19999" in remote


def test_a_deep_chain_of_causes_is_bounded() -> None:
    error: Exception = ValueError("first")
    for number in range(3000):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following

    assert isinstance(there(error), ValueError)


# ---- hostile bytes

words = st.one_of(st.text(max_size=20), st.sampled_from(sorted(errors._KINDS)))
records = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=8), st.dictionaries(words, inner)),
    max_leaves=20,
)
data_names = st.sampled_from(["target", "message", "limit", "path", "late", "text", "__class__"])
failures = st.builds(
    failure.Failure,
    kinds=st.lists(words, max_size=8),
    type_name=words,
    text=words,
    remote_traceback=words,
    args=st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(0, 9), words))),
    data=st.dictionaries(data_names, st.one_of(st.none(), st.integers(0, 9), words)),
)


@given(
    st.one_of(
        st.binary(),
        records.map(msgspec.msgpack.encode),
        failures.map(msgspec.msgpack.encode),
    )
)
@example(b"\x91" * 200_000)
@example(b"\x96\x90\xa1\xff")
@example(b"\x00" * 300_000)
def test_any_bytes_become_an_error(data: bytes) -> None:
    error = unpack_error(data)

    assert isinstance(error, ActorError)
    assert isinstance(error, Exception)
    assert str(error)
    assert len(str(error)) < 2 * failure.LONGEST_TEXT


def test_bytes_that_are_no_error_leave_the_outcome_unknown() -> None:
    assert type(unpack_error(b"junk")) is OutcomeUnknown
    assert type(unpack_error(bytes(300_000))) is OutcomeUnknown


def test_an_unknown_class_is_a_handler_error_that_names_it() -> None:
    data = msgspec.msgpack.encode(failure.Failure(["os.system", "exit"], "evil:Class", "boo"))

    error = unpack_error(data)

    assert type(error) is HandlerError
    assert str(error) == "evil:Class: boo"


@pytest.mark.parametrize(
    "names", [*itertools.permutations(["UnicodeDecodeError", "OSError", "MailboxFull"])]
)
def test_classes_that_do_not_fit_together_leave_at_least_ours(names: tuple[str, ...]) -> None:
    data = msgspec.msgpack.encode(failure.Failure(list(names)))

    assert isinstance(unpack_error(data), MailboxFull)


def test_data_of_the_wrong_type_is_left_at_its_default() -> None:
    data = msgspec.msgpack.encode(
        failure.Failure(["Expired"], data={"late": "long", "target": 5, "message": "Add"})
    )

    error = unpack_error(data)

    assert isinstance(error, Expired)
    assert (error.late, error.target, error.message) == (0.0, "", "Add")


def test_an_int_serves_as_a_float() -> None:
    data = msgspec.msgpack.encode(failure.Failure(["Expired"], data={"late": 3}))

    error = unpack_error(data)

    assert isinstance(error, Expired)
    assert type(error.late) is float


def test_message_errors_are_the_senders_fault() -> None:
    assert issubclass(UnknownMessage, MessageError)
    assert issubclass(InvalidMessage, MessageError)
