"""How an ensemble combines its members, checked when it is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.ensemble.combining import COMBINATIONS, classes_of_all
from nbdeploy.models.ensemble.member import Member

__all__ = [
    "OnFailure",
    "Settings",
    "checked_members",
    "checked_settings",
    "common_classes",
    "refuse_unequal_widths",
]

OnFailure = Literal["drop", "raise"]

_SURE = 0.8


@dataclass(frozen=True)
class Settings:
    """What an ensemble is made with, beside its members.

    Parameters
    ----------
    combine
        How answers become one.
    weights
        What each member counts.
    threshold
        For a cascade, the probability from which on an answer is sure.
    deadline
        Seconds that members have, all together.
    on_failure
        What becomes of a member that fails or is late.
    """

    combine: str
    weights: Mapping[str, float]
    threshold: float = _SURE
    deadline: float | None = None
    on_failure: str = "drop"


def checked_members(members: Any) -> list[Member]:
    """Make the members of an ensemble.

    Raises
    ------
    ValueError
        There is none, or a name is no text.
    UnsupportedModelError, UnfittedModelError
        One of them cannot predict.
    """
    if not isinstance(members, Mapping) or not members:
        message = (
            f"An ensemble needs members and got {members!r:.80}. Give at least one model under a "
            'name: Ensemble({"forest": forest, "boosting": boosting}).'
        )
        raise ValueError(message)
    for name in members:
        if not isinstance(name, str) or not name.strip():
            message = f"A member is called {name!r}. Expected a text, such as 'forest'."
            raise ValueError(message)
    return [Member(name, model) for name, model in members.items()]


def checked_settings(
    combine: object,
    names: Sequence[str],
    *,
    weights: object,
    threshold: float | None,
    deadline: float | None,
    on_failure: object,
    has_final: bool,
) -> Settings:
    """Check how an ensemble shall work.

    Raises
    ------
    ValueError
        Something is unknown, missing or impossible.
    """
    if combine not in COMBINATIONS:
        near = difflib.get_close_matches(str(combine), COMBINATIONS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        message = (
            f"combine={combine!r} is unknown. Expected one of {', '.join(COMBINATIONS)}.{hint}"
        )
        raise ValueError(message)
    if on_failure not in ("drop", "raise"):
        message = f"on_failure={on_failure!r} is unknown. Expected 'drop' or 'raise'."
        raise ValueError(message)
    if deadline is not None and not deadline > 0:
        message = f"deadline={deadline!r} is no time. Expected seconds, such as 0.2, or None."
        raise ValueError(message)
    if threshold is not None and not 0 < threshold <= 1:
        message = f"threshold={threshold!r} is no probability. Expected more than 0, at most 1."
        raise ValueError(message)
    if has_final != (combine == "stack"):
        message = (
            "combine='stack' needs a final= model, and only it takes one. It learns from the "
            "members' answers: Ensemble(..., combine='stack', final=model).fit_final(X, y)."
        )
        raise ValueError(message)
    if combine == "weighted" and weights is None:
        message = f"combine='weighted' needs weights=, such as {dict.fromkeys(names, 1.0)!r:.120}."
        raise ValueError(message)
    return Settings(
        combine=str(combine),
        weights=_weights(weights, names),
        threshold=_SURE if threshold is None else float(threshold),
        deadline=None if deadline is None else float(deadline),
        on_failure=str(on_failure),
    )


def _weights(given: Any, names: Sequence[str]) -> dict[str, float]:
    if given is None:
        return dict.fromkeys(names, 1.0)
    weights = dict(given) if isinstance(given, Mapping) else dict(zip(names, given, strict=False))
    is_whole = set(weights) == set(names) and len(given) == len(names)
    is_sound = is_whole and all(0 <= weight < float("inf") for weight in weights.values())
    if not is_sound or sum(weights.values()) == 0:
        message = (
            f"weights={given!r:.120} do not fit. Expected one number of 0 or more for each of "
            f"{', '.join(names)}, and not all 0."
        )
        raise ValueError(message)
    return {name: float(weights[name]) for name in names}


def common_classes(members: Sequence[Member], combine: str) -> list[Any] | None:
    """Unite the classes of all members; ``None`` if they answer with numbers.

    Raises
    ------
    ValueError
        The combination needs probabilities that nobody gives, or two members have not one class
        in common.
    """
    known = {each.name: each.classes for each in members if each.classes is not None}
    needs_shares = combine in ("soft_vote", "cascade")
    if needs_shares and not any(each.tells_shares for each in members):
        message = (
            f"combine={combine!r} needs probabilities, and no member has predict_proba. Take "
            "'hard_vote' for members that name classes, 'mean' for members that give numbers."
        )
        raise ValueError(message)
    (first, labels), *others = known.items() or [("", None)]
    for name, theirs in others:
        if labels is not None and theirs is not None and not set(labels) & set(theirs):
            message = (
                f"The members {first!r} and {name!r} have no class in common: {labels!r:.80} and "
                f"{theirs!r:.80}. Fit both on the same labels."
            )
            raise ValueError(message)
    return classes_of_all([each for each in known.values() if each]) if known else None


def refuse_unequal_widths(members: Sequence[Member]) -> None:
    """Refuse members that no row fits.

    Raises
    ------
    SignatureError
        They take rows of different widths.
    """
    named = {name for each in members for name in each.names or ()}
    widths = {each.name: each.width for each in members if not each.names and each.width}
    if named:
        widths["all that have column names together"] = len(named)
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name}: {width}" for name, width in widths.items())
        message = (
            f"The members take rows of different widths ({listed}). Fit all on the same columns, "
            "or on DataFrames, whose names tell which columns each needs."
        )
        raise SignatureError(message)
