"""One saved version of a model: what is known about it, and the way to the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nbdeploy.display.html import Html, element, fragment, visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import shortened
from nbdeploy.display.units import file_size
from nbdeploy.exceptions import CorruptedModelError
from nbdeploy.models.loading import load_admitted
from nbdeploy.models.opened_file import OpenedFile
from nbdeploy.models.trust import Trust, TrustStore
from nbdeploy.registry.metrics import moment, number_text
from nbdeploy.registry.shelf import Kept, Shelf

if TYPE_CHECKING:
    from nbdeploy.models.signature import Signature
    from nbdeploy.registry.version_control import ModelVersionControl

__all__ = ["ModelVersion"]


@dataclass(frozen=True, repr=False)
class ModelVersion(ReprMixin):
    """One saved version of a model.

    Parameters
    ----------
    version
        Its name.
    digest
        The ``sha256:...`` of its model, as ``trust=`` takes it.
    path
        Where the model's file is.
    metrics
        What was measured when it was saved.
    description
        What was said about it.
    created_at
        When it was saved.
    created_by
        Who saved it.
    aliases
        The aliases that pointed to it when it was asked for.
    registry
        The versions among which it is.
    """

    version: str
    digest: str
    path: str
    metrics: Mapping[str, Any] = field(compare=False)
    description: str = field(compare=False)
    created_at: datetime = field(compare=False)
    created_by: str = field(compare=False)
    aliases: tuple[str, ...] = field(compare=False)
    registry: ModelVersionControl = field(compare=False)
    _shelf: Shelf = field(compare=False)
    _kept: Kept = field(compare=False)

    def load(self, *, trust: Trust = None) -> Any:
        """Return the model.

        Parameters
        ----------
        trust
            What vouches for a version that this user did not save, see
            `ModelSerializer.load_model`; what the registry was given when ``None``.

        Raises
        ------
        CorruptedModelError
            The bytes are not those that were saved.
        UntrustedModelError
            Nobody vouches for them. The error lists what they would import.
        ModelFileError
            The model cannot be loaded here.
        """
        opened = self.opened()
        chosen = self.registry.trust if trust is None else trust
        return load_admitted(opened, opened.admit(chosen, TrustStore()))

    def opened(self) -> OpenedFile:
        """Read and verify the model's file, and do not load it."""
        return self._shelf.open(self._kept)

    def example(self) -> Any:
        """Return at most 32 rows that were kept to warm the model up; ``None`` without any.

        Raises
        ------
        CorruptedModelError
            They are not what was saved.
        """
        data = self._shelf.example(self._kept)
        if data is None:
            return None
        try:
            return json.loads(data)["features"]
        except (ValueError, LookupError) as error:
            message = f"The example of version {self.version!r} cannot be read ({error})."
            raise CorruptedModelError(message) from error

    @cached_property
    def signature(self) -> Signature | None:
        """What a row of the model looks like; ``None`` when it is not known."""
        from nbdeploy.models.signature import Signature  # noqa: PLC0415 -- heavy import

        entry = self._kept.record.entry
        written = entry.signature if entry else None
        return Signature.from_dict(written) if written else None

    @property
    def baseline(self) -> Mapping[str, Any] | None:
        """How its example was distributed, for ``Baseline.from_dict``; ``None`` without one."""
        entry = self._kept.record.entry
        return entry.baseline if entry else None

    @property
    def model_type(self) -> str:
        """The name of the model's class."""
        entry = self._kept.record.entry
        return (entry.model_type if entry else None) or "unknown"

    @property
    def size(self) -> int:
        """Bytes of the model's file."""
        entry = self._kept.record.entry
        return entry.size if entry else 0

    @property
    def libraries(self) -> Mapping[str, str]:
        """The versions of Python and of the libraries that saved it."""
        entry = self._kept.record.entry
        if entry is None:
            return {}
        return {"python": entry.python or "unknown", **entry.libraries}

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the model was made with, as text."""
        return self._kept.record.parameters

    @property
    def data(self) -> Mapping[str, Any]:
        """Rows, columns and digest of the example it was saved with."""
        return self._kept.record.data

    @property
    def place(self) -> str:
        """The name of the folder that it is in."""
        return self._shelf.storage.name

    @property
    def revision(self) -> int:
        """How often something was saved or deleted under this name, this version included."""
        return self._kept.number

    def problems(self) -> list[str]:
        """Return what is wrong with its files; nothing in them is run."""
        return self._shelf.problems(self._kept)

    def __repr__(self) -> str:
        lines = [f"ModelVersion {self.version}: {visible(shortened(self.model_type))}"]
        lines += [f"  {label:<11}  {visible(text)}" for label, text in self._facts() if text]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Write what is known about it."""
        shown = [*self._facts(), ("digest", self.digest), ("created", self._created())]
        head = element(
            "div",
            element("strong", element("bdi", shortened(self.registry.name)), class_="nbd-name"),
            " ",
            element("span", element("bdi", self.version), class_="nbd-version"),
            " ",
            element("span", element("bdi", shortened(self.model_type)), class_="nbd-quiet"),
            class_="nbd-head",
        )
        rows = (
            Html(element("dt", label) + element("dd", element("bdi", text)))
            for label, text in shown
            if text
        )
        return fragment(head, element("dl", *rows), class_="nbd-card")

    def _created(self) -> str:
        return f"{moment(self.created_at)} by {shortened(self.created_by)}"

    def _facts(self) -> Sequence[tuple[str, str]]:
        measured = ", ".join(f"{name} {number_text(one)}" for name, one in self.metrics.items())
        return (
            ("metrics", shortened(measured)),
            ("aliases", ", ".join(self.aliases)),
            ("description", shortened(self.description)),
            ("size", file_size(self.size)),
        )
