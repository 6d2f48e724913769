"""What Prometheus reads is what the monitor counted, and what dashboards ask for is told."""

import json
import math
import re

import numpy as np
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly
from prometheus_client.parser import text_string_to_metric_families as parse

from nbdeploy import ModelMonitor
from nbdeploy.monitoring.grafana import FILES
from nbdeploy.monitoring.prometheus import METRIC_NAMES, ExposedModel, exposition

LABELS = ("True", "False")
STRICT = "application/openmetrics-text; version=1.0.0"


def told(models, accept=""):
    text, kind = exposition(models, accept)
    families = (parse_strictly if "openmetrics" in kind else parse)(text.decode())
    return [sample for family in families for sample in family.samples]


def of(samples, name, **labels):
    """The values of the samples of a name with these labels, among others."""
    return [
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


@pytest.fixture
def monitor():
    monitor = ModelMonitor(example=[{"age": n, "plan": "ab"[n % 2]} for n in range(90)])
    for number in range(1000):
        row = {"age": number % 90, "plan": "b"}
        fails = number % 50 == 0
        monitor.log_prediction(
            row,
            number % 4 == 0,
            0.001 * (1 + number % 100),
            error="broken" if fails else None,
            version="1.1",
            status=500 if fails else 200,
        )
    return monitor


@pytest.fixture
def models(monitor):
    return [ExposedModel("churn", monitor, [("1.1", "sha256:abc", "sklearn")], 3)]


@pytest.mark.parametrize("accept", ["", "text/plain", STRICT])
def test_counts_are_exact_in_either_format(models, accept):
    samples = told(models, accept)

    assert of(samples, "nbdeploy_requests_total", status="200") == [980]
    assert of(samples, "nbdeploy_requests_total", status="500", version="1.1") == [20]
    assert of(samples, "nbdeploy_rows_total") == [980]
    assert of(samples, "nbdeploy_queue_depth") == [3]
    assert of(samples, "nbdeploy_model_info", sha256="abc", framework="sklearn") == [1]


def test_the_buckets_of_the_durations_hold_what_lies_below_them(models):
    samples = told(models)
    below = {
        float(sample.labels["le"]): sample.value
        for sample in samples
        if sample.name == "nbdeploy_request_duration_seconds_bucket"
        and sample.labels["status"] == "200"
    }

    taken = [0.001 * (1 + number % 100) for number in range(1000) if number % 50]
    assert below == {bound: sum(each <= bound for each in taken) for bound in below}
    assert below[math.inf] == 980
    (seconds,) = of(samples, "nbdeploy_request_duration_seconds_sum", status="200")
    assert seconds == pytest.approx(sum(taken))


def test_drift_is_told_by_column(models):
    samples = told(models)

    (plan,) = of(samples, "nbdeploy_drift_psi", feature="plan")
    (age,) = of(samples, "nbdeploy_drift_psi", feature="age")
    assert plan > 0.25 > age
    assert of(samples, "nbdeploy_drift_pvalue", feature="plan")[0] < 0.01


def test_monitors_that_were_merged_have_no_rows_to_judge(monitor):
    merged = ModelMonitor.merged([monitor, monitor])
    samples = told([ExposedModel("churn", merged, (), 0)])

    assert of(samples, "nbdeploy_requests_total", status="200") == [1960]
    assert of(samples, "nbdeploy_drift_psi") == []


def test_a_monitor_that_saw_nothing_and_any_name_are_written(monitor):
    monitor.reset()
    monitor.log_prediction([1], 1, 0.01, version='a"b\\c\nd', endpoint="ü")

    assert of(told([ExposedModel("new", ModelMonitor(), (), 0)]), "nbdeploy_requests_total") == []
    for accept in ("", STRICT):
        samples = told([ExposedModel("ö", monitor, (), 0)], accept)
        assert of(samples, "nbdeploy_requests_total", version='a"b\\c\nd', endpoint="ü") == [1]


def test_replicas_are_told_by_state(monitor):
    monitor.attach("replicas", lambda: {"wanted": 3, "ready": 2, "starting": 1, "each": []})
    samples = told([ExposedModel("churn", monitor, (), 0)])

    states = {state: of(samples, "nbdeploy_replicas", state=state) for state in ("wanted", "ready")}
    assert states == {"wanted": [3], "ready": [2]}


def test_predictions_are_counters_of_labels_or_a_histogram_of_numbers(models, monitor):
    samples = told(models)
    shares = {name: of(samples, "nbdeploy_predictions_total", **{"class": name}) for name in LABELS}
    assert shares == {"True": [240], "False": [740]}

    numbers = ModelMonitor()
    values = np.random.default_rng(0).normal(100, 50, 500)
    for value in values:
        numbers.log_prediction([1], float(value), 0.01, version="2")
    for accept in ("", STRICT):
        samples = told([ExposedModel("price", numbers, (), 0)], accept)
        below = {
            float(sample.labels["le"]): sample.value
            for sample in samples
            if sample.name == "nbdeploy_prediction_value_bucket"
        }
        assert below[0.0] == (values <= 0).sum()
        assert below[64.0] == (values <= 64).sum()
        assert below[math.inf] == 500


@pytest.mark.parametrize("accept", ["", STRICT])
def test_stages_batches_validation_errors_feedback_and_variants_are_told(accept):
    monitor = ModelMonitor()
    monitor.details.add_stages(parse=0.001, queue=0.002)
    monitor.details.add_stages(parse=0.1)
    for rows in (1, 1, 5, 20_000):
        monitor.details.add_batch(rows)
    monitor.details.add_validation_error("age", "type")
    monitor.details.reject("unauthorized")
    monitor.quality.add("1.0", ["a", "b", "b"], ["a", "b", "a"])
    monitor.quality.add("2.0", [1.5], [1.0], are_amounts=True)
    samples = told([ExposedModel("m", monitor, (), 0, {"1.0": 7, "2.0": 3})], accept)

    assert of(samples, "nbdeploy_request_stage_seconds_count", stage="parse") == [2]
    assert of(samples, "nbdeploy_request_stage_seconds_bucket", stage="parse", le="0.03125") == [1]
    assert of(samples, "nbdeploy_batch_size_bucket", le="7.0") == [3]
    assert of(samples, "nbdeploy_batch_size_sum") == [20_007]
    assert of(samples, "nbdeploy_validation_errors_total", column="age", kind="type") == [1]
    assert of(samples, "nbdeploy_rejected_total", reason="unauthorized") == [1]
    right = {each: of(samples, "nbdeploy_feedback_total", correct=each) for each in ("true", "")}
    assert right == {"true": [2], "": [1]}
    assert of(samples, "nbdeploy_variant_requests_total", variant="2.0") == [3]


def test_every_metric_has_its_name_and_labels_are_bounded(models):
    for number in range(500):
        models[0].monitor.log_prediction([1], 1, 0.01, version=f"v{number}", status=200 + number)
    samples = told(models)

    families = {re.sub("_(bucket|sum|count)$", "", sample.name) for sample in samples}
    assert families <= set(METRIC_NAMES)
    # The others are told once there is something to tell; each has a test above.
    silent = {"replicas", "rejected_total", "request_stage_seconds", "validation_errors_total"}
    silent |= {"prediction_value", "feedback_total", "variant_requests_total"}
    assert set(METRIC_NAMES) - families == {f"nbdeploy_{name}" for name in silent}
    for label in ("version", "status"):
        assert len({sample.labels.get(label) for sample in samples}) < 40


def test_dashboard_and_rules_ask_for_metrics_that_there_are(tmp_path):
    paths = ModelMonitor().export_grafana(tmp_path / "grafana")

    assert [path.name for path in paths] == list(FILES)
    dashboard, rules = (path.read_text() for path in paths)
    panels = json.loads(dashboard)["panels"]
    alerts = [rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    asked += [rule["expr"] for rule in alerts]
    names = {name for expression in asked for name in re.findall(r"nbdeploy_\w+", expression)}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in names} == set(METRIC_NAMES)
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in panels]
    assert len(set(places)) == len(panels)
    assert all({"summary"} <= set(rule["annotations"]) for rule in alerts)


def test_quantiles_of_the_buckets_are_near_those_of_the_monitor():
    monitor = ModelMonitor()
    taken = np.random.default_rng(5).lognormal(-4, 1, 2000)
    for seconds in taken:
        monitor.log_prediction([1], 1, float(seconds))
    samples = told([ExposedModel("churn", monitor, (), 0)])

    bounds, counts = zip(
        *(
            (float(sample.labels["le"]), sample.value)
            for sample in samples
            if sample.name.endswith("_bucket")
        ),
        strict=True,
    )
    place = np.searchsorted(counts, 0.95 * len(taken))
    assert bounds[place - 1] <= np.quantile(taken, 0.95) <= bounds[place]
