"""Names that paths, shells and pages are misled by: nothing outside of the folder is touched."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbdeploy import ModelVersionControl, VersionError
from nbdeploy.exceptions import ModelFileError
from nbdeploy.registry.names import is_name
from nbdeploy.registry.storage import open_storage
from tests.hostile import HOSTILE, assert_harmless, assert_visible

PATHS = [
    "..", ".", "...", "../secret", "../../etc/passwd", "/etc/passwd", "//etc/passwd", "~", "~root",
    "~/secret", "..\\secret", "\\..\\secret", "C:\\secret", "C:secret", "\\\\host\\share", "a/../b",
    "1.0/../../secret", "1.0/..", "1.0/", "/1.0", "./1.0", "1.0/.", "1.0//x", "1.0\\..\\..\\secret",
    "%2e%2e", "%2e%2e%2fsecret", "..%2fsecret", "%252e%252e%252fsecret", "..%5csecret", "..%c0%afx",
    "..;/secret", "1.0;/../secret", "1.0;x", "1.0?x", "1.0#x", "1.0\0", "1.0\0/../secret", "\0",
    "1.0\n", "1.0\r\n", " 1.0", "1.0 ", "1.0.", ".1.0", ".hidden", ".nbdeploy-0.tmp", "1.0~2", "~2",
    "-rf", "--help", "+x", "_x", "1.0*", "1.?", "[1]", "{1,2}", "$HOME", "`id`", "$(id)", "1|2",
    "1>2", "1<2", "a:b", "file:///etc/passwd", "http://evil.example/x", "s3://bucket/x", "CON",
    "con", "nul", "NUL.txt", "aux", "prn", "com1", "LPT9.x", "\u0661.\u0660", "1\uff0e0", "1․0",  # noqa: RUF001 -- look-alikes
    "\uff0e\uff0e\uff0fsecret", "..\u2215secret", "..\u2044secret", "\u202e0.1", "1.0\u200b",
    "\u0440roduction", "pr\u043eduction", "e\u0301", "x" * 65, "x" * 5_000, "",
]  # fmt: skip
NAMES = [*PATHS, *(name for name in HOSTILE.values() if not is_name(name))]


def test_there_are_enough_of_them():
    assert len(set(PATHS)) >= 60
    assert not any(map(is_name, NAMES))


class Watch:
    """The files that Python was asked for."""

    def __init__(self):
        self.is_on = False
        self.paths = []
        sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if self.is_on and event.split(".")[0] in {"open", "os", "shutil", "pathlib"}:
            self.paths += [one for one in arguments if isinstance(one, (str, bytes, os.PathLike))]

    @contextmanager
    def on(self):
        self.paths = []
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture
def place(two_versions, tmp_path):
    for name in ("secret", "churn-evil", "versions"):
        (tmp_path / name / "versions" / "1.0").mkdir(parents=True)
        (tmp_path / name / "version.json").write_bytes(b"outside")
    two_versions.set_alias("production", "1.0")
    return tmp_path


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_inside(watch, place):
    for path in map(os.fsdecode, watch.paths):
        real = Path(os.path.realpath(path)) if "\0" not in path else Path("/nowhere")
        is_of_the_test = real.is_relative_to(place)
        assert not is_of_the_test or real.is_relative_to(place / "churn"), path
        assert real != Path("/etc/passwd")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_hostile_name_is_refused_and_touches_nothing(
    name, two_versions, place, watch, make_model
):
    before, model, told = tree(place), make_model(7), []
    with watch.on():
        for call in (
            lambda: two_versions.save_model_version(model, name),
            lambda: two_versions.save_model_version(model, name, replace=True),
            lambda: two_versions[name],
            lambda: two_versions.set_alias(name, "1.0"),
            lambda: two_versions.set_alias("production", name),
            lambda: two_versions.rollback(name),
            lambda: two_versions.roll_forward(name),
            lambda: two_versions.remove_alias(name),
            lambda: two_versions.delete(name),
            lambda: two_versions.revisions(name),
            lambda: two_versions.diff(name, "1.0"),
            lambda: two_versions.verify(name),
        ):
            with pytest.raises(VersionError) as caught:
                call()
            told.append(str(caught.value))
        assert two_versions.get_model_version(name) is None
        assert name not in two_versions
        assert len(two_versions.history(name)) == 0

    assert_inside(watch, place)
    assert tree(place) == before
    for message in told:
        assert_visible(message)
        assert len(message) < 1_000


@pytest.mark.parametrize(
    "value", [None, 1.0, 7, b"1.0", ["1.0"], Path("1.0"), object()], ids=range(7)
)
def test_what_is_no_text_is_refused(value, two_versions, make_model):
    if value is not None:
        with pytest.raises(VersionError, match="is no name of a version"):
            two_versions.save_model_version(make_model(), value)
    with pytest.raises(VersionError, match="no version"):
        two_versions[value]
    assert two_versions.get_model_version(value) is None


def test_a_link_in_the_folder_leads_nowhere(two_versions, place, make_model):
    folder = place / "churn" / "versions"
    foreign = ModelVersionControl(place / "secret")
    foreign.save_model_version(make_model(5), "6.6")
    (folder / "6.6").symlink_to(place / "secret" / "versions" / "6.6")
    (folder / "7.7").mkdir()
    (folder / "7.7" / "version.json").symlink_to(place / "secret" / "version.json")
    (place / "churn" / "aliases" / "evil").symlink_to(place / "churn" / "aliases" / "production")

    assert [one.version for one in two_versions] == ["1.0", "1.1"]
    assert "6.6" not in two_versions
    assert two_versions.get_model_version("6.6") is None
    assert "evil" not in two_versions
    with pytest.raises(ModelFileError):
        two_versions.get_model_version("7.7")
    with pytest.raises(ModelFileError):
        two_versions.save_model_version(make_model(8), "6.6")
    assert foreign.verify().ok


@pytest.mark.parametrize("kind", ["versions", "aliases"])
def test_a_link_in_place_of_a_whole_kind_leads_nowhere(kind, two_versions, place):
    (place / "outside").mkdir()
    before = place / "churn" / kind
    before.rename(place / "moved")
    before.symlink_to(place / "outside")
    act = {
        "versions": lambda: two_versions.get_model_version("1.0"),
        "aliases": lambda: two_versions.set_alias("candidate", "1.0"),
    }
    with pytest.raises(ModelFileError, match="leads out of"):
        act[kind]()
    assert list((place / "outside").iterdir()) == []


def test_the_folder_itself_may_be_a_link(tmp_path, make_model):
    (tmp_path / "disk").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    versions = ModelVersionControl(tmp_path / "models")
    versions.save_model_version(make_model(), "1.0")
    versions.set_alias("production", "1.0")
    assert versions.verify().ok


def test_a_swapped_model_file_that_is_a_link_is_not_read(two_versions, place):
    model = place / "churn" / "versions" / "1.0" / "model.joblib"
    outside = place / "secret" / "model.joblib"
    model.rename(outside)
    model.symlink_to(outside)
    with pytest.raises(ModelFileError):
        two_versions.get_model_version("1.0")
    assert not two_versions.verify().ok


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_beside_a_name_are_shown_safely(hostile, versions, make_model):
    model = make_model()
    model.fit_intercept = hostile
    saved = versions.save_model_version(model, "1.0", {hostile: 0.5, "b": 1.0}, hostile)
    versions.set_alias("production", "1.0", why=hostile)
    versions.save_model_version(make_model(2), "1.1", {hostile: 0.7}, hostile)

    assert versions["1.0"].description == hostile
    assert versions["1.0"].metrics == {hostile: 0.5, "b": 1.0}
    assert versions.history("production")[0].why == hostile
    shown = [versions, saved, versions.compare(), versions.history(), versions.verify()]
    for one in [*shown, versions.diff("1.0", "1.1")]:
        assert_harmless(one.to_html())
        assert_visible(one.to_text())
        assert_visible(repr(one))
    assert versions.verify().ok


@pytest.mark.parametrize("name", ["../x", "a\0b", "/etc", "..", "x/../../y"])
def test_the_store_itself_does_not_leave_its_folder(name, tmp_path):
    storage = open_storage(tmp_path / "models")
    (tmp_path / "x").write_bytes(b"outside")
    for call in (
        lambda: storage.read(f"versions/{name}/version.json"),
        lambda: storage.read(f"versions/{name}/../../../x"),
    ):
        with pytest.raises((ModelFileError, FileNotFoundError, ValueError)):
            call()
