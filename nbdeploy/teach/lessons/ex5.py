"""Exercise 5: an ensemble of several models."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from nbdeploy.exceptions import NbdeployError, UnfittedModelError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_MEASURES = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
_SAME = 1e-9
_ALIKE = 1e-6
_SURE = 0.95
_PATIENCE = 2.0
_LEAST_RIGHT = 0.85
_OLD, _NEW, _ALIAS = "1.0", "1.1", "production"


@step(
    "ex5.1",
    title="Average probabilities by class, not by place",
    hints=(
        "The first number of one member may belong to another class than that of the next.",
        "`dict(zip(classes, probabilities))` makes the places of a member into names.",
        "For each class: `sum(each.get(label, 0) for each in dicts) / len(members)`.",
    ),
)
def votes_are_aligned(soft_vote: Callable[[Any], Any]) -> str:
    """Ask for members whose classes stand in another order, or are missing."""
    cases: list[tuple[list[Any], dict[str, float]]] = [
        ([(["a", "b"], [0.25, 0.75])], {"a": 0.25, "b": 0.75}),
        ([(["a", "b"], [0.5, 0.5]), (["b", "a"], [0.9, 0.1])], {"a": 0.3, "b": 0.7}),
        (
            [(["a", "b"], [0.5, 0.5]), (["b", "c"], [0.5, 0.5])],
            {"a": 0.25, "b": 0.5, "c": 0.25},
        ),
    ]
    for members, wanted in cases:
        got = soft_vote(members)
        is_close = (
            isinstance(got, dict)
            and set(got) == set(wanted)
            and all(abs(got[label] - wanted[label]) < _SAME for label in wanted)
        )
        expect(
            is_close,
            expected=f"{wanted} for the members {members}",
            came=describe(got),
            look="the order of the classes, which each member has of its own",
        )
    return "probabilities are averaged by class, also for a class that one member never saw"


@step(
    "ex5.2",
    title="Make one model out of three",
    hints=(
        "An `Ensemble` takes a dict of models by name.",
        "The soft vote is the default.",
        '`ensemble = Ensemble({"tree": tree, "line": line, "near": near})`',
    ),
)
def three_answer_as_one(ensemble: Any) -> str:
    """Compare the probabilities with the mean of those of the members."""
    _expect_ensemble(ensemble, "soft_vote", {"tree", "line", "near"})
    rows, truth = _penguins()
    shares = ensemble.predict_proba(rows)
    apart = [
        model.predict_proba(rows[list(model.feature_names_in_)])
        for model in ensemble.members.values()
    ]
    mean = sum(apart) / len(apart)
    expect(
        abs(shares - mean).max() < _SAME,
        expected="the mean of the members' probabilities",
        came="other probabilities",
        look="`combine` and `weights` of your ensemble",
    )
    right = _share_right(ensemble, rows, truth)
    expect(
        right >= _LEAST_RIGHT,
        expected=f"at least {_LEAST_RIGHT:.0%} of the penguins right",
        came=f"{right:.0%}",
        look="the models that you gave, and under which names",
    )
    return f"three models answer as one, and name {right:.0%} of the penguins right"


@step(
    "ex5.3",
    title="Ask the costly model only when the cheap one is unsure",
    hints=(
        'The second argument of `Ensemble` says how to combine: "cascade".',
        "The members are asked in the order of the dict; `threshold=` says what sure means.",
        '`cascade = Ensemble({"tree": tree, "line": line}, "cascade", threshold=0.95)`',
    ),
)
def line_is_asked_only_when_needed(cascade: Any) -> str:
    """Count the rows that each member is asked."""
    _expect_ensemble(cascade, "cascade", {"tree", "line"})
    rows, _ = _penguins()
    before = _rows_asked(cascade)
    cascade.predict(rows)
    asked = {name: count - before[name] for name, count in _rows_asked(cascade).items()}
    shares = cascade.members["tree"].predict_proba(rows[list(_MEASURES[:2])])
    unsure = int((shares.max(axis=1) < _SURE).sum())
    expect(
        asked["tree"] == len(rows),
        expected=f"`tree` to be asked first, for all {len(rows)} penguins",
        came=f"{asked['tree']} rows for `tree`, {asked['line']} for `line`",
        look="the order of the members",
    )
    expect(
        asked["line"] == unsure,
        expected=f"`line` to be asked for the {unsure} penguins of which `tree` is not sure",
        came=f"{asked['line']} rows",
        look=f"`threshold=`: sure means at least {_SURE:.0%}",
    )
    return f"`line` is asked for {unsure} of {len(rows)} penguins"


@step(
    "ex5.4",
    title="Answer in time though one member fails and one is late",
    hints=(
        "`Ensemble(..., deadline=...)` takes the seconds that the members have together.",
        'What fails or is late is left out by default (`on_failure="drop"`).',
        'Deploy `Ensemble(members, deadline=0.5)` with `name="penguins", example=X_train`.',
    ),
)
def service_answers_in_time(service: Any) -> str:
    """Ask the service, with a watch."""
    expect_running(service)
    rows, truth = _penguins()
    started = time.perf_counter()
    try:
        answers = service.predict(rows)
    except NbdeployError as error:
        raise Mismatch(
            expected="an answer of the members that are left",
            came=f"{type(error).__name__}: {error}",
            look="`on_failure=` and `deadline=` of your ensemble",
        ) from None
    seconds = time.perf_counter() - started
    expect(
        seconds < _PATIENCE,
        expected="an answer in about half a second",
        came=f"one after {seconds:.1f} s",
        look="`deadline=` of your ensemble",
    )
    right = float((answers == truth).mean())
    expect(
        right >= _LEAST_RIGHT,
        expected=f"at least {_LEAST_RIGHT:.0%} of the penguins right",
        came=f"{right:.0%}",
        look="whether `tree` and `line` are members",
    )
    report = service.stats().get("members", {})
    blamed = {name for name, facts in report.items() if facts["errors"] or facts["late"]}
    expect(
        blamed == {"broken", "slow"},
        expected="`broken` and `slow` to be members, and the monitor to name them",
        came=f"the members {', '.join(report) or 'none'}, of which failed: {blamed or 'none'}",
        look="the dict of members that you deployed",
    )
    return f"an answer after {seconds:.1f} s, and the monitor names who failed and who was late"


@step(
    "ex5.5",
    title="Let a final model weigh the members",
    hints=(
        'The combination is called "stack"; it needs a `final=` model, not fitted yet.',
        "`stack.fit_final(rows, truth)` fits the final model alone.",
        "`stack.fit_final(X_test[:half], y_test[:half])`",
    ),
)
def stack_was_fitted_on_fresh_rows(stack: Any) -> str:
    """Ask for penguins, and look at how many rows the final model learned from."""
    _expect_ensemble(stack, "stack", {"tree", "line", "near"})
    rows, truth = _penguins()
    _expect_a_fitted_final(stack)
    features = stack.stack_features(rows.head(2))
    expect(
        getattr(stack.final, "n_features_in_", 0) == features.shape[1],
        expected=f"a final model of the members' {features.shape[1]} probabilities",
        came=f"one of {getattr(stack.final, 'n_features_in_', 'no')} features",
        look="`fit_final` fits it: do not call `fit` of the final model yourself",
    )
    expect(
        _learned_from_fresh_rows(stack),
        expected="a final model that learned from the first half of the test data",
        came="one that learned from other rows",
        look="the rows that you give to `fit_final`: the members know `X_train` by heart",
    )
    right = _share_right(stack, rows, truth)
    expect(
        right >= _LEAST_RIGHT,
        expected=f"at least {_LEAST_RIGHT:.0%} of the penguins right",
        came=f"{right:.0%}",
        look="whether the rows and the truth that you gave to `fit_final` belong together",
    )
    return f"the final model learned whom to trust: {right:.0%} of the penguins right"


@step(
    "ex5.6",
    title="Keep two ensembles as versions, and go back",
    hints=(
        "Lesson 2 does this with single models, and an ensemble is saved like one.",
        "Two calls of `set_alias`, then `versions.rollback('production')`.",
        "`versions.save_model_version(ensemble, '1.0', {}, example=X_train)`, then the stack.",
    ),
)
def ensembles_are_versions(versions: Any) -> str:
    """Load both from their files and ask them."""
    from nbdeploy.registry.version_control import ModelVersionControl  # noqa: PLC0415 -- heavy

    expect(
        isinstance(versions, ModelVersionControl),
        expected="a `ModelVersionControl`",
        came=describe(versions),
        look="`versions = ModelVersionControl(...)`",
    )
    rows, truth = _penguins()
    for name, combine in ((_OLD, "soft_vote"), (_NEW, "stack")):
        expect(
            name in versions,
            expected=f"a version {name!r}",
            came=f"the versions {', '.join(each.version for each in versions) or 'none'}",
            look="`versions.save_model_version(model, version, {}, example=X_train)`",
        )
        loaded = versions[name].load()
        _expect_ensemble(loaded, combine, {"tree", "line", "near"})
        _share_right(loaded, rows, truth)
    targets = [change.after for change in versions.history(_ALIAS)]
    expect(
        _NEW in targets and versions.aliases.get(_ALIAS) == _OLD,
        expected=f"{_ALIAS!r} to have been at {_NEW!r}, and back at {_OLD!r}",
        came=f"its history: {', '.join(map(str, targets)) or 'empty'}",
        look="`versions.set_alias` and `versions.rollback`",
    )
    return "both ensembles come back from one file each, and the alias found its way back"


@cache
def _penguins() -> Any:
    from palmerpenguins import load_penguins  # noqa: PLC0415 -- heavy import

    known = load_penguins()
    return known[list(_MEASURES)], known["species"]


def _learned_from_fresh_rows(stack: Any) -> bool:
    """Fit the final model again, on the right rows, and compare what both say."""
    from sklearn.base import clone  # noqa: PLC0415 -- heavy import
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 -- heavy import

    rows, truth = _penguins()
    _, fresh, _, fresh_truth = train_test_split(rows, truth, test_size=0.4, random_state=0)
    half = len(fresh) // 2
    again = clone(stack.final).fit(stack.stack_features(fresh[:half]), fresh_truth[:half])
    features = stack.stack_features(rows)
    apart = abs(again.predict_proba(features) - stack.final.predict_proba(features)).max()
    return bool(apart < _ALIKE)


def _expect_ensemble(ensemble: Any, combine: str, names: set[str]) -> None:
    from nbdeploy.models.ensemble import Ensemble  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(ensemble, Ensemble),
        expected="an `Ensemble`",
        came=describe(ensemble),
        look="`Ensemble({...})`",
    )
    expect(
        ensemble.settings.combine == combine,
        expected=f"an ensemble that combines by {combine!r}",
        came=f"one that combines by {ensemble.settings.combine!r}",
        look="the second argument of `Ensemble`",
    )
    expect(
        set(ensemble.members) == names,
        expected=f"the members {', '.join(sorted(names))}",
        came=f"the members {', '.join(ensemble.members)}",
        look="the dict that you gave to `Ensemble`",
    )


def _expect_a_fitted_final(stack: Any) -> None:
    try:
        stack.require_fitted()
    except UnfittedModelError:
        raise Mismatch(
            expected="a final model that was fitted",
            came="one that was not",
            look="`stack.fit_final(rows, truth)`",
        ) from None


def _rows_asked(ensemble: Any) -> dict[str, int]:
    return {name: facts["rows"] for name, facts in ensemble.log.report().items()}


def _share_right(model: Any, rows: Any, truth: Any) -> float:
    return float((model.predict(rows) == truth.to_numpy()).mean())
