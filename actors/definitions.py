"""Classes that exist in no file: typed at a prompt, in a notebook cell, from standard input.

    define(cls)  ──►  DIRECTORY/Calculator-9f86d081   ──►  read(path)
    prompt's process       0600, made by cloudpickle       actor's process
                           named by what is in it

        names      of the prompt that postponed annotations mention
        messages   every message class of the prompt, and which tag it has
        cls        the actor class, with the helpers and constants that its code uses

A class that is spawned again has its file already.  None is taken away while the system runs: later
lives of an actor read theirs again.

The file is the one place where code travels as data: it is written into the runtime directory,
for the same user's processes on the same host, and never goes over a socket.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, final

import attrs

from actors.actor import Actor, handlers_of, without_checks
from actors.agreement import namespace_of
from actors.errors import SpawnError
from actors.message import MessageInfo, class_of, defined_again, defined_in, info_of

_Dump = Callable[[Any], bytes]

_BY_VALUE: Final = 6
"""Parts of cloudpickle's order to make a class; a class that can be imported takes fewer."""

_OWN: Final[dict[str, type[Actor]]] = {}
"""The definitions written by this process, which may also run them (as threads)."""

_HOMES: Final[list[Path]] = []
"""Directories that definitions of this process's systems are in."""


@final
@attrs.frozen
class Definition:
    """What the file holds."""

    module: str  # name of the module that has no file
    file: str | None  # of the script that was run before the prompt came, if any
    names: dict[str, Any]
    messages: list[tuple[type, str, bool, dict[str, Any]]]  # class, tag, redeliver, scope
    cls: type[Actor]


def home() -> Path | None:
    """Return where an actor of this process writes the classes that it spawns, if anywhere."""
    return next((path for path in reversed(_HOMES) if path.is_dir()), None)


def define(cls: type[Actor], directory: Path | None) -> Path:
    """Write what another process needs to have `cls`, unless that is there; return where.

    Raises:
        SpawnError: cloudpickle is not there, or something that the class uses cannot be written.
    """
    dump = _writer(cls)
    if directory is None:
        raise SpawnError(
            actor=cls.__qualname__,
            reason="the class exists in no file, so it cannot be part of a tree given to start(), "
            "nor be spawned on another host; start() first and spawn it, or put it into a module",
        )
    data = _written(cls, dump)
    path = directory / f"{cls.__name__}-{hashlib.sha256(data).hexdigest()[:32]}"
    if not path.exists():
        _put(path, data)
    _OWN[str(path)] = cls
    _keep(directory)
    return path


def read(path: Path) -> type[Actor]:
    """Return the class that `define` wrote, with its messages ready to be sent and received."""
    own = _OWN.get(str(path))
    if own is not None:
        return own
    import cloudpickle  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]

    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{path} may be somebody else's; it is not loaded")
        found: Definition = cloudpickle.loads(file.read())
    _keep(path.parent)
    module = ModuleType(found.module)
    if found.file is not None:
        module.__file__ = found.file
    vars(module).update(found.names)
    sys.modules[found.module] = module
    # No other process can import it either: what this one spawns is handed on in the same way.
    cloudpickle.register_pickle_by_value(module)  # pyright: ignore[reportUnknownMemberType]
    for message, tag, redeliver, scope in found.messages:
        defined_again(message, tag=tag, redeliver=redeliver, scope=scope)
    return found.cls


def bare_class(make: Callable[..., type], arguments: tuple[Any, ...], qualname: str) -> type:
    """Make a class that is still empty; its fields and handlers come later, as they were."""
    with without_checks():
        cls = make(*arguments)
    cls.__qualname__ = qualname
    return cls


def _replace() -> Callable[..., Any]:
    """Return what attrs makes `__replace__` of every class, from Python 3.13 on.

    It is written by its name, because attrs names it after whichever class was made last: a class
    would be another one whenever some class of attrs has been made.
    """
    return attrs.evolve


def _keep(directory: Path) -> None:
    if directory not in _HOMES:
        _HOMES.append(directory)


# ---- writing


def _put(path: Path, data: bytes) -> None:
    """Write a file that is whole as soon as it has its name: others may be reading it."""
    draft = path.with_name(os.urandom(16).hex())
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _writer(cls: type[Actor]) -> _Dump:
    try:
        import cloudpickle  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise SpawnError(
            actor=cls.__qualname__,
            reason="the class exists in no file, so another process cannot import it; "
            "put it into a module, or install the extra `notebook` (`pip install cloudpickle`)",
        ) from None

    class Writer(cloudpickle.Pickler):  # type: ignore[misc]
        """A class is made empty at first, which an actor's own checks would refuse."""

        def reducer_override(self, obj: Any) -> Any:
            if obj is attrs.evolve:
                return (_replace, ())
            way: Any = super().reducer_override(obj)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            if not isinstance(obj, type) or way is NotImplemented or len(way) != _BY_VALUE:
                return way
            make, arguments, *rest = way
            return (bare_class, (make, arguments, obj.__qualname__), *rest)

    def dump(value: Any) -> bytes:
        data = io.BytesIO()
        Writer(data).dump(value)  # pyright: ignore[reportUnknownMemberType]
        return data.getvalue()

    return dump


def _written(cls: type[Actor], dump: _Dump) -> bytes:
    messages = list(_messages(cls))
    try:
        return dump(_definition(cls, messages))
    except Exception:  # noqa: BLE001 - whatever a value raises that will not be written
        needed = {info.cls for info in messages if _fails(info.cls, dump) is None}
    try:
        # A message of another cell that cannot be written: this actor may do without it.
        return dump(_definition(cls, [info for info in messages if info.cls in needed]))
    except Exception as error:
        culprit = _culprit(cls, dump, set()) or "something that it uses"
        raise SpawnError(
            actor=cls.__qualname__,
            reason=f"the class exists in no file, so it is handed over with all that its code "
            f"uses, and {culprit} cannot be ({error}). Make it in on_start, or give the actor a "
            "field for it; a ref is given so, too",
        ) from error


def _messages(cls: type[Actor]) -> Iterator[MessageInfo]:
    """Name the newest class of every tag, then those that this actor handles.

    A cell that was run again has made its message classes anew. An actor class from before goes on
    with the messages that it was written for: the last one to come has the tag.
    """
    for info in defined_in(cls.__module__):
        if class_of(info.tag) is info.cls:
            yield info
    for each in handlers_of(cls):
        if each.__module__ == cls.__module__ and class_of(info_of(each).tag) is not each:
            yield info_of(each)


def _definition(cls: type[Actor], messages: Iterable[MessageInfo]) -> Definition:
    rows = [(info.cls, info.tag, info.redeliver, dict(info.scope)) for info in messages]
    module = sys.modules.get(cls.__module__)
    known = {name: value for row in rows for name, value in row[3].items()}
    known |= dict(namespace_of(cls))
    names = _mentioned([*cls.__mro__, *(row[0] for row in rows)], known)
    return Definition(cls.__module__, getattr(module, "__file__", None), names, rows, cls)


_QUOTED: Final = re.compile(r"'([^']*)'")


def _mentioned(classes: Iterable[type], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the names in postponed annotations mean, of these classes and those they name."""
    names: dict[str, Any] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop()
        notes = [
            *vars(cls).get("__annotations__", {}).values(),
            *vars(cls).get("__orig_bases__", ()),
        ]
        texts = (n if isinstance(n, str) else " ".join(_QUOTED.findall(repr(n))) for n in notes)
        for word in set(re.findall(r"\w+", " ".join(texts))) & set(known) - set(names):
            names[word] = known[word]
            if isinstance(known[word], type):
                waiting.append(known[word])
    return names


# ---- what cannot be written


def _fails(value: Any, dump: _Dump) -> Exception | None:
    try:
        dump(value)
    except Exception as error:  # noqa: BLE001 - whatever a value raises that will not be written
        return error
    return None


def _culprit(value: Any, dump: _Dump, seen: set[int]) -> str:
    """Name the value, as its author wrote it, that keeps a class or function from being written."""
    seen.add(id(value))
    for name, part in _parts(value):
        if id(part) not in seen and _fails(part, dump) is not None:
            return _culprit(part, dump, seen) or f"`{name}` ({type(part).__name__})"
    return ""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, type):
        for base in value.__mro__:
            yield from vars(base).items() if base.__module__ == value.__module__ else ()
    elif isinstance(value, FunctionType):
        around = value.__globals__
        yield from ((name, around[name]) for name in _names(value.__code__) if name in around)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield name, cell.cell_contents


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
