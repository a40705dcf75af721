"""The command `understudy`.  Actor processes never import this room."""

from supervisor.beginning import begin
from supervisor.cli.app import main

__all__ = ["main"]

begin()
