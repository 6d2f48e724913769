"""A service elsewhere as a member: a `Client` of it."""

import pickle

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, Ensemble, deploy
from nbdeploy.models.serializer import load_saved, save

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def line():
    return LogisticRegression(max_iter=900).fit(X, y)


@pytest.fixture
def tree():
    return DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)


def test_it_answers_beside_the_others_and_when_it_is_gone_they_answer_alone(line, tree, tmp_path):
    with deploy(line, name="elsewhere", example=X, token="secret-there") as service:
        remote = Client(service.url, token="secret-there", timeout=5)
        ensemble = Ensemble({"here": tree, "there": remote})

        together = ensemble.predict_proba(X)
        save(ensemble, tmp_path / "both.ensemble", example=X)

    assert together == pytest.approx((tree.predict_proba(X) + line.predict_proba(X)) / 2)
    assert repr(ensemble) == (
        "Ensemble(soft_vote of here: DecisionTreeClassifier, there: remote LogisticRegression)"
    )
    loaded, _ = load_saved(tmp_path / "both.ensemble")
    assert loaded.classes == [0, 1, 2]
    assert loaded.predict_proba(X) == pytest.approx(tree.predict_proba(X))
    assert loaded.log.report()["there"]["last_error"] == "UnreachableError"


def test_its_token_is_never_saved():
    client = Client("http://127.0.0.1:9", token="secret-there", timeout=3)

    data = pickle.dumps(client)

    assert b"secret-there" not in data
    assert pickle.loads(data).url == client.url


def test_a_service_that_nobody_reaches_is_a_member_that_fails(tree):
    ensemble = Ensemble({"here": tree, "there": Client("http://127.0.0.1:9", timeout=1)})

    assert list(ensemble.predict(X)) == list(tree.predict(X))
    assert ensemble.log.report()["there"]["errors"] == 1


def test_one_that_is_at_several_addresses_stays_at_all_of_them():
    urls = ["http://127.0.0.1:9", "http://127.0.0.1:10"]
    client = Client(urls, strategy="round_robin")

    again = pickle.loads(pickle.dumps(client))

    assert again.balancer.endpoints == urls
    assert repr(again) == repr(client)
