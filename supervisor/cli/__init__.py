"""The command `understudy`.  Actor processes never import this room."""

from supervisor.cli.app import main

__all__ = ["main"]
