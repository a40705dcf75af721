"""Where an actor class is found again in another process.

    in a module                     module and qualified name
    in the script being run         the script's path; the child imports it as `MAIN_ALIAS`
    in no file (prompt, notebook)   a file with its definition, made by cloudpickle

The definition file is the one place where code travels as data: it is written 0600 into the
runtime directory, for the same user's processes on the same host, and never goes over a socket.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from actors.actor import Actor
from actors.control import ClassName
from actors.errors import SpawnError
from actors.message import MAIN_ALIAS, defined_in, message

_LOADING: Final[list[str]] = []
"""The script that is being imported on behalf of a supervisor, if any."""


def importing_script() -> str:
    """Return the path of the script that this process is importing as a child, or ""."""
    return _LOADING[0] if _LOADING else ""


def name_of(cls: type[Actor], definitions: Path | None = None) -> ClassName:
    """Return where other processes find `cls`.

    `definitions` is a directory of the running system for classes that exist in no file.
    Raises `SpawnError` for a class that no other process can find.
    """
    module, qualname = cls.__module__, cls.__qualname__
    if module in ("__main__", MAIN_ALIAS):
        main = sys.modules.get(module)
        spec = getattr(main, "__spec__", None)
        if spec is not None and spec.name not in ("__main__", MAIN_ALIAS):
            return ClassName(spec.name, qualname)
        path = getattr(main, "__file__", None)
        if path is None or not Path(path).exists():
            return _define(cls, definitions)
        if "<locals>" not in qualname:
            return ClassName(MAIN_ALIAS, qualname, script=str(Path(path).absolute()))
    if "<locals>" in qualname:
        raise SpawnError(
            actor=qualname,
            reason="a class made inside a function cannot be found by another process; "
            "move it to the top of its module",
        )
    return ClassName(module, qualname)


def _define(cls: type[Actor], definitions: Path | None) -> ClassName:
    try:
        import cloudpickle  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise SpawnError(
            actor=cls.__qualname__,
            reason="the class exists in no file, so another process cannot import it; "
            "put it into a module, or `pip install understudy[notebook]`",
        ) from None
    if definitions is None:
        raise SpawnError(
            actor=cls.__qualname__,
            reason="the class exists in no file and the system runs on another host; "
            "put it into a module",
        )
    # The child knows none of the messages either that were written beside the class.
    messages = [(info.cls, info.tag, info.redeliver) for info in defined_in(cls.__module__)]
    data: bytes = cloudpickle.dumps((messages, cls))  # pyright: ignore[reportUnknownMemberType]
    path = definitions / f"{cls.__name__}-{os.urandom(8).hex()}"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return ClassName("__main__", cls.__qualname__, definition=str(path))


def load(name: ClassName) -> type[Actor]:
    """Return the class, importing what is needed.  Raises what the import raises."""
    if name.definition:
        found = _read_definition(Path(name.definition))
    else:
        module = _script(name.script) if name.script else importlib.import_module(name.module)
        found = module
        for part in name.qualname.split("."):
            found = getattr(found, part, None)
            if found is None:
                where = name.script or name.module
                raise ImportError(f"{where} has no {name.qualname}")
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise TypeError(f"{name.qualname} is not an Actor class")
    return found


def _script(path: str) -> ModuleType:
    """Import the user's script under another name, so that its `if __name__` guard holds."""
    known = sys.modules.get(MAIN_ALIAS)
    if known is not None and known.__file__ == path:
        return known
    spec = importlib.util.spec_from_file_location(MAIN_ALIAS, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported: is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MAIN_ALIAS] = module
    _LOADING.append(path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[MAIN_ALIAS]
        raise
    finally:
        _LOADING.clear()
    # What the script says of `__main__` (a class looked up by its module name) must hold here too.
    sys.modules["__main__"] = module
    return module


def _read_definition(path: Path) -> Any:
    import cloudpickle  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]

    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise PermissionError(f"{path} may be somebody else's; it is not loaded")
        messages, cls = cloudpickle.loads(file.read())
    for each, tag, redeliver in messages:
        message(tag=tag, redeliver=redeliver)(each)
    return cls
