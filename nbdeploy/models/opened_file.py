"""A model file that was read and verified, and not loaded yet: may it be, and how."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nbdeploy.display.html import visible
from nbdeploy.exceptions import ModelFileError, UnknownFormatError, UntrustedModelError
from nbdeploy.models.manifest import SUFFIX, Entry, digest_of
from nbdeploy.models.model_file import ModelFile, format_by_name
from nbdeploy.models.native_formats import DEFAULT, ENDINGS, FORMATS, globals_in, said_of
from nbdeploy.models.notices import ModelTrustWarning, notify
from nbdeploy.models.saved_model import SavedModel
from nbdeploy.models.skops_format import is_zip
from nbdeploy.models.skops_types import unreviewed
from nbdeploy.models.trust import Trust, TrustStore, Voucher, voucher_for

if TYPE_CHECKING:
    import os

__all__ = ["FORMATS", "OpenedFile", "check_format", "check_saved_format", "open_file"]

_LISTED_GLOBALS = 100


@dataclass(frozen=True)
class OpenedFile:
    """The bytes of a model file, which are the ones to load.

    Parameters
    ----------
    path
        Where they came from.
    data
        The bytes.
    entry
        What the manifest says about them; ``None`` without a manifest.
    format
        How they are to be read.
    """

    path: Path
    data: bytes
    entry: Entry | None
    format: str

    @property
    def shown_name(self) -> str:
        """The name of the file, which may come from anywhere, as a message may show it."""
        return visible(self.path.name)

    @cached_property
    def digest(self) -> str:
        """The ``sha256:...`` of the bytes."""
        return self.entry.digest if self.entry else digest_of(self.data)

    @cached_property
    def globals(self) -> tuple[str, ...] | None:
        """What loading would import; ``None`` when the list cannot be complete."""
        return globals_in(self.data, self.format)

    @property
    def runs_nothing(self) -> bool:
        """Whether loading makes only objects of reviewed types."""
        return self.format == "skops" and self.globals is not None and not unreviewed(self.globals)

    def voucher(self, trust: Trust, store: TrustStore) -> Voucher:
        """Return who vouches for the file.

        Raises
        ------
        UntrustedModelError
            `trust` names another content.
        """
        entry = self.entry
        return voucher_for(
            self.digest,
            trust,
            is_signed=entry is not None and store.is_signed(entry.payload(), entry.hmac),
            is_recorded=self.digest in store.recorded(),
        )

    def admit(self, trust: Trust, store: TrustStore) -> Voucher:
        """Return who vouches for the file, and refuse it when loading could run foreign code.

        Raises
        ------
        UntrustedModelError
            Nobody vouches for the file.
        """
        voucher = self.voucher(trust, store)
        if voucher is Voucher.ANYTHING:
            notify(
                f"{self.shown_name} was loaded because of trust=True, whatever it is. To load only "
                f"this content, pass trust={self.digest!r}.",
                ModelTrustWarning,
            )
        if voucher is Voucher.NOBODY and not self.runs_nothing:
            raise UntrustedModelError(self._refusal(), digest=self.digest, globals=self.globals)
        return voucher

    def describe(self, *, trusted: bool, with_globals: bool) -> SavedModel:
        """Return what is known about the file."""
        entry = self.entry or Entry(self.digest.removeprefix("sha256:"), len(self.data), "")
        return SavedModel(
            path=str(self.path),
            format=self.format,
            digest=self.digest,
            size=len(self.data),
            model_type=entry.model_type,
            created_at=datetime.fromisoformat(entry.created_at) if entry.created_at else None,
            python=entry.python,
            libraries=entry.libraries,
            signature=entry.signature,
            baseline=entry.baseline,
            version=entry.version,
            trusted=trusted,
            globals=self.globals if with_globals else None,
        )

    def _refusal(self) -> str:
        is_pickle = self.format in (DEFAULT, "pickle")
        advice = "Ask for format='skops', which holds no code." if is_pickle else ""
        ways = [
            f"  trust={self.digest!r}   loads this content and no other",
            f"  nbdeploy trust {visible(self.path.parent)}   records what is there now, once",
            "  trust=True   loads whatever is there, with a warning",
        ]
        is_here = self.path.parent.is_dir()
        if not is_here:
            # It came from beyond this machine, where the command does not reach.
            del ways[1]
        number = "three" if is_here else "two"
        refusal = f"{self.shown_name} was not saved by you on this machine, and {self._danger()}"
        lines = [
            refusal,
            f"If you know where it comes from, trust it in one of {number} ways:",
            *ways,
            advice,
        ]
        return "\n".join(lines).rstrip()

    def _danger(self) -> str:
        harmless = said_of(self.format)
        if harmless is not None:
            return f"nobody vouches for it.\n{harmless}"
        return f"loading it would run what is in it.\n{self._content()}"

    def _content(self) -> str:
        if self.globals is None:
            return "What it would import is unknown: the file cannot be read to its end."
        kind = "It holds types that were not reviewed" if self.format == "skops" else "It imports"
        names = unreviewed(self.globals) if self.format == "skops" else self.globals
        # Names come from the file: a control character must not reach a terminal.
        shown = [name.encode("unicode_escape").decode() for name in names[:_LISTED_GLOBALS]]
        rest = len(names) - len(shown)
        lines = [f"{kind}:", *(f"  {name}" for name in shown)]
        if rest:
            lines.append(f"  and {rest} more")
        if any(name.startswith("cloudpickle.") for name in names):
            lines.append("It also carries code of its own, which no list can show.")
        return "\n".join(lines)


def check_format(name: object) -> str:
    """Return the name of a format.

    Raises
    ------
    UnknownFormatError
        There is no such format.
    """
    if name in FORMATS:
        return str(name)
    near = difflib.get_close_matches(str(name).lower(), FORMATS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    message = f"Unsupported format: {name!r}. Expected one of {', '.join(FORMATS)}.{hint}"
    raise UnknownFormatError(message)


def check_saved_format(name: str) -> None:
    """Refuse a format that a manifest names and nobody here knows.

    Raises
    ------
    UnknownFormatError
        There is no such format.
    """
    if name not in ENDINGS:
        message = (
            f"Unsupported format: {name!r}. Expected one of {', '.join(ENDINGS)}. A newer version "
            "of nbdeploy may have written it."
        )
        raise UnknownFormatError(message)


def open_file(path: str | os.PathLike[str], asked: str | None) -> OpenedFile:
    """Read and verify a model file.

    Parameters
    ----------
    path
        Where it is.
    asked
        The format that the caller expects; ``None`` for whatever it is.

    Raises
    ------
    UnknownFormatError
        There is no such format.
    ModelFileError
        The file is missing, corrupted or of another format.
    """
    if asked is not None:
        check_format(asked)
    file = ModelFile(path)
    data, entry = file.read()
    found = _format_of(data, entry, file.path, asked)
    if asked not in (None, found, "joblib") or (asked == "joblib" and found == "skops"):
        source = "was saved" if entry else "looks as if it was saved"
        message = f"{file.shown_name} {source} as {found}, not as {asked}. Pass format={found!r}."
        raise ModelFileError(message)
    return OpenedFile(file.path, data, entry, found)


def _format_of(data: bytes, entry: Entry | None, path: Path, asked: str | None) -> str:
    if entry is not None:
        if entry.format not in ENDINGS:
            message = (
                f"{visible(path.name)}{SUFFIX} says that the model was saved as {entry.format!r}, "
                "which this version of nbdeploy does not know. Load it with a newer one."
            )
            raise UnknownFormatError(message)
        return entry.format
    named = format_by_name(path)
    if asked in (None, DEFAULT) and named is not None and named not in FORMATS:
        return named
    if is_zip(data):
        return "skops"
    likely = asked or named or DEFAULT
    # What is no archive is a pickle, whatever it is called.
    return "joblib" if likely == "skops" else likely
