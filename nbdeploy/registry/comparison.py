"""The metrics of versions side by side, and what is different between two of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.display.units import MISSING
from nbdeploy.registry.metrics import is_less_better, is_number, number_text
from nbdeploy.registry.version import ModelVersion

if TYPE_CHECKING:
    from nbdeploy.display.plots import Plot

__all__ = ["Comparison", "Difference", "VersionDiff", "difference_of"]

_BEST = "★"
_NO_CHANGE = "no difference"


@dataclass(frozen=True, repr=False)
class Comparison(ReprMixin):
    """The metrics of several versions.

    Parameters
    ----------
    versions
        In the order in which they are shown.
    lower
        Metrics of which less is better, beside those whose name says so.
    higher
        Metrics of which more is better, whatever their name says.
    """

    versions: Sequence[ModelVersion]
    lower: Collection[str] = field(default=())
    higher: Collection[str] = field(default=())

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that at least one version has a number for."""
        names = (
            name for one in self.versions for name, value in one.metrics.items() if is_number(value)
        )
        return tuple(dict.fromkeys(names))

    def less_is_better(self, metric: str) -> bool:
        """Tell whether a version with less of a metric is the better one."""
        return is_less_better(metric, lower=self.lower, higher=self.higher)

    def best(self, metric: str) -> tuple[str, ...]:
        """Return the best version for a metric; several when they are equal."""
        values = self._values(metric)
        if not values:
            return ()
        target = min(values.values()) if self.less_is_better(metric) else max(values.values())
        return tuple(version for version, value in values.items() if value == target)

    def plot(self) -> Plot:
        """Draw the metrics, with a panel a metric; ``.figure`` is matplotlib's."""
        from nbdeploy.display.plots import metric_panels  # noqa: PLC0415 -- heavy import

        names = [one.version for one in self.versions]
        return metric_panels(
            names,
            {self._title(metric): self._values(metric) for metric in self.metrics},
            best={self._title(metric): self.best(metric) for metric in self.metrics},
        )

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the metrics in columns."""
        return self._table().to_text()

    def to_html(self) -> str:
        """Write the metrics as a table."""
        return self._table().to_html()

    def _values(self, metric: str) -> dict[str, float]:
        return {
            one.version: one.metrics[metric]
            for one in self.versions
            if is_number(one.metrics.get(metric))
        }

    def _title(self, metric: str) -> str:
        return f"{metric} {'↓' if self.less_is_better(metric) else '↑'}"

    def _table(self) -> Table:
        titles = [self._title(metric) for metric in self.metrics]
        best = {metric: self.best(metric) for metric in self.metrics}
        rows = [
            (
                one.version,
                ", ".join(one.aliases),
                *(self._cell(one, metric, best[metric]) for metric in self.metrics),
            )
            for one in self.versions
        ]
        return Table(("version", "aliases", *titles), rows, right=titles, noun="version")

    def _cell(self, one: ModelVersion, metric: str, best: Collection[str]) -> str:
        if metric not in one.metrics:
            return MISSING
        text = number_text(one.metrics[metric])
        # With one version, or all equal, the star would say nothing.
        is_marked = one.version in best and len(best) < len(self._values(metric))
        return f"{_BEST} {text}" if is_marked else text


@dataclass(frozen=True)
class Difference:
    """One thing that two versions do not share.

    Parameters
    ----------
    part
        ``"model"``, ``"parameters"``, ``"metrics"``, ``"schema"``, ``"libraries"`` or ``"data"``.
    name
        Which of them.
    before
        In the first version; ``None`` when it has no such thing.
    after
        In the second version.
    """

    part: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, repr=False)
class VersionDiff(ReprMixin):
    """What is different between two versions.

    Parameters
    ----------
    first, second
        The names of the versions.
    differences
        What they do not share, part by part.
    """

    first: str
    second: str
    differences: tuple[Difference, ...]

    def __len__(self) -> int:
        return len(self.differences)

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write a line for each difference."""
        if not self.differences:
            return f"{self.first} and {self.second}: {_NO_CHANGE}"
        return self._table().to_text()

    def to_html(self) -> str:
        """Write a row for each difference."""
        return self._table().to_html()

    def _table(self) -> Table:
        rows = [
            (each.part, each.name, each.before or MISSING, each.after or MISSING)
            for each in self.differences
        ]
        columns = ("part", "name", self.first, self.second)
        return Table(columns, rows or [(_NO_CHANGE, "", "", "")], noun="difference")


def difference_of(first: ModelVersion, second: ModelVersion) -> VersionDiff:
    """Compare two versions, part by part."""
    found: list[Difference] = []
    for part, before in _parts(first).items():
        after = _parts(second)[part]
        found += (
            Difference(part, name, before.get(name), after.get(name))
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        )
    return VersionDiff(first.version, second.version, tuple(found))


def _parts(one: ModelVersion) -> dict[str, Mapping[str, str]]:
    signature = one.signature
    schema = {}
    if signature is not None:
        schema = {
            name: ", ".join(filter(None, (words, note)))
            for name, words, note in signature.describe()
        }
    return {
        "model": {"type": one.model_type, "description": one.description},
        "parameters": one.parameters,
        "metrics": {name: _metric_text(value) for name, value in one.metrics.items()},
        "schema": schema,
        "libraries": one.libraries,
        "data": {name: _data_text(value) for name, value in one.data.items()},
    }


def _metric_text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _data_text(value: object) -> str:
    text = str(value)
    return text.removeprefix("sha256:")[:12] if text.startswith("sha256:") else text
