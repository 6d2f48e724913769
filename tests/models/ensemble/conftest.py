"""Members of several kinds, and some that misbehave."""

from __future__ import annotations

import threading

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier


@pytest.fixture(scope="session")
def flowers():
    frame, kinds = load_iris(return_X_y=True, as_frame=True)
    names = {name: name.replace(" (cm)", "").replace(" ", "_") for name in frame.columns}
    return frame.rename(columns=names), kinds.to_numpy()


@pytest.fixture(scope="session")
def classifiers(flowers):
    return {
        "forest": RandomForestClassifier(n_estimators=5, random_state=0).fit(*flowers),
        "xgboost": xgboost.XGBClassifier(n_estimators=4).fit(*flowers),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(*flowers),
    }


class Fixed:
    """A classifier that says the same of every row."""

    def __init__(self, classes, shares):
        self.classes_ = np.array(classes)
        self.shares = np.array(shares)

    def predict(self, rows):
        return self.classes_[[self.shares.argmax()] * len(rows)]

    def predict_proba(self, rows):
        return np.tile(self.shares, (len(rows), 1))


@pytest.fixture
def fixed():
    return Fixed


@pytest.fixture
def stuck():
    """A function that does not come back before the end of the test."""
    release = threading.Event()

    def wait(rows):
        release.wait(30)
        return [0] * len(rows)

    yield wait
    release.set()


def broken_member(rows):
    message = f"no answer for {len(rows)} rows"
    raise RuntimeError(message)


@pytest.fixture
def broken():
    return broken_member
