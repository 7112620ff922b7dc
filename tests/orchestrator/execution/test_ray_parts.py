"""The watch over the processes of a Ray, on processes that only have their names."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import psutil
import pytest

from orchestrator.execution import ray_parts
from orchestrator.execution.ray_parts import AGENT, RayParts, kill_all

WORKER, HELPER = "ray::Trainable", "git-daemon"
TREE: Mapping[str, Any] = {"raylet": {AGENT: {}, WORKER: {}, HELPER: {}, "raylet": {}}, "gcs_server": {}, "dashboard": {}}
SPAWN = """
import json, subprocess, sys, time
code, python, tree = sys.argv[1:]
for name, below in json.loads(tree).items():
    subprocess.Popen([name, "-c", code, code, python, json.dumps(below)], executable=python)
time.sleep(600)
"""


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A process with the tree of a Ray: its servers, and below the raylet an agent, a worker, something else and a fork of itself."""
    monkeypatch.setattr(ray_parts, "_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(ray_parts, "GRACE_SECONDS", 1.0)
    home = {**os.environ, "PYTHONHOME": sys.base_prefix}  # these names tell Python nothing of its folder
    with subprocess.Popen(
        [sys.executable, "-c", SPAWN, SPAWN, os.path.realpath(sys.executable), json.dumps(TREE)], env=home
    ) as process:
        found = psutil.Process(process.pid)
        deadline = time.monotonic() + 30
        while len(below := found.children(recursive=True)) < 7 or not all(map(_named, below)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield found
        for each in [*below, found]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _named(process: psutil.Process) -> bool:
    return process.cmdline()[:1] != [] and "python" not in process.cmdline()[0]


def child(root: psutil.Process, name: str, *, of: str | None = None) -> psutil.Process:
    """A descendant with this name, directly below the root, or below its child ``of``."""
    above = root if of is None else child(root, of)
    [found] = [process for process in above.children() if process.cmdline()[0] == name]
    return found


def lost_within(parts: RayParts, seconds: float) -> str | None:
    """What is lost by then."""
    deadline = time.monotonic() + seconds
    while (lost := parts.lost()) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return lost


@pytest.mark.parametrize(("name", "of"), [("raylet", None), ("gcs_server", None), (AGENT, "raylet")])
def test_a_vital_part_is_lost_once_it_has_been_dead_for_the_grace(root: psutil.Process, name: str, of: str | None) -> None:
    parts = RayParts(root)
    assert lost_within(parts, 0.2) is None
    child(root, name, of=of).kill()
    assert lost_within(parts, 0.5) is None
    assert lost_within(parts, 10) == name


@pytest.mark.parametrize(("name", "of"), [("dashboard", None), (WORKER, "raylet"), (HELPER, "raylet"), ("raylet", "raylet")])
def test_the_end_of_another_process_is_no_loss(root: psutil.Process, name: str, of: str | None) -> None:
    """Also of a fork of the raylet, which has its command line until it becomes a worker."""
    parts = RayParts(root)
    assert lost_within(parts, 0.2) is None
    child(root, name, of=of).kill()
    assert lost_within(parts, 1.5) is None


def test_a_worker_that_outlives_the_raylet_is_found_and_killed_but_nothing_of_the_users(root: psutil.Process) -> None:
    parts = RayParts(root)
    worker, helper = (child(root, name, of="raylet") for name in (WORKER, HELPER))
    assert {worker, helper} <= parts.look()
    raylet = child(root, "raylet")
    raylet.kill()
    while worker.ppid() == raylet.pid:
        time.sleep(0.01)
    running = parts.look()
    assert worker in running and helper not in running
    kill_all(running, 10)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert helper.is_running()
    helper.kill()


def test_a_process_that_has_ended_is_forgotten(root: psutil.Process) -> None:
    parts = RayParts(root)
    worker = child(root, WORKER, of="raylet")
    assert worker in parts.look()
    child(root, "raylet").kill()
    worker.kill()
    psutil.wait_procs([worker], timeout=10)
    assert worker not in parts.look()
    kill_all([worker], 1)  # does nothing, whoever has its number now


def test_the_descendants_of_a_process_that_has_ended_are_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        parts = RayParts(psutil.Process(process.pid))
    assert parts.look() == set()
    assert parts.lost() is None
