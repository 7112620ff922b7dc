"""Checks how many CPUs a process may use, out of those that the machine has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.process.cgroup import cpu_limit
from orchestrator.process.environment import usable_cpus

COUNT = "from orchestrator.process.environment import usable_cpus; print(usable_cpus())"

V1_MOUNT = "32 31 0:29 {within} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct"
V2_MOUNT = "41 31 0:38 {within} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"


def machine(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A made-up /proc and /sys."""
    contents = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, **files}
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="utf-8")
    return root


@pytest.mark.skipif(not shutil.which("taskset"), reason="taskset is not installed")
def test_a_process_bound_to_one_cpu_counts_one() -> None:
    done = subprocess.run(["taskset", "-c", "0", sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_a_batch_job_uses_the_cpus_that_it_was_granted() -> None:
    here = usable_cpus({})
    assert 1 <= here <= (os.cpu_count() or 1)
    assert usable_cpus({"SLURM_CPUS_ON_NODE": "1"}) == 1
    assert usable_cpus({"SLURM_CPUS_ON_NODE": "4096"}) == here
    assert usable_cpus({"SLURM_CPUS_ON_NODE": "many"}) == here
    assert usable_cpus({"SLURM_CPUS_ON_NODE": "0"}) == 1


def test_version_2_reads_the_processs_own_group(tmp_path: Path) -> None:
    quota = {"sys/fs/cgroup/user.slice/job.scope/cpu.max": "400000 100000"}
    assert cpu_limit(machine(tmp_path, "0::/user.slice/job.scope", V2_MOUNT.format(within="/"), quota)) == 4


def test_a_parent_group_may_allow_fewer_cpus(tmp_path: Path) -> None:
    quotas = {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "150000 100000"}
    assert cpu_limit(machine(tmp_path, "0::/a/b", V2_MOUNT.format(within="/"), quotas)) == 1.5


def test_version_1_reads_its_quota_from_two_files(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct/slurm/job_7"
    files = {f"{folder}/cpu.cfs_quota_us": "200000", f"{folder}/cpu.cfs_period_us": "100000"}
    groups = "8:pids:/\n4:cpu,cpuacct:/slurm/job_7\n0::/"
    assert cpu_limit(machine(tmp_path, groups, V1_MOUNT.format(within="/"), files)) == 2


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct"
    files = {f"{folder}/cpu.cfs_quota_us": "300000", f"{folder}/cpu.cfs_period_us": "100000"}
    for within, group in (("/docker/abc", "/docker/abc"), ("/", "/docker/abc"), ("/docker/abc", "/elsewhere")):
        root = machine(tmp_path, f"4:cpu,cpuacct:{group}", V1_MOUNT.format(within=within), files)
        assert cpu_limit(root) == 3


@pytest.mark.parametrize("quota", ["max 100000", "", "100000", "100000 0", "a b"])
def test_a_quota_without_a_limit_is_ignored(tmp_path: Path, quota: str) -> None:
    files = {"sys/fs/cgroup/cpu.max": quota, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}
    assert cpu_limit(machine(tmp_path, "0::/", V2_MOUNT.format(within="/"), files)) is None


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path) is None


@given(groups=st.text(), mounts=st.text(), quota=st.text())
def test_no_content_of_these_files_ends_a_command(
    tmp_path_factory: pytest.TempPathFactory, groups: str, mounts: str, quota: str
) -> None:
    root = tmp_path_factory.mktemp("machine")
    for name, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts, "sys/fs/cgroup/cpu.max": quota}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    limit = cpu_limit(root)
    assert limit is None or limit >= 0
