"""Versions of somebody else, and damaged ones."""

from __future__ import annotations

import pandas as pd
import pytest

from nbdeploy import ModelVersionControl
from nbdeploy.exceptions import CorruptedModelError, UntrustedModelError
from nbdeploy.models.notices import ModelTrustWarning

ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0], "height": [1.8, 1.7, 1.6]})


def test_another_user_needs_trust_and_a_digest_is_enough(
    two_versions, as_somebody_else, tmp_path, recwarn
):
    digest = two_versions["1.0"].digest
    as_somebody_else()
    folder = tmp_path / "churn"
    with pytest.raises(UntrustedModelError, match=digest):
        ModelVersionControl(folder).get_model_version("1.0")

    trusting = ModelVersionControl(folder, trust=digest)
    assert trusting.get_model_version("1.0") is not None
    with pytest.raises(UntrustedModelError):
        trusting.get_model_version("1.1")
    assert ModelVersionControl(folder)["1.0"].load(trust=digest) is not None
    assert list(recwarn) == []
    with pytest.warns(ModelTrustWarning):
        ModelVersionControl(folder, trust=True).get_model_version("1.1")


def test_one_digest_does_not_forbid_what_this_user_saved(tmp_path, make_model, as_somebody_else):
    theirs = ModelVersionControl(tmp_path / "team")
    digest = theirs.save_model_version(make_model(1), "1.0").digest
    as_somebody_else()
    ours = ModelVersionControl([tmp_path / "ours", tmp_path / "team"], trust=digest)
    ours.save_model_version(make_model(2), "1.1")
    assert ours.get_model_version("1.0") is not None
    assert ours.get_model_version("1.1") is not None


def test_a_version_under_another_name_is_no_version(two_versions, tmp_path):
    folder = tmp_path / "churn" / "versions"
    (folder / "1.0").rename(folder / "9.9")
    with pytest.raises(CorruptedModelError, match=r"its folder holds version '1\.0'"):
        two_versions["9.9"]
    assert [one.version for one in two_versions] == ["1.1"]


def test_a_damaged_version_is_reported_and_hides_no_other(two_versions, make_model, tmp_path):
    record = tmp_path / "churn" / "versions" / "1.0" / "version.json"
    record.write_bytes(record.read_bytes().replace(b"0.91", b"0.99"))

    assert [one.version for one in two_versions] == ["1.1"]
    assert "Not listed: Version '1.0' is corrupted" in repr(two_versions)
    assert "Not listed" in two_versions.to_html()
    with pytest.raises(CorruptedModelError, match="changed"):
        two_versions["1.0"]
    found = two_versions.verify()
    assert not found.ok
    assert list(found.problems) == ["1.0"]
    with pytest.raises(CorruptedModelError):
        two_versions.save_model_version(make_model(5), "1.0")
    two_versions.save_model_version(make_model(5), "1.0", replace=True)
    assert len(two_versions) == 2


def test_a_damaged_version_can_be_deleted(two_versions, tmp_path):
    (tmp_path / "churn" / "versions" / "1.0" / "version.json").write_bytes(b"{")
    two_versions.delete("1.0")
    assert two_versions.verify().ok


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_one_flipped_bit_anywhere_is_found_and_nothing_runs(tmp_path, make_model, clock):
    versions = ModelVersionControl(tmp_path / "r", clock=clock)
    versions.save_model_version(make_model(), "1.0", {"auc": 0.9}, "first", example=ROWS)
    versions.set_alias("production", "1.0")
    files = files_of(tmp_path / "r")
    assert len(files) == 5
    for file in files:
        data = file.read_bytes()
        for place in range(0, len(data), 97):
            file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
            fresh = ModelVersionControl(tmp_path / "r")
            assert not fresh.verify().ok, (file, place)
            if file.name == "model.joblib":
                with pytest.raises(CorruptedModelError):
                    fresh.get_model_version("1.0")
        file.write_bytes(data)
    assert versions.verify().ok


def test_a_file_that_is_gone_is_told(two_versions, tmp_path):
    (tmp_path / "churn" / "versions" / "1.0" / "model.joblib").unlink()
    with pytest.raises(CorruptedModelError, match=r"has no model\.joblib any more"):
        two_versions.get_model_version("1.0")
    (problem,) = two_versions.verify("1.0").problems["1.0"]
    assert "somebody took the file away" in problem
