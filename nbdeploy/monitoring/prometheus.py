"""What a service counted, as Prometheus reads it.

Everything is read from the monitors when somebody asks: a request pays nothing for it. Each answer
has a registry of its own, so a cell that is run again finds no metric of before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.prometheus_details import (
    DETAIL_NAMES,
    batches_and_stages,
    cumulative,
    feedback,
    predictions,
    validation_errors,
    variants,
)
from nbdeploy.monitoring.snapshot import Labels
from nbdeploy.monitoring.statistics import Tally

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["METRIC_NAMES", "ExposedModel", "exposition"]

METRIC_NAMES = (
    "nbdeploy_request_duration_seconds",
    "nbdeploy_requests_total",
    "nbdeploy_rows_total",
    "nbdeploy_rejected_total",
    "nbdeploy_requests_in_progress",
    "nbdeploy_queue_depth",
    "nbdeploy_replicas",
    "nbdeploy_drift_psi",
    "nbdeploy_drift_pvalue",
    "nbdeploy_model_info",
    *DETAIL_NAMES,
)
"""The names of all metrics, for dashboards and rules."""

_REQUEST = ("model", "version", "endpoint", "status")


@dataclass(frozen=True)
class ExposedModel:
    """One model of a service.

    Parameters
    ----------
    name
        What it is called.
    monitor
        What was counted.
    versions
        Version, digest and library of each that answers.
    waiting
        Requests in the queue.
    variants
        Requests of each version since the traffic was parted, while it is.
    """

    name: str
    monitor: ModelMonitor
    versions: Sequence[tuple[str, str, str]]
    waiting: int
    variants: Mapping[str, int] = field(default_factory=dict)


def exposition(models: Iterable[ExposedModel], accept: str = "") -> tuple[bytes, str]:
    """Write what was counted.

    Parameters
    ----------
    models
        Those of the service.
    accept
        The header of that name: OpenMetrics where it is asked for, otherwise Prometheus' text.

    Returns
    -------
    tuple
        The text, and its media type.

    Examples
    --------
    >>> monitor = ModelMonitor()
    >>> monitor.log_prediction([1.5], [0], latency=0.03)
    >>> text, kind = exposition([ExposedModel("iris", monitor, (), 0)])
    >>> [line for line in text.decode().splitlines() if line.startswith("nbdeploy_requests_total")]
    ['nbdeploy_requests_total{endpoint="predict",model="iris",status="ok",version=""} 1.0']
    """
    from prometheus_client.core import CollectorRegistry  # noqa: PLC0415 -- for who asks only
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 -- as above

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(tuple(models)))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Collector:
    def __init__(self, models: Sequence[ExposedModel]) -> None:
        self._models = models
        self._snapshots = [model.monitor.snapshot() for model in models]

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._moment()
        yield from self._drift()
        yield self._info()
        names = [model.name for model in self._models]
        told = dict(zip(names, self._snapshots, strict=True))
        details = {name: snapshot.details for name, snapshot in told.items()}
        yield from batches_and_stages(details)
        yield validation_errors(details)
        yield from predictions(told)
        yield feedback(
            {model.name: model.monitor.attached("quality") or {} for model in self._models}
        )
        yield variants({model.name: model.variants for model in self._models})

    def _series(self) -> Iterator[tuple[str, Labels, Tally]]:
        for model, snapshot in zip(self._models, self._snapshots, strict=True):
            for labels, tally in snapshot.series.items():
                yield model.name, labels, tally

    def _requests(self) -> Iterator[Metric]:
        from prometheus_client.core import (  # noqa: PLC0415 -- for who asks only
            CounterMetricFamily,
            HistogramMetricFamily,
        )

        duration = HistogramMetricFamily(
            "nbdeploy_request_duration_seconds", "Seconds until a request ended.", labels=_REQUEST
        )
        requests = CounterMetricFamily("nbdeploy_requests", "Requests that ended.", labels=_REQUEST)
        rows = CounterMetricFamily(
            "nbdeploy_rows", "Rows that were predicted.", labels=("model", "version", "endpoint")
        )
        rejected = CounterMetricFamily(
            "nbdeploy_rejected", "Requests that were refused.", labels=("model", "reason")
        )
        rows_of: dict[tuple[str, str, str], int] = {}
        for model, labels, tally in self._series():
            version = labels.version or ""
            values = (model, version, labels.endpoint, labels.status)
            buckets, seconds = cumulative(tally.latency)
            duration.add_metric(values, buckets, seconds)
            requests.add_metric(values, tally.requests)
            place = (model, version, labels.endpoint)
            rows_of[place] = rows_of.get(place, 0) + tally.rows
        for place, count in rows_of.items():
            rows.add_metric(place, count)
        for exposed, snapshot in zip(self._models, self._snapshots, strict=True):
            for reason, count in snapshot.rejected.items():
                rejected.add_metric((exposed.name, reason), count)
        yield from (duration, requests, rows, rejected)

    def _moment(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 -- for who asks only

        running = GaugeMetricFamily(
            "nbdeploy_requests_in_progress", "Requests that wait or run.", labels=("model",)
        )
        waiting = GaugeMetricFamily(
            "nbdeploy_queue_depth", "Requests that wait for the model.", labels=("model",)
        )
        replicas = GaugeMetricFamily(
            "nbdeploy_replicas", "Processes that answer for it.", labels=("model", "state")
        )
        for model, snapshot in zip(self._models, self._snapshots, strict=True):
            running.add_metric((model.name,), snapshot.in_flight)
            waiting.add_metric((model.name,), model.waiting)
            counts = model.monitor.attached("replicas") or {}
            for state in ("wanted", "ready", "starting"):
                if state in counts:
                    replicas.add_metric((model.name, state), counts[state])
        yield from (running, waiting, replicas)

    def _drift(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 -- for who asks only

        labels = ("model", "version", "feature")
        psi = GaugeMetricFamily(
            "nbdeploy_drift_psi", "How far the latest rows are from the example.", labels=labels
        )
        pvalue = GaugeMetricFamily(
            "nbdeploy_drift_pvalue", "How likely that is by chance, corrected.", labels=labels
        )
        for model in self._models:
            for row in _drift_rows(model.monitor):
                values = (
                    model.name,
                    row.version,
                    "prediction" if row.is_prediction else row.feature,
                )
                psi.add_metric(values, row.psi)
                pvalue.add_metric(values, row.corrected_p)
        yield from (psi, pvalue)

    def _info(self) -> Metric:
        from prometheus_client.core import InfoMetricFamily  # noqa: PLC0415 -- for who asks only

        info = InfoMetricFamily("nbdeploy_model", "The models that answer.", labels=("model",))
        for model in self._models:
            for version, digest, framework in model.versions:
                facts = {"version": version, "sha256": digest.removeprefix("sha256:")}
                info.add_metric((model.name,), {**facts, "framework": framework})
        return info


def _drift_rows(monitor: ModelMonitor) -> Sequence[Any]:
    try:
        return monitor.drift().rows
    except TypeError:
        # Of monitors that were merged rows are not known.
        return ()
