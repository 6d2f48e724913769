"""Measure how long a notebook waits: for the import, and from ``deploy()`` to the first answer.

Every figure is the median over fresh processes; the import is the difference to an empty process,
run in turn with it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_RUNS = 7

_DEPLOY = """
import time
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)
{imports}
start = time.perf_counter()
from nbdeploy import deploy
service = deploy(model, example=X)
deployed = time.perf_counter()
service.predict(X.head(1))
answered = time.perf_counter()
service.predict(X.head(1))
again = time.perf_counter()
print(deployed - start, answered - start, again - answered)
service.stop()
"""


def seconds(code: str) -> float:
    """Time a fresh process that runs `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def printed(code: str) -> list[float]:
    """Run `code` in a fresh process and read the numbers that it prints."""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [float(word) for word in run.stdout.split()]


def main() -> None:
    """Print the table."""
    imports = [seconds("import nbdeploy") - seconds("pass") for _ in range(_RUNS)]
    cold = [printed(_DEPLOY.format(imports="")) for _ in range(_RUNS)]
    warm = [
        printed(_DEPLOY.format(imports="import nbdeploy.deployment, uvicorn.protocols.http.auto"))
        for _ in range(_RUNS)
    ]
    print("| what | median, s |\n|---|---|")
    print(f"| `import nbdeploy` | {statistics.median(imports):.3f} |")
    for name, runs in (("first use", cold), ("nbdeploy imported", warm)):
        deployed, answered, again = (
            statistics.median(column) for column in zip(*runs, strict=True)
        )
        print(f"| `deploy()` returns, {name} | {deployed:.3f} |")
        print(f"| `deploy()` to the first answer, {name} | {answered:.3f} |")
        print(f"| one more `service.predict()`, {name} | {again:.4f} |")


if __name__ == "__main__":
    main()
