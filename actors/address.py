"""Who is meant: a name and which of its lives.

"viewer"      the name, whichever incarnation holds it     Address("viewer")
"viewer/2"    exactly its second life                      Address("viewer", 2)
"@supervisor" names beginning with "@" belong to the system; `check_name` refuses them for users
"""

from __future__ import annotations

import re

import attrs

LONGEST_NAME = 128
"""Characters an actor's name may have at most."""

CLIENT_PREFIX = "client-"
"""Programs that join a system are called so."""

NET_PREFIX = "client-net-"
"""Those among them that came over the network: their keys say what they may do."""

LAST_INCARNATION = 2**63 - 1
"""Incarnations travel as signed 64-bit integers; nobody restarts that often."""

_NAME = re.compile(r"[A-Za-z0-9_.:#][A-Za-z0-9_.:#-]{0,127}")
_ADDRESS = re.compile(r"(@?[A-Za-z0-9_.:#][A-Za-z0-9_.:#-]{0,127})(?:/([1-9][0-9]{0,18}))?")


@attrs.frozen(order=True)
class Address:
    """A name and an incarnation; 0 means whichever incarnation lives.

    Nothing is checked here: addresses are made for every message, so names are checked once,
    where they enter (`check_name` for a user's word, `parse` for text from elsewhere).
    """

    name: str
    incarnation: int = 0  # 1, 2, 3, ... one more per life; 0: any

    def __str__(self) -> str:
        return f"{self.name}/{self.incarnation}" if self.incarnation else self.name

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read what `str(address)` wrote, names of the system included.

        Raises:
            ValueError: not "name" or "name/incarnation" with an incarnation from 1 to 2**63 - 1.
        """
        match = _ADDRESS.fullmatch(text)
        incarnation = int(match[2] or 0) if match else 0
        if match is None or incarnation > LAST_INCARNATION:
            raise ValueError(
                f"{_shown(text)} is not an address. "
                'Write a name such as "viewer", or one of its lives such as "viewer/2".'
            )
        return cls(match[1], incarnation)


def check_name(name: str, what: str = "an actor") -> str:
    """Return `name` when an actor, or `what` goes by the same rule, may be called so.

    Raises:
        ValueError: it breaks the rule, which the text states.
        TypeError: it is not a string.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the name of {what} is a str, not {type(name).__name__}: {_shown(name)}")
    if _NAME.fullmatch(name) is None or name.startswith(CLIENT_PREFIX):
        raise ValueError(f"{_shown(name)} cannot name {what}: {_broken_rule(name)}")
    return name


def is_name(text: str) -> bool:
    """Return whether anybody at all may be called so: an actor, a program, or the system."""
    return _NAME.fullmatch(text.removeprefix("@")) is not None


def unique_name(prefix: str, token: str) -> str:
    """Join a readable prefix and a token that nobody else has: "client-3f9c"."""
    return f"{prefix}-{token}"


def _broken_rule(name: str) -> str:
    if not name:
        return "it is empty. Give 1 to 128 characters."
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters. Give 1 to {LONGEST_NAME}."
    if name[0] == "@":
        return 'names beginning with "@" belong to the system. Choose another first character.'
    if name[0] == "-":
        return 'a name beginning with "-" would read as an option. Choose another first character.'
    if name.startswith(CLIENT_PREFIX):
        return f'names beginning with "{CLIENT_PREFIX}" belong to programs. Choose another.'
    odd = next(char for char in name if _NAME.fullmatch("x" + char) is None)
    return f"{odd!a} is not allowed. Use ASCII letters, digits and any of _ . : # - only."


def _shown(value: object) -> str:
    """Show any value in a line: bounded, and in ASCII so that no terminal chokes on it."""
    text = ascii(value)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "..."
