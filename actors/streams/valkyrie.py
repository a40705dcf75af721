"""Valkyrie's own names: a program written for it runs when it imports from here.

from actors.streams.valkyrie import Data, new_ReaderInterface, new_WriterInterface
"""

# ruff: noqa: N802 - the names are Valkyrie's

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.streams.data import Data
from actors.streams.reader import Reader
from actors.streams.sequence import MetaKeyword, PacketType
from actors.streams.writer import Writer

__all__ = ["Data", "MetaKeyword", "PacketType", "new_ReaderInterface", "new_WriterInterface"]


def new_WriterInterface(configuration: Mapping[str, Any]) -> Writer:
    """Return a writer; nothing happens before `activate`.

    Raises:
        TypeError: the configuration is no dict.
        ValueError: a key is missing or wrong; it is named.
    """
    return Writer(configuration)


def new_ReaderInterface(configuration: Mapping[str, Any]) -> Reader:
    """Return a reader; nothing happens before `activate`.

    Raises:
        TypeError: the configuration is no dict.
        ValueError: a key is missing or wrong; it is named.
    """
    return Reader(configuration)
