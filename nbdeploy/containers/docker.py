"""The files of an image: the chapter's `DockerConfig`, with files that build and run."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nbdeploy.containers.checked_values import (
    checked_environment,
    checked_image,
    checked_labels,
    checked_memory,
    checked_path,
    checked_port,
    checked_service_name,
)
from nbdeploy.containers.dockerfile import Dockerfile
from nbdeploy.display.code_view import GeneratedFile
from nbdeploy.exceptions import ContainerError
from nbdeploy.models.manifest import digest_of

__all__ = ["DockerConfig", "default_base_image"]

# What wheels of PyPI load and do not bring along.
_SYSTEM_PACKAGES = {"lightgbm": "libgomp1"}
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)


class DockerConfig:
    """Write a Dockerfile and a compose file."""

    @staticmethod
    def generate_dockerfile(
        requirements_path: str,
        model_path: str,
        port: int = 8000,
        *,
        base_image: str | None = None,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> GeneratedFile:
        """Write a Dockerfile that serves a saved model, and nothing else to disk.

        It copies, from the folder that is built: the requirements, the folder ``wheels`` beside
        them, the model, and its manifest. `Bundle` makes such a folder.

        Parameters
        ----------
        requirements_path
            A file with every package that serving needs, each of one version.
        model_path
            A file of `ModelSerializer.save_model`. If it is there now, the container serves these
            bytes and no others; otherwise it must be told ``NBDEPLOY_TRUST=sha256:...``.
        port
            Where the service listens.
        base_image
            Has Python and pip; ``python:3.X-slim`` of the Python that runs here when ``None``. With
            ``@sha256:...`` it is the same image for ever.
        labels
            Of the image.
        environment
            Variables of the image. Secrets are refused: an image tells them to all who have it.

        Returns
        -------
        GeneratedFile
            A ``str`` that a notebook shows highlighted, with a download.

        Raises
        ------
        ContainerError
            If a text could mean anything else than itself in the file.

        Examples
        --------
        >>> text = DockerConfig.generate_dockerfile("requirements.txt", "model/model.joblib")
        >>> print(text.splitlines()[-1])
        CMD ["serve", "/app/model/model.joblib"]
        """
        requirements = checked_path(requirements_path, "file of requirements")
        model = checked_path(model_path, "model")
        image = default_base_image() if base_image is None else checked_image(base_image)
        text = Dockerfile(
            base_image=image,
            requirements=requirements,
            model=model,
            digest=_digest_of_file(Path(model)),
            port=checked_port(port),
            system_packages=system_packages_for(_read(Path(requirements))),
            labels=checked_labels(labels),
            environment=checked_environment(environment),
        ).render()
        return GeneratedFile(text, name="Dockerfile")

    @staticmethod
    def generate_compose_file(
        service_name: str,
        image_name: str,
        port: int = 8000,
        *,
        environment: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        memory: str | None = None,
    ) -> GeneratedFile:
        r"""Write a compose file that runs an image with as few rights as serving needs.

        It wants ``NBDEPLOY_TOKEN`` to be set where it is started, and is reached from this machine
        only unless ``NBDEPLOY_BIND`` names another address.

        Parameters
        ----------
        service_name
            What the service is called; other services reach it under this name.
        image_name
            What the image is called.
        port
            Where the service listens, inside and outside.
        environment
            Further variables; no secrets.
        labels
            Of the container.
        memory
            The most that it may use, ``"1g"`` for example.

        Raises
        ------
        ContainerError
            If a text could mean anything else than itself in the file.

        Examples
        --------
        >>> text = DockerConfig.generate_compose_file("churn", "churn:1.1")
        >>> print("\n".join(text.splitlines()[:3]))
        services:
          churn:
            image: churn:1.1
        """
        inside = checked_port(port)
        service: dict[str, Any] = {
            "image": checked_image(image_name),
            "build": {"context": "."},
            "ports": [f"${{NBDEPLOY_BIND:-127.0.0.1}}:{inside}:{inside}"],
            "environment": {
                **checked_environment(environment),
                "NBDEPLOY_PORT": str(inside),
                "NBDEPLOY_TOKEN": "${NBDEPLOY_TOKEN:?set it to the secret that callers send}",
            },
            "read_only": True,
            "tmpfs": ["/tmp"],  # noqa: S108 -- inside of the container
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "restart": "unless-stopped",
            "stop_grace_period": "15s",
        }
        if labels:
            service["labels"] = checked_labels(labels)
        if memory is not None:
            service["mem_limit"] = checked_memory(memory)
        document = {"services": {checked_service_name(service_name): service}}
        text = yaml.safe_dump(document, sort_keys=False, width=100)
        return GeneratedFile(text, name="compose.yaml")


def default_base_image() -> str:
    """Name the image whose Python reads what this one saved: code is compiled for one minor."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def system_packages_for(requirements: str) -> list[str]:
    r"""Return the packages of Debian that the libraries of a lock load.

    Examples
    --------
    >>> system_packages_for("lightgbm==4.6.0\nnumpy==2.4.6\n")
    ['libgomp1']
    """
    pinned = {name.lower() for name in _PINNED.findall(requirements)}
    return sorted({_SYSTEM_PACKAGES[name] for name in pinned & _SYSTEM_PACKAGES.keys()})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        message = f"The requirements {str(path)!r} cannot be read: {error}."
        raise ContainerError(message) from error


def _digest_of_file(path: Path) -> str | None:
    try:
        return digest_of(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"The model {str(path)!r} cannot be read: {error}. Give the path of a file."
        raise ContainerError(message) from error
