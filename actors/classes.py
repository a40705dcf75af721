"""Where an actor class is found again in another process.

in a module                     module and qualified name
in the script being run         the script's path; the child imports it as `MAIN_ALIAS`
in no file (prompt, notebook)   a file with its definition, see `definitions`
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zipimport
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final

from actors.actor import Actor
from actors.agreement import namespace_of
from actors.control import ClassName
from actors.definitions import define, read
from actors.errors import SpawnError
from actors.message import MAIN_ALIAS

_LOADING: Final[list[str]] = []
"""What is being imported on behalf of a supervisor, if anything."""


@contextmanager
def importing(what: str) -> Generator[None]:
    """Let it be known that a script, or a module, is imported for actors: it may start nothing."""
    _LOADING.append(what)
    try:
        yield
    finally:
        _LOADING.clear()


def importing_script() -> str:
    """Return the script, or module, that this process is importing for actors, or ""."""
    return _LOADING[0] if _LOADING else ""


def name_of(cls: type[Actor], definitions: Path | None = None) -> ClassName:
    """Return where other processes find `cls`.

    `definitions` is a directory of the running system for classes that exist in no file.
    Raises `SpawnError` for a class that no other process can find.
    """
    module, qualname = cls.__module__, cls.__qualname__
    if _in_no_file(cls):
        return ClassName(module, qualname, definition=str(define(cls, definitions)))
    if "<locals>" in qualname:
        raise SpawnError(
            actor=qualname,
            reason="a class made inside a function cannot be found by another process; "
            "move it to the top of its module",
        )
    if module not in ("__main__", MAIN_ALIAS):
        return ClassName(module, qualname)
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in ("__main__", MAIN_ALIAS):
        return ClassName(spec.name, qualname)  # python -m package.module
    return ClassName(MAIN_ALIAS, qualname, script=_path_of(main))


def _path_of(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    return "" if path is None else str(Path(path).absolute())


def _in_no_file(cls: type[Actor]) -> bool:
    """Tell whether nobody could import the class: it was typed, or came from a pipe."""
    module = sys.modules.get(cls.__module__)
    if module is None:
        return bool(namespace_of(cls))  # a console in a program
    path = getattr(module, "__file__", None)
    if path is None:
        # A notebook, a prompt, standard input; or `exec` in a namespace without a name.
        return cls.__module__ in ("__main__", "builtins") or module.__spec__ is None
    if cls.__module__ not in ("__main__", MAIN_ALIAS):
        return False
    return not (Path(path).exists() or _archive(path)) or _typed(cls)


def _typed(cls: type[Actor]) -> bool:
    """Tell whether a class of `__main__` came after its script: `python -i script.py`."""
    files = {
        function.__code__.co_filename
        for function in vars(cls).values()
        if isinstance(function, FunctionType) and function.__module__ == cls.__module__
    }
    written = {file for file in files if not file.startswith("<attrs generated")}
    return bool(written) and not any(Path(file).exists() or _archive(file) for file in written)


def _archive(path: str) -> str:
    """Return the file of a zipped program that `path` lies in, or ""."""
    return next((str(up) for up in Path(path).parents if up.is_file()), "")


def load(name: ClassName) -> type[Actor]:
    """Return the class, importing what is needed.  Raises what the import raises."""
    if name.definition:
        return read(Path(name.definition))
    module = _script(name.script) if name.script else importlib.import_module(name.module)
    found: object = module
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
    for name in (MAIN_ALIAS, "__main__"):  # as threads, actors live in the script's own process
        known = sys.modules.get(name)
        if known is not None and _path_of(known) == path:
            return known
    module, run = _unrun(path)
    sys.modules[MAIN_ALIAS] = module
    try:
        with importing(path):
            run()
    except BaseException:
        del sys.modules[MAIN_ALIAS]
        raise
    # What the script says of `__main__` (a class looked up by its module name) must hold here too.
    sys.modules["__main__"] = module
    return module


def _unrun(path: str) -> tuple[ModuleType, Callable[[], object]]:
    """Return the module of a script, and what runs its code."""
    if not Path(path).exists() and _archive(path):  # python app.pyz
        code = zipimport.zipimporter(_archive(path)).get_code("__main__")
        module = ModuleType(MAIN_ALIAS)
        module.__file__ = path
        return module, lambda: exec(code, vars(module))  # noqa: S102 - as the interpreter does
    # The loader is named: a script needs no ending of its name.
    loader = SourceFileLoader(MAIN_ALIAS, path)
    spec = importlib.util.spec_from_file_location(MAIN_ALIAS, path, loader=loader)
    if spec is None:
        raise ImportError(f"{path} cannot be imported: is it a Python file?")
    module = importlib.util.module_from_spec(spec)
    return module, lambda: loader.exec_module(module)
