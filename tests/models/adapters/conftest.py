"""Small models of other libraries, made once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

KINDS = ("setosa", "versicolor", "virginica")


@pytest.fixture(scope="session")
def flowers():
    frame, kinds = load_iris(return_X_y=True, as_frame=True)
    names = {name: name.replace(" (cm)", "").replace(" ", "_") for name in frame.columns}
    return frame.rename(columns=names), kinds.to_numpy()


@pytest.fixture(scope="session")
def named_kinds(flowers):
    return np.array(KINDS)[flowers[1]]


@pytest.fixture(scope="session")
def onnx_model(flowers, named_kinds):
    from skl2onnx import to_onnx

    rows = flowers[0].to_numpy(dtype="float32")
    return to_onnx(LogisticRegression(max_iter=500).fit(rows, named_kinds), rows[:1])
