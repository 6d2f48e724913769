"""What a fitted estimator tells about its input: names, width, texts, missing values.

Called by ``Signature.learn`` only. Everything is asked for by attribute and by tag, so an object
that is no scikit-learn estimator simply tells nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections import UserList
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbdeploy.models.adapters.libraries import Input, adapter_of

__all__ = [
    "Fate",
    "fate_of_missing",
    "is_invented",
    "names_of",
    "takes_text_cells",
    "takes_texts",
    "wants_array",
    "width_of",
]

Fate = Literal["refused", "kept", "filled"]
"""What a step does with a missing value: raises, hands it on, or replaces it."""

_INVENTED_NAMES = re.compile(r"Column_\d+")


def names_of(model: Any) -> tuple[str, ...] | None:
    """Return the column names that the model was fitted on, if it saw any."""
    described = _described(model)
    if described is not None:
        return described.names
    names = _attribute(model, "feature_names_in_")
    if names is None:
        return None
    names = tuple(str(name) for name in names)
    return None if is_invented(names) else names


def is_invented(names: Iterable[str]) -> bool:
    """Tell whether LightGBM made the names up, because it was fitted on an array."""
    return all(_INVENTED_NAMES.fullmatch(name) for name in names)


def width_of(model: Any) -> int | None:
    """Return the number of features that the model was fitted on, if it tells."""
    described = _described(model)
    if described is not None:
        return described.width
    width = _attribute(model, "n_features_in_")
    return None if width is None else int(width)


def takes_texts(model: Any) -> bool:
    """Tell whether a row is one text, as for a pipeline that starts with a ``TfidfVectorizer``."""
    tags = _input_tags(_first_step(model))
    return bool(tags.get("string")) and not (tags.get("two_d_array") or tags.get("dict"))


def takes_text_cells(model: Any, position: int) -> bool:
    """Tell whether a cell of the column may hold text; true when nobody knows."""
    step = _first_step(model)
    described = _described(step)
    if described is not None and described.parts is None:
        return described.takes_text
    parts = _parts(step, position)
    if parts:
        return any(takes_text_cells(part, place) for part, place in parts)
    if not _is_sklearn(step) or type(step).__name__.startswith("HistGradientBoosting"):
        return True
    tags = _input_tags(step)
    numeric = bool(tags.get("two_d_array")) and not (tags.get("string") or tags.get("categorical"))
    # What wraps other estimators has tags of its own that say nothing about text.
    composed = not {"estimator", "estimators"}.isdisjoint(step.get_params(deep=False))
    return composed or _is_unchecked(step) or _fills(step) or not numeric


def wants_array(model: Any) -> bool:
    """Tell whether scikit-learn itself would warn about column names: it was fitted without."""
    step = _first_step(model)
    return _is_sklearn(step) and names_of(step) is None and width_of(step) is not None


def fate_of_missing(model: Any, position: int) -> Fate:
    """Return what becomes of a missing value in the column at a position.

    Parameters
    ----------
    model
        A fitted estimator. Pipelines and column transformers are followed step by step, because
        their own tags say nothing about missing values.
    position
        Index of the column in the input of the model.
    """
    model = _unwrapped(model)
    steps = _steps(model)
    if steps:
        return _fate_along(steps, position)
    parts = _parts(model, position)
    if parts is not None:
        fates = {fate_of_missing(part, place) for part, place in parts}
        return "refused" if "refused" in fates else "kept" if "kept" in fates else "filled"
    described = _described(model)
    if described is not None:
        return "kept" if described.takes_missing else "refused"
    if isinstance(model, str) or model is None:
        return "filled" if model == "drop" else "kept"
    return _fate_in(model, position)


def _fate_along(steps: Iterable[Any], position: int) -> Fate:
    for step in steps:
        fate = fate_of_missing(step, position)
        if fate != "kept":
            return fate
        if _parts(_unwrapped(step), position) is not None:
            # Behind a column transformer the column has another place.
            position = -1
    return "kept"


def _fate_in(step: Any, position: int) -> Fate:
    if _is_unchecked(step):
        return "kept"
    if not _input_tags(step).get("allow_nan"):
        return "refused"
    categories = getattr(step, "categories_", None)
    if categories is not None:
        return _fate_in_encoder(step, categories, position)
    return "filled" if _fills(step) else "kept"


def _fate_in_encoder(step: Any, categories: Sequence[Any], position: int) -> Fate:
    known = 0 <= position < len(categories) and bool(pd.isna(categories[position]).any())
    tolerant = getattr(step, "handle_unknown", "error") not in {"error", "auto"}
    return "filled" if known or tolerant or type(step).__name__ == "TargetEncoder" else "refused"


def _parts(step: Any, position: int) -> list[tuple[Any, int]] | None:
    """Return the parts of a step that see the column, each with the place it has there."""
    described = _described(step)
    if described is not None:
        return None if described.parts is None else described.parts(position)
    transformers = getattr(step, "transformers_", None)
    if isinstance(transformers, list):
        found = []
        for _, part, columns in transformers:
            places = _positions(columns, step)
            if position in places:
                found.append((part, places.index(position)))
        return found
    union = getattr(step, "transformer_list", None)
    return [(part, position) for _, part in union] if isinstance(union, list) else None


def _positions(columns: Any, transformer: Any) -> list[int]:
    if isinstance(columns, UserList):
        # The remainder in scikit-learn 1.5 and 1.6, which warns whoever reads it.
        columns = columns.data
    width = width_of(transformer) or 0
    if isinstance(columns, slice) and not isinstance(columns.start or columns.stop, str):
        return list(range(width))[columns]
    names = list(names_of(transformer) or ())
    if isinstance(columns, slice):
        start = names.index(columns.start) if columns.start is not None else 0
        stop = names.index(columns.stop) + 1 if columns.stop is not None else width
        return list(range(start, stop))
    listed = [columns] if isinstance(columns, (str, int)) else list(columns)
    if listed and all(isinstance(column, (bool, np.bool_)) for column in listed):
        return [place for place, chosen in enumerate(listed) if chosen]
    return [names.index(c) if isinstance(c, str) else range(width)[int(c)] for c in listed]


def _described(model: Any) -> Input | None:
    """Return what a model of another library tells of its input."""
    adapter = adapter_of(_unwrapped(model))
    return None if adapter is None else adapter.input_of(_unwrapped(model))


def _first_step(model: Any) -> Any:
    model = _unwrapped(model)
    active = [step for step in _steps(model) if step is not None and not isinstance(step, str)]
    return _first_step(active[0]) if active else model


def _steps(model: Any) -> list[Any]:
    steps = getattr(model, "steps", None)
    # Other libraries have steps too; those of a pipeline are pairs of a name and an estimator.
    if not isinstance(steps, list) or not all(isinstance(step, tuple) for step in steps):
        return []
    return [step[-1] for step in steps]


def _unwrapped(model: Any) -> Any:
    best = getattr(model, "best_estimator_", None)
    return model if best is None else best


def _fills(step: Any) -> bool:
    return type(step).__name__.endswith(("Imputer", "MissingIndicator"))


def _is_unchecked(step: Any) -> bool:
    return bool(_input_tags(step).get("no_validation"))


def _is_sklearn(step: Any) -> bool:
    return type(step).__module__.partition(".")[0] == "sklearn"


def _attribute(model: Any, name: str) -> Any:
    # A pipeline asks its first step only, even if that one is "passthrough".
    for asked in (model, _first_step(model)):
        # XGBoost and LightGBM raise their own "not fitted" errors, which are both of these.
        with contextlib.suppress(AttributeError, ValueError):
            found = getattr(asked, name, None)
            if found is not None:
                return found
    return None


def _input_tags(step: Any) -> dict[str, Any]:
    """Return the input tags as a plain mapping, of scikit-learn 1.6 and later or of 1.5."""
    modern: Callable[[], Any] | None = getattr(step, "__sklearn_tags__", None)
    if modern is not None and not isinstance(step, type):
        try:
            tags = modern()
            return {**dataclasses.asdict(tags.input_tags), "no_validation": tags.no_validation}
        except (AttributeError, TypeError):
            return {}
    old: Callable[[], dict[str, Any]] | None = getattr(step, "_get_tags", None)
    if old is None or isinstance(step, type):
        return {}
    tags = old()
    kinds = tags.get("X_types", [])
    return {
        "allow_nan": tags.get("allow_nan", False),
        "no_validation": tags.get("no_validation", False),
        "string": "string" in kinds,
        "dict": "dict" in kinds,
        "categorical": "categorical" in kinds,
        "two_d_array": "2darray" in kinds,
    }
