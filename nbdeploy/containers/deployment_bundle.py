"""A bundle of what a deployment serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbdeploy.containers.bundle import Bundle
from nbdeploy.containers.checked_values import service_name_from
from nbdeploy.serving.limits import variables_of
from nbdeploy.serving.routing import Route

__all__ = ["bundle_of"]


def bundle_of(
    route: Route,
    folder: str | os.PathLike[str] | None,
    *,
    name: str,
    example: Any,
    limits: Mapping[str, Any],
    **options: Any,
) -> Bundle:
    """Write the bundle of a route; see `Bundle.create` for folder and options.

    Parameters
    ----------
    route
        The model in force.
    folder
        ``build/NAME`` when ``None``.
    name
        Of the service.
    example
        The few rows of it that are kept.
    limits
        Of the service, which go along as variables of the image.
    """
    is_named = bool(route.version) and not route.digest.startswith(f"sha256:{route.version}")
    known = {
        "name": name,
        "example": example,
        "signature": route.signature,
        "baseline": None if route.drift is None else route.drift.baseline(),
        "version": route.version if is_named else None,
    }
    environment = {**variables_of(limits), **(options.pop("environment", None) or {})}
    place = folder or Path("build", service_name_from(name))
    return Bundle.create(route.model, place, **{**known, **options}, environment=environment)
