"""Trees, forests and boosting, compiled: walked or masked, each row goes the way it went."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from threadpoolctl import threadpool_limits

from nbdeploy.models.compiled import compile_model, verify
from nbdeploy.models.compiled.leaf_masks import LeafMasks
from nbdeploy.models.equality import assert_equal
from nbdeploy.models.signature import Signature
from tests.models.compiled_models import HOLES, NAMES, PETALS, TREES, fitted

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # The arithmetic is scikit-learn's, and so are the warnings about probabilities of zero.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other on busy cores would take most of the time."""
    with threadpool_limits(1):
        yield


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

    assert walked.turn <= compiled.turn
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


def test_a_forest_takes_missing_values_only_if_it_knows_them():
    with_holes, _, compiled, _ = fitted("forest, missing values")
    row = np.array([[np.nan, 3.0, np.nan, 1.0]])

    assert compiled.call("predict", row).tolist() == with_holes.predict(row).tolist()


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
