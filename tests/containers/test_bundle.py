"""A bundle holds everything that serving its model needs, and nothing that it should not."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_iris

from nbdeploy import (
    Bundle,
    ContainerError,
    ModelSerializer,
    ModelVersionControl,
    deploy,
)
from nbdeploy.display.code_view import GeneratedFile
from nbdeploy.models.manifest import Manifest

X, y = load_iris(return_X_y=True, as_frame=True)


def test_it_holds_all_that_the_dockerfile_copies(written):
    assert written.files[:5] == [
        ".dockerignore", "Dockerfile", "README.md", "compose.yaml", "model/model.joblib",
    ]  # fmt: skip
    copied = [
        word
        for line in written.dockerfile.splitlines()
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert all((written.folder / word).exists() for word in copied)
    assert len(copied) == 4
    (wheel,) = (written.folder / "wheels").iterdir()
    assert zipfile.is_zipfile(wheel)


def test_the_model_is_whole_and_the_start_command_trusts_it_alone(written, model):
    path = written.folder / written.model_file

    assert ModelSerializer.inspect(path).digest == written.digest
    assert f'"--trust", "{written.digest}"' in written.dockerfile
    loaded = ModelSerializer.load_model(path, trust=written.digest)
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_the_rows_of_the_example_stay_outside_of_the_image(written):
    ignored = (written.folder / ".dockerignore").read_text().splitlines()

    assert [line for line in ignored if line[0] != "#"] == [
        "*", "!requirements.txt", "!wheels/", "!model/",
    ]  # fmt: skip
    saved = json.loads((written.folder / "rehearsal.json").read_text())
    assert saved["rows"] <= 32


def test_no_row_is_kept_when_none_shall_be(model, tmp_path):
    bundle = Bundle.create(model, tmp_path / "b", example=X, store_example=False)

    assert bundle.answers.is_made_up
    assert bundle.answers.rows == 1


def test_a_deployment_bundles_what_it_serves(model, tmp_path):
    with deploy(model, name="Iris 2.0", example=X) as service:
        bundle = service.bundle(tmp_path / "b")

        assert bundle.name == "iris-2-0"
        assert bundle.digest == service.service.route.digest
        assert bundle.answers.rows > 1
        assert bundle.folder == tmp_path / "b"
        text = (bundle.folder / "model" / "model.joblib.manifest.json").read_bytes()
        entry = Manifest.from_json(text).entries[0]
        # The container can tell how far its rows are from those of the training.
        assert entry.baseline == service.service.route.drift.baseline().to_dict()


def test_a_saved_model_and_a_version_keep_their_bytes(model, tmp_path):
    ModelSerializer.save_model(model, tmp_path / "iris.pkl", format="pickle", example=X)
    versions = ModelVersionControl(tmp_path / "versions")
    saved = versions.save_model_version(model, "1.0", example=X)

    of_file = Bundle.create(tmp_path / "iris.pkl", tmp_path / "a")
    of_version = Bundle.create(versions["1.0"], tmp_path / "b")

    assert of_file.model_file == "model/model.pkl"
    assert of_file.digest == ModelSerializer.inspect(tmp_path / "iris.pkl").digest
    assert of_version.digest == saved.digest
    assert ModelSerializer.inspect(tmp_path / "b" / of_version.model_file).version == "1.0"


def test_again_gives_the_same_bundle_and_an_edit_is_not_lost(bundle, model):
    again = Bundle.create(model, bundle.folder, name="iris", example=X)
    assert again == bundle

    (bundle.folder / "Dockerfile").write_text("FROM mine\n")
    with pytest.raises(ContainerError, match="Dockerfile was changed"):
        Bundle.create(model, bundle.folder, name="iris", example=X)


def test_it_is_opened_again_by_its_folder(written):
    assert Bundle.open(written.folder) == written
    with pytest.raises(ContainerError, match="is no bundle"):
        Bundle.open(written.folder / "model")


def test_a_model_that_tells_nothing_of_its_rows_needs_an_example(tmp_path):
    with pytest.raises(ContainerError, match="example=X_train"):
        Bundle.create(lambda rows: [1 for _ in rows], tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_files_are_shown_highlighted_and_downloaded_under_their_names(written):
    for file in (written.dockerfile, written.compose):
        assert isinstance(file, GeneratedFile)
        shown = file._repr_mimebundle_()
        assert shown["text/plain"] == str(file)
        assert f'download="{file.name}"' in shown["text/html"]
        assert "nbd-code-key" in shown["text/html"]


def test_ipython_shows_the_text_as_it_is_and_not_as_a_quoted_one(written):
    from IPython.core.formatters import DisplayFormatter

    shown, _ = DisplayFormatter().format(written.compose)

    assert shown["text/plain"] == str(written.compose)


def test_the_card_tells_the_files_and_what_comes_next(written):
    html = written.to_html()

    assert "check()" in html
    assert written.digest in html
    assert str(written.folder) not in repr(written) + html


def test_push_needs_an_image(written):
    with pytest.raises(ContainerError, match="no image yet"):
        written.push()


def test_a_fitted_model_of_lightgbm_brings_its_library(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(X, y)

    bundle = Bundle.create(model, tmp_path / "b", example=X)

    assert "lightgbm==" in bundle.requirements
    assert "libgomp1" in bundle.dockerfile


def test_a_plain_model_has_no_need_of_it(written):
    assert "libgomp1" not in written.dockerfile
