from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.machine import machine_cpus, memory_limit, usable_cpus


@pytest.fixture
def system(tmp_path):
    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
        return tmp_path

    return write


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)


def test_without_control_groups_the_affinity_decides(system, four_cores):
    assert usable_cpus(system({})) == 4.0


def test_a_quota_of_version_2_is_a_fraction_of_processors(system, four_cores):
    root = system({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"})
    assert usable_cpus(root) == 1.5


def test_max_means_no_quota(system, four_cores):
    root = system({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert usable_cpus(root) == 4.0


def test_the_strictest_group_on_the_way_up_decides(system, four_cores):
    root = system(
        {
            "proc/self/cgroup": "0::/hub.slice/user-7.scope\n",
            "sys/fs/cgroup/hub.slice/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/hub.slice/user-7.scope/cpu.max": "300000 100000\n",
        }
    )
    assert usable_cpus(root) == 2.0


def test_a_quota_of_version_1_counts(system, four_cores):
    group = "sys/fs/cgroup/cpu,cpuacct/docker/abc"
    root = system(
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
            f"{group}/cpu.cfs_quota_us": "50000\n",
            f"{group}/cpu.cfs_period_us": "100000\n",
        }
    )
    assert usable_cpus(root) == 0.5


def test_minus_one_in_version_1_means_no_quota(system, four_cores):
    root = system(
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert usable_cpus(root) == 4.0


def test_a_path_of_the_host_falls_back_to_the_group_that_is_mounted(system, four_cores):
    root = system(
        {
            "proc/self/cgroup": "3:cpu:/docker/of-the-host\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert usable_cpus(root) == 2.0


@given(quota=st.integers(1, 10**9), period=st.integers(1, 10**6))
def test_a_quota_never_gives_more_than_the_affinity_and_never_nothing(
    quota, period, tmp_path_factory
):
    root = tmp_path_factory.mktemp("root")
    (root / "proc/self").mkdir(parents=True)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n", encoding="ascii")
    (root / "sys/fs/cgroup/cpu.max").write_text(f"{quota} {period}\n", encoding="ascii")
    assert 0 < usable_cpus(root) <= usable_cpus(Path("/does/not/exist"))


def test_on_this_machine_the_usable_processors_are_some_of_all():
    assert 0 < usable_cpus() <= machine_cpus()


@pytest.mark.parametrize(
    ("group", "limit"),
    [
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "1000000\n"}, 1_000_000),
        (
            {
                "proc/self/cgroup": "4:memory:/a\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
            },
            2_000_000,
        ),
    ],
)
def test_the_smallest_memory_limit_of_the_groups_counts(system, group, limit):
    assert memory_limit(system(group)) == limit


def test_without_a_limit_the_memory_is_that_of_the_machine(system):
    import psutil

    root = system({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"})
    assert memory_limit(root) == psutil.virtual_memory().total
