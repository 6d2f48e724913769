"""Code that was defined in a notebook is there in a process that never saw the notebook."""

from __future__ import annotations

import json

import pytest

from nbdeploy import ModelFileError, ModelSerializer
from nbdeploy.models.manifest import SUFFIX, Manifest
from nbdeploy.models.trust import TrustStore

NOTEBOOK = """
import math
import sys

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from nbdeploy import ModelFileError, ModelSerializer

SCALE = 10.0
SEEN = []

def scaled(X):
    SEEN.append(len(X))
    return np.asarray(X) * SCALE

def shifted(X):
    SEEN.append(-len(X))
    return X + math.pi

class Centered(TransformerMixin, BaseEstimator):
    def __init__(self, by=0.5):
        self.by = by

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return shifted(X) - self.mean_ * self.by

class VeryCentered(Centered):
    def transform(self, X):
        return super().transform(X) - self.mean_

X = np.arange(12.0).reshape(6, 2) ** 1.5
model = Pipeline([
    ("scale", FunctionTransformer(scaled)),
    ("square", FunctionTransformer(lambda X: X ** 2)),
    ("center", Centered()),
    ("again", VeryCentered(by=0.1)),
    ("fit", LinearRegression()),
]).fit(X, X.sum(axis=1))
"""

SAVE = (
    NOTEBOOK
    + """
for name in ("joblib", "pickle"):
    ModelSerializer.save_model(model, f"model.{name}", name, example=X)
try:
    ModelSerializer.save_model(model, "model.skops", "skops")
except ModelFileError as error:
    print(error, file=sys.stderr)
    assert "__main__.scaled" in str(error) and "format='joblib'" in str(error)
else:
    raise AssertionError("skops cannot carry code")
print(model.predict(X).tolist())
"""
)

LOAD = """
import inspect

import joblib
import numpy as np
from nbdeploy import ModelSerializer

X = np.arange(12.0).reshape(6, 2) ** 1.5
for name in ("joblib", "pickle"):
    model = ModelSerializer.load_model(f"model.{name}", name)
    print(model.predict(X).tolist())
    scaled = model.named_steps["scale"].func
    center, again = model.named_steps["center"], model.named_steps["again"]
    shifted = inspect.unwrap(type(center).transform).__globals__["shifted"]
    assert shifted.__globals__["SEEN"] is scaled.__globals__["SEEN"], "they share one list"
    assert type(center) is type(again).__mro__[1], "two objects share one class"
print(joblib.load("model.joblib").predict(X).tolist())
ModelSerializer.save_model(model, "again.joblib")
print(ModelSerializer.load_model("again.joblib").predict(X).tolist())
"""


def test_a_model_of_the_notebook_predicts_alike_in_a_fresh_process(run_script, tmp_path):
    expected = run_script(SAVE)
    answers = run_script(LOAD).splitlines()
    assert answers == [expected] * 4
    saved = ModelSerializer.inspect(tmp_path / "model.joblib")
    assert "cloudpickle" in saved.libraries
    assert any(name.startswith("cloudpickle.") for name in saved.globals)
    assert saved.signature is not None


IN_THE_NOTEBOOK = (
    NOTEBOOK
    + """
from nbdeploy.models.serializer import snapshot

before = model.predict(X)
transform = Centered.transform
ModelSerializer.save_model(model, "first.joblib")
first, (copy, digest) = ModelSerializer.load_model("first.joblib"), snapshot(model)
assert snapshot(model)[1] == digest
assert Centered.transform is transform, "the class of the notebook is as it was"
assert copy.named_steps["scale"].func.__globals__["SEEN"] is not SEEN

SCALE = 1.0
def shifted(X):
    return X - 1e6
after = model.predict(X)
assert not np.allclose(after, before), "the notebook sees its new code"
ModelSerializer.save_model(model, "second.joblib")
second = ModelSerializer.load_model("second.joblib")
Centered.transform = None
for loaded, expected in ((first, before), (copy, before), (second, after)):
    assert np.array_equal(loaded.predict(X), expected), "each is as it was saved"
print(before.tolist(), after.tolist(), sep="\\n")
"""
)

LOAD_BOTH = """
import numpy as np
from nbdeploy import ModelSerializer
X = np.arange(12.0).reshape(6, 2) ** 1.5
first = ModelSerializer.load_model("first.joblib")
second = ModelSerializer.load_model("second.joblib")
print(first.predict(X).tolist(), second.predict(X).tolist(), sep="\\n")
"""


def test_two_versions_of_one_class_stay_apart_in_the_notebook_and_where_they_are_served(run_script):
    expected = run_script(IN_THE_NOTEBOOK)
    assert run_script(LOAD_BOTH) == expected


WITH_AN_OPEN_FILE = """
from sklearn.preprocessing import FunctionTransformer
from nbdeploy import ModelFileError, ModelSerializer

log = open("log.txt", "w")

def logged(X):
    log.write("rows")
    return X

class Holder:
    def __init__(self):
        self.transformer = FunctionTransformer(logged).fit([[1.0]])

try:
    ModelSerializer.save_model(Holder(), "model.joblib")
except ModelFileError as error:
    print(error)
"""


def test_a_global_that_cannot_travel_is_named(run_script):
    said = run_script(WITH_AN_OPEN_FILE)
    assert "model.transformer.func (global 'log') is a _io.TextIOWrapper" in said


def test_code_of_another_python_is_refused(tmp_path):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model(lambda rows: [len(row) for row in rows], path)
    manifest = path.with_name(path.name + SUFFIX)
    document = json.loads(manifest.read_text())
    document["entries"][0]["python"] = "3.9.7"
    manifest.write_text(json.dumps(document))
    with pytest.raises(
        ModelFileError, match=r"compiled for Python 3\.9\.7.*Load it with Python 3\.9"
    ):
        ModelSerializer.load_model(path, trust=ModelSerializer.inspect(path).digest)
    (entry,) = Manifest.from_json(manifest.read_bytes()).entries
    entry = entry.signed(TrustStore().sign(entry.payload()))
    manifest.write_bytes(Manifest((entry,)).to_json())
    with pytest.raises(ModelFileError, match="carries code of a notebook"):
        ModelSerializer.load_model(path)


def test_a_lambda_of_a_module_travels_too(tmp_path):
    path = tmp_path / "model.pkl"
    ModelSerializer.save_model(lambda rows: [2 * row for row in rows], path, "pickle")
    assert ModelSerializer.load_model(path, "pickle")([1, 2]) == [2, 4]
    with pytest.raises(ModelFileError, match="skops holds no code"):
        ModelSerializer.save_model({"call": lambda: 1}, tmp_path / "model.skops", "skops")


def test_a_column_called_like_the_notebook_needs_no_code(tmp_path):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model({"columns": ["__main__", "size"]}, path)
    assert "cloudpickle" not in ModelSerializer.inspect(path).libraries
