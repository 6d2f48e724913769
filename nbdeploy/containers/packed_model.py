"""A model for a bundle: its bytes, what its manifest says, and what it answers."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from nbdeploy.containers.saved_answers import SavedAnswers, answers_of
from nbdeploy.exceptions import ContainerError, SignatureError
from nbdeploy.models.baseline import Baseline
from nbdeploy.models.loading import load_admitted
from nbdeploy.models.manifest import Entry, Manifest
from nbdeploy.models.native_formats import ENDINGS
from nbdeploy.models.opened_file import OpenedFile, open_file
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import Packed, pack
from nbdeploy.models.signature import Signature
from nbdeploy.models.trust import Trust, TrustStore
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.serving.routing import Route, route_from_model

__all__ = ["PackedModel", "pack_model"]


@dataclass(frozen=True)
class PackedModel:
    """A model that can be written.

    Parameters
    ----------
    model
        The model itself.
    packed
        Its bytes, with the entry of their manifest.
    route
        The model as a service would have it, not compiled.
    suggested_name
        What it may be called.
    """

    model: Any
    packed: Packed
    route: Route
    suggested_name: str

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return f"model{ENDINGS.get(self.packed.entry.format, '.joblib')}"

    def manifest(self) -> bytes:
        """Write its manifest."""
        return Manifest((self.packed.entry,)).to_json()

    def answers(self, example: Any) -> SavedAnswers:
        """Ask it a few rows."""
        return answers_of(self.route, example)


def pack_model(
    model: Any,
    *,
    example: Any,
    signature: Signature | None,
    baseline: Baseline | None,
    version: str | None,
    trust: Trust,
) -> PackedModel:
    """Turn a model, the path of one or a version into what a bundle holds.

    Raises
    ------
    ModelFileError
        If it cannot be saved, or not be loaded.
    ContainerError
        If nothing tells what its rows look like.
    """
    if is_model_version(model):
        name, version = model.registry.name, model.version
        chosen = model.registry.trust if trust is None else trust
        loaded, packed = _from_file(model.opened(), chosen)
    elif isinstance(model, (str, os.PathLike)):
        name = os.path.basename(os.fspath(model)).partition(".")[0]  # noqa: PTH119 -- str or path
        loaded, packed = _from_file(open_file(model, None), trust)
    else:
        predictor_for(model)
        name = type(model).__name__
        loaded, packed = model, pack(model, example=None if signature else example)
    if signature is not None:
        packed = replace(packed, entry=replace(packed.entry, signature=signature.to_dict()))
    if baseline is not None:
        packed = replace(packed, entry=replace(packed.entry, baseline=baseline.to_dict()))
    route = _route(loaded, packed.entry, example)
    entry = replace(packed.entry, signature=route.signature.to_dict(), hmac=None)
    return PackedModel(loaded, Packed(packed.data, entry).named(version), route, name)


def _from_file(opened: OpenedFile, trust: Trust) -> tuple[Any, Packed]:
    loaded = load_admitted(opened, opened.admit(trust, TrustStore()))
    entry = opened.entry or Entry(
        opened.digest.removeprefix("sha256:"),
        len(opened.data),
        opened.format,
        model_type=type(loaded).__name__,
    )
    return loaded, Packed(opened.data, entry)


def _route(model: Any, entry: Entry, example: Any) -> Route:
    known = Signature.from_dict(entry.signature) if entry.signature else None
    try:
        return route_from_model(
            model,
            signature=known,
            example=None if known is not None else example,
            digest=entry.digest,
            version=entry.version,
            compile=False,
        )
    except SignatureError as error:
        message = (
            "Nothing tells what the rows of this model look like, so nobody could call it. Pass "
            f"example=X_train, some rows that it was fitted on. ({error})"
        )
        raise ContainerError(message) from error
