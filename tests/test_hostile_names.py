"""Names, columns, categories and labels may hold anything: nothing of it acts, nothing is lost."""

import json
import warnings

import httpx2
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from nbdeploy import ModelSerializer, ModelService, deploy, stop_all
from nbdeploy.exceptions import ModelFileError, ServingError, SignatureError
from nbdeploy.models.manifest import SUFFIX
from nbdeploy.serving.routing import route_from_model
from tests.hostile import HOSTILE, assert_harmless, assert_visible

each_hostile = pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(scope="module", autouse=True)
def nothing_left():
    yield
    stop_all()


def assert_shown_safely(service):
    assert_harmless(service.to_html())
    assert_harmless(service.snippets().to_html())
    assert_harmless(service.service.signature.to_html())
    assert_harmless(service.monitor.to_html())
    for text in (
        repr(service),
        str(service),
        repr(service.service.signature),
        repr(service.service),
    ):
        assert_visible(text)


@pytest.fixture(autouse=True)
def text_that_holds_anything():
    """Where pyarrow is installed pandas keeps text in it, and that holds no lone surrogate."""
    with pd.option_context("mode.string_storage", "python"):
        yield


@each_hostile
def test_a_hostile_column_is_shown_safely_and_works(hostile):
    X = pd.DataFrame({hostile: [0.0, 1.0], "b": [1.0, 0.0]})
    model = LinearRegression().fit(X, [0.0, 1.0])
    service = deploy(model, name="hostile", example=X)

    assert service.predict(X).tolist() == model.predict(X).tolist()
    assert_shown_safely(service)
    document = json.loads(httpx2.get(f"{service.url}/openapi.json").text)
    assert set(document["components"]["schemas"]["Row"]["properties"]) == {hostile, "b"}
    with pytest.raises(SignatureError) as caught:
        service.predict(X.drop(columns=[hostile]))
    assert caught.value.column == hostile
    assert_visible(str(caught.value))
    with pytest.raises(SignatureError):
        service.predict(X.rename(columns={"b": f"{hostile}b!"}))


@each_hostile
def test_a_hostile_category_and_label_are_shown_safely_and_come_back_as_they_are(hostile):
    X = pd.DataFrame({"kind": [hostile, hostile, "other", "other"]})
    model = DummyClassifier(strategy="constant", constant=hostile).fit(X, X["kind"])
    service = deploy(model, name="hostile", example=X)

    assert service.predict(X).tolist() == [hostile] * 4
    assert list(service.predict_proba(X).columns) == sorted({hostile, "other"})
    assert_shown_safely(service)
    asked = httpx2.get(f"{service.url}/model/info")
    assert json.loads(asked.text)["classes"] == model.classes_.tolist()


@each_hostile
def test_a_hostile_name_of_a_service_is_refused_or_harmless(hostile):
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    try:
        service = deploy(model, name=hostile)
    except ServingError as error:
        assert_visible(str(error))
    else:
        assert service.name == hostile
        assert_shown_safely(service)
        service.stop()


@each_hostile
def test_a_hostile_title_does_not_leave_the_title_of_the_page(hostile):
    from starlette.testclient import TestClient

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    service = ModelService(route_from_model(model), name=hostile)

    client = TestClient(service.app)
    page = client.get("/docs").text

    assert page.count("<script") == 2
    assert page.count("<title>") == page.count("</title>") == 1
    assert json.loads(client.get("/openapi.json").text)["paths"]


@each_hostile
def test_a_hostile_value_in_an_error_is_told_safely(hostile):
    X = pd.DataFrame({"a": [0.0, 1.0]})
    service = deploy(LinearRegression().fit(X, [0.0, 1.0]), name="hostile", example=X)

    with pytest.raises(SignatureError) as caught:
        service.predict({"a": hostile})

    assert_visible(str(caught.value))
    assert_harmless(service.monitor.to_html())


FACTS = ("model_type", "python", "version", "format", "created_at", "hmac", "library", "release")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "line.joblib"
    ModelSerializer.save_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), path)
    return path, ModelSerializer.inspect(path).digest


@pytest.mark.parametrize("fact", FACTS)
@each_hostile
def test_a_hostile_fact_in_a_foreign_manifest_is_told_safely(saved, fact, hostile):
    path, digest = saved
    manifest = path.with_name(path.name + SUFFIX)
    before = manifest.read_text()
    document = json.loads(before)
    changes = {
        "library": {"libraries": {hostile: "1.0"}},
        "release": {"libraries": {"scikit-learn": hostile}},
    }
    document["entries"][0].update(changes.get(fact, {fact: hostile}))
    manifest.write_text(json.dumps(document))
    told = []

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for attempt in (
            lambda: repr(ModelSerializer.inspect(path)),
            lambda: repr(ModelSerializer.load_model(path)),
            lambda: repr(ModelSerializer.load_model(path, trust=digest)),
        ):
            try:
                told.append(attempt())
            except ModelFileError as error:
                told.append(str(error))
    manifest.write_text(before)

    for text in [*told, *(str(warning.message) for warning in caught)]:
        assert_visible(text)


@each_hostile
def test_a_hostile_path_is_told_safely(hostile, tmp_path):
    # What no path can hold is left out.
    path = tmp_path / f"x{hostile}".replace("\0", "").replace("\ud800", "")[:200]

    for attempt in (ModelSerializer.load_model, ModelSerializer.inspect, deploy):
        with pytest.raises(ModelFileError) as caught:
            attempt(path)
        assert_visible(str(caught.value))
