"""Rows of a request as what the model was fitted on: shared by the peers that leave it to us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

__all__ = ["load", "to_input"]


def load(path: str | Path) -> Any:
    """Load the model of a file that `models.py` wrote."""
    model, _ = joblib.load(path)
    return model


def to_input(rows: list[Any]) -> Any:
    """Make an array of lists of numbers, a DataFrame of dicts."""
    if isinstance(rows[0], dict):
        return pd.DataFrame(rows)
    return np.array(rows)
