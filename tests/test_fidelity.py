"""Every classifier and regressor of scikit-learn, served and compared with itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from packaging.version import Version, parse
from palmerpenguins import load_penguins
from sklearn.base import is_classifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from nbdeploy import deploy, stop_all
from nbdeploy.models.equality import assert_equal

IRIS = load_iris(return_X_y=True, as_frame=True)
DIABETES = load_diabetes(return_X_y=True, as_frame=True)

CONSTRUCTORS = {
    "ClassifierChain": lambda kind: kind(LogisticRegression(max_iter=500)),
    "FixedThresholdClassifier": lambda kind: kind(LogisticRegression(max_iter=500)),
    "GaussianProcessRegressor": lambda kind: kind(alpha=1e-3),
    "LogisticRegressionCV": lambda kind: kind(Cs=2, cv=2, max_iter=500),
    "MultiOutputClassifier": lambda kind: kind(LogisticRegression(max_iter=500)),
    "MultiOutputRegressor": lambda kind: kind(Ridge()),
    "OneVsOneClassifier": lambda kind: kind(LogisticRegression(max_iter=500)),
    "OneVsRestClassifier": lambda kind: kind(LogisticRegression(max_iter=500)),
    "OutputCodeClassifier": lambda kind: kind(LogisticRegression(max_iter=500), random_state=0),
    "RegressorChain": lambda kind: kind(Ridge()),
    "SelfTrainingClassifier": lambda kind: kind(LogisticRegression(max_iter=500)),
    "StackingClassifier": lambda kind: kind([("tree", DecisionTreeClassifier(random_state=0))]),
    "StackingRegressor": lambda kind: kind([("tree", DecisionTreeRegressor(random_state=0))]),
    "TunedThresholdClassifierCV": lambda kind: kind(LogisticRegression(max_iter=500), cv=2),
    "VotingClassifier": lambda kind: kind([("tree", DecisionTreeClassifier(random_state=0))]),
    "VotingRegressor": lambda kind: kind([("tree", DecisionTreeRegressor(random_state=0))]),
}
FEW = {"GradientBoosting": 10, "RandomForest": 10, "ExtraTrees": 10, "Bagging": 3, "AdaBoost": 5}
METHODS = ("predict", "predict_proba")


def estimators():
    found = [
        *all_estimators(type_filter="classifier"),
        *all_estimators(type_filter="regressor"),
    ]
    return dict(sorted(found))


def construct(name, kind):
    model = CONSTRUCTORS.get(name, lambda kind: kind())(kind)
    parameters = model.get_params(deep=False)
    for start, count in FEW.items():
        if name.removeprefix("Hist").startswith(start):
            key = "max_iter" if "max_iter" in parameters else "n_estimators"
            model.set_params(**{key: count})
    if "random_state" in parameters:
        model.set_params(random_state=0)
    return model


def targets(name, model):
    """Data of the kind that the estimator is for."""
    X, y = IRIS if is_classifier(model) else DIABETES
    if name in {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}:
        y = (y == 0).astype(int)
    if name == "ClassifierChain":
        return X, np.c_[y == 0, y == 1].astype(int)
    if name == "MultiOutputClassifier":
        return X, np.c_[y, y == 1]
    if name in {"CCA", "PLSCanonical"} or "MultiTask" in name or name in {
        "MultiOutputRegressor", "RegressorChain",
    }:  # fmt: skip
        return X, np.c_[y, X.iloc[:, 0]]
    if name in {"GammaRegressor", "PoissonRegressor", "TweedieRegressor"}:
        y = y.abs() + 1
    if name == "IsotonicRegression":
        return X.iloc[:, :1], y
    if name in {"ComplementNB", "MultinomialNB", "CategoricalNB", "BernoulliNB"}:
        X = X.round().astype(int)
    return X, y


def fitted(name):
    with warnings.catch_warnings():
        # How well a model converges, and how long it will be kept, is no matter here.
        warnings.simplefilter("ignore")
        model = construct(name, estimators()[name])
        X, y = targets(name, model)
        return model.fit(X, y), X


def assert_served_as_itself(model, X):
    service = deploy(model, name="fidelity", example=X)
    for method in METHODS:
        if not hasattr(model, method):
            continue
        # A copy, as the service has one: asked for the very array that it was fitted on, numpy
        # multiplies it with itself by another routine, which rounds differently.
        native = getattr(model, method)(X.copy())
        served = getattr(service, method)(X)
        assert_equal(plain(served), plain(native), same_batch=True)
        one = getattr(service, method)(X[:1])
        assert_equal(plain(one), plain(getattr(model, method)(X[:1])), same_batch=True)


def plain(output):
    if isinstance(output, list):
        return [plain(each) for each in output]
    return output.to_numpy() if isinstance(output, (pd.Series, pd.DataFrame)) else output


@pytest.fixture(scope="module", autouse=True)
def nothing_left():
    yield
    stop_all()


def test_all_of_scikit_learn_is_here():
    # 99 in 1.9; nothing is left out below, so a newer release only adds to them.
    assert len(estimators()) >= (99 if parse(sklearn.__version__) >= Version("1.9") else 90)


@pytest.mark.filterwarnings("ignore:Class PassiveAggressive:FutureWarning")
@pytest.mark.parametrize("name", list(estimators()))
def test_an_estimator_is_served_as_itself(name):
    assert_served_as_itself(*fitted(name))


def test_the_same_holds_for_arrays_and_for_models_that_were_fitted_on_them():
    X, y = (each.to_numpy() for each in IRIS)
    for model in (LogisticRegression(max_iter=500), KNeighborsClassifier()):
        assert_served_as_itself(model.fit(X, y), X)


LABELS = {
    "texts": np.array(["setosa", "versicolor", "virginica"]),
    "objects": np.array(["a", "b", "ä\n"], dtype=object),
    "booleans": np.array([True, False, False]),
    "bytes": np.array([0, 1, 2], dtype=np.uint8),
    "negative": np.array([-1, 1, 3]),
    "floats": np.array([0.0, 1.0, 2.0]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back_as_they_are(kind):
    X, y = IRIS
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, LABELS[kind][y])

    assert_served_as_itself(model, X)


def test_several_targets_come_back_as_several():
    X, y = IRIS
    both = np.c_[LABELS["texts"][y], np.where(y == 1, "even", "odd")]

    assert_served_as_itself(DecisionTreeClassifier(random_state=0).fit(X, both), X)
    assert_served_as_itself(MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(X, both), X)
    assert_served_as_itself(LinearRegression().fit(X, X.to_numpy()[:, :3]), X)


def penguins():
    frame = load_penguins()
    return frame.drop(columns="species"), frame["species"]


NUMBERS = make_column_selector(dtype_include="number")
TEXTS = make_column_selector(dtype_exclude="number")


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                (OneHotEncoder(handle_unknown="ignore"), TEXTS),
            ),
            LogisticRegression(max_iter=1000),
        ),
        make_pipeline(
            make_column_transformer(
                (OrdinalEncoder(encoded_missing_value=-1), TEXTS), remainder="passthrough"
            ),
            HistGradientBoostingClassifier(max_iter=10, random_state=0),
        ),
        make_pipeline(
            make_column_transformer(
                (SimpleImputer(add_indicator=True), NUMBERS),
                (OneHotEncoder(), TEXTS),
            ),
            RandomForestClassifier(10, random_state=0),
        ),
    ],
    ids=["logistic", "boosting", "forest"],
)
@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_pipelines_on_penguins_with_texts_and_missing_values(model, dtype):
    X, y = penguins()
    X = X.astype({"island": dtype, "sex": dtype})

    assert_served_as_itself(model.fit(X, y), X)
