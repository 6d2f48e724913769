"""Nothing in a file runs before it is verified and somebody vouches for it.

Each file here makes a folder when it is loaded. No refusal may leave that marker.
"""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile

import joblib
import pytest

from nbdeploy import ModelFileError, ModelSerializer
from nbdeploy.exceptions import CorruptedModelError, UntrustedModelError
from nbdeploy.models.manifest import SUFFIX
from nbdeploy.models.serializer import load_saved

FORMATS = ("joblib", "pickle")


@pytest.fixture
def armed(bomb, tmp_path):
    """Save the bomb as this user."""

    def save(format_name="joblib"):
        path = tmp_path / f"model.{format_name}"
        ModelSerializer.save_model(bomb, path, format_name)
        return path

    return save


def test_the_bomb_goes_off_where_it_may(armed, marker):
    ModelSerializer.load_model(armed())
    assert marker.is_dir()


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("trust", [None, True])
def test_a_flipped_byte_is_refused_before_unpickling(armed, marker, format_name, trust):
    path = armed(format_name)
    data = path.read_bytes()
    for index in range(len(data)):
        flipped = bytearray(data)
        flipped[index] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(CorruptedModelError):
            ModelSerializer.load_model(path, format_name, trust=trust)
    assert not marker.exists()


def test_a_flipped_byte_of_the_manifest_is_refused_before_unpickling(armed, marker):
    path = armed()
    manifest = path.with_name(path.name + SUFFIX)
    data = manifest.read_bytes()
    for index in range(len(data)):
        flipped = bytearray(data)
        flipped[index] ^= 1
        manifest.write_bytes(flipped)
        with pytest.raises(ModelFileError):
            ModelSerializer.load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_signed_by_somebody_else_is_refused(armed, marker, as_somebody_else, format_name):
    path = armed(format_name)
    as_somebody_else()
    with pytest.raises(UntrustedModelError) as caught:
        ModelSerializer.load_model(path, format_name)
    assert "posix.mkdir" in caught.value.globals
    assert not marker.exists()


@pytest.mark.parametrize(("saved", "asked"), [("joblib", "pickle"), ("pickle", "skops")])
def test_a_file_of_another_format_is_refused(armed, marker, saved, asked):
    path = armed(saved)
    for trust in (None, True, ModelSerializer.inspect(path).digest):
        with pytest.raises(ModelFileError, match=f"was saved as {saved}"):
            ModelSerializer.load_model(path, asked, trust=trust)
    assert not marker.exists()


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_file_without_a_manifest_is_refused(bomb, marker, tmp_path, compress):
    path = tmp_path / "model.joblib"
    joblib.dump(bomb, path, compress=compress)
    with pytest.raises(UntrustedModelError, match=r"It imports:\n  posix\.mkdir"):
        ModelSerializer.load_model(path)
    with pytest.raises(UntrustedModelError):
        load_saved(path)
    assert ModelSerializer.inspect(path).globals == ("posix.mkdir",)
    assert not marker.exists()


def test_a_manifest_that_lost_its_signature_is_foreign(armed, marker):
    path = armed()
    manifest = path.with_name(path.name + SUFFIX)
    signature = manifest.read_text().split('"hmac": ')[1].split("\n")[0]
    manifest.write_text(manifest.read_text().replace(signature, "null"))
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(path)
    assert not marker.exists()


def test_a_signature_covers_what_the_manifest_says(armed, marker):
    path = armed()
    manifest = path.with_name(path.name + SUFFIX)
    manifest.write_text(
        manifest.read_text().replace('"model_type": "Bomb"', '"model_type": "Tree"')
    )
    with pytest.raises(UntrustedModelError):
        ModelSerializer.load_model(path)
    assert not marker.exists()


def test_a_pickle_in_the_clothes_of_skops_is_never_unpickled(bomb, marker, tmp_path, forest):
    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(bomb))
    with pytest.raises(ModelFileError, match="not as skops"):
        ModelSerializer.load_model(path, "skops", trust=True)
    ModelSerializer.save_model(forest, path, "skops")
    path.with_name(path.name + SUFFIX).unlink()
    inside = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(inside, "a") as archive:
        archive.writestr("schema.pkl", pickle.dumps(bomb))
    path.write_bytes(inside.getvalue())
    ModelSerializer.load_model(path, "skops")
    assert not marker.exists()


@pytest.mark.parametrize("data", [b"", b"\x80", b"PK\x03\x04", b"PK\x03\x04" + b"\xff" * 50, b"x"])
def test_a_file_that_is_no_model_is_refused(tmp_path, data):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(UntrustedModelError, match="unknown"):
        load_saved(path)
    with pytest.raises(ModelFileError, match=r"model\.bin cannot be loaded"):
        load_saved(path, trust=ModelSerializer.inspect(path).digest)


def test_a_name_cannot_speak_to_the_terminal(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"c\x1b[31mos\nsystem\n.")
    with pytest.raises(UntrustedModelError) as caught:
        load_saved(path)
    assert "\x1b" not in str(caught.value)
    assert r"\x1b[31mos.system" in str(caught.value)


def test_a_model_may_move_with_its_manifest(forest, tmp_path):
    ModelSerializer.save_model(forest, tmp_path / "a.joblib")
    shutil.move(tmp_path / "a.joblib", tmp_path / "b.joblib")
    shutil.move(tmp_path / f"a.joblib{SUFFIX}", tmp_path / f"b.joblib{SUFFIX}")
    loaded = ModelSerializer.load_model(tmp_path / "b.joblib")
    assert loaded.get_params() == forest.get_params()
