import json
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.baseline import Baseline, draw_sample, learn_predictions, predictions_of
from nbdeploy.models.distributions import Distribution, learn_distribution
from nbdeploy.models.ensemble import Ensemble
from nbdeploy.models.signature import Signature


def baseline_of(example, **options):
    return Baseline.learn(Signature.learn(example=example), example, **options)


numbers = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32)), max_size=80
)


@given(numbers)
def test_every_cell_of_numbers_is_counted_once_and_in_the_same_place_again(cells):
    learned = learn_distribution("x", cells, "float")

    assert learned.size == len(cells)
    assert learned.counts[0] == cells.count(None)
    assert learned.counts[1] == learned.counts[-1] == 0
    assert learned.count(cells).tolist() == list(learned.counts)


@given(numbers)
def test_no_edge_is_a_value_of_the_example(cells):
    learned = learn_distribution("x", cells, "float")
    values = sorted({float(cell) for cell in cells if cell is not None})
    # Subnormal numbers may have nothing between them.
    have_gaps = all(np.nextafter(low, np.inf) < high for low, high in pairwise(values))

    assert not have_gaps or not set(learned.edges) & set(values)


@given(st.lists(st.sampled_from(["a", "b", "c", None, True, 3, 3.0]), max_size=60))
def test_every_cell_of_categories_is_counted_once_and_in_the_same_place_again(cells):
    learned = learn_distribution("x", cells, "category")

    assert learned.size == len(cells)
    assert learned.count(cells).tolist() == list(learned.counts)
    assert learned.is_complete


@given(numbers | st.lists(st.text(max_size=5), max_size=60))
def test_a_distribution_comes_back_from_json(cells):
    kind = "string" if any(isinstance(cell, str) for cell in cells) else "float"
    learned = learn_distribution("x", cells, kind)

    assert Distribution.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


def test_numbers_have_at_most_twenty_bins_of_about_equal_counts():
    learned = learn_distribution("x", np.random.default_rng(0).normal(size=4000), "float")

    assert len(learned.counts) == 23
    assert set(learned.counts[2:-1]) == {200}


def test_rare_categories_are_counted_together():
    cells = [f"city {number}" for number in range(60) for _ in range(60 - number)]
    learned = learn_distribution("city", cells, "string")

    assert len(learned.categories) == 30
    assert learned.counts[-1] == sum(range(1, 31))
    assert not learned.is_complete


def test_a_text_that_only_one_row_had_is_in_no_baseline():
    cells = ["yes"] * 50 + ["no"] * 49 + ["call Ada on 555-0100"]
    written = json.dumps(learn_distribution("answer", cells, "string").to_dict())
    notes = [f"note of patient {number}" for number in range(100)]
    free = json.dumps(learn_distribution("notes", notes, "string").to_dict())

    assert "yes" in written
    assert "Ada" not in written
    assert "patient" not in free


def test_dates_are_seconds():
    days = pd.Series(pd.date_range("2007-01-01", periods=100, tz="UTC"))
    learned = learn_distribution("day", days, "datetime")

    assert (learned.kind, learned.low) == ("date", 1167609600.0)
    assert learned.count(["2007-01-05", None]).sum() == 2


def test_missing_values_of_every_kind_are_missing():
    cells = [None, np.nan, pd.NA, pd.NaT, "a"]

    assert learn_distribution("x", cells, "category").counts == (4, 1, 0)
    assert learn_distribution("x", pd.array([1, None], dtype="Int64"), "int").counts[0] == 1


@pytest.mark.parametrize("rows", [1, 29])
def test_few_rows_make_no_baseline(rows):
    assert baseline_of(np.zeros((rows, 2))) is None


def test_a_large_example_is_drawn_from_and_always_the_same_way():
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=50_000)})

    assert baseline_of(frame).rows == 5000
    assert baseline_of(frame) == baseline_of(frame)


def test_a_wide_example_makes_a_bounded_baseline():
    baseline = baseline_of(np.random.default_rng(0).normal(size=(400, 3000)))

    assert len(baseline.columns) == 512
    assert len(json.dumps(baseline.to_dict())) < 400_000


@pytest.mark.parametrize("form", ["frame", "array", "dicts", "texts"])
def test_an_example_may_have_any_form(form):
    values = np.arange(120.0).reshape(60, 2)
    example = {
        "frame": pd.DataFrame(values, columns=["a", "b"]),
        "array": values,
        "dicts": [{"a": a, "b": b} for a, b in values.tolist()],
        "texts": ["good", "bad", "bad"] * 20,
    }[form]
    baseline = baseline_of(example)

    assert baseline.rows == 60
    assert len(baseline.columns) == (1 if form == "texts" else 2)


def test_predictions_are_learned_where_the_model_predicts():
    example = pd.DataFrame({"x": np.arange(100.0)})

    labels = baseline_of(
        example, predict=lambda rows: ["high" if x > 49 else "low" for x in rows.x]
    )
    amounts = baseline_of(example, predict=lambda rows: list(rows.x))

    assert labels.predictions.counts == (0, 50, 50, 0)
    assert (amounts.predictions.kind, amounts.predictions.median) == ("number", 49.5)


@pytest.mark.parametrize(
    "predict", [lambda rows: 1 / 0, lambda rows: [[1, 2]] * len(rows), lambda rows: sys.exit()]
)
def test_a_model_that_cannot_predict_the_example_has_none(predict):
    assert baseline_of(np.zeros((40, 2)), predict=predict).predictions is None


def test_an_ensemble_does_not_count_that_it_was_asked():
    ensemble = Ensemble({"one": lambda rows: [1.0] * len(rows)}, combine="mean")
    predict = predictions_of(ensemble, Signature.learn(example=[[1.0]]))

    assert predict([[2.0], [3.0]]) == [1.0, 1.0]
    assert ensemble.log.report()["one"]["requests"] == 0


def test_who_is_asked_over_a_network_is_not_asked_for_a_baseline():
    class Elsewhere:
        is_elsewhere, model_type, methods, classes = True, "remote", ("predict",), None

        def call(self, method, batch):
            raise AssertionError(method, batch)

    signature = Signature.learn(example=[[1.0]])
    together = Ensemble({"one": Elsewhere(), "two": lambda rows: rows}, combine="mean")

    assert predictions_of(Elsewhere(), signature) is None
    assert predictions_of(together, signature) is None


def test_what_is_drawn_to_be_predicted_is_a_copy_of_few_rows():
    frame = pd.DataFrame({"x": np.arange(1000.0)})
    few = draw_sample(Signature.learn(example=frame), frame).few()
    few["x"] = 0.0

    assert len(few) == 256
    assert frame["x"].max() == 999


@pytest.mark.parametrize(
    "change",
    [
        {"format": 9},
        {"columns": []},
        {"columns": [{"name": "x", "kind": "number", "counts": [1]}]},
        {"columns": [{"name": "x", "kind": "shape", "counts": [1, 2]}]},
        {"columns": [{"name": "x", "kind": "category", "counts": [1, -2]}]},
        {
            "columns": [
                {"name": "x", "kind": "number", "counts": [0] * 5, "edges": ["1"], "low": 0.0}
            ]
        },
        {"columns": "none"},
        {"predictions": 3},
    ],
)
def test_what_is_no_baseline_is_refused(change):
    written = baseline_of(np.zeros((40, 1))).to_dict() | change

    with pytest.raises(SignatureError, match="This is no"):
        Baseline.from_dict(written)


@pytest.mark.parametrize(("distinct", "kind"), [(2, "category"), (120, "category"), (900, "text")])
def test_values_that_hardly_repeat_are_known_by_their_length(distinct, kind):
    cells = [f"place {number % distinct}" for number in range(1800)]

    assert learn_distribution("place", cells, "string").kind == kind


@pytest.mark.parametrize(("seconds", "asked"), [(0.4, [32, 60]), (0.6, [32])])
def test_a_slow_model_is_not_asked_for_more_than_a_few_predictions(seconds, asked):
    sizes = []

    def predict(rows):
        sizes.append(len(rows))
        return [1.0] * len(rows)

    ticks = iter([0.0, seconds])
    learned = learn_predictions(np.zeros((60, 1)), predict, clock=lambda: next(ticks))

    assert sizes == asked
    assert (learned is None) is (len(asked) == 1)


def test_long_texts_that_begin_alike_are_two_and_are_not_kept_whole():
    first, second = "x" * 500, "x" * 499 + "y"
    learned = learn_distribution("x", [first] * 3 + [second] * 2, "category")

    assert learned.counts == (0, 3, 2, 0)
    assert max(map(len, learned.categories)) == 80
    assert learned.count([second, "x" * 500]).tolist() == [0, 1, 1, 0]
