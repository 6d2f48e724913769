import threading

import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nbdeploy import deploy, stop_all
from nbdeploy.exceptions import SignatureError, StoppedError
from nbdeploy.models.signature import Signature
from nbdeploy.try_it import TryIt
from tests.hostile import HOSTILE, assert_harmless


@pytest.fixture(scope="module")
def penguins():
    frame = load_penguins()
    X, y = frame.drop(columns="species"), frame["species"]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, y)
    yield deploy(model, name="penguins", example=X)
    stop_all()


def field(form, name):
    (found,) = [each for each in form.widget().children if getattr(each, "description", "") == name]
    return found


def echo(row):
    return row, {}


def test_the_form_starts_with_a_row_that_the_model_takes(penguins):
    form = penguins.try_it()

    assert form.row == penguins.service.signature.example_row()
    assert "Prediction" in form.predict()


def test_a_prediction_comes_with_its_probabilities_as_bars(penguins):
    form = penguins.try_it()
    field(form, "flipper_length_mm").value = "230"
    field(form, "body_mass_g").value = "6000"
    field(form, "bill_depth_mm").value = "14"

    shown = form.predict()

    assert "<strong>Gentoo</strong>" in shown
    assert shown.count('class="nbd-bar"') == 3
    assert shown.index("Gentoo</bdi>") < shown.index("Adelie</bdi>")
    assert form.widget().children[-1].value == shown


def test_the_button_asks_the_service_like_everybody(penguins):
    form = penguins.try_it()
    before = penguins.stats()["by_endpoint"]["predict"]["requests"]

    (button,) = [each for each in form.widget().children if each.description == "Predict"]
    button.click()

    assert penguins.stats()["by_endpoint"]["predict"]["requests"] == before + 1
    assert "Prediction" in form.widget().children[-1].value


def test_a_field_that_is_left_empty_is_a_missing_value(penguins):
    form = penguins.try_it()
    field(form, "bill_length_mm").value = ""

    assert form.row["bill_length_mm"] is None
    assert "Prediction" in form.predict()


def test_what_does_not_fit_is_told_in_the_words_of_the_service(penguins):
    form = penguins.try_it()
    field(form, "year").value = "soon"

    shown = form.predict()

    assert "year" in shown
    assert "soon" in shown
    assert 'role="alert"' in shown


def test_known_texts_are_offered_and_ranges_told(penguins):
    form = penguins.try_it()

    assert set(field(form, "island").options) == {"Torgersen", "Biscoe", "Dream"}
    assert " to " in field(form, "bill_length_mm").tooltip


def test_every_kind_of_column_has_its_field():
    X = pd.DataFrame(
        {
            "size": pd.Categorical(["S", "L", "S"], categories=["S", "M", "L"]),
            "new": [True, False, True],
            "count": [1, 2, 3],
            "day": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
            "share": [0.5, None, 0.25],
        }
    )
    form = TryIt("kinds", Signature.learn(example=X), echo)
    field(form, "size").value = "M"
    field(form, "new").value = False
    field(form, "count").value = "7"
    field(form, "day").value = "2024-02-03"
    field(form, "share").value = " 0.75 "

    expected = {"size": "M", "new": False, "count": 7, "day": "2024-02-03", "share": 0.75}
    assert form.row == expected
    Signature.learn(example=X).validate([form.row])


def test_rows_without_names_are_lists_and_single_values_stay_single():
    numbers = TryIt("numbers", Signature.learn(LinearRegression().fit([[1.0, 2.0]], [1.0])), echo)
    texts = make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good", "bad"], [1, 0])
    service = deploy(texts, name="texts", example=["good", "bad"])
    form = service.try_it()
    form.widget().children[0].value = "good good"

    assert isinstance(numbers.row, list)
    assert len(numbers.row) == 2
    assert form.row == "good good"
    assert "<strong>1</strong>" in form.predict()
    service.stop()


def test_of_very_many_columns_some_are_shown_and_all_are_sent():
    X = pd.DataFrame([[float(i) for i in range(300)]] * 3, columns=[f"c{i}" for i in range(300)])
    form = TryIt("wide", Signature.learn(example=X), echo)

    assert len(form.row) == 300
    assert len(form.widget().children) < 50
    assert "260 more columns" in form.widget().children[-3].value


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_and_labels_do_nothing(hostile):
    # With pyarrow, pandas holds names as text of its own, which knows no half characters.
    names = pd.Index([hostile, "n"], dtype=object)
    X = pd.DataFrame([["a", 1.0], ["a", 2.0], ["b", 3.0]], columns=names)
    form = TryIt(hostile, Signature.learn(example=X), lambda _: (hostile, {hostile: 0.5, "b": 0.5}))

    assert_harmless(form.predict())
    assert_harmless(form.to_html())
    form.widget()


def test_two_clicks_at_once_wait_for_each_other():
    inside, most = [0], []

    def slow(_):
        inside[0] += 1
        most.append(inside[0])
        threading.Event().wait(0.02)
        inside[0] -= 1
        return 1, {}

    form = TryIt("slow", Signature.learn(LinearRegression().fit([[1.0]], [1.0])), slow)
    threads = [threading.Thread(target=form.predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1, 1, 1, 1]


def test_an_error_of_the_service_is_shown_and_not_raised():
    def refuse(_):
        message = "row 0: too strange."
        raise SignatureError(message)

    form = TryIt("refusing", Signature.learn(LinearRegression().fit([[1.0]], [1.0])), refuse)

    assert "too strange" in form.predict()


def test_its_text_is_constant_and_its_bundle_has_all_three(penguins):
    form = penguins.try_it()

    assert repr(form) == "<TryIt 'penguins': a form for one row>"
    bundle = form._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(bundle)


def test_a_stopped_service_has_no_form(penguins):
    service = deploy(LinearRegression().fit([[1.0]], [1.0]), name="short")
    service.stop()

    with pytest.raises(StoppedError):
        service.try_it()
