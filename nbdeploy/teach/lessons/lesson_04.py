"""Lesson 4: what a service does all day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from nbdeploy.exceptions import ServingError
from nbdeploy.monitoring.alerts import Condition
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_REQUESTS = 20
_MEAN, _P95 = 0.05, 0.2
_SHARE, _SECONDS = 0.05, 30.0


@step(
    "04.1",
    title="Find latencies whose mean hides something",
    hints=(
        "Nearly all are quick; a few are slow.",
        "p95 of 20 latencies lies between the 19th and the 20th, counted from the quickest.",
        "`latencies = [0.01] * 18 + [0.3] * 2`",
    ),
)
def mean_hides_the_slow_ones(latencies: Any) -> str:
    """Log them, and read the statistics."""
    is_list = isinstance(latencies, Sequence) and not isinstance(latencies, str)
    expect(
        is_list and len(latencies) == _REQUESTS,
        expected=f"a list of {_REQUESTS} latencies",
        came=describe(latencies),
        look="`latencies`",
    )
    wrong = [
        each
        for each in latencies
        if not isinstance(each, Real) or not math.isfinite(each) or each < 0
    ]
    expect(
        not wrong,
        expected="seconds: numbers from 0 on",
        came=describe(wrong[0]) if wrong else "",
        look="the numbers in `latencies`",
    )
    monitor = ModelMonitor()
    for latency in latencies:
        monitor.log_prediction([1], 0, float(latency))
    statistics = monitor.get_statistics()
    mean, p95 = statistics["avg_latency"], statistics["p95_latency"]
    expect(
        mean < _MEAN,
        expected=f"a mean below {_MEAN} s",
        came=f"{mean:.3f} s",
        look="the quick ones: there may be more of them, or quicker ones",
    )
    expect(
        p95 > _P95,
        expected=f"a p95 above {_P95} s",
        came=f"{p95:.3f} s",
        look="the slow ones: one in twenty is not enough",
    )
    return f"the mean is {mean * 1000:.0f} ms, and one caller in ten waits {p95 * 1000:.0f} ms"


@step(
    "04.2",
    title="Write the condition of an alert",
    hints=(
        "A condition is a number of the statistics, a sign and a limit.",
        "The share of failed requests is called `error_rate`; 5 % is 0.05.",
        '`when = "error_rate > 0.05 for 30s"`',
    ),
)
def condition_is_right(when: Any) -> str:
    """Read it as the monitor would."""
    expect(
        isinstance(when, str),
        expected='a text such as "p95 > 0.2 for 1m"',
        came=describe(when),
        look="the quotes around the condition",
    )
    try:
        condition = Condition.parse(when, ModelMonitor().get_statistics())
    except ServingError as error:
        raise Mismatch(
            expected="a condition that the monitor reads", came=str(error), look="`when`"
        ) from None
    expect(
        condition.key == "error_rate",
        expected="the share of requests that fail",
        came=f"{condition.key!r}",
        look="the name before the sign: `service.stats()` lists them",
    )
    expect(
        condition.sign == ">" and condition.limit == _SHARE,
        expected="more than 5 %",
        came=f"{condition.sign} {condition.limit:g}",
        look="the sign and the limit: 1 is all requests",
    )
    expect(
        condition.seconds == _SECONDS,
        expected="half a minute",
        came=f"{condition.seconds:g} s",
        look='the end of the condition: "for 30s"',
    )
    return "you are told after half a minute, and not for a single bad second"
