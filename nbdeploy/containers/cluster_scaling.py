"""What an AutoScaler in the notebook scales in a cluster."""

from __future__ import annotations

from nbdeploy.containers.kubernetes import KubernetesDeployer

__all__ = ["ClusterActuator"]


class ClusterActuator:
    """The pods of one Deployment, as an ``actuator=`` of `AutoScaler`.

    Parameters
    ----------
    deployer
        Which cluster and namespace.
    name
        The Deployment. One that has an HPA is refused when it shall be scaled.
    """

    def __init__(self, deployer: KubernetesDeployer, name: str) -> None:
        self._deployer = deployer
        self._name = name

    def __repr__(self) -> str:
        return f"<ClusterActuator of {self._name!r}>"

    @property
    def replicas(self) -> int:
        """How many pods there shall be now."""
        return self._deployer.replicas(self._name)

    def scale(self, new_replicas: int, /) -> None:
        """Have so many pods."""
        self._deployer.scale(self._name, new_replicas)
