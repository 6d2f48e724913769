"""What is written beside a model comes back as it was, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import CorruptedModelError
from nbdeploy.models.manifest import Entry
from nbdeploy.registry.metrics import checked_metrics
from nbdeploy.registry.record import Record, sealed

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    metrics=st.dictionaries(st.text(), PLAIN, max_size=4),
    description=st.text(),
    parameters=st.dictionaries(st.text(), st.text(), max_size=4),
)
def test_a_record_comes_back_as_it_was(metrics, description, parameters):
    record = Record(
        version="1.0",
        created_at="2026-05-01T12:00:00+00:00",
        created_by="ana",
        description=description,
        metrics=checked_metrics(metrics),
        parameters=parameters,
        files={"model.joblib": "sha256:0"},
        entry=Entry("0" * 64, 1, "joblib"),
    )
    assert Record.from_bytes(record.to_bytes()) == record


FACTS = json.loads(
    sealed(
        {"version": "1.0", "created_at": "2026-05-01", "created_by": "ana", "entry": None}
    ).decode()
)["facts"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff",
        b"[" * 100_000,
        sealed({}),
        sealed({**FACTS, "version": 1}),
        sealed({**FACTS, "created_at": "yesterday"}),
        sealed({**FACTS, "extra": 1}),
        sealed({**FACTS, "entry": {"sha256": "x"}}),
        sealed(FACTS).replace(b'"registry": 1', b'"registry": 2'),
        sealed(FACTS).replace(b"ana", b"eve"),
    ],
    ids=range(14),
)
def test_what_is_no_record_is_refused(data):
    with pytest.raises(CorruptedModelError, match=r"version\.json cannot be read"):
        Record.from_bytes(data)


def test_a_record_without_a_model_tells_of_a_deletion():
    record = Record.from_bytes(sealed(FACTS))
    assert record.is_deleted
    assert record.model_file is None
