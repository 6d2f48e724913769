"""What a signature learns from real fitted models, alone and together with an example."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.equality import assert_equal
from nbdeploy.models.signature import Signature

NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def penguins():
    frame = load_penguins()
    return frame.drop(columns="species"), frame["species"]


@pytest.fixture(scope="module")
def penguin_model(penguins):
    X, y = penguins
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), ["island", "sex"]),
        (OneHotEncoder(handle_unknown="ignore"), ["year"]),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, y)


def records(frame):
    return json.loads(frame.to_json(orient="records"))


@pytest.mark.parametrize("text", ["str", "object", "category"])
def test_penguins_with_strings_and_gaps_are_predicted_as_natively(penguins, text):
    X, y = penguins
    X = X.astype({"island": text, "sex": text})
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, NUMBERS), (OneHotEncoder(), ["island", "sex"]), remainder="passthrough"
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, y)
    rows = Signature.learn(model, X).validate(records(X))
    pd.testing.assert_frame_equal(rows, X)
    assert_equal(model.predict(rows), model.predict(X), same_batch=True)
    assert_equal(model.predict_proba(rows), model.predict_proba(X), same_batch=True)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_an_encoder_that_tells_none_from_nan_gets_what_it_was_fitted_on(missing):
    X = pd.DataFrame({"a": pd.Series(["x", missing, "y", "x", missing] * 4, dtype=object)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, [0, 1, 0, 1, 1] * 4)
    rows = Signature.learn(model, X).validate(records(X))
    assert_equal(model.predict_proba(rows), model.predict_proba(X), same_batch=True)


def test_a_model_that_knows_its_columns_needs_no_example(penguins, penguin_model):
    X, _ = penguins
    signature = Signature.learn(penguin_model)
    assert signature.names == tuple(X.columns)
    rows = signature.validate(records(X))
    assert_equal(penguin_model.predict_proba(rows), penguin_model.predict_proba(X))


def test_columns_that_an_imputer_fills_may_be_missing_and_text_is_refused_there(penguin_model):
    signature = Signature.learn(penguin_model)
    assert all(column.nullable for column in signature.columns)
    row = {"island": "Dream", **dict.fromkeys(NUMBERS), "sex": None, "year": 2008}
    assert penguin_model.predict(signature.validate(row)).shape == (1,)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=500), DecisionTreeClassifier()])
@pytest.mark.parametrize("as_array", [True, False])
def test_every_way_to_learn_gives_the_same_predictions_without_a_warning(iris, estimator, as_array):
    X, y = iris
    data = X.to_numpy() if as_array else X
    model = estimator.fit(data, y)
    for signature in (
        Signature.learn(model),
        Signature.learn(model, data),
        Signature.learn(model, X),
        Signature.learn(model, X.to_numpy()),
    ):
        assert signature.width == 4
        rows = signature.validate(X.to_numpy().tolist())
        assert_equal(model.predict(rows), model.predict(data), same_batch=True)


def test_a_model_fitted_on_an_array_still_takes_records_by_the_names_of_the_example(iris):
    X, y = iris
    model = LogisticRegression(max_iter=500).fit(X.to_numpy(), y)
    signature = Signature.learn(model, X)
    assert signature.kind == "array"
    shuffled = X[X.columns[::-1]]
    np.testing.assert_array_equal(signature.validate(records(shuffled)), X.to_numpy())
    np.testing.assert_array_equal(signature.validate(shuffled), X.to_numpy())
    with pytest.raises(SignatureError, match="column 'sepal width \\(cm\\)'") as caught:
        signature.validate([5.1, "3.5", 1.4, 0.2])
    assert caught.value.column == "sepal width (cm)"


def test_text_is_refused_where_an_estimator_only_takes_numbers(iris):
    X, y = iris
    for data in (X, X.to_numpy()):
        signature = Signature.learn(RandomForestClassifier(2).fit(data, y))
        with pytest.raises(SignatureError, match="send the number"):
            signature.validate(["5.1", 3.5, 1.4, 0.2])


def test_numbers_and_booleans_are_taken_where_only_the_names_are_known():
    X = pd.DataFrame({"a": [True, False] * 5, "b": range(10)})
    model = DecisionTreeClassifier().fit(X, [0, 1] * 5)
    rows = Signature.learn(model).validate(records(X))
    assert_equal(model.predict(rows), model.predict(X), same_batch=True)
    assert rows["a"].dtype == bool


def test_a_text_pipeline_is_known_by_its_vectorizer():
    texts = ["good and fine", "bad and ugly"] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0] * 5)
    for signature in (Signature.learn(model), Signature.learn(model, texts)):
        assert signature.kind == "values"
        rows = signature.validate(["so good", "so bad"])
        assert model.predict(rows).tolist() == [1, 0]


def test_a_text_column_inside_a_frame_is_no_text_model():
    X = pd.DataFrame({"text": ["good", "bad"] * 5, "n": range(10)})
    columns = make_column_transformer((TfidfVectorizer(), "text"), ("passthrough", ["n"]))
    model = make_pipeline(columns, LogisticRegression()).fit(X, [1, 0] * 5)
    for signature in (Signature.learn(model), Signature.learn(model, X)):
        assert_equal(model.predict(signature.validate(records(X))), model.predict(X))


# --- missing values, as the steps of a model take them ---------------------------------------


def pipelines():
    refused, taken = False, True
    return [
        (LogisticRegression(), refused),
        (HistGradientBoostingClassifier(max_iter=2), taken),
        (make_pipeline(SimpleImputer(), LogisticRegression()), taken),
        (make_pipeline(StandardScaler(), LogisticRegression()), refused),
        (make_pipeline(StandardScaler(), DecisionTreeClassifier()), taken),
        (make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()), taken),
        (make_pipeline(FunctionTransformer(), LogisticRegression()), refused),
        (make_pipeline(FunctionTransformer(), DecisionTreeClassifier()), taken),
        (make_pipeline("passthrough", SimpleImputer(), LogisticRegression()), taken),
        (make_pipeline(OneHotEncoder(), LogisticRegression()), refused),
        (make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), taken),
        (make_pipeline(OrdinalEncoder(), DecisionTreeClassifier()), refused),
        (
            GridSearchCV(
                make_pipeline(SimpleImputer(), LogisticRegression()),
                {"logisticregression__C": [1.0]},
                cv=2,
            ),
            taken,
        ),
        (
            make_pipeline(
                FeatureUnion([("a", SimpleImputer()), ("b", StandardScaler())]),
                LogisticRegression(),
            ),
            refused,
        ),
        (
            make_pipeline(
                make_column_transformer((SimpleImputer(), [0]), remainder="drop"),
                LogisticRegression(),
            ),
            taken,
        ),
        (
            make_pipeline(
                make_column_transformer((StandardScaler(), slice(0, 1)), remainder="passthrough"),
                DecisionTreeClassifier(),
            ),
            taken,
        ),
        (
            make_pipeline(
                make_column_transformer((SimpleImputer(), np.array([True, False]))),
                LogisticRegression(),
            ),
            taken,
        ),
    ]


@pytest.mark.parametrize(("model", "takes"), pipelines())
def test_a_missing_value_is_taken_exactly_where_the_model_takes_it(model, takes):
    X = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [4.0, 1.0]] * 5)
    model.fit(X, [0, 1, 0, 1] * 5)
    signature = Signature.learn(model, X)
    assert signature.columns[0].nullable is takes
    assert Signature.learn(model).columns[0].nullable is takes
    if takes:
        assert len(model.predict(signature.validate([[None, 2.0]]))) == 1
    else:
        with pytest.raises(ValueError, match=r"NaN|nan"):
            model.predict(np.array([[np.nan, 2.0]]))


def test_a_model_without_tags_leaves_it_to_the_example():
    class Plain:
        def predict(self, rows):
            return rows

    example = pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})
    assert [c.nullable for c in Signature.learn(Plain(), example).columns] == [True, False]


# --- model and example disagree --------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(iris):
    X, y = iris
    return LogisticRegression(max_iter=500).fit(X, y)


def test_an_example_with_the_target_in_it_says_how_to_drop_it(iris, fitted):
    X, y = iris
    with pytest.raises(SignatureError, match=r"drop\(columns=\['target'\]\)"):
        Signature.learn(fitted, X.assign(target=y))


def test_an_example_that_lacks_a_column_names_it(iris, fitted):
    X, _ = iris
    with pytest.raises(SignatureError, match="petal width"):
        Signature.learn(fitted, X.drop(columns="petal width (cm)"))


@pytest.mark.parametrize("example", [np.ones((2, 3)), [[1.0, 2.0]], ["a", "b"]])
def test_an_example_of_another_width_is_refused(iris, fitted, example):
    X, y = iris
    on_array = LogisticRegression(max_iter=500).fit(X.to_numpy(), y)
    for model in (fitted, on_array):
        with pytest.raises(SignatureError, match="was fitted on 4"):
            Signature.learn(model, example)


def test_the_order_of_the_model_wins_over_that_of_the_example(iris, fitted):
    X, _ = iris
    signature = Signature.learn(fitted, X[X.columns[::-1]])
    assert signature.names == tuple(X.columns)


def test_a_series_is_one_row_where_its_index_names_the_models_columns(iris, fitted, penguins):
    X, _ = iris
    assert Signature.learn(fitted, X.iloc[0]).kind == "frame"
    texts = pd.Series(["a", "b"], index=["first", "second"])
    assert Signature.learn(example=texts).kind == "values"
