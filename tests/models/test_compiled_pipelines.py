"""Pipelines over frames and arrays, compiled, against the plain ones."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from palmerpenguins import load_penguins
from sklearn.compose import (
    ColumnTransformer,
    make_column_selector,
    make_column_transformer,
)
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from nbdeploy.models.compiled import CompiledModel, compile_model, verify
from nbdeploy.models.equality import assert_equal
from nbdeploy.models.signature import Signature

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    # An encoder that drops a category warns about unknown ones, on every call.
    pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

IRIS, SPECIES = load_iris(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.1, np.nan, IRIS)
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
TEXTS = ["island", "sex"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other on busy cores would take most of the time."""
    with threadpool_limits(1):
        yield


@cache
def penguins():
    frame = load_penguins().astype({"year": "int64"})
    draw = np.random.default_rng(0)
    frame["colony"] = draw.choice([f"colony {number}" for number in range(40)], len(frame))
    frame["ringed"] = draw.random(len(frame)) < 0.3
    frame["age"] = draw.integers(0, 20, len(frame)).astype(float)
    return frame


def numbers(*steps):
    return make_pipeline(SimpleImputer(), *(steps or (StandardScaler(),)))


def texts(**options):
    encoder = OneHotEncoder(**({"handle_unknown": "ignore"} | options))
    return make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)


def over_penguins(*transformers, head=None, columns=None, **options):
    columns = columns or [*MEASURES, *TEXTS, "colony", "ringed", "year", "age"]
    head = LogisticRegression(max_iter=300) if head is None else head
    before = make_column_transformer(*transformers, **options)
    return make_pipeline(before, head), columns


def ten_columns(head=None, **options):
    return over_penguins(
        (numbers(), [*MEASURES, "year", "age"]),
        (texts(), [*TEXTS, "colony"]),
        ("passthrough", ["ringed"]),
        head=head,
        **options,
    )


FRAMES = {
    "ten mixed columns": ten_columns(),
    "ten mixed columns, two classes": (*ten_columns(), "Adelie"),
    "ten mixed columns, dense": ten_columns(sparse_threshold=0),
    "ten mixed columns, two classes, dense": (*ten_columns(sparse_threshold=0), "Adelie"),
    "ten mixed columns, sparse": ten_columns(sparse_threshold=1),
    "a forest behind": ten_columns(RandomForestClassifier(5, random_state=0)),
    "histograms behind": ten_columns(
        HistGradientBoostingClassifier(max_iter=5, early_stopping=False), sparse_threshold=0
    ),
    "a margin behind": ten_columns(LinearSVC(random_state=0)),
    "unknown categories are refused": over_penguins(
        (numbers(), MEASURES), (texts(handle_unknown="error"), TEXTS), columns=[*MEASURES, *TEXTS]
    ),
    "a category is dropped": over_penguins(
        (texts(drop="first"), [*TEXTS, "colony"]), columns=[*TEXTS, "colony"]
    ),
    "one of two categories is dropped": over_penguins(
        (texts(drop="if_binary"), TEXTS), columns=TEXTS
    ),
    "rare categories together": over_penguins(
        (texts(handle_unknown="infrequent_if_exist", min_frequency=9), ["colony", *TEXTS]),
        columns=["colony", *TEXTS],
    ),
    "missing is a category": over_penguins(
        (OneHotEncoder(handle_unknown="ignore"), ["sex"]),
        (OneHotEncoder(handle_unknown="ignore", dtype=int), ["island", "ringed"]),
        columns=["sex", "island", "ringed"],
    ),
    "missing is a constant": over_penguins(
        (make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()), TEXTS),
        columns=TEXTS,
    ),
    "ordinal codes": over_penguins(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["colony"]),
        (make_pipeline(texts(sparse_output=False), MinMaxScaler()), TEXTS),
        columns=["colony", *TEXTS],
    ),
    "ordinal codes, missing ones": over_penguins(
        (
            OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
            ),
            ["colony", "sex"],
        ),
        columns=["colony", "sex"],
    ),
    "numbers as categories": over_penguins(
        (OneHotEncoder(handle_unknown="ignore"), ["year", "age"]), columns=["year", "age", "sex"]
    ),
    "missing is flagged": over_penguins(
        (SimpleImputer(add_indicator=True), MEASURES), columns=MEASURES
    ),
    "medians, and the rest as it is": over_penguins(
        (numbers(RobustScaler()), MEASURES[:2]),
        ("drop", ["sex"]),
        remainder="passthrough",
        columns=["sex", "age", *MEASURES[:2], "year"],
    ),
    "columns by a selector": over_penguins(
        (numbers(), make_column_selector(dtype_include="number")),
        (texts(), make_column_selector(dtype_exclude="number")),
        columns=["island", *MEASURES, "sex", "year"],
    ),
    "a scaler after the columns": (
        make_pipeline(
            make_column_transformer((numbers(), MEASURES), (texts(), [*TEXTS, "colony"])),
            StandardScaler(with_mean=False),
            MaxAbsScaler(),
            LogisticRegression(max_iter=300),
        ),
        [*MEASURES, *TEXTS, "colony"],
    ),
    "columns in columns": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("numbers", make_column_transformer((numbers(), MEASURES[:2])), MEASURES[:2]),
                    ("texts", texts(), TEXTS),
                ]
            ),
            "passthrough",
            Pipeline([("scale", StandardScaler(with_mean=False)), ("last", LogisticRegression())]),
        ),
        [*MEASURES[:2], *TEXTS],
    ),
    "the same column twice": over_penguins(
        (texts(), ["island"]),
        (texts(drop="first"), ["island"]),
        (numbers(), MEASURES),
        columns=["island", *MEASURES],
    ),
    "categories of pandas in histograms": (
        HistGradientBoostingClassifier(
            max_iter=8, early_stopping=False, categorical_features="from_dtype", min_samples_leaf=3
        ),
        ["kind", *MEASURES, "place"],
    ),
}


@cache
def fitted(name):
    model, columns, *one = FRAMES[name]
    frame = penguins().assign(
        kind=penguins()["sex"].astype("category"), place=penguins()["colony"].astype("category")
    )
    X, y = frame[columns], frame["species"]
    if one:
        y = np.where(y == one[0], one[0], "another")
    model.fit(X, y)
    signature = Signature.learn(model, X)
    compiled = compile_model(model, signature)
    assert isinstance(compiled, CompiledModel), compiled
    return model, signature, compiled, X


def cells(frame):
    """Rows as they come out of JSON."""
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("name", FRAMES)
def test_a_compiled_pipeline_is_equal_to_the_plain_one(name):
    model, signature, compiled, X = fitted(name)

    assert verify(compiled, model, signature, X, rows=1_000) is None


@pytest.mark.acceptance
@pytest.mark.parametrize("name", FRAMES)
def test_a_compiled_pipeline_is_equal_on_twenty_thousand_rows(name):
    model, signature, compiled, X = fitted(name)

    assert verify(compiled, model, signature, X, rows=20_000, seed=1) is None


@pytest.mark.parametrize("name", FRAMES)
def test_a_row_of_cells_alone_is_bit_equal(name):
    model, _, compiled, X = fitted(name)

    for row in (X[2:3], X[300:301]):
        answer = compiled.call("predict", cells(row))
        assert_equal(answer, model.predict(row), same_batch=True)
    if "decision_function" in compiled.methods:
        answer = compiled.call("decision_function", cells(X[:1]))
        assert_equal(answer, model.decision_function(X[:1]), same_batch=True)


@pytest.mark.parametrize("name", FRAMES)
def test_all_rows_of_the_data_are_answered(name):
    model, _, compiled, X = fitted(name)
    X = X[:60].dropna()
    answers = [compiled.call("predict", [row]) for row in cells(X)]

    assert all(answer is not None for answer in answers)
    assert np.concatenate(answers).tolist() == model.predict(X).tolist()


@pytest.mark.parametrize("name", FRAMES)
def test_many_rows_are_read_as_few_are(name):
    _, _, compiled, X = fitted(name)
    few = [compiled.reader.read(cells(X[place : place + 1])) for place in range(100)]
    many = compiled.reader.read(cells(X[:100]))

    if isinstance(many, np.ndarray):
        np.testing.assert_array_equal(np.concatenate(few), many)
    else:
        assert np.concatenate([one[2] for one in few]).tolist() == many[2].tolist()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.none() | st.floats(-1e6, 1e6)] * 4,
            *[st.none() | st.sampled_from(["Biscoe", "Dream", "male", ""]) | st.text()] * 2,
        ),
        min_size=1,
        max_size=4,
    ),
    times=st.sampled_from([1, 30]),
)
@pytest.mark.parametrize("name", ["unknown categories are refused"])
def test_any_cells_give_the_same_answer_or_are_left_to_the_model(name, rows, times):
    model, signature, compiled, _ = fitted(name)
    rows = rows * times

    answer = compiled.call("predict_proba", rows)

    if answer is not None:
        assert_equal(answer, model.predict_proba(signature.validate([list(row) for row in rows])))


def test_an_unknown_category_that_is_refused_is_left_to_the_model():
    model, _, compiled, X = fitted("unknown categories are refused")
    row = X[:1].assign(island="Atlantis")

    assert compiled.call("predict", cells(row)) is None
    assert compiled.call("predict", [*cells(X[:2]), *cells(row)]) is None
    with pytest.raises(ValueError, match="unknown categories"):
        model.predict(row)


def test_an_unknown_category_that_is_ignored_is_answered():
    model, signature, compiled, X = fitted("ten mixed columns, dense")
    row = [*cells(X[:1])[0][:4], "Atlantis", None, "colony 3", True, 2008, None]

    answer = compiled.call("predict_proba", [row])

    assert_equal(answer, model.predict_proba(signature.validate([row])), same_batch=True)


def test_a_missing_number_without_an_imputer_is_left_to_the_model():
    X = penguins()[["age", *MEASURES]].dropna()
    model = make_pipeline(StandardScaler(), Ridge()).fit(X, X["age"])
    nullable = Signature.learn(model, penguins()[["age", *MEASURES]])
    compiled = compile_model(model, nullable)

    assert compiled.call("predict", [[None, 39.1, 18.7, 181.0, 3750.0]]) is None
    assert compiled.call("predict", [[3.0, 39.1, 18.7, 181.0, 3750.0]]).shape == (1,)


def test_a_category_that_becomes_nan_is_left_to_a_model_that_refuses_nan():
    X = penguins()[["colony", "island"]]
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    model = make_pipeline(codes, LogisticRegression(max_iter=300)).fit(X, penguins()["species"])
    compiled = compile_model(model, Signature.learn(model, X))

    assert compiled.call("predict", [["colony 1", "Atlantis"]]) is None
    assert compiled.call("predict", [["colony 1", "Dream"], ["Atlantis", "Dream"]]) is None
    assert compiled.call("predict", [["colony 1", "Dream"]]).shape == (1,)


@pytest.mark.parametrize("name", ["unknown categories are refused", "columns by a selector"])
def test_a_signature_without_an_example_will_do(name):
    model, _, _, X = fitted(name)
    signature = Signature.learn(model)
    compiled = compile_model(model, signature)

    assert isinstance(compiled, CompiledModel)
    assert verify(compiled, model, signature, X) is None


def test_text_where_a_number_belongs_is_left_to_the_model():
    _, _, compiled, X = fitted("ten mixed columns")
    (row,) = cells(X[:1])

    assert compiled.call("predict", [["39.1", *row[1:]]]) is None
    assert compiled.call("predict", [row] * 80 + [["39.1", *row[1:]]]) is None


ARRAYS = {
    "standardized": (make_pipeline(StandardScaler(), LogisticRegression()), IRIS),
    "centered only": (make_pipeline(StandardScaler(with_std=False), Ridge()), IRIS),
    "between bounds": (make_pipeline(MinMaxScaler(clip=True), LinearRegression()), IRIS),
    "between other bounds": (make_pipeline(MinMaxScaler((-1, 3)), LinearRegression()), IRIS),
    "by quartiles": (make_pipeline(RobustScaler(), LogisticRegression()), IRIS),
    "by the largest": (make_pipeline(MaxAbsScaler(), LogisticRegression()), IRIS),
    "filled": (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), HOLES),
    "filled last": (make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()), HOLES),
    "filled and flagged": (
        make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True), GradientBoostingRegressor()
        ),
        HOLES,
    ),
    "filled with zero": (
        make_pipeline(SimpleImputer(strategy="constant", fill_value=0), LogisticRegression()),
        HOLES,
    ),
    "scaled trees": (
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
        HOLES,
    ),
    "columns by number": (
        make_pipeline(
            make_column_transformer(
                (StandardScaler(), [2, 0]), (MinMaxScaler(), slice(1, 2)), remainder="passthrough"
            ),
            LogisticRegression(max_iter=300),
        ),
        IRIS,
    ),
    "a column as categories": (
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), [3]), remainder=StandardScaler()
            ),
            LogisticRegression(max_iter=300),
        ),
        IRIS,
    ),
    "the best of a search": (
        GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1, 2]}, cv=2),
        IRIS,
    ),
    "no steps but one": (Pipeline([("only", LogisticRegression(max_iter=300))]), IRIS),
    "only scaled": (StandardScaler(), IRIS),
    "only filled and scaled": (make_pipeline(SimpleImputer(), MinMaxScaler()), HOLES),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_pipeline_over_arrays_is_equal_to_the_plain_one(name):
    model, X = ARRAYS[name]
    model.fit(X, SPECIES)
    signature = Signature.learn(model, X)
    compiled = compile_model(model, signature)

    assert verify(compiled, model, signature, X, rows=2_000) is None
    for method in compiled.methods:
        for row in (X[:1], X[100:101]):
            assert_equal(compiled.call(method, row), getattr(model, method)(row), same_batch=True)


def test_a_frame_of_numbers_is_read_at_once():
    X = pd.DataFrame(HOLES, columns=list("abcd"))
    model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=300)).fit(X, SPECIES)
    signature = Signature.learn(model, X)

    assert verify(compile_model(model, signature), model, signature, X, rows=2_000) is None


def test_a_label_that_rounding_could_decide_is_left_to_the_model():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, 2.0, 3.0, 4.0]})
    model = LogisticRegression().fit(X, [0, 0, 1, 1])
    model.coef_, model.intercept_ = np.array([[0.1, -0.3]]), np.array([0.0])
    compiled = compile_model(model, Signature.learn(model, X))
    tie = [0.3, 0.1]

    assert compiled.call("predict", [[1.0, 1.0], tie]) is None
    assert compiled.call("predict", [[1.0, 1.0], [9.0, 1.0]]).tolist() == [0, 1]
    assert compiled.call("predict", [tie]).tolist() == model.predict(X[:1] * 0 + tie).tolist()
