"""What is known about a saved model without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.display.units import file_size

__all__ = ["SavedModel"]

_SHOWN_GLOBALS = 8


@dataclass(frozen=True, repr=False)
class SavedModel:
    """A model file as its manifest and its bytes describe it.

    Parameters
    ----------
    path
        Where the file is.
    format
        ``"joblib"``, ``"pickle"`` or ``"skops"``.
    digest
        The ``sha256:...`` of the file, as ``trust=`` takes it.
    size
        Bytes of the file.
    model_type
        The name of the model's class; ``None`` for a file without a manifest.
    created_at
        When it was saved; ``None`` for a file without a manifest.
    python
        The version of Python that saved it; ``None`` for a file without a manifest.
    libraries
        The versions of the libraries that saved it, by distribution.
    signature
        What the rows look like, for ``Signature.from_dict``; ``None`` when it is not known.
    baseline
        How the example was distributed, for ``Baseline.from_dict``; ``None`` when it is not known.
    version
        The name of the version in a registry.
    trusted
        Whether it loads without ``trust=``.
    globals
        What loading it would import, as ``module.name``; for skops, the types that skops does not
        trust by itself. ``None`` when the list cannot be complete, or was not asked for.
    """

    path: str
    format: str
    digest: str
    size: int
    model_type: str | None
    created_at: datetime | None
    python: str | None
    libraries: Mapping[str, str]
    signature: Mapping[str, Any] | None
    baseline: Mapping[str, Any] | None
    version: str | None
    trusted: bool
    globals: tuple[str, ...] | None

    def __repr__(self) -> str:
        known = self.model_type or "unknown model"
        trust = "trusted" if self.trusted else "not trusted"
        lines = [
            f"SavedModel({known}, {self.format}, {file_size(self.size)}, {trust})",
            f"  digest     {self.digest}",
        ]
        if self.python:
            lines.append(f"  saved with {', '.join(self._versions())}")
        if self.globals is not None:
            lines.append(f"  imports    {_shortened(self.globals)}")
        # Names come from the file: a control character must not reach a terminal.
        return "\n".join(map(visible, lines))

    def _versions(self) -> list[str]:
        return [f"Python {self.python}", *(f"{name} {v}" for name, v in self.libraries.items())]


def _shortened(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SHOWN_GLOBALS]) or "nothing"
    more = len(names) - _SHOWN_GLOBALS
    return f"{shown} and {more} more" if more > 0 else shown
