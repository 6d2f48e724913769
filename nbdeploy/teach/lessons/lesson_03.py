"""Lesson 3: a model as a web service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdeploy.exceptions import SignatureError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_NAME = "iris"
_LEAST_RIGHT = 0.9
_SAME = 1e-6


@step(
    "03.1",
    title="Deploy a model that tells iris flowers apart",
    hints=(
        "Three steps: load the flowers, fit a model, deploy it.",
        "`X, y = load_iris(return_X_y=True, as_frame=True)` loads them; take any classifier.",
        '`iris = deploy(RandomForestClassifier().fit(X, y), name="iris", example=X)`',
    ),
)
def iris_is_served(iris: Any) -> str:
    """Ask the service for all 150 flowers."""
    from sklearn.datasets import load_iris  # noqa: PLC0415 -- heavy import

    expect_running(iris)
    expect(
        iris.name == _NAME,
        expected=f"a service with the name {_NAME!r}",
        came=f"one with the name {iris.name!r}",
        look=f'`deploy(..., name="{_NAME}")`',
    )
    flowers = load_iris()
    try:
        answers = iris.predict(flowers.data.tolist())
    except SignatureError as error:
        raise Mismatch(
            expected="a service that takes the 4 measures of a flower",
            came=f"its refusal: {error}",
            look="the data that the model was fitted on",
        ) from None
    # Some fit on the numbers of the kinds, some on their names.
    kinds = [{int(kind), str(flowers.target_names[kind])} for kind in flowers.target]
    right = sum(answer in kind for answer, kind in zip(answers, kinds, strict=True))
    expect(
        right >= _LEAST_RIGHT * len(kinds),
        expected=f"at least {_LEAST_RIGHT:.0%} of the 150 flowers right",
        came=f"{right} of 150, the first answer is {answers[0]!r}",
        look="the labels that the model was fitted on: the kinds, as numbers or as names",
    )
    return f"the service tells {right} of 150 flowers right"


@step(
    "03.2",
    title="Repair a request that is refused",
    hints=(
        'Ask the service and read what it says: `service.predict(payload["features"])`.',
        "There are two faults: a number that is written as text, and a name with a space.",
        '`float(text.replace(",", "."))` makes the number of the text.',
        '`features["malic_acid"] = features.pop("malic acid")` keeps the value under another name.',
    ),
)
def payload_is_answered(service: Any, payload: Any) -> str:
    """Send the repaired request to the service."""
    expect_running(service)
    expect(
        isinstance(payload, dict) and isinstance(payload.get("features"), dict),
        expected='a dict `{"features": {name: value, ...}}`',
        came=describe(payload),
        look='`payload`: repair the names and values inside `payload["features"]`',
    )
    try:
        answer = service.predict(payload["features"])
    except SignatureError as error:
        raise Mismatch(
            expected="an answer",
            came=f"the refusal: {error}",
            look='the names and values in `payload["features"]`',
        ) from None
    _expect_a_real_wine(payload["features"])
    return f"the service answers: grower {answer}"


def _expect_a_real_wine(features: Mapping[str, Any]) -> None:
    """Refuse values that were made up to please the service."""
    from sklearn.datasets import load_wine  # noqa: PLC0415 -- heavy import

    wines = load_wine(as_frame=True).data
    off = (wines - wines.columns.map(features).astype(float)).abs() > _SAME
    nearest = off.loc[off.sum(axis="columns").idxmin()]
    wrong = [str(name) for name in nearest.index[nearest]]
    expect(
        not wrong,
        expected="the same wine as before, with its faults repaired",
        came=f"an answer, but for another wine: {', '.join(wrong)} changed its value",
        look="run the cell that makes `payload` again, and keep every value",
    )
