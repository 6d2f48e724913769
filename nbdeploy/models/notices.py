"""Warnings about saved models, shown at the line of the user's own code."""

from __future__ import annotations

import sys
import warnings

__all__ = ["ModelTrustWarning", "ModelVersionWarning", "notify"]

_PACKAGE = __name__.partition(".")[0]


class ModelVersionWarning(UserWarning):
    """The model was saved with other versions of its libraries than are installed."""


class ModelTrustWarning(UserWarning):
    """A file was loaded that nobody vouched for, or was saved so that nobody can."""


def notify(message: str, category: type[Warning]) -> None:
    """Warn at the first caller outside of nbdeploy.

    Parameters
    ----------
    message
        What the user should know.
    category
        The class of the warning.
    """
    level, frame = 1, sys._getframe()  # noqa: SLF001 -- the only way to count frames before 3.12
    while frame.f_back and _is_own(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_own(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
