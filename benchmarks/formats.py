"""Compare what it costs to read 1,000 rows with what it costs to predict them.

Run it as ``python benchmarks/formats.py [--write]``: for each form of a body, the milliseconds to
parse and validate it, next to the prediction of the same rows in the same run: as the service makes
it, and as the model itself does, called with the table.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from models import SUBJECTS, ask
from report import circumstances, number, table, write_section

from nbdeploy.serving.protocols.native import decode
from nbdeploy.serving.routing import Route, route_from_model
from nbdeploy.serving.thread_settings import serving_thread

_ROWS = 1000
_ROTATIONS = 15


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the README's section")
    options = parser.parse_args()
    rows = []
    for key in ("m2", "m3", "m4"):
        model, example = SUBJECTS[key].fit()
        route = route_from_model(model, example=example)
        with serving_thread():
            rows += [[key, *line] for line in measure(route, ask(key, _ROWS))]
    head = [
        "model",
        "body",
        "KiB",
        "parse, ms",
        "validate, ms",
        "predict, ms",
        "reading / predict",
        "the model itself, ms",
        "reading / model itself",
    ]
    text = "\n\n".join([circumstances("formats.py", "none: in one process"), table(head, rows)])
    print(text)
    if options.write:
        write_section("formats", text)


def measure(route: Route, rows: list[Any]) -> list[list[str]]:
    """Read every form of the same rows in turn; medians over the rotations."""
    bodies = bodies_of(route, rows)
    spent: dict[str, list[tuple[float, ...]]] = {form: [] for form in bodies}
    table = route.signature.validate(rows)
    for _ in range(_ROTATIONS):
        for form, (kind, body) in bodies.items():
            parse, request = timed(
                lambda k=kind, b=body: decode("predict", k, b, lambda: route.signature)
            )
            validate, question = timed(
                lambda r=request: route.question("predict", r.inference.rows)
            )
            predict, _ = timed(question.run)
            itself, _ = timed(lambda: route.predictor.call("predict", table))
            spent[form].append((parse, validate, predict, itself))
    lines = []
    for form, times in spent.items():
        each = [statistics.median(seconds) for seconds in zip(*times, strict=True)]
        parse, validate, predict, itself = each
        reading = parse + validate
        cells = [*(1e3 * seconds for seconds in each[:3]), reading / predict]
        cells += [1e3 * itself, reading / itself]
        lines.append([form, f"{len(bodies[form][1]) / 1024:.0f}", *map(number, cells)])
    return lines


def bodies_of(route: Route, rows: list[Any]) -> dict[str, tuple[bytes, bytes]]:
    """Write the same rows in every form: its media type and its bytes."""
    names = list(route.signature.names)
    # The columns of an array have numbers for names: a line of them would be one more row.
    is_named = route.signature.kind == "frame"
    frame = pd.DataFrame(rows if isinstance(rows[0], dict) else np.array(rows), columns=names)
    columns = frame.astype(object).where(frame.notna(), None).to_dict("list")
    stream = pa.BufferOutputStream()
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(stream, arrow.schema) as writer:
        writer.write_table(arrow)
    bodies = {
        "JSON rows": (b"application/json", orjson.dumps({"features": rows})),
        "JSON columns": (b"application/json", orjson.dumps({"features": columns})),
        "CSV": (b"text/csv", frame.to_csv(index=False, header=is_named).encode()),
        "Arrow": (b"application/vnd.apache.arrow.stream", bytes(stream.getvalue())),
    }
    if not is_named:
        file = io.BytesIO()
        np.save(file, frame.to_numpy())
        bodies["npy"] = (b"application/x-npy", file.getvalue())
    return bodies


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Give the seconds of a call, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
