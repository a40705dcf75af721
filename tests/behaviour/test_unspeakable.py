"""Errors that cannot be said, answers that cannot be read: the actor ends, or lives on."""

from __future__ import annotations

import logging

import pytest
from unspeakable import (
    ERRORS,
    Canceller,
    Enduring,
    Form,
    Give,
    GiveAll,
    GiveAllLater,
    GiveLater,
    Grumbler,
    Life,
    LogTorn,
    Raise,
    RaiseLater,
)

from actors import DeadLetter
from actors.errors import HandlerError, SpawnError
from actors.log import logger

KINDS = pytest.mark.parametrize("kind", list(ERRORS))
HANDLERS = pytest.mark.parametrize("told", [Raise, RaiseLater])


@pytest.fixture(autouse=True)
def unheard(system, caplog):
    """What actors that are threads log would stand in pytest's report, which must be Unicode."""
    caplog.set_level(logging.CRITICAL + 1, logger=logger.name)


@KINDS
@HANDLERS
def test_an_actor_whose_error_cannot_be_said_is_restarted(system, spawn, kind, told):
    ref = spawn(Grumbler)
    with system.watch(ref) as ends:
        ref.tell(told(kind))
        notice = next(ends)

    assert type(ERRORS[kind]).__name__ in notice.reason
    assert ref.ask(Life()).result() == 2


@KINDS
@HANDLERS
def test_an_actor_that_resumes_lives_on_and_the_letter_says_so(system, spawn, kind, told):
    ref = spawn(Enduring)
    with system.subscribe(DeadLetter) as letters:
        ref.tell(told(kind))

        assert ref.ask(Life()).result() == 1
        letter = next(each for each in letters if each.target == ref.name)
    assert type(ERRORS[kind]).__name__ in letter.reason


@KINDS
def test_a_start_whose_error_cannot_be_said_is_a_spawn_error(spawn, kind):
    with pytest.raises(SpawnError, match=type(ERRORS[kind]).__name__):
        spawn(Grumbler, at_start=kind)


@KINDS
def test_an_end_whose_error_cannot_be_said_is_a_good_end(system, spawn, kind):
    ref = spawn(Grumbler, at_stop=kind)
    with system.watch(ref) as ends:
        system.stop(ref)
        notice = next(ends)

    assert (notice.reason, notice.signal) == ("stopped", None)


@KINDS
def test_a_fall_whose_end_cannot_be_said_either_is_followed_by_a_restart(spawn, kind):
    ref = spawn(Grumbler, at_stop=kind)

    ref.tell(Raise(kind))

    assert ref.ask(Life()).result() == 2


def test_an_end_that_is_cancelled_does_not_take_the_whole_grace(system, spawn):
    ref = spawn(Canceller)
    with system.watch(ref) as ends:
        system.stop(ref)
        notice = next(ends)

    assert "killed" not in notice.reason
    assert notice.signal is None


def test_a_text_that_is_not_unicode_can_be_logged(spawn):
    ref = spawn(Grumbler)

    ref.ask(LogTorn()).result()

    assert ref.ask(Life()).result() == 1


@pytest.mark.parametrize("asked", [Give, GiveLater])
def test_an_answer_that_cannot_be_read_is_an_error_and_the_actor_lives_on(spawn, asked):
    ref = spawn(Grumbler)

    with pytest.raises(HandlerError, match=f"{asked.__name__} does not promise.*filled"):
        ref.ask(asked()).result()

    assert ref.ask(Life()).result() == 1


@pytest.mark.parametrize("asked", [GiveAll, GiveAllLater])
def test_a_streams_item_that_cannot_be_read_ends_it_with_an_error(spawn, asked):
    ref = spawn(Grumbler)
    with ref.stream(asked()) as items:
        assert next(items) == Form(1)
        with pytest.raises(HandlerError, match="filled"):
            next(items)

    assert ref.ask(Life()).result() == 1
