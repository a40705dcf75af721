"""`understudy keys`: who may join this user's systems over the network, and whose we join."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from supervisor.access import identity_of
from supervisor.cli.text import CommandError, ExitCode
from supervisor.gate import check_tcp
from supervisor.keys import KeyRing, key_text, parse_key
from supervisor.roles import Role

keys = App(name="keys", help="Say who may join over the network (tcp), and whose systems we join.")


@keys.command
def init() -> int:
    """Make this user's key pair unless there is one, and print the public key.

    Needed once, before a system listens on an address that is open to the network. The secret
    stays in the key directory (`$UNDERSTUDY_KEYS`, else ~/.config/understudy/keys), mode 0600.
    """
    return show()


@keys.command
def show() -> int:
    """Print the public key that this user has on this machine; it is made when there is none.

    Whoever wants to join a system sends its key to the system's owner, who runs
    `understudy keys allow KEY --name NAME`; whoever owns one tells its key to those who join, who
    run `understudy keys trust ENDPOINT KEY`.
    """
    sys.stdout.write(key_text(identity_of(KeyRing()).public) + "\n")
    return ExitCode.OK


@keys.command
def allow(
    key: str, /, *, name: Annotated[str, Parameter(name="--name")], role: Role = Role.OPERATOR
) -> int:
    """Let a key join the systems of this user, at once; again with another role to change it.

    Parameters
    ----------
    key:
        The public key, 52 letters and digits.
    name:
        What to call it here.
    role:
        viewer: status, watch, events. operator: also talk to actors, stop, restart and kill them.
        admin: also spawn actors (run code as this user) and end the system.
    """
    try:
        KeyRing().allow(parse_key(key), name=name, role=role)
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE) from None
    sys.stdout.write(f"{name} may join as {role}\n")
    return ExitCode.OK


@keys.command
def revoke(which: str, /) -> int:
    """Let a key in no more; its connections end within two seconds.

    Parameters
    ----------
    which:
        The name of the key, or the key itself.
    """
    try:
        entry = KeyRing().revoke(which)
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE, hint="understudy keys list") from None
    sys.stdout.write(f"{entry.name} may not join any more\n")
    return ExitCode.OK


@keys.command(name="list")
def list_() -> int:
    """Print the keys that may join: key, role, name."""
    for entry in KeyRing().allowed().values():
        sys.stdout.write(f"{key_text(entry.key)}  {entry.role:8}  {entry.name}\n")
    return ExitCode.OK


@keys.command
def trust(endpoint: str, key: str, /) -> int:
    """Remember the public key of the system at an endpoint, so that joining it needs no `key=`.

    Parameters
    ----------
    endpoint:
        Where it listens, such as tcp://lab:7700.
    key:
        Its public key, as `understudy keys show` prints it there.
    """
    try:
        check_tcp("ENDPOINT", endpoint)
        KeyRing().trust(endpoint, parse_key(key))
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE) from None
    sys.stdout.write(f"{endpoint} is trusted with this key\n")
    return ExitCode.OK
