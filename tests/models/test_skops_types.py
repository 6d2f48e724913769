"""Models as skops files: nothing runs, so the reviewed types load from anybody."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from importlib import import_module
from pkgutil import resolve_name

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from nbdeploy import ModelSerializer
from nbdeploy.exceptions import UntrustedModelError
from nbdeploy.models.index_bounds import unsound_parts
from nbdeploy.models.manifest import SUFFIX
from nbdeploy.models.serializer import load_saved
from nbdeploy.models.skops_types import REVIEWED


def default_models(iris):
    """Every classifier and regressor that fits with its defaults, fitted."""
    X_diabetes, y_diabetes = (part[:120] for part in load_diabetes(return_X_y=True))
    for kind, X, y in (("classifier", *iris), ("regressor", X_diabetes, y_diabetes)):
        for name, make in all_estimators(type_filter=kind):
            try:
                yield name, make().fit(np.abs(X), y), np.abs(X)
            except (TypeError, ValueError):
                continue  # needs an argument, several targets or one column


def foreign_copy(path):
    """Take the manifest away: now anybody may have saved it."""
    os.unlink(f"{path}{SUFFIX}")  # noqa: PTH108 -- a name that is not a suffix
    return path


def test_every_default_model_of_scikit_learn_loads_from_anybody_and_predicts_alike(iris, tmp_path):
    path, count = tmp_path / "model.skops", 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        for name, model, X in default_models(iris):
            ModelSerializer.save_model(model, path, "skops")
            mine = ModelSerializer.load_model(path, "skops")
            np.testing.assert_array_equal(mine.predict(X), model.predict(X), err_msg=name)
            theirs = ModelSerializer.load_model(foreign_copy(path), "skops")
            np.testing.assert_array_equal(theirs.predict(X), model.predict(X), err_msg=name)
            count += 1
    assert count >= 70


def table():
    return pd.DataFrame({"size": np.arange(40.0), "city": ["a", "b", "c", "d"] * 10})


def test_a_pipeline_on_a_table_loads_from_anybody(tmp_path):
    X, y = table(), np.arange(40) % 2
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
    )
    model = GridSearchCV(
        make_pipeline(encode, SelectKBest(k=2), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=2,
    ).fit(X, y)
    path = tmp_path / "model.skops"
    ModelSerializer.save_model(model, path, "skops", example=X)
    loaded, saved = load_saved(foreign_copy(path))
    assert saved.format == "skops"
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_types_of_others_need_trust_and_are_named(tmp_path):
    model = FunctionTransformer(joblib.hash).fit([[1.0]])
    path = tmp_path / "model.skops"
    ModelSerializer.save_model(model, path, "skops")
    ModelSerializer.load_model(path, "skops")
    foreign_copy(path)
    with pytest.raises(UntrustedModelError, match=r"joblib\.hashing\.hash") as caught:
        ModelSerializer.load_model(path, "skops")
    assert caught.value.globals == ("joblib.hashing.hash",)
    assert not ModelSerializer.inspect(path).trusted
    assert ModelSerializer.load_model(path, "skops", trust=caught.value.digest).func is joblib.hash


def test_a_file_that_claims_more_than_any_memory_is_not_looked_into(forest, tmp_path, monkeypatch):
    path = tmp_path / "model.skops"
    ModelSerializer.save_model(forest, path, "skops")
    monkeypatch.setattr("nbdeploy.models.skops_format.UNPACKED_LIMIT", 1000)
    with pytest.raises(UntrustedModelError, match="unknown"):
        ModelSerializer.load_model(foreign_copy(path), "skops")


def test_every_reviewed_type_exists_and_is_of_scikit_learn_numpy_or_scipy():
    for name in REVIEWED:
        assert name.split(".")[0] in {"sklearn", "numpy", "scipy"}
        try:
            assert callable(resolve_name(name))
        except AttributeError:
            # Private parts of scikit-learn come and go; the module at least is there.
            import_module(name.rpartition(".")[0])


# What follows crafts files that skops loads, and that compiled code would follow out of memory.


def rewritten(path, change):
    """Change every array in a skops file, and save it as a file of somebody else."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        if name.endswith(".npy"):
            buffer = io.BytesIO()
            np.save(buffer, change(np.load(io.BytesIO(content), allow_pickle=False)))
            members[name] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return foreign_copy(path)


def setting(field, value):
    def change(array):
        if array.dtype.names and field in array.dtype.names:
            array = array.copy()
            array[field][0] = value
        return array

    return change


CRAFTED = [
    (DecisionTreeClassifier(), setting("left_child", 10**6)),
    (DecisionTreeClassifier(), setting("left_child", 0)),
    (DecisionTreeClassifier(), setting("left_child", -5)),
    (DecisionTreeClassifier(), setting("right_child", 10**6)),
    (DecisionTreeClassifier(), setting("feature", 10**9)),
    (DecisionTreeClassifier(), setting("feature", -7)),
    (RandomForestClassifier(n_estimators=2), setting("right_child", 10**6)),
    (GradientBoostingRegressor(n_estimators=2), setting("feature", 4)),
    (IsolationForest(n_estimators=2), setting("feature", 4)),
    (HistGradientBoostingClassifier(max_iter=2), setting("left", 10**6)),
    (HistGradientBoostingClassifier(max_iter=2), setting("feature_idx", 10**6)),
    (HistGradientBoostingClassifier(max_iter=2), setting("is_categorical", 1)),
    (KNeighborsClassifier(algorithm="kd_tree"), setting("idx_end", 10**6)),
    (KNeighborsClassifier(algorithm="ball_tree"), setting("idx_start", -1)),
    (KNeighborsClassifier(algorithm="kd_tree", leaf_size=10**6), setting("is_leaf", 0)),
]


@pytest.mark.parametrize(("model", "change"), CRAFTED, ids=lambda part: type(part).__name__)
def test_indices_that_point_outside_are_refused_from_anybody(iris, tmp_path, model, change):
    path = tmp_path / "model.skops"
    ModelSerializer.save_model(model.fit(*iris), path, "skops")
    with pytest.raises(UntrustedModelError, match="unsound"):
        ModelSerializer.load_model(rewritten(path, change), "skops")


@pytest.mark.parametrize("claimed", [0, -5])
def test_a_tree_that_claims_to_have_no_nodes_is_refused(iris, tmp_path, claimed):
    path = tmp_path / "model.skops"
    model = DecisionTreeClassifier().fit(*iris)
    ModelSerializer.save_model(model, path, "skops")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    count = str(model.tree_.node_count)
    schema = json.loads(members["schema.json"])
    text = json.dumps(schema).replace(f'"content": "{count}"', f'"content": "{claimed}"')
    assert text != json.dumps(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "schema.json": text.encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(UntrustedModelError, match="unsound"):
        ModelSerializer.load_model(foreign_copy(path), "skops")


def test_an_ensemble_of_trees_for_wider_rows_is_refused(iris):
    model = RandomForestClassifier(n_estimators=2).fit(*iris)
    assert unsound_parts(model) == []
    model.n_features_in_ = 2
    assert unsound_parts(model) == ["RandomForestClassifier takes other rows than its trees"]
    tree = DecisionTreeClassifier().fit(*iris)
    tree.n_features_in_ = 1
    assert unsound_parts({"inside": [tree]}) == [
        "DecisionTreeClassifier takes other rows than its tree"
    ]


def test_my_own_crafted_file_is_my_own_affair(iris, tmp_path):
    path = tmp_path / "model.skops"
    ModelSerializer.save_model(DecisionTreeClassifier().fit(*iris), path, "skops")
    rewritten(path, setting("left_child", 10**6))
    digest = ModelSerializer.inspect(path).digest
    assert isinstance(skops.io.loads(path.read_bytes(), trusted=list(REVIEWED)), object)
    ModelSerializer.load_model(path, "skops", trust=digest)


def test_what_cannot_be_checked_is_unsound(iris):
    model = HistGradientBoostingClassifier(max_iter=1).fit(*iris)
    model._predictors[0][0].nodes = np.zeros(3)
    (fault,) = unsound_parts(model)
    assert "cannot be checked" in fault
