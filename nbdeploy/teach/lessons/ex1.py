"""Exercise 1: the whole flow, from a model to a container."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from nbdeploy.exceptions import NbdeployError
from nbdeploy.teach.expectations import Mismatch, describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_COLUMNS = ("island", "bill_length_mm", "bill_depth_mm")
_LEAST_RIGHT = 0.9
_ROWS = 5
_SAME = 1e-9


@step(
    "ex1.1",
    title="Save the model, and what a row looks like",
    hints=(
        "`ModelSerializer.save_model(model, path)` saves it; one more argument tells of the rows.",
        "The training rows are an example of them: `example=`.",
        "`ModelSerializer.save_model(model, path, example=X_train)`",
    ),
)
def file_tells_all(path: Any) -> str:
    """Look into the file, and load it."""
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(path, (str, Path)),
        expected="the path of the saved model",
        came=describe(path),
        look="the variable `path`, which you need not change",
    )
    try:
        saved = ModelSerializer.inspect(path)
        model = ModelSerializer.load_model(path)
    except NbdeployError as error:
        raise Mismatch(
            expected="a saved model that loads",
            came=f"{type(error).__name__}: {error}",
            look="`ModelSerializer.save_model(model, path, ...)`",
        ) from None
    right = _share_right(model)
    expect(
        right >= _LEAST_RIGHT,
        expected=f"a model that names at least {_LEAST_RIGHT:.0%} of the penguins right",
        came=f"{right:.0%}",
        look="which model you saved",
    )
    learned = saved.signature or {}
    has_islands = "Torgersen" in str(learned)
    expect(
        has_islands,
        expected="a file that tells which islands there are",
        came="one that tells only the names of the columns",
        look="`example=` of `save_model`",
    )
    return "the file holds the model, your function, and what a row looks like"


@step(
    "ex1.2",
    title="Serve the file",
    hints=(
        "`deploy` takes a model, and also the path of a saved one.",
        "Three arguments: the path, `name=` and `example=`.",
        '`service = deploy(path, name="penguins", example=X_train)`',
    ),
)
def service_serves_the_file(service: Any) -> str:
    """Ask the service, and compare the digest of what it serves with that of the file."""
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    expect_running(service)
    expect(
        service.name == "penguins",
        expected="a service called 'penguins'",
        came=f"one called {service.name!r}",
        look="`name=` of `deploy`",
    )
    file = Path("work/ex1/penguins.joblib")
    expect(
        file.exists() and ModelSerializer.inspect(file).digest == service.service.info()["digest"],
        expected="the service to answer with the model of the file",
        came="a service of another model",
        look="the first argument of `deploy`: the path, not the model",
    )
    rows, truth = _penguins()
    right = float((service.predict(rows) == truth).mean())
    expect(
        right >= _LEAST_RIGHT,
        expected=f"at least {_LEAST_RIGHT:.0%} of the penguins right",
        came=f"{right:.0%}",
        look="the model that you saved",
    )
    return f"the service answers with the file's model, {right:.0%} right"


@step(
    "ex1.3",
    title="Call the service with the standard library alone",
    hints=(
        "`json.dumps({...}).encode()` makes the body.",
        "A `urllib.request.Request(address, body, headers)` with a body is a POST.",
        '`json.load(urllib.request.urlopen(request))["prediction"][0]`',
    ),
)
def ask_gives_the_species(ask: Callable[[str, Any], Any], service: Any) -> str:
    """Let the function ask a few penguins, and see that the service was called."""
    expect_running(service)
    rows, _ = _penguins()
    few = rows.iloc[:: len(rows) // _ROWS]
    wanted = service.predict(few).tolist()
    before = service.stats()["total_predictions"]
    for row, species in zip(few.to_dict("records"), wanted, strict=True):
        answer = ask(service.url, row)
        expect(
            answer == species,
            expected=f"{species!r} for the row {row}",
            came=describe(answer),
            look='the body `{"features": row}`, and what you take out of the answer',
        )
    asked = service.stats()["total_predictions"] - before
    expect(
        asked == len(few),
        expected=f"{len(few)} requests to the service",
        came=f"{asked}",
        look="the address: it is `url` with `/predict` behind it",
    )
    return f"{len(few)} penguins were named by plain HTTP"


@step(
    "ex1.4",
    title="Make a bundle, and rehearse it",
    hints=(
        "A service has the verb `bundle`, a bundle the verb `check`.",
        '`bundle = service.bundle("work/ex1/bundle")`',
        "`report = bundle.check(quick=True)`",
    ),
)
def bundle_was_rehearsed(bundle: Any, report: Any) -> str:
    """Compare what is in the folder with what was served."""
    from nbdeploy.containers.bundle import Bundle  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(bundle, Bundle),
        expected="a bundle",
        came=describe(bundle),
        look="what `service.bundle(...)` returns",
    )
    expect(
        bundle.folder == Path("work/ex1/bundle"),
        expected="a bundle in 'work/ex1/bundle'",
        came=f"one in {str(bundle.folder)!r}",
        look="the first argument of `service.bundle`",
    )
    saved = bundle.answers
    expect(
        not saved.is_made_up and saved.rows > 1,
        expected="a bundle with rows of the example",
        came="one with a made-up row",
        look="`example=` of `deploy`: without it nothing is kept",
    )
    _expect_green(report, bundle.name)
    return f"{saved.rows} penguins are named there as here"


@step(
    "ex1.5",
    title="Take along what a function needs",
    hints=(
        "A function reads globals of the notebook, and those travel with it.",
        "Read the file once, outside of the function: a dict of three factors.",
        '`frame.assign(bill_length_mm=frame["bill_length_mm"] * frame["island"].map(factors))`',
    ),
)
def nothing_is_read_elsewhere(careful: Any, careless: Any) -> str:
    """Predict in a folder without the file, from a copy that went through bytes."""
    from nbdeploy.containers.model_imports import imports_of  # noqa: PLC0415 -- heavy import
    from nbdeploy.models.serializer import pack  # noqa: PLC0415 -- heavy import

    expect(
        hasattr(careful, "predict_proba"),
        expected="a fitted pipeline",
        came=describe(careful),
        look="`careful = fitted(correct)`",
    )
    rows, _ = _penguins()
    same = abs(careful.predict_proba(rows) - careless.predict_proba(rows)).max() < _SAME
    expect(
        same,
        expected="the same probabilities as those of `careless`",
        came="other ones",
        look="the factors: are all three islands corrected?",
    )
    packed = pack(careful)
    found = imports_of(packed.data, packed.entry.format, careful)
    readers = _readers_in(packed.data)
    expect(
        not readers and not found.paths,
        expected="a function that reads no file when it is called",
        came=f"one that uses {', '.join(sorted(readers) or sorted(found.paths))}",
        look="`correct`: read the file in the cell, and use what was read",
    )
    expect(
        not found.datasets,
        expected="a function that takes along a few factors",
        came=f"one that takes along {', '.join(found.datasets)}",
        look="the globals that `correct` uses",
    )
    return "the factors travel inside of the model, and no file is needed"


@step(
    "ex1.6",
    title="Tell what a new model makes the engine do again",
    hints=(
        "Find the line that copies the model: it, and all below it, run again.",
        "`ENV PATH=... \\` goes on over several lines and is one instruction.",
        "The list starts with 'COPY' and ends with 'CMD'.",
    ),
)
def layers_are_known(again: Any, bundle: Any) -> str:
    """Count the instructions in the Dockerfile of the student's own bundle."""
    joined = bundle.dockerfile.replace("\\\n", " ")
    last = joined.rpartition("\nFROM ")[2]
    lines = [line for line in last.splitlines() if line and not line.startswith("#")]
    start = next(place for place, line in enumerate(lines) if bundle.model_file in line)
    wanted = [line.split()[0] for line in lines[start:]]
    expect(
        isinstance(again, list) and [str(word).upper() for word in again] == wanted,
        expected=f"{len(wanted)} names, the first {wanted[0]!r} and the last {wanted[-1]!r}",
        came=f"{again!r:.200}" if isinstance(again, list) else describe(again),
        look="the COPY of the model, and what comes below it",
    )
    return f"{len(wanted)} instructions run again, and none of them installs anything"


def _expect_green(report: Any, name: str) -> None:
    from nbdeploy.containers.check_report import CheckReport  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(report, CheckReport) and report.name == name,
        expected="the report of this bundle",
        came=describe(report),
        look="what `bundle.check(quick=True)` returns",
    )
    expect(
        report.ok,
        expected="a report without anything red",
        came=str(report),
        look="the cure below the red line",
    )


def _readers_in(data: bytes) -> set[str]:
    """Find what opens files among the names in the code of a pickle."""
    known = rb"read_csv|read_parquet|read_excel|read_json|read_table|read_text|loadtxt|genfromtxt"
    return {found.decode() for found in re.findall(known, data)}


@cache
def _penguins() -> Any:
    from palmerpenguins import load_penguins  # noqa: PLC0415 -- heavy import

    known = load_penguins().dropna()
    return known[list(_COLUMNS)], known["species"]


def _share_right(model: Any) -> float:
    rows, truth = _penguins()
    return float((model.predict(rows) == truth.to_numpy()).mean())
