"""A model with everything that serving it needs, in one folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdeploy.containers.bundle_folder import read_facts
from nbdeploy.containers.bundle_page import bundle_html
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
from nbdeploy.containers.engine import Engine, find_engine
from nbdeploy.containers.packed_model import pack_model
from nbdeploy.containers.saved_answers import SavedAnswers
from nbdeploy.display.code_view import GeneratedFile
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ContainerError

if TYPE_CHECKING:
    from nbdeploy.containers.check_report import CheckReport
    from nbdeploy.containers.container import Container
    from nbdeploy.models.baseline import Baseline
    from nbdeploy.models.signature import Signature

__all__ = ["Bundle"]


@dataclass(frozen=True, repr=False)
class Bundle(ReprMixin):
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

    def check(self, *, quick: bool = False, timeout: float = 600.0) -> CheckReport:
        """Rehearse the container without one: the same packages, the same start, the same answers.

        A fresh virtual environment gets the locked packages and nothing else. The service starts
        in it from this folder, as the container will, and is asked the rows of the example.

        Parameters
        ----------
        quick
            Lend the packages that are installed here instead of installing them: seconds instead of
            a minute, and no network. Only whether an index has them stays unknown.
        timeout
            Seconds for each of installing, starting and answering.

        Returns
        -------
        CheckReport
            Green, amber and red, each with its cure; shown as a card.
        """
        from nbdeploy.containers.check import check_bundle  # noqa: PLC0415 -- only here

        return check_bundle(self, quick=quick, timeout=timeout)

    def build(self, tag: str | None = None, *, engine: Engine | None = None) -> Bundle:
        """Build the image.

        Parameters
        ----------
        tag
            What to call it, ``"churn:1.1"``; made of the name and the model's digest when ``None``.
        engine
            Docker or Podman; the one that answers when ``None``.

        Returns
        -------
        Bundle
            This bundle with ``.image`` set.

        Raises
        ------
        ContainerError
            If no engine answers, or the build fails: the error ends with what it said.
        """
        image = checked_image(tag or self.default_tag)
        chosen = engine or find_engine()
        with ProgressBar(f"Building {image}") as bar:
            chosen.build(self.folder, image, progress=bar.update)
        return with_changes(self, image=image)

    def run(
        self,
        *,
        port: int | None = None,
        token: str | None = "auto",  # noqa: S107 -- a keyword, not a secret
        engine: Engine | None = None,
        timeout: float = 120.0,
    ) -> Container:
        """Start a container, and wait until it is ready; the image is built first if needed.

        A container of the same name that this started before is replaced. It ends with the kernel:
        ``compose.yaml`` starts one that stays.

        Parameters
        ----------
        port
            On this machine; a free one when ``None``. Only this machine can call.
        token
            What callers must send: ``"auto"`` makes one up, ``None`` asks for none.
        engine
            Docker or Podman; the one that answers when ``None``.
        timeout
            Seconds until it must be ready.

        Raises
        ------
        ContainerError
            If it does not start: the error ends with what it logged.
        """
        from nbdeploy.containers.container_start import run_container  # noqa: PLC0415 -- only here

        chosen = engine or find_engine()
        built = self if self.image is not None else self.build(engine=chosen)
        return run_container(built, chosen, port=port, token=token, timeout=timeout)

    def push(self, image: str | None = None, *, engine: Engine | None = None) -> str:
        """Send the image to a registry, and return its name with the digest that it has there.

        Parameters
        ----------
        image
            Where to: ``"registry.example/team/churn:1.1"``; the name that it has when ``None``. Log
            in with ``docker login`` before.
        engine
            Docker or Podman; the one that answers when ``None``.

        Raises
        ------
        ContainerError
            If there is no image yet, or the registry refuses.
        """
        if self.image is None:
            message = f"{self.name!r} has no image yet. Call bundle.build(tag).push()."
            raise ContainerError(message)
        target = checked_image(image or self.image)
        chosen = engine or find_engine()
        with ProgressBar(f"Pushing {target}") as bar:
            return chosen.push(self.image, target, progress=bar.update)

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
