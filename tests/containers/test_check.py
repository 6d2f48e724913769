"""The rehearsal proves the container without one, and names what would fail in it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris

from nbdeploy import Bundle, ContainerError
from nbdeploy.containers import check
from nbdeploy.containers.check import explain_log
from nbdeploy.containers.check_report import CheckReport, Finding
from nbdeploy.containers.clean_environment import locked_versions
from nbdeploy.containers.rehearsed_service import RehearsedService
from nbdeploy.exceptions import PredictionError

X, y = load_iris(return_X_y=True, as_frame=True)

# A pipeline with a function and a class of the notebook, and two that no container can run.
NOTEBOOK = """
import json, sys
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from nbdeploy import deploy

X, y = load_iris(return_X_y=True, as_frame=True)

def add_area(frame):
    return frame.assign(area=frame["petal length (cm)"] * frame["petal width (cm)"])

class Clip(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.highest_ = np.asarray(X).max(axis=0)
        return self

    def transform(self, X):
        return np.minimum(np.asarray(X), self.highest_)

model = make_pipeline(FunctionTransformer(add_area), Clip(), LogisticRegression(max_iter=2000))
model.fit(X, y)
"""


def test_a_function_and_a_class_of_the_notebook_answer_there_as_here(run_script):
    """It serves with the packages of the lock alone: no Jupyter, widgets, plots or clusters."""
    said = run_script(
        NOTEBOOK
        + """
with deploy(model, name="iris", example=X) as service:
    bundle = service.bundle("bundle")
report = bundle.check(quick=True)
seen = type(bundle).open("bundle").measured
print(json.dumps([report.light, str(report), report.startup_seconds, report.memory, report.size]))
print(json.dumps(seen))
"""
    )

    report, measured = map(json.loads, said.splitlines())
    light, text, seconds, memory, size = report
    assert light == "green", text
    assert "predict() of 30 example rows equals the notebook's" in text
    assert "predict_proba() of 30 example rows equals the notebook's" in text
    assert seconds > 0
    assert memory > 20e6
    assert size > 20e6
    # What a pod in a cluster shall ask for is proposed from this.
    assert measured["memory"] >= memory
    assert 0 <= measured["cpu_per_request"] < 0.1


@pytest.mark.acceptance
def test_a_file_that_is_read_while_predicting_is_missed_and_named(run_script):
    said = run_script(
        NOTEBOOK
        + """
from pathlib import Path
Path("factor.txt").write_text("2.0")

def scale(frame):
    return frame * float(Path("factor.txt").read_text())

careless = make_pipeline(FunctionTransformer(scale), LogisticRegression(max_iter=2000)).fit(X, y)
with deploy(careless, name="iris", example=X) as service:
    print(service.bundle("bundle").check(quick=True))
"""
    )

    assert "✗ The model reads factor.txt, which is not there" in said
    assert "Read the file in a cell" in said


def test_a_file_beside_the_notebook_is_told_and_its_cure_works(run_script):
    said = run_script(
        """
        import sys
        from pathlib import Path
        import cloudpickle
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer
        from nbdeploy import Bundle, ContainerError, ModelSerializer

        Path("features.py").write_text("def double(frame):\\n    return frame * 2\\n")
        sys.path.insert(0, ".")
        import features

        X, y = load_iris(return_X_y=True, as_frame=True)
        line = LogisticRegression(max_iter=3000)
        model = make_pipeline(FunctionTransformer(features.double), line).fit(X, y)
        try:
            Bundle.create(model, "bundle", example=X)
        except ContainerError as error:
            print(error)
        cloudpickle.register_pickle_by_value(features)
        bundle = Bundle.create(model, "bundle", example=X)
        print(ModelSerializer.inspect(bundle.folder / bundle.model_file).globals)
        """
    )

    assert "the module 'features', the file " in said
    assert "cloudpickle.cloudpickle._make_function" in said
    assert "features.double" not in said


class Answering:
    """A service that answers what a test wants."""

    def __init__(self, said="", **answers):
        self.client = self
        self._said, self._answers = said, answers

    def call(self, method, features):
        answer = self._answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def traceback_of(self, method, body, timeout):
        assert json.loads(body)["features"]
        return self._said


def test_an_answer_that_differs_is_red(written):
    saved = written.answers.answers
    service = Answering(predict=[*saved["predict"][:-1], 77], predict_proba=saved["predict_proba"])

    differs, equals = check._answer_findings(written, service, timeout=1)

    assert (differs.light, equals.light) == ("red", "green")
    assert differs.text == "predict() differs from the notebook's: at [29]: 77 is not 2"
    assert equals.text == "predict_proba() of 30 example rows equals the notebook's"


def test_a_model_that_raises_there_is_asked_why(written):
    said = "FileNotFoundError: [Errno 2] No such file or directory: 'rates.csv'"
    service = Answering(said, predict=PredictionError("predict() raised FileNotFoundError."))

    (finding,) = check._answer_findings(written, service, timeout=1)

    assert finding.text == "The model reads rates.csv, which is not there"


def test_without_rows_nothing_is_compared(bundle):
    path = bundle.folder / "rehearsal.json"
    path.write_text(json.dumps({"rows": 0, "is_made_up": True, "features": [], "answers": {}}))

    (finding,) = check._answer_findings(bundle, Answering(), timeout=1)

    assert finding.light == "amber"
    assert "example=" in finding.cure


def test_another_version_than_that_of_the_lock_is_red(bundle):
    path = bundle.folder / "requirements.txt"
    path.write_text(path.read_text().replace("scikit-learn==", "scikit-learn==0."))

    report = bundle.check(quick=True)

    assert report.light == "red"
    assert "The lock has scikit-learn 0." in str(report)


def test_another_python_is_red(bundle):
    facts = json.loads((bundle.folder / "bundle.json").read_text())
    (bundle.folder / "bundle.json").write_text(json.dumps({**facts, "python": "3.99"}))

    report = Bundle.open(bundle.folder).check(quick=True)

    assert "The bundle needs Python 3.99, this is 3." in str(report)
    assert not report.ok


def test_a_path_and_a_dataset_of_this_machine_are_amber():
    facts = {"paths": [sys.executable], "datasets": {"train": 5_000_000}, "complete": False}
    findings = list(check._static_findings(facts))

    assert [finding.light for finding in findings] == ["amber"] * 3
    told = " ".join(finding.text for finding in findings)
    assert sys.executable in told
    assert "'train' along, 5 MB" in told


@pytest.mark.parametrize(
    ("log", "text", "cure"),
    [
        (
            "ModuleNotFoundError: No module named 'xgboost.sklearn'",
            "module 'xgboost' is missing",
            'requirements=["xgboost"]',
        ),
        (
            "AttributeError: Can't get attribute 'add_area' on <module '__main__' from 'x'>",
            "'add_area' was defined in a notebook",
            "Save the model with nbdeploy",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/home/ana/rates.csv'",
            "reads /home/ana/rates.csv",
            "Read the file in a cell",
        ),
        (
            "model.joblib: numpy 1.26.4 saved the model, 2.4.6 is installed here. Its",
            "numpy 1.26.4 saved the model, 2.4.6 is installed here",
            "install what saved it",
        ),
        ("Killed", "It ended.", "It said at last:\nKilled"),
    ],
)
def test_the_classic_failures_are_named_with_their_cure(log, text, cure):
    (finding,) = explain_log(log, "It ended.")

    assert finding.light == "red"
    assert text in finding.text
    assert cure in finding.cure


def test_the_report_is_as_bad_as_its_worst_line():
    green, amber, red = (Finding(light, f"{light} <b>") for light in ("green", "amber", "red"))

    assert CheckReport("x", (green,)).light == "green"
    assert CheckReport("x", (green, amber)).ok
    assert not CheckReport("x", (amber, red, green)).ok
    html = CheckReport("x", (green, amber, red)).to_html()
    assert "<b>" not in html
    assert all(f"nbd-{light}" in html for light in ("green", "amber", "red"))
    assert repr(CheckReport("x", (red,))) == "<CheckReport of 'x': red>"


def test_a_service_that_ends_is_told_with_its_log(tmp_path):
    from pathlib import Path

    with (
        RehearsedService(Path(sys.executable), tmp_path / "no.joblib", "sha256:0", tmp_path) as it,
        pytest.raises(ContainerError, match="ended while it started"),
    ):
        it.wait(60)
    assert "There is no file" in it.log()


def test_the_versions_are_read_off_the_lock(written):
    versions = locked_versions(written.folder)

    assert versions["numpy"] == np.__version__
    assert all(versions.values())


@pytest.mark.acceptance
def test_the_lock_installs_and_serves_in_an_empty_environment(run_script):
    said = run_script(
        NOTEBOOK
        + """
with deploy(model, name="iris", example=X) as service:
    bundle = service.bundle("bundle")
report = bundle.check(timeout=300)
print(json.dumps([report.light, str(report)]))
"""
    )

    light, text = json.loads(said)
    assert light == "green", text
    assert "install into an empty environment" in text
