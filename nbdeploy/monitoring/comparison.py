"""Who is better, and how surely: what `Deployment.compare` gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nbdeploy.display.html import visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.display.units import MISSING, count, duration, percent
from nbdeploy.display.verdicts import verdict_card
from nbdeploy.monitoring.contest import Arm, Contest
from nbdeploy.monitoring.experiment import Difference, Interval, compare_scores, interval_of
from nbdeploy.monitoring.scores import Metric, Scores
from nbdeploy.monitoring.shadow import ShadowReport
from nbdeploy.monitoring.verdict import amount, between, verdict_of

__all__ = ["Comparison", "Contrast", "VersionSummary", "compare_contest"]

_NOBODY = "Only {version} answers: there is no version to compare it with."
_SHOWN_CHANGES = 10


@dataclass(frozen=True)
class VersionSummary:
    """What one version did.

    Parameters
    ----------
    version
        Its name.
    share
        Of the traffic that it was given.
    requests, errors, refused
        Requests; those that the model failed; those that did not reach it.
    p50_latency, p95_latency, p99_latency
        Seconds.
    truths
        Rows whose truth is known.
    metric
        The mean score of these rows.
    interval
        Where the metric lies, for who looks once.
    """

    version: str
    share: float
    requests: int
    errors: int
    refused: int
    p50_latency: float | None
    p95_latency: float | None
    p99_latency: float | None
    truths: int
    metric: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Contrast:
    """One version beside the first.

    Parameters
    ----------
    version, against
        The difference is that of `version` minus `against`.
    difference
        Of the metric; ``None`` while one has no truth.
    errors
        Of the shares of failed requests.
    verdict
        In words.
    """

    version: str
    against: str
    difference: Difference | None
    errors: Difference | None
    verdict: str


@dataclass(frozen=True, repr=False)
class Comparison(ReprMixin):
    """What is known of the versions at one moment.

    Parameters
    ----------
    versions
        What each did; the first is what the others are compared with.
    contrasts
        Each other version beside the first.
    metric
        The name of what predictions are judged by.
    confidence
        That the intervals of one question, the metric or the failures, hold together.
    is_share
        Whether the metric is a share of right answers.
    shadow
        What the shadow did, if there is one.
    """

    versions: tuple[VersionSummary, ...]
    contrasts: tuple[Contrast, ...]
    metric: str
    confidence: float
    is_share: bool
    shadow: ShadowReport | None = None

    @property
    def verdict(self) -> str:
        """Who is better, in words."""
        if self.contrasts:
            return " ".join(contrast.verdict for contrast in self.contrasts)
        if self.shadow is not None:
            return _shadow_verdict(self.shadow, self.versions[0].version)
        return _NOBODY.format(version=self.versions[0].version)

    def __repr__(self) -> str:
        return f"<Comparison of {' and '.join(each.version for each in self.versions)}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the verdict and the tables as text."""
        parts = [visible(self.verdict)]
        parts += [table.to_text() for _, table in self._tables()]
        return "\n\n".join(parts)

    def to_html(self) -> str:
        """Write the verdict and the tables as a card."""
        return verdict_card(self.verdict, self._tables())

    def _tables(self) -> Iterator[tuple[str, Table]]:
        yield "Since the traffic was parted", self._versions_table()
        if any(contrast.difference for contrast in self.contrasts):
            sure = f"{self.confidence:.0%}".replace("%", " %")
            yield f"Difference in {self.metric}, {sure} sure", self._differences_table()
        if self.shadow is not None:
            yield from _shadow_tables(self.shadow, are_labels=self.is_share)

    def _versions_table(self) -> Table:
        has_refused = any(each.refused for each in self.versions)
        columns = ["version", "share", "requests", "errors", *["refused"] * has_refused]
        columns += ["p50", "p95", "p99", "truths", self.metric, "between"]
        unit = "share" if self.is_share else "number"
        rows = tuple(tuple(_cells(each, unit, has_refused)) for each in self.versions)
        return Table(tuple(columns), rows, right=columns[1:])

    def _differences_table(self) -> Table:
        unit = "points" if self.is_share else "number"
        columns = ("", "difference", "if you look once", "whenever you look")
        rows = tuple(
            (
                f"{contrast.version} minus {contrast.against}",
                amount(contrast.difference.estimate, unit, signed=True),
                _between(contrast.difference.fixed, unit),
                _between(contrast.difference.always, unit),
            )
            for contrast in self.contrasts
            if contrast.difference is not None
        )
        return Table(columns, rows, right=columns[1:])


def compare_contest(contest: Contest, *, confidence: float = 0.95) -> Comparison:
    """Compare the versions of a contest as of now.

    Parameters
    ----------
    contest
        What each version did.
    confidence
        That the intervals of one question hold together: with more than two versions each is
        wider. The metric and the failures are two questions.

    Raises
    ------
    ValueError
        If the confidence is no share.
    """
    if not 0 < confidence < 1:
        message = f"confidence is {confidence!r}. Expected a share between 0 and 1, such as 0.95."
        raise ValueError(message)
    arms = contest.arms()
    first, *others = arms
    alpha = (1 - confidence) / max(1, len(others))
    shadow = contest.shadow
    return Comparison(
        versions=tuple(
            _summary(version, contest.weights[version], arm, contest.metric, alpha)
            for version, arm in arms.items()
        ),
        contrasts=tuple(
            _contrast(version, first, arms, contest.metric, alpha=alpha, confidence=confidence)
            for version in others
        ),
        metric=contest.metric.name,
        confidence=confidence,
        is_share=contest.metric.is_share,
        shadow=None if shadow is None else shadow.report(),
    )


def _summary(version: str, share: float, arm: Arm, metric: Metric, alpha: float) -> VersionSummary:
    return VersionSummary(
        version=version,
        share=share,
        requests=arm.requests,
        errors=arm.errors,
        refused=arm.refused,
        p50_latency=arm.latency.quantile(0.50),
        p95_latency=arm.latency.quantile(0.95),
        p99_latency=arm.latency.quantile(0.99),
        truths=arm.scores.count,
        metric=arm.scores.mean if arm.scores.count else None,
        interval=interval_of(arm.scores, is_share=metric.is_share, alpha=alpha),
    )


def _contrast(
    new: str, old: str, arms: dict[str, Arm], metric: Metric, *, alpha: float, confidence: float
) -> Contrast:
    difference = compare_scores(
        arms[new].scores, arms[old].scores, is_share=metric.is_share, alpha=alpha
    )
    errors = compare_scores(_failures(arms[new]), _failures(arms[old]), is_share=True, alpha=alpha)
    verdict = verdict_of(
        new, old, metric=metric, difference=difference, errors=errors, confidence=confidence
    )
    return Contrast(new, old, difference, errors, verdict)


def _failures(arm: Arm) -> Scores:
    return Scores.of_share(arm.errors, arm.judged)


def _cells(each: VersionSummary, unit: str, has_refused: bool) -> Iterator[str]:
    yield each.version
    yield percent(each.share)
    yield count(each.requests)
    yield count(each.errors)
    if has_refused:
        yield count(each.refused)
    yield from map(duration, (each.p50_latency, each.p95_latency, each.p99_latency))
    yield count(each.truths)
    yield MISSING if each.metric is None else amount(each.metric, unit)
    yield MISSING if each.interval is None else between(each.interval, unit)


def _between(interval: Interval | None, unit: str) -> str:
    return "too few rows" if interval is None else between(interval, unit, signed=True)


def _shadow_verdict(shadow: ShadowReport, live: str) -> str:
    if shadow.agreement is None:
        return f"The shadow {shadow.version} has answered no request yet."
    return (
        f"The shadow {shadow.version} agrees with {live} on {percent(shadow.agreement)} of "
        f"{count(shadow.rows)} rows."
    )


def _shadow_tables(shadow: ShadowReport, *, are_labels: bool) -> Iterator[tuple[str, Table]]:
    columns = ["version", "requests", "errors", "dropped", "agrees", "p50", "p95"]
    row = [
        shadow.version,
        count(shadow.requests),
        count(shadow.errors),
        count(shadow.dropped),
        MISSING if shadow.agreement is None else percent(shadow.agreement),
        duration(shadow.latency.quantile(0.50)),
        duration(shadow.latency.quantile(0.95)),
    ]
    if not are_labels and shadow.mean_change is not None:
        columns.append("mean change")
        row.append(f"{shadow.mean_change:.3g}")
    table = Table(tuple(columns), (tuple(row),), right=columns[1:])
    yield "In the shadow; its latency is that of the call alone", table
    if shadow.last_error is not None:
        yield "Its last error", Table(("error",), ((shadow.last_error,),))
    if shadow.pairs and are_labels:
        pairs = tuple((str(old), str(new), count(times)) for old, new, times in shadow.pairs)
        yield (
            "Predictions that changed",
            Table(
                ("live", "shadow", "rows"),
                pairs,
                right=("rows",),
                limit=_SHOWN_CHANGES,
                noun="change",
            ),
        )
    elif shadow.changes:
        changes = tuple(
            (str(each.live), str(each.shadow), str(each.row), each.prediction_id or MISSING)
            for each in reversed(shadow.changes)
        )
        yield (
            "The last predictions that changed",
            Table(
                ("live", "shadow", "row", "prediction id"),
                changes,
                right=("live", "shadow", "row"),
                limit=_SHOWN_CHANGES,
                noun="change",
            ),
        )
