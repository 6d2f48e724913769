"""Which models a service has, by name and version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import list_values, shorten
from nbdeploy.models.misfit import near_miss
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.inference import Inference

__all__ = ["ServedModel", "ServedModels"]


class ServedModel(NamedTuple):
    """A model under its name."""

    name: str
    inference: Inference


class ServedModels:
    """Find a model by the name that a protocol gives it.

    Parameters
    ----------
    models
        The path of a prediction for each name.
    """

    def __init__(self, models: Mapping[str, Inference]) -> None:
        self._models = models

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._models)

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """Give a model.

        Parameters
        ----------
        name
            What it is called; ``None`` where a service has only one.
        version
            The version that shall answer; any when ``None``.

        Raises
        ------
        RequestError
            404, with the names that are there.
        StoppedError
            While it loads.
        """
        if name is None and len(self._models) == 1:
            (name,) = self._models
        if name is None or name not in self._models:
            raise self._unknown(name)
        inference = self._models[name]
        if version is not None:
            served = inference.current_route().version
            if version != served:
                message = f"{name!r} has no version {shorten(version)}; {served!r} is served."
                raise RequestError(message, status=404)
        return ServedModel(name, inference)

    def monitor_of(self, name: str | None) -> ModelMonitor | None:
        """Give the monitor of a model, ``None`` if there is no such model."""
        if name is None and len(self._models) == 1:
            (name,) = self._models
        inference = self._models.get(name or "")
        return None if inference is None else inference.monitor

    def error_id(self, error: BaseException) -> str | None:
        """Return the id under which a monitor just recorded an exception, or ``None``."""
        ids = (inference.monitor.error_id(error) for inference in self._models.values())
        return next((each for each in ids if each is not None), None)

    def _unknown(self, name: str | None) -> RequestError:
        known = list_values(tuple(self._models), shown=12, last=" and ")
        if name is None:
            message = f"This service has several models; name one of {known}."
        else:
            near = near_miss(name, self._models)
            hint = f" Did you mean {near!r}?" if near else ""
            message = f"There is no model {shorten(name)}.{hint} This service has {known}."
        return RequestError(message, status=404)
