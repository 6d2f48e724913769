"""Split and compare, as a data scientist calls them."""

from __future__ import annotations

import httpx2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from nbdeploy import Client, deploy
from nbdeploy.exceptions import (
    NbdeployError,
    ServingError,
    SignatureError,
    StoppedError,
    UnknownPredictionError,
)
from tests.serving.traffic_verbs.iris_versions import X, ask, version_of, y


def test_a_split_answers_each_share_and_keeps_a_key_with_its_version(service, good, shy):
    traffic = service.split({"a": good, "b": shy}, weights=[0.9, 0.1])
    url = f"{service.url}/predict"
    body = {"features": [5.1, 3.5, 1.4, 0.2]}
    versions = {}
    with httpx2.Client(verify=False) as client:
        for number in [*range(400), *range(400)]:
            headers = {"X-Routing-Key": f"customer {number}"}
            version = client.post(url, json=body, headers=headers).headers["X-Model-Version"]
            assert versions.setdefault(number, version) == version

    assert traffic.shares == {"a": 0.9, "b": 0.1}
    assert 15 <= sum(version == "b" for version in versions.values()) <= 70


def test_the_truth_tells_who_is_better(service, good, shy):
    service.split({"good": good, "shy": shy})
    with Client(service.url) as client:
        for number in range(450):
            row = number % 150
            predictions, prediction_id = client.predict(X.iloc[[row]], with_id=True)
            assert isinstance(predictions, pd.Series)
            assert client.feedback(prediction_id, y.iloc[[row]])
            assert not client.feedback(prediction_id, [0])

    comparison = service.compare()

    assert comparison.verdict.startswith("good is better than shy: its accuracy is higher")
    assert sum(each.truths for each in comparison.versions) == 450
    assert sum(each.requests for each in comparison.versions) == 450


def test_a_truth_about_nothing_is_an_error_in_python(service):
    with Client(service.url) as client:
        with pytest.raises(UnknownPredictionError):
            client.feedback("made up", [0])
        _, prediction_id = client.predict(X.head(2), with_id=True)
        with pytest.raises(SignatureError, match="1 truths for 2 predicted rows"):
            client.feedback(prediction_id, 0)
        assert client.feedback(prediction_id, np.array([0.0, np.nan]))
    assert service.compare().versions[0].truths == 1


def test_probabilities_of_each_version_have_its_own_labels(service):
    small = LogisticRegression(max_iter=500).fit(X[:100], y[:100])
    service.split({"three": service.service.model, "two": small}, key="who")

    with Client(service.url) as client:
        shapes = {
            client.predict_proba(X.head(2), headers={"who": str(number)}).columns.size
            for number in range(20)
        }

    assert shapes == {2, 3}


def test_versions_of_the_past_are_split_by_their_name(service, shy):
    old = version_of(service)
    new = service.rollout(shy).version

    traffic = service.split({old: 1, new: 3}, key="customer")

    assert repr(traffic) == f"<Traffic: {old} 25 %, {new} 75 %, by customer>"


@pytest.mark.parametrize(
    ("versions", "weights", "says"),
    [
        ({}, None, "No versions"),
        ({"a": 0.5, "b": 0.5}, None, "no version 'a'"),
        ({"a": "good", "b": "shy"}, [1], "1 shares for 2 versions"),
        ({"a": "good", "b": "shy"}, {"a": 1, "c": 1}, "names"),
        ({"a": "good", "b": "shy"}, [0, 0], "No version has a share"),
        ({"a": "good", "b/c": "shy"}, None, "is no name"),
        ({"a": "good", "b\r\nX-Evil: 1": "shy"}, None, "is no name"),
    ],
)
def test_a_split_that_cannot_be_is_refused_and_nothing_changes(
    service, good, shy, versions, weights, says
):
    old = version_of(service)
    models = {"good": good, "shy": shy}

    with pytest.raises(NbdeployError, match=says):
        service.split(
            {name: models.get(value, value) for name, value in versions.items()}, weights=weights
        )

    assert version_of(service) == old


def test_the_card_tells_that_several_versions_are_tried(service, good, shy):
    assert "tried" not in str(service)

    service.split({"a": good, "b": shy}, weights=[9, 1])

    note = "Several versions are tried: a 90 %, b 10 %, by X-Routing-Key."
    assert note in str(service)
    assert note in service.to_html()
    service.rollback()
    assert "tried" not in str(service)


def test_what_was_compared_is_kept_when_the_address_changes(service, good, shy):
    service.split({"a": good, "b": shy})
    ask(service, 10)

    deploy(good, name="iris", example=X, timeout=5.0)

    assert sum(each.requests for each in service.compare().versions) == 10


def test_before_anything_was_tried_there_is_nothing_to_compare(service):
    with pytest.raises(ServingError, match="nothing to compare"):
        service.compare()


def test_a_stopped_service_says_so(service, good):
    service.stop()

    for call in (service.rollback, service.compare, lambda: service.rollout(good)):
        with pytest.raises(StoppedError):
            call()
