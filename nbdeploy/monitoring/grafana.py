"""A dashboard and alert rules for what ``/metrics`` tells, to be exported and taken as they are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["FILES", "export"]

FILES = ("grafana_dashboard.json", "prometheus_rules.yaml")
"""What is exported; they lie beside this module."""


def export(folder: Path) -> list[Path]:
    """Write the files to a folder, which is made if it is missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in export(Path(folder))]
    ['grafana_dashboard.json', 'prometheus_rules.yaml']
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in FILES:
        path = folder / name
        path.write_bytes(files("nbdeploy.monitoring").joinpath(name).read_bytes())
        written.append(path)
    return written
