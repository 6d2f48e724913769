"""Section 1.1 of the chapter: saving and loading models."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbdeploy.exceptions import ModelFileError, SignatureError
from nbdeploy.models import skops_format
from nbdeploy.models.library_versions import CODE_LIBRARY, versions_for
from nbdeploy.models.loading import load_admitted
from nbdeploy.models.manifest import Entry, digest_of
from nbdeploy.models.model_file import ModelFile
from nbdeploy.models.native_formats import DEFAULT, chosen_format, dump, globals_in, load
from nbdeploy.models.notices import ModelTrustWarning, ModelVersionWarning, notify
from nbdeploy.models.opened_file import OpenedFile, check_format, open_file
from nbdeploy.models.saved_model import SavedModel
from nbdeploy.models.trust import Trust, TrustStore, Voucher

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from nbdeploy.models.baseline import Baseline
    from nbdeploy.models.signature import Signature

logger = logging.getLogger("nbdeploy")

__all__ = [
    "ModelSerializer",
    "ModelTrustWarning",
    "ModelVersionWarning",
    "Packed",
    "SavedModel",
    "load_saved",
    "pack",
    "same_content",
    "save",
    "snapshot",
]


class ModelSerializer:
    """Save models to files, and load them again.

    Beside each file stands a manifest with its digest, its origin and the shape of its rows. A
    file is verified before anything in it runs, and replaced in one step.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ModelSerializer.save_model(model, f"{folder}/double.joblib")
    ...     copy = ModelSerializer.load_model(f"{folder}/double.joblib")
    >>> copy.predict([[3.0]]).round(6).tolist()
    [6.0]
    """

    @staticmethod
    def save_model(
        model: Any,
        path: str | os.PathLike[str],
        format: str = "joblib",  # noqa: A002 -- the chapter's name
        *,
        example: Any = None,
    ) -> None:
        """Save a model.

        Parameters
        ----------
        model
            Any object that can be pickled. Functions and classes that were defined in the
            notebook travel along in ``"joblib"`` and ``"pickle"``.
        path
            Where to; missing folders are made. A file that is there is replaced in one step.
        format
            ``"joblib"``, ``"pickle"`` or ``"skops"``. The last holds types and arrays and no
            code, so others can load it without trusting its author. Unless pickle is asked for,
            a model of XGBoost, LightGBM, PyTorch or ONNX is written in the format of its own
            library, which reads the file without nbdeploy.
        example
            Some rows as the model was fitted on. What they look like, and how they and the model's
            predictions of a few hundred of them are distributed, is kept with the model as counts;
            the rows are not.

        Raises
        ------
        UnknownFormatError
            There is no such format.
        SignatureError
            The example does not fit the model.
        ModelFileError
            Something in the model cannot be saved, or the file cannot be written.
        """
        save(model, path, format=format, example=example)

    @staticmethod
    def load_model(
        path: str | os.PathLike[str],
        format: str = "joblib",  # noqa: A002 -- the chapter's name
        *,
        trust: Trust = None,
    ) -> Any:
        """Load a model.

        Parameters
        ----------
        path
            The file.
        format
            How it was saved; ``"joblib"`` also reads plain pickles.
        trust
            Needed for files that somebody else saved. A digest (``"sha256:..."``) loads that
            content and no other; several digests add to what is trusted anyway; ``True`` loads
            whatever is there, with a warning.

        Raises
        ------
        UnknownFormatError
            There is no such format.
        ModelFileNotFoundError
            There is no such file.
        CorruptedModelError
            The bytes are not those of the manifest.
        UntrustedModelError
            Nobody vouches for the file. The error lists what it would import.
        ModelFileError
            The file is of another format, or cannot be loaded here.
        """
        return load_saved(path, format=check_format(format), trust=trust)[0]

    @staticmethod
    def inspect(path: str | os.PathLike[str]) -> SavedModel:
        """Tell what is in a model file without loading it.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        ModelFileNotFoundError
            There is no such file.
        CorruptedModelError
            The bytes are not those of the manifest.
        """
        opened = open_file(path, None)
        is_vouched = opened.voucher(None, TrustStore()) is not Voucher.NOBODY
        return opened.describe(trusted=is_vouched or opened.runs_nothing, with_globals=True)


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    format: str = "joblib",  # noqa: A002 -- the chapter's name
    example: Any = None,
    version: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SavedModel:
    """Save a model as `ModelSerializer.save_model` does, and tell what was written.

    Parameters
    ----------
    model
        Any object that can be pickled.
    path
        Where to.
    format
        ``"joblib"``, ``"pickle"`` or ``"skops"``.
    example
        Some rows as the model was fitted on.
    version
        The name of the version in a registry; signed with the rest.
    clock
        The time, in UTC.
    """
    packed = pack(model, format=format, example=example, clock=clock).named(version)
    file = ModelFile(path)
    file.replace(packed.data, packed.entry)
    opened = OpenedFile(file.path, packed.data, packed.entry, packed.entry.format)
    return opened.describe(trusted=packed.entry.hmac is not None, with_globals=False)


@dataclass(frozen=True)
class Packed:
    """A model as bytes, with what its manifest will say about them.

    Parameters
    ----------
    data
        The bytes.
    entry
        What is known about them.
    """

    data: bytes
    entry: Entry

    def named(self, version: str | None) -> Packed:
        """Return the same model under the name of a version, signed by this user if possible."""
        return replace(self, entry=_signed(replace(self.entry, version=version)))


def pack(
    model: Any,
    *,
    format: str = "joblib",  # noqa: A002 -- the chapter's name
    example: Any = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Packed:
    """Turn a model into bytes, and write nothing.

    Parameters
    ----------
    model
        Any object that can be pickled.
    format
        ``"joblib"``, ``"pickle"`` or ``"skops"``.
    example
        Some rows as the model was fitted on.
    clock
        The time, in UTC.

    Returns
    -------
    Packed
        Without a signature; see `Packed.named`.
    """
    check_format(format)
    signature = _learned_signature(model, example)
    baseline = None if signature is None else _learned_baseline(model, signature, example)
    format = chosen_format(model, format)  # noqa: A001 -- the chapter's name
    data = dump(model, format)
    entry = Entry(
        sha256=digest_of(data).removeprefix("sha256:"),
        size=len(data),
        format=format,
        model_type=type(model).__name__,
        created_at=clock().isoformat(),
        python=platform.python_version(),
        libraries=_libraries_of(model, data, format),
        signature=None if signature is None else signature.to_dict(),
        baseline=None if baseline is None else baseline.to_dict(),
    )
    return Packed(data, entry)


def load_saved(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 -- the chapter's name
    trust: Trust = None,
) -> tuple[Any, SavedModel]:
    """Load a model with what is known about it.

    Parameters
    ----------
    path
        The file.
    format
        How it was saved; ``None`` to take it from the manifest, or else from the extension.
    trust
        What vouches for the file, see `ModelSerializer.load_model`.

    Returns
    -------
    tuple
        The model, and what `ModelSerializer.inspect` tells, without the list of imports.
    """
    opened = open_file(path, format)
    model = load_admitted(opened, opened.admit(trust, TrustStore()))
    return model, opened.describe(trusted=True, with_globals=False)


def snapshot(model: Any) -> tuple[Any, str]:
    """Return a copy of a model that shares nothing with it, and the digest of its bytes.

    Parameters
    ----------
    model
        Any object that can be pickled.

    Returns
    -------
    tuple
        The model after one save and load in memory, and the ``sha256:...`` of what was saved.

    Raises
    ------
    ModelFileError
        The model cannot be saved, or not be loaded again.
    """
    name = chosen_format(model, DEFAULT)
    data = dump(model, name)
    try:
        copy = load(data, name)
    except Exception as error:
        message = (
            f"The {type(model).__name__} can be saved, but not loaded again: "
            f"{type(error).__name__}: {error}."
        )
        raise ModelFileError(message) from error
    return copy, digest_of(data)


def same_content(first: OpenedFile, second: bytes) -> bool:
    """Tell whether two files hold the same model, though their bytes may differ.

    Equal texts that are one object are written once, and after a load more of them are one: the
    same model may have different bytes before and after its first load. After it they stay. A
    skops file numbers its objects anew each time.

    Parameters
    ----------
    first
        A file that was admitted.
    second
        Bytes of the same format, written by this process.
    """
    if first.digest == digest_of(second):
        return True
    try:
        loaded = [load(data, first.format) for data in (first.data, second)]
        # Of skops no two files are alike.
        written = DEFAULT if first.format == "skops" else first.format
        return len({digest_of(dump(model, written)) for model in loaded}) == 1
    except Exception as error:  # noqa: BLE001 -- code of a model may raise anything
        logger.debug("Two contents of %s cannot be compared: %s", first.path.name, error)
        return False


def _learned_signature(model: Any, example: Any) -> Signature | None:
    from nbdeploy.models.signature import Signature  # noqa: PLC0415 -- heavy import

    try:
        return Signature.learn(model=model, example=example)
    except SignatureError:
        if example is not None:
            raise
        return None


def _learned_baseline(model: Any, signature: Signature, example: Any) -> Baseline | None:
    if example is None:
        return None
    from nbdeploy.models.baseline import Baseline, predictions_of  # noqa: PLC0415 -- heavy import

    return Baseline.learn(signature, example, predict=predictions_of(model, signature))


def _libraries_of(model: Any, data: bytes, format_name: str) -> dict[str, str]:
    if format_name == "skops":
        needed = skops_format.types_needing_trust(data) or ()
        return versions_for([*needed, type(model).__module__, "sklearn", "numpy", "skops"])
    names = globals_in(data, format_name)
    if names is None:
        # An unusual __reduce__: name at least the model's own, and whether code is inside.
        code = [CODE_LIBRARY] if CODE_LIBRARY.encode() in data else []
        names = (type(model).__module__, *code)
    return versions_for(names)


def _signed(entry: Entry) -> Entry:
    try:
        return entry.signed(TrustStore().sign(entry.payload()))
    except OSError as error:
        notify(
            f"The model is saved, but not signed: no key can be kept ({error}). It will need "
            "trust= when it is loaded, as if somebody else had saved it. Set NBDEPLOY_CONFIG_DIR "
            "to a folder that you may write to.",
            ModelTrustWarning,
        )
        return entry
