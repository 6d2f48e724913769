"""The manifest beside a model file: which bytes belong there, and what they are.

``model.joblib.manifest.json`` lists entries, one a digest. While a file is being replaced it
lists the old and the new one, so that at every moment the file on disk is listed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from nbdeploy.exceptions import CorruptedModelError

__all__ = ["SUFFIX", "Entry", "Manifest", "digest_of"]

SUFFIX = ".manifest.json"
_VERSION = 1
_SIGNED_FOR = b"nbdeploy model entry\n"
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Fields that files of before do not have.
_ADDED: dict[str, Any] = {"baseline": None}
_TEXTS = ("format", "model_type", "created_at", "python", "version", "hmac")


def digest_of(data: bytes) -> str:
    """Return the name of these bytes, as ``trust=`` takes it.

    Examples
    --------
    >>> digest_of(b"")
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Entry:
    """What the manifest says about one content of a model file.

    Parameters
    ----------
    sha256
        The digest of the bytes, in hexadecimal.
    size
        Their number.
    format
        ``"joblib"``, ``"pickle"`` or ``"skops"``.
    model_type
        The name of the model's class.
    created_at
        When it was saved: ISO 8601, in UTC.
    python
        The version of Python that saved it.
    libraries
        The versions of the libraries that the file needs.
    signature
        What the rows look like, as ``Signature.to_dict`` writes it.
    version
        The name of the version in a registry.
    baseline
        How the columns and the predictions of the example were distributed, as
        ``Baseline.to_dict`` writes it.
    hmac
        The signature of all of the above, by the key of the user who saved it.
    """

    sha256: str
    size: int
    format: str
    model_type: str | None = None
    created_at: str | None = None
    python: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    signature: Mapping[str, Any] | None = None
    version: str | None = None
    baseline: Mapping[str, Any] | None = None
    hmac: str | None = None

    @property
    def digest(self) -> str:
        """The digest as ``trust=`` takes it."""
        return f"sha256:{self.sha256}"

    def payload(self) -> bytes:
        """Return the bytes that are signed: everything but the signature, in one spelling."""
        facts = {name: value for name, value in asdict(self).items() if name != "hmac"}
        # What older files do not have is not signed in them.
        if self.baseline is None:
            del facts["baseline"]
        return _SIGNED_FOR + json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()

    def signed(self, hmac: str | None) -> Entry:
        """Return this entry with a signature."""
        return replace(self, hmac=hmac)

    @classmethod
    def from_dict(cls, facts: object) -> Entry:
        """Read an entry back, strictly.

        Raises
        ------
        ValueError
            A field is missing or of another type.
        """
        if not isinstance(facts, dict):
            message = "an entry is no object"
            raise ValueError(message)  # noqa: TRY004 -- what stands in a file is a value
        facts = _ADDED | facts
        if facts.keys() != cls.__dataclass_fields__.keys():
            message = f"an entry has the fields {', '.join(map(repr, facts)):.200}"
            raise ValueError(message)
        _check(facts)
        return cls(**facts)


@dataclass(frozen=True)
class Manifest:
    """The entries of one model file.

    Parameters
    ----------
    entries
        One for each content that the file may have; the newest first.
    """

    entries: tuple[Entry, ...]

    def entry_for(self, digest: str) -> Entry | None:
        """Return what is known about these bytes; ``None`` if they are not listed."""
        return next((entry for entry in self.entries if entry.digest == digest), None)

    def with_first(self, entry: Entry) -> Manifest:
        """Return a manifest that lists `entry` before what is listed already."""
        others = (known for known in self.entries if known.digest != entry.digest)
        return Manifest((entry, *others))

    def to_json(self) -> bytes:
        """Write the manifest."""
        document = {"manifest": _VERSION, "entries": [asdict(entry) for entry in self.entries]}
        return (json.dumps(document, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read a manifest.

        Raises
        ------
        CorruptedModelError
            The text is no manifest.
        """
        try:
            document = json.loads(text)
            if document["manifest"] != _VERSION:
                message = f"it is of version {document['manifest']!r}, not {_VERSION}"
                raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
            return cls(tuple(Entry.from_dict(facts) for facts in document["entries"]))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            message = (
                f"its manifest cannot be read ({type(error).__name__}: {str(error)[:200]}). "
                "Take both files from a backup, or save the model again."
            )
            raise CorruptedModelError(message) from error


def _check(facts: dict[str, Any]) -> None:
    """Refuse what `Entry` does not promise to its readers."""
    sha256, size = facts["sha256"], facts["size"]
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        _refuse("sha256", sha256)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        _refuse("size", size)
    if not isinstance(facts["format"], str):
        _refuse("format", facts["format"])
    for name in _TEXTS:
        if not isinstance(facts[name], str | None):
            _refuse(name, facts[name])
    libraries = facts["libraries"]
    if not isinstance(libraries, dict) or not all(
        name and isinstance(version, str) for name, version in libraries.items()
    ):
        _refuse("libraries", libraries)
    for name in ("signature", "baseline"):
        if not isinstance(facts[name], dict | None):
            _refuse(name, facts[name])
    if facts["created_at"] is not None:
        datetime.fromisoformat(facts["created_at"])


def _refuse(name: str, value: object) -> None:
    message = f"{name} is {value!r:.80}"
    raise ValueError(message)
