"""Drift of penguins: of one year on a baseline of that year, of other islands, of other years."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from palmerpenguins import load_penguins
from scipy.stats import binom

from nbdeploy.models.baseline import Baseline
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.drift import ALPHA, Drift, measure_drift
from nbdeploy.monitoring.drift_window import DriftWindow
from nbdeploy.monitoring.monitor import ModelMonitor


@pytest.fixture(scope="module")
def penguins():
    return load_penguins().drop(columns="species")


@pytest.fixture(scope="module")
def of_2007(penguins):
    return penguins[penguins["year"] == 2007]


def drift_of(example, *requests, alpha=ALPHA):
    signature = Signature.learn(example=example)
    window = DriftWindow(Baseline.learn(signature, example), signature.kind)
    for rows in requests:
        window.add(window.keep(signature.validate(rows)), None)
    return measure_drift([("1", window)], alpha=alpha)


def alarms_of(drift):
    return {row.feature for row in drift.alarms}


def test_penguins_of_2007_on_a_baseline_of_2007_raise_no_alarm(of_2007):
    drift = drift_of(of_2007, of_2007)

    assert drift.verdict == "No drift in 7 columns."
    assert {row.psi for row in drift.rows} == {0.0}
    assert [row.feature for row in drift.rows] == list(of_2007.columns)


def test_draws_of_the_penguins_of_2007_raise_no_alarm(of_2007):
    for seed in range(20):
        assert not drift_of(of_2007, of_2007.sample(100, replace=True, random_state=seed)).alarm


def test_another_year_alarms_about_the_year_and_nothing_else(penguins, of_2007):
    drift = drift_of(of_2007, penguins[penguins["year"] == 2009])

    assert alarms_of(drift) == {"year"}
    assert drift.verdict == "year: median 2007 -> 2009"


def test_another_island_alarms_about_the_island_first(penguins):
    everywhere = penguins.dropna()
    drift = drift_of(everywhere, everywhere[everywhere["island"] == "Torgersen"])

    assert drift.rows[0].verdict == "island: Torgersen 14 % -> 100 %"
    assert drift.alarms[0].feature == "island"
    assert alarms_of(drift) >= {"island", "bill_length_mm"}
    assert not {"sex", "year"} & alarms_of(drift)


def test_islands_that_only_shift_alarm_alone(of_2007):
    generator = np.random.default_rng(3)
    rows = of_2007.sample(1000, replace=True, random_state=4)
    rows = rows.assign(island=generator.choice(["Biscoe", "Torgersen"], len(rows)))

    assert alarms_of(drift_of(of_2007, rows)) == {"island"}


def test_missing_values_are_counted_and_alarm(of_2007):
    rows = of_2007.sample(500, replace=True, random_state=1).reset_index(drop=True)
    rows.loc[:149, "body_mass_g"] = np.nan
    drift = drift_of(of_2007, rows)
    mass = next(row for row in drift.rows if row.feature == "body_mass_g")

    assert alarms_of(drift) == {"body_mass_g"}
    assert mass.missing == pytest.approx(0.3, abs=0.01)
    assert mass.verdict == "body_mass_g: missing < 1 % -> 30 %"


def test_values_that_the_baseline_never_saw_are_counted_and_alarm(of_2007):
    rows = of_2007.sample(400, replace=True, random_state=1).reset_index(drop=True)
    rows.loc[:79, "island"] = "Anvers"
    drift = drift_of(of_2007, rows)
    island = drift.rows[0]

    assert alarms_of(drift) == {"island"}
    assert island.unseen == 0.2
    assert island.verdict == "island: unseen values 0 % -> 20 %"


def test_a_shift_too_small_to_count_is_no_alarm_however_sure():
    generator = np.random.default_rng(5)
    example = pd.DataFrame({"kind": generator.choice(["a", "b"], 5000, p=[0.5, 0.5])})
    rows = pd.DataFrame({"kind": generator.choice(["a", "b"], 1000, p=[0.57, 0.43])})
    (row,) = drift_of(example, rows).rows

    assert row.corrected_p < ALPHA
    assert not row.alarm


def test_fewer_than_thirty_rows_are_not_judged(of_2007):
    drift = drift_of(of_2007, of_2007.head(29))

    assert drift.rows == ()
    assert drift.verdict == "The model was asked 29 rows so far; 30 are needed for a judgement."


@pytest.mark.parametrize("windows", [200, pytest.param(2000, marks=pytest.mark.acceptance)])
def test_the_rate_of_false_alarms_is_what_the_docstring_says(windows):
    """Columns that depend on each other, and p values alone: as many alarms as there can be."""
    generator = np.random.default_rng(2007)
    alarming = {ALPHA: 0, 0.2: 0}
    for _ in range(windows):
        drift = drift_of(population(generator, 500), population(generator, 200))
        smallest = min(row.corrected_p for row in drift.rows)
        for alpha in alarming:
            alarming[alpha] += smallest <= alpha

    assert f"at most {ALPHA:.0%} of".replace("%", " %") in Drift.__doc__
    assert alarming[ALPHA] <= binom.ppf(0.9999, windows, ALPHA)
    # Neither is the correction so strong that nothing would ever alarm.
    assert 0.05 * windows <= alarming[0.2] <= binom.ppf(0.9999, windows, 0.2)


def population(generator, size):
    mass = generator.normal(4200, 800, size)
    return pd.DataFrame(
        {
            "mass": np.where(generator.random(size) < 0.05, np.nan, mass),
            "bill": mass / 100 + generator.normal(0, 1, size),
            "island": generator.choice(["Biscoe", "Dream", "Torgersen"], size, p=[0.5, 0.35, 0.15]),
            "sex": generator.choice(["female", "male"], size),
            "nests": generator.poisson(2, size),
        }
    )


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(random):
    generator = np.random.default_rng(1)
    example, rows = population(generator, 300), population(generator, 100)
    order = list(range(len(rows)))
    random.shuffle(order)
    at = random.randrange(1, len(rows))
    shuffled = rows.iloc[order]

    assert drift_of(example, shuffled.iloc[:at], shuffled.iloc[at:]) == drift_of(example, rows)


def test_every_version_is_judged_by_itself_and_told_by_name(of_2007, penguins):
    signature = Signature.learn(example=of_2007)
    windows = {}
    for version, rows in {"1.0": of_2007, "1.1": penguins[penguins["year"] == 2008]}.items():
        windows[version] = DriftWindow(Baseline.learn(signature, of_2007), "frame")
        windows[version].add(signature.validate(rows), None)
    drift = measure_drift([*windows.items(), ("2.0", None)])

    assert drift.versions == ("1.0", "1.1")
    assert drift.verdict == "year: median 2007 -> 2008 (1.1)"
    assert drift.notes[0].startswith(
        "Version 2.0 has no baseline: pass example= with at least 30 rows"
    )
    assert "1.1" in drift.to_text()


def test_predictions_are_judged_by_their_distance(of_2007):
    signature = Signature.learn(example=of_2007)
    labels = iter(np.random.default_rng(2).permutation(["Adelie"] * 80 + ["Gentoo"] * 30))
    baseline = Baseline.learn(
        signature, of_2007, predict=lambda rows: ["Adelie", "Gentoo"] * (len(rows) // 2)
    )
    window = DriftWindow(baseline, "frame")
    window.add(signature.validate(of_2007), list(labels))
    drift = measure_drift([("1", window)])
    row = drift.rows[-1]

    assert (row.feature, row.is_prediction) == ("prediction", True)
    assert row.verdict == "prediction: Adelie 50 % -> 73 %"
    assert row.distance == pytest.approx(0.2, abs=0.01)
    assert alarms_of(drift) == {"prediction"}


def test_a_drift_is_a_table_a_frame_and_json(of_2007, penguins):
    drift = drift_of(of_2007, penguins[penguins["year"] == 2009])

    assert Drift.from_dict(json.loads(json.dumps(drift.to_dict()))) == drift
    assert list(drift.to_frame()["feature"]) == list(of_2007.columns)
    assert repr(drift) == "<Drift: 1 alarm in 7 rows>"
    assert "ALARM year: median 2007 -&gt; 2009" in drift.to_html()
    assert drift.to_text().splitlines()[3].startswith("year")


def test_a_hostile_category_is_escaped():
    evil = "<script>alert(1)</script>"
    example = pd.DataFrame({evil: ["a", evil] * 50})
    drift = drift_of(example, pd.DataFrame({evil: [evil] * 100}))

    assert drift.alarm
    assert "<script>" not in drift.to_html()


def test_a_monitor_without_a_baseline_says_what_to_do():
    assert (
        ModelMonitor()
        .drift()
        .verdict.startswith(
            "This monitor has no baseline: make it with ModelMonitor(example=X_train), or deploy("
        )
    )


def test_a_monitor_of_ones_own_compares_what_is_logged_with_its_example(of_2007, penguins):
    monitor = ModelMonitor(example=of_2007)
    for row in penguins[penguins["year"] == 2008].to_dict("records"):
        monitor.log_prediction(row, prediction="Adelie", latency=0.001)
    monitor.log_prediction({"island": "Dream"}, prediction="Adelie", latency=0.001)
    drift = monitor.drift()

    assert alarms_of(drift) == {"year"}
    assert drift.notes == ("1 logged inputs do not look like the example and were left out.",)
    monitor.reset()
    assert (
        monitor.drift().verdict
        == "The model was asked 0 rows so far; 30 are needed for a judgement."
    )


def test_a_merged_monitor_says_where_the_rows_are(of_2007):
    with pytest.raises(TypeError, match="the rows are where they were seen"):
        ModelMonitor.merged([ModelMonitor(example=of_2007)]).drift()
