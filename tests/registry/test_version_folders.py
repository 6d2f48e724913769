"""Where versions are kept: several folders, read-only ones, those that are away."""

from __future__ import annotations

import pickle
import stat

import pytest
from sklearn.linear_model import LinearRegression

from nbdeploy import ModelVersionControl, VersionError
from nbdeploy.exceptions import ModelFileError
from nbdeploy.models.trust import trust_folder


def test_several_folders_are_read_and_the_first_is_written(tmp_path, make_model, clock):
    teacher = ModelVersionControl(tmp_path / "teacher", clock=clock)
    teacher.save_model_version(make_model(1), "1.0")
    teacher.save_model_version(make_model(2), "2.0")
    teacher.set_alias("reference", "1.0")

    both = ModelVersionControl([tmp_path / "own", tmp_path / "teacher"], clock=clock)
    both.save_model_version(make_model(3), "1.1")
    both.set_alias("production", "2.0")

    assert [one.version for one in both] == ["1.0", "2.0", "1.1"]
    assert both.aliases == {"production": "2.0", "reference": "1.0"}
    assert both["reference"].place == "teacher"
    assert "teacher" in repr(both)
    assert len(teacher) == 2
    assert teacher.aliases == {"reference": "1.0"}
    assert both.save_model_version(make_model(1), "1.0").place == "teacher"
    with pytest.raises(VersionError, match="is taken"):
        both.save_model_version(make_model(5), "1.0")
    with pytest.raises(VersionError, match="only read here"):
        both.delete("1.0")
    assert both.save_model_version(make_model(5), "1.0", replace=True).place == "own"
    assert both["1.0"].place == "own"
    assert teacher["1.0"].load().coef_.tolist() == make_model(1).coef_.tolist()


def test_a_folder_that_is_away_does_not_hide_the_own(tmp_path, make_model, monkeypatch):
    own = ModelVersionControl([tmp_path / "own", tmp_path / "away"])
    own.save_model_version(make_model(), "1.0")
    storage = own._shelves.all[1].storage

    def fail(*_):
        message = "the drive does not answer."
        raise ModelFileError(message)

    monkeypatch.setattr(storage, "folders", fail)
    assert "Not listed: the drive does not answer." in repr(own)
    assert [one.version for one in own] == ["1.0"]
    assert own.get_model_version("1.0") is not None


def test_the_environment_names_the_folders(tmp_path, make_model, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_REGISTRY", f"{tmp_path / 'a'}:{tmp_path / 'b'}:memory://shared/c")
    ModelVersionControl(tmp_path / "b").save_model_version(make_model(1), "1.0")
    ModelVersionControl("memory://shared/c").save_model_version(make_model(3), "1.2")
    versions = ModelVersionControl()
    versions.save_model_version(make_model(2), "1.1")
    assert (tmp_path / "a" / "versions" / "1.1").is_dir()
    assert {one.version: one.place for one in versions} == {"1.0": "b", "1.1": "a", "1.2": "c"}


def test_no_folder_at_all_is_told(monkeypatch):
    monkeypatch.delenv("NBDEPLOY_REGISTRY", raising=False)
    with pytest.raises(ModelFileError, match="or set NBDEPLOY_REGISTRY"):
        ModelVersionControl()
    for place in ("", " ", [], "a\0b"):
        with pytest.raises(ModelFileError, match="place for versions"):
            ModelVersionControl(place)


READ_ONLY = """
import os, sys, tempfile, warnings
from pathlib import Path
from nbdeploy import ModelFileError, ModelVersionControl
with tempfile.TemporaryDirectory(dir="/tmp") as name:
    folder = Path(name, "team")
    saved = ModelVersionControl(folder).save_model_version({"weights": [1, 2]}, "1.0")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    Path(name).chmod(0o555)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        os.environ["NBDEPLOY_CONFIG_DIR"] = "/nowhere"
        warnings.simplefilter("ignore")  # nobody has no key
        versions = ModelVersionControl(folder, trust=saved.digest)
        print(versions.get_model_version("1.0"), versions.verify().ok, len(versions))
        for act in (lambda: versions.save_model_version({"weights": [3]}, "1.1"),
                    lambda: versions.set_alias("production", "1.0"),
                    lambda: versions.delete("1.0")):
            try:
                act()
            except ModelFileError as error:
                print(error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    for path in [Path(name), folder, *folder.rglob("*")]:
        path.chmod(0o755)
"""


def test_a_read_only_folder_is_read_and_says_why_it_is_not_written(run_script):
    read, *refusals = run_script(READ_ONLY).splitlines()
    assert read == "{'weights': [1, 2]} True 1"
    assert len(refusals) == 3
    for refusal in refusals:
        assert "cannot be written to: Permission denied. Nothing in it has changed." in refusal


def test_folders_are_as_open_as_the_umask_says(two_versions, tmp_path):
    folder = tmp_path / "churn" / "versions" / "1.0"
    expected = stat.S_IMODE((tmp_path / "churn").stat().st_mode)
    assert stat.S_IMODE(folder.stat().st_mode) == expected


def test_a_folder_that_was_trusted_once_needs_no_word(
    two_versions, as_somebody_else, tmp_path, recwarn
):
    as_somebody_else()
    trust_folder(tmp_path / "churn")
    assert ModelVersionControl(tmp_path / "churn").get_model_version("1.1") is not None
    assert list(recwarn) == []


def test_a_plain_pickle_in_the_folder_is_not_taken_for_a_version(versions, tmp_path, make_model):
    folder = tmp_path / "churn" / "versions" / "6.6"
    folder.mkdir(parents=True)
    (folder / "model.joblib").write_bytes(pickle.dumps(LinearRegression()))
    assert "6.6" not in versions
    assert len(versions) == 0
    assert versions.save_model_version(make_model(), "6.6") in versions
