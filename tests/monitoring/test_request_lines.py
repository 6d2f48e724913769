from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from nbdeploy.monitoring.request_lines import Noted, line_of, read_line, read_lines, through_json

PENGUIN = Noted(
    time=1_790_000_000.123,
    endpoint="predict",
    version="1.0",
    status=200,
    latency=0.0021,
    names=("island", "mass"),
    rows=[("Dream", 3700.0)],
    size=1,
    answer=["Adelie"],
    error=None,
)


def test_a_line_is_one_json_object_that_says_it_all():
    line = line_of(PENGUIN, id="ab-1")

    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time": "2026-09-21T14:13:20.123Z",
        "id": "ab-1",
        "endpoint": "predict",
        "version": "1.0",
        "status": 200,
        "latency": 0.0021,
        "columns": ["island", "mass"],
        "rows": [["Dream", 3700.0]],
        "size": 1,
        "answer": ["Adelie"],
    }


def test_redacted_cells_are_in_no_line_and_the_column_is_named():
    noted = PENGUIN._replace(rows=[("Dream", 1.0), ("Biscoe", 2.0)], answer=["a", "b"])
    line = line_of(noted, id="1", redact=["island"])

    assert b"Dream" not in line
    assert b"Biscoe" not in line
    request = read_line(line)
    assert (request.columns, request.redacted) == (("mass",), ("island",))
    assert request.rows == [[1.0], [2.0]]


def test_all_columns_may_be_redacted():
    request = read_line(line_of(PENGUIN, id="1", redact=["island", "mass"]))

    assert (request.columns, request.rows) == ((), [[]])


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        (pd.DataFrame({"island": ["Dream"], "mass": [3700.5]}), [["Dream", 3700.5]]),
        (pd.DataFrame({"island": pd.Categorical(["Dream"]), "mass": [np.nan]}), [["Dream", None]]),
        (pd.DataFrame({"island": pd.array([None], "Int64"), "mass": [pd.NaT]}), [[None, None]]),
        (np.array([[1.5, 2.0]]), [[1.5, 2.0]]),
        (np.array([[1, 2]], dtype=np.float32), [[1.0, 2.0]]),
        ([[1.5, None]], [[1.5, None]]),
    ],
    ids=["frame", "category", "missing", "array", "float32", "lists"],
)
def test_rows_of_every_form_become_lists_of_cells(rows, cells):
    assert read_line(line_of(PENGUIN._replace(rows=rows), id="1")).rows == cells


@pytest.mark.parametrize("rows", [["a text"], pd.Series(["a text"]), np.array(["a text"])])
def test_single_values_are_rows_of_one_cell(rows):
    noted = PENGUIN._replace(names=("text",), rows=rows)

    assert read_line(line_of(noted, id="1")).rows == [["a text"]]


@pytest.mark.parametrize(
    "cell",
    [2**70, "\ud800", pd.Timestamp("2026-01-02 03:04:05"), dt.date(2026, 1, 2), np.int64(5),
     float("inf"), {1: "a"}, object],
    ids=str,
)  # fmt: skip
def test_a_cell_of_any_kind_makes_a_line(cell):
    noted = PENGUIN._replace(rows=[("Dream", cell)], answer=[cell])

    assert read_line(line_of(noted, id="1")) is not None


def test_a_refused_request_has_no_rows_and_names_its_error():
    noted = PENGUIN._replace(status=422, rows=None, size=0, answer=None, error="SignatureError")
    line = line_of(noted, id="1")

    assert json.loads(line)["error"] == "SignatureError"
    assert read_line(line).rows is None


WHOLE = line_of(PENGUIN, id="1")


@pytest.mark.parametrize(
    "line",
    [WHOLE[:-1], WHOLE[:50] + b"\n", b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\xfe\n",
     WHOLE.replace(b'["island","mass"]', b'["island"]'), WHOLE.replace(b'["Adelie"]', b'"Adelie"'),
     WHOLE.replace(b'["Adelie"]', b"[1,2]"), WHOLE.replace(b"0.0021", b'"soon"'),
     WHOLE.replace(b"[[", b"{").replace(b"]]", b":1}")],
)  # fmt: skip
def test_torn_and_foreign_lines_are_none(line):
    assert read_line(line) is None


def test_a_file_is_read_line_by_line_and_its_torn_end_is_told(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(WHOLE + WHOLE[:20])

    assert [request and request.id for _, request in read_lines(path)] == ["1", None]
    assert sum(length for length, _ in read_lines(path)) == path.stat().st_size
    assert list(read_lines(tmp_path / "gone")) == []


def test_what_is_compared_is_written_the_same_way():
    assert through_json([(1, np.nan), np.float64(0.1), "a"]) == [[1, None], 0.1, "a"]
