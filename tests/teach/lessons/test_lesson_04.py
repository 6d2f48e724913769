from __future__ import annotations

import pytest


@pytest.mark.parametrize("latencies", [[0.01] * 18 + [0.3] * 2, (*[0.0] * 18, 0.21, 0.5)])
def test_latencies_whose_mean_hides_the_slow_ones_pass(latencies, verdict):
    assert "passed" in verdict("04.1", latencies)


@pytest.mark.parametrize(
    ("latencies", "told"),
    [
        ([0.01] * 20, "one in twenty is not enough"),
        ([0.3] * 20, "a mean below 0.05 s"),
        ([0.01] * 18, "a list of 20 latencies"),
        ([-1.0] * 20, "seconds: numbers from 0 on"),
        (["10 ms"] * 20, "seconds: numbers from 0 on"),
        (0.3, "a list of 20 latencies"),
    ],
    ids=["all quick", "all slow", "too few", "negative", "text", "number"],
)
def test_what_other_latencies_show_is_told(latencies, told, verdict):
    out = verdict("04.1", latencies)

    assert "is not done yet" in out
    assert told in out


@pytest.mark.parametrize("when", ["error_rate > 0.05 for 30s", "error_rate>5e-2 for 0.5 m"])
def test_the_condition_passes_however_it_is_written(when, verdict):
    assert "passed" in verdict("04.2", when)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("error_rate > 5 for 30s", "1 is all requests"),
        ("error_rate > 0.05", "half a minute"),
        ("errors > 0.05 for 30s", "the share of requests that fail"),
        ("error_rate is high", "a condition that the monitor reads"),
        (0.05, "the quotes around the condition"),
    ],
)
def test_what_another_condition_says_is_told(when, told, verdict):
    out = verdict("04.2", when)

    assert "is not done yet" in out
    assert told in out
