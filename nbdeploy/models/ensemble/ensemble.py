"""Several models of any kind that answer as one: exercise 5 of the chapter, complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np

from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import PredictionError, UnfittedModelError
from nbdeploy.models.adapters.numbers import labels_of
from nbdeploy.models.ensemble import combining
from nbdeploy.models.ensemble.asking import (
    Answer,
    Ask,
    Clock,
    ask_all,
    ask_one,
    failure_of,
    rows_at,
)
from nbdeploy.models.ensemble.combining import Combination
from nbdeploy.models.ensemble.member import Member
from nbdeploy.models.ensemble.member_log import MemberCall, MemberLog
from nbdeploy.models.ensemble.settings import (
    OnFailure,
    Settings,
    checked_members,
    checked_settings,
    common_classes,
    refuse_unequal_widths,
)
from nbdeploy.models.predictor import Predictor, predictor_for

__all__ = ["Ensemble"]

_VOTES = "hard_vote"
_SEQUENTIAL = ("cascade", "fallback")


class Ensemble(ReprMixin):
    """Several models that answer as one, and are deployed, saved and versioned like one.

    Members may be of different libraries, plain functions, other ensembles, or a `Client` of a
    service elsewhere. Each gets the columns that it was fitted on. Classes are matched by their
    labels, in whatever order a member has them.

    Parameters
    ----------
    members
        The models by their names, in the order in which a cascade or a fallback asks them.
    combine
        ``"soft_vote"`` averages probabilities, ``"hard_vote"`` counts named classes, ``"mean"``,
        ``"weighted"`` and ``"median"`` combine numbers (probabilities, if the members know
        classes), ``"stack"`` lets a final model decide, ``"cascade"`` asks the next member only
        for rows of which the one before is not sure, ``"fallback"`` only if the one before fails.
    weights
        What each member counts, by name or in order.
    final
        For ``"stack"``, the model that takes the members' answers; see `fit_final`.
    threshold
        For ``"cascade"``, the probability from which on an answer is sure; 0.8 if not given.
    deadline
        Seconds that the members have, all together. One that is late is treated as one that fails.
    on_failure
        ``"drop"`` answers with the members that are left, ``"raise"`` fails.
    observer
        Is told of every call of a member.

    Raises
    ------
    ValueError
        There are no members, or the options do not fit together.
    SignatureError
        The members take rows of different widths.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"]
    >>> ensemble = Ensemble({
    ...     "line": LogisticRegression().fit(X, y),
    ...     "tree": DecisionTreeClassifier().fit(X, y),
    ... })
    >>> ensemble.predict([[2.5]]).tolist()
    ['yes']
    >>> ensemble
    Ensemble(soft_vote of line: LogisticRegression, tree: DecisionTreeClassifier)
    """

    model_type = "Ensemble"

    def __init__(
        self,
        members: Mapping[str, Any],
        combine: Combination = "soft_vote",
        *,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        final: Any = None,
        threshold: float | None = None,
        deadline: float | None = None,
        on_failure: OnFailure = "drop",
        observer: Callable[[MemberCall], None] | None = None,
    ) -> None:
        self._members = checked_members(members)
        names = [member.name for member in self._members]
        self.settings: Settings = checked_settings(
            combine,
            names,
            weights=weights,
            threshold=threshold,
            deadline=deadline,
            on_failure=on_failure,
            has_final=final is not None,
        )
        self.final = final
        self.log = MemberLog(names)
        self.observer = observer
        self._known = common_classes(self._members, self.settings.combine)
        refuse_unequal_widths(self._members)

    @property
    def members(self) -> dict[str, Any]:
        """The models by their names."""
        return {member.name: member.model for member in self._members}

    @property
    def parts(self) -> tuple[Member, ...]:
        """The members with what they need."""
        return tuple(self._members)

    @property
    def classes(self) -> list[Any] | None:
        """The labels in the order of the columns of the probabilities."""
        final = self._final()
        return final.classes if final is not None else self._known

    @property
    def methods(self) -> tuple[str, ...]:
        """What it can be asked."""
        final = self._final()
        if final is not None:
            return tuple(name for name in final.methods if name in ("predict", "predict_proba"))
        if self._known is None or self.settings.combine == _VOTES:
            return ("predict",)
        return ("predict", "predict_proba")

    def predict(self, batch: Any) -> Any:
        """Predict a batch."""
        return self.call("predict", batch)

    def predict_proba(self, batch: Any) -> Any:
        """Predict the probability of each of `classes`."""
        return self.call("predict_proba", batch)

    def call(self, method: str, batch: Any) -> Any:
        """Answer a batch, one answer a row.

        Raises
        ------
        PredictionError
            The members that answered are not enough; the error of one is the cause.
        DeadlineError
            None answered in time, or one did not and shall not be left out.
        """
        if method not in self.methods:
            message = f"This ensemble has no {method!r}; it answers {', '.join(self.methods)}."
            raise PredictionError(message)
        if self.settings.combine == "cascade":
            answers, combined = self._cascade(batch)
        elif self.settings.combine == "fallback":
            answers, combined = self._fallback(batch)
        else:
            answers = ask_all(self._members, self._ask(batch), self.settings.deadline)
            try:
                combined = self._combined(self._usable(answers), method)
            except PredictionError:
                self._tell(answers, None, len(batch))
                raise
        self._tell(answers, combined, len(batch))
        return self._as_answer(combined, method)

    def fit_final(self, rows: Any, truth: Any) -> Self:
        """Fit the final model of a stack on what the members answer.

        Parameters
        ----------
        rows
            Rows that the members were not fitted on: of those that they know they are too sure.
        truth
            The right answer for each.
        """
        if self.final is None:
            message = "Only combine='stack' has a final model to fit."
            raise ValueError(message)
        self.final.fit(self.stack_features(rows), truth)
        return self

    def stack_features(self, rows: Any) -> np.ndarray[Any, Any]:
        """Give what a final model takes: the members' answers, one beside the other."""
        answers = self._usable(ask_all(self._members, self._ask(rows), self.settings.deadline))
        return combining.side_by_side(answers, [member.name for member in self._members])

    def require_fitted(self) -> None:
        """Refuse a stack whose final model was not fitted.

        Raises
        ------
        UnfittedModelError
            It was not.
        """
        if self.final is None:
            return
        try:
            predictor_for(self.final)
        except UnfittedModelError as error:
            message = f"The final model of this stack cannot predict yet: {error}"
            message += " Call ensemble.fit_final(X, y), with rows that no member was fitted on."
            raise UnfittedModelError(message) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.members, self.settings, self.final)

    def __repr__(self) -> str:
        listed = ", ".join(f"{each.name}: {each.predictor.model_type}" for each in self._members)
        return f"Ensemble({self.settings.combine} of {listed})"

    def to_html(self) -> str:
        """Write the members as a table."""
        weights = self.settings.weights
        rows = [
            (each.name, each.predictor.model_type, f"{weights[each.name]:g}")
            for each in self._members
        ]
        return Table(("member", "model", "weight"), rows, right=("weight",)).to_html()

    def _final(self) -> Predictor | None:
        return None if self.final is None else predictor_for(self.final)

    def _ask(self, batch: Any) -> Ask:
        """Choose what members are asked: for shares, votes, numbers or whatever they say."""
        known, combine = self._known, self.settings.combine
        if combine == _VOTES:
            if known is None:
                return lambda member: member.labels(batch)
            return lambda member: member.votes(batch, known)
        if known is not None:
            return lambda member: member.shares(batch, known)
        if combine == "fallback":
            return lambda member: member.labels(batch)
        return lambda member: member.numbers(batch)

    def _usable(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """Give the answers that count.

        Raises
        ------
        PredictionError, DeadlineError
            A member must not be left out, or none is left.
        """
        good = {answer.member: answer.value for answer in answers if answer.outcome == "ok"}
        bad = [answer for answer in answers if answer.outcome != "ok"]
        if bad and (self.settings.on_failure == "raise" or not good):
            raise failure_of(bad, is_alone=not good)
        return good

    def _combined(self, answers: dict[str, Any], method: str) -> Any:
        combine, known = self.settings.combine, self._known
        if combine == "stack":
            features = combining.side_by_side(answers, [each.name for each in self._members])
            final = self._final()
            assert final is not None, "a stack has a final model"
            return _Decided(final.call(method, features))
        if combine == _VOTES and known is None:
            return self._count_labels(answers)
        if combine == "median":
            return combining.median(answers, are_shares=known is not None)
        return combining.average(answers, self.settings.weights)

    def _count_labels(self, answers: dict[str, list[Any]]) -> Any:
        """Count votes of members that tell their classes only by naming them."""
        classes = combining.classes_of_all(list(answers.values()))
        votes = {name: combining.one_hot(each, classes) for name, each in answers.items()}
        counted = combining.average(votes, self.settings.weights)
        return _Decided(labels_of(counted.argmax(axis=1), classes))

    def _cascade(self, batch: Any) -> tuple[list[Answer], Any]:
        assert self._known is not None, "checked when it was made"
        combined = np.full((len(batch), len(self._known)), np.nan)
        open_rows = np.arange(len(batch))
        answers: list[Answer] = []
        clock = Clock(self.settings.deadline)
        for place, member in enumerate(self._members):
            part = rows_at(batch, open_rows)
            left = clock.share(1 if place == len(self._members) - 1 else 0)
            answer = ask_one(member, self._ask(part), left)
            answers.append(answer)
            if answer.outcome == "ok":
                combined[open_rows] = answer.value
                is_sure = answer.value.max(axis=1) >= self.settings.threshold
                open_rows = open_rows[~is_sure]
            elif self.settings.on_failure == "raise":
                break
            if not len(open_rows):
                break
        bad = [answer for answer in answers if answer.outcome != "ok"]
        if bad and (self.settings.on_failure == "raise" or np.isnan(combined).any()):
            self._tell(answers, None, len(batch))
            raise failure_of(bad, is_alone=self.settings.on_failure != "raise")
        return answers, combined

    def _fallback(self, batch: Any) -> tuple[list[Answer], Any]:
        answers: list[Answer] = []
        clock = Clock(self.settings.deadline)
        for place, member in enumerate(self._members):
            left = clock.share(len(self._members) - place)
            answer = ask_one(member, self._ask(batch), left)
            answers.append(answer)
            if answer.outcome == "ok":
                is_plain = self._known is None
                return answers, _Decided(answer.value) if is_plain else answer.value
            if self.settings.on_failure == "raise":
                break
        self._tell(answers, None, len(batch))
        raise failure_of(answers, is_alone=self.settings.on_failure != "raise")

    def _as_answer(self, combined: Any, method: str) -> Any:
        if isinstance(combined, _Decided):
            return combined.output
        if self._known is None or method == "predict_proba":
            return combined
        return labels_of(combined.argmax(axis=1), self._known)

    def _tell(self, answers: Sequence[Answer], combined: Any, rows: int) -> None:
        is_array = isinstance(combined, np.ndarray)
        for answer in answers:
            value = answer.value
            distance = None
            if is_array and isinstance(value, np.ndarray) and value.shape == combined.shape:
                are_shares = self._known is not None
                distance = combining.disagreement(value, combined, are_shares=are_shares)
            asked = len(value) if value is not None else rows
            call = MemberCall(
                answer.member, answer.seconds, asked, answer.outcome, distance, answer.error
            )
            self.log.add(call)
            if self.observer is not None:
                self.observer(call)


class _Decided:
    """An answer that needs no further step."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _made(members: dict[str, Any], settings: Settings, final: Any) -> Ensemble:
    """Make an ensemble again that was saved."""
    return Ensemble(
        members,
        cast("Combination", settings.combine),
        weights=settings.weights,
        final=final,
        threshold=settings.threshold,
        deadline=settings.deadline,
        on_failure=cast("OnFailure", settings.on_failure),
    )
