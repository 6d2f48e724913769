"""Models of other libraries: they predict, are saved and come back as their library has them."""

import json

import lightgbm
import numpy as np
import onnxruntime
import pytest
import xgboost

from nbdeploy import ModelSerializer, deploy
from nbdeploy.exceptions import UnsupportedModelError, UntrustedModelError
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import load_saved, save, snapshot
from nbdeploy.models.signature import Signature

MODELS = (
    "xgboost_classifier",
    "xgboost_regressor",
    "xgboost_booster",
    "lightgbm_classifier",
    "lightgbm_regressor",
    "lightgbm_booster",
    "onnx_session",
)


@pytest.fixture(scope="session")
def models(flowers, named_kinds, onnx_model):
    frame, kinds = flowers
    rows = frame.to_numpy()
    quiet = {"n_estimators": 4, "verbose": -1}
    return {
        "xgboost_classifier": xgboost.XGBClassifier(n_estimators=4).fit(frame, kinds),
        "xgboost_regressor": xgboost.XGBRegressor(n_estimators=4, missing=5.1).fit(rows, kinds),
        "xgboost_booster": xgboost.train(
            {"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(rows, kinds), 4
        ),
        "lightgbm_classifier": lightgbm.LGBMClassifier(**quiet).fit(frame, named_kinds),
        "lightgbm_regressor": lightgbm.LGBMRegressor(**quiet).fit(rows, kinds),
        "lightgbm_booster": lightgbm.train({"verbose": -1}, lightgbm.Dataset(rows, kinds), 4),
        "onnx_session": onnxruntime.InferenceSession(onnx_model.SerializeToString()),
    }


def native_answers(name, model, frame):
    if name == "xgboost_booster":
        return model.predict(xgboost.DMatrix(frame.to_numpy()))
    if name == "onnx_session":
        (labels,) = model.run(["output_label"], {"X": frame.to_numpy(dtype="float32")})
        return labels
    has_names = name in ("xgboost_classifier", "lightgbm_classifier")
    return model.predict(frame if has_names else frame.to_numpy())


def rows_of(name, frame):
    has_names = name in ("xgboost_classifier", "lightgbm_classifier")
    return frame if has_names else frame.to_numpy()


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_what_the_library_answers(name, models, flowers):
    model, rows = models[name], rows_of(name, flowers[0])

    answers = predictor_for(model).call("predict", rows)

    assert np.array_equal(answers, native_answers(name, model, flowers[0]))


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_in_every_method(name, models, flowers, tmp_path):
    model, rows = models[name], rows_of(name, flowers[0])
    before = predictor_for(model)

    saved = save(model, tmp_path / "model.joblib", example=rows)
    after = predictor_for(load_saved(tmp_path / "model.joblib")[0])

    assert saved.format == {"xg": "xgboost", "li": "lightgbm", "on": "onnx"}[name[:2]]
    assert (after.methods, after.classes) == (before.methods, before.classes)
    for method in before.methods:
        assert np.array_equal(after.call(method, rows), before.call(method, rows)), method


@pytest.mark.parametrize("name", MODELS)
def test_a_snapshot_of_a_snapshot_has_the_same_bytes(name, models):
    twin, _ = snapshot(models[name])

    assert snapshot(twin)[1] == snapshot(snapshot(twin)[0])[1]


@pytest.mark.parametrize("name", MODELS)
def test_it_is_served_in_the_form_of_its_rows(name, models, flowers):
    model, frame = models[name], flowers[0]
    rows = rows_of(name, frame)

    with deploy(model, name=name.replace("_", "-"), example=rows) as service:
        answers = service.predict(rows[:20])

    expected = native_answers(name, model, frame)[:20]
    assert np.allclose(answers, expected) if expected.dtype.kind == "f" else True
    assert expected.dtype.kind == "f" or list(answers) == list(expected)


@pytest.mark.parametrize("name", MODELS)
def test_it_tells_what_a_row_looks_like_without_an_example(name, models):
    assert Signature.learn(models[name]).width == 4


def test_the_libraries_themselves_read_what_is_saved(models, flowers, onnx_model, tmp_path):
    frame = flowers[0]
    for name, file in (("xgboost_classifier", "x.ubj"), ("lightgbm_classifier", "l.lgbm")):
        ModelSerializer.save_model(models[name], tmp_path / file)
    ModelSerializer.save_model(onnx_model, tmp_path / "o.onnx")

    booster = xgboost.Booster(model_file=tmp_path / "x.ubj")
    text = lightgbm.Booster(model_file=tmp_path / "l.lgbm")
    session = onnxruntime.InferenceSession(tmp_path / "o.onnx")

    shares = models["xgboost_classifier"].predict_proba(frame)
    assert np.array_equal(booster.predict(xgboost.DMatrix(frame)), shares)
    assert np.array_equal(text.predict(frame), models["lightgbm_classifier"].predict_proba(frame))
    assert [each.name for each in session.get_outputs()] == ["output_label", "output_probability"]


def test_a_fresh_process_loads_and_answers_the_same(models, flowers, tmp_path, run_script):
    expected = {}
    for name in MODELS:
        save(models[name], tmp_path / f"{name}.joblib")
        answers = predictor_for(models[name]).call("predict", rows_of(name, flowers[0]))
        expected[name] = np.asarray(answers).tolist()
    flowers[0].to_csv(tmp_path / "flowers.csv", index=False)

    told = run_script(
        """
        import json, sys
        import numpy as np, pandas as pd
        from nbdeploy.models.predictor import predictor_for
        from nbdeploy.models.serializer import load_saved

        folder, *names = sys.argv[1:]
        frame = pd.read_csv(f"{folder}/flowers.csv")
        found = {}
        for name in names:
            rows = frame if name.endswith("_classifier") else frame.to_numpy()
            predictor = predictor_for(load_saved(f"{folder}/{name}.joblib")[0])
            found[name] = np.asarray(predictor.call("predict", rows)).tolist()
        print(json.dumps(found))
        """,
        tmp_path,
        *MODELS,
    )

    assert json.loads(told) == expected


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [
        ("xgboost", "xgboost_classifier", "xgboost"),
        ("lightgbm", "lightgbm_booster", "lightgbm"),
        ("onnxruntime", "onnx_session", "onnxruntime"),
    ],
    ids=lambda value: value,
)
def test_without_the_library_the_error_names_the_extra(
    module, name, extra, models, tmp_path, run_script
):
    save(models[name], tmp_path / "model.joblib")

    told = run_script(
        f"""
        import sys
        sys.modules[{module!r}] = None  # as if it were not installed
        from nbdeploy import ModelSerializer
        from nbdeploy.exceptions import ModelFileError, UnsupportedModelError
        try:
            ModelSerializer.load_model(sys.argv[1])
        except (ModelFileError, UnsupportedModelError) as error:
            print(error)
        """,
        tmp_path / "model.joblib",
    )

    assert f"pip install 'nbdeploy[{extra}]'" in told


def test_no_library_is_imported_that_is_not_used(tmp_path, run_script):
    told = run_script(
        """
        import sys
        from sklearn.linear_model import LogisticRegression
        from nbdeploy import Ensemble, ModelSerializer, deploy
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        ModelSerializer.save_model(model, sys.argv[1])
        ModelSerializer.load_model(sys.argv[1])
        with deploy(Ensemble({"only": model}), name="light") as service:
            service.predict([[1.0]])
        wanted = {"xgboost", "lightgbm", "torch", "onnx", "onnxruntime"}
        print(sorted(wanted & set(sys.modules)))
        """,
        tmp_path / "model.joblib",
    )

    assert told.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["xgboost_booster", "lightgbm_classifier", "onnx_session"])
def test_a_file_of_somebody_else_is_not_loaded(name, models, tmp_path, as_somebody_else):
    saved = save(models[name], tmp_path / "model.joblib")
    as_somebody_else()

    with pytest.raises(UntrustedModelError, match="It holds no code of Python") as refusal:
        ModelSerializer.load_model(tmp_path / "model.joblib")

    assert saved.digest in str(refusal.value)
    assert ModelSerializer.load_model(tmp_path / "model.joblib", trust=saved.digest) is not None


def test_a_file_without_a_manifest_is_known_by_its_name(onnx_model, tmp_path):
    (tmp_path / "foreign.onnx").write_bytes(onnx_model.SerializeToString())

    with pytest.warns(match="because of trust=True"):
        model = ModelSerializer.load_model(tmp_path / "foreign.onnx", trust=True)

    assert predictor_for(model).classes == ["setosa", "versicolor", "virginica"]


def test_a_model_with_a_function_inside_is_saved_as_joblib(flowers, tmp_path):
    def squares(truth, guess):
        return guess - truth, np.ones_like(truth)

    model = lightgbm.LGBMRegressor(n_estimators=2, objective=squares, verbose=-1)

    saved = save(model.fit(*flowers), tmp_path / "model.joblib")

    assert saved.format == "joblib"


def test_a_subclass_keeps_its_own_code(flowers, tmp_path):
    class Doubled(xgboost.XGBRegressor):
        def predict(self, rows, **options):
            return 2 * super().predict(rows, **options)

    model = Doubled(n_estimators=2).fit(*flowers)

    saved = save(model, tmp_path / "model.joblib")
    loaded, _ = load_saved(tmp_path / "model.joblib")

    assert saved.format == "joblib"
    assert np.array_equal(loaded.predict(flowers[0]), model.predict(flowers[0]))


def test_lightgbm_takes_the_columns_whose_spaces_it_replaced(flowers):
    frame = flowers[0].rename(columns=lambda name: name.replace("_", " "))
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(frame, flowers[1])

    signature = Signature.learn(model, frame)

    assert signature.names == tuple(frame.columns)


def test_missing_values_go_through_where_the_model_takes_them(models, flowers):
    signature = Signature.learn(models["xgboost_regressor"])

    rows = signature.validate([[None, 3.5, 1.4, 0.2]])

    assert len(predictor_for(models["xgboost_regressor"]).call("predict", rows)) == 1


def test_onnx_models_take_one_input_a_column():
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("a", "b")
    ]
    output = helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"])], "add", inputs, [output]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    assert Signature.learn(model).names == ("a", "b")
    assert predictor_for(model).call("predict", np.array([[1, 2], [3, 4]])).tolist() == [3.0, 7.0]


def test_what_is_of_a_library_and_no_model_is_refused():
    with pytest.raises(UnsupportedModelError, match="'DMatrix' has no predict"):
        predictor_for(xgboost.DMatrix([[1.0]]))
