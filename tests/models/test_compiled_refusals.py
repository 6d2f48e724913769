"""What is not compiled, and why; and that a wrong compiled model is found out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from nbdeploy.models.compiled import CompiledModel, Declined, compile_model, verify
from nbdeploy.models.signature import Signature

IRIS, SPECIES = load_iris(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.1, np.nan, IRIS)
MIXED = pd.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, 4.0],
        "kind": ["a", "b", "a", "b"],
        "when": pd.date_range("2024-01-01", periods=4),
    }
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads that wait for each other on busy cores would take most of the time."""
    with threadpool_limits(1):
        yield


class MyRegression(LogisticRegression):
    def predict(self, X):
        return super().predict(X)


class MyScaler(StandardScaler):
    pass


class Doubled:
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return 2 * X[:, 0]


def regression():
    return LogisticRegression(max_iter=300)


DECLINED = {
    "SVC's neighbours": (KNeighborsClassifier(), "KNeighborsClassifier cannot be compiled"),
    "naive Bayes": (GaussianNB(), "GaussianNB cannot be compiled"),
    "clusters": (KMeans(2, n_init=1), "KMeans cannot be compiled"),
    "bags": (BaggingClassifier(n_estimators=2), "BaggingClassifier cannot be compiled"),
    "votes": (VotingClassifier([("one", GaussianNB())]), "VotingClassifier cannot be compiled"),
    "a subclass": (MyRegression(max_iter=300), "MyRegression is a class of its own"),
    "a subclass in a pipeline": (
        make_pipeline(MyScaler(), regression()),
        "MyScaler is a class of its own",
    ),
    "components": (make_pipeline(PCA(2), regression()), "PCA cannot be compiled"),
    "polynomials": (
        make_pipeline(PolynomialFeatures(2), LinearRegression()),
        "PolynomialFeatures cannot be compiled",
    ),
    "a union": (make_pipeline(make_union(StandardScaler()), regression()), "FeatureUnion cannot"),
    "a function": (
        make_pipeline(FunctionTransformer(np.sqrt), regression()),
        "FunctionTransformer calls a function",
    ),
    "a start of its own": (
        GradientBoostingRegressor(init=LinearRegression(), n_estimators=2),
        "starts with a model of its own",
    ),
    "frames inside": (
        make_pipeline(StandardScaler(), regression()).set_output(transform="pandas"),
        "was told to give DataFrames",
    ),
    "other missing values": (
        make_pipeline(SimpleImputer(missing_values=0.2), regression()),
        "SimpleImputer(missing_values=0.2) cannot be compiled",
    ),
    "neighbours fill": (make_pipeline(KNNImputer(), regression()), "KNNImputer cannot be compiled"),
    "weighted columns": (
        make_pipeline(
            make_column_transformer((StandardScaler(), [0, 1])).set_params(
                transformer_weights={"standardscaler": 2.0}
            ),
            regression(),
        ),
        "transformer_weights",
    ),
    "codes of codes": (
        make_pipeline(OrdinalEncoder(), OneHotEncoder(), regression()),
        "an encoder comes after",
    ),
    "single precision": (
        make_pipeline(OneHotEncoder(dtype=np.float32), regression()),
        "answers in float32",
    ),
    "a sparse answer": (OneHotEncoder(), "transform() gives a sparse matrix"),
    "another kind of object": (Doubled(), "Doubled"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DECLINED)
def test_what_cannot_be_compiled_is_declined_with_the_reason(name):
    model, reason = DECLINED[name]
    model.fit(IRIS, SPECIES)

    declined = compile_model(model, Signature.learn(model, IRIS))

    assert isinstance(declined, Declined)
    assert reason in declined.reason
    assert declined.reason.endswith(".")


def test_a_method_that_was_replaced_on_the_object_is_declined():
    model = LogisticRegression(max_iter=300).fit(IRIS, SPECIES)
    model.predict = lambda X: np.zeros(len(X))

    reason = compile_model(model, Signature.learn(model, IRIS)).reason

    assert reason == "LogisticRegression.predict was replaced on this object."


def test_an_object_that_is_no_model_is_declined():
    signature = Signature.learn(example=IRIS)

    assert compile_model(len, signature).reason == "builtin_function_or_method cannot be compiled."
    assert "is not as expected" in compile_model(LogisticRegression(), signature).reason


def test_several_outputs_of_a_classifier_are_declined():
    both = np.c_[SPECIES, SPECIES]
    for model in (DecisionTreeClassifier(), RandomForestClassifier(2)):
        model.fit(IRIS, both)
        assert "several outputs" in compile_model(model, Signature.learn(model, IRIS)).reason
    labels = np.eye(3, dtype=int)[SPECIES]
    model = RidgeClassifier().fit(IRIS, labels)
    assert "several outputs" in compile_model(model, Signature.learn(model, IRIS)).reason


def test_texts_are_declined():
    texts = ["a few words", "and some more", "then the last"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [0, 1, 1])

    reason = compile_model(model, Signature.learn(model, texts)).reason

    assert reason == "each row is a single value."


def test_single_precision_input_is_declined():
    X = IRIS.astype(np.float32)
    model = LogisticRegression(max_iter=300).fit(X, SPECIES)

    reason = compile_model(model, Signature.learn(model, X)).reason

    assert reason == "column '0' holds float32."


def test_columns_that_are_not_used_do_not_matter():
    before = make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["kind"]))
    model = make_pipeline(before, LogisticRegression()).fit(MIXED, [0, 1, 1, 1])
    signature = Signature.learn(model, MIXED)

    compiled = compile_model(model, signature)

    assert isinstance(compiled, CompiledModel)
    assert compiled.call("predict", [[4.0, "b", "2024-01-01T00:00:00"]]).tolist() == [1]


@pytest.mark.parametrize(
    ("column", "reason"), [("when", "holds dates"), ("kind", "text in column")]
)
def test_a_used_column_that_cannot_be_compiled_is_named(column, reason):
    before = make_column_transformer(("passthrough", ["size", column]))
    model = make_pipeline(before, DecisionTreeRegressor())
    numbers = MIXED.assign(kind=[1.0, 2.0, 3.0, 4.0], when=[1.0, 2.0, 3.0, 4.0])
    model.fit(numbers, [1.0, 2.0, 3.0, 4.0])

    declined = compile_model(model, Signature.learn(example=MIXED))

    assert reason in declined.reason


def test_another_order_of_columns_is_declined():
    X = pd.DataFrame(IRIS, columns=list("abcd"))
    model = LogisticRegression(max_iter=300).fit(X, SPECIES)

    reason = compile_model(model, Signature.learn(example=X[list("dcba")])).reason

    assert reason == "the columns of the signature are not those of the model."


@pytest.mark.parametrize("trees", [3, 10], ids=["walked", "masked"])
def test_broken_trees_are_declined(trees):
    model = RandomForestClassifier(trees, random_state=0).fit(IRIS, SPECIES)
    signature = Signature.learn(model, IRIS)
    model.estimators_[1].tree_.children_left[0] = 10_000

    assert compile_model(model, signature).reason == "its trees are not stored as expected."


def test_giant_forests_are_not_copied(monkeypatch):
    monkeypatch.setattr("nbdeploy.models.compiled.joined_trees._MOST_NODES", 10)
    model = RandomForestClassifier(3, random_state=0).fit(IRIS, SPECIES)

    reason = compile_model(model, Signature.learn(model, IRIS)).reason

    assert reason == "its trees have more than 10 nodes."


@pytest.mark.parametrize(
    ("strength", "labels"),
    [
        (0.1, SPECIES),
        (1.0, SPECIES.astype(str)),
        (1.0, SPECIES.astype(np.int16)),
        (1.0, (SPECIES + 1) % 3),
    ],
    ids=["coefficients", "texts", "smaller integers", "labels"],
)
def test_a_compiled_model_that_differs_is_found_out(strength, labels):
    model = LogisticRegression(max_iter=300).fit(IRIS, SPECIES)
    other = LogisticRegression(C=strength, max_iter=300).fit(IRIS, labels)
    signature = Signature.learn(model, IRIS)

    said = verify(compile_model(other, signature), model, signature, IRIS)

    assert said.startswith("predict")
    assert "() of the compiled model differs: " in said
    assert said.endswith(".")


def test_a_difference_in_the_last_digits_is_found_out():
    model = LinearRegression().fit(IRIS, SPECIES)
    signature = Signature.learn(model, IRIS)
    compiled = compile_model(model, signature)
    answer = compiled.head.answers["predict"]
    off = replace(compiled.head, answers={"predict": lambda rows: answer(rows) * (1 + 1e-8)})

    assert verify(replace(compiled, head=off), model, signature, IRIS) is not None


def test_a_compiled_model_that_answers_what_the_model_refuses_is_found_out():
    model = LinearRegression().fit(IRIS, SPECIES)
    nullable = Signature.learn(example=HOLES)
    compiled = compile_model(model, Signature.learn(model, IRIS))
    lenient = replace(
        compiled,
        head=replace(compiled.head, answers={"predict": lambda rows: np.zeros(len(rows))}),
    )

    assert "the model refuses a row that it answers" in verify(lenient, model, nullable, HOLES)


def test_a_compiled_model_that_never_answers_is_found_out():
    model = LinearRegression().fit(IRIS, SPECIES)
    signature = Signature.learn(model, IRIS)
    compiled = compile_model(model, signature)
    silent = replace(compiled, head=replace(compiled.head, answers={"predict": [].index}))

    assert "it leaves all of 200 rows to the model" in verify(silent, model, signature, IRIS)
