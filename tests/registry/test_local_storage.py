"""A folder on disk: what is in the way, and what is no folder of ours."""

from __future__ import annotations

import pytest

from nbdeploy import ModelVersionControl
from nbdeploy.exceptions import ModelFileError
from nbdeploy.registry.local_storage import LocalStorage
from nbdeploy.registry.storage import open_storage


@pytest.mark.parametrize("kind", ["versions", "aliases"])
def test_a_file_in_the_place_of_a_folder_is_told(kind, two_versions, tmp_path, make_model):
    folder = tmp_path / "churn" / kind
    if folder.exists():
        folder.rename(tmp_path / "moved")
    folder.write_bytes(b"a file")
    act = {
        "versions": lambda: two_versions.save_model_version(make_model(5), "2.0"),
        "aliases": lambda: two_versions._shelves.own_aliases.set("production", "1.0"),
    }
    with pytest.raises(ModelFileError, match=r"written to: (File exists|Not a directory)"):
        act[kind]()


def test_a_file_in_the_place_of_the_registry_is_told(tmp_path, make_model):
    (tmp_path / "models").write_bytes(b"a file")
    versions = ModelVersionControl(tmp_path / "models")
    assert len(versions) == 0
    with pytest.raises(ModelFileError, match="cannot be written to"):
        versions.save_model_version(make_model(), "1.0")


def test_an_empty_folder_in_the_way_is_taken_over_and_a_full_one_is_not(tmp_path):
    storage = LocalStorage(str(tmp_path))
    (tmp_path / "versions" / "1.0").mkdir(parents=True)
    (tmp_path / "versions" / "2.0").mkdir()
    (tmp_path / "versions" / "2.0" / "notes.txt").write_bytes(b"mine")
    assert storage.publish("versions/1.0", {"version.json": b"{}"}, "version.json")
    assert not storage.publish("versions/2.0", {"version.json": b"{}"}, "version.json")
    assert (tmp_path / "versions" / "2.0" / "notes.txt").read_bytes() == b"mine"


def test_what_is_discarded_is_gone_and_twice_is_no_error(tmp_path):
    storage = LocalStorage(str(tmp_path))
    storage.publish("versions/1.0", {"version.json": b"{}"}, "version.json")
    storage.discard("versions/1.0", "version.json")
    storage.discard("versions/1.0", "version.json")
    assert storage.folders("versions") == {}
    assert list((tmp_path / "versions").iterdir()) == []


def test_a_registry_stays_where_it_was_opened(tmp_path, make_model, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    versions = ModelVersionControl("models")
    monkeypatch.chdir(tmp_path / "elsewhere")
    versions.save_model_version(make_model(), "1.0")
    assert (tmp_path / "models" / "versions" / "1.0").is_dir()
    assert versions.base_path == "models"


def test_a_tilde_is_the_home(tmp_path, make_model, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    ModelVersionControl("~/models").save_model_version(make_model(), "1.0")
    assert (tmp_path / "models" / "versions" / "1.0").is_dir()


def test_stores_say_what_they_are(tmp_path):
    assert repr(open_storage(tmp_path / "m")) == f"LocalStorage({str(tmp_path / 'm')!r})"
    assert repr(open_storage("memory://a/m")) == "ObjectStorage('memory://a/m')"
