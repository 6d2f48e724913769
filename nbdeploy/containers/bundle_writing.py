"""What is in the folder of a bundle, file by file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nbdeploy.containers.bundle_folder import write_folder
from nbdeploy.containers.bundle_page import readme
from nbdeploy.containers.docker import DockerConfig, system_packages_for
from nbdeploy.containers.dockerfile import Dockerfile
from nbdeploy.containers.hashes import with_hashes
from nbdeploy.containers.model_imports import imports_of
from nbdeploy.containers.packed_model import PackedModel
from nbdeploy.containers.requirements import Lock, lock_for
from nbdeploy.containers.saved_answers import SavedAnswers
from nbdeploy.containers.wheel import pack_wheel
from nbdeploy.models.manifest import SUFFIX

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle

__all__ = ["ANSWERS", "KEYS", "write_bundle"]

#: Rows and answers for the rehearsal.
ANSWERS = "rehearsal.json"
#: What a bundle says about itself, by the names of its fields.
KEYS = ("name", "digest", "python", "port", "model_file")

_IGNORED = (
    "# Only what the Dockerfile copies is sent to the engine: never the rows of the rehearsal.\n"
    "*\n!requirements.txt\n!wheels/\n!model/\n"
)


def write_bundle(
    bundle: Bundle,
    made: PackedModel,
    *,
    answers: SavedAnswers,
    requirements: Iterable[str],
    hashes: bool | None,
    base_image: str,
    labels: Mapping[str, str],
    environment: Mapping[str, str],
    memory: str | None,
    replace: bool,
) -> None:
    """Write the folder whole or not at all; see `Bundle.create` for the options."""
    found = imports_of(made.packed.data, made.packed.entry.format, made.model)
    lock = with_hashes(lock_for(found.modules, requirements), wanted=hashes)
    own_labels = {
        "org.nbdeploy.model-digest": bundle.digest,
        "org.opencontainers.image.title": bundle.name,
    }
    dockerfile = Dockerfile(
        base_image=base_image,
        requirements="requirements.txt",
        model=bundle.model_file,
        digest=bundle.digest,
        port=bundle.port,
        system_packages=system_packages_for(lock.to_text()),
        labels={**own_labels, **labels},
        environment=environment,
    )
    compose = DockerConfig.generate_compose_file(
        bundle.name, bundle.default_tag, bundle.port, environment=environment, memory=memory
    )
    files = {
        bundle.model_file: made.packed.data,
        bundle.model_file + SUFFIX: made.manifest(),
        **_wheels(lock),
        "requirements.txt": (_lock_head(bundle) + lock.to_text()).encode(),
        "Dockerfile": dockerfile.render().encode(),
        ".dockerignore": _IGNORED.encode(),
        "compose.yaml": compose.encode(),
        "README.md": readme(bundle).encode(),
        ANSWERS: answers.to_json(),
    }
    facts = {
        **{key: getattr(bundle, key) for key in KEYS},
        "paths": sorted(found.paths),
        "datasets": dict(sorted(found.datasets.items())),
        "complete": found.is_complete,
    }
    write_folder(bundle.folder, files, facts, private=[ANSWERS], replace=replace)


def _lock_head(bundle: Bundle) -> str:
    return (
        "# What serving this model imports, in the versions of the notebook, and nothing else.\n"
        f"# For Python {bundle.python}; install with: pip install --no-deps --requirement "
        "requirements.txt\n"
    )


def _wheels(lock: Lock) -> dict[str, bytes]:
    packed = [pack_wheel(name) for name in ("nbdeploy", *lock.local)]
    return {f"wheels/{name}": content for name, content in packed}
