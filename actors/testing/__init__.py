"""The protocol testing kit: messages drawn from their classes, histories judged.

Needs the extra `understudy[testing]`; nothing else in `actors` imports it.
"""

from actors.testing.construction import UnstableConverter
from actors.testing.records import ImpossibleField, OpaqueValidator
from actors.testing.strategies import check_converters, messages, register

__all__ = [
    "ImpossibleField",
    "OpaqueValidator",
    "UnstableConverter",
    "check_converters",
    "messages",
    "register",
]
