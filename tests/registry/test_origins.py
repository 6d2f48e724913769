"""Where a model comes from, in words that are the same from run to run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import FunctionTransformer

from nbdeploy.registry.origins import data_of, example_rows, parameters_of, user_name

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})


def test_parameters_are_texts_without_addresses():
    model = VotingRegressor([("one", Ridge(alpha=2)), ("two", LinearRegression())])
    found = parameters_of(model)
    assert found["one"] == "Ridge"
    assert found["one__alpha"] == "2"
    assert found["estimators"] == "list of 2"
    assert parameters_of(FunctionTransformer(np.log1p))["func"] == "log1p"
    assert not any("0x" in value for value in found.values())


class Broken:
    def get_params(self):
        raise RuntimeError


@pytest.mark.parametrize("model", [None, {"a": 1}, len, Ridge, Broken()], ids=range(5))
def test_what_has_no_parameters_has_none(model):
    assert parameters_of(model) == {}


@pytest.mark.parametrize(
    ("example", "rows", "columns"),
    [
        (FRAME, 2, 2),
        (np.zeros((3, 4)), 3, 4),
        (scipy.sparse.eye(5, format="csr"), 5, 5),
        ([[1.0, 2.0]], 1, 2),
        ([{"a": 1}, {"a": 2}], 2, 1),
        (["a text", "another", "third"], 3, 1),
        (pd.Series(["a text", "another"]), 2, 1),
    ],
    ids=["frame", "array", "sparse", "lists", "dicts", "texts", "series"],
)
def test_data_is_known_by_its_size_and_digest(example, rows, columns):
    found = data_of(example)
    assert (found["rows"], found["columns"]) == (rows, columns)
    assert found["digest"].startswith("sha256:")
    assert data_of(example) == found
    assert example_rows(example) is not None


def test_other_data_has_another_digest():
    digests = {
        data_of(frame)["digest"]
        for frame in (FRAME, FRAME.assign(a=[1.0, 3.0]), FRAME.rename(columns={"a": "c"}))
    }
    assert len(digests) == 3


def test_no_example_tells_nothing():
    assert data_of(None) == {}
    assert example_rows(None) is None


def test_cells_that_have_no_digest_and_no_json_are_left_out():
    odd = pd.DataFrame({"a": [[1], [2]], "b": [object(), object()]})
    assert data_of(odd)["digest"] is None
    assert data_of(odd)["rows"] == 2
    assert example_rows(odd) is None


def test_a_user_without_a_name_has_a_number(monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_USER")

    def fail():
        raise OSError

    monkeypatch.setattr("getpass.getuser", fail)
    assert user_name().startswith("user ")
