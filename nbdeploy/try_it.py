"""A form for one row: works wherever the notebook does, without any address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from nbdeploy.display.html import Html, element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import NbdeployError
from nbdeploy.models.columns import Column, Scalar
from nbdeploy.models.signature import Signature

__all__ = ["TryIt"]

Ask = Callable[[Any], tuple[Any, Mapping[Any, float]]]
"""Predicts one row: the prediction, and the probability of every class if there are any."""

_MISSING = "(missing)"
_MOST_FIELDS = 40
_SHOWN_CLASSES = 12
_WIDTH = "420px"


class TryIt(ReprMixin):
    """A form for one row of a service, filled with a made-up one.

    Where a front end shows widgets it is a form of theirs: fields built from what the model
    learned about its rows, and a button. Its answer comes from the service, like everybody's.

    Parameters
    ----------
    name
        The name of the service.
    signature
        What a row looks like.
    ask
        Predicts one row.
    """

    def __init__(self, name: str, signature: Signature, ask: Ask) -> None:
        self.name = name
        self._signature = signature
        self._ask = ask
        self._lock = threading.Lock()
        self._fields: list[Any] = []
        self._answer: Any = None
        self._form: Any = None

    @property
    def row(self) -> Any:
        """The row as the form shows it: a dict by column, a list of numbers, or one value."""
        cells = [
            _cell(column, field)
            for column, field in zip(self._signature.columns, self._shown_fields(), strict=False)
        ]
        # A table of hundreds of columns is no form: those that are not shown keep their cells.
        cells += [column.typical for column in self._signature.columns[len(cells) :]]
        if self._signature.kind == "values":
            return cells[0]
        if self._signature.kind == "array":
            return cells
        return dict(zip(self._signature.names, cells, strict=True))

    def predict(self) -> str:
        """Ask the service about the row, show the answer under the form, and return its HTML."""
        # Widgets call back from any thread, and twice if somebody clicks twice.
        with self._lock:
            try:
                shown = _answer(*self._ask(self.row))
            except (NbdeployError, ValueError) as error:
                shown = fragment(element("p", str(error), class_="nbd-note", role="alert"))
            if self._answer is not None:
                self._answer.value = shown
        return shown

    def widget(self) -> Any:
        """Give the form as a widget of ipywidgets."""
        if self._form is None:
            self._form = self._build()
        return self._form

    def __repr__(self) -> str:
        return f"<TryIt {self.name!r}: a form for one row>"

    def to_html(self) -> str:
        """Write what a front end without widgets, or a notebook without a kernel, shows."""
        text = f"A form for one row of {self.name}: run the cell again in a notebook to use it."
        return fragment(element("p", text, class_="nbd-quiet"), class_="nbd-card")

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {**self.widget()._repr_mimebundle_(**kwargs), **super()._repr_mimebundle_(**kwargs)}

    def _shown_fields(self) -> list[Any]:
        self.widget()
        return self._fields

    def _build(self) -> Any:
        import ipywidgets  # noqa: PLC0415 -- 0.5 s, and serving alone does without

        shown = self._signature.columns[:_MOST_FIELDS]
        self._fields = [_field(column, index=i) for i, column in enumerate(shown)]
        self._answer = ipywidgets.HTML()
        button = ipywidgets.Button(description="Predict", button_style="primary", icon="play")
        button.on_click(lambda _: self.predict())
        hidden = self._signature.width - len(shown)
        rest = [ipywidgets.Label(f"... and {hidden} more columns, at usual values")]
        return ipywidgets.VBox([*self._fields, *(rest if hidden else []), button, self._answer])


def _field(column: Column, *, index: int) -> Any:
    """Build the field of one column; what it was in the example is what it offers first."""
    import ipywidgets  # noqa: PLC0415 -- as above

    label = column.name if column.name != str(index) else f"feature {column.name}"
    look = {
        "description": label,
        "tooltip": "; ".join(part for part in (column.words, column.note) if part),
        "style": {"description_width": "160px"},
        "layout": {"width": _WIDTH},
    }
    missing = [(_MISSING, None)] if column.nullable else []
    if column.kind == "category":
        choices = [(str(value), value) for value in column.categories]
        return ipywidgets.Dropdown(options=[*choices, *missing], value=column.typical, **look)
    if column.kind == "bool":
        choices = [("true", True), ("false", False)]
        return ipywidgets.Dropdown(options=[*choices, *missing], value=column.typical, **look)
    if column.kind == "string" and column.categories:
        known = [str(value) for value in column.categories]
        return ipywidgets.Combobox(options=known, value=_text(column.typical), **look)
    return ipywidgets.Text(value=_text(column.typical), placeholder=column.note, **look)


def _text(cell: Scalar | None) -> str:
    return "" if cell is None else str(cell)


def _cell(column: Column, field: Any) -> Any:
    """Read a field as JSON would say it; the service tells what does not fit."""
    value = field.value
    if not isinstance(value, str) or column.kind in {"category", "bool"}:
        return value
    if not value.strip() and column.nullable:
        return None
    if column.kind in {"string", "datetime"}:
        return value
    return _number(value.strip())


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _answer(prediction: Any, probabilities: Mapping[Any, float]) -> str:
    """Write a prediction, with probabilities as bars, the likeliest first."""
    first = element("p", "Prediction: ", element("strong", prediction), role="status")
    ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])
    bars = [_bar(name, share) for name, share in ranked[:_SHOWN_CLASSES]]
    return fragment(first, element("div", *bars, class_="nbd-bars") if bars else None)


def _bar(name: object, share: float) -> Html:
    width = f"width: {max(0.0, min(1.0, share)):.1%}"
    filled = element("span", element("span", style=width), class_="nbd-bar", aria_hidden="true")
    return Html(element("span", element("bdi", name)) + filled + element("span", f"{share:.1%}"))
