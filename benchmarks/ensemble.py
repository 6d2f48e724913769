"""Compare the throughput of an ensemble with that of its slowest member.

python benchmarks/ensemble.py            print the figures
python benchmarks/ensemble.py --check    fail if the ensemble takes more than 1.3 x its slowest
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
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


def median_seconds(call: Callable[[], Any]) -> float:
    """Time a call several times, and take the middle."""
    call()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


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
        "xgboost": xgboost.XGBClassifier(n_estimators=40, max_depth=4, n_jobs=1).fit(rows, truth),
        "line": LogisticRegression().fit(rows, truth),
    }, rows


def measure(members: dict[str, Any], rows: Any, combine: Any) -> float:
    """Print what each takes; tell how much longer the ensemble takes than the slowest."""
    method = "predict_proba" if combine == "soft_vote" else "predict"
    slowest = 0.0
    for name, model in members.items():
        predictor = predictor_for(model)
        seconds = median_seconds(lambda predictor=predictor: predictor.call(method, rows))
        slowest = max(slowest, seconds)
        print(f"  {name:<12} {seconds * 1e3:8.2f} ms")
    ensemble = Ensemble(members, combine)
    together = median_seconds(lambda: ensemble.call(method, rows))
    ratio = together / slowest
    print(f"  {'together':<12} {together * 1e3:8.2f} ms, {ratio:.2f} x the slowest")
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
