"""The command `understudy`.  Actor processes never import this room."""

try:
    from supervisor.cli.app import main
except KeyboardInterrupt:  # as in `supervisor` itself: nothing has begun
    raise SystemExit(130) from None

__all__ = ["main"]
