"""Which model answers: everything that belongs to one model, exchanged as one value."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdeploy.exceptions import DeadlineError, NbdeployError, PredictionError, SignatureError
from nbdeploy.models.baseline import Baseline
from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.compiled import (
    CompiledModel,
    Declined,
    compile_model,
    plain_cells,
    verify,
)
from nbdeploy.models.outputs import as_rows
from nbdeploy.models.predictor import Predictor, is_of_scikit_learn, predictor_for
from nbdeploy.models.quick_rows import QUICK_ROWS, QuickRows
from nbdeploy.models.serializer import load_saved
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.drift_window import DriftWindow
from nbdeploy.serving.drift_baseline import drift_window, read_baseline
from nbdeploy.serving.question import Question, form_of
from nbdeploy.serving.thread_settings import chosen_output, prepare_call

if TYPE_CHECKING:
    from nbdeploy.registry.version import ModelVersion

__all__ = [
    "NOT_COMPILED",
    "Route",
    "route_from_file",
    "route_from_model",
    "route_from_version",
]

logger = logging.getLogger("nbdeploy")

_WARM_UP_ROWS = 32
_FEW_TREES = 8
_UNKNOWN_SECONDS = 1.0


NOT_COMPILED = Declined("compile=False")
"""Nobody asked for it."""


@dataclass(frozen=True, eq=False)
class Route:
    """One model with what its rows look like.

    A request takes the route once, when it comes in, and keeps it: an answer is never a mixture of
    two models, whatever is deployed meanwhile.

    Parameters
    ----------
    predictor
        The model behind its adapter.
    signature
        What its rows look like.
    version
        What answers carry.
    digest
        The ``sha256:...`` of the saved model.
    model
        The model itself.
    compiled
        The same answers at the price of their arithmetic, or why there is no such thing.
    seconds
        What one row took to answer when the route was made.
    may_block
        Whether the model is code that nobody knows: it may sleep, or ask another server.
    runs_beside
        Whether several calls of the model may run at once.
    drift
        The latest rows beside the baseline; ``None`` without one.
    transform_output
        What its transformers give, as ``sklearn.set_config`` takes it.
    """

    predictor: Predictor
    signature: Signature
    version: str
    digest: str = ""
    model: Any = field(default=None, repr=False)
    compiled: CompiledModel | Declined = NOT_COMPILED
    seconds: float = 0.0
    may_block: bool = True
    runs_beside: bool = False
    drift: DriftWindow | None = None
    transform_output: str = "default"

    @cached_property
    def _quick(self) -> QuickRows:
        # The plain model wants a table in the end: better it is made at once.
        limit = self.compiled.limit if isinstance(self.compiled, CompiledModel) else 0
        return QuickRows(self.signature, most_rows=max(limit, QUICK_ROWS))

    def question(self, method: str, rows: Any) -> Question:
        """Validate rows, in the form that is cheapest to answer.

        Raises
        ------
        SignatureError
            If they do not fit.
        """
        cells = self._quick.take(rows)
        if cells is not None:
            return Question(self, method, cells, form=type(cells))
        batch = self.signature.validate(rows)
        # A model that nobody knows gets the table that was sent.
        return Question(self, method, batch, form=None if self.may_block else form_of(batch))

    def answer(self, method: str, rows: Any) -> list[Any]:
        """Answer validated rows, one plain item a row.

        Parameters
        ----------
        method
            One that the predictor has.
        rows
            What `Signature.validate` gives, or plain cells as `QuickRows.take` gives them.

        Raises
        ------
        PredictionError
            If the model raises, with its error as the cause.
        """
        try:
            output = self._output(method, rows)
            return as_rows(output, rows=len(rows))
        except NbdeployError:
            raise
        except (Exception, SystemExit) as error:
            # exit() in a model shall end no server.
            message = f"{self.predictor.model_type}.{method}() raised {type(error).__name__}."
            raise PredictionError(message) from error

    def _output(self, method: str, rows: Any) -> Any:
        compiled = self.compiled
        if isinstance(compiled, CompiledModel) and method in compiled.methods:
            cells = plain_cells(rows) if len(rows) <= compiled.limit else None
            output = compiled.call(method, cells) if cells is not None else None
            if output is not None:
                return output
        batch = self._batch(rows)
        prepare_call(batch, self.transform_output)
        return self.predictor.call(method, batch)

    def _batch(self, rows: Any) -> Any:
        if not isinstance(rows, (list, CellColumns)):
            return rows
        if self.signature.kind == "array":
            return np.array(rows, dtype=np.float64, order=self.signature.order)
        return self.signature.validate(rows)


def route_from_model(
    model: Any,
    *,
    signature: Signature | None = None,
    example: Any = None,
    rehearsal: Any = None,
    digest: str = "",
    version: str | None = None,
    compile: bool = True,  # noqa: A002 -- what deploy() calls it
    baseline: Baseline | None = None,
    transform_output: str | None = None,
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
    rehearsal
        Rows to predict before anybody asks, where `example` is not given: nothing is learned of
        them.
    digest
        The ``sha256:...`` of the saved model.
    version
        What answers carry; the start of the digest when ``None``.
    compile
        Answer few rows without scikit-learn's checks, where that is known to give the same.
    baseline
        How the rows were distributed; learned from `example` where that is given.
    transform_output
        What its transformers give; as scikit-learn is set in this thread when ``None``.

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
    version = version or digest.removeprefix("sha256:")[:12] or "1"
    trial = rehearsal if example is None else example
    compiled = _compile(model, signature, trial) if compile else NOT_COMPILED
    is_known = is_of_scikit_learn(model)
    output = transform_output or chosen_output()
    route = Route(
        predictor,
        signature,
        version,
        digest,
        model,
        compiled,
        may_block=isinstance(compiled, Declined) and not is_known,
        runs_beside=is_known and not _returns_often(model) and signature.kind == "array",
        transform_output=output,
        drift=drift_window(model, signature, baseline, example, transform_output=output),
    )
    route = replace(route, seconds=_warm_up(route, trial))
    # The members of an ensemble count what they are asked; the warm-up was no request.
    getattr(predictor, "forget_calls", _nothing)()
    return route


def _returns_often(model: Any) -> bool:
    """Tell whether a call comes back to the interpreter again and again.

    It does for each of many trees, or for every few rows where masks stand for the trees. Two such
    calls at once wait for each other: together they take longer than one after the other.
    """
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    # Forests and gradient boosting; histogram gradient boosting.
    return any(
        len(getattr(final, name, ())) > _FEW_TREES for name in ("estimators_", "_predictors")
    )


def _nothing() -> None:
    """Do nothing."""


def _compile(model: Any, signature: Signature, example: Any) -> CompiledModel | Declined:
    compiled = compile_model(model, signature)
    if isinstance(compiled, Declined):
        return compiled
    difference = verify(compiled, model, signature, example)
    return compiled if difference is None else Declined(difference)


def route_from_file(
    path: str | os.PathLike[str],
    *,
    trust: Any = None,
    example: Any = None,
    compile: bool = True,  # noqa: A002 -- what deploy() calls it
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
    compile
        See `route_from_model`.

    Raises
    ------
    ModelFileError
        If the file is missing, corrupted or not trusted.
    """
    model, saved = load_saved(path, trust=trust)
    known = Signature.from_dict(saved.signature) if saved.signature else None
    try:
        return route_from_model(
            model,
            signature=known,
            example=example,
            digest=saved.digest,
            version=saved.version,
            compile=compile,
            baseline=read_baseline(saved.baseline),
        )
    except SignatureError as error:
        if known is None and example is None:
            message = (
                f"{Path(path).name} does not tell what its rows look like. Save it with "
                "save_model(model, path, example=X_train), or pass example= here."
            )
            raise SignatureError(message) from error
        raise


def route_from_version(
    version: ModelVersion,
    *,
    trust: Any = None,
    example: Any = None,
    compile: bool = True,  # noqa: A002 -- what deploy() calls it
) -> Route:
    """Make the route of a version: its answers carry the version's name.

    Parameters
    ----------
    version
        What ``ModelVersionControl(...)["1.0"]`` gives.
    trust
        See `ModelVersion.load`.
    example
        See `route_from_model`; the rows that were kept with the version are predicted without it.
    compile
        See `route_from_model`.

    Raises
    ------
    ModelFileError
        If the version is corrupted, not trusted, or cannot be loaded here.
    """
    model = version.load(trust=trust)
    signature = version.signature
    try:
        return route_from_model(
            model,
            signature=signature,
            example=example,
            rehearsal=version.example(),
            digest=version.digest,
            version=version.version,
            compile=compile,
            baseline=read_baseline(version.baseline),
        )
    except SignatureError as error:
        if signature is None and example is None:
            message = (
                f"Version {version.version!r} does not tell what its rows look like. Save it with "
                "save_model_version(..., example=X_train), or pass example= here."
            )
            raise SignatureError(message) from error
        raise


def _warm_up(route: Route, example: Any) -> float:
    """Answer before anybody asks, so that mistakes show now; tell the seconds that a row takes."""
    method = route.predictor.methods[0]
    if example is not None:
        is_sliced = hasattr(example, "__getitem__") and not isinstance(example, Mapping)
        head = example[:_WARM_UP_ROWS] if is_sliced else example
        rows = route.signature.validate(head)
        # The first call of a member loads what it needs: that it is late tells nothing.
        with suppress(DeadlineError):
            route.answer(method, rows)
    try:
        question = route.question(method, [route.signature.example_row()])
        return min(_timed(question) for _ in range(2))
    except (DeadlineError, PredictionError, SignatureError) as error:
        # A made-up row may be one that this model cannot take; a real one will tell.
        logger.debug("The made-up first row was not answered: %s", error)
        return _UNKNOWN_SECONDS


def _timed(question: Question) -> float:
    start = time.perf_counter()
    question.run()
    return time.perf_counter() - start
