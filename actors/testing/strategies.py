"""Hypothesis strategies for message classes: `messages(Add)`, and `st.from_type(Add)`.

    @given(messages(Add, x=st.just(0.0)))
    def test_zero_is_neutral(add): ...

Every draw passes the validators of its class and can travel. What is drawn follows the types, as
the codec reads them, and the validators of attrs; so nothing has to be said twice. From this room
on, Hypothesis' own `st.from_type(Add)` and `st.builds(Add)` do the same for message classes.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from actors.annotations import fields_of
from actors.schema import RecordOf, schema_of
from actors.testing.composition import can_travel
from actors.testing.records import Choice, Records

M = TypeVar("M")
