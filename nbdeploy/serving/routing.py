"""Which model answers: everything that belongs to one model, exchanged as one value."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbdeploy.exceptions import NbdeployError, PredictionError, SignatureError
from nbdeploy.models.outputs import as_rows
from nbdeploy.models.predictor import Predictor, predictor_for
from nbdeploy.models.serializer import load_saved
from nbdeploy.models.signature import Signature

__all__ = ["Route", "route_from_file", "route_from_model"]

logger = logging.getLogger("nbdeploy")

_WARM_UP_ROWS = 32


@dataclass(frozen=True)
class Route:
    """One model with what its rows look like.

    A request takes the route once, when it comes in, and keeps it: an answer is never a mixture of
    two models, whatever is deployed meanwhile.
    """

    predictor: Predictor
    signature: Signature
    version: str
    digest: str = ""
    model: Any = field(default=None, repr=False)

    def answer(self, method: str, batch: Any) -> list[Any]:
        """Predict a validated batch, one plain item a row.

        Raises
        ------
        PredictionError
            If the model raises, with its error as the cause.
        """
        try:
            output = self.predictor.call(method, batch)
            return as_rows(output, rows=len(batch))
        except NbdeployError:
            raise
        except Exception as error:
            message = f"{self.predictor.model_type}.{method}() raised {type(error).__name__}."
            raise PredictionError(message) from error


def route_from_model(
    model: Any, *, signature: Signature | None = None, example: Any = None, digest: str = ""
) -> Route:
    """Make the route of a model in memory, and answer its example once.

    Parameters
    ----------
    model
        A fitted model, or a function of the rows.
    signature
        What its rows look like; learned from `example` or the model when ``None``.
    example
        Rows that the model was fitted on, or like them; at most 32 are predicted, none is kept.
    digest
        The ``sha256:...`` of the saved model; its start is the version that answers carry.

    Raises
    ------
    UnfittedModelError, UnsupportedModelError
        If the object cannot predict.
    SignatureError
        If nothing tells what a row looks like, or the example does not fit the model.
    PredictionError
        If the model cannot predict its own example.
    """
    predictor = predictor_for(model)
    if signature is None or example is not None:
        signature = Signature.learn(model, example)
    version = digest.removeprefix("sha256:")[:12] or "1"
    route = Route(predictor, signature, version, digest, model)
    _warm_up(route, example)
    return route


def route_from_file(
    path: str | os.PathLike[str], *, trust: Any = None, example: Any = None
) -> Route:
    """Make the route of a saved model.

    Parameters
    ----------
    path
        The model file.
    trust
        What vouches for the file, see `ModelSerializer.load_model`.
    example
        See `route_from_model`; needed only when the file tells nothing about its rows.

    Raises
    ------
    ModelFileError
        If the file is missing, corrupted or not trusted.
    """
    model, saved = load_saved(path, trust=trust)
    known = Signature.from_dict(saved.signature) if saved.signature else None
    try:
        return route_from_model(model, signature=known, example=example, digest=saved.digest)
    except SignatureError as error:
        if known is None and example is None:
            message = (
                f"{Path(path).name} does not tell what its rows look like. Save it with "
                "save_model(model, path, example=X_train), or pass example= here."
            )
            raise SignatureError(message) from error
        raise


def _warm_up(route: Route, example: Any) -> None:
    """Answer once before anybody asks: imports, caches and mistakes show now."""
    method = route.predictor.methods[0]
    if example is not None:
        head = example[:_WARM_UP_ROWS] if hasattr(example, "__getitem__") else example
        route.answer(method, route.signature.validate(head))
        return
    try:
        route.answer(method, route.signature.validate([route.signature.example_row()]))
    except (PredictionError, SignatureError) as error:
        # A made-up row may be one that this model cannot take; a real one will tell.
        logger.debug("The made-up first row was not answered: %s", error)
