from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.log import log, log_task, logger


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="understudy")


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_0_12_log_says_it_at_info_under_our_name(caplog: pytest.LogCaptureFixture) -> None:
    log("here we are")

    assert caplog.record_tuples == [("understudy", logging.INFO, "here we are")]


def test_log_says_it_at_the_level_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    log("careful", logging.WARNING)

    assert said(caplog) == [(logging.WARNING, "careful")]


def test_a_text_with_percent_signs_is_said_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    log("100 %s done")
    with log_task("50 %d"):
        pass

    assert [text for _, text in said(caplog)] == ["100 %s done", "50 %d...", "50 %d. Done."]


def test_0_13_a_task_says_its_start_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("Loading"):
        pass

    assert said(caplog) == [(logging.INFO, "Loading..."), (logging.INFO, "Loading. Done.")]


def test_a_task_speaks_at_the_level_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("Loading", logging.DEBUG):
        pass

    assert {level for level, _ in said(caplog)} == {logging.DEBUG}


def test_0_13_a_failure_is_an_error_and_is_raised_again(caplog: pytest.LogCaptureFixture) -> None:
    problem = ValueError("no")

    with pytest.raises(ValueError, match="no") as caught, log_task("Loading", logging.DEBUG):
        raise problem

    assert caught.value is problem
    assert said(caplog) == [(logging.DEBUG, "Loading..."), (logging.ERROR, "Loading. Failed!")]


def test_0_13_nested_tasks_are_indented_by_two_spaces(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("a"):
        log("in a")
        with log_task("b"):
            log("in b")
        log("in a again")
    log("outside")

    assert [text for _, text in said(caplog)] == [
        *("a...", "  in a", "  b...", "    in b", "  b. Done.", "  in a again", "a. Done."),
        "outside",
    ]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_nesting_is_restored_whatever_is_raised(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kind), log_task("a"), log_task("b"):
        raise kind

    log("outside")

    assert [text for _, text in said(caplog)][2:] == ["  b. Failed!", "a. Failed!", "outside"]


def test_the_end_knows_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("a"):
        pass

    assert not hasattr(caplog.records[0], "elapsed")
    assert 0 <= vars(caplog.records[1])["elapsed"] < 60


def test_the_records_name_the_line_that_logged(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("a"):
        log("b")

    assert {record.filename for record in caplog.records} == {"test_log.py"}
    assert {record.funcName for record in caplog.records} == {
        "test_the_records_name_the_line_that_logged"
    }


def test_0_13_threads_do_not_share_nesting(caplog: pytest.LogCaptureFixture) -> None:
    with log_task("outer"):
        thread = threading.Thread(target=log, args=("from the thread",))
        thread.start()
        thread.join()

    assert "from the thread" in [text for _, text in said(caplog)]


def test_tasks_do_not_share_nesting(caplog: pytest.LogCaptureFixture) -> None:
    async def one(name: str, mine: asyncio.Event, other: asyncio.Event) -> None:
        with log_task(name):
            mine.set()
            await other.wait()
            log(f"in {name}")

    async def both() -> None:
        a, b = asyncio.Event(), asyncio.Event()
        await asyncio.gather(one("a", a, b), one("b", b, a))

    asyncio.run(both())

    texts = [text for _, text in said(caplog)]
    assert texts[:2] == ["a...", "b..."]
    assert sorted(texts[2:]) == ["  in a", "  in b", "a. Done.", "b. Done."]


def test_a_task_can_decorate_a_function(caplog: pytest.LogCaptureFixture) -> None:
    @log_task("work")
    def work() -> int:
        return 5

    assert (work(), work()) == (5, 5)
    assert [text for _, text in said(caplog)] == ["work...", "work. Done."] * 2


def test_the_library_prints_nothing_by_itself() -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    assert logger.propagate


trees = st.recursive(st.booleans(), lambda inner: st.lists(inner, max_size=3), max_leaves=10)


@given(tree=trees)
def test_any_nesting_indents_by_depth_and_ends_at_the_margin(tree: object) -> None:
    lines: list[str] = []
    expected: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    def walk(node: object, depth: int) -> None:
        """Log a tree: a list is a task, True is a line, False is an error that ends it all."""
        if node is False:
            raise LookupError
        if node is True:
            log("line")
            expected.append("  " * depth + "line")
            return
        expected.append("  " * depth + "task...")
        end = "Failed!"
        try:
            with log_task("task"):
                for inner in node:  # type: ignore[attr-defined]
                    walk(inner, depth + 1)
                end = "Done."
        finally:
            expected.append("  " * depth + f"task. {end}")

    handler = Lines()
    logger.addHandler(handler)
    try:
        walk(tree, 0)
    except LookupError:
        pass
    finally:
        logger.removeHandler(handler)

    assert lines == expected
