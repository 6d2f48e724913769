"""Compare nbdeploy with other model servers, each in its own environment: ``make bench-peers``.

The environments are made under .venv-peers at the first run, from the pinned files in peers/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import arguments, measure, tell
from figures import judge
from load import generator
from models import SUBJECTS, Row, write_models
from report import (
    circumstances,
    goals_table,
    plot,
    requirements,
    to_json,
    turns_table,
    write_section,
)
from servers import OWN_SERVERS, Ask, Place, ServerKind, features, predictions
from turns import Loads, Plan

__all__ = ["PEERS", "main"]

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".venv-peers"
_REFERENCES = ("nbdeploy", "chapter", "echo")
FULL = Plan((Loads(1), Loads(16), Loads(64), Loads(4, 1000)), rotations=3, seconds=1)
QUICK = Plan((Loads(1), Loads(64), Loads(4, 1000)), rotations=1, seconds=1)
LARGE = Plan((Loads(4, 1000),), rotations=3, seconds=1)


def _interpreter(peer: str) -> Path:
    return ENVIRONMENTS / peer / "bin" / "python"


def _command(peer: str, mode: str) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        script = HERE / "peers" / f"serve_{peer}.py"
        return [str(_interpreter(peer)), str(script), str(place.model), str(place.port), mode]

    return command


def _bento_batch(subject: str, rows: list[Row], many: bool) -> Ask:
    del subject, many
    return Ask("/predict", json.dumps({"features": rows}).encode())


def _records(subject: str, rows: list[Row], many: bool) -> Ask:
    del subject, many
    named = [
        row if isinstance(row, dict) else {str(at): value for at, value in enumerate(row)}
        for row in rows
    ]
    return Ask("/predict", json.dumps(named).encode())


def _invocations(subject: str, rows: list[Row], many: bool) -> Ask:
    del many
    key = "dataframe_records" if subject == "m4" else "inputs"
    return Ask("/invocations", json.dumps({key: rows}).encode())


def _open_inference(subject: str, rows: list[Row], many: bool) -> Ask:
    del many
    document: dict[str, Any] = {}
    if subject == "m4":
        document["parameters"] = {"content_type": "pd"}
        document["inputs"] = [_column(name, rows) for name in rows[0]]
    else:
        values = [value for row in rows for value in row]
        shape = [len(rows), len(rows[0])]
        document["inputs"] = [
            {"name": "features", "shape": shape, "datatype": "FP64", "data": values}
        ]
    return Ask("/v2/models/model/infer", json.dumps(document).encode())


def _column(name: Any, rows: list[Row]) -> dict[str, Any]:
    values = [row[name] for row in rows]
    column = {"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": values}
    if any(isinstance(value, str) for value in values):
        column |= {"datatype": "BYTES", "parameters": {"content_type": "str"}}
    return column


def _peer(
    name: str,
    ask: Callable[[str, list[Row], bool], Ask],
    answer: Callable[[Any], list[Any]],
    *,
    batched: Callable[[str, list[Row], bool], Ask] | None,
) -> list[ServerKind]:
    modes = [(name, "default", ask)]
    if batched is not None:
        modes.append((f"{name}-batched", "batched", batched))
    return [
        ServerKind(
            title,
            _command(name, mode),
            asked,
            answer,
            environment={"OMP_NUM_THREADS": "1"},
            start_seconds=180.0,
        )
        for title, mode, asked in modes
    ]


PEERS: dict[str, list[ServerKind]] = {
    "litserve": _peer("litserve", features, predictions, batched=features),
    "mlserver": _peer(
        "mlserver",
        _open_inference,
        lambda document: list(document["outputs"][0]["data"]),
        batched=_open_inference,
    ),
    "bentoml": _peer("bentoml", features, list, batched=_bento_batch),
    "mlflow": _peer(
        "mlflow", _invocations, lambda document: list(document["predictions"]), batched=None
    ),
    "vetiver": _peer("vetiver", _records, lambda document: list(document["predict"]), batched=None),
    "ray": _peer("ray", features, predictions, batched=features),
}


def main() -> int:
    """Install what is missing, measure, print, write."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--install-only", action="store_true", help="make the environments, end")
    parser.add_argument("--large", action="store_true", help="only requests of 1,000 rows")
    options = parser.parse_args()
    peers = [name for name in options.servers or PEERS if name in PEERS]
    missing = {name: reason for name in peers if (reason := install(name))}
    for name, reason in missing.items():
        tell(f"{name} cannot be installed here: {reason}")
    if options.install_only:
        return int(bool(missing))
    kinds = [OWN_SERVERS[name] for name in _REFERENCES]
    kinds += [kind for name in peers if name not in missing for kind in PEERS[name]]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_name:
        folder = Path(folder_name)
        file = partial(_file, folder)
        write_models(folder / "own", options.models)
        for name in peers:
            if name not in missing:
                _fit_with(name, folder / name, options.models)
        plan = LARGE if options.large else QUICK if options.quick else FULL
        run = measure(options.models, kinds, plan, folder=folder, file=file)
    verdicts = judge(run)
    parts = [
        circumstances("make bench-peers", generator()),
        requirements(HERE / "peers", peers),
        *(f"{name} could not be installed: {reason}" for name, reason in missing.items()),
        goals_table(verdicts),
    ]
    for subject in options.models:
        parts += [f"### {subject}: {SUBJECTS[subject].title}", turns_table(run, subject)]
    text = "\n\n".join(parts)
    print(text)
    if options.json:
        options.json.write_text(to_json(run, None, verdicts), encoding="utf-8")
    if options.write:
        plot(run, HERE / "peers.svg")
        write_section("peers", f"{text}\n\n![Requests per second of all servers](peers.svg)")
    return int(options.strict and any(verdict.state == "short" for verdict in verdicts))


def install(peer: str) -> str:
    """Make the environment of a peer, unless it is there; return why not, or nothing."""
    wanted = HERE / "peers" / f"{peer}.txt"
    stamp = ENVIRONMENTS / peer / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return ""
    ENVIRONMENTS.mkdir(exist_ok=True)
    # So that the environments are nobody's files, in whichever repository this stands.
    (ENVIRONMENTS / ".gitignore").write_text("*\n")
    tell(f"installing {peer}")
    python = _interpreter(peer)
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENTS / peer)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)],
    ):
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
        if run.returncode:
            return run.stderr.strip().splitlines()[-1]
    stamp.write_text(wanted.read_text())
    return ""


def _fit_with(peer: str, folder: Path, subjects: list[str]) -> None:
    """Fit the models with the peer's own libraries: a pickle is for the version that wrote it."""
    command = [str(_interpreter(peer)), str(HERE / "models.py"), str(folder), *subjects]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, timeout=300)


def _file(folder: Path, subject: str, kind: ServerKind) -> Path:
    peer = kind.name.removesuffix("-batched")
    return folder / (peer if peer in PEERS else "own") / f"{subject}.joblib"


if __name__ == "__main__":
    sys.exit(main())
