"""Queries the resources of a running Ray cluster."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from orchestrator.errors import ExecutorError
from orchestrator.execution.messages import Cluster, DescribeCluster, End, Phase
from orchestrator.execution.ray_address import CONNECT_SECONDS, check_reachable, no_answer
from orchestrator.execution.ray_environment import cluster_environment
from orchestrator.execution.ray_process import RayProcess, ray_process


def describe_cluster(address: str) -> Cluster:
    """The CPUs, GPUs and nodes of the cluster at ``address``.

    Raises:
        ExecutorError: nothing answers there, or the cluster cannot be joined.
    """
    check_reachable(address)
    with tempfile.TemporaryDirectory(prefix="fsl-") as folder:
        working = Path(folder) / "cwd"
        working.mkdir()
        with ray_process(cluster_environment(os.environ), folder=working, log=Path(folder) / "log") as process:
            process.ask(DescribeCluster(address=address))
            return _answer(process, address)


def _answer(process: RayProcess, address: str) -> Cluster:
    deadline: float | None = None
    try:
        while deadline is None or time.monotonic() < deadline:
            message = process.next_message(0.2)
            if isinstance(message, Cluster):
                return message
            if isinstance(message, End):
                raise ExecutorError(message.detail)
            if isinstance(message, Phase) and message.waits_for == "cluster":
                deadline = time.monotonic() + CONNECT_SECONDS
    except EOFError as error:
        raise ExecutorError(f"the Ray cluster at {address} cannot be joined: {process.last_words()}") from error
    raise no_answer(address)
