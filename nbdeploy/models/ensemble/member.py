"""A member of an ensemble: a model with the columns that it needs, and its answers as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.models.ensemble.combining import align, one_hot
from nbdeploy.models.ensemble.member_threads import MemberThreads
from nbdeploy.models.fitted_input import names_of, wants_array, width_of
from nbdeploy.models.predictor import Predictor, predictor_for

__all__ = ["Member"]


class Member:
    """One model under its name.

    Parameters
    ----------
    name
        What the user calls it.
    model
        Anything that `predictor_for` takes.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self.model = model
        self.predictor: Predictor = predictor_for(model)
        known = getattr(self.predictor, "names", None)
        self.names: tuple[str, ...] | None = known or names_of(model)
        self.width = len(self.names) if self.names is not None else width_of(model)
        self.threads = MemberThreads(name)
        self._is_numbered = wants_array(model)

    @property
    def classes(self) -> list[Any] | None:
        """The labels that it knows."""
        return self.predictor.classes

    @property
    def tells_shares(self) -> bool:
        """Whether it gives probabilities."""
        return self.classes is not None and "predict_proba" in self.predictor.methods

    def shares(self, batch: Any, classes: Sequence[Any]) -> npt.NDArray[Any]:
        """Answer with a probability for each of all classes."""
        if not self.tells_shares:
            return self.votes(batch, classes)
        output = self.predictor.call("predict_proba", self.rows_for(batch))
        return align(np.asarray(output, dtype=np.float64), self.classes or [], classes)

    def votes(self, batch: Any, classes: Sequence[Any]) -> npt.NDArray[Any]:
        """Answer with a whole vote for one of all classes."""
        return one_hot(self.labels(batch), classes)

    def labels(self, batch: Any) -> list[Any]:
        """Answer with what it predicts, one plain item a row."""
        output = self.predictor.call("predict", self.rows_for(batch))
        labels = list(output.tolist() if hasattr(output, "tolist") else output)
        _refuse_incomplete(labels, len(batch))
        return labels

    def numbers(self, batch: Any) -> npt.NDArray[Any]:
        """Answer with numbers."""
        output = self.predictor.call("predict", self.rows_for(batch))
        numbers = np.asarray(output, dtype=np.float64)
        _refuse_incomplete(numbers, len(batch))
        return numbers[:, 0] if numbers.ndim > 1 and numbers.shape[1:] == (1,) else numbers

    def rows_for(self, batch: Any) -> Any:
        """Give the rows with the columns of this member, in its order and form."""
        if isinstance(batch, pd.DataFrame):
            if self.names is not None:
                return self._chosen(batch, self.names)
            return batch.to_numpy() if self._is_numbered else batch
        is_plain = isinstance(batch, np.ndarray) and batch.ndim > 1
        if is_plain and self.names is not None and batch.shape[1] == len(self.names):
            return pd.DataFrame(batch, columns=list(self.names))
        return batch

    @staticmethod
    def _chosen(batch: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
        labels = {str(label): label for label in batch.columns}
        # LightGBM remembers names without their spaces.
        labels |= {name.replace(" ", "_"): label for name, label in list(labels.items())}
        chosen = [labels[name] for name in names]
        return batch if chosen == list(batch.columns) else batch[chosen]


def _refuse_incomplete(answers: Any, rows: int) -> None:
    if len(answers) != rows:
        message = f"it was asked for {rows} rows and gave {len(answers)} answers"
        raise ValueError(message)
