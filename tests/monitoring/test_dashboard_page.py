"""The dashboard as HTML, drawn from what is known."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy import ModelMonitor
from nbdeploy.monitoring.dashboard_page import DashboardFacts, dashboard

ROWS = [{"age": n, "plan": "ab"[n % 2]} for n in range(90)]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def facts_of(monitor, **others):
    return DashboardFacts("churn", "ready", monitor.get_statistics(), monitor.timeline(), **others)


@pytest.fixture
def monitor():
    clock = Clock()
    monitor = ModelMonitor(clock=clock, wall_clock=clock, example=ROWS)
    for number in range(200):
        clock.now += 0.1
        answer = "no" if number % 4 else "yes"
        monitor.log_prediction({"age": number % 90, "plan": "b"}, answer, 0.02, version="1.0")
    monitor.details.add_stages(parse=0.001, predict=0.003)
    monitor.details.add_batch(4)
    monitor.log_prediction([1], None, 0.5, error=ValueError("secret row 42"), status=500)
    monitor.log_prediction([1], None, 0.001, error="The row has no column 'age'.", status=422)
    return monitor


def test_it_tells_what_a_reader_wants_to_know(monitor):
    html = dashboard(
        facts_of(
            monitor,
            shares={"1.0": 0.9, "1.1": 0.1},
            drift=monitor.drift().rows,
            errors=monitor.errors(),
            now=30.0,
        )
    )
    text = re.sub("<style>.*?</style>|<[^>]+>", " ", html)

    for told in (
        "churn", "ready", "requests/s", "p95", "20.0 ms", "202", "1.1", "90 %", "75 %", "yes",
        "parse 1.00 ms, predict 3.00 ms, 4 rows a call",
        "plan: b 50 %", "no column", "ValueError", "service.errors()",
    ):  # fmt: skip
        assert told in text, told
    assert "secret row" not in html


def test_it_is_one_well_formed_element_without_a_script(monitor):
    html = dashboard(facts_of(monitor, errors=monitor.errors(), now=30.0))

    ET.fromstring(html.replace("<bdi>", "<b>").replace("</bdi>", "</b>"))
    assert "<script" not in html
    assert "http" not in html
    assert len(re.findall('<svg[^>]*role="img"', html)) == 3
    for drawn in re.findall(' d="([^"]*)"', html):
        assert re.fullmatch(r"([ML][\d.]+ [\d.]+(h\.1)?)*", drawn)


def test_nothing_asked_yet_is_told_in_words():
    html = dashboard(facts_of(ModelMonitor()))

    assert "No request in the last five minutes." in html
    assert "<svg" not in html


@given(
    name=st.text(max_size=20),
    predictions=st.lists(
        st.floats() | st.text(max_size=8) | st.integers() | st.lists(st.integers()), max_size=20
    ),
)
def test_whatever_it_is_told_stays_text(name, predictions):
    monitor = ModelMonitor()
    monitor.log_prediction([1], [*predictions, "<img src=x>"], 0.01, version=f"<img {name}")
    monitor.log_prediction([1], 0, 0.01, version=name)
    facts = DashboardFacts(
        f"<script>{name}",
        "ready",
        monitor.get_statistics(),
        monitor.timeline(),
        shares={f"<b>{name}": 1.0},
    )
    html = dashboard(facts)

    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html


def test_what_fails_again_and_again_is_told_once(monitor):
    for _ in range(20):
        monitor.log_prediction([1], None, 0.001, error="The row has no column 'age'.", status=422)
    html = dashboard(facts_of(monitor, errors=monitor.errors(), now=30.0))

    assert html.count("no column") == 1
    assert "21 x" in html


def test_numbers_are_shown_in_few_bins_that_hold_all():
    monitor = ModelMonitor()
    monitor.log_prediction([1], [float(number) for number in range(100)], 0.01)
    html = dashboard(facts_of(monitor))

    bars = re.findall(r"<bdi>(\S+)( to )?(\S*)</bdi>.*?</svg><span>([\d.]+) %", html)
    assert 2 <= len(bars) <= 8
    assert sum(float(bar[3]) for bar in bars) == pytest.approx(100, abs=0.5)
    assert all(before[2] in {after[0], ""} for before, after in pairwise(bars))
    assert "predictions over the last 2 s: mean 49.5" in html


def test_versions_show_what_each_predicted():
    monitor = ModelMonitor()
    monitor.log_prediction([1], ["yes", "no"], 0.01, version="1.0")
    monitor.log_prediction([1], ["yes"], 0.01, version="1.1")
    html = dashboard(facts_of(monitor))

    html = html[html.index("Predictions since the start") :]
    told = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>|<bdi>(.*?)</bdi>", html)
    assert ["".join(each) for each in told] == ["1.0", "yes", "no", "1.1", "yes"]
