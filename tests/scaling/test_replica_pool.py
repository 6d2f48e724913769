import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scaling_tools import is_running, of_notebook, pool_of, route_of, wait_until

from nbdeploy.exceptions import (
    DeadlineError,
    ModelFileError,
    PredictionError,
    ScalingError,
    StoppedError,
)
from nbdeploy.models.predictor import register_predictor
from nbdeploy.scaling.replica_pool import ReplicaPool
from nbdeploy.serving.routing import route_from_model


def test_replicas_answer_as_the_model_does(iris, iris_model, route):
    X = iris[0]
    with pool_of(route, 2) as (_, ask):
        assert ask(X) == iris_model.predict(X).tolist()
        assert ask(X, "predict_proba") == iris_model.predict_proba(X).tolist()
        one = ask(X.iloc[0].to_dict(), "predict_proba")

    assert np.allclose(one, iris_model.predict_proba(X.head(1)), rtol=1e-9, atol=1e-12)


def test_whatever_floats_a_model_answers_arrives_exactly():
    def odd(rows):
        return [float("nan"), float("inf"), -0.0, 0.1 + 0.2, 2**70]

    with pool_of(odd) as (_, ask):
        answer = ask([[1.0, 2.0]] * 5)

    assert str(answer) == str([float("nan"), float("inf"), -0.0, 0.1 + 0.2, 2**70])


def test_each_replica_is_a_process_of_its_own_with_one_thread_for_mathematics():
    def where(rows):
        import os

        return [[os.getpid(), os.environ.get("OMP_NUM_THREADS")] for _ in rows]

    with pool_of(where, 3) as (pool, ask):
        answers = [ask([[1.0, 2.0]])[0] for _ in range(6)]
        known = pool.process_ids

    assert {pid for pid, _ in answers} == set(known)
    assert len(set(known)) == 3
    assert os.getpid() not in known
    assert {threads for _, threads in answers} == {"1"}


def test_replicas_draw_different_numbers():
    def draw(rows):
        import numpy as np

        return [np.random.random() for _ in rows]  # noqa: NPY002 -- what a user may write

    with pool_of(draw, 3) as (_, ask):
        assert len({ask([[1.0, 2.0]])[0] for _ in range(3)}) == 3


def test_an_error_of_the_model_brings_the_traceback_of_the_replica():
    def divide(rows):
        return [1 / 0 for _ in rows]

    with pool_of(divide) as (pool, ask):
        with pytest.raises(PredictionError, match="ZeroDivisionError") as caught:
            ask([[1.0, 2.0]])

        assert "in divide" in str(caught.value.__cause__)
        assert pool.stats()["each"][0]["failed"] == 1
        assert pool.stats()["restarts"] == 0


def test_what_a_killed_replica_was_asked_is_answered_by_another():
    def slow(rows):
        import os
        import time

        time.sleep(0.3)
        return [os.getpid() for _ in rows]

    with pool_of(slow, 2) as (pool, ask), ThreadPoolExecutor(2) as threads:
        doomed, other = pool.process_ids
        answers = [threads.submit(ask, [[1.0, 2.0]]) for _ in range(2)]
        wait_until(lambda: [each["state"] for each in pool.stats()["each"]] == ["busy", "busy"])

        os.kill(doomed, signal.SIGKILL)
        pids = [answer.result(10)[0] for answer in answers]

        assert doomed not in pids
        wait_until(lambda: pool.stats()["ready"] == 2, 5.0)
        assert other in pool.process_ids


def test_an_idle_replica_that_dies_is_replaced_although_nobody_asks(route):
    with pool_of(route, 2) as (pool, _):
        doomed = pool.process_ids[0]

        os.kill(doomed, signal.SIGKILL)

        wait_until(lambda: doomed not in pool.process_ids and pool.stats()["ready"] == 2, 5.0)
        assert pool.stats()["restarts"] == 1


def test_a_replica_that_was_stopped_is_found_out_and_replaced(route):
    with pool_of(route, 2) as (pool, _):
        stopped = pool.process_ids[0]

        os.kill(stopped, signal.SIGSTOP)

        wait_until(lambda: stopped not in pool.process_ids and pool.stats()["ready"] == 2, 8.0)
        wait_until(lambda: not is_running(stopped))


def test_a_call_that_hangs_is_given_up_with_its_replica():
    def hang(rows):
        while rows[0][0] > 5:
            pass
        return [0 for _ in rows]

    with pool_of(hang, 1, timeout=0.5) as (pool, ask):
        hung = pool.process_ids[0]
        began = time.monotonic()

        with pytest.raises(DeadlineError, match=r"within 0\.5 s; the replica is replaced"):
            ask([[9.0, 0.0]])

        assert time.monotonic() - began < 1.5
        wait_until(lambda: not is_running(hung))
        wait_until(lambda: pool.stats()["ready"] == 1, 5.0)
        assert ask([[1.0, 0.0]]) == [0]


def test_rows_that_end_every_process_are_not_tried_for_ever():
    def fatal(rows):
        import os

        if rows[0][0] > 5:
            os._exit(1)
        return [0 for _ in rows]

    with pool_of(fatal, 2) as (pool, ask):
        with pytest.raises(ScalingError, match="3 replicas of 'tested' that were asked died"):
            ask([[9.0, 0.0]])

        assert ask([[1.0, 0.0]]) == [0]
        assert pool.stats()["restarts"] == 3


def test_when_all_die_the_extra_requests_are_a_fifth():
    def fatal(rows):
        import os

        if rows[0][0] > 5:
            os._exit(1)
        return [0 for _ in rows]

    with pool_of(fatal, 1) as (pool, ask):
        for _ in range(10):
            ask([[1.0, 0.0]])
            with pytest.raises(ScalingError, match="died before they had answered"):
                ask([[9.0, 0.0]])

        # Ten of the requests that ended it were asked once; three retries are always allowed.
        assert 10 < pool.stats()["restarts"] <= 10 + 3 + 20 // 5


def test_a_replica_that_fails_where_others_answer_is_replaced():
    def fail_in_one(rows):
        import os

        if os.environ.get("BROKEN"):
            message = "broken"
            raise ValueError(message)
        if rows[0][0] == 7:
            os.environ["BROKEN"] = "1"
        return [0 for _ in rows]

    with pool_of(fail_in_one, 3) as (pool, ask):
        ask([[7.0, 0.0]])
        failures = 0
        for _ in range(200):
            try:
                ask([[1.0, 0.0]])
            except PredictionError:
                failures += 1

        assert failures == 5
        assert pool.stats()["restarts"] == 1


def test_when_all_fail_none_is_replaced():
    def fail(rows):
        message = "always"
        raise ValueError(message)

    with pool_of(fail, 3) as (pool, ask):
        for _ in range(30):
            with pytest.raises(PredictionError):
                ask([[1.0, 0.0]])

        assert pool.stats()["restarts"] == 0


def test_a_crash_loop_slows_down_and_is_told(caplog):
    def explode(path):
        import os

        os._exit(7)

    class Explosive:
        def __reduce__(self):
            return of_notebook(explode), ("",)

    # Loading it ends the process.
    route = route_of(lambda rows: [0] * len(rows))
    object.__setattr__(route.predictor, "model", Explosive())
    pool = ReplicaPool("explosive")
    try:
        pool.publish(route)
        with pytest.raises(ScalingError, match=r"has 0 of 2 replicas ready\. .* was lost"):
            pool.resize(2, timeout=20)

        assert not pool.is_ready
        assert "was lost" in pool.stats()["crash_loop"]
        with pytest.raises(ScalingError, match="has no replica"):
            pool.answer(route.question("predict", [[1.0, 2.0]]))
    finally:
        pool.close()
    assert [each.levelno for each in caplog.records].count(logging.ERROR) == 1
    assert any("is replaced in 0.5 s" in each.getMessage() for each in caplog.records)


def test_a_model_that_cannot_be_loaded_there_says_why():
    class Picky:
        def __reduce__(self):
            return of_notebook(lambda: 1 / 0), ()

    route = route_of(lambda rows: [0] * len(rows))
    object.__setattr__(route.predictor, "model", Picky())
    pool = ReplicaPool("picky")
    try:
        pool.publish(route)
        with pytest.raises(ScalingError, match="ZeroDivisionError"):
            pool.resize(1, timeout=20)
    finally:
        pool.close()


def test_a_model_that_cannot_be_saved_is_told_before_any_process_starts():
    lock = threading.Lock()

    def locked(rows):
        with lock:
            return [0] * len(rows)

    route = route_of(locked)
    pool = ReplicaPool("locked")
    try:
        with pytest.raises(ModelFileError, match="cannot be saved"):
            pool.publish(route)
    finally:
        pool.close()


def test_fewer_replicas_finish_what_they_do_first():
    def slow(rows):
        import time

        time.sleep(0.5)
        return [1 for _ in rows]

    with pool_of(slow, 3) as (pool, ask), ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(ask, [[1.0, 2.0]]) for _ in range(3)]
        wait_until(lambda: {each["state"] for each in pool.stats()["each"]} == {"busy"})

        pool.resize(1)

        assert [answer.result(0.1) for answer in answers] == [[1], [1], [1]]
        assert len(pool.process_ids) == 1
        assert pool.stats()["restarts"] == 0


def test_one_pool_answers_for_several_models():
    with pool_of(lambda rows: ["old" for _ in rows], 2) as (pool, ask):
        newer = route_of(lambda rows: ["new" for _ in rows])
        pool.publish(newer)
        new = [pool.answer(newer.question("predict", [[1.0, 2.0]])) for _ in range(2)]

        assert new == [["new"], ["new"]]
        assert [ask([[1.0, 2.0]]) for _ in range(2)] == [["old"], ["old"]]
        assert len(pool.process_ids) == 2


def test_a_model_that_nobody_can_ask_any_more_is_dropped():
    def held(rows):
        import gc

        names = [getattr(each, "mark", None) for each in gc.get_objects() if callable(each)]
        return [names.count("gone") for _ in rows]

    def gone(rows):
        return [0 for _ in rows]

    gone.mark = "gone"
    with pool_of(held, 1) as (pool, ask):
        other = route_of(gone)
        pool.publish(other)
        assert ask([[1.0, 2.0]])[0] >= 1

        del other
        # It is told when the replica is asked whether it is there.
        wait_until(lambda: not pool._roster.living()[0]._unneeded, 8.0)
        assert ask([[1.0, 2.0]]) == [0]


def test_an_adapter_that_a_user_registered_travels_along():
    class Constant:
        def __init__(self, value):
            self.value = value

    class ConstantPredictor:
        model_type, methods, classes = "Constant", ("predict",), None

        def __init__(self, model):
            self.model = model

        def call(self, method, batch):
            return [self.model.value] * len(batch)

    Constant.__module__ = ConstantPredictor.__module__ = "__main__"
    register_predictor(Constant)(ConstantPredictor)
    route = route_from_model(Constant(7), example=[[1.0, 2.0], [3.0, 4.5]])

    with pool_of(route) as (_, ask):
        assert ask([[1.0, 2.0]]) == [7]


def test_when_it_is_closed_no_process_is_left_and_whoever_waits_is_told():
    def hang(rows):
        while rows[0][0] > 5:
            pass
        return [0 for _ in rows]

    with pool_of(hang, 2) as (pool, ask), ThreadPoolExecutor(3) as threads:
        pids = pool.process_ids
        waiting = [threads.submit(ask, [[9.0, 2.0]]) for _ in range(3)]
        wait_until(lambda: [each["state"] for each in pool.stats()["each"]] == ["busy", "busy"])

        pool.close()

        for each in waiting:
            with pytest.raises(StoppedError, match="were stopped"):
                each.result(5)
        wait_until(lambda: not any(map(is_running, pids)))
    assert not [t for t in threading.enumerate() if t.name == "nbdeploy-replicas-tested"]


def test_the_choice_among_those_that_are_free_can_be_given(route):
    with pool_of(route, 3, choose=lambda free: max(free, key=lambda one: one.number)) as (
        pool,
        ask,
    ):
        for _ in range(5):
            ask([[5.1, 3.5, 1.4, 0.2]])

        assert [each["answered"] for each in pool.stats()["each"]] == [0, 0, 5]
