import json

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from nbdeploy import ScalingError, Signature
from nbdeploy.scaling.load_rows import bodies_of

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]})
TEXTS = pd.Series(["good", "bad"])


@pytest.fixture(scope="module")
def of_numbers():
    X = FRAME[["a"]].to_numpy()
    return Signature.learn(LogisticRegression().fit(X, [0, 1, 1]), X)


@pytest.fixture(scope="module")
def of_texts():
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, [1, 0])
    return Signature.learn(model, TEXTS)


def features(bodies):
    return [json.loads(body)["features"] for body in bodies]


def test_each_row_is_a_body(of_numbers):
    assert features(bodies_of(FRAME, of_numbers)) == [
        {"a": [1.0], "b": ["x"]},
        {"a": [2.0], "b": ["y"]},
        {"a": [3.0], "b": ["x"]},
    ]
    assert features(bodies_of(np.array([[1.0], [2.0]]), of_numbers)) == [[[1.0]], [[2.0]]]
    assert features(bodies_of([[1.0], [2.0]], of_numbers)) == [[[1.0]], [[2.0]]]


def test_one_row_is_one_body(of_numbers):
    assert features(bodies_of({"a": 1.0}, of_numbers)) == [{"a": 1.0}]
    assert features(bodies_of([1.0], of_numbers)) == [[1.0]]
    assert features(bodies_of(np.array([1.0]), of_numbers)) == [[1.0]]
    assert features(bodies_of(FRAME.loc[0], of_numbers)) == [{"a": 1.0, "b": "x"}]


def test_of_a_model_of_texts_each_text_is_a_row(of_texts):
    assert features(bodies_of(TEXTS, of_texts)) == [["good"], ["bad"]]
    assert features(bodies_of(["good", "bad"], of_texts)) == [["good"], ["bad"]]


def test_without_rows_a_typical_one_is_made_up(of_numbers, of_texts):
    assert features(bodies_of(None, of_numbers)) == [of_numbers.example_row()]
    assert features(bodies_of(None, of_texts)) == [of_texts.example_row()]


def test_at_most_a_thousand_are_taken_and_at_least_one(of_numbers):
    assert len(bodies_of(np.zeros((5_000, 1)), of_numbers)) == 1_000
    with pytest.raises(ScalingError, match="no row to send"):
        bodies_of(FRAME.head(0), of_numbers)
