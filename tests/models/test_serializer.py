"""Saving and loading: the calls of the chapter, and what ours does more."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import warnings
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import Birch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import ModelFileError, ModelSerializer, Signature, SignatureError
from nbdeploy.exceptions import ModelFileNotFoundError, UnknownFormatError
from nbdeploy.models import serializer
from nbdeploy.models.manifest import Entry, Manifest
from nbdeploy.models.serializer import ModelVersionWarning, load_saved, save, snapshot
from nbdeploy.models.trust import TrustStore

FORMATS = ("joblib", "pickle", "skops")


def rewrite(path, **changes):
    """Sign other facts about a saved file, as this user could."""
    manifest_path = Path(f"{path}.manifest.json")
    entry = Manifest.from_json(manifest_path.read_bytes()).entries[0]
    entry = Entry(**{**entry.__dict__, **changes, "hmac": None})
    entry = entry.signed(TrustStore().sign(entry.payload()))
    manifest_path.write_bytes(Manifest((entry,)).to_json())


def names_in(folder):
    return sorted(found.name for found in Path(folder).iterdir())


def test_the_calls_of_the_chapter_work_word_for_word(forest, iris, tmp_path):
    model, path = forest, str(tmp_path / "models" / "model.joblib")
    assert ModelSerializer.save_model(model, path) is None
    loaded = ModelSerializer.load_model(path)
    np.testing.assert_array_equal(loaded.predict(iris[0]), model.predict(iris[0]))
    ModelSerializer.save_model(model, path, format="pickle")
    loaded = ModelSerializer.load_model(path, format="pickle")
    np.testing.assert_array_equal(loaded.predict(iris[0]), model.predict(iris[0]))
    ModelSerializer.save_model(model, path, "pickle")
    ModelSerializer.load_model(path, "pickle")
    with pytest.raises(ValueError, match="Unsupported format: 'onnx'"):
        ModelSerializer.save_model(model, path, format="onnx")
    with pytest.raises(ValueError, match="Unsupported format: 'onnx'"):
        ModelSerializer.load_model(path, format="onnx")


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("as_path", [str, Path])
def test_a_bare_file_name_needs_no_folder(
    forest, iris, format_name, as_path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ModelSerializer.save_model(forest, as_path("model.bin"), format_name)
    assert names_in(".") == ["model.bin", "model.bin.manifest.json"]
    loaded = ModelSerializer.load_model(as_path("model.bin"), format_name)
    np.testing.assert_array_equal(loaded.predict_proba(iris[0]), forest.predict_proba(iris[0]))


def test_plain_joblib_and_plain_pickle_read_our_files(forest, iris, tmp_path):
    ModelSerializer.save_model(forest, tmp_path / "model.joblib")
    ModelSerializer.save_model(forest, tmp_path / "model.pkl", "pickle")
    for loaded in (
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(tmp_path / "model.pkl"),
        pickle.loads((tmp_path / "model.pkl").read_bytes()),
    ):
        np.testing.assert_array_equal(loaded.predict(iris[0]), forest.predict(iris[0]))


def test_joblib_reads_our_pickles_and_any_other_mismatch_names_the_format(forest, tmp_path):
    for format_name in FORMATS:
        ModelSerializer.save_model(forest, tmp_path / format_name, format_name)
    ModelSerializer.load_model(tmp_path / "pickle", "joblib")
    for saved, asked in (
        ("joblib", "pickle"),
        ("joblib", "skops"),
        ("pickle", "skops"),
        ("skops", "joblib"),
        ("skops", "pickle"),
    ):
        with pytest.raises(ModelFileError, match=f"was saved as {saved}, not as {asked}"):
            ModelSerializer.load_model(tmp_path / saved, asked)


def test_an_unknown_format_is_told_with_a_near_miss(forest, tmp_path):
    with pytest.raises(UnknownFormatError, match="Did you mean 'joblib'"):
        ModelSerializer.save_model(forest, tmp_path / "model", "jobllib")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_with_a_near_miss(forest, tmp_path):
    ModelSerializer.save_model(forest, tmp_path / "churn.joblib")
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'churn\.joblib'"):
        ModelSerializer.load_model(tmp_path / "chrun.joblib")
    with pytest.raises(ModelFileNotFoundError, match="There is no model at"):
        ModelSerializer.load_model(tmp_path / "nowhere" / "model.joblib")
    with pytest.raises(ModelFileNotFoundError):
        ModelSerializer.inspect(tmp_path / "churn.joblib" / "inside")
    with pytest.raises(ModelFileError, match="is no file"):
        ModelSerializer.load_model(tmp_path)


def test_the_manifest_tells_what_was_saved(forest, tmp_path):
    at = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
    save(forest, tmp_path / "model.joblib", version="1.0", clock=lambda: at)
    (entry,) = json.loads((tmp_path / "model.joblib.manifest.json").read_text())["entries"]
    assert entry["format"] == "joblib"
    assert entry["model_type"] == "RandomForestClassifier"
    assert entry["created_at"] == "2026-05-01T12:00:00+00:00"
    assert entry["version"] == "1.0"
    assert {"numpy", "scikit-learn", "joblib"} == entry["libraries"].keys()
    assert entry["size"] == (tmp_path / "model.joblib").stat().st_size
    assert entry["signature"]["columns"]


def test_the_shape_of_the_rows_is_learned_from_the_example_or_the_model(tmp_path):
    X = pd.DataFrame({"size": [1.0, 2.0, 3.0], "rooms": [1, 2, 3]})
    model = LinearRegression().fit(X, [1.0, 2.0, 3.0])
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model(model, path, example=X)
    learned = Signature.from_dict(ModelSerializer.inspect(path).signature)
    assert learned == Signature.learn(model=model, example=X)
    ModelSerializer.save_model(model, path)
    assert Signature.from_dict(ModelSerializer.inspect(path).signature).names == ("size", "rooms")
    ModelSerializer.save_model(np.cumsum, path)
    assert ModelSerializer.inspect(path).signature is None


def test_an_example_that_does_not_fit_the_model_is_told_before_anything_is_written(tmp_path):
    model = LinearRegression().fit([[1.0, 2.0], [2.0, 3.0]], [1.0, 2.0])
    with pytest.raises(SignatureError):
        ModelSerializer.save_model(model, tmp_path / "model.joblib", example=[[1.0], [2.0]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_name", FORMATS)
def test_inspect_tells_the_facts_without_loading(forest, tmp_path, format_name, monkeypatch):
    path = tmp_path / "model.bin"
    ModelSerializer.save_model(forest, path, format_name)
    monkeypatch.setattr(serializer, "load_admitted", None)
    saved = ModelSerializer.inspect(path)
    assert (saved.format, saved.model_type) == (format_name, "RandomForestClassifier")
    assert saved.size == path.stat().st_size
    assert saved.trusted
    assert saved.created_at.tzinfo is not None
    assert "sklearn.tree._tree.Tree" in saved.globals
    assert repr(saved).startswith(f"SavedModel(RandomForestClassifier, {format_name}, ")
    assert saved.digest in repr(saved)
    assert "scikit-learn" in repr(saved)


def test_load_saved_takes_the_format_from_the_manifest_or_the_extension(forest, tmp_path):
    for format_name in FORMATS:
        path = tmp_path / f"{format_name}.bin"
        ModelSerializer.save_model(forest, path, format_name)
        model, saved = load_saved(path)
        assert saved.format == format_name
        assert saved.trusted
        assert type(model) is type(forest)
    foreign = tmp_path / "foreign.pkl"
    foreign.write_bytes(pickle.dumps(forest))
    digest = ModelSerializer.inspect(foreign).digest
    assert load_saved(foreign, trust=digest)[1].format == "pickle"


def test_a_link_leads_to_the_model_and_its_manifest(forest, tmp_path):
    (tmp_path / "models").mkdir()
    link = tmp_path / "latest.joblib"
    link.symlink_to(tmp_path / "models" / "v1.joblib")
    ModelSerializer.save_model(forest, link)
    assert link.is_symlink()
    assert names_in(tmp_path / "models") == ["v1.joblib", "v1.joblib.manifest.json"]
    ModelSerializer.load_model(link)


def test_a_snapshot_shares_nothing_with_the_model(iris):
    model = DecisionTreeClassifier(random_state=0).fit(*iris)
    copy, digest = snapshot(model)
    before = copy.predict(iris[0])
    model.fit(iris[0], 2 - iris[1])
    np.testing.assert_array_equal(copy.predict(iris[0]), before)
    assert not np.array_equal(model.predict(iris[0]), before)
    assert digest.startswith("sha256:")
    again = DecisionTreeClassifier(random_state=0).fit(*iris)
    assert snapshot(again)[1] == digest


def test_a_model_of_another_scikit_learn_gives_one_warning_with_both_versions(tmp_path, forest):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model(_Older(forest), path)
    rewrite(path, libraries={"scikit-learn": "1.2.0"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ModelSerializer.load_model(path)
    (warning,) = caught
    assert warning.category is ModelVersionWarning
    assert "scikit-learn 1.2.0 saved the model" in str(warning.message)
    assert f"{version('scikit-learn')} is installed" in str(warning.message)
    assert warning.filename == __file__


class _Older:
    """A model whose state says that an older scikit-learn wrote it."""

    def __init__(self, model):
        self.model = model

    def __reduce__(self):
        state = {**self.model.__getstate__(), "_sklearn_version": "1.2.0"}
        return _with_state, (type(self.model), state)


def _with_state(kind, state):
    made = kind()
    made.__setstate__(state)
    return made


def test_scikit_learn_still_warns_about_a_file_that_tells_no_version(tmp_path, forest):
    path = tmp_path / "model.joblib"
    joblib.dump(_Older(forest), path)
    with pytest.warns(InconsistentVersionWarning):
        ModelSerializer.load_model(path, trust=ModelSerializer.inspect(path).digest)


def test_a_library_that_is_missing_is_named(tmp_path, forest):
    path = tmp_path / "model.joblib"
    path.write_bytes(b"\x80\x04\x8c\x07nowhere\x8c\x05Model\x93.")
    with pytest.raises(ModelFileError, match="Install what provides the module 'nowhere'"):
        ModelSerializer.load_model(path, trust=ModelSerializer.inspect(path).digest)


def test_what_fails_while_loading_names_the_file_and_keeps_the_cause(tmp_path):
    path = tmp_path / "model.joblib"
    path.write_bytes(b"\x80\x04cos\nstrerror\n)R.")
    with pytest.raises(
        ModelFileError, match=r"model\.joblib cannot be loaded: TypeError"
    ) as caught:
        ModelSerializer.load_model(path, trust=ModelSerializer.inspect(path).digest)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("format_name", ["joblib", "pickle"])
def test_what_cannot_be_saved_is_named_with_its_place(tmp_path, format_name):
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    model.steps = [("a", {"log": (tmp_path / "log").open("w")})]
    message = r"model\.steps\[0\]\[1\]\['log'\] is a _io\.TextIOWrapper"
    with pytest.raises(ModelFileError, match=message):
        ModelSerializer.save_model(model, tmp_path / "model.joblib", format_name)
    with pytest.raises(ModelFileError, match=message):
        snapshot(model)
    model.steps[0][1]["log"].close()
    assert names_in(tmp_path) == ["log"]


def test_what_skops_cannot_save_names_the_way_out(tmp_path):
    model = Birch(n_clusters=2).fit([[0.0], [1.0], [5.0]])
    with pytest.raises(ModelFileError, match=r"skops cannot save this Birch.*format='joblib'"):
        ModelSerializer.save_model(model, tmp_path / "model.skops", "skops")


def test_a_file_of_a_newer_nbdeploy_is_told(tmp_path, forest):
    path = tmp_path / "model.joblib"
    ModelSerializer.save_model(forest, path)
    rewrite(path, format="safetensors")
    with pytest.raises(UnknownFormatError, match="Load it with a newer one"):
        ModelSerializer.load_model(path)
