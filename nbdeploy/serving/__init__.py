"""Section 2.1 of the chapter: a model as a service."""

from nbdeploy.serving.rollout import Guard, Rollout

__all__ = ["Guard", "Rollout"]
