"""Ensembles, and models of other libraries, as versions."""

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Ensemble, ModelVersionControl, deploy

X, y = load_iris(return_X_y=True, as_frame=True)
X.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@pytest.fixture
def versions(tmp_path):
    return ModelVersionControl(tmp_path / "iris")


def ensemble_of(**members):
    fitted = {"line": LogisticRegression(max_iter=900), **members}
    return Ensemble({name: model.fit(X, y) for name, model in fitted.items()}, deadline=9)


def test_an_ensemble_is_saved_versioned_served_and_rolled_back(versions):
    first = ensemble_of(tree=DecisionTreeClassifier(max_depth=1, random_state=0))
    second = ensemble_of(boosting=xgboost.XGBClassifier(n_estimators=3))
    versions.save_model_version(first, "1.0", {}, example=X)
    versions.save_model_version(second, "1.1", {}, example=X)
    versions.set_alias("production", "1.0")
    versions.set_alias("production", "1.1")

    assert np.array_equal(versions["1.1"].load().predict_proba(X), second.predict_proba(X))
    with deploy(versions["production"], name="iris") as service:
        live = service.predict_proba(X.head()).to_numpy()
        versions.rollback("production")
        service.rollout("1.0")
        before = service.predict_proba(X.head()).to_numpy()

    assert np.allclose(live, second.predict_proba(X.head()))
    assert np.allclose(before, first.predict_proba(X.head()))
    assert versions["production"].version == "1.0"


@pytest.mark.parametrize("kind", ["ensemble", "xgboost"])
def test_the_same_model_saved_again_is_the_same_version(kind, versions):
    model = ensemble_of() if kind == "ensemble" else xgboost.XGBClassifier(n_estimators=3)
    model = model if kind == "ensemble" else model.fit(X, y)
    first = versions.save_model_version(model, "1.0", {}, example=X)

    again = versions.save_model_version(first.load(), "1.0", {}, example=X)

    assert again.digest == first.digest
    assert len(versions) == 1
