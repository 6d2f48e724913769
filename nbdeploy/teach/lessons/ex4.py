"""Exercise 4: a dashboard that tells the truth."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from numbers import Real
from typing import Any

from nbdeploy.monitoring.drift import Drift, DriftRow
from nbdeploy.teach.expectations import describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_SAME = 1e-9
_ATTACK = '<img src=x onerror="alert(1)">'
_TEXT = """\
# HELP nbdeploy_requests_total Requests that ended.
# TYPE nbdeploy_requests_total counter
nbdeploy_requests_total{endpoint="predict",model="a",status="200",version="1.0"} 40.0
nbdeploy_requests_total{endpoint="predict_proba",model="a",status="200",version="1.0"} 2.0
nbdeploy_requests_total{endpoint="predict",model="a",status="200",version="1.1"} 1.0
nbdeploy_requests_total{endpoint="predict",model="a } b",status="422",version="1.0"} 3.0
# HELP nbdeploy_rows_total Rows that were predicted.
# TYPE nbdeploy_rows_total counter
nbdeploy_rows_total{model="a",status="200",version="1.0"} 900.0
"""
_DASHBOARD = {
    "panels": [
        {"title": "no data", "type": "text"},
        {
            "targets": [
                {"expr": 'sum(rate(nbdeploy_requests_total{model="nb"}[5m]))'},
                {"expr": "nbdeploy_queue_depth / nbdeploy_requests_total"},
            ]
        },
        {"type": "row", "panels": [{"targets": [{"expr": "max(nbdeploy_drift_psi) > 0.25"}]}]},
    ]
}


@step(
    "ex4.1",
    title="Count requests, failures and the time that callers waited",
    hints=(
        "First take the pairs apart: a list of all seconds, and the number of failures.",
        "`np.quantile(seconds, [0.5, 0.95])` gives both quantiles; it needs at least one number.",
        "Before the first request, `requests` is empty: answer for that case without a division.",
    ),
)
def tiles_are_right(tiles: Callable[[Any], Any]) -> str:
    """Ask for cases that are known."""
    hundred = [(0.01, False)] * 90 + [(1.0, True)] * 10
    cases: list[tuple[str, list[Any], dict[str, Any], str]] = [
        ("one request", [(0.2, False)], _tiles(1, 0.0, 0.2, 0.2), "the four keys"),
        (
            "90 quick requests and 10 slow ones that failed",
            hundred,
            _tiles(100, 0.1, 0.01, 1.0),
            "failed requests: they count in all four numbers",
        ),
        (
            "no request yet",
            [],
            _tiles(0, 0.0, None, None),
            "the case of an empty list: nobody waited, and nothing failed",
        ),
    ]
    for what, requests, wanted, look in cases:
        got = _called(tiles, requests, what=f"`tiles` of {what}", look=look)
        is_right = isinstance(got, dict) and set(got) == set(wanted)
        is_right = is_right and all(_same(got[name], wanted[name]) for name in wanted)
        expect(is_right, expected=f"{wanted} for {what}", came=_value(got), look=look)
    return "the tiles are right, also before the first request"


@step(
    "ex4.2",
    title="Collect counts that add up, and read a quantile from them",
    hints=(
        "The counts grow from bound to bound: what is at most 0.01 s is at most 0.1 s too.",
        "`sum(each <= bound for each in latencies)` counts for one bound; the last is of all.",
        "`within` looks for the first bound whose count is at least `share * counts[-1]`.",
    ),
)
def buckets_add_up(buckets: Callable[[Any, Any], Any], within: Callable[..., Any]) -> str:
    """Ask for counts, and for quantiles of sums of counts."""
    bounds = [0.01, 0.1, 1.0]
    for latencies, wanted, look in (
        ([0.005, 0.05, 0.06, 0.5], [1, 3, 4, 4], "each count holds those of the bounds before it"),
        ([0.01, 0.1, 7.0], [1, 2, 2, 3], "a latency that *is* the bound, and one beyond them all"),
        ([], [0, 0, 0, 0], "the counts of no latency"),
    ):
        got = _called(buckets, latencies, bounds, what=f"`buckets({latencies}, {bounds})`")
        is_right = isinstance(got, list) and [*map(_number, got)] == wanted
        expect(
            is_right,
            expected=f"{wanted} for the latencies {latencies} and the bounds {bounds}",
            came=_value(got),
            look=look,
        )
    for counts, share, bound, look in (
        ([90, 95, 100, 100], 0.95, 0.1, "*at least* this share: 95 of 100 are enough"),
        ([90, 94, 100, 100], 0.95, 1.0, "the share of all requests, which is the last count"),
        ([90, 190, 200, 200], 0.45, 0.01, "the *smallest* bound that is enough"),
        ([10, 10, 10, 100], 0.95, None, "requests that are slower than every bound"),
        ([0, 0, 0, 0], 0.95, None, "counts without a request: nobody kept to anything"),
    ):
        got = _called(within, counts, bounds, share, what=f"`within({counts}, {bounds}, {share})`")
        expect(
            _same(got, bound),
            expected=f"{bound} for the counts {counts} and the share {share}",
            came=_value(got),
            look=look,
        )
    return "counts of copies add up, and p95 of all is read from their sum"


@step(
    "ex4.3",
    title="Fire once an incident, and tell when it is over",
    hints=(
        "Remember two things from look to look: how many in a row were high, and whether it fires.",
        "A value that is not above the limit, or `None`, sets the number in a row to 0.",
        "`if high >= looks and not is_firing:` fires; `elif high == 0 and is_firing:` is the end.",
    ),
)
def incidents_are_told_once(incidents: Callable[..., Any]) -> str:
    """Play some nights."""
    on, off = "firing", "recovered"
    nights: list[tuple[list[Any], int, list[Any], str]] = [
        ([1, 9, 1], 1, [(1, on), (2, off)], "one look above the limit, where one is enough"),
        ([9, 9, 9, 9], 2, [(1, on)], "the looks after it fired: it is told once"),
        ([9, 1, 9, 1], 2, [], "looks *in a row*: one good look starts the count anew"),
        ([9, 9, 1, 1, 9, 9], 2, [(1, on), (2, off), (5, on)], "a second incident"),
        ([9, 9, None, 9], 2, [(1, on), (2, off)], "`None`, which is not above any limit"),
        ([5, 5, 5], 1, [], "a value that *is* the limit: it is not above it"),
        ([], 3, [], "a night without a look"),
    ]
    for values, looks, wanted, look in nights:
        call = f"`incidents({values}, 5, {looks})`"
        got = _called(incidents, values, 5, looks, what=call, look=look)
        is_right = isinstance(got, list) and [_pair(each) for each in got] == wanted
        expect(is_right, expected=f"{wanted} of {call}", came=_value(got), look=look)
    return "one call an incident, and one when it is over"


@step(
    "ex4.4",
    title="Deploy the model, and read its metrics as Prometheus does",
    hints=(
        'Deploy with `deploy(model, name="penguins", example=X)`.',
        "Several samples have the same status: versions and endpoints count apart. Add them.",
        'Of each `sample` named "nbdeploy_requests_total": add up `value` by `labels["status"]`.',
    ),
)
def metrics_are_read(service: Any, by_status: Callable[[str], Any]) -> str:
    """Read a text that is known, and that of the service."""
    got = _called(by_status, _TEXT, what="`by_status` of a text with two versions")
    expect(
        _counts(got) == {"200": 43, "422": 3},
        expected="{'200': 43, '422': 3} for a text with two versions and two endpoints",
        came=_value(got),
        look="which samples you add: all of `nbdeploy_requests_total`, and none of another metric",
    )
    expect_running(service)
    statistics = service.stats()["by_status"]
    expect(
        statistics.get("200") and statistics.get("422"),
        expected="a service that answered requests, and refused one",
        came=f"requests by status: {statistics or 'none'}",
        look="the cell with the traffic: run it again",
    )
    with urllib.request.urlopen(f"{service.url}/metrics") as answer:  # noqa: S310 -- the student's own
        text = answer.read().decode()
    wanted = _by_status(text)
    got = _called(by_status, text, what="`by_status` of the text of your service")
    expect(
        _counts(got) == wanted,
        expected=f"{wanted} for your service",
        came=_value(got),
        look="`by_status`",
    )
    return f"your function reads what Prometheus reads: {wanted}"


@step(
    "ex4.5",
    title="Name the columns that have moved",
    hints=(
        "Go through `drift.rows`, and keep those with `alarm`.",
        "Two versions have a row each for a column: a set holds its name once.",
        "`sorted({row.feature for row in drift.rows if row.alarm and not row.is_prediction})`",
    ),
)
def moved_columns_are_named(moved: Callable[[Any], Any]) -> str:
    """Give drifts of which the answer is known."""
    quiet = _drift_row("year", p=0.001, psi=0.02)
    cases: list[tuple[tuple[DriftRow, ...], list[str], str]] = [
        ((), [], "a drift without rows"),
        ((quiet,), [], "`alarm`: a small `p` alone is no change that counts"),
        (
            (quiet, _drift_row("island", alarm=True), _drift_row("bill", alarm=True)),
            ["bill", "island"],
            "the order: sorted by name",
        ),
        (
            (_drift_row("prediction", alarm=True, is_prediction=True), quiet),
            [],
            "the row of the predictions, which is no column",
        ),
        (
            (_drift_row("island", alarm=True), _drift_row("island", alarm=True, version="1.1")),
            ["island"],
            "a column that alarms for two versions: its name comes once",
        ),
    ]
    for rows, wanted, look in cases:
        got = _called(moved, Drift(rows), what="`moved` of a drift", look=look)
        told = ", ".join(f"{row.feature} (alarm: {row.alarm})" for row in rows) or "no rows"
        expect(
            isinstance(got, list) and got == wanted,
            expected=f"{wanted} for {told}",
            came=_value(got),
            look=look,
        )
    return "columns that have moved are named, and nothing else"


@step(
    "ex4.6",
    title="Write a page that is right before the first request, and safe after it",
    hints=(
        '`f"{share:.1%}"` writes 0.05 as 5.0%, and `f"{seconds * 1000:.0f} ms"` the milliseconds.',
        "`Counter(predictions).most_common()` gives classes and counts, the commonest first.",
        "Every text that is not yours goes through `escape(str(label))`.",
    ),
)
def page_is_right_and_safe(page: Callable[[Any, Any], Any]) -> str:
    """Read pages as a browser would."""
    busy = {"requests": 1234, "error_rate": 0.05, "p95_latency": 0.2104}
    predictions = ["Gentoo", "Adelie", "Adelie", "Adelie"]
    text, _ = _shown(page, busy, predictions)
    for part, look in (
        ("1234", 'the requests: `statistics["requests"]`'),
        ("5.0%", 'the error rate: `f"{share:.1%}"`'),
        ("210 ms", "p95: seconds times 1000, without digits behind the point"),
        ("Adelie 75.0%", "the share of a class: its count by the number of all predictions"),
        ("Gentoo 25.0%", "the rarer classes"),
    ):
        expect(part in text, expected=f"`{part}` on the page", came=f"`{text[:150]}`", look=look)
    expect(
        text.index("Adelie") < text.index("Gentoo"),
        expected="the commonest class first",
        came="Gentoo before Adelie, for three Adelies and one Gentoo",
        look="the order of the classes",
    )
    quiet = {"requests": 0, "error_rate": 0.0, "p95_latency": None}
    text, _ = _shown(page, quiet, [])
    expect(
        "-" in text and "None" not in text and "nan" not in text.lower(),
        expected="a `-` for p95 before the first request",
        came=f"`{text[:150]}`",
        look="the case that `p95_latency` is `None`",
    )
    text, tags = _shown(page, busy, [_ATTACK, 7])
    expect(
        "img" not in tags and _ATTACK in text,
        expected=f"the class `{_ATTACK}` as text that one can read",
        came="a picture, whose `onerror` would run in the browser of whoever looks"
        if "img" in tags
        else f"`{text[:150]}`",
        look="`escape(str(label))` around every name of a class",
    )
    return "the page shows what happens, and runs nothing that a class brings along"


@step(
    "ex4.7",
    title="Export the Grafana dashboard, and find the metrics that it asks for",
    hints=(
        '`service.monitor.export_grafana("work/ex4/grafana")`, then `json.loads` of the text.',
        '`re.findall(r"nbdeploy_\\w+", expr)` finds the names in an expression.',
        "A row has `panels` like a dashboard: call `used` with the row itself.",
    ),
)
def metrics_of_the_dashboard_are_found(dashboard: Any, used: Callable[[Any], Any]) -> str:
    """Look through a dashboard that is known, and through the exported one."""
    wanted = {"nbdeploy_requests_total", "nbdeploy_queue_depth", "nbdeploy_drift_psi"}
    got = _called(used, _DASHBOARD, what="`used` of a dashboard with a row and a panel of text")
    expect(
        isinstance(got, set) and got == wanted,
        expected=f"the set {sorted(wanted)} for a dashboard with a row and several targets",
        came=_value(sorted(got) if isinstance(got, set) else got),
        look="panels without targets, several targets in a panel, and panels in a row",
    )
    panels = dashboard.get("panels") if isinstance(dashboard, dict) else None
    expect(
        isinstance(panels, list) and dashboard.get("title") == "nbdeploy",
        expected="the exported dashboard as a dict",
        came=describe(dashboard),
        look="`json.loads` of the text of `work/ex4/grafana/grafana_dashboard.json`",
    )
    found = _called(used, dashboard, what="`used(dashboard)`")
    return f"the dashboard asks for {len(found)} metrics"


def _tiles(*values: Any) -> dict[str, Any]:
    return dict(zip(("requests", "error_rate", "p50", "p95"), values, strict=True))


def _called(function: Callable[..., Any], *arguments: Any, what: str, look: str = "") -> Any:
    """Call what the student wrote; what it raises is an answer too."""
    expect(callable(function), expected="a function", came=describe(function), look="the `def`")
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 -- whatever a student's function raises
        expect(
            False,
            expected=f"an answer of {what}",
            came=f"{type(error).__name__}: {error}"[:120],
            look=look,
        )


def _same(got: Any, wanted: Any) -> bool:
    if wanted is None or got is None:
        return got is wanted
    return isinstance(got, Real) and abs(float(got) - wanted) < _SAME


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, (int, float)) and int(value) == value else value


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


def _by_status(text: str) -> dict[str, int]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 -- heavy

    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "nbdeploy_requests_total":
                status = sample.labels["status"]
                found[status] = found.get(status, 0) + int(sample.value)
    return found


def _counts(got: Any) -> Any:
    if not isinstance(got, dict):
        return None
    return {str(status): _number(count) for status, count in got.items()}


def _value(got: Any) -> str:
    """Show a short answer as it is, and a long one by what it is."""
    text = repr(got)
    return text if isinstance(got, (dict, list, Real)) and len(text) < 150 else describe(got)  # noqa: PLR2004 -- a line


def _drift_row(
    feature: str, *, version: str = "1.0", p: float = 0.0, psi: float = 0.5, **facts: bool
) -> DriftRow:
    known = {"kind": "category", "rows": 200, "distance": None, "missing": 0.0, "unseen": None}
    flags = {"is_prediction": False, "alarm": False, **facts}
    facts_of_row: dict[str, Any] = {**known, **flags, "corrected_p": p, "verdict": ""}
    return DriftRow(version=version, feature=feature, p=p, psi=psi, **facts_of_row)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002 -- the parser's call
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _shown(page: Callable[[Any, Any], Any], *arguments: Any) -> tuple[str, set[str]]:
    """Give the text of a page as one reads it, and its tags."""
    html = _called(page, *arguments, what=f"`page({arguments[0]}, {arguments[1]})`")
    expect(isinstance(html, str), expected="a page as a text", came=describe(html), look="`page`")
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(" ".join(reader.parts).replace(" %", "%").split()), reader.tags
