from __future__ import annotations

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.monitoring.details import DetailsLog
from nbdeploy.monitoring.latency import (
    BOUNDS,
    GROWTH,
    QUANTILES,
    RELATIVE_ERROR,
    LatencyHistogram,
    describe,
    quantile,
)
from nbdeploy.monitoring.predictions import PredictionCounts
from nbdeploy.monitoring.snapshot import Labels, Snapshot
from nbdeploy.monitoring.statistics import RecentRequests, Tally
from nbdeploy.monitoring.timeline import History, Stretch

LEVELS = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
latencies = st.floats(min_value=BOUNDS[0] * 1.001, max_value=BOUNDS[-1])
any_latencies = st.one_of(latencies, st.just(0.0), st.floats(min_value=0, max_value=1e9))


def histogram_of(values):
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    return histogram


def assert_close_to_numpy(values, error):
    histogram = histogram_of(values)
    for level in LEVELS:
        exact = float(np.quantile(values, level))
        assert histogram.quantile(level) == pytest.approx(exact, rel=error)


@given(st.lists(any_latencies, min_size=1, max_size=60), st.floats(0, 1))
def test_the_exact_quantile_is_numpys_to_the_last_bit(values, level):
    assert quantile(sorted(values), level) == float(np.quantile(values, level))


def test_a_description_of_nothing_is_none_and_of_one_value_is_that_value():
    assert set(describe([]).values()) == {None}
    assert set(describe([0.25]).values()) == {0.25}
    assert describe([]).keys() == describe([0.25]).keys() == LatencyHistogram().describe().keys()


def test_a_description_is_what_numpy_says():
    values = np.random.default_rng(0).gamma(2, 0.01, 1000)
    summary = describe(values.tolist())
    assert summary["avg_latency"] == pytest.approx(np.mean(values), rel=1e-12)
    assert summary["max_latency"] == np.max(values)
    for name, level in QUANTILES.items():
        assert summary[name] == np.quantile(values, level)


def test_neighbouring_bounds_differ_by_the_growth_factor():
    assert np.diff(np.log2(BOUNDS)) == pytest.approx(math.log2(GROWTH))
    assert BOUNDS[0] < 1e-6
    assert BOUNDS[-1] == 4096.0
    assert RELATIVE_ERROR < 0.022


@given(st.lists(latencies, min_size=1, max_size=200))
def test_quantiles_of_any_latencies_are_within_the_promised_error(values):
    assert_close_to_numpy(values, RELATIVE_ERROR * (1 + 1e-9))


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.lognormal(-5, 1.5, 5000),
        lambda rng: rng.exponential(0.02, 5000) + 1e-5,
        lambda rng: rng.uniform(0.001, 1.0, 5000),
        lambda rng: (rng.pareto(1.5, 5000) + 1) * 0.001,
        lambda rng: np.concatenate([rng.normal(0.002, 1e-4, 900), rng.normal(3, 0.1, 100)]),
        lambda _: np.full(5000, 0.1234),
    ],
    ids=["lognormal", "exponential", "uniform", "pareto", "two humps", "constant"],
)
def test_quantiles_of_usual_distributions_are_within_the_promised_error(draw):
    assert_close_to_numpy(draw(np.random.default_rng(7)), RELATIVE_ERROR * (1 + 1e-9))


@pytest.mark.parametrize("latency", [0.0, 1e-9, BOUNDS[0], BOUNDS[-1], 5000.0, 1e12])
def test_a_latency_outside_the_bounds_is_still_counted(latency):
    histogram = histogram_of([latency])
    assert histogram.quantile(0.5) == histogram.maximum == histogram.minimum == latency
    assert histogram.count == 1


def test_every_bound_belongs_to_the_bucket_below_it():
    for index, bound in enumerate(BOUNDS):
        assert histogram_of([bound]).buckets == {index: 1}


def test_an_empty_histogram_has_no_mean_and_no_quantile():
    histogram = LatencyHistogram()
    assert histogram.mean is None
    assert histogram.quantile(0.5) is None
    assert set(histogram.describe().values()) == {None}


@given(st.lists(any_latencies), st.lists(any_latencies), st.lists(any_latencies))
def test_merging_is_the_same_as_counting_everything_in_one(first, second, third):
    left, right = histogram_of(first), histogram_of(second)
    left.merge(right)
    left.merge(histogram_of(third))
    right.merge(histogram_of(third))
    right.merge(histogram_of(first))
    assert left == right == histogram_of([*first, *second, *third])


@given(st.lists(latencies))
def test_a_histogram_survives_json(values):
    histogram = histogram_of(values)
    assert LatencyHistogram.from_dict(json.loads(json.dumps(histogram.to_dict()))) == histogram


def test_absurd_latencies_still_make_numbers_that_64_bits_hold():
    values = histogram_of([1e9] * 100).to_dict()
    assert values["sum"] == 1e11
    assert LatencyHistogram.from_dict(orjson.loads(orjson.dumps(values))).count == 100


@pytest.mark.parametrize("bucket", [[-1, 1], [len(BOUNDS) + 1, 1], [5, 0], [5, -3]])
def test_buckets_that_cannot_be_are_refused(bucket):
    with pytest.raises(ValueError, match="cannot be"):
        LatencyHistogram.from_dict({"buckets": [bucket], "sum": 1.0, "min": 1.0, "max": 1.0})


def test_a_tally_tells_the_outcomes_apart():
    tally = Tally()
    assert tally.error_rate == 0.0
    tally.add(0.1, "ok", 3)
    tally.add(0.1, "error", 0)
    tally.add(0.1, "cancelled", 0)
    tally.add(0.1, "ok", 1)
    assert (tally.requests, tally.errors, tally.cancelled, tally.rows) == (4, 1, 1, 4)
    assert tally.error_rate == 0.25


def rate(recent, now):
    return pytest.approx(recent.rate(now))


def test_the_rate_of_a_young_monitor_is_over_its_age_and_at_least_a_second():
    recent = RecentRequests(100.0)
    assert recent.rate(100.0) == 0.0
    recent.add(100.001)
    assert recent.rate(100.001) == 1.0
    for _ in range(9):
        recent.add(101.0)
    assert recent.rate(104.0) == 10 / 4


def test_the_rate_covers_the_last_minute_and_no_more():
    recent = RecentRequests(0.25)
    for tenth in range(6000):  # ten minutes, ten a second
        recent.add(0.25 + tenth / 10)
    assert rate(recent, 600.25) == pytest.approx(10, rel=0.01)
    assert recent.rate(630.0) == pytest.approx(5, rel=0.05)
    assert recent.rate(661.0) == 0.0


def test_threads_that_finish_out_of_order_are_all_counted():
    recent = RecentRequests(0.0)
    for moment in (9.999, 10.001, 9.998, 10.002) * 50:
        recent.add(moment)
    assert recent.rate(10.002) * 10.002 == pytest.approx(200)


def counts_of(values):
    counts = PredictionCounts()
    counts.add_all(values)
    return counts


def details_of(reasons):
    log = DetailsLog()
    for reason in reasons:
        log.reject(reason)
        log.add_batch(len(reason))
    return log.seen()


labels = st.builds(
    Labels,
    st.sampled_from(["predict", "predict_proba"]),
    st.sampled_from([None, "1.0", "1.1"]),
    st.sampled_from(["ok", "error", "422"]),
)
tallies = st.builds(
    Tally,
    errors=st.integers(0, 9),
    cancelled=st.integers(0, 9),
    rows=st.integers(0, 9),
    latency=st.lists(any_latencies, max_size=5).map(histogram_of),
)
predictions = st.lists(st.sampled_from(["a", "b", 3, True]), min_size=1).map(counts_of)
histories = st.builds(
    History,
    st.dictionaries(st.integers(0, 149), st.builds(Stretch, tallies, predictions), max_size=3),
    st.floats(0, 2),
)
snapshots = st.builds(
    Snapshot,
    window=tallies,
    predictions=st.dictionaries(st.sampled_from(["", "1.0"]), predictions, max_size=2),
    history=histories,
    details=st.lists(st.sampled_from(["malformed", "unauthorized"])).map(details_of),
    series=st.dictionaries(labels, tallies, max_size=4),
    in_flight=st.integers(0, 9),
    uptime=st.floats(0, 1e6),
    rates=st.lists(st.floats(0, 1e5), min_size=1, max_size=1).map(tuple),
    series_rates=st.dictionaries(labels, st.tuples(st.floats(0, 1e5)), max_size=3),
)


@given(snapshots, snapshots, snapshots)
def test_snapshots_merge_in_any_order_and_grouping(one, two, three):
    grouped_left = Snapshot.merged([Snapshot.merged([one, two]), three])
    grouped_right = Snapshot.merged([one, Snapshot.merged([two, three])])
    backwards = Snapshot.merged([three, two, one])
    assert grouped_left == grouped_right == backwards
    assert grouped_left.statistics() == backwards.statistics()
    assert Snapshot.merged([one, Snapshot()]) == one


@given(snapshots)
def test_statistics_are_plain_json_without_nan(snapshot):
    statistics = snapshot.statistics()
    assert json.loads(json.dumps(statistics, allow_nan=False)) == statistics
    groups = statistics["by_endpoint"].values()
    assert statistics["requests"] == sum(group["requests"] for group in groups)
    assert statistics["requests"] == sum(statistics["by_status"].values())


def test_a_snapshot_survives_json():
    tally = Tally()
    tally.add(0.1, "error", 3)
    label = Labels("predict", "1.0", "422")
    snapshot = Snapshot(
        window=tally,
        series={label: tally},
        in_flight=2,
        uptime=7.5,
        rates=(0.5, 1.5),
        series_rates={label: (0.5,)},
        details=details_of(["malformed"]),
        predictions={"1.0": counts_of(["a", 3, True])},
        history=History({0: Stretch(tally, counts_of([1.5]))}, 0.25),
    )
    assert Snapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))) == snapshot


def test_values_of_another_format_are_refused_with_both_numbers():
    values = {**Snapshot().to_dict(), "format": 7}
    with pytest.raises(ValueError, match=r"format 7, this nbdeploy reads 2"):
        Snapshot.from_dict(values)


@pytest.mark.parametrize(
    "change",
    [
        {"window": None},
        {"series": [{}]},
        {"rates": ["fast"]},
        {"in_flight": None},
        {"window": {"errors": 0, "cancelled": 0, "rows": 0, "latency": {"buckets": 3}}},
    ],
)
def test_values_of_something_else_are_refused(change):
    with pytest.raises(ValueError, match="no values of a monitor"):
        Snapshot.from_dict({**Snapshot().to_dict(), **change})
    with pytest.raises(ValueError, match="no values of a monitor"):
        Snapshot.from_dict({})
