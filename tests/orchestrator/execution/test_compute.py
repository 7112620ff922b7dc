"""The number of trials that run at once: each machine holds whole trials."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.errors import ExecutionPathError
from orchestrator.execution.compute import GPU_SHARE, Compute, Node

QUARTER = Compute(gpus=0.25)


@pytest.mark.parametrize(
    ("nodes", "compute", "most", "wanted"),
    [
        ([Node(cpus=8)], Compute(), None, 8),
        ([Node(cpus=8)], Compute(), 3, 3),
        ([Node(cpus=8, gpus=1)], QUARTER, None, 4),
        ([Node(cpus=8, gpus=2)], QUARTER, None, 8),
        ([Node(cpus=2, gpus=4)], QUARTER, None, 2),
        ([Node(cpus=8)], QUARTER, None, 0),
        ([Node(cpus=1)], Compute(threads=2), None, 0),
        ([Node(cpus=8, gpus=4)], Compute(gpus=2), None, 2),
        ([Node(cpus=8, gpus=1)], Compute(gpus=0.1), None, 8),
        ([Node(cpus=64, gpus=1)], Compute(gpus=0.1), None, 10),
        ([Node(cpus=3), Node(cpus=3)], Compute(threads=2), None, 2),
        ([Node(cpus=64), Node(cpus=4, gpus=4)], QUARTER, None, 4),
        ([Node(cpus=64, gpus=2)], Compute(gpus=0.4), None, 4),
    ],
    ids=lambda value: str(value),
)
def test_trials_share_cpus_and_gpus(nodes: list[Node], compute: Compute, most: int | None, wanted: int) -> None:
    """No trial spans two machines, and no part of a GPU two GPUs: leftovers make no slot."""
    assert dataclasses.replace(compute, at_once=most).slots(nodes) == wanted


@given(
    st.lists(st.builds(Node, cpus=st.integers(0, 64), gpus=st.integers(0, 8)), max_size=5),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0, 2.0]),
)
def test_no_more_trials_run_at_once_than_all_machines_hold(nodes: list[Node], threads: int, gpus: float) -> None:
    there = Compute(threads=threads, gpus=gpus).slots(nodes)
    assert there * threads <= sum(node.cpus for node in nodes)
    assert there * gpus <= sum(node.gpus for node in nodes) + 1e-6


def test_the_default_share_of_a_gpu_applies() -> None:
    assert Compute.on("cuda", threads=1) == Compute(device="cuda", gpus=GPU_SHARE)
    assert Compute.on("cuda", threads=2, gpus=0.1) == Compute(device="cuda", threads=2, gpus=0.1)
    assert Compute.on("cpu", threads=2, gpus=0.1) == Compute(threads=2)


@pytest.mark.parametrize("wrong", [{"gpus": 1.5}, {"gpus": -1.0}, {"threads": 0}])
def test_a_share_that_no_scheduler_grants_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ExecutionPathError):
        Compute(**wrong)  # type: ignore[arg-type]
