from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Generic, TypeVar

import attrs
import pytest

import actors.codec  # noqa: F401 - it refuses classes; `import actors` brings it in
from actors.errors import UnknownMessage
from actors.message import (
    MAIN_ALIAS,
    MessageKind,
    Request,
    StreamRequest,
    answer_type,
    class_of,
    is_message,
    message,
    message_kind,
    redelivers,
    tag_of,
)

T = TypeVar("T")
U = TypeVar("U")


@message
class Add(Request[float]):
    x: float
    y: float = 0.0


@message
class Tail(StreamRequest["Line"]):
    file: str


@message
class Line:
    text: str


@message
class Ping(Request[None]):
    pass


class Getter(Request[T], Generic[T]):
    __slots__ = ()


@message
class GetLines(Getter[list[Line]]):
    pass


def test_a_message_is_a_frozen_slotted_attrs_class():
    add = Add(1, y=2)

    assert attrs.has(Add)
    assert add == Add(1.0, 2.0)
    assert repr(add) == "Add(x=1, y=2)"
    assert not hasattr(add, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        add.x = 3


def test_a_class_that_attrs_already_made_is_taken_as_it_is():
    @message
    @attrs.frozen(kw_only=True)
    class Named:
        name: str

    assert Named(name="a") == Named(name="a")
    assert is_message(Named)
    with pytest.raises(TypeError):
        Named("a")


def test_the_kind_and_the_answer_follow_the_base_class():
    assert (message_kind(Add), answer_type(Add)) == (MessageKind.ASK, float)
    assert (message_kind(Tail), answer_type(Tail)) == (MessageKind.STREAM, Line)
    assert (message_kind(Line), answer_type(Line)) == (MessageKind.TELL, None)
    assert (message_kind(Ping), answer_type(Ping)) == (MessageKind.ASK, type(None))
    assert answer_type(GetLines) == list[Line]


def test_an_answer_may_be_named_before_it_exists_within_a_function():
    @message
    class Ask(Request["Later"]):
        pass

    with pytest.raises(NameError):
        answer_type(Ask)

    @message
    class Later:
        pass

    assert answer_type(Ask) is Later


def test_an_answer_that_could_be_anything_is_refused_when_asked_for():
    @message
    class Get(Request[T], Generic[T]):
        pass

    @message
    class GetInt(Get[int]):
        pass

    assert answer_type(GetInt) is int
    with pytest.raises(TypeError, match="could be anything"):
        answer_type(Get)


def test_a_type_variable_within_an_answer_is_filled_in():
    @message
    class GetMany(Request[list[T]], Generic[T]):
        count: int

    @message
    class GetInts(GetMany[int]):
        pass

    @message
    class GetRows(GetMany[list[U]], Generic[U]):
        pass

    @message
    class GetNames(GetRows[str]):
        pass

    @message
    class Find(StreamRequest[dict[str, T] | None], Generic[T]):
        pass

    @message
    class FindLines(Find["Line"]):
        pass

    assert answer_type(GetInts) == list[int]
    assert answer_type(GetNames) == list[list[str]]
    assert answer_type(FindLines) == dict[str, Line] | None


def test_two_kinds_of_answer_are_refused():
    with pytest.raises(TypeError, match="one kind of answer"):

        @message
        class Both(Request[int], StreamRequest[int]):
            pass


def test_a_request_must_say_what_it_answers():
    with pytest.raises(TypeError, match=r"Request\[None\]"):

        @message
        class Bare(Request):
            pass


def test_an_answer_that_cannot_travel_is_refused_at_definition():
    with pytest.raises(TypeError, match=r"the answer of .*Ask: object cannot travel"):

        @message
        class Ask(Request[object]):
            pass


def test_a_tag_is_module_and_qualified_name():
    @message
    class Inner:
        pass

    assert tag_of(Add) == f"{__name__}:Add"
    assert tag_of(Inner).endswith("_qualified_name.<locals>.Inner")
    assert class_of(tag_of(Inner)) is Inner


def test_a_tag_can_be_given_and_redelivery_asked_for():
    @message(tag="lab/stop", redeliver=True)
    class Stop:
        pass

    assert tag_of(Stop) == "lab/stop"
    assert class_of("lab/stop") is Stop
    assert redelivers(Stop)
    assert not redelivers(Add)


@pytest.mark.parametrize("tag", ["", "a\nb", "x" * 256])
def test_an_odd_tag_is_refused(tag):
    with pytest.raises(TypeError, match="printable"):

        @message(tag=tag)
        class Odd:
            pass


def test_two_classes_cannot_have_one_tag():
    @message(tag="taken")
    class First:
        pass

    with pytest.raises(TypeError, match="another @message"):

        @message(tag="taken")
        class Second:
            pass

    assert class_of("taken") is First


def test_the_same_class_written_again_takes_the_place_of_the_first():
    def cell():
        @message
        class Cell:
            pass

        return Cell

    _, second = cell(), cell()

    assert class_of(tag_of(second)) is second


def test_an_unknown_tag_is_an_error_and_imports_nothing():
    before = set(sys.modules)

    with pytest.raises(UnknownMessage) as caught:
        class_of("antigravity:Egg")

    assert caught.value.tag == "antigravity:Egg"
    assert set(sys.modules) == before


def test_a_class_without_the_decorator_is_no_message():
    class Plain:
        pass

    class Heir(Add):
        pass

    for cls in (Plain, Heir, int):
        assert not is_message(cls)
        with pytest.raises(TypeError, match="@message"):
            tag_of(cls)
    assert not is_message(Add(1))


def test_a_class_that_is_refused_leaves_nothing_behind():
    with pytest.raises(TypeError, match=r"Broken.what: object cannot travel"):

        @message(tag="broken")
        class Broken:
            what: object

    with pytest.raises(UnknownMessage):
        class_of("broken")


SCRIPT = """
    from actors.message import message, tag_of

    @message
    class Frame:
        n: int

    print(tag_of(Frame))
"""


def run(directory, *arguments, stdin=None):
    root = Path(__file__).parents[2]
    program = [sys.executable, *arguments]
    done = subprocess.run(
        program,
        cwd=directory,
        input=stdin,
        env={"PYTHONPATH": f"{root}:{directory}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.strip()


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "pkg" / "run.py"
    path.parent.mkdir()
    path.with_name("__init__.py").touch()
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def test_the_tags_of_a_script_are_bound_to_its_file_and_the_same_in_its_children(script):
    child = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location({MAIN_ALIAS!r}, {str(script)!r})\n"
        f"sys.modules[{MAIN_ALIAS!r}] = module = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
    )
    link = script.with_name("link.py")
    link.symlink_to(script)

    tag = run(script.parent, "run.py")

    assert tag.startswith("run.py~")
    assert tag.endswith(":Frame")
    assert len(tag) == len("run.py~01234567:Frame")
    assert run(script.parent.parent, str(script)) == tag
    assert run("/", str(link)) == tag
    assert run("/", "-c", child) == tag


def test_two_scripts_of_one_name_have_different_tags(script, tmp_path):
    other = tmp_path / "run.py"
    other.write_text(script.read_text())

    assert run(tmp_path, "run.py") != run(script.parent, "run.py")


def test_a_module_run_with_dash_m_has_the_tags_of_the_module(script):
    assert run(script.parent.parent, "-m", "pkg.run") == "pkg.run:Frame"


def test_what_is_typed_at_a_prompt_has_the_tags_of_main(tmp_path):
    assert run(tmp_path, "-", stdin=textwrap.dedent(SCRIPT)) == "__main__:Frame"


def test_importing_actors_is_enough_for_classes_to_be_refused_at_definition(tmp_path):
    program = """
        from actors import message

        try:
            @message
            class Order:
                what: object
        except TypeError as error:
            print(error)
    """

    assert run(tmp_path, "-c", textwrap.dedent(program)).startswith("Order.what: object cannot")


@pytest.mark.parametrize("default", [[], {}, set(), bytearray()])
def test_a_default_that_all_messages_would_share_is_refused(default):
    name = type(default).__name__
    with pytest.raises(TypeError, match=rf"Note\.things: .*share this {name}.*factory={name}"):

        @message
        class Note:
            things: object = default


def test_a_message_class_inside_a_function_is_called_so():
    with pytest.raises(UnknownMessage) as error:
        class_of("bank.py~9f86d081:make.<locals>.Pay")

    assert str(error.value) == (
        "the message class Pay was made inside make, where no other process can find it. "
        "Move it to the top of its module."
    )
