"""Ensembles: a zip archive with each member in its own format."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from typing import Any

from nbdeploy.models.adapters.libraries import Input
from nbdeploy.models.ensemble.ensemble import Ensemble
from nbdeploy.models.predictor import Predictor

__all__ = ["can_save", "dump", "globals_of", "input_of", "load", "predictor", "takes"]

_CONTENT = "ensemble.json"
_FORMAT = 1
# The archive of the same members is the same, whenever it is written.
_DATE = (1980, 1, 1, 0, 0, 0)


class EnsemblePredictor:
    """An ensemble as what a service asks.

    Parameters
    ----------
    ensemble
        The ensemble.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self.model = ensemble
        self.model_type = ensemble.model_type
        self.methods: tuple[str, ...] = ensemble.methods
        self.classes: list[Any] | None = ensemble.classes

    def call(self, method: str, batch: Any) -> Any:
        """Ask the members."""
        return self.model.call(method, batch)

    def member_report(self) -> dict[str, dict[str, Any]]:
        """Tell what each member is and did, in values that JSON can hold."""
        report = self.model.log.report()
        kind = {"names_classes": self.classes is not None}
        return {
            member.name: {"model": member.predictor.model_type, **report[member.name], **kind}
            for member in self.model.parts
        }

    def forget_calls(self) -> None:
        """Count anew."""
        self.model.log.reset()


def takes(model: Any) -> bool:
    """Tell whether an object is a model."""
    return isinstance(model, Ensemble)


def predictor(model: Any) -> Predictor:
    """Give what predicts with a model."""
    model.require_fitted()
    return EnsemblePredictor(model)


def input_of(model: Any) -> Input:
    """Tell what the members need together."""
    members = model.parts
    named = tuple(dict.fromkeys(name for member in members for name in member.names or ()))
    is_known = all(member.width is not None for member in members)
    names = named if named and is_known else None
    width = None if names or not is_known else members[0].width

    def parts(place: int) -> list[tuple[Any, int]]:
        found = []
        for member in members:
            if member.names is None:
                found.append((member.model, place))
            elif names is not None and names[place] in member.names:
                found.append((member.model, member.names.index(names[place])))
        return found

    return Input(names=names, width=len(names) if names else width, parts=parts)


def can_save(model: Any) -> bool:  # noqa: ARG001 -- whether a member can shows when it is saved
    """Tell whether the file would hold all that the model needs to predict."""
    return True


def dump(model: Any) -> bytes:
    """Write an ensemble with all its members."""
    from nbdeploy.models import native_formats  # noqa: PLC0415 -- it knows this module

    members = dict(model.members)
    parts = [*members.values(), *([model.final] if model.final is not None else [])]
    formats = [native_formats.chosen_format(part, native_formats.DEFAULT) for part in parts]
    content = {
        "ensemble": _FORMAT,
        "settings": asdict(model.settings),
        "members": list(members),
        "formats": formats,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_CONTENT, _DATE), json.dumps(content, indent=1))
        for place, (part, name) in enumerate(zip(parts, formats, strict=True)):
            file = zipfile.ZipInfo(_file_of(place, name), _DATE)
            archive.writestr(file, native_formats.dump(part, name))
    return buffer.getvalue()


def load(data: bytes) -> Any:
    """Read an ensemble. This executes what is in the files of its members."""
    from nbdeploy.models import native_formats  # noqa: PLC0415 -- it knows this module

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = _content(archive)
        parts = [
            native_formats.load(archive.read(_file_of(place, name)), name)
            for place, name in enumerate(content["formats"])
        ]
    members = dict(zip(content["members"], parts, strict=False))
    final = parts[len(members)] if len(parts) > len(members) else None
    return Ensemble(members, final=final, **content["settings"])


def globals_of(data: bytes) -> tuple[str, ...] | None:
    """List what loading imports, for all members."""
    from nbdeploy.models import native_formats  # noqa: PLC0415 -- it knows this module

    found: set[str] = {"nbdeploy.models.ensemble.Ensemble"}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for place, name in enumerate(_content(archive)["formats"]):
                names = native_formats.globals_in(archive.read(_file_of(place, name)), name)
                if names is None:
                    return None
                found.update(names)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError):
        return None
    return tuple(sorted(found))


def _content(archive: zipfile.ZipFile) -> dict[str, Any]:
    content = json.loads(archive.read(_CONTENT))
    if content["ensemble"] != _FORMAT:
        message = f"it is an ensemble of format {content['ensemble']!r}, not {_FORMAT}"
        raise ValueError(message)
    return dict(content)


def _file_of(place: int, name: str) -> str:
    from nbdeploy.models.native_formats import ENDINGS  # noqa: PLC0415 -- it knows this module

    return f"members/{place}{ENDINGS[name]}"
