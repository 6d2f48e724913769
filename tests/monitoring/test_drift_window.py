import gc
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.baseline import Baseline
from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.distributions import learn_distribution
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.drift_window import DriftWindow

EXAMPLE = pd.DataFrame({"place": np.arange(200.0), "kind": ["a", "b"] * 100})


def window_of(example=EXAMPLE, **options):
    signature = Signature.learn(example=example)
    return signature, DriftWindow(Baseline.learn(signature, example), signature.kind, **options)


def add(window, rows, predictions=None):
    window.add(window.keep(rows), predictions)


def test_rows_of_any_form_are_counted_in_the_places_of_the_baseline():
    signature, window = window_of()
    add(window, [(3.0, "a")])
    add(window, [[4.0, "b"], [500.0, "c"]])
    add(window, signature.validate(pd.DataFrame({"place": [5.0], "kind": ["a"]})))
    add(window, CellColumns([np.array([4.5, np.nan]), ["b", None]]))
    rows, (place, kind) = window.read()

    assert rows == 6
    assert place.counts.sum() == 6
    assert place.counts[-1] == 1, "one is above all that was seen"
    assert place.counts[0] == 1, "one is missing"
    assert place.median == 4.5
    assert kind.counts.tolist() == [1, 2, 2, 1]


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.sampled_from(["rows", "columns", "table"])), max_size=30
    )
)
def test_the_window_has_the_latest_rows_whatever_their_form(requests):
    signature, window = window_of(rows=300)
    asked = []
    for size, form in requests:
        places = [float(len(asked) + number) for number in range(size)]
        rows = [(place, "a") for place in places]
        asked += places
        table = pd.DataFrame({"place": places, "kind": "a"})
        columns = CellColumns([np.array(places), ["a"] * size])
        add(window, {"table": signature.validate(table), "columns": columns}.get(form, rows))
    rows, (place, _) = window.read()

    # Of a request that is larger than a window every other row is kept.
    kept = sum(size if size <= 300 else -(-size // 2) for size, _ in requests)
    assert rows == min(kept, 300)
    if max((size for size, _ in requests), default=0) <= 300 and asked:
        assert place.median == np.median(asked[-300:])


@pytest.mark.parametrize("is_table", [True, False])
def test_memory_is_bounded_by_rows(is_table):
    signature, window = window_of(rows=100)
    for size in [1, 7, 64, 1000] * 50:
        rows = [(1.0, "a")] * size
        table = pd.DataFrame({"place": [1.0], "kind": "a"}).sample(size, replace=True)
        add(window, signature.validate(table) if is_table else rows, ["x"] * size)

    assert len(window._cells) <= 2 * 100 * 2 + 100 * 2
    assert sum(len(table) for _, table in window._tables) <= 200
    assert len(window._predictions) <= 300


def test_wide_rows_make_a_smaller_window():
    example = np.random.default_rng(0).normal(size=(40, 2000))
    signature = Signature.learn(example=example)
    window = DriftWindow(Baseline.learn(signature, example), signature.kind, width=2000)

    assert window.limit == 250
    for _ in range(3):
        add(window, [[0.5] * 2000])
    rows, columns = window.read()
    assert (rows, len(columns)) == (3, 512)


def test_nothing_that_is_kept_of_plain_rows_is_looked_at_by_the_garbage_collector():
    _, window = window_of()
    for _ in range(50):
        add(window, [(1.0, "a")], ["x"])

    assert not any(gc.is_tracked(each) for each in window._cells + window._predictions)


def test_a_model_that_writes_into_its_table_changes_nothing():
    signature, window = window_of()
    rows = signature.validate(EXAMPLE.head(3))
    kept = window.keep(rows)
    rows["place"] = -1.0
    window.add(kept, None)

    assert window.read()[1][0].median == 1.0


def test_texts_are_counted_by_their_length():
    texts = [f"{'word ' * (number % 9 + 1)}{number}" for number in range(100)]
    signature, window = window_of(texts)
    add(window, signature.validate("short"))
    add(window, signature.validate(texts[:50]))
    rows, (text,) = window.read()

    assert (rows, text.baseline.kind, text.counts.sum()) == (51, "text", 51)


def test_the_model_is_asked_for_its_predictions_when_somebody_asks_and_once():
    asked = []

    def learn():
        asked.append(1)
        return learn_distribution("prediction", ["x"] * 50, "category")

    _, window = window_of(learn=learn)
    add(window, [(1.0, "a")], ["x"])
    assert not asked

    assert window.read()[1][-1].counts.tolist() == [0, 1, 0]
    window.read()
    assert len(asked) == 1


def test_answers_of_other_methods_are_rows_and_no_predictions():
    _, window = window_of(learn=lambda: learn_distribution("prediction", ["x"] * 50, "category"))
    add(window, [(1.0, "a")], None)
    add(window, [(1.0, "a")], [["several", "outputs"]])
    rows, columns = window.read()

    assert rows == 2
    assert columns[-1].counts.sum() == 0


def test_a_reset_forgets_all():
    _, window = window_of()
    add(window, [(1.0, "a")], ["x"])
    window.reset()

    assert window.read()[0] == 0


def test_columns_of_every_type_are_counted_missing_ones_too():
    draw = np.random.default_rng(0)
    example = pd.DataFrame(
        {
            "float64": draw.normal(size=200),
            "float32": draw.normal(size=200).astype("float32"),
            "int8": draw.integers(0, 9, 200).astype("int8"),
            "Int64": pd.array(draw.integers(0, 9, 200), dtype="Int64"),
            "bool": draw.random(200) > 0.5,
            "boolean": pd.array(draw.random(200) > 0.5, dtype="boolean"),
            "string": pd.array(draw.choice(["x", "y"], 200), dtype="string"),
            "object": draw.choice(["x", "y"], 200).astype(object),
            "category": pd.Categorical(draw.choice(["x", "y"], 200)),
            "number category": pd.Categorical(draw.choice([1, 2, 3], 200)),
            "date": pd.date_range("2020-01-01", periods=200),
            "zoned date": pd.date_range("2020-01-01", periods=200, tz="UTC"),
        }
    )
    nullable = [name for name in example if name not in {"int8", "bool"}]
    example.loc[5, nullable] = None
    signature, window = window_of(example)
    nothing = dict.fromkeys(nullable) | {"int8": 3, "bool": True}
    for rows in (example, example.iloc[7:8], nothing, nothing):
        add(window, signature.validate(rows))
    rows, columns = window.read()

    assert rows == 203
    for column in columns:
        before = np.array(column.baseline.counts)
        assert before[0] == (column.baseline.name in nullable)
        assert column.counts.sum() == 203
        assert column.counts[0] == 3 * before[0]
        assert np.abs(column.counts - before).sum() == 3, "each row that came later is in one place"


def test_rows_may_come_while_the_window_is_read():
    _, window = window_of(rows=200)
    is_over = threading.Event()

    def ask():
        for number in range(20_000):
            add(window, [(1.0, "a")] * (1 + number % 3), ["x"])
        is_over.set()

    thread = threading.Thread(target=ask)
    thread.start()
    while not is_over.is_set():
        rows, (place, kind) = window.read()
        assert place.counts.sum() == kind.counts.sum() == rows <= 200
        assert kind.counts[-1] == 0, "no cell is in the place of another column"
    thread.join()
