"""How answers of members become one answer: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

__all__ = [
    "COMBINATIONS",
    "Combination",
    "align",
    "average",
    "classes_of_all",
    "disagreement",
    "median",
    "one_hot",
    "side_by_side",
]

Combination = Literal[
    "soft_vote", "hard_vote", "mean", "weighted", "median", "stack", "cascade", "fallback"
]
COMBINATIONS: tuple[str, ...] = get_args(Combination)

Array = npt.NDArray[Any]


def classes_of_all(classes: Sequence[Sequence[Any]]) -> list[Any]:
    """Unite the classes of members: sorted where they can be, else in the order they appear.

    Examples
    --------
    >>> classes_of_all([["no", "yes"], ["yes", "maybe"]])
    ['maybe', 'no', 'yes']
    """
    united = list(dict.fromkeys(label for each in classes for label in each))
    try:
        return sorted(united)
    except TypeError:
        return united


def align(probabilities: Array, known: Sequence[Any], classes: Sequence[Any]) -> Array:
    """Bring the columns of probabilities to the order of all classes.

    A class that a member never saw has no probability in its eyes.

    Examples
    --------
    >>> align(np.array([[0.9, 0.1]]), ["yes", "no"], ["maybe", "no", "yes"])
    array([[0. , 0.1, 0.9]])
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(known):  # noqa: PLR2004 -- rows and columns
        message = (
            f"its probabilities have the shape {probabilities.shape}, and it knows "
            f"{len(known)} classes"
        )
        raise ValueError(message)
    aligned = np.zeros((len(probabilities), len(classes)))
    places = {label: place for place, label in enumerate(classes)}
    aligned[:, [places[label] for label in known]] = probabilities
    return aligned


def one_hot(labels: Any, classes: Sequence[Any]) -> Array:
    """Give a whole vote to the class that was named for each row.

    Examples
    --------
    >>> one_hot(["b", "a"], ["a", "b"])
    array([[0., 1.],
           [1., 0.]])
    """
    named = np.asarray(labels, dtype=object).tolist()
    places = {label: place for place, label in enumerate(classes)}
    votes = np.zeros((len(named), len(classes)))
    for row, label in enumerate(named):
        place = places.get(label) if not isinstance(label, (list, dict)) else None
        if place is None:
            message = (
                f"it answered {label!r:.80}, which is none of the classes {list(classes)!r:.200}"
            )
            raise ValueError(message)
        votes[row, place] = 1.0
    return votes


def average(answers: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Average answers by weight; the weights of those that are missing fall to the others.

    Examples
    --------
    >>> average({"a": np.array([1.0]), "b": np.array([4.0])}, {"a": 2, "b": 1, "absent": 9})
    array([2.])
    """
    total = sum(weights[name] for name in answers)
    if total == 0:
        # Only members without weight are left: they are all that there is.
        return np.asarray(np.mean(list(answers.values()), axis=0))
    weighted = [weights[name] / total * answer for name, answer in answers.items()]
    return np.asarray(np.sum(weighted, axis=0))


def median(answers: Mapping[str, Array], *, are_shares: bool) -> Array:
    """Take the middle answer; shares are made to add up to one again.

    Examples
    --------
    >>> answers = {"a": np.array([1.0]), "b": np.array([90.0]), "c": np.array([2.0])}
    >>> median(answers, are_shares=False)
    array([2.])
    """
    middle = np.median(list(answers.values()), axis=0)
    if not are_shares:
        return np.asarray(middle)
    total = middle.sum(axis=1, keepdims=True)
    even = np.full_like(middle, 1 / middle.shape[1])
    return np.asarray(np.divide(middle, total, out=even, where=total > 0))


def side_by_side(answers: Mapping[str, Array], names: Sequence[str]) -> Array:
    """Put the answers of members beside each other, as a final model takes them.

    A member that is missing stands for the mean of the others.

    Examples
    --------
    >>> side_by_side({"b": np.array([2.0]), "a": np.array([1.0])}, ["a", "b", "c"])
    array([[1. , 2. , 1.5]])
    """
    middle = np.mean(list(answers.values()), axis=0)
    columns = [answers.get(name, middle).reshape(len(middle), -1) for name in names]
    return np.concatenate(columns, axis=1)


def disagreement(answer: Array, combined: Array, *, are_shares: bool) -> float:
    """Tell how far one answer is from the combined one.

    Examples
    --------
    >>> disagreement(np.array([1.0, 2.0]), np.array([1.0, 4.0]), are_shares=False)
    1.0
    """
    if are_shares:
        return float(np.mean(answer.argmax(axis=1) != combined.argmax(axis=1)))
    return float(np.mean(np.abs(answer - combined)))
