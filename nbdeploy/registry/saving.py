"""What is about to be saved as a version, and how it differs from what is saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nbdeploy.exceptions import ModelFileError, VersionError
from nbdeploy.models.manifest import Entry
from nbdeploy.models.serializer import Packed, pack, same_content
from nbdeploy.models.trust import TrustStore, Voucher
from nbdeploy.registry.metrics import checked_metrics
from nbdeploy.registry.origins import data_of, example_rows, parameters_of, user_name
from nbdeploy.registry.record import Record
from nbdeploy.registry.shelf import Kept, Shelf, files_of

__all__ = ["Draft", "draft_of"]


@dataclass(frozen=True)
class Draft:
    """A model with all that is saved with it, before it has a name.

    Parameters
    ----------
    packed
        The model as bytes.
    metrics
        What was measured.
    description
        What is said about it.
    parameters
        What it was made with.
    data
        What tells its training data from others.
    example
        Some rows, as JSON.
    """

    packed: Packed
    metrics: Mapping[str, Any]
    description: str
    parameters: Mapping[str, str]
    data: Mapping[str, Any]
    example: bytes | None

    def put(self, shelf: Shelf, version: str, number: int) -> Kept | None:
        """Save it under a name; ``None`` when somebody else took the number."""
        entry = self.packed.named(version).entry
        assert entry.created_at is not None, "pack() tells the time"
        record = Record(
            version=version,
            created_at=entry.created_at,
            created_by=user_name(),
            description=self.description,
            metrics=self.metrics,
            parameters=self.parameters,
            data=self.data,
            entry=entry,
        )
        return shelf.put(number, record, files_of(self.packed.data, entry, self.example))

    def is_the_model_of(self, shelf: Shelf, kept: Kept) -> bool:
        """Tell whether a version holds the same model, byte by byte or after a load."""
        entry = kept.record.entry
        if entry is None or entry.format != self.packed.entry.format:
            return False
        if entry.digest == self.packed.entry.digest:
            return True
        if entry.model_type != self.packed.entry.model_type:
            return False
        try:
            opened = shelf.open(kept)
        except ModelFileError:
            return False
        # What nobody vouches for is not loaded just to be compared.
        is_vouched = opened.voucher(None, TrustStore()) is not Voucher.NOBODY
        return is_vouched and same_content(opened, self.packed.data)

    def differences(self, shelf: Shelf, kept: Kept) -> list[str]:
        """Return what is different in a version, in words."""
        record = kept.record
        found = [] if self.is_the_model_of(shelf, kept) else ["model"]
        if _text(record.metrics) != _text(self.metrics):
            found.append("metrics")
        if record.description != self.description:
            found.append("description")
        saved = record.entry.signature if record.entry else None
        if _text(saved) != _text(self.packed.entry.signature) or self._is_of_other_rows(
            record.entry
        ):
            found.append("example")
        return found

    def _is_of_other_rows(self, saved: Entry | None) -> bool:
        mine, theirs = _columns_of(self.packed.entry), _columns_of(saved)
        # A version of before baselines were kept is no other for it.
        return mine is not None and theirs is not None and mine != theirs


def draft_of(
    model: Any,
    *,
    metrics: object,
    description: object,
    example: Any,
    format: str,  # noqa: A002 -- the chapter's name
    store_example: bool,
    clock: Callable[[], datetime],
) -> Draft:
    """Look at a model, and turn it into bytes.

    Raises
    ------
    VersionError
        The metrics are no dict of numbers, or the description is no text.
    SignatureError
        The example does not fit the model.
    ModelFileError
        The model cannot be saved.
    """
    if not isinstance(description, str):
        message = f"description={description!r:.60} is no text. Say what is new in a sentence."
        raise VersionError(message)
    return Draft(
        packed=pack(model, format=format, example=example, clock=clock),
        metrics=checked_metrics(metrics),
        description=description,
        parameters=parameters_of(model),
        data=data_of(example),
        example=example_rows(example) if store_example else None,
    )


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _columns_of(entry: Entry | None) -> str | None:
    """Return the baseline of the columns; predictions may differ in their last digit."""
    if entry is None or entry.baseline is None:
        return None
    return _text(entry.baseline["columns"])
