"""Prometheus' families of what is told beside counts and latencies of requests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbdeploy.monitoring.details import Details
from nbdeploy.monitoring.latency import BOUNDS, LatencyHistogram
from nbdeploy.monitoring.predictions import PredictionCounts
from nbdeploy.monitoring.snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = [
    "DETAIL_NAMES",
    "batches_and_stages",
    "cumulative",
    "feedback",
    "predictions",
    "validation_errors",
    "variants",
]

DETAIL_NAMES = (
    "nbdeploy_request_stage_seconds",
    "nbdeploy_batch_size",
    "nbdeploy_validation_errors_total",
    "nbdeploy_predictions_total",
    "nbdeploy_prediction_value",
    "nbdeploy_feedback_total",
    "nbdeploy_variant_requests_total",
)

# Powers of two, which are bounds of the monitor's own buckets: 122 microseconds to 32 seconds.
_BUCKETS = tuple(2.0**exponent for exponent in range(-13, 6))
# Stages are shorter: from a microsecond.
_STAGE_BUCKETS = tuple(2.0**exponent for exponent in range(-20, 4))
_VALUES = tuple(4.0**exponent for exponent in range(-5, 16))
_BATCH_BITS = 14


def cumulative(
    latency: LatencyHistogram, bounds: Iterable[float] = _BUCKETS
) -> tuple[list[tuple[str, float]], float]:
    """Give the requests up to each bound, and the sum of their seconds."""
    buckets: list[tuple[str, float]] = []
    left = dict(sorted(latency.buckets.items()))
    seen = 0
    for bound in bounds:
        for index in [index for index in left if index < len(BOUNDS) and BOUNDS[index] <= bound]:
            seen += left.pop(index)
        buckets.append((repr(bound), seen))
    return [*buckets, ("+Inf", latency.count)], latency.nanoseconds / 1e9


def batches_and_stages(told: Mapping[str, Details]) -> Iterator[Metric]:
    """Tell the stages of requests and the rows of calls, by model."""
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 -- who asks only

    stages = HistogramMetricFamily(
        "nbdeploy_request_stage_seconds",
        "Seconds of the stages of a sample of the requests.",
        labels=("model", "stage"),
    )
    sizes = HistogramMetricFamily(
        "nbdeploy_batch_size", "Rows of each call of the model.", labels=("model",)
    )
    for model, details in told.items():
        for stage, latency in details.stages.items():
            stages.add_metric((model, stage), *cumulative(latency, _STAGE_BUCKETS))
        seen = 0
        buckets: list[tuple[str, float]] = []
        for bits in range(1, _BATCH_BITS + 1):
            seen += details.batches.get(bits, 0)
            buckets.append((repr(float((1 << bits) - 1)), seen))
        buckets.append(("+Inf", sum(details.batches.values())))
        sizes.add_metric((model,), buckets, details.batch_rows)
    yield from (stages, sizes)


def validation_errors(told: Mapping[str, Details]) -> Metric:
    """Tell the requests whose rows did not fit, by column and kind."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 -- for who asks only

    family = CounterMetricFamily(
        "nbdeploy_validation_errors",
        "Requests whose rows did not fit.",
        labels=("model", "column", "kind"),
    )
    for model, details in told.items():
        for (column, kind), count in details.validation_errors.items():
            family.add_metric((model, column, kind), count)
    return family


def predictions(told: Mapping[str, Snapshot]) -> Iterator[Metric]:
    """Tell what was predicted: labels as counters, numbers as a histogram."""
    from prometheus_client.core import (  # noqa: PLC0415 -- for who asks only
        CounterMetricFamily,
        HistogramMetricFamily,
    )

    labels = CounterMetricFamily(
        "nbdeploy_predictions", "Predicted rows by label.", labels=("model", "version", "class")
    )
    numbers = HistogramMetricFamily(
        "nbdeploy_prediction_value", "Predicted numbers.", labels=("model", "version")
    )
    for model, snapshot in told.items():
        for version, counts in snapshot.predictions.items():
            if counts.is_numeric:
                numbers.add_metric((model, version), *_values(counts.as_numbers()))
                continue
            by_label: dict[str, int] = {}
            for label, count in counts.labels.items():
                by_label[str(label)] = by_label.get(str(label), 0) + count
            for name, count in by_label.items():
                labels.add_metric((model, version, name), count)
    yield from (labels, numbers)


def _values(counts: PredictionCounts) -> tuple[list[tuple[str, float]], float | None]:
    histogram = counts.histogram()
    has_negative = any(low < 0 and high <= 0 for low, high, _ in histogram)
    bounds = (*(-bound for bound in reversed(_VALUES)), 0.0, *_VALUES) if has_negative else _VALUES
    buckets: list[tuple[str, float]] = [
        (repr(bound), sum(count for _, high, count in histogram if _is_below(high, bound)))
        for bound in bounds
    ]
    buckets.append(("+Inf", counts.finite))
    # OpenMetrics knows no sum of what may be negative.
    return buckets, None if has_negative else counts.total


def _is_below(high: float, bound: float) -> bool:
    # Both are powers of two up to the rounding of a logarithm.
    return high <= bound or math.isclose(high, bound, rel_tol=1e-9)


def feedback(told: Mapping[str, Mapping[str, Any]]) -> Metric:
    """Tell the predictions whose truth came, by version and whether they were right."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 -- for who asks only

    family = CounterMetricFamily(
        "nbdeploy_feedback",
        "Predicted rows whose truth came; of numbers nobody says that they were right.",
        labels=("model", "version", "correct"),
    )
    for model, quality in told.items():
        for version, facts in quality.items():
            right = facts.get("right")
            if right is None:
                family.add_metric((model, version, ""), facts["truths"])
            else:
                family.add_metric((model, version, "true"), right)
                family.add_metric((model, version, "false"), facts["truths"] - right)
    return family


def variants(told: Mapping[str, Mapping[str, int]]) -> Metric:
    """Tell the requests of the versions that share the traffic."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 -- for who asks only

    family = CounterMetricFamily(
        "nbdeploy_variant_requests",
        "Requests since the traffic was parted.",
        labels=("model", "variant"),
    )
    for model, requests in told.items():
        for variant, count in requests.items():
            family.add_metric((model, variant), count)
    return family
