"""Making the model out of a file that was verified and admitted."""

from __future__ import annotations

import platform
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbdeploy.display.html import visible
from nbdeploy.exceptions import ModelFileError, UntrustedModelError
from nbdeploy.models import skops_format
from nbdeploy.models.index_bounds import unsound_parts
from nbdeploy.models.library_versions import (
    SCIKIT_LEARN,
    Difference,
    carries_code,
    differences,
    installed_version,
)
from nbdeploy.models.native_formats import load
from nbdeploy.models.notices import ModelVersionWarning, notify
from nbdeploy.models.trust import Voucher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbdeploy.models.manifest import Entry
    from nbdeploy.models.opened_file import OpenedFile

__all__ = ["load_admitted"]


def load_admitted(opened: OpenedFile, voucher: Voucher) -> Any:
    """Load a file, and compare the libraries with those that saved it.

    Parameters
    ----------
    opened
        The file.
    voucher
        Who vouches for it. What nobody vouches for is looked at once more after loading.

    Raises
    ------
    UntrustedModelError
        The file of an unknown author would crash the process that predicts with it.
    ModelFileError
        The file cannot be loaded here.
    """
    found = [] if opened.entry is None else _differences(opened.entry)
    if opened.entry is not None:
        _check_python(opened, opened.entry)
    if any(difference.installed for difference in found):
        notify(
            f"{opened.shown_name}: {'; '.join(map(visible, found))}. Its predictions may differ, "
            "or fail. Install the versions that saved it, or fit and save the model again.",
            ModelVersionWarning,
        )
    is_told = any(difference.library == SCIKIT_LEARN for difference in found)
    try:
        with _without_second_warning(is_told=is_told):
            return _load(opened, voucher)
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(_failure(opened, error, found)) from error


def _load(opened: OpenedFile, voucher: Voucher) -> Any:
    if opened.format != "skops":
        return load(opened.data, opened.format)
    model = skops_format.load_skops(opened.data, opened.globals or ())
    faults = unsound_parts(model) if voucher is Voucher.NOBODY else []
    if faults:
        message = (
            f"{opened.shown_name} was not saved by you, and it is unsound: {'; '.join(faults)}. "
            "Predicting with it could crash this process or read memory that is not its own."
        )
        raise UntrustedModelError(message, digest=opened.digest, globals=opened.globals)
    return model


def _differences(entry: Entry) -> list[Difference]:
    installed = {library: installed_version(library) for library in entry.libraries}
    return differences(entry.libraries, installed)


def _check_python(opened: OpenedFile, entry: Entry) -> None:
    """Refuse compiled code of another Python: running it can crash the process."""
    here = platform.python_version()
    saved = entry.python or here
    minor = ".".join(saved.split(".")[:2])
    if carries_code(entry.libraries) and minor != ".".join(here.split(".")[:2]):
        message = (
            f"{opened.shown_name} carries code of a notebook, compiled for Python "
            f"{visible(saved)}, and this is Python {here}. Load it with Python {visible(minor)}, "
            "or run the notebook here and save the model again."
        )
        raise ModelFileError(message)


@contextmanager
def _without_second_warning(*, is_told: bool) -> Iterator[None]:
    """Silence scikit-learn, which warns about each estimator inside, when that was told before."""
    if not is_told:
        yield
        return
    from sklearn.exceptions import InconsistentVersionWarning  # noqa: PLC0415 -- heavy import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        yield


def _failure(opened: OpenedFile, error: Exception, found: list[Difference]) -> str:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        advice = f"Install what provides the module {error.name!r} here."
    elif found:
        advice = f"{'; '.join(map(visible, found))}. Install the versions that saved it."
    elif opened.entry is None:
        advice = f"It was read as {opened.format}; pass format= if it is something else."
    else:
        advice = "Save it again where it still loads."
    return f"{opened.shown_name} cannot be loaded: {reason}. {advice}"
