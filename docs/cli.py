"""Writes the commands into reference/cli.md, from their own help: `python docs/cli.py`."""  # noqa: INP001

from __future__ import annotations

import re
import sys
from pathlib import Path

from supervisor.cli.app import application

PAGE = Path(__file__).with_name("reference") / "cli.md"
BEGIN = "<!-- generated from here on by docs/cli.py -->\n"


def page() -> str:
    """Return the page as it should be: what people wrote of it, then what the commands say."""
    written = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    text = application().generate_docs()
    commands = text[text.index("## understudy ") :]
    # cyclopts puts the command in front of a usage line that has it already.
    commands = re.sub(r"^(understudy (\w+)) \2 ", r"\1 ", commands, flags=re.MULTILINE)
    return f"{written}{BEGIN}\n{commands.strip()}\n"


if __name__ == "__main__":
    if "--show" in sys.argv:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
