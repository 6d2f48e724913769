"""The table of versions, as a notebook shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbdeploy.display.html import element, fragment, visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table, shortened
from nbdeploy.display.units import counted, file_size
from nbdeploy.registry.metrics import moment, number_text
from nbdeploy.registry.version import ModelVersion

__all__ = ["Overview"]

_MOST_METRICS = 6
_DESCRIPTION = 60


@dataclass(frozen=True, repr=False)
class Overview(ReprMixin):
    """All versions, the oldest first.

    Parameters
    ----------
    name
        What they are versions of.
    versions
        The versions.
    unreadable
        Why others cannot be read.
    has_several_places
        Whether they come from several places, so that each row tells which.
    """

    name: str
    versions: Sequence[ModelVersion]
    unreadable: Mapping[str, str]
    has_several_places: bool = False

    def to_text(self) -> str:
        """Write the versions without their times, so that notebooks can be compared."""
        lines = [self._title()]
        if self.versions:
            lines += [f"  {line}" for line in self._table(with_times=False).to_text().split("\n")]
        return "\n".join([*lines, *(f"  {visible(note)}" for note in self._notes())])

    def to_html(self) -> str:
        """Write the versions as a table."""
        head = element(
            "div",
            element("strong", element("bdi", shortened(self.name)), class_="nbd-name"),
            " ",
            element("span", counted(len(self.versions), "version"), class_="nbd-quiet"),
            class_="nbd-head",
        )
        table = None
        if self.versions:
            table = element("div", self._table(with_times=True).element(), class_="nbd-scroll")
        notes = (element("p", note, class_="nbd-note") for note in self._notes())
        return fragment(head, table, *notes)

    def _title(self) -> str:
        return f"{visible(shortened(self.name))}: {counted(len(self.versions), 'version')}"

    def _notes(self) -> list[str]:
        notes = [f"Not listed: {shortened(problem)}" for problem in self.unreadable.values()]
        if not self.versions and not notes:
            notes = ["Save one with save_model_version(model, '1.0', metrics={...})."]
        return notes

    def _table(self, *, with_times: bool) -> Table:
        names = (name for one in self.versions for name in one.metrics)
        metrics = tuple(dict.fromkeys(names))[:_MOST_METRICS]
        columns = ["version", "aliases", *metrics, "model", "size"]
        columns += ["created"] if with_times else []
        columns += ["in"] if self.has_several_places else []
        columns += ["description"]
        rows = [self._row(one, metrics, with_times=with_times) for one in self.versions]
        return Table(columns, rows, right=(*metrics, "size"), noun="version")

    def _row(self, one: ModelVersion, metrics: Sequence[str], *, with_times: bool) -> list[str]:
        cells = [one.version, ", ".join(one.aliases)]
        cells += [number_text(one.metrics[name]) if name in one.metrics else "" for name in metrics]
        cells += [one.model_type, file_size(one.size)]
        cells += [moment(one.created_at)] if with_times else []
        cells += [one.place] if self.has_several_places else []
        return [*cells, shortened(one.description, _DESCRIPTION)]
