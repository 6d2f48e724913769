"""What was checked, how often, and when it passed; and the report to hand in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.teach.kept_records import KeptRecords
from nbdeploy.teach.language import translate
from nbdeploy.teach.steps import Step, UnknownStepError, find_step, lesson_of, steps_of

__all__ = ["PROGRESS", "Progress", "Report", "StepRecord", "report", "reset"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What is known of one step.

    Parameters
    ----------
    step
        Its name.
    title
        What the student does in it.
    attempts
        How often it was checked.
    first_passed_at
        When the check passed for the first time, in UTC; ``None`` if it never did.
    """

    step: str
    title: str
    attempts: int = 0
    first_passed_at: datetime | None = None

    @property
    def passed(self) -> bool:
        """Whether the step was passed at least once."""
        return self.first_passed_at is not None

    @property
    def state(self) -> str:
        """The record in one word or two: passed, not yet, not tried."""
        if self.passed:
            return "passed"
        return "not yet" if self.attempts else "not tried"


@dataclass(frozen=True, repr=False)
class Report(ReprMixin):
    """The records of all steps of the lessons that were begun."""

    records: tuple[StepRecord, ...]

    @property
    def passed(self) -> int:
        """How many steps were passed."""
        return sum(record.passed for record in self.records)

    def to_dict(self, *, written_at: datetime) -> dict[str, Any]:
        """Give what the report file holds.

        Parameters
        ----------
        written_at
            When the report is written, in UTC.
        """
        return {
            "nbdeploy": version("nbdeploy"),
            "written_at": _in_utc(written_at),
            "passed": self.passed,
            "steps": [
                {
                    "step": record.step,
                    "title": record.title,
                    "passed": record.passed,
                    "attempts": record.attempts,
                    "first_passed_at": _in_utc(record.first_passed_at),
                }
                for record in self.records
            ],
        }

    def __repr__(self) -> str:
        return f"{self._table().to_text()}\n{self._count()}"

    def to_html(self) -> str:
        """Write the steps as a table."""
        return fragment(self._table().element(), element("div", self._count()))

    def _count(self) -> str:
        return translate(f"{self.passed} of {len(self.records)} steps passed")

    def _table(self) -> Table:
        rows = [
            (one.step, translate(one.title), translate(one.state), str(one.attempts))
            for one in self.records
        ]
        columns = [translate(name) for name in ("step", "what", "state", "attempts")]
        return Table(columns, rows, right=columns[-1:], noun="step")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Progress:
    """The attempts of the student in every kernel, and the hints that were asked for in this one.

    Parameters
    ----------
    clock
        Gives the time in UTC.
    kept
        Where attempts outlive the kernel; ``None`` keeps them in memory only.
    """

    clock: Callable[[], datetime] = _now
    kept: KeptRecords | None = None
    _records: dict[str, StepRecord] = field(default_factory=dict)
    _rungs: dict[str, int] = field(default_factory=dict)

    def records(self) -> dict[str, StepRecord]:
        """Give what is known of every step that was tried; steps that are no more are left out."""
        if self.kept is not None:
            found = {name: _record_of(name, facts) for name, facts in self.kept.read().items()}
            # What this kernel knows and could not write down stays.
            self._records |= {name: record for name, record in found.items() if record is not None}
        return self._records

    def record(self, step: Step, *, passed: bool) -> None:
        """Count one attempt; the time of the first success stays."""
        known = self.records().get(step.name, StepRecord(step.name, step.title))
        first = known.first_passed_at or (self.clock() if passed else None)
        made = StepRecord(step.name, step.title, known.attempts + 1, first)
        self._records[step.name] = made
        if self.kept is not None:
            self.kept.write(step.name, {"attempts": made.attempts, "passed_at": _in_utc(first)})

    def climb(self, step: Step) -> int:
        """Go one rung up the ladder of hints; give how many rungs may be read now."""
        self._rungs[step.name] = min(self._rungs.get(step.name, 0) + 1, len(step.hints))
        return self._rungs[step.name]

    def forget(self, step: str | None = None) -> None:
        """Forget a step, or all of them."""
        if self.kept is not None:
            self.kept.forget(step)
        for known in (self._records, self._rungs):
            if step is None:
                known.clear()
            else:
                known.pop(step, None)

    def report(self) -> Report:
        """Give the records of every lesson in which a step was tried, in order."""
        records = self.records()
        lessons = sorted({lesson_of(name) for name in records})
        return Report(
            tuple(
                records.get(step.name, StepRecord(step.name, step.title))
                for lesson in lessons
                for step in steps_of(lesson)
            )
        )


PROGRESS = Progress(kept=KeptRecords())


def report(path: str | os.PathLike[str] = "report.json") -> Report:
    """Write a small file for the teacher, and show what it says.

    Parameters
    ----------
    path
        Where to write; folders are made, an old report is replaced in one step.

    Returns
    -------
    The report. In a notebook it shows itself as a table.
    """
    found = PROGRESS.report()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    _write(Path(path), json.dumps(found.to_dict(written_at=PROGRESS.clock()), indent=2) + "\n")
    return found


def reset(step: str | None = None) -> None:
    """Begin again: forget the attempts, and start the hints at the first one.

    Parameters
    ----------
    step
        The name of a step; all steps if it is left out.

    Raises
    ------
    UnknownStepError
        If there is no such step.
    """
    PROGRESS.forget(None if step is None else find_step(step).name)


def _write(path: Path, text: str) -> None:
    # Written beside and renamed: whoever reads meanwhile sees the old report or the new one.
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _record_of(name: str, facts: dict[str, Any]) -> StepRecord | None:
    try:
        title = find_step(name).title
        moment = facts.get("passed_at")
        passed_at = None if moment is None else datetime.fromisoformat(moment)
        return StepRecord(name, title, int(facts["attempts"]), passed_at)
    except (UnknownStepError, KeyError, TypeError, ValueError):
        return None  # of another version of nbdeploy, or not written by it


def _in_utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
