"""What can be said of any exception in plain, bounded values: the form in which errors travel.

    [kinds, type_name, text, remote_traceback, args, data]        msgpack array
     │      │          │                       │     └ attributes of our own classes, by name
     │      │          └ str(error)            └ arguments of a built-in, when they are plain values
     │      └ class of the original, for people
     └ names of the classes the receiver makes it an instance of (`actors.errors` knows which)

An exception is user code: its __str__, __notes__, properties and metaclass may raise anything,
answer nonsense, or be endless. Whatever it does, these functions return, and what they return is
a plain str of valid UTF-8 within its limit.
"""

from __future__ import annotations

import builtins
import importlib
import traceback
from types import TracebackType
from typing import TypeAlias, TypeVar, cast

import msgspec

LARGEST_PACKED = 256 * 1024
"""Bytes beyond which `errors.unpack_error` does not look."""

LONGEST_TEXT = 4 * 1024
"""UTF-8 bytes an error's text may take."""

LONGEST_TRACEBACK = 64 * 1024
"""UTF-8 bytes a remote traceback may take."""

LONGEST_NAME = 512
"""UTF-8 bytes of a type name, or of one text among an error's data."""

MOST_ITEMS = 64
"""Arguments of one exception, or texts of one path, that travel."""

MOST_KINDS = 4
"""Classes one error may be an instance of at the same time."""

T = TypeVar("T", bound=Exception)
Scalar: TypeAlias = bool | int | float | str | None


class Failure(msgspec.Struct, array_like=True):
    """The record above. Only `kinds` is needed; a reader ignores what a newer writer adds."""

    kinds: list[str]
    type_name: str = ""
    text: str = ""
    remote_traceback: str = ""
    args: list[Scalar] | None = None  # None: they do not travel
    data: dict[str, Scalar | list[str]] = {}


def builtin_errors() -> list[type[Exception]]:
    """Return the built-in exceptions that an error from elsewhere may be an instance of."""
    # StopIteration raised by a reply would end or break the generator or coroutine that waits for
    # it, and groups cannot exist without their members: both arrive as a plain HandlerError.
    # KeyboardInterrupt and its like are no Exception: they would end the wrong process.
    unfit = (StopIteration, StopAsyncIteration, ExceptionGroup)
    own = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
    return [kind for kind in own if issubclass(kind, Exception) and not issubclass(kind, unfit)]


def failure_of(error: BaseException, kinds: list[str]) -> Failure:
    """Describe an exception that is not ours."""
    try:
        args = _args_of(error)
    except BaseException:  # noqa: BLE001 - args, or filename, may be a property of the user's
        args = None
    return Failure(
        kinds[:MOST_KINDS], type_name(type(error)), text_of(error), trace_of(error), args
    )


def type_name(kind: type) -> str:
    """Return "ValueError" for a built-in, else "module:qualname"."""
    # type's own descriptors: a metaclass cannot answer nonsense here, nor raise.
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module: object = type.__dict__["__dict__"].__get__(kind).get("__module__")
    if module == "builtins" or not isinstance(module, str) or not module:
        return clipped(name, LONGEST_NAME)
    return clipped(clipped(module, LONGEST_NAME) + ":" + name, LONGEST_NAME)


def text_of(error: BaseException) -> str:
    """Return str(error), or say that there is none."""
    try:
        return clipped(str(error), LONGEST_TEXT)
    except BaseException:  # noqa: BLE001 - a __str__ may even raise SystemExit; the report matters more
        return "(its __str__ raised)"


def said_of(error: BaseException) -> str:
    """Return "ValueError: its text", or "ValueError" when it has none."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    text = text_of(error)
    return f"{name}: {text}" if text else name


def trace_of(error: BaseException) -> str:
    """Return the traceback as Python prints it, causes and notes included."""
    try:
        lines = traceback.format_exception(type(error), error, from_theirs(error.__traceback__))
        return middle_cut("".join(lines), LONGEST_TRACEBACK)
    except BaseException:  # noqa: BLE001 - formatting runs user code (__notes__, __cause__)
        return "(its traceback could not be written)"


def place_of(error: BaseException) -> str:
    """Return the file and the line that raised, or that cannot be read."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file, line = frame.filename, frame.lineno
    if isinstance(error, SyntaxError):
        file, line = error.filename or file, error.lineno or line
    return f"{file}, line {line}"


def from_theirs(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first line on that is not this package's own, if there is one."""
    here = trace
    while here is not None and here.tb_frame.f_code.co_filename.startswith(_NOT_THEIRS):
        here = here.tb_next
    return here or trace


# The import system is not theirs either: it stands between us and a module of theirs.
_NOT_THEIRS = (__file__.removesuffix("failure.py"), "<frozen importlib", importlib.__file__)


def names_of(kind: type, known: frozenset[type]) -> list[str]:
    """Name the known classes that `kind` derives from, without those implied by another."""
    found: list[type] = []
    for base in kind.__mro__:
        if base in known and not any(issubclass(other, base) for other in found):
            found.append(base)
    return [base.__name__ for base in found]


def combined(kinds: list[type[Exception]], first: type[T]) -> type[T]:
    """Return a class that is all of `kinds`, or as many of the earlier ones as fit together.

    `first` is one of them and is never left out.
    """
    for kept in range(len(kinds), 0, -1):
        bases = kinds[:kept] if first in kinds[:kept] else [first]
        if len(bases) == 1:
            return first
        # Called and shown as our class: a reader looks for the error in our tree.
        text = {"__module__": first.__module__, "__doc__": first.__doc__}
        try:
            return cast("type[T]", type(first.__name__, tuple(bases), text))
        except TypeError:  # their memory layouts, or their orders of bases, exclude each other
            continue
    return first


def give_args(error: Exception, args: list[Scalar] | None) -> None:
    """Give a remade built-in its arguments back, so that `error.errno` and `error.args` are there.

    Without them, or with arguments it is not made of, the error stays as it is.
    """
    error.args = tuple(args or ())
    if args is None:
        return
    builtin = (vars(base) for base in type(error).__mro__ if base.__module__ == "builtins")
    init = next(names["__init__"] for names in builtin if "__init__" in names)
    try:
        init(error, *args)
    except (TypeError, ValueError, OverflowError):
        return


def datum(value: object) -> Scalar | list[str]:
    """Return an attribute's value as it may travel: bounded; None for what may not."""
    if isinstance(value, tuple):
        parts = cast("tuple[object, ...]", value)
        return [clipped(str(part), LONGEST_NAME) for part in parts[:MOST_ITEMS]]
    return _plain(value)


def fitting(value: Scalar | list[str], default: object) -> object:
    """Return an attribute's value that travelled when it is of the default's type; else that."""
    if isinstance(value, list):
        return tuple(value) if default == () else default
    if isinstance(value, int) and type(default) is float:
        return float(value)
    return value if type(value) is type(default) else default


def writable(text: str) -> str:
    """Return a text as UTF-8 can write it: the name of a file need not be Unicode."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def clipped(text: str, longest: int) -> str:
    """Return the first `longest` UTF-8 bytes, as a plain str that UTF-8 can write."""
    # str's own methods: a subclass of str cannot interfere.
    data = str.encode(str.__getitem__(text, slice(longest)), "utf-8", "backslashreplace")
    return data[:longest].decode("utf-8", "ignore")


def middle_cut(text: str, longest: int) -> str:
    """Like `clipped`, but keep both ends: the first call and the last line tell the most."""
    whole = clipped(text, longest)
    if len(text) <= longest and whole == text:
        return whole
    half = longest // 2 - 64
    tail = str.encode(str.__getitem__(text, slice(-half, None)), "utf-8", "backslashreplace")
    return (
        clipped(text, half)
        + "\n  ... the middle is left out ...\n"
        + tail[-half:].decode("utf-8", "ignore")
    )


def _plain(value: object) -> Scalar:
    """Return a plain value of bounded size as it is, a long text clipped, and else None."""
    if type(value) is str:
        return clipped(value, LONGEST_NAME)
    if type(value) is int:
        return value if -(2**63) <= value < 2**63 else None
    return value if isinstance(value, bool | float) and type(value) in (bool, float) else None


def _args_of(error: BaseException) -> list[Scalar] | None:
    """Return the arguments when all of them are plain and small; some of them would mislead."""
    args: tuple[object, ...] = error.args
    if isinstance(error, OSError) and error.filename is not None and len(args) == 2:  # noqa: PLR2004
        args = (*args, error.filename)  # OSError takes the file's name out of args
    if len(args) > MOST_ITEMS:
        return None
    found: list[Scalar] = []
    for value in args:
        small = _plain(value)
        if small is None and value is not None:
            return None
        if isinstance(small, str) and small != value:
            return None  # clipped, or not to be written as UTF-8
        found.append(small)
    return found
