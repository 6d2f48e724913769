"""The chapter's calls word for word, and what they lack there: re-runs, replacement, places."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbdeploy import ModelVersion, ModelVersionControl, VersionError
from nbdeploy.exceptions import ModelFileError, SignatureError
from nbdeploy.models.manifest import digest_of

ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0], "height": [1.8, 1.7, 1.6]})


def test_the_calls_of_the_chapter_work_word_for_word(tmp_path, make_model):
    base_path = str(tmp_path / "registry")
    control = ModelVersionControl(base_path)
    model = make_model()

    control.save_model_version(model, "1.0", {"accuracy": 0.9}, description="first")
    control.save_model_version(model, "1.1", {"accuracy": 0.95})

    assert control.base_path == base_path
    restored = control.get_model_version("1.0")
    assert restored.predict(ROWS).tolist() == model.predict(ROWS).tolist()
    assert control.get_model_version("2.0") is None


def test_a_saved_version_tells_what_is_known_about_it(versions, make_model):
    saved = versions.save_model_version(
        make_model(), "1.0", metrics={"auc": 0.91}, description="first", example=ROWS
    )

    assert isinstance(saved, ModelVersion)
    assert saved == versions["1.0"]
    assert (saved.version, saved.description) == ("1.0", "first")
    assert saved.metrics == {"auc": 0.91}
    assert saved.created_at == datetime(2026, 5, 1, 12, 1, tzinfo=UTC)
    assert saved.created_by == "ana"
    assert saved.model_type == "LinearRegression"
    assert saved.signature.names == ("age", "height")
    assert saved.parameters["fit_intercept"] == "True"
    assert (saved.data["rows"], saved.data["columns"]) == (3, 2)
    assert "scikit-learn" in saved.libraries
    data = Path(saved.path).read_bytes()
    assert (saved.size, saved.digest) == (len(data), digest_of(data))
    assert saved.load().coef_.shape == (2,)
    assert saved.example() == {"age": [20.0, 30.0, 40.0], "height": [1.8, 1.7, 1.6]}
    with pytest.raises(AttributeError):
        saved.version = "2.0"


def test_versions_are_a_collection(two_versions, make_model):
    assert [one.version for one in two_versions] == ["1.0", "1.1"]
    assert len(two_versions) == 2
    assert "1.0" in two_versions
    assert two_versions["1.0"] in two_versions
    assert "2.0" not in two_versions
    assert 1.0 not in two_versions
    assert two_versions.latest == two_versions["latest"] == two_versions["1.1"]
    two_versions.save_model_version(make_model(3), "0.9")
    assert two_versions.latest.version == "0.9"


def test_an_unknown_version_is_told_with_a_near_miss(two_versions):
    with pytest.raises(VersionError, match=r"no version '1\.O' in .*Did you mean '1\..'\?"):
        two_versions["1.O"]
    with pytest.raises(LookupError, match=r"There are: 1\.0, 1\.1\."):
        two_versions["something"]


def test_an_empty_registry_says_how_to_begin(versions):
    assert list(versions) == []
    assert "save_model_version(model, '1.0'" in repr(versions)
    with pytest.raises(VersionError, match=r"there are none in .*churn yet"):
        _ = versions.latest


def test_nothing_is_made_before_the_first_save(versions, tmp_path):
    assert versions.get_model_version("1.0") is None
    assert repr(versions)
    assert versions.verify().ok
    assert list(tmp_path.iterdir()) == []


def test_saving_the_same_again_changes_nothing(two_versions, make_model, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    again = two_versions.save_model_version(
        make_model(1), "1.0", {"auc": 0.91, "rmse": 3.0}, "first", example=ROWS
    )
    assert again == two_versions["1.0"]
    assert sorted(tmp_path.rglob("*")) == before
    assert two_versions["1.0"].revision == 1


def test_a_model_that_was_loaded_is_the_same_though_its_bytes_may_differ(versions):
    # Two equal texts that are two objects are written twice, and after a load once.
    model = make_pipeline(StandardScaler(), Ridge()).fit(ROWS, [0.0, 1.0, 2.0])
    model.tags = [str(number) + "!" for number in (1, 1)]
    first = versions.save_model_version(model, "1")
    loaded = first.load()

    assert versions.save_model_version(loaded, "1") == first
    assert versions.save_model_version(loaded) == first
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": 2}, "another model"),
        ({"metrics": {"auc": 0.5}}, "another metrics"),
        ({"description": "other"}, "another description"),
        ({"model": 2, "metrics": {}, "description": ""}, "another model, metrics and description"),
    ],
    ids=["model", "metrics", "description", "several"],
)
def test_other_content_under_a_taken_name_is_refused(versions, make_model, change, named):
    def save(model=1, metrics=None, description="first"):
        known = {"auc": 0.9} if metrics is None else metrics
        return versions.save_model_version(make_model(model), "1.0", known, description)

    first = save()
    with pytest.raises(VersionError, match=r"'1\.0' is taken.*replace=True") as caught:
        save(**change)
    assert named in str(caught.value)
    assert versions["1.0"] == first


def test_replace_puts_other_content_there_and_keeps_the_old(two_versions, make_model):
    old = two_versions["1.0"]
    new = two_versions.save_model_version(make_model(9), "1.0", {"auc": 0.99}, replace=True)

    assert two_versions["1.0"] == new != old
    assert new.revision == 2
    assert two_versions.revisions("1.0") == (old, new)
    assert two_versions.revisions("1.0")[0].load().coef_.tolist() == old.load().coef_.tolist()
    assert [one.action for one in two_versions.history("1.0")] == ["save", "replace"]
    assert [one.version for one in two_versions] == ["1.1", "1.0"]


def test_versions_are_numbered_when_none_is_given(versions, make_model):
    saved = [versions.save_model_version(make_model(slope)).version for slope in (1, 2, 3)]
    assert saved == ["1", "2", "3"]
    versions.save_model_version(make_model(4), "4.2")
    assert versions.save_model_version(make_model(5)).version == "5"
    versions.delete("5")
    assert versions.save_model_version(make_model(6)).version == "6"


def test_a_cell_without_a_version_can_be_run_again(versions, make_model):
    for _ in range(3):
        for slope in (1, 2):
            versions.save_model_version(make_model(slope), metrics={"auc": slope / 10})
    assert [one.version for one in versions] == ["1", "2"]


@pytest.mark.parametrize("metrics", [[0.9], {1: 0.9}, {"auc": object()}, "0.9", {"a": {1, 2}}])
def test_metrics_that_are_none_are_refused(versions, make_model, metrics):
    with pytest.raises(VersionError, match=r"such as|Pass a number"):
        versions.save_model_version(make_model(), "1.0", metrics)
    assert len(versions) == 0


def test_metrics_come_back_as_they_were(versions, make_model):
    given = {
        "auc": np.float64(0.91),
        "count": np.int64(3),
        "undefined": float("nan"),
        "confusion": np.array([[1, 2], [3, 4]]),
        "note": "on the old data",
        "per_class": {"a": 0.5},
    }
    metrics = versions.save_model_version(make_model(), "1.0", given).metrics
    found = versions["1.0"].metrics
    assert found["undefined"] != found["undefined"]
    assert {**found, "undefined": None} == {
        "auc": 0.91,
        "count": 3,
        "undefined": None,
        "confusion": [[1, 2], [3, 4]],
        "note": "on the old data",
        "per_class": {"a": 0.5},
    }
    assert found.keys() == metrics.keys()
    assert versions.save_model_version(make_model(), "1.0", given).revision == 1


def test_a_wrong_description_and_a_wrong_example_are_told(versions, make_model):
    with pytest.raises(VersionError, match="is no text"):
        versions.save_model_version(make_model(), "1.0", {}, 7)
    with pytest.raises(SignatureError):
        versions.save_model_version(make_model(), "1.0", example=ROWS[["age"]])
    assert len(versions) == 0


def test_the_rows_of_the_example_are_kept_only_if_wanted_and_at_most_32(versions, make_model):
    many = pd.concat([ROWS] * 100)
    kept = versions.save_model_version(make_model(1), "1.0", example=many)
    none = versions.save_model_version(make_model(2), "1.1", example=many, store_example=False)
    assert len(kept.example()["age"]) == 32
    assert none.example() is None
    assert none.signature.names == ("age", "height")
    assert kept.data["rows"] == 300


def test_an_example_is_shown_nowhere(versions, make_model):
    secret = ROWS.assign(age=[31.4159, 27.1828, 16.1803])
    saved = versions.save_model_version(make_model(), "1.0", example=secret)
    for shown in (repr(saved), saved.to_html(), repr(versions), versions.to_html()):
        assert "27.18" not in shown


@pytest.mark.parametrize("kind", ["joblib", "pickle", "skops"])
def test_every_format_can_be_kept(versions, make_model, kind):
    model = make_model()
    saved = versions.save_model_version(model, "1.0", format=kind)
    assert versions.get_model_version("1.0").predict(ROWS).tolist() == model.predict(ROWS).tolist()
    assert versions.save_model_version(model, "1.0", format=kind) == saved
    assert versions.verify().ok


def test_an_unknown_format_is_told(versions, make_model):
    with pytest.raises(ValueError, match="Unsupported format: 'onnx'"):
        versions.save_model_version(make_model(), "1.0", format="onnx")


def test_a_model_that_cannot_be_saved_leaves_nothing(versions, tmp_path):
    with pytest.raises(ModelFileError):
        versions.save_model_version((value for value in [1]), "1.0")
    assert list(tmp_path.iterdir()) == []


def test_delete_takes_a_version_and_what_it_replaced_away(two_versions, make_model, tmp_path):
    two_versions.save_model_version(make_model(9), "1.0", replace=True)
    two_versions.delete("1.0", why="wrong data")

    assert "1.0" not in two_versions
    assert two_versions.get_model_version("1.0") is None
    assert [one.version for one in two_versions] == ["1.1"]
    assert len(list(tmp_path.rglob("model.joblib"))) == 1
    last = two_versions.history("1.0")[-1]
    assert (last.action, last.why, last.after) == ("delete", "wrong data", None)
    with pytest.raises(VersionError, match=r"no version '1\.0'"):
        two_versions.delete("1.0")


def test_a_deleted_name_can_be_used_again(two_versions, make_model):
    two_versions.delete("1.0")
    saved = two_versions.save_model_version(make_model(7), "1.0")
    assert two_versions["1.0"] == saved
    assert two_versions.revisions("1.0") == (saved,)


def test_what_an_alias_points_to_is_not_deleted(two_versions):
    two_versions.set_alias("production", "1.0")
    with pytest.raises(VersionError, match="'production' points to it"):
        two_versions.delete("1.0")
    with pytest.raises(VersionError, match="is an alias and no version"):
        two_versions.delete("production")
    assert "1.0" in two_versions


def test_a_version_and_an_alias_never_share_a_name(two_versions, make_model):
    two_versions.set_alias("stable", "1.0")
    with pytest.raises(VersionError, match="'stable' is an alias"):
        two_versions.save_model_version(make_model(), "stable")
    with pytest.raises(VersionError, match=r"'1\.1' is the name of a version"):
        two_versions.set_alias("1.1", "1.0")
    for call in (two_versions.save_model_version, two_versions.set_alias):
        with pytest.raises(VersionError, match="always means the version that was saved last"):
            call(*((make_model(), "latest") if call.__name__ != "set_alias" else ("latest", "1.0")))


def test_names_that_differ_only_in_capitals_are_refused(versions, make_model):
    versions.save_model_version(make_model(1), "rc.A")
    with pytest.raises(VersionError, match="only in capital letters"):
        versions.save_model_version(make_model(2), "RC.a")


def test_code_of_the_notebook_travels_along(versions):
    scope = {"__name__": "__main__"}
    exec("def double(rows): return [2 * row[0] for row in rows]", scope)
    versions.save_model_version(scope["double"], "1.0", example=[[1.0]])
    assert versions.get_model_version("1.0")([[4.0]]) == [8.0]
