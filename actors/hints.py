"""What somebody may have meant who has mistaken a name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from actors.errors import NoSuchActor, UnknownMessage
from actors.message import MAIN_ALIAS, class_name, tag_of

MOST: Final = 1000
"""Names that are compared; of more, looking would take longer than an answer may."""

SHOWN: Final = 8


def similar(name: str, names: Collection[str]) -> list[str]:
    """Return the names that are so much like `name` that they may have been meant, best first."""
    return get_close_matches(name, names, n=2, cutoff=0.7) if len(names) <= MOST else []


def no_such_actor(target: str, message: str, meant: Iterable[str] = ()) -> NoSuchActor:
    """Return the error for a name that nobody has; `message` is "" when none was to be sent."""
    lost = f": {message} was not delivered" if message else ""
    hint = " or ".join(meant)
    remedy = (
        f"Did you mean {hint}?"
        if hint
        else "Spawn it, or look at `understudy status` for the names there are."
    )
    text = f"no actor is called {target or '(no name)'}{lost}. {remedy}"
    return NoSuchActor(text, target=target, message=message)


def no_such_status(name: str, names: Collection[str]) -> str:
    """Return why there is nothing to be said of an actor of that name."""
    meant = " or ".join(similar(name, names))
    hint = f"did you mean {meant}? " if meant else ""
    return f"no actor is called {name or '(no name)'}; {hint}there are: {_listed(names) or 'none'}"


def _listed(names: Collection[str]) -> str:
    """Return a few of the names, in order, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(sorted(names)[:SHOWN])}{more}"


def no_such_ring(actor: str, name: str, rings: Iterable[str]) -> str:
    """Return why there is nothing to read, of an actor that there is."""
    others = sorted(rings)
    has = f"its rings are: {_listed(others)}" if others else "it has made no ring"
    return f"{actor} has no ring {name!r} yet; {has}"


def no_handler(target: str, tag: str, handled: Iterable[type]) -> UnknownMessage:
    """Return the error for a message that the actor's class does not handle."""
    names = sorted(cls.__name__ for cls in handled)
    name = class_name(tag)
    if name in names:
        what = f"it handles another class of that name: {tag} is not the one its module imports"
    else:
        what = f"it handles {_listed(names) or 'nothing'}"
    text = f"{target} has no handler for {name}; {what}. Mark a method with @receive to add one."
    return UnknownMessage(text, tag=tag, target=target)


def imported_script(target: str, tag: str, handled: Iterable[type]) -> UnknownMessage | None:
    """Return the error for a class of a running script that the sender has imported as a module.

    None when the actor handles no such class: then nothing more is known of the tag.
    """
    module, _, name = tag.rpartition(":")
    script = f"{module.rpartition('.')[2]}.py"
    for cls in handled:
        own = cls.__module__ in {"__main__", MAIN_ALIAS} and cls.__qualname__ == name
        if own and tag_of(cls).startswith(f"{script}~"):
            text = (
                f"{target} handles {name} of the script {script}, and {tag} is another class: "
                "Python makes one when a file is run, and one when it is imported. Move the "
                "messages to a module that both programs import."
            )
            return UnknownMessage(text, tag=tag, target=target)
    return None
