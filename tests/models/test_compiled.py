"""Every model that is compiled, against the plain one."""

import threading

import numpy as np
import pytest
from sklearn.ensemble import (
    RandomForestRegressor,
)
from sklearn.linear_model import (
    LinearRegression,
)
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from nbdeploy.models.compiled import compile_model, verify
from nbdeploy.models.equality import assert_equal
from nbdeploy.models.signature import Signature
from tests.models.compiled_models import (
    IRIS,
    MODELS,
    NAMES,
    PETALS,
    fitted,
)

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
