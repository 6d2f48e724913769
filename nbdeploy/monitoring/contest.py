"""What each version did while the traffic was parted: requests, errors, latencies, scores."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from nbdeploy.monitoring.latency import LatencyHistogram
from nbdeploy.monitoring.scores import METRICS, Metric, Scores, scored
from nbdeploy.monitoring.shadow import ShadowLog, ShadowReport

__all__ = ["Arm", "Contest", "Ending", "no_news"]

_numbers = itertools.count(1)

Ending = Literal["answered", "failed", "refused"]
"""The model answered, the model is at fault, or something else is: the caller, a full queue."""


def no_news() -> None:
    """Tell nobody: nobody waits for what comes of it."""


@dataclass
class Arm:
    """What one version did.

    Parameters
    ----------
    requests
        Those that ended.
    errors
        Those that the model failed: it raised, or took too long.
    refused
        Those that ended before or without the model: rows that do not fit, a full queue.
    latency
        Seconds of the requests that were answered, or failed.
    scores
        Of the rows whose truth is known.
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    scores: Scores = field(default_factory=Scores)

    @property
    def judged(self) -> int:
        """Requests that say something about the model: those that it answered or failed."""
        return self.requests - self.refused

    def copy(self) -> Arm:
        """Give the arm as it is now."""
        latency, scores = self.latency.copy(), self.scores.copy()
        return Arm(self.requests, self.errors, self.refused, latency, scores)

    def to_dict(self) -> dict[str, Any]:
        """Write it as JSON values."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "refused": self.refused,
            "latency": self.latency.to_dict(),
            "scores": self.scores.to_list(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(
            values["requests"],
            values["errors"],
            values["refused"],
            LatencyHistogram.from_dict(values["latency"]),
            Scores(*values["scores"]),
        )


class Contest:
    """Versions that answer at the same time, and what came of it. Any thread may tell it.

    Parameters
    ----------
    weights
        The share of each version in the traffic; the first one is what others are compared with.
    metric
        What scores mean.
    on_news
        Called after every request and every truth, in the thread that told of it.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        metric: Metric,
        *,
        on_news: Callable[[], None] = no_news,
    ) -> None:
        self.weights = dict(weights)
        self.metric = metric
        self.on_news = on_news
        self.shadow: ShadowLog | None = None
        self.number = next(_numbers)
        """Names what is collected, in this process and in one that is told of it."""
        self._arms = {version: Arm() for version in weights}
        self._lock = threading.Lock()

    def ended(self, version: str, latency: float, ending: Ending) -> None:
        """Count a request.

        Parameters
        ----------
        version
            Which version had it.
        latency
            Seconds.
        ending
            How it ended.
        """
        with self._lock:
            arm = self._arms[version]
            arm.requests += 1
            if ending == "refused":
                arm.refused += 1
            else:
                arm.errors += ending == "failed"
                arm.latency.add(latency)
        self.on_news()

    def judge(self, version: str, predictions: Sequence[Any], truth: Sequence[Any]) -> None:
        """Score predictions whose truth became known.

        Raises
        ------
        SignatureError
            If the truth is none of these predictions.
        """
        scores = scored(predictions, truth, self.metric)
        with self._lock:
            for score in scores:
                self._arms[version].scores.add(score)
        self.on_news()

    def with_shadow(self, shadow: ShadowLog | None) -> Contest:
        """Give a contest that goes on where this one is, with another shadow."""
        twin = Contest(self.weights, self.metric, on_news=self.on_news)
        twin._arms, twin._lock, twin.shadow = self._arms, self._lock, shadow
        twin.number = self.number
        return twin

    @property
    def is_watched(self) -> bool:
        """Whether somebody waits for news."""
        return self.on_news is not no_news

    def to_dict(self) -> dict[str, Any]:
        """Write what is known as JSON values."""
        return {
            "weights": self.weights,
            "metric": self.metric.name,
            "arms": {version: arm.to_dict() for version, arm in self.arms().items()},
            "shadow": None if self.shadow is None else self.shadow.report().to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Contest:
        """Read what `to_dict` wrote, in another process perhaps."""
        metric = next(each for each in METRICS if each.name == values["metric"])
        contest = cls(values["weights"], metric)
        if values["shadow"] is not None:
            contest.shadow = ShadowLog(values["shadow"]["version"])
        contest.take(values)
        return contest

    def take(self, values: Mapping[str, Any]) -> None:
        """Know what a contest elsewhere wrote with `to_dict`, and tell that there is news."""
        with self._lock:
            self._arms.update(
                (version, Arm.from_dict(arm))
                for version, arm in values["arms"].items()
                if version in self._arms
            )
        if self.shadow is not None and values["shadow"] is not None:
            self.shadow.take(ShadowReport.from_dict(values["shadow"]))
        self.on_news()

    def arms(self) -> dict[str, Arm]:
        """Give what is known now, in the order of the weights."""
        with self._lock:
            return {version: arm.copy() for version, arm in self._arms.items()}
