"""Metrics side by side with the best marked, and what is different between two versions."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge

from nbdeploy import VersionError
from nbdeploy.registry.metrics import is_less_better
from tests.hostile import assert_harmless

ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0], "height": [1.8, 1.7, 1.6]})


def test_the_best_of_each_metric_is_marked(two_versions):
    two_versions.set_alias("production", "1.0")
    comparison = two_versions.compare()
    assert repr(comparison).splitlines() == [
        "version  aliases      auc ↑  rmse ↓",
        "1.0      production    0.91     ★ 3",
        "1.1                  ★ 0.94       4",
    ]
    assert comparison.best("auc") == ("1.1",)
    assert comparison.best("rmse") == ("1.0",)
    assert "★ 0.94" in assert_harmless(comparison.to_html()).text


def test_some_versions_can_be_chosen_by_name_alias_or_object(two_versions):
    two_versions.set_alias("production", "1.1")
    for one in ("1.1", "production", two_versions["1.1"]):
        assert [each.version for each in two_versions.compare("1.0", one).versions] == [
            "1.0",
            "1.1",
        ]
    with pytest.raises(VersionError, match="no version '9'"):
        two_versions.compare("9")


def test_a_user_says_which_way_is_better(two_versions):
    comparison = two_versions.compare(lower_is_better=["auc"], higher_is_better=["rmse"])
    assert comparison.best("auc") == ("1.0",)
    assert comparison.best("rmse") == ("1.1",)


@pytest.mark.parametrize("name", ["rmse", "log_loss", "test_mae", "RMSE", "p95_latency", "brier"])
def test_of_errors_and_costs_less_is_better(name):
    assert is_less_better(name)


@pytest.mark.parametrize("name", ["auc", "accuracy", "f1", "r2", "neg_log_loss", "lossless", "tpr"])
def test_of_scores_more_is_better(name):
    assert not is_less_better(name)


def test_what_is_missing_equal_or_no_number_is_not_marked(versions, make_model):
    versions.save_model_version(make_model(1), "1", {"auc": 0.9, "note": "x", "nan": float("nan")})
    versions.save_model_version(make_model(2), "2", {"auc": 0.9, "f1": 0.5, "flag": True})
    versions.save_model_version(make_model(3), "3")
    comparison = versions.compare()
    assert comparison.metrics == ("auc", "f1")
    assert "★" not in repr(comparison)
    assert comparison.best("auc") == ("1", "2")
    assert comparison.best("unknown") == ()


def test_no_versions_at_all_can_be_compared(versions):
    assert "version" in repr(versions.compare())
    assert repr(versions.compare().plot()) == "<Plot: nothing of nothing>"


def test_the_plot_has_a_panel_a_metric_and_a_bar_a_version(two_versions, make_model):
    two_versions.save_model_version(make_model(3), "2.0", {"auc": 0.5})
    figure = two_versions.compare().plot().figure
    assert [panel.get_title() for panel in figure.axes] == ["auc ↑", "rmse ↓"]
    auc, rmse = figure.axes
    assert [bar.get_width() for bar in auc.patches] == [0.91, 0.94, 0.5]
    assert [text.get_text() for text in rmse.texts] == ["3", "4", ""]
    assert len({bar.get_facecolor() for bar in auc.patches}) == 2
    assert [label.get_text() for label in auc.get_yticklabels()] == ["1.0", "1.1", "2.0"]


def test_a_plot_shows_itself_and_is_written(two_versions, tmp_path):
    plot = two_versions.compare().plot()
    png, size = plot._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert size["width"] > size["height"]
    assert repr(plot) == "<Plot: auc ↑, rmse ↓ of 1.0, 1.1>"
    plot.savefig(tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    assert isinstance(plot.figure, Figure)


def test_a_diff_tells_parameters_metrics_schema_libraries_and_data(versions, monkeypatch):
    versions.save_model_version(
        Ridge(alpha=1.0).fit(ROWS, [0, 1, 2]), "1.0", {"r2": 0.5}, example=ROWS
    )
    wide = ROWS.assign(weight=[60.0, 70.0, 80.0])
    monkeypatch.setattr("nbdeploy.models.serializer.versions_for", lambda _: {"numpy": "9.9"})
    versions.save_model_version(
        Ridge(alpha=2.0).fit(wide, [0, 1, 2]), "1.1", {"r2": 0.75}, example=wide
    )
    found = {
        (each.part, each.name): (each.before, each.after)
        for each in versions.diff("1.0", "1.1").differences
    }
    assert found["parameters", "alpha"] == ("1.0", "2.0")
    assert found["metrics", "r2"] == ("0.5", "0.75")
    assert found["schema", "weight"][0] is None
    assert found["libraries", "numpy"][1] == "9.9"
    assert found["data", "columns"] == ("2", "3")
    assert ("data", "rows") not in found
    assert found["data", "digest"][0] != found["data", "digest"][1]
    text = repr(versions.diff("1.0", "1.1"))
    assert "parameters  alpha" in text
    assert_harmless(versions.diff("1.0", "1.1").to_html())


def test_a_version_and_itself_have_no_difference(two_versions):
    diff = two_versions.diff("1.0", "1.0")
    assert len(diff) == 0
    assert repr(diff) == "1.0 and 1.0: no difference"
    assert "no difference" in diff.to_html()
