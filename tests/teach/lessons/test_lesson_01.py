from __future__ import annotations

from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import RandomForestClassifier

from nbdeploy import ModelSerializer

WINES, GROWERS = load_wine(return_X_y=True)


@pytest.fixture(scope="module")
def model():
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(WINES, GROWERS)


@pytest.fixture(autouse=True)
def own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def saved(tmp_path, model):
    def save(name, what=model, kind="skops"):
        path = str(tmp_path / name)
        ModelSerializer.save_model(what, path, format=kind)
        return path

    return save


@pytest.fixture
def three_files(saved, tmp_path, model):
    ana, ben = saved("ana.joblib", kind="joblib"), saved("ben.joblib", kind="joblib")
    with Path(ana).open("r+b") as file:
        file.seek(1000)
        file.write(b"oops")
    eva = str(tmp_path / "eva.joblib")
    joblib.dump(model, eva)
    return {ana: "corrupted", ben: "fine", eva: "untrusted"}


def test_a_skops_file_and_its_model_pass(saved, verdict):
    path = saved("safe.skops")
    out = verdict("01.1", path, ModelSerializer.load_model(path, format="skops"))
    assert "Step 01.1 passed: the file holds no program" in out


def test_a_joblib_file_is_a_program(saved, model, verdict):
    out = verdict("01.1", saved("wine.joblib", kind="joblib"), model)
    assert "Came:     a joblib file, which is a program" in out


def test_a_path_without_a_file_is_named(tmp_path, saved, model, verdict):
    saved("safe.skops")
    out = verdict("01.1", str(tmp_path / "save.skops"), model)
    assert "Expected: a saved model at the path" in out
    assert "Did you mean 'safe.skops'?" in out


def test_the_model_in_the_place_of_the_path_is_named(saved, model, verdict):
    out = verdict("01.1", model, saved("safe.skops"))
    assert "Expected: the path of the file as the first object" in out
    assert "Came:     a RandomForestClassifier" in out


def test_a_result_that_is_no_model_is_named(saved, verdict):
    out = verdict("01.1", saved("safe.skops"), None)
    assert "Expected: the loaded model as the second object" in out
    assert "Came:     None" in out


def test_another_model_than_the_one_in_the_file_is_noticed(saved, verdict):
    other = RandomForestClassifier(n_estimators=40, random_state=5).fit(WINES, GROWERS)
    path = saved(
        "safe.skops", RandomForestClassifier(max_depth=1, n_estimators=1).fit(WINES, GROWERS)
    )
    out = verdict("01.1", path, other)
    assert "Expected: the model that is in the file" in out


def test_a_model_of_other_data_is_named_without_a_traceback(saved, verdict):
    cancer = RandomForestClassifier(n_estimators=2).fit(*load_breast_cancer(return_X_y=True))
    out = verdict("01.1", saved("safe.skops", cancer), cancer)
    assert "Step 01.1 is not done yet." in out
    assert "ValueError: X has 13 features" in out
    assert "Traceback" not in out


def test_the_right_word_for_each_file_passes(three_files, verdict):
    assert "Step 01.2 passed: you know which file to load." in verdict("01.2", three_files)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("ana", "its bytes are not those that its manifest lists"),
        ("eva", "nobody vouches for it"),
    ],
)
def test_a_file_that_is_called_fine_and_is_not_is_named(three_files, name, meaning, verdict):
    answer = {path: "fine" if name in path else word for path, word in three_files.items()}
    out = verdict("01.2", answer)
    assert f"{name}.joblib: {meaning}" in out
    assert "Came:     the text 'fine'" in out


def test_a_stub_inside_the_dict_is_recognised(three_files, verdict):
    assert "Came:     the stub `...`" in verdict("01.2", dict.fromkeys(three_files, ...))


def test_a_word_that_is_none_of_the_three_is_named(three_files, verdict):
    out = verdict("01.2", dict.fromkeys(three_files, "broken"))
    assert "Expected: one of the words fine, corrupted, untrusted" in out


def test_a_missing_file_is_named(three_files, verdict):
    three_files.popitem()
    assert "Expected: a word for each of the three files" in verdict("01.2", three_files)


def test_a_list_of_words_is_no_answer(verdict):
    assert "Came:     a list of length 3" in verdict("01.2", ["fine", "fine", "fine"])
