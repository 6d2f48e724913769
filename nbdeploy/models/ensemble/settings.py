"""How an ensemble combines its members, checked when it is made."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nbdeploy.models.ensemble.combining import COMBINATIONS
from nbdeploy.models.ensemble.member import Member

__all__ = ["OnFailure", "Settings", "checked_members", "checked_settings"]

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
