"""Section 2.2 of the chapter: what a service did, in numbers."""

from nbdeploy.monitoring.experiment import sample_size
from nbdeploy.monitoring.request_log import RequestLog

__all__ = ["RequestLog", "sample_size"]
