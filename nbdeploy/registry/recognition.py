"""Tell a saved version from anything else, without loading the registry for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from nbdeploy.registry.version import ModelVersion

__all__ = ["is_model_version"]


def is_model_version(model: Any) -> TypeIs[ModelVersion]:
    """Tell whether something is a `ModelVersion`.

    Examples
    --------
    >>> is_model_version("models/1.0")
    False
    """
    # Where its module was not loaded, nobody can have made one.
    loaded = sys.modules.get("nbdeploy.registry.version")
    return loaded is not None and isinstance(model, loaded.ModelVersion)
