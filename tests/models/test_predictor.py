import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from nbdeploy.exceptions import PredictionError, UnfittedModelError, UnsupportedModelError
from nbdeploy.models.predictor import Predictor, predictor_for, register_predictor

X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
Y = np.array(["no", "no", "yes", "yes"])


def test_a_classifier_answers_with_every_method_it_has():
    predictor = predictor_for(LogisticRegression().fit(X, Y))

    assert predictor.methods == (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
    )
    assert predictor.classes == ["no", "yes"]
    assert predictor.model_type == "LogisticRegression"
    assert predictor.call("predict", X).tolist() == Y.tolist()


def test_methods_that_a_model_hides_are_not_offered():
    assert "predict_proba" not in predictor_for(SVC().fit(X, Y)).methods
    assert predictor_for(LinearRegression().fit(X, [1, 2, 3, 4])).methods == ("predict",)
    assert "transform" in predictor_for(KMeans(2, n_init=1).fit(X)).methods
    assert predictor_for(StandardScaler().fit(X)).methods == ("transform",)


def test_several_outputs_have_a_list_of_classes_each():
    model = MultiOutputClassifier(LogisticRegression()).fit(X, np.c_[Y, ["a", "b", "c", "c"]])

    assert predictor_for(model).classes == [["no", "yes"], ["a", "b", "c"]]


@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), SVC()), KMeans()]
)
def test_an_unfitted_model_is_told_to_be_fitted(model):
    with pytest.raises(UnfittedModelError, match="was not fitted yet"):
        predictor_for(model)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (LogisticRegression, "is a class, not a fitted model"),
        (pd.DataFrame({"a": [1]}), "'DataFrame' has no predict"),
        (42, "'int' has no predict"),
        (None, "'NoneType' has no predict"),
        (X, "'ndarray' has no predict"),
    ],
)
def test_what_is_no_model_is_told_what_one_is(thing, said):
    with pytest.raises(UnsupportedModelError, match=said):
        predictor_for(thing)


def test_a_function_predicts_and_does_nothing_else():
    predictor = predictor_for(len)

    assert predictor.methods == ("predict",)
    assert predictor.call("predict", [1, 2]) == 2
    with pytest.raises(PredictionError, match="only predicts"):
        predictor.call("transform", [1])


def test_any_object_with_predict_will_do():
    class Thresholds:
        def predict(self, rows):
            return rows[:, 0] > 0

    predictor = predictor_for(Thresholds())

    assert isinstance(predictor, Predictor)
    assert predictor.call("predict", X).tolist() == [False, False, True, True]


def test_an_adapter_of_the_users_own_is_found_for_subclasses_too():
    class Native:
        pass

    class Special(Native):
        pass

    @register_predictor(Native)
    class NativePredictor:
        model_type, methods, classes = "Native", ("predict",), None

        def __init__(self, model):
            self.model = model

        def call(self, method, batch):
            return [method] * len(batch)

    assert predictor_for(Special()).call("predict", [0, 0]) == ["predict", "predict"]
