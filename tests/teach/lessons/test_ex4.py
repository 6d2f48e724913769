from __future__ import annotations

import json
import re
from collections import Counter
from html import escape

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import SignatureError, deploy
from nbdeploy.monitoring.grafana import export

X, y = load_iris(return_X_y=True, as_frame=True)


def tiles(requests):
    seconds = [each for each, _ in requests]
    failures = sum(failed for _, failed in requests)
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) if seconds else (None, None)
    share = failures / len(requests) if requests else 0.0
    return {"requests": len(requests), "error_rate": share, "p50": p50, "p95": p95}


def without_an_empty_list(requests):
    p50, p95 = np.quantile([each for each, _ in requests], [0.5, 0.95])
    share = sum(failed for _, failed in requests) / len(requests)
    return {"requests": len(requests), "error_rate": share, "p50": p50, "p95": p95}


def of_good_requests_only(requests):
    good = tiles([each for each in requests if not each[1]])
    return {**good, "error_rate": tiles(requests)["error_rate"]}


def in_percent(requests):
    right = tiles(requests)
    return {**right, "error_rate": 100 * right["error_rate"]}


def test_tiles_pass(verdict):
    assert "passed" in verdict("ex4.1", tiles)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (without_an_empty_list, "the case of an empty list"),
        (of_good_requests_only, "failed requests: they count in all four"),
        (in_percent, "'error_rate': 0.1"),
        (lambda requests: ..., "Expected:"),
        (5, "a function"),
    ],
)
def test_wrong_tiles_are_told(wrong, words, verdict):
    told = verdict("ex4.1", wrong)

    assert "is not done yet" in told
    assert words in told


def buckets(latencies, bounds):
    return [sum(each <= bound for each in latencies) for bound in bounds] + [len(latencies)]


def within(counts, bounds, share):
    pairs = zip(bounds, counts, strict=False)
    enough = (bound for bound, count in pairs if count >= share * counts[-1] > 0)
    return next(enough, None)


def apart(latencies, bounds):
    return [int(each) for each in np.histogram(latencies, [0, *bounds, np.inf])[0]]


def below(latencies, bounds):
    return [sum(each < bound for each in latencies) for bound in bounds] + [len(latencies)]


def of_more(counts, bounds, share):
    pairs = zip(bounds, counts, strict=False)
    return next((bound for bound, count in pairs if count > share * counts[-1]), None)


def of_what_is_in_bounds(counts, bounds, share):
    pairs = zip(bounds, counts, strict=False)
    return next((bound for bound, count in pairs if count >= share * counts[-2]), None)


def test_buckets_pass(verdict):
    assert "passed" in verdict("ex4.2", buckets, within)


@pytest.mark.parametrize(
    ("count", "read", "words"),
    [
        (apart, within, "holds those of the bounds before it"),
        (below, within, "a latency that *is* the bound"),
        (buckets, of_more, "*at least* this share"),
        (buckets, of_what_is_in_bounds, "slower than every bound"),
        (lambda *_: None, within, "None"),
    ],
)
def test_wrong_buckets_are_told(count, read, words, verdict):
    told = verdict("ex4.2", count, read)

    assert "is not done yet" in told
    assert words in told


def incidents(values, limit, looks):
    told, high, is_firing = [], 0, False
    for look, value in enumerate(values):
        high = high + 1 if value is not None and value > limit else 0
        if high >= looks and not is_firing:
            told.append((look, "firing"))
            is_firing = True
        elif high == 0 and is_firing:
            told.append((look, "recovered"))
            is_firing = False
    return told


def at_every_look(values, limit, looks):
    told, high = [], 0
    for look, value in enumerate(values):
        high = high + 1 if value is not None and value > limit else 0
        if high >= looks:
            told.append((look, "firing"))
        elif told and told[-1][1] == "firing":
            told.append((look, "recovered"))
    return told


def all_in_all(values, limit, looks):
    high, told = 0, []
    for look, value in enumerate(values):
        is_high = value is not None and value > limit
        high += is_high
        if high >= looks and is_high and (not told or told[-1][1] == "recovered"):
            told.append((look, "firing"))
        elif not is_high and told and told[-1][1] == "firing":
            told.append((look, "recovered"))
    return told


def of_numbers_only(values, limit, looks):
    return incidents(
        [limit + 0 * value if value <= limit else value for value in values], limit, looks
    )


def from_the_limit_on(values, limit, looks):
    return incidents([None if value is None else value + 0.5 for value in values], limit, looks)


def test_incidents_pass(verdict):
    assert "passed" in verdict("ex4.3", incidents)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (at_every_look, "it is told once"),
        (all_in_all, "looks *in a row*"),
        (of_numbers_only, "`None`, which is not above any limit"),
        (from_the_limit_on, "a value that *is* the limit"),
    ],
)
def test_wrong_incidents_are_told(wrong, words, verdict):
    told = verdict("ex4.3", wrong)

    assert "is not done yet" in told
    assert words in told


def by_status(text):
    found = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "nbdeploy_requests_total":
                found[sample.labels["status"]] += int(sample.value)
    return dict(found)


def of_the_last_sample(text):
    lines = re.findall(r'nbdeploy_requests_total{.*status="(\d+)".*} (\d+)', text)
    return {status: int(count) for status, count in lines}


def of_every_metric(text):
    found = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if "status" in sample.labels:
                found[sample.labels["status"]] += int(sample.value)
    return dict(found)


@pytest.fixture(scope="module")
def service():
    model = LogisticRegression(max_iter=500).fit(X, y)
    with deploy(model, name="penguins", example=X) as service:
        yield service


def test_metrics_that_are_read_pass(service, verdict):
    service.monitor.reset()
    assert "the cell with the traffic" in verdict("ex4.4", service, by_status)
    service.predict(X)
    with pytest.raises(SignatureError):
        service.predict({"island": "Dream"})

    assert "passed" in verdict("ex4.4", service, by_status)


@pytest.mark.parametrize("wrong", [of_the_last_sample, of_every_metric])
def test_metrics_that_are_read_wrongly_are_told(wrong, service, verdict):
    told = verdict("ex4.4", service, wrong)

    assert "is not done yet" in told
    assert "all of `nbdeploy_requests_total`, and none of another" in told


def test_metrics_of_no_service_are_told(verdict):
    assert "a running service" in verdict("ex4.4", "http://127.0.0.1", by_status)


def moved(drift):
    return sorted({row.feature for row in drift.rows if row.alarm and not row.is_prediction})


def test_moved_columns_pass(verdict):
    assert "passed" in verdict("ex4.5", moved)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda drift: sorted(row.feature for row in drift.rows if row.p < 0.01), "`alarm`"),
        (lambda drift: sorted(row.feature for row in drift.alarms), "the predictions"),
        (
            lambda drift: sorted(row.feature for row in drift.alarms if not row.is_prediction),
            "its name comes once",
        ),
        (
            lambda drift: [row.feature for row in drift.rows if row.alarm],
            "sorted by name",
        ),
        (lambda drift: drift.rows[0].feature, "a drift without rows"),
    ],
)
def test_columns_that_did_not_move_are_told(wrong, words, verdict):
    told = verdict("ex4.5", wrong)

    assert "is not done yet" in told
    assert words in told


def page(statistics, predictions, *, safe=escape, digits=".0f"):
    p95 = statistics["p95_latency"]
    shown = "-" if p95 is None else f"{p95 * 1000:{digits}} ms"
    lines = [f"<h3>{statistics['requests']} requests, {statistics['error_rate']:.1%} failed</h3>"]
    lines += [f"<p>p95: {shown}</p>"]
    for label, count in Counter(predictions).most_common():
        lines.append(f"<p>{safe(str(label))} <b>{count / len(predictions):.1%}</b></p>")
    return "\n".join(lines)


def without_a_first_request(statistics, predictions):
    if statistics["p95_latency"] is None:
        statistics = {**statistics, "p95_latency": float("nan")}
    return page(statistics, predictions)


def test_a_page_passes(verdict):
    assert "passed" in verdict("ex4.6", page)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda *given: page(*given, safe=str), "would run in the browser"),
        (lambda *given: page(*given, safe=lambda text: re.sub("<.*>", "", text)), "as text"),
        (lambda *given: page(*given, digits=".1f"), "`210 ms` on the page"),
        (without_a_first_request, "the case that `p95_latency` is `None`"),
        (lambda statistics, predictions: page(statistics, predictions[:1]), "Adelie 75.0%"),
        (lambda statistics, predictions: statistics, "a page as a text"),
    ],
)
def test_a_wrong_page_is_told(wrong, words, verdict):
    told = verdict("ex4.6", wrong)

    assert "is not done yet" in told
    assert words in told


def used(dashboard):
    names = set()
    for panel in dashboard.get("panels", []):
        for target in panel.get("targets", []):
            names.update(re.findall(r"nbdeploy_\w+", target.get("expr", "")))
        names |= used(panel)
    return names


def used_without_rows(dashboard):
    panels = (panel for panel in dashboard["panels"] if "targets" in panel)
    targets = (target for panel in panels for target in panel["targets"])
    return {name for each in targets for name in re.findall(r"nbdeploy_\w+", each["expr"])}


def used_first(dashboard):
    return {panel["targets"][0]["expr"] for panel in dashboard["panels"]}


@pytest.fixture
def exported(tmp_path):
    return json.loads(export(tmp_path)[0].read_text())


def test_the_exported_dashboard_passes(exported, verdict):
    assert "asks for" in verdict("ex4.7", exported, used)
    assert "passed" in verdict("ex4.7", exported, used)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (used_without_rows, "panels in a row"),
        (used_first, "panels without targets"),
        (lambda dashboard: sorted(used(dashboard)), "the set"),
    ],
)
def test_metrics_that_were_missed_are_told(exported, wrong, words, verdict):
    told = verdict("ex4.7", exported, wrong)

    assert "is not done yet" in told
    assert words in told or "KeyError" in told


@pytest.mark.parametrize("dashboard", ["work/ex4/grafana", {}, {"panels": []}])
def test_another_dashboard_is_told(dashboard, verdict):
    assert "the exported dashboard as a dict" in verdict("ex4.7", dashboard, used)
