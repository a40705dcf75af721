"""The values of a model by name: read as plain data, changed all together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, final

import attrs
import numpy as np
from numpy.typing import NDArray

from actors.compute.interface import Field, Interface, plain
from actors.compute.words import Value
from actors.failure import text_of


@final
class Settings:
    """Parameters and outputs of one model."""

    def __init__(self, model: object, interface: Interface) -> None:
        self._model = model
        self._interface = interface

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the outputs that are arrays."""
        return self._interface.arrays

    def parameters(self) -> dict[str, Value]:
        """Return all parameters."""
        return {name: self._parameter(field) for name, field in self._interface.parameters.items()}

    def scalars(self) -> dict[str, Value]:
        """Return all scalar outputs of this moment."""
        return {name: self._output(name) for name in self._interface.scalars}

    def value(self, name: str) -> Value:
        """Return a parameter or a scalar output; `LookupError` names those there are."""
        field = self._interface.parameters.get(name)
        if field is not None:
            return self._parameter(field)
        if name in self._interface.scalars:
            return self._output(name)
        known = [*self._interface.parameters, *self._interface.scalars]
        raise LookupError(unknown(name, "parameter or scalar", known))

    def array(self, name: str) -> NDArray[Any]:
        """Return an array output of this moment; `LookupError` names those there are."""
        if name not in self._interface.arrays:
            raise LookupError(unknown(name, "array", self._interface.arrays))
        return np.asarray(getattr(self._model, name)())

    def change(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """Set all of these parameters, or none; return what `put_back` takes.

        Raises:
            LookupError: there is no such parameter.
            ValueError: it is fixed, or does not take the value; or what its validator raises.
        """
        fields = [self._field(name) for name in values]
        before = {field.attribute: getattr(self._model, field.attribute) for field in fields}
        try:
            read = {field.attribute: field.read(values[field.parameter.name]) for field in fields}
            self._set(read, before)
        except BaseException as error:
            self.put_back(before)
            if type(error) in _BARE:
                raise type(error)(refusal(error)) from None
            raise  # as it is: nobody knows how an error of another class is made
        return before

    def _set(self, values: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Set these attributes, whatever their order.

        The validator of each sees the new values of the others, and what its own was: one that
        compares two would else refuse the first, or take what the second makes wrong.
        """
        cls: Any = type(self._model)  # of attrs, like each actor
        known, mine = attrs.fields_dict(cls), vars(self._model)
        for name, value in values.items():
            mine[name] = attrs.setters.convert(self._model, known[name], value)
        for name, value in values.items():
            mine[name] = before[name]
            setattr(self._model, name, value)

    def put_back(self, before: Mapping[str, Any]) -> None:
        """Undo a `change`."""
        # Past the validators: one that looks at two parameters might refuse the way back.
        vars(self._model).update(before)

    def take_over(self, values: Mapping[str, Value]) -> None:
        """Set what a former life had, as far as this class has it and it may change.

        It is what validators have taken and converters have made, so neither is called: a validator
        that compares two might refuse what was set one after the other, in each further life.
        """
        for name, value in values.items():
            field = self._interface.parameters.get(name)
            if field is not None and field.parameter.live:
                vars(self._model)[field.attribute] = field.read(value)

    def _field(self, name: str) -> Field:
        field = self._interface.parameters.get(name)
        if field is None:
            raise LookupError(unknown(name, "parameter", self._interface.parameters))
        if not field.parameter.live:
            raise ValueError(f"{name} is fixed when the computation is started: start another one")
        return field

    def _parameter(self, field: Field) -> Value:
        return plain(getattr(self._model, field.attribute))

    def _output(self, name: str) -> Value:
        return plain(getattr(self._model, name)())


_BARE: Final = (TypeError, ValueError)
"""What validators of attrs raise, with whole objects beside the text."""


def refusal(error: BaseException) -> str:
    """Return what a validator says; those of attrs add whole objects, which help nobody."""
    bare = type(error) in _BARE and error.args
    return text_of(ValueError(error.args[0]) if bare else error) or type(error).__name__


def unknown(name: str, what: str, known: Iterable[str]) -> str:
    """Say that there is no such thing, and what there is."""
    return f"there is no {what} {name!r:.80} here; there are: {', '.join(known) or 'none'}"
