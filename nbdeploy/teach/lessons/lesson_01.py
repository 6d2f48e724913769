"""Lesson 1: save a model, and load it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbdeploy.exceptions import CorruptedModelError, ModelFileError, UntrustedModelError
from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_SAFE_FORMAT = "skops"
_LEAST_RIGHT = 0.9
_FILES = {"ana.joblib", "ben.joblib", "eva.joblib"}
_VERDICTS = ("fine", "corrupted", "untrusted")
_MEANINGS = {
    "fine": "it loads",
    "corrupted": "its bytes are not those that its manifest lists",
    "untrusted": "nobody vouches for it",
}


@step(
    "01.1",
    title="Save a model in a file that can hold no program",
    hints=(
        "joblib and pickle files are programs. The third format is not.",
        "`save_model` and `load_model` take `format=`.",
        'Save with `ModelSerializer.save_model(model, path, format="skops")` and load it again.',
    ),
)
def model_is_safe(path: Any, safe: Any) -> str:
    """Load the file again and compare it with the student's model."""
    from sklearn.datasets import load_wine  # noqa: PLC0415 -- heavy import

    found = _inspected(path)
    expect(
        found.format == _SAFE_FORMAT,
        expected="a file of a format that holds data only",
        came=f"a {found.format} file, which is a program",
        look="`format=` in your call of `save_model`",
    )
    expect(
        hasattr(safe, "predict"),
        expected="the loaded model as the second object",
        came=describe(safe),
        look='`safe = ModelSerializer.load_model(path, format="skops")`',
    )
    wines = load_wine(as_frame=True)
    answers = _answers(safe, wines.data)
    right = float((answers == wines.target).mean())
    expect(
        right >= _LEAST_RIGHT,
        expected=f"a model that tells at least {_LEAST_RIGHT:.0%} of the wines right",
        came=f"one that tells {right:.0%} right",
        look="the data that it was fitted on: `model` of this lesson will do",
    )
    same = (_answers(_loaded(path), wines.data) == answers).all()
    expect(
        same,
        expected="the model that is in the file",
        came="another one, with other answers",
        look="the path that `safe` was loaded from",
    )
    return "the file holds no program, and its model gives the same answers as yours"


@step(
    "01.2",
    title="Tell which files may be loaded",
    hints=(
        "Try to load each file with `ModelSerializer.load_model`, and read what it says.",
        "The name of the error tells: `CorruptedModelError` or `UntrustedModelError`.",
        "A file with a manifest and other bytes is corrupted; one without a manifest is untrusted.",
    ),
)
def files_are_judged(verdicts: Any) -> str:
    """Load each file and compare what happens with the student's word for it."""
    expect(
        isinstance(verdicts, dict) and verdicts,
        expected="a dict with a word for each path",
        came=describe(verdicts),
        look='`verdicts = {"work/01/ana.joblib": "fine", ...}`',
    )
    for path, word in verdicts.items():
        expect(
            word in _VERDICTS,
            expected=f"one of the words {', '.join(_VERDICTS)} for {path}",
            came="the stub `...`" if word is ... else describe(word),
            look="`verdicts`",
        )
    expect(
        {Path(path).name for path in verdicts} >= _FILES,
        expected="a word for each of the three files of ana, ben and eva",
        came=f"words for {', '.join(map(str, verdicts))}",
        look="the names in `verdicts`",
    )
    for path, word in verdicts.items():
        truth = _judged(path)
        expect(
            word == truth,
            expected=f"another word for {path}: {_MEANINGS[truth]}",
            came=describe(word),
            look=f'what `ModelSerializer.load_model("{path}")` says',
        )
    return "you know which file to load"


def _inspected(path: Any) -> Any:
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(path, (str, os.PathLike)),
        expected="the path of the file as the first object",
        came=describe(path),
        look='the call: `check("01.1", path, safe)`',
    )
    try:
        return ModelSerializer.inspect(path)
    except ModelFileError as error:
        raise Mismatch(
            expected="a saved model at the path", came=str(error), look="the path that you saved to"
        ) from None


def _answers(model: Any, wines: Any) -> Any:
    # Who fitted on a bare array is asked with one: scikit-learn warns of names otherwise.
    return model.predict(wines if hasattr(model, "feature_names_in_") else wines.to_numpy())


def _loaded(path: Any) -> Any:
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    return ModelSerializer.load_model(path, format=_SAFE_FORMAT)


def _judged(path: str) -> str:
    from nbdeploy.models.serializer import ModelSerializer  # noqa: PLC0415 -- heavy import

    try:
        ModelSerializer.load_model(path)
    except CorruptedModelError:
        return "corrupted"
    except UntrustedModelError:
        return "untrusted"
    return "fine"
