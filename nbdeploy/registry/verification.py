"""Whether what is kept is what was saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.display.units import counted

__all__ = ["Verification"]

_FINE = "as it was saved"


@dataclass(frozen=True, repr=False)
class Verification(ReprMixin):
    """What was found when every byte of some versions was compared.

    Parameters
    ----------
    found
        For each version or alias, what is wrong with it; nothing, if all is well.
    """

    found: Mapping[str, tuple[str, ...]]

    @property
    def ok(self) -> bool:
        """Whether all is as it was saved."""
        return not self.problems

    @property
    def problems(self) -> dict[str, tuple[str, ...]]:
        """What is not as it was saved, and why."""
        return {name: problems for name, problems in self.found.items() if problems}

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write a line for each version."""
        return "\n".join([self._summary(), *([self._table().to_text()] if self.found else [])])

    def to_html(self) -> str:
        """Write a row for each version."""
        return self._table().to_html()

    def _summary(self) -> str:
        if self.ok:
            return f"{counted(len(self.found), 'version')}, all as they were saved."
        return f"{counted(len(self.found), 'version')}, {len(self.problems)} damaged."

    def _table(self) -> Table:
        rows = [(name, " ".join(problems) or _FINE) for name, problems in self.found.items()]
        return Table(("version", "found"), rows, limit=max(len(rows), 1), noun="version")
