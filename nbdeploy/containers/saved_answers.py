"""What the notebook's own model answers: the few rows that a rehearsal asks again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nbdeploy.exceptions import ContainerError, NbdeployError
from nbdeploy.models.forms import form_of
from nbdeploy.serving.protocols.native import dump_json
from nbdeploy.serving.rehearsal import few_of
from nbdeploy.serving.routing import NOT_COMPILED, Route

__all__ = ["SavedAnswers", "answers_of"]

_ASKED = ("predict", "predict_proba")


@dataclass(frozen=True)
class SavedAnswers:
    """Rows, and what each method answered.

    Parameters
    ----------
    features
        The rows as a request carries them.
    answers
        One item a row, by method.
    rows
        How many there are.
    is_made_up
        Whether the rows were made up of what the model knows about its columns.
    """

    features: Any
    answers: Mapping[str, list[Any]]
    rows: int
    is_made_up: bool

    def body(self) -> bytes:
        """Give the body of the request that asks the rows."""
        return dump_json({"features": self.features})

    def to_json(self) -> bytes:
        """Write it."""
        facts = {
            "rows": self.rows,
            "is_made_up": self.is_made_up,
            "features": self.features,
            "answers": dict(self.answers),
        }
        return dump_json(facts) + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> SavedAnswers:
        """Read it back.

        Raises
        ------
        ContainerError
            If somebody changed the file.
        """
        try:
            facts = json.loads(text)
            return cls(facts["features"], facts["answers"], facts["rows"], facts["is_made_up"])
        except (ValueError, KeyError, TypeError) as error:
            message = (
                f"The rows for the rehearsal cannot be read ({error!r}). Write the bundle again."
            )
            raise ContainerError(message) from error


def answers_of(route: Route, example: Any) -> SavedAnswers:
    """Ask the model itself, neither compiled nor over HTTP.

    Parameters
    ----------
    route
        The model.
    example
        Rows; at most 32 of them are kept. ``None`` makes up one.

    Raises
    ------
    ContainerError
        If the model cannot answer its own example.
    """
    few = few_of(example)
    rows = [route.signature.example_row()] if few is None else few
    plain = replace(route, compiled=NOT_COMPILED)
    try:
        checked = route.signature.validate(rows)
        answers = {
            method: plain.answer(method, checked)
            for method in route.predictor.methods
            if method in _ASKED
        }
    except NbdeployError as error:
        if few is None:
            # A made-up row may be one that the model cannot take: it proves nothing.
            return SavedAnswers([], {}, 0, is_made_up=True)
        message = f"The model cannot answer its own example: {error}"
        raise ContainerError(message) from error
    features = json.loads(form_of(rows, is_text=lambda: route.signature.kind == "values").body)
    return SavedAnswers(features["features"], answers, len(checked), is_made_up=few is None)
