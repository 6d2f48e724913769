"""How far the student is in the whole course, as a card."""

from __future__ import annotations

from dataclasses import dataclass

from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.teach.language import translate
from nbdeploy.teach.markup import as_html
from nbdeploy.teach.records import PROGRESS, StepRecord
from nbdeploy.teach.steps import lesson_title, lessons_in_order, steps_of

__all__ = ["Course", "LessonProgress", "progress"]


@dataclass(frozen=True, slots=True)
class LessonProgress:
    """What is known of the steps of one lesson.

    Parameters
    ----------
    lesson
        Its name: "04", "ex2".
    title
        What it is about.
    records
        Of every step, in order, tried or not.
    """

    lesson: str
    title: str
    records: tuple[StepRecord, ...]

    @property
    def passed(self) -> int:
        """How many steps were passed."""
        return sum(record.passed for record in self.records)

    @property
    def next_step(self) -> StepRecord | None:
        """The first step that was not passed; ``None`` if all were."""
        return next((record for record in self.records if not record.passed), None)

    @property
    def marks(self) -> str:
        """A filled circle for each step that was passed, an empty one for each other."""
        return "".join("●" if record.passed else "○" for record in self.records)


@dataclass(frozen=True, repr=False)
class Course(ReprMixin):
    """The lessons in their order: what `progress` returns."""

    lessons: tuple[LessonProgress, ...]

    @property
    def passed(self) -> int:
        """How many steps were passed."""
        return sum(lesson.passed for lesson in self.lessons)

    @property
    def total(self) -> int:
        """How many steps there are."""
        return sum(len(lesson.records) for lesson in self.lessons)

    @property
    def next_step(self) -> StepRecord | None:
        """What to do next: after the last step that was passed, or the first one that is open."""
        begun = [place for place, lesson in enumerate(self.lessons) if lesson.passed]
        start = max(begun, default=0)
        ahead = (*self.lessons[start:], *self.lessons[:start])
        return next((lesson.next_step for lesson in ahead if lesson.next_step), None)

    @property
    def summary(self) -> str:
        """The card in one sentence or two."""
        done = translate(f"{self.passed} of {self.total} steps passed.")
        following = self.next_step
        if following is None:
            return f"{done} {translate('You are through.')}"
        title = f"{following.title[:1].lower()}{following.title[1:]}"
        return f"{done} {translate(f'Next: {following.step}, {title}.')}"

    def __repr__(self) -> str:
        return f"{self._table().to_text()}\n{self.summary}"

    def to_html(self) -> str:
        """Write the lessons as a table, with what to do next below it."""
        return fragment(self._table().element(), element("b", as_html(self.summary)))

    def _table(self) -> Table:
        rows = [
            (
                one.lesson,
                translate(one.title),
                one.marks,
                f"{one.passed} {translate('of')} {len(one.records)}",
            )
            for one in self.lessons
        ]
        columns = [translate(name) for name in ("lesson", "what", "steps", "passed")]
        return Table(columns, rows, right=columns[-1:], noun="lesson")


def progress() -> Course:
    """Show how far you are in the course, in all notebooks that you worked in.

    Returns
    -------
    The lessons with their steps. In a notebook it shows itself as a table.

    Examples
    --------
    >>> from nbdeploy.teach import progress
    >>> [lesson.lesson for lesson in progress().lessons][:3]
    ['00', 'quickstart', '01']
    """
    known = PROGRESS.records()
    return Course(
        tuple(
            LessonProgress(
                lesson,
                lesson_title(lesson),
                tuple(
                    known.get(each.name, StepRecord(each.name, each.title))
                    for each in steps_of(lesson)
                ),
            )
            for lesson in lessons_in_order()
        )
    )
