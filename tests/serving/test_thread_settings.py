from __future__ import annotations

import asyncio
import sys
import threading

import joblib
import numpy as np
import pytest
import sklearn
import threadpoolctl
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from nbdeploy import deploy
from nbdeploy.serving.prediction_thread import PredictionThread
from nbdeploy.serving.thread_settings import (
    FINITE_BOUND,
    SWITCH_SECONDS,
    prepare_call,
    quick_switching,
    serving_thread,
)

FINITE = np.array([[1.0, -2.0]])


def settings():
    """What a call of a model finds in this thread."""
    backend, _ = joblib.parallel.get_active_backend()
    openmp = [
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "openmp"
    ]
    config = sklearn.get_config()
    return {
        "jobs": backend.effective_n_jobs(-1) if backend.effective_n_jobs(-1) == 1 else "many",
        "openmp": max(openmp) if max(openmp) == 1 else "many",
        "validates": not config["skip_parameter_validation"],
        "looks": not config["assume_finite"],
    }


def in_a_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_a_call_in_a_serving_thread_takes_one_core_and_no_second_look():
    def serve():
        before = settings()
        with serving_thread():
            prepare_call(FINITE)
            during = settings()
        return before, during, settings()

    before, during, after = in_a_thread(serve)

    assert during == {"jobs": 1, "openmp": 1, "validates": False, "looks": False}
    assert before == after == settings()
    assert before["validates"]
    assert before["looks"]


def test_a_prediction_thread_is_set_up_before_its_first_call():
    # Within the call it would count as part of what the call costs.
    async def main():
        loop = asyncio.get_running_loop()
        found = loop.create_future()
        thread = PredictionThread(loop)
        thread.run(lambda: [settings()], lambda answers, _: found.set_result(answers))
        try:
            return await asyncio.wait_for(found, 10)
        finally:
            thread.close()

    found = asyncio.run(main())

    assert found == [{"jobs": 1, "openmp": 1, "validates": False, "looks": True}]


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[1.0, np.nan]]),
        np.array([[1.0, np.inf]]),
        np.array([[-np.inf, 1.0]]),
        np.array([[1.0, FINITE_BOUND]]),
        np.array([["a", "b"]]),
        [[1.0, 2.0]],
    ],
    ids=["nan", "infinity", "minus infinity", "huge", "text", "list"],
)
def test_what_may_not_be_finite_is_looked_at_by_the_model(rows):
    def serve():
        with serving_thread():
            prepare_call(FINITE)
            prepare_call(rows)
            looks = settings()["looks"]
            prepare_call(FINITE)
            return looks, settings()["looks"]

    assert in_a_thread(serve) == (True, False)


def test_other_threads_keep_their_settings():
    before = settings()
    prepare_call(FINITE)
    assert settings() == before


def test_switching_is_quick_while_anything_serves_and_as_before_afterwards():
    before = sys.getswitchinterval()
    with quick_switching():
        with quick_switching():
            assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_an_interval_that_a_user_sets_meanwhile_stays():
    before = sys.getswitchinterval()
    try:
        with quick_switching():
            sys.setswitchinterval(0.01)
        assert sys.getswitchinterval() == pytest.approx(0.01)
    finally:
        sys.setswitchinterval(before)


def test_a_served_model_runs_in_one_thread_and_the_users_object_is_as_it_was():
    X = np.random.default_rng(0).normal(size=(60, 3))
    forest = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, X[:, 0] > 0)
    seen = []

    class Watched(RandomForestClassifier):
        def predict(self, X):
            seen.append(settings())
            return super().predict(X)

    watched = Watched(20, n_jobs=2, random_state=0).fit(X, X[:, 0] > 0)
    interval = sys.getswitchinterval()
    with deploy(watched, name="watched", example=X, copy=False) as service:
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
        seen.clear()
        assert list(service.predict(X)) == list(forest.predict(X))
    assert sys.getswitchinterval() == pytest.approx(interval)
    assert seen
    assert all(found["jobs"] == found["openmp"] == 1 for found in seen)
    assert watched.n_jobs == 2
    assert settings()["looks"]


def of_one_column():
    # As a cell defines it: another process cannot import it.
    return lambda frame: frame[["petal length (cm)"]]


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_transformers_give_what_the_notebook_told_them_to(where):
    X, y = load_iris(return_X_y=True, as_frame=True)
    with sklearn.config_context(transform_output="pandas"):
        model = make_pipeline(
            StandardScaler(), FunctionTransformer(of_one_column()), LogisticRegression()
        ).fit(X, y)
        expected = model.predict(X).tolist()
        with deploy(model, name="pandas", example=X, where=where) as service:
            assert service.predict(X).tolist() == expected
            service.scale(1)
            assert service.predict(X).tolist() == expected


def test_a_model_that_was_fitted_without_it_is_asked_without_it():
    rows = np.zeros((3, 2))
    found = []

    def serve():
        with serving_thread():
            for wanted in ("pandas", "default"):
                prepare_call(rows, wanted)
                found.append(type(StandardScaler().fit_transform(rows)).__name__)

    in_a_thread(serve)

    assert found == ["DataFrame", "ndarray"]
