"""`understudy compute`: run one computation in the foreground, with the options of its model."""

from __future__ import annotations

import inspect
import math
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import cyclopts
from cyclopts import Group, Parameter, validators

from actors.actor import fields_of
from actors.compute.interface import interface_of
from actors.compute.reception import Reception
from actors.compute.server import ComputeServer
from actors.compute.settings import refusal
from actors.errors import AccessDenied, ActorError
from actors.ports import LAST_PORT
from supervisor.cli.text import CommandError, ExitCode
from supervisor.cli.up import DEFAULT_NAME, imported
from supervisor.entrance import start
from supervisor.system import System

SHUTDOWN_MINUTES: Final = 60.0
"""A computation that was started by hand and forgotten does not run for ever."""

_MODEL: Final = Group("Parameters of the model", sort_key=1)

compute = cyclopts.App(
    name="compute",
    usage="Usage: understudy compute MODEL [OPTIONS]",
    help_flags=[],
    version_flags=[],
    result_action="return_value",
)


@attrs.frozen
class Where:
    """Where a computation runs, and who can reach it."""

    name: str = DEFAULT_NAME
    listen: list[str] | None = None
    state_dir: Path | None = None
    plain_port: int | None = None


@compute.default
def choose(
    model: Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False)] = "",
    /,
    *options: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
) -> int:
    """Run a computation in the foreground until it ends, Ctrl-C, or `understudy down`.

    Its parameters are options: `understudy compute package.module:Model --help` lists them.
    Exit status: 0 it ended by itself, was told to, or was shut down, 1 it has failed, 2 an option
    is wrong or no model named, 78 the model cannot be used, 130 Ctrl-C, 143 SIGTERM.
    Example: `understudy compute waves:String --points 400`

    Parameters
    ----------
    model:
        A `ComputeServer`, as package.module:name.
    options:
        The model's parameters, and where it runs.
    """
    if model in ("--help", "-h"):
        compute.help_print(["--help"])
        return ExitCode.OK
    if not model or model.startswith("-"):
        hint = "understudy compute package.module:Model --help"
        raise CommandError("name the model first", code=ExitCode.USAGE, hint=hint)
    cls = load_model(model)
    line = model_app(model, cls)
    try:
        result = line(options, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        hint = f"see `understudy compute {model} --help`"
        raise CommandError(str(error), code=ExitCode.USAGE, hint=hint) from None
    return result if isinstance(result, int) else ExitCode.OK


def load_model(text: str) -> type[ComputeServer]:
    """Return the model that `package.module:name` means; the current directory is importable."""
    module, colon, attribute = text.partition(":")
    if not colon or not module or not attribute or "/" in module:
        hint = "write package.module:Model, with dots and without .py"
        raise CommandError(f"{text!r} does not name a model", code=ExitCode.USAGE, hint=hint)
    found: object = imported(module, attribute)
    models = [name for name, value in vars(found).items() if _is_model(value)]
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, ComputeServer)):
        there = f"its models are: {', '.join(models)}" if models else "it has no ComputeServer"
        raise CommandError(f"{text} is no model", code=ExitCode.CONFIG, hint=there)
    return found


def _is_model(value: object) -> bool:
    model = isinstance(value, type) and issubclass(value, ComputeServer)
    return model and value is not ComputeServer


def model_app(model: str, cls: type[ComputeServer]) -> cyclopts.App:
    """Return the command line of one model: an option for each of its parameters."""
    app = cyclopts.App(
        name=f"understudy compute {model}",
        help=inspect.getdoc(cls) or "",
        version_flags=[],
        result_action="return_value",
    )

    def run(**values: Any) -> int:
        said = {one.name: values.pop(one.name) for one in _places() if one.name in values}
        values.setdefault("shutdown", _minutes(fields_of(cls)["shutdown"].default))
        return _run(cls, Where(**said), values)

    parameters = [*_places(), *_options(cls)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    app.default(run)
    return app


def _places() -> list[inspect.Parameter]:
    def option(
        name: str, default: object, kind: Any, text: str, check: Any = None
    ) -> inspect.Parameter:
        said = Annotated[
            kind, Parameter(help=text, negative=(), env_var=_variable(name), validator=check)
        ]
        only = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(name, only, default=default, annotation=said)

    return [
        option("name", DEFAULT_NAME, str, "The name by which other programs find this system."),
        option("listen", None, list[str] | None, "A tcp endpoint for others with keys."),
        option("state_dir", None, Path | None, "Where its state outlives the system."),
        option(
            "plain_port",
            None,
            int | None,
            "A port of this machine for plain clients.",
            validators.Number(gte=1, lte=LAST_PORT),
        ),
    ]


def _variable(name: str) -> str:
    return f"UNDERSTUDY_{name.upper()}"


def _options(cls: type[ComputeServer]) -> list[inspect.Parameter]:
    fields = interface_of(cls).parameters
    taken = {one.name for one in _places()} & fields.keys()
    if taken:
        raise CommandError(
            f"{cls.__name__} has parameters that are options of the command: {', '.join(taken)}",
            code=ExitCode.CONFIG,
            hint="rename them, or run it in a tree: understudy up",
        )
    made = [
        _option(name, field.annotation, field.parameter.doc, fields_of(cls)[name])
        for name, field in fields.items()
    ]
    return sorted(made, key=lambda one: one.default is not inspect.Parameter.empty)


def _option(
    name: str, annotation: Any, doc: str, attribute: attrs.Attribute[Any]
) -> inspect.Parameter:
    default: Any = attribute.default
    if name == "shutdown":
        default = _minutes(default)
    if hasattr(default, "factory"):
        default = None  # the class makes it
    if default is attrs.NOTHING:
        default = inspect.Parameter.empty
    said = Annotated[annotation, Parameter(help=doc, group=_MODEL, negative=())]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=said)


def _minutes(default: Any) -> Any:
    return SHUTDOWN_MINUTES if default == math.inf else default


def _run(cls: type[ComputeServer], where: Where, values: dict[str, Any]) -> int:
    actor = cls.__name__.lower()
    try:
        cls(**values)  # what is refused is refused before anything is started
    except (TypeError, ValueError) as error:
        hint = f"understudy compute {cls.__module__}:{cls.__qualname__} --help"
        raise CommandError(refusal(error), code=ExitCode.USAGE, hint=hint) from None
    try:
        system = start(name=where.name, listen=where.listen, state_dir=where.state_dir)
    except FileExistsError as error:
        raise CommandError(str(error), hint=f"understudy status --name {where.name}") from None
    except AccessDenied as error:
        raise CommandError(error.reason, code=ExitCode.CONFIG) from None
    except ValueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE) from None
    with system:
        return _supervise(system, cls, actor, where, values)


def _supervise(
    system: System, cls: type[ComputeServer], actor: str, where: Where, values: dict[str, Any]
) -> int:
    try:
        ref = system.spawn(cls, name=actor, **values)
        ends = system.watch(ref)
        if where.plain_port is not None:
            system.spawn(Reception, name="reception", server=ref, port=where.plain_port)
    except (ActorError, TypeError, ValueError) as error:
        raise CommandError(f"{actor} does not start: {error}") from error
    _say(f"{actor} runs in {where.name}: supervisor.connect({where.name!r}) reaches it")
    if where.plain_port is not None:
        _say(f"plain clients: tcp://127.0.0.1:{where.plain_port}")
    for endpoint in system.status().listening:
        _say(f"listening: {endpoint}  (for allowed keys: understudy keys)")
    try:
        ended = next((one for one in ends if not one.restarting), None)
    except ActorError as error:
        raise CommandError(f"the system ended: {error}") from None
    if ended is not None and ended.exit_code not in (0, None):
        raise CommandError(f"{actor} ended: {ended.reason}")
    _say(f"{actor} has ended")
    return ExitCode.OK


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
