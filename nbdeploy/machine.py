"""What this process may use of the machine: processors and memory.

A container or a hub gives a share of a big machine. ``os.cpu_count()`` and the total memory tell
of the machine, so a program that trusts them starts 64 workers on a share of two. The share is
the smallest of three things: the machine, the scheduling affinity, and the quota of every
control group (cgroup, version 1 or 2) that the process is in.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["machine_cpus", "memory_limit", "usable_cpus"]

_ROOT = Path("/")
_VERSION_2 = "unified"
# Version 1 writes "no limit" as the largest multiple of a page that fits in a signed 64 bit word.
_NO_LIMIT = 1 << 60


def machine_cpus() -> int:
    """Count the processors of the machine, whoever may use them.

    Returns
    -------
    Logical processors, at least 1.
    """
    return os.cpu_count() or 1


def usable_cpus(root: Path = _ROOT) -> float:
    """Count the processors that this process may use.

    Parameters
    ----------
    root
        Where the system keeps ``proc`` and ``sys``; another folder in tests.

    Returns
    -------
    Processors; a quota may be a fraction, such as 0.5. Never 0.

    Examples
    --------
    >>> 0 < usable_cpus() <= machine_cpus()
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine_cpus()
    quota = _cpu_quota(root)
    return float(cores) if quota is None else min(float(cores), quota)


def memory_limit(root: Path = _ROOT) -> int:
    """Tell how much memory this process may use.

    Parameters
    ----------
    root
        Where the system keeps ``proc`` and ``sys``; another folder in tests.

    Returns
    -------
    Bytes: the smallest of the machine's memory and the limits of the control groups.
    """
    import psutil  # noqa: PLC0415 -- heavy import: 20 ms that only this question needs

    limits = [int(psutil.virtual_memory().total)]
    for name, values in (("memory.max", _VERSION_2), ("memory.limit_in_bytes", "memory")):
        limits += [
            int(text)
            for folder in _groups(root, values)
            if (text := _read(folder / name)).isdigit() and 0 < int(text) < _NO_LIMIT
        ]
    return min(limits)


def _cpu_quota(root: Path) -> float | None:
    quotas = [_quota(*_read(folder / "cpu.max").split()) for folder in _groups(root, _VERSION_2)]
    quotas += [
        _quota(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))
        for folder in _groups(root, "cpu")
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(quota: str = "", period: str = "100000") -> float | None:
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None  # "max" in version 2, -1 in version 1, or no such file
    return int(quota) / int(period) or None


def _groups(root: Path, controller: str) -> list[Path]:
    """List the folders of the process's control group, its own first, the top one last."""
    found: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        wanted = (
            not controllers if controller == _VERSION_2 else controller in controllers.split(",")
        )
        if not wanted:
            continue
        for top in _mounts(root, controllers):
            own = top / path.strip("/")
            # Inside a container the path may be the host's: then only the top folder is there.
            found += [own, *(parent for parent in own.parents if parent.is_relative_to(top))]
    return list(dict.fromkeys(found))


def _mounts(root: Path, controllers: str) -> list[Path]:
    top = root / "sys/fs/cgroup"
    if not controllers:
        return [top, top / _VERSION_2]
    return [top / controllers, *(top / name for name in controllers.split(","))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
