"""Bad input: each has its own clear error at the right place, and the system goes on."""

from __future__ import annotations

import asyncio

import pytest
import troupe
from troupe import (
    Add,
    Calculator,
    Clumsy,
    Collector,
    Count,
    Fail,
    Get,
    Nobody,
    Note,
    Put,
    Stillborn,
    Texts,
    WrongAnswer,
)

from actors import Actor, DeadLetter, Request, envelope, message, receive
from actors.errors import (
    ActorError,
    HandlerError,
    InvalidMessage,
    MailboxFull,
    MessageError,
    NoSuchActor,
    NotDelivered,
    SpawnError,
    UnknownMessage,
)
from supervisor import Limits


@message
class Foreign(Request[int]):
    """Lives in a test module that no actor process has imported."""


class Local(Actor):
    @receive
    def foreign(self, msg: Foreign) -> int:
        return 1


# ---- messages


def test_a_message_without_handler_is_unknown_to_its_asker(spawn):
    ref = spawn(Calculator)

    with pytest.raises(UnknownMessage, match=ref.name) as caught:
        ref.ask(Nobody()).result()

    assert "has no handler for Nobody; it handles Add." in str(caught.value)
    assert not isinstance(caught.value, HandlerError)
    assert ref.ask(Add(1, 2)).result() == 3.0


def test_a_told_message_without_handler_becomes_a_dead_letter(system, spawn):
    ref = spawn(Calculator)
    with system.subscribe(DeadLetter) as letters:
        ref.tell(Note("hello?"))

        letter = next(each for each in letters if each.target == ref.name)

    assert "Note" in letter.message
    assert "no handler" in letter.reason
    assert ref.ask(Add(1, 2)).result() == 3.0


def test_a_wrong_field_is_refused_where_it_is_sent(spawn):
    ref = spawn(Calculator)
    wrong = Add("one", 2)

    with pytest.raises(InvalidMessage, match=r"Add\.x") as caught:
        ref.ask(wrong)

    assert isinstance(caught.value, MessageError)
    assert (caught.value.message, caught.value.field) == ("Add", "x")
    assert ref.ask(Add(1, 2)).result() == 3.0


@pytest.mark.parametrize("verb", ["tell", "ask", "stream"])
@pytest.mark.parametrize(
    "thing", ["hello", 5, None, Add, object()], ids=["text", "int", "None", "class", "object"]
)
def test_what_is_no_message_is_refused_at_once(spawn, verb, thing):
    ref = spawn(Calculator)

    with pytest.raises(TypeError, match=f"{verb} takes a message"):
        getattr(ref, verb)(thing)


def test_the_wrong_verb_is_refused_at_once(spawn):
    ref = spawn(Collector)

    with pytest.raises(TypeError, match=r"ref\.tell"):
        ref.ask(Note("x"))
    with pytest.raises(TypeError, match=r"ref\.stream"):
        ref.ask(Count(3))
    with pytest.raises(TypeError, match=r"ref\.ask"):
        ref.stream(Get())
    with pytest.raises(TypeError, match=r"ref\.stream"):
        ref.tell(Count(3))


# ---- handlers


def test_a_builtin_error_arrives_as_itself_and_as_handler_error(spawn):
    ref = spawn(Clumsy)

    with pytest.raises(ValueError, match="as asked") as caught:
        ref.ask(Fail("value")).result()

    error = caught.value
    assert isinstance(error, HandlerError)
    assert isinstance(error, ActorError)
    assert error.type_name == "ValueError"
    assert error.text == "as asked"
    assert "troupe.py" in error.remote_traceback
    assert "raise ValueError(msg.text)" in error.remote_traceback
    assert any("troupe.py" in note for note in error.__notes__)


def test_other_builtin_errors_keep_their_arguments(spawn):
    ref = spawn(Clumsy)

    with pytest.raises(KeyError):
        ref.ask(Fail("key")).result()
    with pytest.raises(FileNotFoundError) as caught:
        ref.ask(Fail("os", "f.txt")).result()
    assert caught.value.errno == 2


def test_an_exception_that_cannot_travel_arrives_with_name_text_and_traceback(spawn):
    with pytest.raises(HandlerError) as caught:
        spawn(Clumsy).ask(Fail("odd", "apples")).result()

    error = caught.value
    assert error.type_name == "troupe:OddError"
    assert "3 apples is odd" in str(error)
    assert "raise OddError" in error.remote_traceback


def test_a_subclass_of_a_builtin_arrives_as_the_builtin(spawn):
    with pytest.raises(ValueError, match="mine") as caught:
        spawn(Clumsy).ask(Fail("odd value", "mine")).result()

    assert caught.value.type_name == "troupe:OddValueError"


def test_a_wrong_answer_is_the_handlers_fault(spawn):
    ref = spawn(Clumsy)

    with pytest.raises(HandlerError, match=r"Clumsy\.wrong") as caught:
        ref.ask(WrongAnswer()).result()

    assert isinstance(caught.value, TypeError)
    assert "WrongAnswer" in str(caught.value)
    assert ref.ask(Texts()).result() == []


# ---- names


def test_an_unknown_actor_is_no_such_actor(system, name):
    ref = system.ref(name)

    for use in (lambda: ref.ask(Add(1, 2)), lambda: ref.tell(Note("")), ref.wait_ready):
        with pytest.raises(NoSuchActor, match=name) as caught:
            use()
        assert isinstance(caught.value, NotDelivered)
        assert caught.value.target == name
    for control in (system.stop, system.kill, system.restart):
        with pytest.raises(NoSuchActor, match=name) as caught:
            control(name)
        assert type(caught.value) is NoSuchActor


def test_a_name_that_is_mistaken_is_answered_with_the_one_that_was_meant(system, spawn):
    ref = spawn(Calculator)
    mistaken = ref.name.replace("calculator", "calculater")

    for use in (lambda: system.ref(mistaken).tell(Add(1)), lambda: system.kill(mistaken)):
        with pytest.raises(NoSuchActor, match=rf"Did you mean {ref.name}( or .*)?\?"):
            use()


def test_an_actor_is_named_by_its_ref_too(system, spawn):
    ref = spawn(Calculator)

    with system.watch(ref.name) as ends:
        assert system.kill(ref) == 1
        assert next(ends).name == ref.name
    assert system.restart(ref) >= 2
    system.stop(ref)
    with pytest.raises(TypeError, match="takes an actor's name or its ref, not 3"):
        system.kill(3)


def test_handles_say_what_they_are(system, spawn):
    ref = spawn(Calculator)
    reply = ref.ask(Add(1, 2))
    reply.result()

    assert repr(ref) == f"<ActorRef {ref.name}>"
    assert repr(reply) == f"<Reply to Add of {ref.name}: 3.0>"
    assert repr(system).startswith("<System ")
    assert repr(system).endswith(", connected>")


def test_a_name_can_be_used_once_it_is_there(system, spawn, name):
    ref = system.ref(name)
    with pytest.raises(NoSuchActor):
        ref.ask(Add(1, 2))

    spawn(Calculator, name=name)

    assert ref.ask(Add(1, 2)).result() == 3.0


def test_a_name_that_is_taken_is_refused(system, spawn):
    ref = spawn(Calculator)

    with pytest.raises(SpawnError, match="taken") as caught:
        system.spawn(Collector, name=ref.name)

    assert type(caught.value) is SpawnError
    assert caught.value.actor == ref.name
    assert f"system.stop('{ref.name}')" in str(caught.value)
    assert ref.ask(Add(1, 2)).result() == 3.0


@pytest.mark.parametrize("bad", ["", "@broker", "-x", "a b", "é", "x" * 129, "client-5"])
def test_a_bad_name_is_refused_with_the_rule(system, bad):
    with pytest.raises(ValueError, match=r"name"):
        system.spawn(Calculator, name=bad)


# ---- starting


def test_an_on_start_that_raises_is_a_spawn_error_with_the_remote_traceback(system, name):
    with pytest.raises(SpawnError, match="no luck") as caught:
        system.spawn(Stillborn, name=name)

    error = caught.value
    assert type(error) is SpawnError
    assert error.actor == name
    assert "ValueError: no luck" in error.reason
    assert "raise ValueError(self.text)" in error.remote_traceback
    assert "supervisor.py" not in error.remote_traceback
    assert any("on_start" in note for note in error.__notes__)


def test_wrong_fields_are_refused_where_it_is_spawned(system, name):
    with pytest.raises(TypeError, match=r"no field 'size'.*scale"):
        system.spawn(Calculator, name=name, size=3)
    with pytest.raises(InvalidMessage, match=r"Calculator\.scale"):
        system.spawn(Calculator, name=name, scale="large")
    with pytest.raises(TypeError, match="needs witness"):
        system.spawn(troupe.Hooked, name=name)
    with pytest.raises(TypeError, match="Actor class"):
        system.spawn(Note, name=name)
    with pytest.raises(TypeError, match="Actor class"):
        system.spawn("Calculator", name=name)


def test_wrong_options_are_refused_where_it_is_spawned(system, spawn):
    with pytest.raises(TypeError, match=r"limits=5: give a supervisor\.Limits, such as"):
        spawn(Calculator, limits=5)
    with pytest.raises(TypeError, match=r"restart='never': give a supervisor\.Restart, such as"):
        spawn(Calculator, restart="never")
    with pytest.raises(TypeError, match="an actor's name or its ref, not 5"):
        system.ref(5)
    with pytest.raises(TypeError, match="timeout='1': give seconds"):
        system.wait_ended("1")


def test_a_class_inside_a_function_cannot_be_found(system, name):
    class Hidden(Actor):
        @receive
        def add(self, msg: Add) -> float:
            return 0.0

    with pytest.raises(SpawnError, match="function"):
        system.spawn(Hidden, name=name)


def test_a_class_that_cannot_be_imported_elsewhere_is_a_spawn_error(
    system, transport, name, monkeypatch
):
    # inproc shares our modules, so there the module has to be missing for everybody.
    monkeypatch.setattr(Local, "__module__", "nowhere.to_be_found")

    with pytest.raises(SpawnError, match="nowhere") as caught:
        system.spawn(Local, name=name)

    assert "ModuleNotFoundError" in str(caught.value)


# ---- bounds


def test_a_full_mailbox_is_an_error_after_a_while(spawn):
    ref = spawn(Collector, limits=Limits(mailbox=20))
    held = ref.ask(troupe.Wait("held"))

    for n in range(19):
        ref.tell(Put(n))
    with pytest.raises(MailboxFull, match="20") as caught:
        ref.tell(Put(19))

    assert isinstance(caught.value, NotDelivered)
    assert caught.value.limit == 20
    held.cancel()
    assert ref.ask(Get()).result() == list(range(19))


def test_plain_code_waits_for_room(spawn):
    ref = spawn(Collector, limits=Limits(mailbox=20))

    for n in range(500):
        ref.tell(Put(n))

    assert ref.ask(Get()).result() == list(range(500))


def test_asyncio_code_does_not_wait_unless_it_asks_to(spawn):
    ref = spawn(Collector, limits=Limits(mailbox=20))

    async def fill():
        held = ref.ask(troupe.Wait("held"))
        for _ in range(19):
            ref.tell(Put(-1))
        with pytest.raises(MailboxFull):
            ref.tell(Put(-1))
        held.cancel()
        for n in range(200):
            await ref.room()
            ref.tell(Put(n))
        await ref.room()
        return await ref.ask(Get())

    numbers = asyncio.run(fill())
    assert [n for n in numbers if n >= 0] == list(range(200))


def test_a_message_that_no_connection_carries_is_refused_in_the_call(system, name):
    actor = system.spawn(troupe.Calculator, name=name)

    with pytest.raises(InvalidMessage, match="in one piece"):
        actor.tell(troupe.Note("x" * envelope.LARGEST_FRAME))
    assert actor.ask(troupe.Add(1, 2)).result() == 3
