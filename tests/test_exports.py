"""What the two packages export: exactly the contract, so nothing becomes public by accident."""

from __future__ import annotations

import importlib

import pytest

ACTORS = {
    "Actor",
    "ActorRef",
    "Array",
    "DeadLetter",
    "FailurePolicy",  # beyond the contract's list: users write it in their classes
    "Reply",
    "Request",
    "Shape",
    "Stream",
    "StreamRequest",
    "Terminated",
    "log",
    "log_task",
    "message",
    "receive",
}
SUPERVISOR = {
    "AutoShutdown",  # beyond the contract's list: a significant child is no use without it
    "Backoff",
    "Child",
    "Intensity",
    "Limits",
    "Pool",
    "Restart",
    "Strategy",
    "System",
    "Tree",
    "connect",
    "start",
}
EXPORTS = {"actors": ACTORS, "supervisor": SUPERVISOR}


@pytest.mark.parametrize("package", sorted(EXPORTS))
def test_a_package_exports_exactly_the_contract(package):
    exported = importlib.import_module(package).__all__

    assert set(exported) == EXPORTS[package]


@pytest.mark.parametrize("package", sorted(EXPORTS))
def test_exports_are_listed_once_and_sorted(package):
    exported = importlib.import_module(package).__all__

    assert list(exported) == sorted(set(exported))


@pytest.mark.parametrize("package", sorted(EXPORTS))
def test_every_export_exists(package):
    module = importlib.import_module(package)

    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", sorted(EXPORTS))
def test_every_export_has_a_docstring(package):
    module = importlib.import_module(package)

    assert [name for name in module.__all__ if not (getattr(module, name).__doc__ or "")] == []
