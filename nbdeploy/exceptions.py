"""The errors of nbdeploy.

* NbdeployError
  * ModelFileError
    x ModelFileNotFoundError (FileNotFoundError)
    x CorruptedModelError (ValueError)
    x UntrustedModelError (PermissionError)
    x UnknownFormatError (ValueError)
  x VersionError (LookupError)
  x SignatureError (ValueError)
  * ServingError
    x UnsupportedModelError (TypeError)
    x UnfittedModelError (ValueError)
    x PortInUseError (OSError)
    x StartupError
    x OverloadedError
    x DeadlineError (TimeoutError)
    x StoppedError
    x PredictionError
    x RehearsalError
    x UnknownPredictionError (LookupError)
    x RequestError (ValueError)
    x UnreachableError (ConnectionError)
  x ScalingError
  x ContainerError
  x ClusterError

An ``x`` marks what is raised, a ``*`` what is only caught. Each also is the builtin error
in brackets, so code that already catches that one keeps working. No error knows of HTTP:
``serving/errors.py`` holds the one table that turns an error into an answer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = [
    "ClusterError",
    "ContainerError",
    "CorruptedModelError",
    "DeadlineError",
    "ModelFileError",
    "ModelFileNotFoundError",
    "NbdeployError",
    "OverloadedError",
    "PortInUseError",
    "PredictionError",
    "RehearsalError",
    "RequestError",
    "ScalingError",
    "ServingError",
    "SignatureError",
    "StartupError",
    "StoppedError",
    "UnfittedModelError",
    "UnknownFormatError",
    "UnknownPredictionError",
    "UnreachableError",
    "UnsupportedModelError",
    "UntrustedModelError",
    "VersionError",
]


_HERE = str(Path(__file__).parent)


class NbdeployError(Exception):
    """Any error that nbdeploy raises on purpose.

    A notebook shows the lines of the caller and the message, without those of nbdeploy itself;
    all of them after ``%xmode Verbose``, and outside of notebooks.
    """

    _shows_cause = False

    def _render_traceback_(self) -> list[str]:
        """Write what IPython shows, which asks for this."""
        formatter = sys.modules["IPython"].get_ipython().InteractiveTB
        whole = self.__traceback__
        own = None if formatter.mode == "Verbose" else _lines_of_the_caller(whole)
        if own is None:
            lines: list[str] = formatter.structured_traceback(type(self), self, whole)
            return lines
        chain = self.__cause__, self.__context__, self.__suppress_context__
        try:
            if not self._shows_cause:
                self.__cause__ = self.__context__ = None
            lines = formatter.structured_traceback(type(self), self, own)
        finally:
            self.__cause__, self.__context__, self.__suppress_context__ = chain
        return lines


def _lines_of_the_caller(whole: TracebackType | None) -> TracebackType | None:
    """Copy a traceback up to where it enters nbdeploy; ``None`` if nothing would be left."""
    frames = []
    at = whole
    while at is not None and not at.tb_frame.f_code.co_filename.startswith(_HERE):
        frames.append(at)
        at = at.tb_next
    if at is None or len(frames) < 2:  # noqa: PLR2004 -- the first one is IPython's
        return None
    shown: TracebackType | None = None
    for each in reversed(frames):
        shown = TracebackType(shown, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return shown


class ModelFileError(NbdeployError):
    """A saved model cannot be used."""


class ModelFileNotFoundError(ModelFileError, FileNotFoundError):
    """There is no model file at the path."""

    def __str__(self) -> str:
        # OSError would print its arguments as errno and strerror.
        return str(self.args[0]) if self.args else ""


class CorruptedModelError(ModelFileError, ValueError):
    """The bytes of a model file are not those its manifest names."""


class UntrustedModelError(ModelFileError, PermissionError):
    """Loading the file would run code that nobody vouched for.

    Parameters
    ----------
    message
        What happened, and how to trust the file.
    digest
        The ``sha256:...`` of the file, as ``trust=`` takes it.
    globals
        What the pickle would import, as ``module.name``; ``None`` when the list cannot be complete.
    """

    def __init__(
        self,
        message: str,
        *,
        digest: str = "",
        globals: tuple[str, ...] | None = None,  # noqa: A002 -- what pickle calls them
    ) -> None:
        super().__init__(message)
        self.digest = digest
        self.globals = globals

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnknownFormatError(ModelFileError, ValueError):
    """The format is none that nbdeploy reads or writes."""


class VersionError(NbdeployError, LookupError):
    """A version does not exist, or its name is taken."""


class SignatureError(NbdeployError, ValueError):
    """The rows do not fit what the model was fitted on.

    Parameters
    ----------
    message
        What is wrong, with the value, and what was expected.
    row
        Index of the row, from 0; ``None`` when the whole request is meant.
    column
        Name or index of the column; ``None`` when no single column is meant.
    value
        The value as it was sent, shortened for print.
    expected
        What the column takes, in words.
    suggestion
        A near miss: the name that was probably meant.
    kind
        What is wrong in one word, as it is counted: of a cell ``"type"``, ``"missing"``,
        ``"category"`` or ``"range"``; of columns ``"missing_column"`` or ``"unknown_column"``;
        ``"shape"`` of all the rest.
    """

    def __init__(
        self,
        message: str,
        *,
        row: int | None = None,
        column: str | int | None = None,
        value: Any = None,
        expected: str | None = None,
        suggestion: str | None = None,
        kind: str = "shape",
    ) -> None:
        super().__init__(message)
        self.row = row
        self.column = column
        self.value = value
        self.expected = expected
        self.suggestion = suggestion
        self.kind = kind


class ServingError(NbdeployError):
    """A model cannot be served, or could not answer."""


class UnsupportedModelError(ServingError, TypeError):
    """The object has nothing to predict with."""


class UnfittedModelError(ServingError, ValueError):
    """The model was not fitted yet."""


class PortInUseError(ServingError, OSError):
    """Another program listens on the wanted port."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StartupError(ServingError):
    """The server did not come up."""


class OverloadedError(ServingError):
    """More requests wait than the service takes.

    Parameters
    ----------
    message
        What is full, and the limit.
    retry_after
        Seconds after which another try makes sense.
    """

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(ServingError, TimeoutError):
    """No answer within the time limit."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StoppedError(ServingError):
    """The service was stopped."""


class PredictionError(ServingError):
    """The model itself raised; its own error is the ``__cause__`` where it is known."""

    _shows_cause = True


class RehearsalError(ServingError):
    """A version cannot take the place of the live one, which stays."""


class UnknownPredictionError(ServingError, LookupError):
    """There is no prediction of that id, or none any more."""


class RequestError(ServingError, ValueError):
    """The request was refused before it reached the model.

    Parameters
    ----------
    message
        What was refused, and why.
    status
        The HTTP status that a server answered with, if it came from one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(ServingError, ConnectionError):
    """Nobody answers at the address."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ScalingError(NbdeployError):
    """Replicas could not be started, stopped or chosen."""


class ContainerError(NbdeployError):
    """A bundle or an image could not be made or run."""


class ClusterError(NbdeployError):
    """A Kubernetes cluster refused, or could not be reached.

    Parameters
    ----------
    message
        What was tried, what the cluster said, and what to do.
    status
        The HTTP status of the API server's answer; ``None`` when it was not asked.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
