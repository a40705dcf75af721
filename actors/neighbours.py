"""Looks once whether `supervisor` is ours: supervisord's package has the same import name.

Without it the first sign would be that `supervisor` has no `start`, or no `cli`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_OURS: Final = b"from supervisor.entrance import"


def check_supervisor() -> None:
    """Raise `ImportError` when `import supervisor` finds somebody else's package."""
    module = sys.modules.get("supervisor")
    spec = find_spec("supervisor") if module is None else module.__spec__
    if spec is None or spec.origin is None:
        return
    # Where it lies says nothing: installed side by side, the later one writes over the other.
    # Nor does a zipped or frozen one, which cannot be read here.
    path = Path(spec.origin)
    if path.is_file() and _OURS not in path.read_bytes():
        raise ImportError(
            f"`import supervisor` finds another package, {path}: not understudy's, most likely "
            "supervisord's. Install understudy into an environment without it, or, if that is a "
            "file of your own, rename it."
        )


check_supervisor()
