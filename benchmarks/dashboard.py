"""What the monitor costs whoever looks: a refresh of the dashboard, a scrape, a summary.

python benchmarks/dashboard.py [--write]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from report import circumstances, table, write_section
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.prometheus import ExposedModel, exposition
from nbdeploy.serving.dashboard_route import panel_of
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.service import ModelService

_SECONDS = 300
_A_SECOND = 50
_REPEATS = 200


def main() -> None:
    """Fill the last five minutes, then look again and again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()
    features, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    route = route_from_model(model, example=features)
    service = ModelService(route, name="iris", token=None)
    fill(service.monitor)
    exposed = ExposedModel("iris", service.monitor, (), 0)
    looks: dict[str, Callable[[], object]] = {
        "a refresh of the dashboard": lambda: panel_of(service),
        "`get_statistics()`": service.monitor.get_statistics,
        "`timeline()`": service.monitor.timeline,
        "`GET /metrics`, drift included": lambda: exposition([exposed]),
    }
    rows = [
        (name, f"{seconds * 1e3:.2f}", f"{seconds:.2%}")
        for name, seconds in ((name, cost(look)) for name, look in looks.items())
    ]
    columns = ("look", "milliseconds", "of a core, once a second")
    note = (
        f"After {_SECONDS} s with {_A_SECOND} requests a second in two versions; the median of "
        f"{_REPEATS}, processor time."
    )
    text = "\n\n".join((circumstances("dashboard.py", "nobody"), table(columns, rows), note))
    print(text)
    if options.write:
        write_section("dashboard", text)


def fill(monitor: ModelMonitor) -> None:
    """Let the last five minutes have been busy."""
    random = np.random.default_rng(7)
    now = monitor.clock()
    ledger = monitor._ledger  # noqa: SLF001 -- nobody else sets its clock
    for number in range(_SECONDS * _A_SECOND):
        moment = now - _SECONDS + number / _A_SECOND
        ledger.add(
            moment,
            float(random.lognormal(-7, 0.5)),
            "ok",
            1,
            ("predict", "ab"[number % 2], "200"),
            int(random.integers(0, 3)),
        )


def cost(look: Callable[[], object]) -> float:
    """Give the seconds of one look."""
    look()
    taken = []
    for _ in range(_REPEATS):
        start = time.thread_time()
        look()
        taken.append(time.thread_time() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
