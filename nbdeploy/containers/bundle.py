"""A model with everything that serving it needs, in one folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdeploy.containers.bundle_folder import read_facts
from nbdeploy.containers.bundle_page import bundle_html
from nbdeploy.containers.bundle_verbs import BundleVerbs
from nbdeploy.containers.bundle_writing import ANSWERS, KEYS, write_bundle
from nbdeploy.containers.checked_values import (
    checked_environment,
    checked_image,
    checked_labels,
    checked_memory,
    checked_port,
    service_name_from,
)
from nbdeploy.containers.docker import default_base_image
from nbdeploy.containers.packed_model import pack_model
from nbdeploy.containers.saved_answers import SavedAnswers
from nbdeploy.display.code_view import GeneratedFile
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ContainerError

if TYPE_CHECKING:
    from nbdeploy.models.baseline import Baseline
    from nbdeploy.models.signature import Signature

__all__ = ["Bundle"]


@dataclass(frozen=True, repr=False)
class Bundle(BundleVerbs, ReprMixin):
    """A folder that builds into an image: what `Bundle.create` and ``service.bundle`` return.

    Parameters
    ----------
    folder
        Where it is.
    name
        What the container will be called.
    digest
        The ``sha256:...`` of the model.
    python
        The minor version of Python that the image must have.
    port
        Where the service listens.
    model_file
        The model, inside of the folder.
    image
        The image that `build` made; ``None`` before.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[-1.0], [1.0]], ["-", "+"])
    >>> bundle = Bundle.create(model, tempfile.mkdtemp(), name="sign")
    >>> bundle
    <Bundle 'sign': model/model.joblib and 8 more files, no image yet>
    >>> "scikit-learn==" in bundle.requirements
    True
    """

    folder: Path
    name: str
    digest: str
    python: str
    port: int
    model_file: str
    image: str | None = None

    @classmethod
    def create(
        cls,
        model: Any,
        folder: str | os.PathLike[str],
        *,
        name: str | None = None,
        example: Any = None,
        signature: Signature | None = None,
        baseline: Baseline | None = None,
        version: str | None = None,
        trust: Any = None,
        store_example: bool = True,
        requirements: Iterable[str] = (),
        hashes: bool | None = None,
        port: int = 8000,
        base_image: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        memory: str | None = None,
        replace: bool = False,
    ) -> Bundle:
        """Write everything that serving a model needs into a folder.

        The folder is written whole or not at all. Again, it replaces the bundle that is there,
        unless it holds a file that somebody else wrote or changed.

        Parameters
        ----------
        model
            A fitted model, the path of a saved one, or a version: ``versions["1.0"]``.
        folder
            Where to.
        name
            What the container is called; made of the model's when ``None``.
        example
            Rows that the model was fitted on, or like them: they tell what a row looks like, and
            `check` asks them again.
        signature
            What a row looks like, where that is known already.
        baseline
            What the rows of the training looked like, where that is known already: the container
            tells how far its rows are from them.
        version
            What answers carry; the start of the digest when ``None``.
        trust
            Vouches for a path or a version that this user did not save.
        store_example
            Keep at most 32 rows of the example in the folder, for `check`. They never go into the
            image. ``False`` keeps none.
        requirements
            Packages that a look at the model cannot find; they are locked as installed here.
        hashes
            Write the digests of the packages into the lock. ``None`` does where ``uv`` is
            installed; ``True`` asks pip otherwise, which takes a while.
        port
            Where the service listens.
        base_image, labels, environment, memory
            See `DockerConfig`.
        replace
            Replace a bundle although somebody changed it.

        Raises
        ------
        ContainerError
            If something cannot be packed, or the folder holds foreign files.
        ModelFileError
            If the model cannot be saved, or not be loaded.
        """
        # Refused before anything is done: a text that could mean more than it says.
        image = checked_image(default_base_image() if base_image is None else base_image)
        port, labels = checked_port(port), checked_labels(labels)
        environment = checked_environment(environment)
        memory = None if memory is None else checked_memory(memory)
        made = pack_model(
            model,
            example=example,
            signature=signature,
            baseline=baseline,
            version=version,
            trust=trust,
        )
        saved_with = (made.packed.entry.python or platform.python_version()).split(".")[:2]
        bundle = cls(
            folder=Path(folder),
            name=service_name_from(name or made.suggested_name),
            digest=made.packed.entry.digest,
            python=".".join(saved_with),
            port=port,
            model_file=f"model/{made.file_name}",
        )
        write_bundle(
            bundle,
            made,
            answers=made.answers(example if store_example else None),
            requirements=requirements,
            hashes=hashes,
            base_image=image,
            labels=labels,
            environment=environment,
            memory=memory,
            replace=replace,
        )
        return bundle

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Bundle:
        """Return the bundle that was written to a folder before.

        Raises
        ------
        ContainerError
            If there is none.
        """
        facts = read_facts(Path(folder))
        if not all(key in facts for key in KEYS):
            message = f"{os.fspath(folder)!r} is an incomplete bundle. Write it again."
            raise ContainerError(message)
        return cls(Path(folder), **{key: facts[key] for key in KEYS})

    @property
    def default_tag(self) -> str:
        """What the image is called unless `build` is told: the name, and the model's digest."""
        return f"{self.name}:{self.digest.removeprefix('sha256:')[:12]}"

    @property
    def dockerfile(self) -> GeneratedFile:
        """The Dockerfile; a notebook shows it highlighted, with a download."""
        return self._file("Dockerfile")

    @property
    def compose(self) -> GeneratedFile:
        """The compose file; a notebook shows it highlighted, with a download."""
        return self._file("compose.yaml")

    @property
    def requirements(self) -> GeneratedFile:
        """The lock: each package with its version."""
        return self._file("requirements.txt")

    @property
    def answers(self) -> SavedAnswers:
        """What the notebook's own model answered, for `check`."""
        return SavedAnswers.from_json(self._file(ANSWERS).encode())

    @property
    def files(self) -> list[str]:
        """Every file that was written, by its path inside of the folder."""
        return sorted(read_facts(self.folder)["files"])

    @property
    def measured(self) -> dict[str, float] | None:
        """What the latest `check` saw: ``memory`` in bytes, ``cpu_per_request`` in seconds."""
        seen = read_facts(self.folder).get("measured")
        return dict(seen) if isinstance(seen, dict) else None

    def __repr__(self) -> str:
        more = len(self.files) - 1
        image = f"image {self.image}" if self.image else "no image yet"
        return f"<Bundle {self.name!r}: {self.model_file} and {more} more files, {image}>"

    def to_html(self) -> str:
        """Write what is in it, and what to do next."""
        sizes = {name: (self.folder / name).stat().st_size for name in self.files}
        return bundle_html(self, sizes)

    def _file(self, name: str) -> GeneratedFile:
        path = self.folder / name
        try:
            return GeneratedFile(path.read_text(encoding="utf-8"), name=name)
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror or error}. Write the bundle again."
            raise ContainerError(message) from error
