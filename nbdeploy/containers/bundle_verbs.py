"""What is done with a bundle: rehearsed, built, run, pushed, rendered for a cluster."""

from __future__ import annotations

from dataclasses import replace as with_changes
from typing import TYPE_CHECKING, Unpack, cast

from nbdeploy.containers.checked_values import checked_image
from nbdeploy.containers.engine import Engine, find_engine
from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ContainerError

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle
    from nbdeploy.containers.bundle_manifests import ManifestKeywords
    from nbdeploy.containers.check_report import CheckReport
    from nbdeploy.containers.container import Container
    from nbdeploy.containers.manifests import Manifests
    from nbdeploy.containers.manifests_resources import Resources
    from nbdeploy.scaling.policies import Policy

__all__ = ["BundleVerbs"]


class BundleVerbs:
    """The verbs of `Bundle`, which alone has them."""

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

        return check_bundle(self._itself(), quick=quick, timeout=timeout)

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
        image = checked_image(tag or self._itself().default_tag)
        chosen = engine or find_engine()
        with ProgressBar(f"Building {image}") as bar:
            chosen.build(self._itself().folder, image, progress=bar.update)
        return with_changes(self._itself(), image=image)

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
        bundle = self._itself()
        built = bundle if bundle.image is not None else self.build(engine=chosen)
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
        bundle = self._itself()
        if bundle.image is None:
            message = f"{bundle.name!r} has no image yet. Call bundle.build(tag).push()."
            raise ContainerError(message)
        target = checked_image(image or bundle.image)
        chosen = engine or find_engine()
        with ProgressBar(f"Pushing {target}") as bar:
            return chosen.push(bundle.image, target, progress=bar.update)

    def kubernetes(
        self,
        image: str | None = None,
        *,
        replicas: int = 3,
        autoscale: Policy | None = None,
        name: str | None = None,
        namespace: str = "default",
        token: str | None = "auto",  # noqa: S107 -- a keyword, not a secret
        resources: Resources | None = None,
        **options: Unpack[ManifestKeywords],
    ) -> Manifests:
        """Render the objects of Kubernetes that serve this model; no cluster is asked.

        Parameters
        ----------
        image
            What the cluster pulls: ``"registry.example/churn:1.1"``; the one that `build` made when
            ``None``.
        replicas
            Pods, as long as there is no `autoscale`.
        autoscale
            A policy of `nbdeploy.scaling`, which becomes an HPA.
        name
            What the objects are called; the bundle's name when ``None``.
        namespace
            Where they are.
        token
            What callers must send: ``"auto"`` makes one up and keeps it for the next run of the
            cell, ``None`` asks for none.
        resources
            What a pod requests; proposed from what `check` measured when ``None``.
        options
            ``host``, ``env``, ``service_monitor`` and more, see `Manifests`.

        Returns
        -------
        Manifests
            Shown in tabs; ``save(path)`` writes the YAML, ``apply()`` sends it to a cluster.

        Raises
        ------
        ClusterError
            If there is no image, or a value cannot be used.
        """
        from nbdeploy.containers.bundle_manifests import manifests_of  # noqa: PLC0415 -- only here

        return manifests_of(
            self._itself(),
            image=image,
            name=name,
            namespace=namespace,
            replicas=replicas,
            autoscale=autoscale,
            token=token,
            resources=resources,
            keywords=options,
        )

    def _itself(self) -> Bundle:
        return cast("Bundle", self)
