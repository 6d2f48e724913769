"""Metrics: what may be one, which is better, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import VersionError

__all__ = ["checked_metrics", "is_less_better", "is_number", "moment", "number_text"]

_DEEPEST = 8
# What these measure is better when there is less of it; scikit-learn's neg_... are turned around.
_COSTS = (
    "error", "loss", "rmse", "mse", "mae", "mape", "brier", "deviance", "latency", "seconds",
    "time", "perplexity", "fpr", "fnr", "hamming", "ece", "cost", "size", "duration",
)  # fmt: skip


def checked_metrics(metrics: object) -> dict[str, Any]:
    """Return metrics as plain values that JSON has.

    Raises
    ------
    VersionError
        They are no dict of named numbers, texts, or lists of those.

    Examples
    --------
    >>> import numpy as np
    >>> checked_metrics({"auc": np.float64(0.91), "confusion": np.array([[5, 1], [0, 6]])})
    {'auc': 0.91, 'confusion': [[5, 1], [0, 6]]}
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        message = (
            f"metrics={visible(shortened(repr(metrics), 60))} is no dict of names and numbers, "
            "such as {'auc': 0.91}."
        )
        raise VersionError(message)
    return {name: _plain(value, name, 0) for name, value in metrics.items()}


def _plain(value: Any, name: str, depth: int) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): _plain(one, name, depth + 1) for key, one in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple)):
        return [_plain(one, name, depth + 1) for one in value]
    message = (
        f"The metric {visible(shortened(repr(name), 60))} is {type(value).__name__}, which cannot "
        "be written down. Pass a number, a text, or a list or dict of them."
    )
    raise VersionError(message)


def is_number(value: Any) -> bool:
    """Tell whether a metric can be compared."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124 -- NaN


def is_less_better(name: str, *, lower: Collection[str] = (), higher: Collection[str] = ()) -> bool:
    """Tell whether less of a metric is better.

    Parameters
    ----------
    name
        The metric.
    lower, higher
        What a user said about it.

    Examples
    --------
    >>> is_less_better("auc"), is_less_better("val_RMSE"), is_less_better("neg_log_loss")
    (False, True, False)
    >>> is_less_better("auc", lower=["auc"])
    True
    """
    if name in lower or name in higher:
        return name in lower
    words = name.lower().replace("-", "_").split("_")
    return "neg" not in words and any(cost in words for cost in _COSTS)


def number_text(value: Any) -> str:
    """Write a metric with four digits.

    Examples
    --------
    >>> number_text(0.912345), number_text(1234567.0), number_text(3), number_text("high")
    ('0.9123', '1.235e+06', '3', 'high')
    """
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)


def moment(when: datetime) -> str:
    """Write a time to the minute, where the reader is."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}"
