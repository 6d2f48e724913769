"""The limits of a service as environment variables: how they travel into a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdeploy.exceptions import ServingError

__all__ = ["limits_from", "variables_of"]

# The variable, how its text is read, the least it may say, and the service's own default.
_LIMITS: dict[str, tuple[str, type[int | float], float, Any]] = {
    "timeout": ("NBDEPLOY_TIMEOUT", float, 0.001, 30.0),
    "max_batch_size": ("NBDEPLOY_MAX_BATCH_SIZE", int, 1, None),
    "batch_timeout": ("NBDEPLOY_BATCH_TIMEOUT", float, 0.0, 0.0),
    "max_concurrency": ("NBDEPLOY_MAX_CONCURRENCY", int, 1, None),
    "max_queue": ("NBDEPLOY_MAX_QUEUE", int, 0, 1024),
}
_MOST = 1e9


def variables_of(limits: Mapping[str, Any]) -> dict[str, str]:
    """Write the limits that are not the service's own.

    Parameters
    ----------
    limits
        By the names that ``deploy()`` has for them.

    Examples
    --------
    >>> variables_of({"timeout": 5.0, "max_queue": 1024, "max_batch_size": None})
    {'NBDEPLOY_TIMEOUT': '5.0'}
    """
    return {
        variable: str(limits[name])
        for name, (variable, _, _, default) in _LIMITS.items()
        if name in limits and limits[name] != default
    }


def limits_from(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read what `variables_of` wrote, as keywords of a `ModelService`.

    Raises
    ------
    ServingError
        If a variable holds no such number.

    Examples
    --------
    >>> limits_from({"NBDEPLOY_MAX_QUEUE": "64", "NBDEPLOY_TIMEOUT": ""})
    {'max_queue': 64}
    """
    found = {}
    for name, (variable, number, least, _) in _LIMITS.items():
        text = environment.get(variable)
        if not text:
            continue
        try:
            value = number(text)
        except ValueError:
            value = -1
        if not least <= value <= _MOST:
            message = (
                f"{variable}={text!r} cannot be used. Expected a {number.__name__} of at least "
                f"{least:g}, as deploy({name}=...) takes it."
            )
            raise ServingError(message)
        found[name] = value
    return found
