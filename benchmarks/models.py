"""The four models that are served, and the rows that are asked.

Run as a script it fits them and writes them to a folder, so that each environment serves files
that its own scikit-learn wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

__all__ = ["SUBJECTS", "Row", "Subject", "ask", "write_models"]

Row = list[float] | dict[str, Any]
"""What one row is in JSON: numbers in the order of the columns, or values by their names."""

_SEED = 7
_WORDS = {
    "island": ("Biscoe", "Dream", "Torgersen"),
    "sex": ("female", "male"),
    "stage": ("Adult, 1 Egg Stage", "Adult, 2 Eggs", "Adult, no egg"),
    "clutch": ("Yes", "No"),
}
_NUMBERS = {
    "bill_length_mm": (43.9, 5.5),
    "bill_depth_mm": (17.2, 2.0),
    "flipper_length_mm": (200.9, 14.1),
    "body_mass_g": (4201.8, 802.0),
    "delta_15_n": (8.73, 0.55),
    "delta_13_c": (-25.69, 0.79),
}
_MISSING = 0.05


@dataclass(frozen=True)
class Subject:
    """A model to measure.

    Parameters
    ----------
    key
        ``m1`` to ``m4``.
    title
        What the tables call it.
    data
        Gives the rows and the target it is fitted on.
    estimator
        Makes it, not fitted.
    """

    key: str
    title: str
    data: Callable[[], tuple[Any, Any]]
    estimator: Callable[[], Any]

    def fit(self) -> tuple[Any, Any]:
        """Fit it: the model, and the rows it was fitted on."""
        features, target = self.data()
        return self.estimator().fit(features, target), features


def birds(count: int, *, seed: int = _SEED) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """Make measurements of birds: 4 columns of text, 6 of numbers, 5 % of the values missing."""
    random = np.random.default_rng(seed)
    species = random.integers(0, 3, count)
    columns: dict[str, Any] = {}
    for name, words in _WORDS.items():
        lean = (species + random.integers(0, 2, count)) % len(words)
        columns[name] = pd.Series(np.array(words, dtype=object)[lean])
    for name, (mean, spread) in _NUMBERS.items():
        columns[name] = np.round(mean + spread * (random.normal(size=count) + species - 1), 2)
    frame = pd.DataFrame(columns)
    return frame.mask(random.random(frame.shape) < _MISSING), species


def _pipeline() -> Any:
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer((words, list(_WORDS)), (numbers, list(_NUMBERS)))
    return make_pipeline(columns, LogisticRegression(max_iter=500))


SUBJECTS = {
    subject.key: subject
    for subject in (
        Subject(
            "m1",
            "LogisticRegression, iris",
            lambda: load_iris(return_X_y=True),
            lambda: LogisticRegression(max_iter=500),
        ),
        Subject(
            "m2",
            "RandomForest(100), breast_cancer",
            lambda: load_breast_cancer(return_X_y=True),
            lambda: RandomForestClassifier(100, random_state=0),
        ),
        Subject(
            "m3",
            "HistGradientBoosting, breast_cancer",
            lambda: load_breast_cancer(return_X_y=True),
            lambda: HistGradientBoostingClassifier(random_state=0),
        ),
        Subject("m4", "Pipeline, 10 mixed columns", lambda: birds(500), _pipeline),
    )
}


def ask(key: str, count: int) -> list[Row]:
    """Make `count` different rows that a caller may send."""
    if key == "m4":
        frame, _ = birds(count, seed=_SEED + 1)
        # Text is never missing here: some servers have no way to send it.
        frame[list(_WORDS)] = frame[list(_WORDS)].ffill().bfill()
        records = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return [{str(name): value for name, value in record.items()} for record in records]
    features, _ = SUBJECTS[key].data()
    random = np.random.default_rng(_SEED)
    picked = features[random.integers(0, len(features), count)]
    shaken = picked * random.uniform(0.95, 1.05, picked.shape)
    rows: list[Row] = [[float(f"{value:.5g}") for value in row] for row in shaken.tolist()]
    return rows


def write_models(folder: Path, keys: list[str]) -> None:
    """Fit the models and write each, with the rows it was fitted on, as ``<key>.joblib``."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in keys:
        joblib.dump(SUBJECTS[key].fit(), folder / f"{key}.joblib")


if __name__ == "__main__":
    write_models(Path(sys.argv[1]), sys.argv[2:] or list(SUBJECTS))
