"""How a route comes to the baseline that its rows are compared with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.baseline import Baseline, draw_sample, learn_predictions, predictions_of
from nbdeploy.models.distributions import Distribution
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.drift_window import DriftWindow

__all__ = ["drift_window", "read_baseline"]

logger = logging.getLogger("nbdeploy")


def drift_window(
    model: Any,
    signature: Signature,
    baseline: Baseline | None,
    example: Any,
    *,
    transform_output: str,
) -> DriftWindow | None:
    """Make the window of a route.

    Parameters
    ----------
    model
        Answers the example when the drift is asked for the first time.
    signature
        What the rows look like.
    baseline
        How they were distributed, where that is known.
    example
        Rows to learn it from; they count more than what is known.
    transform_output
        What the model's transformers shall give, see `chosen_output`.

    Returns
    -------
    DriftWindow or None
        ``None`` where nothing tells how the rows were.
    """
    sample = None if example is None else draw_sample(signature, example)
    if sample is None:
        is_known = baseline is not None and baseline.fits(signature)
        return (
            DriftWindow(baseline, signature.kind, width=signature.width)
            if baseline and is_known
            else None
        )
    few, predict = sample.few(), predictions_of(model, signature)
    # To predict the example takes longer than to start: it waits until somebody asks.
    learn = None if predict is None else partial(_learn, few, predict, transform_output)
    return DriftWindow(
        Baseline.of_sample(signature, sample), signature.kind, width=signature.width, learn=learn
    )


def _learn(
    few: Any, predict: Callable[[Any], Sequence[Any]], transform_output: str
) -> Distribution | None:
    """Ask in whichever thread, as the thread that serves would."""
    if "sklearn" not in sys.modules:
        return learn_predictions(few, predict)
    import sklearn  # noqa: PLC0415 -- loaded already

    with sklearn.config_context(transform_output=transform_output):
        return learn_predictions(few, predict)


def read_baseline(written: Mapping[str, Any] | None) -> Baseline | None:
    """Read the baseline of a manifest; ``None`` where there is none that can be read."""
    if written is None:
        return None
    try:
        return Baseline.from_dict(written)
    except SignatureError as error:
        # Its model predicts as well without it.
        logger.warning("Drift cannot be judged: %s", error)
        return None
