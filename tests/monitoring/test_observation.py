from __future__ import annotations

import asyncio
import time

import pytest

from nbdeploy.exceptions import PredictionError, SignatureError
from nbdeploy.monitoring.monitor import ModelMonitor


def test_an_observation_measures_counts_and_names_the_version(monitor, clock):
    with monitor.observe("predict") as observation:
        assert monitor.get_statistics()["in_flight"] == 1
        clock.now += 0.25
        observation.record(rows=7, version="1.1", status=200)
    statistics = monitor.get_statistics()
    assert observation.latency == statistics["max_latency"] == 0.25
    assert (statistics["in_flight"], statistics["requests"], statistics["rows"]) == (0, 1, 7)
    assert statistics["by_version"]["1.1"]["requests"] == 1
    assert statistics["by_status"] == {"200": 1}


def test_an_exception_that_passes_through_counts_as_an_error_and_goes_on(monitor):
    observation = monitor.observe("predict")
    observation.record(rows=7)
    with pytest.raises(KeyError), observation:
        raise KeyError
    statistics = monitor.get_statistics()
    assert (statistics["requests"], statistics["errors"], statistics["rows"]) == (1, 1, 0)
    assert statistics["by_status"] == {"error": 1}
    assert statistics["in_flight"] == 0
    assert observation.error == monitor.errors()[0]


def test_a_cancelled_request_is_counted_apart_and_is_no_error(monitor):
    async def request():
        with monitor.observe("predict"):
            await asyncio.sleep(3600)

    async def give_up():
        task = asyncio.create_task(request())
        await asyncio.sleep(0)
        assert monitor.get_statistics()["in_flight"] == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    statistics = monitor.get_statistics()
    assert (statistics["requests"], statistics["cancelled"], statistics["errors"]) == (1, 1, 0)
    assert statistics["by_status"] == {"cancelled": 1}
    assert statistics["in_flight"] == 0
    assert monitor.errors() == []


def test_a_failure_that_was_answered_counts_once(monitor):
    error = SignatureError("no column 'islnd'", column="islnd")
    with monitor.observe("predict") as observation:
        recorded = observation.fail(error, status=422)
        assert observation.fail(RuntimeError("later")) is recorded
    assert monitor.get_statistics()["errors"] == 1
    assert monitor.get_statistics()["by_status"] == {"422": 1}
    assert [kept.type for kept in monitor.errors()] == ["SignatureError"]
    assert monitor.error_id(error) == recorded.id
    assert monitor.error_id(SignatureError("another")) is None


def test_a_failure_that_is_raised_after_it_was_told_counts_once(monitor):
    error = ValueError("no")
    observation = monitor.observe()
    observation.fail(error, status=500)
    with pytest.raises(ValueError, match="no"), observation:
        raise error
    assert monitor.get_statistics()["by_status"] == {"500": 1}
    assert len(monitor.errors()) == 1


def test_the_status_of_a_passing_exception_comes_from_the_given_table():
    table = {SignatureError: 422, PredictionError: 500}
    monitor = ModelMonitor(status_of=lambda error: table.get(type(error)))
    for error in (SignatureError("x"), PredictionError("x"), KeyError("x")):
        with pytest.raises(type(error)), monitor.observe():
            raise error
    assert monitor.get_statistics()["by_status"] == {"422": 1, "500": 1, "error": 1}


def test_a_request_leaves_flight_even_when_the_table_of_statuses_fails():
    def broken(_):
        raise LookupError

    monitor = ModelMonitor(status_of=broken)
    with pytest.raises(LookupError), monitor.observe():
        raise ValueError
    assert monitor.get_statistics()["in_flight"] == 0
    assert monitor.get_statistics()["errors"] == 1


def test_a_clock_that_goes_back_makes_no_negative_latency(monitor, clock):
    with monitor.observe():
        clock.now -= 5
    assert monitor.get_statistics()["max_latency"] == 0.0


@pytest.mark.acceptance
def test_observing_a_request_costs_a_few_microseconds():
    monitor = ModelMonitor()

    def microseconds(requests=20_000):
        began = time.process_time()
        for _ in range(requests):
            with monitor.observe("predict") as observation:
                observation.record(rows=1, version="1.0")
        return (time.process_time() - began) / requests * 1e6

    assert min(microseconds() for _ in range(10)) < 5
