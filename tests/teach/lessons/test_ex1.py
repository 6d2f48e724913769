from __future__ import annotations

import json
import urllib.request

import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from nbdeploy import Bundle, ModelSerializer, deploy
from nbdeploy.containers.check_report import CheckReport, Finding

PENGUINS = load_penguins().dropna()
X, y = PENGUINS[["island", "bill_length_mm", "bill_depth_mm"]], PENGUINS["species"]


def fitted(function):
    scaled = make_column_transformer((OneHotEncoder(), ["island"]), remainder=StandardScaler())
    return make_pipeline(FunctionTransformer(function), scaled, LogisticRegression()).fit(X, y)


def add_ratio(frame):
    return frame.assign(ratio=frame["bill_length_mm"] / frame["bill_depth_mm"])


@pytest.fixture(scope="module")
def model():
    # A function of a test belongs to the tests, which are no package: nothing could install it.
    return fitted(None)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def path(model):
    ModelSerializer.save_model(model, "work/ex1/penguins.joblib", example=X)
    return "work/ex1/penguins.joblib"


@pytest.fixture
def service(path):
    with deploy(path, name="penguins", example=X) as service:
        yield service


def posts(url, row):
    body = json.dumps({"features": row}).encode()
    request = urllib.request.Request(f"{url}/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["prediction"][0]


def posts_and_gives_the_list(url, row):
    return [posts(url, row)]


def guesses(url, row):
    return {"Biscoe": "Gentoo"}.get(row["island"], "Adelie")


def test_a_saved_file_passes(path, verdict):
    assert "passed" in verdict("ex1.1", path)


@pytest.mark.parametrize(
    ("save", "told"),
    [
        (lambda model: None, "There is no model"),
        (lambda model: ModelSerializer.save_model(model, "m.joblib"), "only the names"),
        (
            lambda model: ModelSerializer.save_model(
                fitted(add_ratio).set_params(functiontransformer__func=None), "m.joblib"
            ),
            "not done yet",
        ),
    ],
)
def test_a_file_that_lacks_something_does_not(save, told, model, verdict):
    save(model)
    assert told in verdict("ex1.1", "m.joblib")


def test_a_service_of_the_file_passes_and_one_of_another_model_does_not(service, verdict):
    assert "passed" in verdict("ex1.2", service)

    with deploy(fitted(lambda frame: frame), name="penguins", example=X) as other:
        assert "a service of another model" in verdict("ex1.2", other)
    assert "which was stopped" in verdict("ex1.2", other)


def test_a_service_under_another_name_does_not(path, verdict):
    with deploy(path, name="pinguine", example=X) as service:
        assert "one called 'pinguine'" in verdict("ex1.2", service)


def test_a_call_over_http_passes(service, verdict):
    assert "passed" in verdict("ex1.3", posts, service)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (posts_and_gives_the_list, "a list of length 1"),
        (guesses, "for the row"),
        (lambda url, row: None, "None"),
    ],
)
def test_another_answer_does_not(wrong, told, service, verdict):
    said = verdict("ex1.3", wrong, service)
    assert "is not done yet" in said
    assert told in said


def test_an_answer_without_a_call_does_not(model, service, verdict):
    said = verdict("ex1.3", lambda url, row: model.predict(pd.DataFrame([row]))[0], service)
    assert "0" in said
    assert "is not done yet" in said


def test_a_bundle_that_was_rehearsed_passes(service, verdict):
    bundle = service.bundle("work/ex1/bundle")
    green = CheckReport(bundle.name, (Finding("green", "predict() equals the notebook's"),))

    assert "passed" in verdict("ex1.4", bundle, green)


def test_a_bundle_without_rows_or_with_a_red_report_does_not(service, model, verdict):
    bundle = service.bundle("work/ex1/bundle")
    red = CheckReport(bundle.name, (Finding("red", "The module is missing", "Name it."),))
    green = CheckReport(bundle.name, ())

    assert "The module is missing" in verdict("ex1.4", bundle, red)
    assert "the report of this bundle" in verdict("ex1.4", bundle, bundle)
    assert "a bundle" in verdict("ex1.4", "work/ex1/bundle", green)
    bare = service.bundle("work/ex1/bundle", store_example=False)
    assert "one with a made-up row" in verdict("ex1.4", bare, green)
    elsewhere = Bundle.create(model, "elsewhere", name="penguins", example=X)
    assert "in 'elsewhere'" in verdict("ex1.4", elsewhere, green)


def test_a_function_that_takes_its_factors_along_passes_and_others_do_not(run_script):
    """In a process of its own, where functions travel as those of a notebook do."""
    said = run_script(
        """
        from pathlib import Path
        import pandas as pd
        from palmerpenguins import load_penguins
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
        from nbdeploy.teach import check

        penguins = load_penguins().dropna()
        X, y = penguins[["island", "bill_length_mm", "bill_depth_mm"]], penguins["species"]

        def fitted(function):
            scaled = make_column_transformer(
                (OneHotEncoder(), ["island"]), remainder=StandardScaler()
            )
            steps = FunctionTransformer(function), scaled, LogisticRegression()
            return make_pipeline(*steps).fit(X, y)

        FACTORS = {"Biscoe": 1.0, "Dream": 1.01, "Torgersen": 0.99}
        pd.Series(FACTORS).to_csv("c.csv", header=False)
        PLACE = str(Path("c.csv").resolve())

        def applied(frame, factors):
            bills = frame["bill_length_mm"] * frame["island"].map(factors)
            return frame.assign(bill_length_mm=bills)

        def reads(frame):
            return applied(frame, pd.read_csv("c.csv", index_col=0, header=None)[1])

        def opens(frame):
            lines = [line.split(",") for line in open(PLACE).read().split()]
            return applied(frame, {name: float(factor) for name, factor in lines})

        def correct(frame):
            return applied(frame, FACTORS)

        def forgets(frame):
            return applied(frame, {**FACTORS, "Dream": 1.0})

        careless = fitted(reads)
        for function in (correct, reads, opens, forgets):
            check("ex1.5", fitted(function), careless)
        check("ex1.5", correct, careless)
        """
    )
    right, reader, opener, forgetter, function = said.split("Step ex1.5 ")[1:]
    assert "passed" in right
    assert "read_csv" in reader
    assert "c.csv" in opener
    assert "other ones" in forgetter
    assert "a fitted pipeline" in function


def test_the_instructions_that_run_again_are_counted(service, verdict):
    bundle = service.bundle("work/ex1/bundle")
    right = ["COPY", "LABEL", "ENV", "USER", "EXPOSE", "STOPSIGNAL"]
    right += ["HEALTHCHECK", "ENTRYPOINT", "CMD"]

    assert "passed" in verdict("ex1.6", right, bundle)
    for wrong in (["COPY"], ["FROM", "COPY", *right], right[1:], "COPY", None):
        assert "is not done yet" in verdict("ex1.6", wrong, bundle)
