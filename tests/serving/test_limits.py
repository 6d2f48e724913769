from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import ServingError
from nbdeploy.serving.limits import limits_from, variables_of

LIMITS = st.fixed_dictionaries(
    {
        "timeout": st.floats(0.001, 1000),
        "max_batch_size": st.none() | st.integers(1, 10_000),
        "batch_timeout": st.floats(0, 10),
        "max_concurrency": st.none() | st.integers(1, 100),
        "max_queue": st.integers(0, 10_000),
    }
)
DEFAULTS = {
    "timeout": 30.0, "max_batch_size": None, "batch_timeout": 0.0, "max_concurrency": None,
    "max_queue": 1024,
}  # fmt: skip


@given(LIMITS)
def test_what_is_written_is_read_again(limits):
    assert DEFAULTS | limits_from(variables_of(limits)) == limits


def test_the_defaults_need_no_variable():
    assert variables_of(DEFAULTS) == {}


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "inf", "1e300"])
def test_what_is_no_limit_is_named_with_its_variable(text):
    with pytest.raises(ServingError, match=r"NBDEPLOY_TIMEOUT=.*deploy\(timeout=\.\.\.\)"):
        limits_from({"NBDEPLOY_TIMEOUT": text})
