import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.serving.question import form_of
from nbdeploy.serving.routing import route_from_model

RANDOM = np.random.default_rng(0)
ARRAY = RANDOM.normal(size=(300, 4))
FRAME = pd.DataFrame({"size": ARRAY[:, 0], "kind": RANDOM.choice(list("abc"), 300)})
TARGET = (ARRAY[:, 0] > 0).astype(int)


def pipeline():
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["size"]))
    return make_pipeline(columns, LogisticRegression())


@pytest.mark.parametrize(
    ("model", "rows"),
    [(RandomForestClassifier(12, random_state=0), ARRAY), (pipeline(), FRAME)],
    ids=["array", "frame"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_tables_of_the_same_form_share_a_call_and_keep_their_answers(model, rows, method):
    route = route_from_model(model.fit(rows, TARGET), example=rows)
    parts = [rows[:100], rows[100:170], rows[170:]]
    one, *others = (route.question(method, part) for part in parts)
    assert one.can_join
    assert {each.key for each in others} == {one.key}

    together = one.joined(others)

    assert together.size == 300
    assert together.key == one.key
    alone = [answer for part in (one, *others) for answer in part.run()]
    assert np.allclose(together.run(), alone, rtol=1e-9, atol=1e-12)


def test_large_requests_of_records_share_a_call_as_columns():
    route = route_from_model(pipeline().fit(FRAME, TARGET), example=FRAME)
    records = FRAME.to_dict("records")
    one, *others = (
        route.question("predict_proba", part) for part in (records[:100], records[100:])
    )

    together = one.joined(others)

    assert isinstance(together.rows, CellColumns)
    assert np.allclose(together.run(), route.model.predict_proba(FRAME), rtol=1e-9, atol=1e-12)


def test_rows_of_another_form_do_not_join():
    forms = [
        form_of([(1.0, "a")]),
        form_of(ARRAY),
        form_of(ARRAY.astype("float32")),
        form_of(FRAME),
        form_of(FRAME.astype({"size": "float32"})),
        form_of(FRAME.astype({"kind": "category"})),
    ]
    assert len({*forms}) == len(forms)
    assert form_of(pd.Series([1.0])) is None
    assert form_of(ARRAY[:, 0]) is None


def test_a_model_that_nobody_knows_gets_the_table_that_was_sent():
    route = route_from_model(lambda rows: [0] * len(rows), example=FRAME)
    assert not route.question("predict", FRAME).can_join
