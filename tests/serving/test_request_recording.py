from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbdeploy.exceptions import DeadlineError, PredictionError, SignatureError
from nbdeploy.models.equality import is_equal
from nbdeploy.models.quick_rows import QUICK_ROWS
from nbdeploy.monitoring.request_lines import line_of, read_line
from nbdeploy.monitoring.request_log import RequestLog
from nbdeploy.serving import request_recording
from nbdeploy.serving.replaying import _rows_for
from nbdeploy.serving.request_recording import RequestRecorder
from nbdeploy.serving.routing import route_from_model

FRAME = pd.DataFrame({"island": ["Dream", "Biscoe"], "mass": [3700.0, np.nan]})


class Written:
    """What the writer of a log is told."""

    def __init__(self):
        self.notes = []
        self.failures = 0

    def offer(self, noted, cells):
        self.notes.append((noted, cells))

    def fail(self):
        self.failures += 1

    stats = close = None


def route(model=lambda rows: ["x"] * len(rows), example=FRAME):
    return route_from_model(model, example=example, version="1.0")


def recorder(written, **options):
    draw = options.pop("draw", None)
    clock = iter(itertools.count(1)).__next__
    more = {} if draw is None else {"draw": draw}
    return RequestRecorder(
        RequestLog("logs", **options), written, clock=clock, wall_clock=lambda: 0.0, **more
    )


async def answers(value):
    await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


def follow(log, question, value):
    return asyncio.run(log.follow(answers(value), question, 0))


def test_an_answer_goes_out_and_is_noted_with_its_question():
    written = Written()
    question = route().question("predict", {"island": "Dream", "mass": 1.0})

    assert follow(recorder(written), question, ["x"]) == ["x"]

    ((noted, cells),) = written.notes
    assert (noted.endpoint, noted.version, noted.status, noted.latency) == (
        "predict",
        "1.0",
        200,
        1,
    )
    assert read_line(line_of(noted, id="1")).rows == [["Dream", 1.0]]
    assert (noted.answer, noted.error, noted.size) == (["x"], None, 1)
    assert cells == 3


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (PredictionError("Dream is 5"), 500, "PredictionError"),
        (DeadlineError("late"), 504, "DeadlineError"),
        (asyncio.CancelledError(), None, "cancelled"),
        (RuntimeError("Dream"), 500, "RuntimeError"),
    ],
)
def test_a_failure_goes_on_and_is_noted_by_its_name_alone(error, status, name):
    written = Written()
    question = route().question("predict", {"island": "Dream", "mass": 1.0})

    with pytest.raises(type(error)):
        follow(recorder(written, redact=["island"]), question, error)

    ((noted, _),) = written.notes
    assert (noted.status, noted.error, noted.answer) == (status, name, None)
    assert b"Dream" not in line_of(noted, id="1", redact=["island"])


def test_a_refused_request_is_noted_without_its_rows():
    written = Written()
    recorder(written).refused(route(), "predict", 0, SignatureError("row 0: 'Dream'"))

    ((noted, _),) = written.notes
    assert (noted.status, noted.error, noted.rows) == (422, "SignatureError", None)
    assert b"Dream" not in line_of(noted, id="1")


def test_a_share_of_the_requests_is_noted():
    written = Written()
    draws = iter([0.05, 0.1, 0.0999, 0.5])
    log = recorder(written, sample=0.1, draw=draws.__next__)
    made = route()

    for number in range(4):
        question = made.question("predict", {"island": "Dream", "mass": float(number)})
        assert follow(log, question, [number]) == [number]

    assert [noted.answer for noted, _ in written.notes] == [[0], [2]]


def test_what_a_model_does_to_its_rows_is_not_what_was_sent():
    def spoils(frame):
        frame["mass"] = -1.0
        return [0] * len(frame)

    written = Written()
    made = route(spoils)
    question = made.question("predict", FRAME.copy())
    assert not question.can_join

    async def ask():
        return question.run()

    asyncio.run(recorder(written).follow(ask(), question, 0))

    ((noted, _),) = written.notes
    assert noted.rows["mass"].tolist()[0] == 3700.0


def test_of_a_large_request_the_first_rows_are_noted():
    written = Written()
    many = pd.concat([FRAME] * 50)
    question = route().question("predict", many)

    follow(recorder(written, max_rows=3), question, list(range(100)))

    request = read_line(line_of(written.notes[0][0], id="1"))
    assert (len(request.rows), request.answer, request.size) == (3, [0, 1, 2], 100)


def test_of_wide_rows_fewer_are_noted_and_at_least_one(monkeypatch):
    monkeypatch.setattr(request_recording, "_CELLS", 8)
    written = Written()
    for width in (3, 20):
        wide = np.zeros((4, width))
        follow(recorder(written), route(example=wide).question("predict", wide), [0] * 4)

    assert [(len(noted.rows), cells) for noted, cells in written.notes] == [(2, 8), (1, 21)]


@pytest.mark.parametrize("count", [QUICK_ROWS, QUICK_ROWS + 1, 500])
def test_records_of_mixed_columns_are_noted_however_many(count):
    written = Written()
    mixed = FRAME.assign(mass=[3700.0, 3500.0], seen=[True, False])
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["island"]), remainder="passthrough"),
        LogisticRegression(),
    )
    made = route(pipeline.fit(mixed, ["x", "y"]), example=mixed)
    records = mixed.to_dict("records") * count
    question = made.question("predict", records[:count])

    follow(recorder(written, max_rows=400), question, ["x"] * count)

    assert written.failures == 0
    request = read_line(line_of(written.notes[0][0], id="1"))
    kept = min(count, 400)
    assert request.rows == [list(record.values()) for record in records[:kept]]
    assert written.notes[0][1] >= kept * (mixed.shape[1] + 1)


def test_long_texts_weigh_more():
    written = Written()
    log, made = recorder(written), route()
    for rows in (
        [["x" * 8000, 1.0]],
        pd.DataFrame({"island": ["x" * 8000] * 9, "mass": [1.0] * 9}),
    ):
        follow(log, made.question("predict", rows), ["x"] * len(rows))

    assert [cells for _, cells in written.notes] == [1003, 9027]


def test_an_answer_goes_out_though_nothing_can_be_noted(monkeypatch):
    written = Written()
    question = route().question("predict", {"island": "Dream", "mass": 1.0})
    monkeypatch.setattr(written, "offer", lambda *_: 1 / 0)

    assert follow(recorder(written), question, ["x"]) == ["x"]
    assert written.failures == 1


def test_rows_that_cannot_be_kept_cost_no_answer(monkeypatch):
    written = Written()
    question = route().question("predict", FRAME)
    monkeypatch.setattr(request_recording.pd.DataFrame, "copy", lambda *_, **__: 1 / 0)

    assert follow(recorder(written), question, ["x", "y"]) == ["x", "y"]
    assert written.failures == 1


CELLS = {
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    "int": st.integers(-(2**53), 2**53),
    "bool": st.booleans(),
    "text": st.text(max_size=5) | st.none(),
    "when": st.datetimes(min_value=pd.Timestamp(1800, 1, 1), max_value=pd.Timestamp(2200, 1, 1)),
}


EXAMPLE = pd.DataFrame(
    {
        "float": [1.5, np.nan],
        "int": [1, 2],
        "bool": [True, False],
        "text": ["a", None],
        "when": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    }
)
MADE = route(example=EXAMPLE)


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=4))
def test_rows_come_back_from_the_log_as_the_model_got_them(records):
    rows = [{**each, "when": each["when"].isoformat()} for each in records]
    question = MADE.question("predict", rows)
    written = Written()
    follow(recorder(written), question, [0] * len(rows))

    again = _rows_for(MADE, read_line(line_of(written.notes[0][0], id="1")))

    asked = MADE.signature.validate(rows)
    assert is_equal(MADE.signature.validate(again), asked, same_batch=True)
