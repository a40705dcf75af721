"""What `start` was given: refused in the caller's process where it cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.arrays.segment import PAGE
from actors.seconds import check_seconds
from supervisor import rundir
from supervisor.limits import parse_size
from supervisor.spec import Tree


def check_options(tree: object, name: str | None, ask_timeout: float, launcher: str | None) -> None:
    """Refuse here what would else be refused in another process, by its own words."""
    if not isinstance(tree, Tree | None):
        kind = type(tree).__name__
        raise TypeError(f"start takes a Tree, not {kind}: write start(Tree(children=[...])).")
    if name is not None:
        rundir.check_name(name)
    check_seconds(ask_timeout, "ask_timeout", least=0.0)
    if launcher not in (None, "fork", "spawn"):
        raise ValueError(f"launcher={launcher!r:.80}: there are 'fork' (Linux) and 'spawn'")


def check_kinds(state_dir: object, **switches: object) -> None:
    """Refuse what is of another kind: for the supervisor it would be no word at all."""
    if state_dir is not None:
        if not isinstance(state_dir, str | Path):
            raise TypeError(f"state_dir={state_dir!r:.80}: give the path of a directory")
        if not str(state_dir) or "\0" in str(state_dir):
            raise ValueError(f"state_dir={state_dir!r:.80}: no directory has that path")
    for what, given in switches.items():
        if not isinstance(given, bool):
            raise TypeError(f"{what}={given!r:.80}: give True or False")


def shared_memory_of(given: int | str | None) -> int:
    """Return bytes; 0 when nobody has said how many."""
    try:
        size = parse_size(given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"shared_memory: {error}") from None
    if size is not None and size < PAGE:
        raise ValueError(f"shared_memory={given!r:.80}: give at least {PAGE} bytes")
    return size or 0


def modules_of(given: str | Sequence[str]) -> list[str]:
    """Return the names of modules to preload, each once."""
    if not isinstance(given, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"preload={given!r:.80}: give names of modules, as ['lab.detectors']")
    names = [given] if isinstance(given, str) else given
    for name in names:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"preload: {name!r:.80} is no module's name: write 'lab.detectors'")
        if name == "__main__":
            raise ValueError(
                "preload: the script itself cannot be imported in advance: move what actors need "
                "into a module, and name that"
            )
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(
                f"preload: {name!r:.80} is no module's name: write it with dots and without .py, "
                "as 'lab.detectors'"
            )
    return list(dict.fromkeys(names))
