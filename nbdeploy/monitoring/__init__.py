"""Section 2.2 of the chapter: what a service did, in numbers."""

from nbdeploy.monitoring.experiment import sample_size

__all__ = ["sample_size"]
