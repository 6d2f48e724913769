"""Several models behind one address."""

import threading
import time

import httpx2 as httpx
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from nbdeploy import Client, deploy, deployments, stop_all
from nbdeploy.exceptions import RequestError, SignatureError
from nbdeploy.live_deployments import live_groups


def fitted(load):
    X, y = load(return_X_y=True, as_frame=True)
    return LogisticRegression(max_iter=5000).fit(X, y), X


def fitted_less(fitted):
    model, rows = fitted
    return LogisticRegression(C=0.01, max_iter=5000).fit(rows, model.predict(rows))


@pytest.fixture(scope="module")
def flowers():
    return fitted(load_iris)


@pytest.fixture(scope="module")
def wines():
    return fitted(load_wine)


@pytest.fixture(scope="module")
def group(flowers, wines):
    models = {"iris": flowers[0], "wine": wines[0]}
    with deploy(models, name="both", example={"iris": flowers[1], "wine": wines[1]}) as group:
        yield group


def test_each_model_answers_under_its_name(group, flowers, wines):
    for name, (model, rows) in {"iris": flowers, "wine": wines}.items():
        body = {"features": rows.head(3).to_dict("records")}
        answer = httpx.post(f"{group.url}/models/{name}/predict", json=body)

        assert answer.json() == {"prediction": model.predict(rows.head(3)).tolist()}
        assert group[name].predict(rows.head(3)).tolist() == model.predict(rows.head(3)).tolist()
        assert Client(f"{group.url}/models/{name}").info()["name"] == name


def test_each_has_its_own_schema_page_and_counts(group, flowers):
    rows = flowers[1].head(1)
    before = group["wine"].stats()["requests"]
    group["iris"].predict_proba(rows)

    with pytest.raises(SignatureError):
        group["wine"].predict(rows)
    described = httpx.get(f"{group['iris'].url}/openapi.json").json()

    assert "/predict_proba" in described["paths"]
    assert group["wine"].stats()["requests"] == before + 1
    assert group.stats()["wine"]["errors"] >= 1
    assert "models/iris" in group["iris"].snippets().curl


def test_the_protocols_know_the_models_by_their_names(group, wines):
    row = wines[1].head(1).to_dict("records")

    answer = httpx.post(f"{group.url}/v1/models/wine:predict", json={"instances": row})
    ready = httpx.get(f"{group.url}/v2/models/iris/ready")
    unknown = httpx.post(f"{group.url}/v1/models/whine:predict", json={"instances": row})

    assert answer.json()["predictions"] == [0]
    assert ready.status_code == 200
    assert unknown.status_code == 404
    assert "Did you mean 'wine'" in unknown.text


def test_without_a_name_the_answer_lists_the_models(group):
    answer = httpx.post(f"{group.url}/predict", json={"features": [1, 2, 3, 4]})

    assert answer.status_code == 404
    assert "'iris' and 'wine'" in answer.text
    with pytest.raises(RequestError, match=r"service\['iris'\] or service\['wine'\]"):
        group.predict([[1, 2, 3, 4]])


def test_an_unknown_name_is_not_found_and_a_near_one_is_named(group):
    answer = httpx.post(f"{group.url}/models/wines/predict", json={"features": []})

    assert answer.status_code == 404
    assert "Did you mean 'wine'" in answer.text
    with pytest.raises(RequestError, match="Did you mean 'iris'"):
        group["iriss"]


def test_readiness_and_counts_are_those_of_all(group):
    told = httpx.get(f"{group.url}/stats").json()

    assert httpx.get(f"{group.url}/health/ready").json() == {"ready": True, "status": "ready"}
    assert told["requests"] == sum(each["requests"] for each in group.stats().values())
    assert list(httpx.get(f"{group.url}/model/info").json()["models"]) == ["iris", "wine"]


def test_a_model_is_rolled_out_alone(group, flowers, wines):
    better = LogisticRegression(max_iter=5000, C=0.01).fit(*load_iris(return_X_y=True))
    rows = wines[1].head(2)
    before = group["wine"].predict(rows).tolist()

    group["iris"].rollout(better)

    assert group["wine"].predict(rows).tolist() == before
    group["iris"].rollback()


def test_one_of_several_cannot_stop_alone(group):
    with pytest.raises(RequestError, match="cannot stop alone"):
        group["iris"].stop()


def test_the_token_is_that_of_all(flowers, wines):
    models = {"iris": flowers[0], "wine": wines[0]}
    with deploy(models, name="guarded", token="secret-of-both") as guarded:
        path = f"{guarded.url}/models/iris/predict"
        body = {"features": flowers[1].head(1).to_dict("records")}

        assert httpx.post(path, json=body).status_code == 401
        headers = {"X-API-Key": "secret-of-both"}
        assert httpx.post(path, json=body, headers=headers).status_code == 200
        assert httpx.get(f"{guarded.url}/stats").status_code == 401
        assert guarded["wine"].predict(wines[1].head(1)).tolist() == [0]


def test_no_model_is_a_mistake():
    with pytest.raises(RequestError, match="Expected models by name"):
        deploy({})


def test_several_models_need_this_process(flowers):
    with pytest.raises(ValueError, match="where='process' serves one model"):
        deploy({"iris": flowers[0]}, where="process")


def test_each_model_has_replicas_of_its_own_and_takes_a_load(group, flowers, wines):
    rows = flowers[1].head(2)
    alone = group["iris"].predict(rows).tolist()

    group["iris"].scale(1)

    assert group["iris"].predict(rows).tolist() == alone
    result = group["wine"].load_test(20, seconds=0.5, rows=wines[1])
    assert (result.error_rate, len(result.answered)) == (0, 10)
    group["iris"].scale(0)


def test_a_group_that_was_stopped_is_not_kept(flowers):
    with deploy({"iris": flowers[0]}, name="gone"):
        assert "gone" in live_groups

    assert "gone" not in live_groups


def test_the_card_lists_paths_and_the_text_no_address(group):
    assert repr(group).splitlines()[0] == "both: 2 models, running"
    assert "/models/wine/predict_proba" in repr(group)
    assert group.url not in repr(group)
    assert group.url in group.to_html()


def test_deployed_again_it_keeps_its_address_until_all_is_stopped(flowers, wines):
    first = deploy({"iris": flowers[0]}, name="again")
    url = first.url

    second = deploy({"iris": flowers[0], "wine": wines[0]}, name="again")

    assert second.url == url
    assert second in deployments()
    assert second["wine"].predict(wines[1].head(1)).tolist() == [0]
    stop_all()
    assert deployments() == []
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{url}/health")


def test_models_that_were_fitted_anew_take_their_places_while_requests_come(flowers, wines):
    models = {"iris": flowers[0], "wine": wines[0]}
    with deploy(models, name="refitted", example={"iris": flowers[1], "wine": wines[1]}) as first:
        over, statuses = threading.Event(), []

        def ask():
            with httpx.Client() as client:
                body = {"features": wines[1].head(1).to_dict("records")}
                while not over.is_set():
                    url = f"{first.url}/models/wine/predict"
                    statuses.append(client.post(url, json=body).status_code)

        caller = threading.Thread(target=ask)
        caller.start()
        try:
            before = first["wine"].service.route.digest
            swapped = {"iris": flowers[0], "wine": fitted_less(wines)}
            second = deploy(swapped, name="refitted", example={"wine": wines[1]})
            asked = len(statuses)
            deadline = time.monotonic() + 10
            while len(statuses) < asked + 5 and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            over.set()
            caller.join()

        assert second is first
        assert first["wine"].service.route.digest != before
        assert first["wine"].rollback().primary.digest == before
    assert set(statuses) == {200}


def test_one_name_is_one_service(flowers, wines):
    single = deploy(flowers[0], name="either", example=flowers[1])
    port = single._server.port

    several = deploy({"wine": wines[0]}, name="either", example=wines[1])
    assert (several._server.port, single._server.running) == (port, False)

    single = deploy(flowers[0], name="either", example=flowers[1])
    assert (single._server.port, several._server.running) == (port, False)
    assert single.predict(flowers[1].head(1)).tolist() == [0]
    single.stop()
