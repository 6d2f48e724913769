"""Compare the throughput of an ensemble with that of its slowest member.

python benchmarks/ensemble.py            print the figures
python benchmarks/ensemble.py --check    fail if the ensemble takes more than 1.3 x its slowest
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from nbdeploy import Ensemble
from nbdeploy.models.predictor import predictor_for

LIMIT = 1.3
ROUNDS = 15
ROWS = 4000
WAIT = 0.05
TOGETHER = "together"


def seconds_of(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Time calls in turns, so that what else the machine does meets all; give each middle."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in taken.items()}


def waiting(seconds: float) -> Callable[[Any], Any]:
    """Give a member that waits for another machine, as a remote one does."""

    def answer(rows: Any) -> Any:
        time.sleep(seconds)
        return np.zeros(len(rows))

    return answer


def remote_members() -> tuple[dict[str, Any], Any]:
    """Give members that answer from elsewhere."""
    rows = np.zeros((64, 4))
    return {f"remote {part}": waiting(WAIT * (0.7 + part / 10)) for part in range(4)}, rows


def native_members() -> tuple[dict[str, Any], Any]:
    """Give one heavy member and two light ones that compute in this process."""
    import lightgbm  # noqa: PLC0415 -- this benchmark alone needs it
    import xgboost  # noqa: PLC0415 -- as above

    rows, truth = make_classification(ROWS, 20, n_informative=10, random_state=0)
    quiet: dict[str, Any] = {"verbose": -1, "n_jobs": 1}
    return {
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=300, **quiet).fit(rows, truth),
        "xgboost": xgboost.XGBClassifier(n_estimators=400, max_depth=6, n_jobs=1).fit(rows, truth),
        "line": LogisticRegression().fit(rows, truth),
    }, rows


def measure(members: dict[str, Any], rows: Any, combine: Any) -> float:
    """Print what each takes; tell how much longer the ensemble takes than the slowest."""
    method = "predict_proba" if combine == "soft_vote" else "predict"
    calls = {
        name: partial(predictor_for(model).call, method, rows) for name, model in members.items()
    }
    calls[TOGETHER] = partial(Ensemble(members, combine).call, method, rows)
    seconds = seconds_of(calls)
    for name, each in seconds.items():
        print(f"  {name:<12} {each * 1e3:8.2f} ms")
    together = seconds.pop(TOGETHER)
    ratio = together / max(seconds.values())
    print(f"  {ratio:.2f} x the slowest member")
    return ratio


def main() -> int:
    """Measure both kinds."""
    print("members that wait for other machines")
    ratios = [measure(*remote_members(), "mean")]
    print(f"members that compute here, {ROWS} rows")
    ratios.append(measure(*native_members(), "soft_vote"))
    is_slow = max(ratios) > LIMIT
    if is_slow and "--check" in sys.argv:
        print(f"more than {LIMIT} x the slowest member", file=sys.stderr)
    return int(is_slow and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
