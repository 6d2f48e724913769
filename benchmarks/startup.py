"""Measure how long a notebook waits: for the import, and from ``deploy()`` to the first answer.

Every figure is the median over fresh processes; the import is the difference to an empty process,
run in turn with it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

__all__ = ["FirstAnswer", "first_answer", "main"]

_RUNS = 7

_DEPLOY = """
import time
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)
{imports}
start, cpu = time.perf_counter(), time.process_time()
from nbdeploy import deploy
service = deploy(model, example=X)
deployed = time.perf_counter()
service.predict(X.head(1))
answered, used = time.perf_counter(), time.process_time() - cpu
service.predict(X.head(1))
again = time.perf_counter()
print("MEASURED", deployed - start, answered - start, again - answered, used)
service.stop()
"""


@dataclass(frozen=True)
class FirstAnswer:
    """One ``deploy()`` in a fresh process that has scikit-learn imported; all in seconds.

    Parameters
    ----------
    deployed
        From before ``from nbdeploy import deploy`` until ``deploy()`` returned.
    answered
        Until the first answer over HTTP.
    again
        One more answer.
    cpu
        Processor time until the first answer.
    """

    deployed: float
    answered: float
    again: float
    cpu: float


def first_answer(*, imports: str = "") -> FirstAnswer:
    """Deploy in a fresh process, after the given imports, and ask."""
    code = _DEPLOY.format(imports=imports)
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    line = next(line for line in run.stdout.splitlines() if line.startswith("MEASURED "))
    return FirstAnswer(*(float(word) for word in line.split()[1:]))


def seconds(code: str) -> float:
    """Time a fresh process that runs `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    imports = [seconds("import nbdeploy") - seconds("pass") for _ in range(_RUNS)]
    cold = [first_answer() for _ in range(_RUNS)]
    warm = [
        first_answer(imports="import nbdeploy.deployment, uvicorn.protocols.http.auto")
        for _ in range(_RUNS)
    ]
    print("| what | median, s |\n|---|---|")
    print(f"| `import nbdeploy` | {statistics.median(imports):.3f} |")
    for name, runs in (("first use", cold), ("nbdeploy imported", warm)):
        deployed = statistics.median(run.deployed for run in runs)
        answered = statistics.median(run.answered for run in runs)
        again = statistics.median(run.again for run in runs)
        print(f"| `deploy()` returns, {name} | {deployed:.3f} |")
        print(f"| `deploy()` to the first answer, {name} | {answered:.3f} |")
        print(f"| one more `service.predict()`, {name} | {again:.4f} |")


if __name__ == "__main__":
    main()
