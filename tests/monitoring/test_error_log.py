from __future__ import annotations

import gc
import weakref

import pytest

from nbdeploy.exceptions import SignatureError


def failing_model(rows):
    secret = Rows(rows)
    return secret / 0


class Rows(list):
    def __truediv__(self, other):
        return sum(self) / other


def test_a_failure_keeps_its_traceback_and_its_exception(monitor):
    with pytest.raises(ZeroDivisionError) as caught, monitor.observe("predict_proba"):
        failing_model([1, 2])
    (recorded,) = monitor.errors()
    assert recorded.type == "ZeroDivisionError"
    assert recorded.message == "division by zero"
    assert recorded.endpoint == "predict_proba"
    assert recorded.time == 1_700_000_000.0
    assert "in failing_model" in recorded.traceback
    assert recorded.exception is caught.value
    assert monitor.find_error(recorded.id) is recorded
    assert monitor.find_error("nobody") is None
    assert repr(recorded) == (
        "RecordedError(endpoint='predict_proba', type='ZeroDivisionError', "
        "message='division by zero', status=None)"
    )


def test_a_logged_text_is_kept_as_it_is(monitor):
    monitor.log_prediction([1.0], None, 0.1, error="the model is gone")
    (recorded,) = monitor.errors()
    assert (recorded.type, recorded.message) == (None, "the model is gone")
    assert (recorded.traceback, recorded.exception) == ("", None)


def test_a_fault_of_the_request_keeps_no_frames_in_its_text(monitor):
    with monitor.observe() as observation:
        observation.fail(SignatureError("no column 'a'"), status=422)
    assert monitor.errors()[0].traceback.strip() == (
        "nbdeploy.exceptions.SignatureError: no column 'a'"
    )


def test_only_the_latest_hundred_failures_are_kept(monitor):
    for _ in range(150):
        monitor.log_prediction([1.0], None, 0.1, error="down")
    assert len(monitor.errors()) == 100
    assert monitor.get_statistics()["errors"] == 150


def test_rows_in_the_frames_of_old_failures_are_let_go(monitor):
    seen = []

    def fail():
        rows = Rows([1.0, 2.0])
        seen.append(weakref.ref(rows))
        with monitor.observe():
            return rows / 0

    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            fail()
    gc.collect()
    alive = [reference() is not None for reference in seen]
    assert alive == [False] * 15 + [True] * 5
    assert [error.exception is not None for error in monitor.errors()] == alive
    assert "division by zero" in monitor.errors()[0].traceback


def test_an_endless_message_is_shortened_and_a_broken_one_is_survived(monitor):
    class UnprintableError(Exception):
        def __str__(self):
            raise RuntimeError

    with monitor.observe() as observation:
        observation.fail(ValueError("x" * 1_000_000))
    with monitor.observe() as observation:
        observation.fail(UnprintableError())
    endless, broken = monitor.errors()
    assert len(endless.message) < 2_100
    assert len(endless.traceback) < 20_100
    assert broken.type == "UnprintableError"
