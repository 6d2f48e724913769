"""What a notebook shows of versions: the same facts as text and as HTML, nothing that moves."""

from __future__ import annotations

import re

from tests.hostile import assert_harmless


def test_the_table_as_text_is_the_same_from_run_to_run(two_versions):
    two_versions.set_alias("production", "1.1")
    assert re.sub(r"\d+ B", "SIZE", repr(two_versions)).splitlines() == [
        "churn: 2 versions",
        "  version  aliases      auc  rmse  model              size  description",
        "  1.0                  0.91     3  LinearRegression  SIZE  first",
        "  1.1      production  0.94     4  LinearRegression  SIZE  second",
    ]


def test_the_table_as_html_also_tells_when(two_versions):
    text = assert_harmless(two_versions.to_html()).text
    for fact in ("churn", "2 versions", "1.0", "0.91", "LinearRegression", "2026-05-01", "first"):
        assert fact in text


def test_a_table_of_very_many_metrics_stays_readable(versions, make_model):
    metrics = {f"metric_{number}": number / 10 for number in range(30)}
    versions.save_model_version(make_model(), "1.0", metrics, "word " * 100)
    widest = max(map(len, repr(versions).splitlines()))
    assert widest < 200
    assert "metric_5" in repr(versions)
    assert "metric_6" not in repr(versions)


def test_one_version_tells_its_facts(two_versions):
    two_versions.set_alias("production", "1.0")
    shown = re.sub(r"\d+ B", "SIZE", repr(two_versions["1.0"]))
    assert shown.splitlines() == [
        "ModelVersion 1.0: LinearRegression",
        "  metrics      auc 0.91, rmse 3",
        "  aliases      production",
        "  description  first",
        "  size         SIZE",
    ]
    text = assert_harmless(two_versions["1.0"].to_html()).text
    assert two_versions["1.0"].digest in text
    assert "2026-05-01" in text
    assert "by ana" in text


def test_the_history_as_text_holds_no_time_and_no_user(two_versions):
    two_versions.set_alias("production", "1.0", why="first release")
    text = repr(two_versions.history())
    assert "2026" not in text
    assert "ana" not in text
    assert re.search(r"production +set +- +1\.0 +first release", text)
    html = assert_harmless(two_versions.history().to_html()).text
    assert "2026-05-01" in html
    assert "ana" in html


def test_a_bundle_of_both_is_what_a_notebook_asks_for(two_versions):
    for shown in (two_versions, two_versions["1.0"], two_versions.verify()):
        bundle = shown._repr_mimebundle_()
        assert set(bundle) == {"text/plain", "text/html"}
        assert bundle["text/plain"] == repr(shown)


def test_a_history_is_a_sequence(two_versions):
    history = two_versions.history()
    assert len(history) == 2
    assert [change.name for change in history] == ["1.0", "1.1"]
    assert history[0] == history[:1][0]
    assert history[0].action == "save"
