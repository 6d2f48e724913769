from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.display.units import age, count, counted, duration, percent, rate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 s"),
        (0.000_000_9, "0.900 µs"),
        (0.000_999_4, "999 µs"),
        (0.000_999_6, "1.00 ms"),
        (0.099_99, "100 ms"),
        (0.999_9, "1.00 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3_723, "1 h 2 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_have_three_digits_or_two_units(seconds, text):
    assert duration(seconds) == text


@given(st.floats(min_value=1e-6, max_value=59.9))
def test_a_duration_says_what_it_is_within_half_a_percent(seconds):
    number, unit = duration(seconds).split()
    scale = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    assert float(number) * scale == pytest.approx(seconds, rel=0.0051)


def test_an_age_has_whole_seconds():
    assert [age(seconds) for seconds in (0.0, 0.9, 59.9, 60.0)] == ["0 s", "0 s", "59 s", "1 min 0 s"]  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1e-9, "< 0.1 %"),
        (0.001, "0.1 %"),
        (0.5, "50 %"),
        (0.999, "99.9 %"),
        (0.9999, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_few_errors_never_read_as_none(share, text):
    assert percent(share) == text


def test_counts_and_rates():
    assert (count(0), count(1_000_000)) == ("0", "1,000,000")
    assert (counted(1, "row"), counted(2, "row")) == ("1 row", "2 rows")
    assert [rate(x) for x in (0, 0.5, 20, 100, 1234.5)] == ["0/s", "0.5/s", "20/s", "100/s", "1,234/s"]  # fmt: skip # noqa: E501
