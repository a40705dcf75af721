"""What is written of an error for people elsewhere."""

from __future__ import annotations

import importlib

import pytest

from actors.codec import codec_for
from actors.failure import from_theirs, trace_of


def frames(trace):
    found = []
    while trace is not None:
        found.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return found


def raised(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        call()
    return caught.value


def test_lines_of_the_library_before_the_first_of_theirs_are_left_out():
    def theirs():
        raise ValueError("as asked")

    error = raised(theirs)
    inside = raised(lambda: codec_for(int))
    ours = inside.__traceback__.tb_next.tb_next
    ours.tb_next = error.__traceback__

    assert frames(ours)[0] == "codec_for"
    assert frames(from_theirs(ours)) == ["raised", "theirs"]


def test_the_import_system_is_left_out_where_a_module_of_theirs_fails(tmp_path, monkeypatch):
    (tmp_path / "unlucky_module.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)

    error = raised(lambda: importlib.import_module("unlucky_module"))
    error.__traceback__ = error.__traceback__.tb_next.tb_next

    assert "importlib" not in trace_of(error)
    assert "unlucky_module.py" in trace_of(error)


def test_an_error_of_the_librarys_own_keeps_its_lines():
    error = raised(lambda: codec_for(int))
    error.__traceback__ = error.__traceback__.tb_next.tb_next

    assert "codec_for" in trace_of(error)
