"""Records that outlive a kernel: one small file a step, beside the user's key."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbdeploy.models.trust import config_folder

__all__ = ["KeptRecords"]


class KeptRecords:
    """The records of one user, read and written by all kernels.

    A file a step, replaced in one step: kernels that check at the same moment lose nothing. Where
    nothing can be written, a read-only home for example, the records live as long as the kernel.

    Parameters
    ----------
    folder
        Where the files are; beside the user's key if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder or config_folder() / "progress"

    def read(self) -> dict[str, dict[str, Any]]:
        """Give what is known of every step; files that cannot be read are left out."""
        return {path.stem: facts for path in self._files() if (facts := _facts(path))}

    def write(self, step: str, facts: dict[str, Any]) -> None:
        """Keep what is known of a step."""
        path = self.folder / f"{step}.json"
        part = path.with_name(f"{step}.{os.getpid()}.part")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(facts), encoding="utf-8")
            part.replace(path)

    def forget(self, step: str | None = None) -> None:
        """Forget a step, or all of them."""
        for path in self._files():
            if step is None or path.stem == step:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        try:
            yield from sorted(self.folder.glob("*.json"))
        except OSError:
            return


def _facts(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
