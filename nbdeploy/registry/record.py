"""What is written beside a version's model: ``version.json``, checked by its own digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from nbdeploy.exceptions import CorruptedModelError
from nbdeploy.models.manifest import Entry

__all__ = ["RECORD_FILE", "Record", "sealed", "unsealed"]

RECORD_FILE = "version.json"

_FORMAT = 1
_TEXTS = ("version", "description", "created_by", "part")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One version, or the fact that it was deleted.

    Parameters
    ----------
    version
        Its name.
    created_at
        When it was saved or deleted: ISO 8601, in UTC.
    created_by
        The name of the user who did.
    description
        What the user says about it; of a deletion, why.
    metrics
        What the user measured.
    parameters
        What the model was made with.
    data
        What tells the training data from others: rows, columns, digest. Of a deletion, the
        digest of the model that was deleted.
    files
        The digest of each file of the version, by its name.
    part
        What stands before the names of the files in a store without folders.
    entry
        The model's file, as its manifest describes it; ``None`` when the version was deleted.
    """

    version: str
    created_at: str
    created_by: str
    description: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    entry: Entry | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether it says that the version is gone."""
        return self.entry is None

    def file(self, name: str) -> str:
        """Return the name of a file inside of the version's folder."""
        return f"{self.part}/{name}" if self.part else name

    @property
    def model_file(self) -> str | None:
        """The name of the model's file; ``None`` when the version was deleted."""
        return next((name for name in self.files if name.startswith("model.")), None)

    def to_bytes(self) -> bytes:
        """Write the record."""
        return sealed(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Read a record, strictly.

        Raises
        ------
        CorruptedModelError
            Its bytes are not those that were written, or a newer nbdeploy wrote them.
        """
        try:
            facts = unsealed(data)
            entry = facts.pop("entry")
            record = cls(**facts, entry=None if entry is None else Entry.from_dict(entry))
            if not all(isinstance(getattr(record, name), str) for name in _TEXTS):
                message = "a text is none"
                raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
            datetime.fromisoformat(record.created_at)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            message = f"{RECORD_FILE} cannot be read ({type(error).__name__}: {str(error)[:200]})."
            raise CorruptedModelError(message) from error
        return record


def sealed(facts: Mapping[str, Any]) -> bytes:
    """Write facts with their digest.

    Examples
    --------
    >>> unsealed(sealed({"version": "1.0"}))
    {'version': '1.0'}
    """
    document = {"registry": _FORMAT, "sha256": _digest(facts), "facts": facts}
    return (json.dumps(document, indent=1) + "\n").encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """Read facts, and compare their digest.

    Raises
    ------
    ValueError
        The digest is another one, or there is none.
    """
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("registry") != _FORMAT:
        message = "it is of another format; a newer nbdeploy may have written it"
        raise ValueError(message)
    facts = document.get("facts")
    if not isinstance(facts, dict) or document.get("sha256") != _digest(facts):
        message = "its digest is not the one that it names: the file was changed"
        raise ValueError(message)
    return facts


def _digest(facts: Mapping[str, Any]) -> str:
    # Written and read as JSON once: a tuple, and a key that is a number, come back as others.
    text = json.dumps(json.loads(json.dumps(facts)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
