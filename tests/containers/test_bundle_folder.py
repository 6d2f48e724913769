"""A folder is written whole or not at all, and replaces nothing but its own kind."""

from __future__ import annotations

import pytest

from nbdeploy import ContainerError
from nbdeploy.containers import bundle_folder
from nbdeploy.containers.bundle_folder import read_facts, write_folder

FIRST = {"Dockerfile": b"FROM a\n", "model/m.joblib": b"\x00\x01"}
SECOND = {"Dockerfile": b"FROM b\n"}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "bundle.json"
    }


def test_it_holds_the_files_and_tells_its_facts(tmp_path):
    write_folder(tmp_path / "deep" / "b", FIRST, {"name": "x"})

    assert contents(tmp_path / "deep" / "b") == FIRST
    assert read_facts(tmp_path / "deep" / "b")["name"] == "x"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["b"]


def test_again_replaces_what_was_there(tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()

    for files in (FIRST, SECOND, SECOND):
        write_folder(folder, files, {})
        assert contents(folder) == files

    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("name", ["mine.txt", "model/mine.txt", "model.joblib"])
def test_a_foreign_file_is_never_lost(tmp_path, name):
    folder = tmp_path / "b"
    write_folder(folder, FIRST, {})
    (folder / name).write_text("mine")
    before = contents(folder)

    with pytest.raises(ContainerError, match=f"{name} is new"):
        write_folder(folder, SECOND, {})

    assert contents(folder) == before


def test_a_file_that_was_edited_is_lost_only_when_told_so(tmp_path):
    folder = tmp_path / "b"
    write_folder(folder, FIRST, {})
    (folder / "Dockerfile").write_text("FROM mine\n")

    with pytest.raises(ContainerError, match=r"Dockerfile was changed.*replace=True"):
        write_folder(folder, SECOND, {})
    assert (folder / "Dockerfile").read_text() == "FROM mine\n"

    write_folder(folder, SECOND, {}, replace=True)
    assert contents(folder) == SECOND


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path, replace):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("years of work")

    with pytest.raises(ContainerError, match="what nbdeploy did not write"):
        write_folder(tmp_path / "b", FIRST, {}, replace=replace)

    assert contents(tmp_path / "b") == {"thesis.tex": b"years of work"}


def test_a_file_at_the_place_is_told(tmp_path):
    (tmp_path / "b").write_text("x")
    with pytest.raises(ContainerError, match="is a file"):
        write_folder(tmp_path / "b", FIRST, {})


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write_folder(tmp_path / "b", FIRST, {})

    def full(new, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_folder, "_put_in_place", full)
    with pytest.raises(ContainerError, match=r"No space left.*is unchanged"):
        write_folder(tmp_path / "b", SECOND, {})

    assert contents(tmp_path / "b") == FIRST
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_where_two_folders_cannot_change_places_it_takes_two_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_folder, "_exchange", lambda one, other: False)

    for files in (FIRST, SECOND):
        write_folder(tmp_path / "b", files, {})

    assert contents(tmp_path / "b") == SECOND
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_process_of_the_container_can_read_and_the_rows_are_private(tmp_path):
    import os

    before = os.umask(0o077)
    try:
        write_folder(tmp_path / "b", {**FIRST, "rows.json": b"[]"}, {}, private=["rows.json"])
    finally:
        os.umask(before)

    assert (tmp_path / "b" / "model" / "m.joblib").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "b" / "model").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "b" / "rows.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [None, "{", "[]", '{"bundle": 2, "files": {}}', '{"bundle": 1}'])
def test_what_is_no_bundle_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(ContainerError, match="is no bundle"):
        read_facts(tmp_path)
