"""Every model that is compiled, against the plain one."""

import threading
import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.svm import SVC, LinearSVC, LinearSVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits

from nbdeploy.models.compiled import CompiledModel, compile_model, verify
from nbdeploy.models.compiled.leaf_masks import LeafMasks
from nbdeploy.models.equality import assert_equal
from nbdeploy.models.signature import Signature

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # The arithmetic is scikit-learn's, and so are the warnings about probabilities of zero.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
]

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
CANCER, MALIGNANT = load_breast_cancer(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.1, np.nan, IRIS)
TWO = NAMES[:100]
PETALS = IRIS[:, 2] + IRIS[:, 3] ** 2
BOTH = IRIS[:, 2:] * [1.0, -3.0]
CODES = np.c_[np.arange(150) % 7, IRIS[:, 1], np.arange(150) % 3, IRIS[:, 3]]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other on busy cores would take most of the time."""
    with threadpool_limits(1):
        yield


LINEAR = {
    "logistic, three classes": (LogisticRegression(max_iter=500), IRIS, NAMES),
    "logistic, two classes": (LogisticRegression(), IRIS[:100], TWO),
    "logistic, thirty features": (LogisticRegression(max_iter=50), CANCER, MALIGNANT),
    "logistic, liblinear": (LogisticRegression(solver="liblinear"), IRIS[:100], TWO),
    "logistic, no intercept": (LogisticRegression(fit_intercept=False), IRIS, SPECIES),
    "logistic CV": (LogisticRegressionCV(Cs=2, cv=2, max_iter=50), IRIS, NAMES),
    "ridge classifier": (RidgeClassifier(), IRIS, NAMES),
    "ridge classifier, two classes": (RidgeClassifier(), IRIS[:100], TWO),
    "ridge classifier CV": (RidgeClassifierCV(), IRIS, SPECIES),
    "SGD, hinge": (SGDClassifier(random_state=0), IRIS, NAMES),
    "SGD, log loss": (SGDClassifier(loss="log_loss", random_state=0), IRIS, NAMES),
    "SGD, log loss, two": (SGDClassifier(loss="log_loss", random_state=0), IRIS[:100], TWO),
    "SGD, Huber": (SGDClassifier(loss="modified_huber", random_state=0), IRIS, NAMES),
    "SGD, Huber, two": (SGDClassifier(loss="modified_huber", random_state=0), IRIS[:100], TWO),
    "perceptron": (Perceptron(random_state=0), IRIS, NAMES),
    "linear SVC": (LinearSVC(random_state=0), IRIS, NAMES),
    "linear SVC, two classes": (LinearSVC(random_state=0), IRIS[:100], TWO),
    "linear SVR": (LinearSVR(random_state=0), IRIS, PETALS),
    "least squares": (LinearRegression(), IRIS, PETALS),
    "least squares, two outputs": (LinearRegression(), IRIS, BOTH),
    "least squares, one column": (LinearRegression(), IRIS, PETALS.reshape(-1, 1)),
    "ridge": (Ridge(), IRIS, PETALS),
    "ridge, two outputs": (Ridge(), IRIS, BOTH),
    "ridge CV": (RidgeCV(), IRIS, PETALS),
    "lasso": (Lasso(0.1), IRIS, PETALS),
    "lasso, two outputs": (Lasso(0.1), IRIS, BOTH),
    "lasso CV": (LassoCV(cv=2, random_state=0), IRIS, PETALS),
    "elastic net": (ElasticNet(0.1), IRIS, PETALS),
    "elastic net CV": (ElasticNetCV(cv=2, random_state=0), IRIS, PETALS),
    "SGD regressor": (SGDRegressor(random_state=0), IRIS, PETALS),
}
TREES = {
    "tree": (DecisionTreeClassifier(random_state=0), IRIS, NAMES),
    "tree, missing values": (DecisionTreeClassifier(random_state=0), HOLES, NAMES),
    "tree, best first": (DecisionTreeClassifier(max_leaf_nodes=5, random_state=0), IRIS, NAMES),
    "tree, pruned": (DecisionTreeClassifier(ccp_alpha=0.01, random_state=0), IRIS, NAMES),
    "tree, only a leaf": (DecisionTreeClassifier(max_depth=1), IRIS, np.ones(150)),
    "tree regressor": (DecisionTreeRegressor(random_state=0), IRIS, PETALS),
    "tree regressor, two outputs": (DecisionTreeRegressor(random_state=0), IRIS, BOTH),
    "extra tree": (ExtraTreeClassifier(random_state=0), IRIS, NAMES),
    "extra tree regressor": (ExtraTreeRegressor(random_state=0), IRIS, PETALS),
    "forest": (RandomForestClassifier(10, random_state=0), CANCER, MALIGNANT),
    "forest, three classes": (RandomForestClassifier(7, random_state=0), IRIS, NAMES),
    "forest, missing values": (RandomForestClassifier(10, random_state=0), HOLES, NAMES),
    "forest of one": (RandomForestClassifier(1, random_state=0), IRIS, NAMES),
    "forest regressor": (RandomForestRegressor(10, random_state=0), IRIS, PETALS),
    "forest, large trees": (RandomForestRegressor(10, random_state=0), CANCER, CANCER[:, 0]),
    "forest regressor, two outputs": (RandomForestRegressor(10, random_state=0), IRIS, BOTH),
    "extra trees": (ExtraTreesClassifier(10, random_state=0), IRIS, NAMES),
    "extra trees regressor": (ExtraTreesRegressor(10, random_state=0), IRIS, PETALS),
    "boosting": (GradientBoostingClassifier(n_estimators=10), CANCER, MALIGNANT),
    "boosting, three classes": (GradientBoostingClassifier(n_estimators=5), IRIS, NAMES),
    "boosting, exponential": (
        GradientBoostingClassifier(loss="exponential", n_estimators=10),
        IRIS[:100],
        TWO,
    ),
    "boosting from zero": (GradientBoostingClassifier(init="zero", n_estimators=9), IRIS, NAMES),
    "boosting regressor": (GradientBoostingRegressor(n_estimators=10), IRIS, PETALS),
    "boosting quantiles": (
        GradientBoostingRegressor(loss="quantile", n_estimators=10),
        IRIS,
        PETALS,
    ),
    "histograms": (HistGradientBoostingClassifier(max_iter=10), CANCER, MALIGNANT),
    "histograms, three classes": (HistGradientBoostingClassifier(max_iter=5), IRIS, NAMES),
    "histograms, missing values": (HistGradientBoostingClassifier(max_iter=10), HOLES, NAMES),
    "histograms, categories": (
        HistGradientBoostingClassifier(
            max_iter=10, categorical_features=[0, 2], min_samples_leaf=3
        ),
        CODES,
        NAMES,
    ),
    "histogram regressor": (HistGradientBoostingRegressor(max_iter=10), IRIS, PETALS),
    "histograms, large trees": (
        HistGradientBoostingRegressor(max_leaf_nodes=None, min_samples_leaf=1, max_iter=5),
        CANCER,
        CANCER[:, 0],
    ),
    "boosting, large trees": (
        GradientBoostingRegressor(max_depth=None, n_estimators=5),
        CANCER,
        CANCER[:, 0],
    ),
    "histogram Poisson": (
        HistGradientBoostingRegressor(loss="poisson", max_iter=10),
        IRIS,
        PETALS,
    ),
}
MODELS = LINEAR | TREES


@cache
def fitted(name):
    model, X, y = MODELS[name]
    model.fit(X, y)
    signature = Signature.learn(model, X)
    compiled = compile_model(model, signature)
    assert isinstance(compiled, CompiledModel), compiled
    return model, signature, compiled, X


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_is_equal_to_the_plain_one(name):
    model, signature, compiled, X = fitted(name)

    assert verify(compiled, model, signature, X, rows=2_000) is None


@pytest.mark.acceptance
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_is_equal_on_twenty_thousand_rows(name):
    model, signature, compiled, X = fitted(name)

    assert verify(compiled, model, signature, X, rows=20_000, seed=1) is None


@pytest.mark.parametrize("name", MODELS)
def test_a_row_alone_is_bit_equal(name):
    model, _, compiled, X = fitted(name)

    for method in compiled.methods:
        for row in (X[:1], X[77:78]):
            assert_equal(compiled.call(method, row), getattr(model, method)(row), same_batch=True)


@pytest.mark.parametrize("name", MODELS)
def test_all_methods_of_the_model_are_compiled(name):
    model, _, compiled, _ = fitted(name)
    methods = ("predict", "predict_proba", "predict_log_proba", "decision_function")

    assert sorted(compiled.methods) == sorted(m for m in methods if hasattr(model, m))


@pytest.mark.parametrize("name", TREES)
def test_a_row_on_a_threshold_goes_the_same_way(name):
    model, _, compiled, X = fitted(name)
    rows = np.concatenate([_at_thresholds(model, X, moved) for moved in (-np.inf, None, np.inf)])

    for start in range(0, len(rows), 25):
        some = rows[start : start + 25]
        assert_equal(compiled.call("predict", some), model.predict(some))
    together = compiled.call("predict", rows)
    assert_equal(together, model.predict(rows))


def _at_thresholds(model, X, moved):
    """Rows of the data with one feature on, just below or just above each threshold."""
    if hasattr(model, "_predictors"):
        nodes = np.concatenate([tree.nodes for stage in model._predictors for tree in stage])
        nodes = nodes[nodes["is_categorical"] == 0]
        splits = [(n["feature_idx"], n["num_threshold"]) for n in nodes if not n["is_leaf"]]
    else:
        parts = getattr(model, "estimators_", [model])
        trees = [part.tree_ for part in np.ravel(np.array(parts, dtype=object))]
        pairs = [(tree.feature, tree.threshold) for tree in trees]
        splits = [(f, t) for pair in pairs for f, t in zip(*pair, strict=True) if f >= 0]
    splits = [(f, t) for f, t in splits if np.isfinite(t)][:200]
    rows = X[np.arange(len(splits) + 1) % len(X)].copy()
    for row, (feature, threshold) in zip(rows, splits, strict=False):
        # scikit-learn's own trees compare float32, the others float64.
        precision = np.float64 if hasattr(model, "_predictors") else np.float32
        exact = precision(threshold)
        row[feature] = exact if moved is None else np.nextafter(exact, precision(moved))
    return rows


@pytest.mark.parametrize("name", [name for name in TREES if "tree" not in name])
def test_trees_that_no_mask_holds_are_walked_to_the_same_sums(name, monkeypatch):
    model, signature, compiled, X = fitted(name)
    monkeypatch.setattr(LeafMasks, "fit", lambda *_: False)
    walked = compile_model(model, signature)

    assert walked.turn <= compiled.turn or "large" in name
    assert verify(walked, model, signature, X, rows=500) is None


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["forest, missing values", "histograms, missing values", "histograms"]),
    data=st.data(),
)
def test_any_floats_give_the_same_answer_or_are_left_to_the_model(name, data):
    model, signature, compiled, _ = fitted(name)
    nullable = signature.columns[0].nullable
    number = st.floats(allow_nan=nullable, allow_infinity=False)
    cells = st.lists(number, min_size=signature.width, max_size=signature.width)
    # Masks answer more than a few rows of a forest.
    rows = np.array(data.draw(st.lists(cells, min_size=1, max_size=8)))

    answer = compiled.call("predict", rows)

    if answer is not None:
        assert_equal(answer, model.predict(rows))


@pytest.mark.parametrize("name", ["forest", "boosting", "tree, missing values", "least squares"])
@pytest.mark.parametrize("cell", [np.inf, -np.inf, 1e300, np.nan])
def test_what_the_model_refuses_is_left_to_the_model(name, cell):
    model, _, _, X = fitted(name)
    row = X[:1].copy()
    row[0, -1] = cell
    holes = X.copy()
    holes[0] = np.nan
    guarded = compile_model(model, Signature.learn(model, holes))

    try:
        expected = model.predict(row)
    except ValueError:
        assert guarded.call("predict", row) is None
    else:
        answer = guarded.call("predict", row)
        assert answer is None or answer.tolist() == expected.tolist()


def test_a_forest_takes_missing_values_only_if_it_knows_them():
    with_holes, _, compiled, _ = fitted("forest, missing values")
    row = np.array([[np.nan, 3.0, np.nan, 1.0]])

    assert compiled.call("predict", row).tolist() == with_holes.predict(row).tolist()


def test_answers_are_new_arrays_that_may_be_changed():
    for name in MODELS:
        _, _, compiled, X = fitted(name)
        for method in compiled.methods:
            first = compiled.call(method, X[:1])
            kept = first.copy()
            first[...] = first.ravel()[0] if first.dtype.kind in "UO" else 0
            assert_equal(compiled.call(method, X[:1]), kept, same_batch=True)


def test_rows_are_not_changed():
    for name in MODELS:
        _, _, compiled, X = fitted(name)
        rows = X[:40].copy()
        for method in compiled.methods:
            compiled.call(method, rows)
        assert_equal(rows, X[:40], same_batch=True)


@pytest.mark.parametrize("name", ["forest", "histograms", "logistic, three classes"])
def test_threads_do_not_disturb_each_other(name):
    _, _, compiled, X = fitted(name)
    expected = [compiled.call("predict_proba", X[place : place + 1]) for place in range(60)]
    wrong = []

    def ask(offset):
        for place in [(offset + step) % 60 for step in range(300)]:
            answer = compiled.call("predict_proba", X[place : place + 1])
            if not np.array_equal(answer, expected[place]):
                wrong.append(place)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in (0, 17, 31, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_later_fit_does_not_reach_the_compiled_model():
    model = LinearRegression().fit(IRIS, PETALS)
    compiled = compile_model(model, Signature.learn(model, IRIS))
    before = compiled.call("predict", IRIS[:3])
    model.coef_ *= 2

    assert compiled.call("predict", IRIS[:3]).tolist() == before.tolist()


def test_features_of_whole_numbers_are_taken_as_floats():
    X = np.arange(40).reshape(20, 2)
    model = RandomForestRegressor(3, random_state=0).fit(X, X[:, 0])
    signature = Signature.learn(model, X)

    assert verify(compile_model(model, signature), model, signature, X) is None


@pytest.mark.parametrize("trees", [1, 7, 150])
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesRegressor])
def test_many_rows_of_a_forest_are_answered_as_few_are(kind, trees):
    y = NAMES if kind is RandomForestClassifier else PETALS
    model = kind(trees, random_state=0, max_depth=4).fit(HOLES, y)
    compiled = compile_model(model, Signature.learn(model, HOLES))
    many = np.tile(HOLES, (3, 1))
    answers = [compiled.call("predict", HOLES[place : place + 1]) for place in range(len(HOLES))]

    assert compiled.limit > len(many)
    assert compiled.call("predict", many).tolist() == np.tile(np.concatenate(answers), 3).tolist()
    assert compiled.call("predict", many).tolist() == model.predict(many).tolist()


def test_what_differs_only_in_large_batches_is_found():
    model = RandomForestRegressor(120, random_state=0).fit(IRIS, PETALS)
    signature = Signature.learn(model, IRIS)
    compiled = compile_model(model, signature)
    predict = compiled.head.answers["predict"]
    compiled.head.answers["predict"] = lambda rows: predict(rows) + (len(rows) > compiled.head.turn)

    assert "in one batch" in verify(compiled, model, signature, IRIS, rows=30)


def test_the_limit_is_above_what_a_batch_usually_has():
    for name in MODELS:
        assert fitted(name)[2].limit >= 30


def test_a_model_of_another_kind_is_declined():
    model = SVC().fit(IRIS, NAMES)

    assert compile_model(model, Signature.learn(model, IRIS)).reason == "SVC cannot be compiled."


@pytest.mark.parametrize("value", [1e200, -1e200, 1.7e308])
@pytest.mark.parametrize("kind", [RandomForestRegressor, HistGradientBoostingRegressor])
def test_huge_numbers_are_ranked_without_a_warning(kind, value):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = kind(random_state=0).fit(X, X[:, 0])
    compiled = compile_model(model, Signature.learn(model, X))
    row = [[value, 0.0, value]]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = compiled.call("predict", row)

    # Beyond float32 the model refuses: then it is asked itself.
    assert answer is None or np.isfinite(answer).all()
