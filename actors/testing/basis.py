"""What the kit stands on besides the library itself; where that is missing, a word about it."""

from __future__ import annotations

from importlib import import_module

try:
    for _name in ("greenlet", "hypothesis"):
        import_module(_name)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"actors.testing needs {error.name}: pip install 'understudy[testing]'", name=error.name
    ) from None
