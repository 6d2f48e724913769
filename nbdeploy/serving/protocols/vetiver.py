"""What clients of vetiver read: ``GET /metadata`` and ``GET /prototype``.

Its ``POST /predict`` with a list of records is part of the native protocol.
"""

from __future__ import annotations

import sys
from typing import Any

from nbdeploy.models.library_versions import versions_for
from nbdeploy.models.signature import Signature

__all__ = ["metadata", "prototype"]


def metadata(version: str, model: Any) -> dict[str, Any]:
    """Tell which version is served and what it needs.

    Parameters
    ----------
    version
        The version that answers.
    model
        The model.
    """
    return {
        "user": {},
        "version": version,
        "url": None,
        "required_pkgs": sorted(versions_for([type(model).__module__])),
        "python_version": list(sys.version_info),
    }


def prototype(signature: Signature) -> dict[str, Any]:
    """Describe a record as JSON Schema, with a made-up value for each property."""
    properties = {
        column.name: {**column.schema(), "example": column.typical} for column in signature.columns
    }
    return {
        "title": "prototype",
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
