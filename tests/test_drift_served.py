"""Drift and live quality of deployments: wherever they run, whatever they serve."""

import json

import numpy as np
import pytest
import sklearn
from palmerpenguins import load_penguins
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from nbdeploy import ModelSerializer, ModelService, ModelVersionControl, deploy
from nbdeploy.models.baseline import Baseline
from nbdeploy.models.manifest import Entry, Manifest

MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "year"]


@pytest.fixture(scope="module")
def penguins():
    return load_penguins().drop(columns="species")


@pytest.fixture(scope="module")
def of_2007(penguins):
    return penguins[penguins["year"] == 2007]


@pytest.fixture(scope="module")
def of_2009(penguins):
    return penguins[penguins["year"] == 2009]


@pytest.fixture(scope="module")
def species():
    return load_penguins()["species"]


@pytest.fixture(scope="module")
def model(of_2007, species):
    columns = make_column_transformer(
        (SimpleImputer(), MEASURES),
        (OneHotEncoder(handle_unknown="ignore"), ["island", "sex"]),
    )
    forest = RandomForestClassifier(n_estimators=10, random_state=0)
    return make_pipeline(columns, forest).fit(of_2007, species[of_2007.index])


def alarms_of(service):
    return {row.feature for row in service.monitor.drift().alarms}


def test_penguins_of_2007_raise_no_alarm_and_those_of_2009_one_about_the_year(
    model, of_2007, of_2009
):
    with deploy(model, name="drift-2007", example=of_2007) as service:
        assert service.monitor.drift().rows == ()
        service.predict(of_2007)
        drift = service.monitor.drift()

        assert drift.verdict == "No drift in 8 columns."
        assert (drift.rows[-1].feature, drift.rows[-1].is_prediction) == ("prediction", True)
        service.monitor.reset()
        service.predict(of_2009)
        assert service.monitor.drift().verdict == "year: median 2007 -> 2009"


def test_rows_that_come_one_by_one_are_the_same_rows(model, of_2007, penguins):
    records = json.loads(penguins[penguins["year"] == 2008].to_json(orient="records"))
    with deploy(model, name="drift-single", example=of_2007) as service:
        for record in records[:40]:
            service.predict(record)
        one_by_one = service.monitor.drift()
        service.monitor.reset()
        service.predict(records[:40])

        assert service.monitor.drift() == one_by_one
        assert "year" in alarms_of(service)


def test_rows_of_other_methods_count_and_their_answers_are_no_predictions(model, of_2007):
    with deploy(model, name="drift-proba", example=of_2007) as service:
        service.predict_proba(of_2007)
        names = [row.feature for row in service.monitor.drift().rows]

        assert names == list(of_2007.columns)


def test_the_baseline_travels_with_a_saved_model_and_holds_no_row(
    model, of_2007, of_2009, tmp_path
):
    path = tmp_path / "penguins.joblib"
    ModelSerializer.save_model(model, path, example=of_2007)
    saved = ModelSerializer.inspect(path)

    baseline = Baseline.from_dict(saved.baseline)
    assert baseline.predictions is not None
    assert (baseline.rows, len(baseline.columns)) == (110, 7)
    with deploy(str(path), name="drift-file") as service:
        service.predict(of_2009)
        assert alarms_of(service) == {"year"}


def test_a_version_has_its_baseline_without_an_example_that_is_stored(
    model, of_2007, of_2009, tmp_path
):
    versions = ModelVersionControl(tmp_path)
    versions.save_model_version(model, "1.0", example=of_2007, store_example=False)
    again = ModelVersionControl(tmp_path)["1.0"]

    assert again.example() is None
    with deploy(again, name="drift-version") as service:
        service.predict(of_2009)
        drift = service.monitor.drift()
        assert drift.versions == ("1.0",)
        assert [row.feature for row in drift.alarms] == ["year"]


def test_to_save_a_version_again_is_nothing_new_and_with_other_rows_it_is(
    model, of_2007, penguins, tmp_path
):
    versions = ModelVersionControl(tmp_path)
    versions.save_model_version(model, "1.0", example=of_2007)
    versions.save_model_version(model, "1.0", example=of_2007.sample(frac=1, random_state=1))

    assert versions["1.0"].revision == 1
    with pytest.raises(LookupError, match="example"):
        versions.save_model_version(model, "1.0", example=penguins)


def test_a_manifest_from_before_there_were_baselines_is_read_and_still_signed(
    model, of_2007, tmp_path
):
    path = tmp_path / "old.joblib"
    ModelSerializer.save_model(model, path)
    manifest = tmp_path / "old.joblib.manifest.json"
    document = json.loads(manifest.read_text())
    for entry in document["entries"]:
        assert entry.pop("baseline") is None
    manifest.write_text(json.dumps(document))

    assert isinstance(Manifest.from_json(manifest.read_bytes()).entries[0], Entry)
    assert ModelSerializer.inspect(path).trusted
    with deploy(str(path), name="drift-old") as service:
        service.predict(of_2007)
        note = service.monitor.drift().verdict
    assert "has no baseline: pass example= with at least 30 rows to deploy()" in note


def test_a_changed_baseline_is_no_longer_vouched_for(model, of_2007, tmp_path):
    path = tmp_path / "changed.joblib"
    ModelSerializer.save_model(model, path, example=of_2007)
    manifest = tmp_path / "changed.joblib.manifest.json"
    document = json.loads(manifest.read_text())
    document["entries"][0]["baseline"]["columns"][0]["counts"][0] += 1
    manifest.write_text(json.dumps(document))

    assert not ModelSerializer.inspect(path).trusted


def test_a_baseline_that_nobody_can_read_costs_the_drift_and_not_the_model(
    model, of_2007, tmp_path, monkeypatch
):
    monkeypatch.setattr("nbdeploy.models.baseline._FORMAT", 2)
    path = tmp_path / "newer.joblib"
    ModelSerializer.save_model(model, path, example=of_2007)
    monkeypatch.undo()
    with deploy(str(path), name="drift-newer") as service:
        assert len(service.predict(of_2007)) == 110
        assert "has no baseline" in service.monitor.drift().verdict


def test_every_live_version_is_judged_by_its_own_baseline(model, penguins, of_2007, tmp_path):
    versions = ModelVersionControl(tmp_path)
    versions.save_model_version(model, "1.0", example=of_2007)
    versions.save_model_version(model, "1.1", example=penguins)
    with deploy(versions["1.0"], name="drift-split") as service:
        service.split({"1.0": 0.5, "1.1": 0.5})
        for number in range(8):
            rows = penguins.sample(60, random_state=number)
            service._client.predict(rows, headers={"X-Routing-Key": f"visitor {number}"})
        drift = service.monitor.drift()

    assert set(drift.versions) == {"1.0", "1.1"}
    assert {(row.version, row.feature) for row in drift.alarms} >= {("1.0", "year")}
    assert "1.1" not in {row.version for row in drift.alarms}


def test_a_model_that_comes_later_is_judged_by_the_columns_of_the_first(
    model, penguins, of_2007, of_2009, species
):
    later = clone(model).set_params(randomforestclassifier__random_state=1)
    with deploy(model, name="drift-later", example=of_2007) as service:
        service.rollout(later.fit(penguins, species))
        service.predict(of_2009)

        assert [row.feature for row in service.monitor.drift().rows] == list(of_2007.columns)
        assert alarms_of(service) == {"year"}


def test_a_service_that_still_loads_has_nothing_to_judge(model, of_2007, tmp_path):
    path = tmp_path / "later.joblib"
    ModelSerializer.save_model(model, path, example=of_2007)
    service = ModelService(path, load=False)

    assert service.monitor.drift().verdict == "Nothing to judge yet."
    service.monitor.reset()
    service.load()
    assert service.monitor.drift().verdict.startswith("The model was asked 0 rows so far")
    service.close()


def test_another_deployment_under_the_name_starts_anew(model, of_2007, of_2009):
    with deploy(model, name="drift-again", example=of_2007) as service:
        service.predict(of_2007)
        deploy(model, name="drift-again", example=of_2009)

        assert service.monitor.drift().rows == ()
        service.predict(of_2009)
        assert not alarms_of(service)


def test_no_row_of_the_example_is_held_where_none_shall_be(model, of_2007):
    with deploy(model, name="drift-none", example=of_2007, store_example=False) as service:
        drift = service.service.route.drift

        assert drift._learn is None
        assert drift.baseline().predictions is not None


def test_replicas_answer_and_the_rows_are_seen_in_front(model, of_2007, of_2009):
    with deploy(model, name="drift-replicas", example=of_2007) as service:
        service.scale(1)
        service.predict(of_2009)

        assert alarms_of(service) == {"year"}


def test_another_process_tells_what_it_saw(model, of_2007, of_2009):
    with deploy(model, name="drift-apart", example=of_2007, where="process") as service:
        service.predict(of_2009)
        drift = service.monitor.drift()

        assert {row.feature for row in drift.alarms} == {"year"}
        assert drift.rows[-1].is_prediction


def test_each_model_of_a_group_is_judged_alone(model, of_2007, of_2009):
    with deploy({"one": model, "other": model}, name="drift-group", example=of_2007) as service:
        service["one"].predict(of_2009)
        service["other"].predict(of_2007)

        assert alarms_of(service["one"]) == {"year"}
        assert not alarms_of(service["other"])


def test_what_was_seen_reaches_neither_statistics_nor_their_page(model, of_2007):
    with deploy(model, name="drift-secret", example=of_2007) as service:
        rows = of_2007.assign(island="Peter's secret island")
        service.predict(rows)
        drift = service.monitor.drift()
        told = drift.to_text() + drift.to_html() + json.dumps(drift.to_dict())

    assert "island" in {row.feature for row in drift.alarms}
    assert "secret" not in told + json.dumps(service.stats(), default=str)


def test_the_truth_about_predictions_tells_the_quality_of_a_version(model, of_2007, species):
    rows = of_2007.head(40)
    with deploy(model, name="drift-truth", example=of_2007) as service:
        assert "quality" not in service.stats()
        predictions, prediction_id = service._client.predict(rows, with_id=True)
        truth = species[rows.index].tolist()
        service._client.feedback(prediction_id, truth)
        (quality,) = service.stats()["quality"].values()

        assert quality["rows"] == 40
        assert quality["accuracy"] == np.mean(np.array(predictions) == truth)
        assert quality["auc"] is None
        service.monitor.reset()
        assert "quality" not in service.stats()


def test_probabilities_tell_how_well_they_part_the_classes(model, of_2007, species):
    with deploy(model, name="drift-sure", example=of_2007) as service:
        shares, prediction_id = service._client.predict_proba(of_2007, with_id=True)
        truth = species[of_2007.index]
        service._client.feedback(prediction_id, truth.tolist())
        (quality,) = service.stats()["quality"].values()

        assert quality["auc"] == pytest.approx(
            roc_auc_score(truth, shares.to_numpy(), multi_class="ovr", labels=list(shares.columns))
        )
        assert 0 < quality["calibration_error"] < 0.2


def test_the_truth_about_numbers_is_told_as_their_root_mean_square_error():
    example = np.random.default_rng(0).normal(size=(60, 2))
    model = LinearRegression().fit(example, example.sum(axis=1))
    with deploy(model, name="drift-numbers", example=example) as service:
        predictions, prediction_id = service._client.predict(example, with_id=True)
        service._client.feedback(prediction_id, (predictions + 2).tolist())
        (quality,) = service.stats()["quality"].values()

        assert quality["rmse"] == pytest.approx(2.0)
        assert service.monitor.drift().rows[-1].kind == "number"
        assert not alarms_of(service)


def test_the_predictions_of_the_example_are_asked_as_those_of_the_service_are(of_2007, species):
    def index_of(frame):
        return frame.assign(row=range(len(frame)))

    with sklearn.config_context(transform_output="pandas"):
        scaled = make_pipeline(
            SimpleImputer(), FunctionTransformer(index_of), RandomForestClassifier(n_estimators=5)
        )
        measures = of_2007[MEASURES]
        scaled.fit(measures, species[of_2007.index])
        service = deploy(scaled, name="drift-pandas", example=measures)
    with service:
        service.predict(measures)

        assert service.monitor.drift().rows[-1].is_prediction


def test_scipy_is_loaded_when_the_drift_is_asked_for(run_script):
    told = run_script(
        """
        import sys
        import numpy as np
        from nbdeploy import deploy

        rows = np.arange(120.0).reshape(60, 2)
        with deploy(lambda rows: rows.sum(axis=1), name="lazy", example=rows) as service:
            service.predict(rows)
            print("scipy.special" in sys.modules, "scipy.stats" in sys.modules)
            print(service.monitor.drift().verdict)
            print("scipy.special" in sys.modules)
        """
    )

    assert told.splitlines()[-3:] == ["False False", "No drift in 3 columns.", "True"]
