"""Models as workers take them: saved once, known by their digest, gone with their route."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from nbdeploy.models.compiled import CompiledModel
from nbdeploy.models.manifest import digest_of
from nbdeploy.models.pickle_formats import dump_joblib
from nbdeploy.models.predictor import EstimatorPredictor, FunctionPredictor
from nbdeploy.serving.routing import Route

__all__ = ["Artifact", "Artifacts", "save_artifact"]


@dataclass(frozen=True)
class Artifact:
    """One saved model.

    Parameters
    ----------
    key
        What the pool calls it.
    digest
        The ``sha256:...`` of what was saved.
    named
        The digest that the route carries: of the file that the model was first saved in.
    version
        What answers carry.
    file
        What was saved. It has no name: nobody else opens it, and nothing of it is left behind.
    signature
        What its rows look like.
    baseline
        How they were distributed, where that is known.
    compile
        Whether few rows are answered by its compiled twin.
    transform_output
        What its transformers give.
    """

    key: str
    digest: str
    named: str
    version: str
    file: IO[bytes] = field(repr=False)
    signature: dict[str, Any] = field(repr=False)
    baseline: dict[str, Any] | None = field(repr=False)
    compile: bool
    transform_output: str = "default"

    def order(self) -> dict[str, Any]:
        """Write what tells a worker to load it; the file goes along."""
        return {
            "do": "load",
            "key": self.key,
            "digest": self.digest,
            "named": self.named,
            "version": self.version,
            "signature": self.signature,
            "baseline": self.baseline,
            "compile": self.compile,
            "transform_output": self.transform_output,
            "path": [str(Path(folder).absolute()) for folder in sys.path],
        }


class Artifacts:
    """The saved models of one pool.

    Parameters
    ----------
    forget
        Called with the key of an artifact when nobody can ask its route any more, in any thread.
    with_baseline
        See `save_artifact`.
    """

    def __init__(self, forget: Callable[[str], object], *, with_baseline: bool = False) -> None:
        self._forget = forget
        self._with_baseline = with_baseline
        self._lock = threading.Lock()
        self._of: weakref.WeakKeyDictionary[Route, Artifact] = weakref.WeakKeyDictionary()
        self._keys = itertools.count(1)

    def of(self, route: Route) -> Artifact:
        """Give the artifact of a route; the first call saves the model.

        Raises
        ------
        ModelFileError
            If the model cannot be saved.
        """
        with self._lock:
            artifact = self._of.get(route)
            if artifact is None:
                key = str(next(self._keys))
                artifact = save_artifact(route, key=key, with_baseline=self._with_baseline)
                self._of[route] = artifact
                weakref.finalize(route, self._forget, artifact.key).atexit = False
            return artifact

    def all(self) -> list[Artifact]:
        """List what may be asked now."""
        with self._lock:
            return list(self._of.values())

    def close(self) -> None:
        """Drop all."""
        with self._lock:
            self._of.clear()


def save_artifact(route: Route, *, key: str, with_baseline: bool = False) -> Artifact:
    """Save the model of a route.

    Parameters
    ----------
    route
        The route.
    key
        What the artifact is called.
    with_baseline
        Whether the process that loads it sees the rows itself.

    Raises
    ------
    ModelFileError
        If the model cannot be saved.
    """
    has_baseline = with_baseline and route.drift is not None
    baseline = route.drift.baseline().to_dict() if has_baseline and route.drift else None
    # Adapters that users registered exist only here: they travel instead of their models.
    is_usual = type(route.predictor) in {EstimatorPredictor, FunctionPredictor}
    data = dump_joblib(route.predictor.model if is_usual else route.predictor)  # type: ignore[attr-defined]
    file = tempfile.TemporaryFile(prefix="nbdeploy-")  # noqa: SIM115 -- open as long as the artifact
    file.write(data)
    file.flush()
    artifact = Artifact(
        key=key,
        digest=digest_of(data),
        named=route.digest,
        version=route.version,
        file=file,
        signature=route.signature.to_dict(),
        baseline=baseline,
        compile=isinstance(route.compiled, CompiledModel),
        transform_output=route.transform_output,
    )
    weakref.finalize(artifact, file.close).atexit = False
    return artifact
