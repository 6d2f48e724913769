"""The image of a bundle, next to one of everything that `pip freeze` tells.

python benchmarks/images.py [--write]     (needs a Docker engine; the second build takes minutes)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import circumstances, table, write_section
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import Bundle
from nbdeploy.containers.docker import default_base_image
from nbdeploy.containers.engine import Engine, find_engine

_NAIVE = """FROM {image}
WORKDIR /app
COPY requirements.txt /app/requirements.txt
RUN python -m pip install -r requirements.txt
COPY wheels/ /app/wheels/
RUN python -m pip install --no-deps wheels/*.whl
COPY model/ /app/model/
CMD ["nbdeploy", "serve", "model/model.joblib"]
"""
_NOTE = (
    "Another model in the same bundle: {:.1f} s. The base image is the stand-in of the tests: the "
    "real one is of another size."
)


def main() -> None:
    """Build both, once, and write what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    options = parser.parse_args()
    engine = find_engine()
    rows_of_iris, species = load_iris(return_X_y=True, as_frame=True)
    with tempfile.TemporaryDirectory() as folder:
        model = LogisticRegression(max_iter=1000).fit(rows_of_iris, species)
        bundle = Bundle.create(model, Path(folder, "bundle"), name="bench", example=rows_of_iris)
        rows = [measure(engine, bundle.folder, "bundle", "nbdeploy-bench:bundle")]
        other = LogisticRegression(C=0.1, max_iter=1000).fit(rows_of_iris, species)
        Bundle.create(other, bundle.folder, name="bench", example=rows_of_iris)
        again = timed(lambda: build(engine, bundle.folder, "nbdeploy-bench:again"))
        make_naive(bundle.folder)
        rows.append(measure(engine, bundle.folder, "pip freeze", "nbdeploy-bench:naive"))
    text = "\n\n".join(
        [
            circumstances("images.py", "nobody: each is built once, from an empty cache,"),
            table(["image", "packages", "MB", "seconds to build"], rows),
            _NOTE.format(again),
        ]
    )
    print(text)
    if options.write:
        write_section("images", text)


def make_naive(folder: Path) -> None:
    """Turn a bundle into what a reader of the chapter would build."""
    freeze = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    (folder / "requirements.txt").write_text(frozen)
    (folder / "Dockerfile").write_text(_NAIVE.format(image=default_base_image()))


def measure(engine: Engine, folder: Path, name: str, image: str) -> list[str]:
    """Build an image, and tell packages, size and seconds."""
    seconds = timed(lambda: build(engine, folder, image, "--no-cache"))
    size = int(engine.call("image", "inspect", "--format", "{{.Size}}", image))
    lines = (folder / "requirements.txt").read_text().splitlines()
    count = sum("==" in line for line in lines)
    return [name, str(count), f"{size / 1e6:.0f}", f"{seconds:.0f}"]


def build(engine: Engine, folder: Path, image: str, *options: str) -> None:
    """Build an image."""
    command = [engine.command, "build", "--quiet", *options, "--tag", image, str(folder)]
    subprocess.run(command, check=True)


def timed(call: Callable[[], object]) -> float:
    """Give the seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
