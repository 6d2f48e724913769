"""The cheap ways to count what was answered count as the dear ones do."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.monitoring.ledger import TOGETHER
from nbdeploy.monitoring.monitor import ModelMonitor

TURNS = st.lists(
    st.tuples(
        st.sampled_from(["predict", "transform"]),
        st.sampled_from(["1", "2"]),
        st.lists(st.floats(0, 3), min_size=1, max_size=5),
        st.floats(0, 5),
    ),
    max_size=12,
)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@given(turns=TURNS, window=st.integers(1, 20))
def test_requests_counted_in_any_way_are_counted_alike(turns, window):
    clock = Clock()
    together, alone, logged = (ModelMonitor(window, clock=clock) for _ in range(3))
    for endpoint, version, latencies, pause in turns:
        clock.now += pause
        started = [clock.now - latency for latency in latencies]
        predicted = [int(latency) for latency in latencies]
        together.answered_together(endpoint, started=started, version=version, predicted=predicted)
        for began, value in zip(started, predicted, strict=True):
            alone.answered(endpoint, started=began, rows=1, version=version, predicted=value)
            logged.log_prediction(
                [0.0], value, clock.now - began, endpoint=endpoint, version=version, status=200
            )

    assert together.get_statistics() == alone.get_statistics() == logged.get_statistics()
    assert together.to_dict() == alone.to_dict() == logged.to_dict()


def test_the_window_is_of_the_latest_whatever_their_version():
    clock = Clock()
    monitor = ModelMonitor(2, clock=clock)
    for version, latency in (("1", 0.1), ("2", 0.2), ("1", 0.3), ("2", 0.4)):
        clock.now += 1
        monitor.answered("predict", started=clock.now - latency, rows=1, version=version)

    assert monitor.get_statistics()["max_latency"] == pytest.approx(0.4)
    assert monitor.get_statistics()["avg_latency"] == pytest.approx(0.35)


def test_more_versions_than_have_a_list_of_their_own_are_counted_too():
    monitor = ModelMonitor()
    for number in range(100):
        monitor.answered_together("predict", started=[0.0, 0.0], version=str(number))
        monitor.answered("predict", started=0.0, rows=1, version=str(number))

    assert monitor.get_statistics()["requests"] == 300


@pytest.mark.parametrize("now", [5, np.float64(5)])
def test_a_clock_may_give_any_number(now):
    monitor = ModelMonitor(clock=lambda: now)
    monitor.answered("predict", started=3, rows=1, version="1", predicted=1)
    monitor.answered_together("predict", started=[3, 4], version="1", predicted=np.array([1, 2]))

    assert monitor.get_statistics()["requests"] == 3
    assert monitor.get_statistics()["max_latency"] == 2
    assert monitor.get_statistics()["predictions"]["1"]["rows"] == 3


def test_no_requests_at_all_count_nothing():
    monitor = ModelMonitor()
    monitor.answered_together("predict", started=[], version="1")
    monitor.answered("predict", started=0.0, rows=1, version="2")

    assert monitor.get_statistics()["requests"] == 1


def test_other_than_one_prediction_a_request_is_refused():
    with pytest.raises(ValueError, match="1 predictions for 2 requests"):
        ModelMonitor().answered_together("predict", started=[0, 0], version="1", predicted=[1])


def test_many_threads_lose_nothing():
    monitor = ModelMonitor()
    rounds, lot = TOGETHER // 16, 64

    def ask(version):
        for _ in range(rounds):
            monitor.answered_together(
                "predict", started=[0.0] * lot, version=version, predicted=[1] * lot
            )
            monitor.answered("predict", started=0.0, rows=1, version=version, predicted=0)

    def look():
        while any(thread.is_alive() for thread in asking):
            monitor.get_statistics()

    asking = [threading.Thread(target=ask, args=(version,)) for version in "1123"]
    for thread in asking:
        thread.start()
    look()
    for thread in asking:
        thread.join()

    statistics = monitor.get_statistics()
    assert statistics["requests"] == statistics["rows"] == 4 * rounds * (lot + 1)
    assert statistics["by_version"]["1"]["requests"] == 2 * rounds * (lot + 1)
    assert statistics["predictions"]["2"]["rows"] == rounds * (lot + 1)
