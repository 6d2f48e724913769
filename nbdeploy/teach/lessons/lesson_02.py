"""Lesson 2: keep every version of a model."""

from __future__ import annotations

from typing import Any

from nbdeploy.exceptions import ModelFileError, VersionError
from nbdeploy.registry.metrics import is_number
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_CANDIDATE, _PRODUCTION = "candidate", "production"
_VERSION = "2.0"
_METRIC = "accuracy"
_LEAST_RIGHT = 0.95


@step(
    "02.1",
    title="Save a good model as version 2.0, and name it",
    hints=(
        "Fit a larger forest, save it, and give it the second name.",
        "`best, best_metrics = fit(trees=300)`; `set_alias` takes the alias, then the version.",
        (
            '`versions.save_model_version(best, "2.0", best_metrics, example=X_train)`, then '
            '`versions.set_alias("candidate", "2.0")`.'
        ),
    ),
)
def candidate_is_good(versions: Any) -> str:
    """Load what the alias points to, and ask it for all wines."""
    from sklearn.datasets import load_wine  # noqa: PLC0415 -- heavy import

    _expect_versions(versions)
    found = _version(versions, _CANDIDATE, look=f'`versions.set_alias("{_CANDIDATE}", "2.0")`')
    expect(
        found.version == _VERSION,
        expected=f"the alias {_CANDIDATE!r} at version {_VERSION!r}",
        came=f"the alias at version {found.version!r}",
        look=f'`versions.set_alias("{_CANDIDATE}", "{_VERSION}")`',
    )
    expect(
        is_number(found.metrics.get(_METRIC)),
        expected=f"a version with the metric {_METRIC!r}",
        came=f"one with {describe(dict(found.metrics))}",
        look="the metrics that you saved it with: the third thing in the brackets",
    )
    wines, model = load_wine(as_frame=True), _model(found)
    names = getattr(model, "feature_names_in_", None)
    # Who fitted on a bare array is asked with one: scikit-learn warns of names otherwise.
    rows = wines.data.to_numpy() if names is None else wines.data[list(names)]
    right = float((model.predict(rows) == wines.target).mean())
    saved = found.metrics[_METRIC]
    for measured, came in (
        (saved, f"{saved:.0%} (the metric that you saved)"),
        (right, f"{right:.0%}"),
    ):
        expect(
            measured >= _LEAST_RIGHT,
            expected=f"a model that tells at least {_LEAST_RIGHT:.0%} of the wines right",
            came=came,
            look="the number of trees: `fit(trees=300)`",
        )
    return f"version 2.0 is the candidate, and tells {right:.0%} of all wines right"


@step(
    "02.2",
    title="Bring the version that was live before back",
    hints=(
        "Two things have to go back: the name, and what answers.",
        "`versions.rollback(...)` moves the alias; only `deploy` changes what answers.",
        (
            '`versions.rollback("production")`, then '
            '`service = deploy(versions["production"], name="wine")`.'
        ),
    ),
)
def production_is_back(versions: Any, service: Any) -> str:
    """Compare the alias with its history, and with the version of a real answer."""
    _expect_versions(versions)
    found = _version(versions, _PRODUCTION, look="the cells above: run them again")
    moves = versions.history(_PRODUCTION)
    expect(
        moves[-1].action == "rollback",
        expected=f"the alias {_PRODUCTION!r} rolled back to the version before",
        came=f"the alias at version {found.version!r}; its last move was a {moves[-1].action!r}",
        look=f'`versions.rollback("{_PRODUCTION}")`',
    )
    expect_running(service)
    answering = _answering(service)
    expect(
        answering == found.version,
        expected=f"answers of version {found.version!r}, which {_PRODUCTION!r} points to",
        came=f"answers of version {answering!r}",
        look=f'the service: `deploy(versions["{_PRODUCTION}"], name="wine")` changes what answers',
    )
    return f"version {found.version} is production again, and it answers"


def _expect_versions(versions: Any) -> None:
    from nbdeploy.registry.version_control import ModelVersionControl  # noqa: PLC0415 -- heavy

    expect(
        isinstance(versions, ModelVersionControl),
        expected="your `versions`, a ModelVersionControl",
        came=describe(versions),
        look='the cell with `versions = ModelVersionControl("work/02/wine")`',
    )


def _version(versions: Any, name: str, *, look: str) -> Any:
    try:
        return versions[name]
    except (VersionError, ModelFileError) as error:
        raise Mismatch(
            expected=f"a version with the alias {name!r}", came=str(error), look=look
        ) from None


def _model(found: Any) -> Any:
    try:
        return found.load()
    except ModelFileError as error:
        raise Mismatch(
            expected=f"version {found.version!r} that can be loaded", came=str(error)
        ) from None


def _answering(service: Any) -> str:
    """Return the version that a real answer names."""
    import httpx2  # noqa: PLC0415 -- heavy import

    token = service.service.access.token
    row = service.service.signature.example_row()
    try:
        response = httpx2.post(
            f"{service.url}/predict",
            json={"features": row},
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
    except httpx2.HTTPError as error:
        raise Mismatch(expected="a service that answers", came=str(error)) from None
    return str(response.headers.get("X-Model-Version", "unknown"))
