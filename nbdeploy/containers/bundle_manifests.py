"""From a bundle to the objects of Kubernetes that serve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from nbdeploy.containers.checked_values import service_name_from
from nbdeploy.containers.cluster_token import kept_token
from nbdeploy.containers.manifests import Manifests
from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.containers.manifests_values import checked_name, has_registry
from nbdeploy.display.units import duration, file_size
from nbdeploy.exceptions import ClusterError, ContainerError
from nbdeploy.models.manifest import SUFFIX, Entry, Manifest
from nbdeploy.models.signature import Signature
from nbdeploy.scaling.policies import Policy

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle

__all__ = ["ManifestKeywords", "manifests_of", "signature_of"]

_RATE = 50  # requests a second that one pod shall bear


class ManifestKeywords(TypedDict, total=False):
    """What `Bundle.kubernetes` hands on to `Manifests`."""

    digest: str | None
    env: Mapping[str, str]
    annotations: Mapping[str, str]
    host: str | None
    ingress_class: str | None
    tls_secret: str | None
    service_monitor: bool
    pull_secret: str | None
    drain: int


def manifests_of(
    bundle: Bundle,
    *,
    image: str | None,
    name: str | None,
    namespace: str,
    replicas: int,
    autoscale: Policy | None,
    token: str | None,
    resources: Resources | None,
    keywords: ManifestKeywords,
) -> Manifests:
    """Do what `Bundle.kubernetes` tells."""
    chosen = image or bundle.image
    if chosen is None:
        message = (
            f"Which image shall the cluster run? {bundle.name!r} has none yet. Expected "
            'bundle.build(tag="registry.example/churn:1.1"), its push(), and then kubernetes(); or '
            "image= with the name of one that is in a registry."
        )
        raise ClusterError(message)
    called = _name_of(bundle) if name is None else checked_name(name)
    checked_name(namespace, "namespace")
    measured, about = _measured(bundle)
    notes = [] if resources is not None else [about]
    if isinstance(chosen, str) and not has_registry(chosen):
        notes.append(
            f"No cluster can pull {chosen!r} from this machine: bundle.push("
            f"'registry.example/{chosen}') sends it to a registry; with kind, `kind load "
            f"docker-image {chosen}` does."
        )
    # Everything is checked before a token is kept on the disk.
    made = Manifests(
        name=called,
        image=chosen,
        version=_entry_of(bundle).version or bundle.digest.removeprefix("sha256:")[:12],
        namespace=namespace,
        replicas=replicas,
        autoscale=autoscale,
        port=bundle.port,
        token=None if token == "auto" else token,  # noqa: S105 -- a keyword, not a secret
        resources=resources or measured or Resources(),
        signature=signature_of(bundle),
        about=tuple(notes),
        **keywords,
    )
    if token == "auto":  # noqa: S105 -- as above
        return made.with_token(kept_token(namespace, called))
    return made


def signature_of(bundle: Bundle) -> Signature:
    """Read what a row of a bundle's model looks like."""
    entry = _entry_of(bundle)
    assert entry.signature is not None
    return Signature.from_dict(entry.signature)


def _entry_of(bundle: Bundle) -> Entry:
    path = bundle.folder / (bundle.model_file + SUFFIX)
    try:
        entry = Manifest.from_json(path.read_bytes()).entry_for(bundle.digest)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}. Write the bundle again."
        raise ContainerError(message) from error
    if entry is None or entry.signature is None:
        message = f"{bundle.model_file} is not the model of this bundle. Write the bundle again."
        raise ContainerError(message)
    return entry


def _name_of(bundle: Bundle) -> str:
    # A container may begin with a digit, a Service may not.
    name = service_name_from(bundle.name)
    return name if name[0].isalpha() else f"model-{name}"[:63].rstrip("-")


def _measured(bundle: Bundle) -> tuple[Resources | None, str]:
    seen = bundle.measured
    try:
        memory, cpu = int((seen or {})["memory"]), float((seen or {})["cpu_per_request"])
        found = Resources.measured(memory=memory, cpu=cpu * _RATE)
    except (KeyError, TypeError, ValueError, ClusterError):
        return None, (
            "Nobody has measured what the model needs: the resources are a guess. bundle.check() "
            "measures, and kubernetes() then proposes what was seen."
        )
    return found, (
        f"check() saw {file_size(memory)} and {duration(cpu)} of CPU for a request. Proposed are "
        f"{found.memory} and, for {_RATE} requests a second in each pod, {found.cpu} of CPU; "
        "resources= says otherwise."
    )
