from __future__ import annotations

import gc
import json
import sys
import threading

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.monitoring.bounded_names import OTHER
from nbdeploy.monitoring.latency import RELATIVE_ERROR
from nbdeploy.monitoring.monitor import ModelMonitor

CHAPTER_KEYS = {"avg_latency", "max_latency", "error_rate", "total_predictions"}
LATENCY_KEYS = {f"{name}_latency" for name in ("avg", "max", "p50", "p90", "p95", "p99")}


def log(monitor, *latencies, **options):
    for latency in latencies:
        monitor.log_prediction([1.0, 2.0], 0, latency, **options)


# The chapter's calls


def test_the_calls_of_the_chapter_work_word_for_word():
    monitor = ModelMonitor(window_size=1000)
    monitor.log_prediction([5.1, 3.5], [0], 0.010)
    monitor.log_prediction(input_data=[5.1], prediction=None, latency=0.030, error="too short")
    statistics = monitor.get_statistics()
    assert statistics.keys() >= CHAPTER_KEYS | LATENCY_KEYS
    assert statistics["avg_latency"] == pytest.approx(0.020)
    assert statistics["max_latency"] == 0.030
    assert statistics["error_rate"] == 0.5
    assert statistics["total_predictions"] == 2


def test_an_empty_monitor_divides_nothing_by_zero(monitor):
    statistics = monitor.get_statistics()
    assert {statistics[key] for key in LATENCY_KEYS} == {None}
    assert statistics["error_rate"] == 0.0
    assert statistics["requests_per_second"] == 0.0
    for key in ("total_predictions", "requests", "errors", "cancelled", "rows", "in_flight"):
        assert statistics[key] == 0
    assert statistics["by_endpoint"] == statistics["by_status"] == statistics["by_version"] == {}


def test_one_prediction_is_all_its_own_quantiles(monitor):
    log(monitor, 0.25)
    statistics = monitor.get_statistics()
    assert {statistics[key] for key in LATENCY_KEYS} == {0.25}
    assert statistics["total_predictions"] == 1


def test_a_thousand_predictions_have_exactly_numpys_statistics(monitor):
    latencies = np.random.default_rng(1).lognormal(-5, 1, 1000)
    log(monitor, *latencies.tolist())
    statistics = monitor.get_statistics()
    assert statistics["avg_latency"] == pytest.approx(np.mean(latencies), rel=1e-12)
    assert statistics["max_latency"] == np.max(latencies)
    for percent in (50, 90, 95, 99):
        assert statistics[f"p{percent}_latency"] == np.percentile(latencies, percent)


def test_the_error_rate_and_the_latencies_are_of_the_same_window(monitor):
    log(monitor, *[0.5] * 1000, error="down")
    log(monitor, *[0.1] * 900)
    statistics = monitor.get_statistics()
    assert statistics["total_predictions"] == 1000
    assert statistics["error_rate"] == 0.1
    assert statistics["avg_latency"] == pytest.approx(0.14)
    assert statistics["requests"] == 1900
    assert statistics["errors"] == 1000


def test_an_empty_error_text_is_no_error_as_in_the_chapter(monitor):
    log(monitor, 0.1, error="")
    assert monitor.get_statistics()["errors"] == 0


@pytest.mark.parametrize("latency", [-0.001, float("nan"), float("inf"), 1.8e9])
def test_a_latency_that_cannot_be_is_refused_and_not_counted(monitor, latency):
    with pytest.raises(ValueError, match="The latency is"):
        monitor.log_prediction([1.0], 0, latency)
    assert monitor.get_statistics()["requests"] == 0


@pytest.mark.parametrize("size", [0, -1])
def test_a_window_needs_a_size(size):
    with pytest.raises(ValueError, match=f"window_size is {size}"):
        ModelMonitor(window_size=size)


def test_statistics_are_plain_json(monitor):
    log(monitor, np.float32(0.25), np.float64(0.5), 1, endpoint="predict", version="1.0")
    statistics = monitor.get_statistics()
    assert json.loads(json.dumps(statistics, allow_nan=False)) == statistics
    assert orjson.loads(orjson.dumps(statistics)) == statistics


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([1.0, 2.0], 1),
        ([[1.0, 2.0], [3.0, 4.0]], 2),
        ([{"a": 1}, {"a": 2}, {"a": 3}], 3),
        ({"a": 1}, 1),
        (np.zeros(4), 1),
        (np.zeros((5, 4)), 5),
        (pd.DataFrame({"a": range(6)}), 6),
        ([], 1),
        (None, 1),
    ],
)
def test_rows_are_counted(monitor, rows, count):
    monitor.log_prediction(rows, None, 0.1)
    assert monitor.get_statistics()["rows"] == count


def test_requests_are_told_apart_by_endpoint_version_and_status(monitor):
    log(monitor, 0.1, 0.3, version="1.0", status=200)
    log(monitor, 0.2, version="1.1", status=200)
    log(monitor, 0.4, error="no such column", status=422)
    log(monitor, 0.5, endpoint="predict_proba")
    statistics = monitor.get_statistics()
    by_endpoint, by_version = statistics["by_endpoint"], statistics["by_version"]
    assert list(by_endpoint) == ["predict", "predict_proba"]
    assert (by_endpoint["predict"]["requests"], by_endpoint["predict"]["errors"]) == (4, 1)
    assert by_endpoint["predict"]["error_rate"] == 0.25
    assert by_endpoint["predict"]["p50_latency"] == pytest.approx(0.25, rel=RELATIVE_ERROR)
    assert by_endpoint["predict_proba"]["max_latency"] == 0.5
    assert {name: group["requests"] for name, group in by_version.items()} == {"1.0": 2, "1.1": 1}
    assert statistics["by_status"] == {"200": 3, "422": 1, "ok": 1}


def test_requests_per_second_and_uptime_follow_the_clock(monitor, clock):
    for _ in range(30):
        clock.now += 0.5
        log(monitor, 0.01)
    statistics = monitor.get_statistics()
    assert statistics["uptime"] == 15.0
    assert statistics["requests_per_second"] == 2.0
    clock.now += 120
    assert monitor.get_statistics()["requests_per_second"] == 0.0


# Many threads, many requests, bounded memory


def test_threads_lose_no_request():
    monitor = ModelMonitor(window_size=50)

    def work(number):
        for index in range(2_000):
            if index % 4 == 0:
                log(monitor, 0.001, error="down")
            else:
                with monitor.observe("predict", version=str(number)) as observation:
                    observation.record(rows=2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = monitor.get_statistics()
    assert (statistics["requests"], statistics["errors"]) == (16_000, 4_000)
    assert statistics["rows"] == 24_000
    assert (statistics["in_flight"], statistics["total_predictions"]) == (0, 50)
    assert {group["requests"] for group in statistics["by_version"].values()} == {1_500}


def test_names_beyond_the_limit_are_counted_together(monitor):
    for number in range(1_000):
        log(monitor, 0.1, endpoint=f"m{number}" + "x" * 500, version=f"v{number}", status=number)
    statistics = monitor.get_statistics()
    for key in ("by_endpoint", "by_version", "by_status"):
        assert len(statistics[key]) == 33
        assert max(len(name) for name in statistics[key]) <= 100
    assert statistics["by_endpoint"][OTHER]["requests"] == 968
    assert statistics["by_status"][OTHER] == 968
    assert statistics["requests"] == 1_000


def test_memory_stays_flat_over_300_000_predictions():
    monitor = ModelMonitor()

    def blocks_after(requests):
        for number in range(requests):
            monitor.log_prediction([number] * 8, [number], number % 997 / 1000, version="1.0")
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(2_000)
    assert blocks_after(300_000) - before < 1_000


@pytest.mark.acceptance
def test_memory_stays_flat_over_ten_million_predictions():
    psutil = pytest.importorskip("psutil")
    monitor = ModelMonitor()
    log(monitor, *[0.001] * 100_000)
    before = psutil.Process().memory_info().rss
    for number in range(10_000_000):
        monitor.log_prediction(None, None, (number % 99_991) / 99_991)
    assert psutil.Process().memory_info().rss - before < 2_000_000
    assert monitor.get_statistics()["requests"] == 10_100_000


# Merging

attempts = st.lists(
    st.tuples(
        st.floats(min_value=1e-6, max_value=4000),
        st.sampled_from([None, "down"]),
        st.sampled_from(["predict", "predict_proba"]),
        st.sampled_from([None, "1.0", "1.1"]),
        st.sampled_from([None, 200, 422]),
    ),
    max_size=30,
)


def monitor_of(*lists, window_size=1000):
    monitor = ModelMonitor(window_size, clock=lambda: 0.0)
    for attempts in lists:
        for latency, error, endpoint, version, status in attempts:
            monitor.log_prediction(
                None, None, latency, error, endpoint=endpoint, version=version, status=status
            )
    return monitor


def without_rates(statistics):
    return {key: value for key, value in statistics.items() if key != "requests_per_second"}


@given(attempts, attempts, attempts)
def test_merged_monitors_equal_one_that_saw_everything(first, second, third):
    one, two, three = monitor_of(first), monitor_of(second), monitor_of(third)
    together = monitor_of(first, second, third)
    merged = ModelMonitor.merged([one, two, three]).get_statistics()
    assert merged == ModelMonitor.merged([ModelMonitor.merged([three, two]), one]).get_statistics()
    from_buckets = ModelMonitor.from_dict(together.to_dict()).get_statistics()
    assert without_rates(merged) == without_rates(from_buckets)
    assert merged["requests_per_second"] == pytest.approx(from_buckets["requests_per_second"])
    exact = together.get_statistics()
    for key, value in exact.items():
        if key in LATENCY_KEYS:
            assert merged[key] == (None if value is None else pytest.approx(value, rel=0.05))
        elif key != "requests_per_second":
            assert merged[key] == value


def test_a_merged_monitor_covers_the_union_of_the_windows():
    slow, fast = ModelMonitor(window_size=10), ModelMonitor(window_size=10)
    log(slow, *[9.0] * 90, error="down")
    log(slow, *[1.0] * 10)
    log(fast, *[0.5] * 10)
    statistics = ModelMonitor.merged([slow, fast]).get_statistics()
    assert (statistics["total_predictions"], statistics["error_rate"]) == (20, 0.0)
    assert (statistics["avg_latency"], statistics["max_latency"]) == (0.75, 1.0)
    assert (statistics["requests"], statistics["errors"]) == (110, 90)


def test_a_monitor_survives_json_and_stays_as_it_was(monitor, clock):
    log(monitor, 0.1, 0.2, version="1.0")
    log(monitor, 0.3, error="down")
    copy = ModelMonitor.from_dict(orjson.loads(orjson.dumps(monitor.to_dict())))
    before = copy.get_statistics()
    clock.now += 30
    log(monitor, 0.4)
    assert copy.get_statistics() == before
    assert ModelMonitor.from_dict(copy.to_dict()).get_statistics() == before
    assert before["requests"] == 3


def test_what_errors_said_does_not_travel(monitor):
    log(monitor, 0.1, error="secret of row 17")
    assert "secret" not in json.dumps(monitor.to_dict())
    assert monitor.get_statistics()["errors"] == 1


def test_a_merged_monitor_refuses_changes(monitor):
    merged = ModelMonitor.merged([monitor])
    for change in (lambda: log(merged, 0.1), merged.observe, merged.reset):
        with pytest.raises(TypeError, match="merged copy"):
            change()
    assert ModelMonitor.merged([]).get_statistics()["requests"] == 0


# Looking at it


def test_the_repr_holds_counts_and_nothing_that_changes_by_itself(monitor, clock):
    log(monitor, 0.1, 0.2)
    log(monitor, 0.3, error="down")
    text = "<ModelMonitor requests=3 errors=1 cancelled=0>"
    assert repr(monitor) == text
    clock.now += 1000
    assert repr(monitor) == text


def test_a_reset_forgets_everything_but_the_requests_in_flight(monitor, clock):
    with monitor.observe():
        log(monitor, 0.1, error="down")
        clock.now += 50
        monitor.reset()
        statistics = monitor.get_statistics()
        assert (statistics["requests"], statistics["uptime"]) == (0, 0.0)
        assert statistics["in_flight"] == 1
        assert statistics["by_endpoint"] == {}
        assert monitor.errors() == []
    assert monitor.get_statistics()["in_flight"] == 0
    assert monitor.get_statistics()["requests"] == 1


# The window by time


@pytest.mark.parametrize("own", [True, False])
def test_a_window_of_seconds_covers_what_ended_in_them_however_many(clock, own):
    monitor = ModelMonitor(10, clock=clock, window_seconds=60 if own else None)
    options = {} if own else {"window_seconds": 60}
    log(monitor, *[0.5] * 500, error="down")
    clock.now += 61
    log(monitor, *[0.1] * 3_000)
    statistics = monitor.get_statistics(**options)
    assert (statistics["total_predictions"], statistics["error_rate"]) == (3_000, 0.0)
    assert statistics["p95_latency"] == pytest.approx(0.1, rel=RELATIVE_ERROR)
    assert statistics["requests"] == 3_500
    merged = ModelMonitor.merged([monitor]).get_statistics(window_seconds=60)
    assert merged["total_predictions"] == 3_000
    clock.now += 100
    assert monitor.get_statistics(**options)["total_predictions"] == 0


@pytest.mark.parametrize("seconds", [0, 1, 4_000, float("nan")])
def test_a_window_of_time_that_cannot_be_is_refused(monitor, seconds):
    with pytest.raises(ValueError, match="window_seconds is"):
        ModelMonitor(window_seconds=seconds)
    with pytest.raises(ValueError, match="Expected 2 to 300 seconds"):
        monitor.get_statistics(window_seconds=seconds)


# Versions, predictions, and since the start


def test_rates_and_quantiles_since_the_start_are_told_of_every_version(monitor, clock):
    for _ in range(60):
        clock.now += 1
        log(monitor, 0.1, 0.1, version="1.0")
        log(monitor, 0.4, version="1.1")
    statistics = monitor.get_statistics()
    rates = {name: each["requests_per_second"] for name, each in statistics["by_version"].items()}
    assert rates == {"1.0": pytest.approx(2, rel=0.05), "1.1": pytest.approx(1, rel=0.05)}
    assert statistics["since_start"]["p99_latency"] == pytest.approx(0.4, rel=RELATIVE_ERROR)
    assert statistics["since_start"]["avg_latency"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("prediction", "shares"),
    [
        ("yes", {"yes": 1.0}),
        (["yes", "no"], {"yes": 0.5, "no": 0.5}),
        (np.array([1, 1, 0, 1]), {"1": 0.75, "0": 0.25}),
        ([np.int64(3)], {"3": 1.0}),
        (np.float64(2.0), {"2.0": 1.0}),
    ],
)
def test_predictions_are_counted_in_whatever_form_they_come(monitor, prediction, shares):
    monitor.log_prediction([1.0], prediction, 0.1, version="1.0")
    assert monitor.get_statistics()["predictions"]["1.0"]["shares"] == shares


def test_failed_attempts_and_none_predict_nothing(monitor):
    monitor.log_prediction([1.0], 1, 0.1, error="down")
    monitor.log_prediction([1.0], None, 0.1)
    assert monitor.get_statistics()["predictions"] == {}


def test_the_table_has_a_row_for_each_version_endpoint_and_status(monitor):
    log(monitor, 0.1, 0.3, version="1.0", status=200)
    log(monitor, 0.2, version="1.1", status=200, endpoint="predict_proba")
    log(monitor, 0.4, error="no such column", version="1.0", status=422)
    table = monitor.to_frame().set_index(["version", "endpoint", "status"])
    assert table["requests"].to_dict() == {
        ("1.0", "predict", "200"): 2,
        ("1.0", "predict", "422"): 1,
        ("1.1", "predict_proba", "200"): 1,
    }
    assert table.loc[("1.0", "predict", "422"), "error_rate"] == 1.0
    assert list(ModelMonitor().to_frame().columns) == list(monitor.to_frame().columns)
    assert len(ModelMonitor().to_frame()) == 0


@pytest.mark.parametrize("numbers", [True, False])
def test_the_plot_has_throughput_latencies_and_predictions(monitor, clock, numbers):
    for second in range(60):
        clock.now += 1
        monitor.log_prediction([1.0], second * 1.5 if numbers else "yn"[second % 2], 0.1)
    figure = monitor.plot().figure
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["requests/s", "latency in ms", "predictions"]
    assert max(figure.axes[1].lines[0].get_ydata()[:-1]) == pytest.approx(100, rel=0.03)
    drawn = figure.axes[2].get_legend_handles_labels()[1]
    assert drawn == (["mean"] if numbers else ["y", "n"])
    assert ModelMonitor().plot()._repr_png_()[0].startswith(b"\x89PNG")


@pytest.mark.acceptance
def test_an_hour_of_ten_million_predictions_leaves_memory_flat():
    psutil = pytest.importorskip("psutil")

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    monitor = ModelMonitor(
        clock=clock, example=[{"age": n, "plan": "ab"[n % 2]} for n in range(90)]
    )
    rows = [{"age": n, "plan": "ab"[n % 2]} for n in range(90)]

    def pass_minutes(minutes):
        for second in range(60 * minutes):
            clock.now += 1
            for number in range(second, second + 2_778):
                monitor.log_prediction(
                    rows[number % 90],
                    number % 997 / 7,
                    number % 9_973 / 9_973,
                    version=str(number % 2),
                    status=200 if number % 100 else 422,
                    error=None if number % 100 else "no such column",
                )
            if second % 10 == 0:
                monitor.get_statistics()

    pass_minutes(6)
    before = psutil.Process().memory_info().rss
    pass_minutes(54)
    statistics = monitor.get_statistics()
    assert statistics["requests"] == 2_778 * 3_600 >= 10_000_000
    assert statistics["uptime"] == 3_600
    assert psutil.Process().memory_info().rss - before < 4_000_000
