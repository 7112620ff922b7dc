"""The process that runs Ray: it connects, has Tune schedule the trials, and forwards their events.

:mod:`orchestrator.execution.ray_process` starts it, because the death of a part of Ray usually ends the process that uses Ray silently.
Tune only schedules. The store decides which jobs are missing, every launch gives Tune a fresh grid of them, and a trial resumes from its
own checkpoint; so Tune's experiment state is discarded.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError

from fsl_core.code_digest import code_digest
from orchestrator.execution.compute import Node
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.memory_request import Room, alone_text, memory_requests
from orchestrator.execution.messages import Cluster, DescribeCluster, End, GivenUp, Hello, Phase, RunTrials, WorkerDied
from orchestrator.execution.ray_environment import QUIET, WORKER
from orchestrator.execution.ray_trial import EVENTS, RayTrial
from orchestrator.execution.running_trials import WORKER_DEATHS_FORGIVEN
from orchestrator.execution.session_folder import RAYS_FOLDER

Send = Callable[[object], None]


def main(descriptor: int) -> None:
    """Serve the driver's one request, over the pipe with this file descriptor, and end."""
    connection = Connection(descriptor)
    connection.send(Hello(code_digest=code_digest()))
    request = connection.recv()
    threading.Thread(target=_die_with_the_driver, args=(connection,), daemon=True).start()
    connection.send(_answer(request, connection.send))
    ray.shutdown()


def _die_with_the_driver(connection: Connection) -> None:
    """End at once when the driver's end of the pipe closes; a living driver sends no further message."""
    connection.poll(None)
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(request: object, send: Send) -> object:
    if isinstance(request, DescribeCluster):
        return _connect(request.address, send) or _describe()
    assert isinstance(request, RunTrials)
    return (_connect(request.address, send) if request.address else _start(request, send)) or _fit(request, send)


def _connect(address: str, send: Send) -> End | None:
    send(Phase(f"connecting to the Ray cluster at {address}", waits_for="cluster"))
    try:
        ray.init(address=address, runtime_env={"env_vars": {**QUIET, **WORKER}}, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds: nothing answers, another version of Ray, a wrong token
        return End("refused", f"the Ray cluster at {address} cannot be joined: {_first_line(error)}")
    send(Phase("Ray is connected"))
    return None


def _describe() -> Cluster:
    return Cluster(nodes=tuple(map(_node, _nodes())))


def _start(request: RunTrials, send: Send) -> End | None:
    send(Phase("starting Ray", waits_for="start"))
    try:
        ray.init(
            address="local",  # without it Ray would join any cluster that runs on this machine
            num_cpus=request.cpus,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            runtime_env={"env_vars": {**QUIET, **WORKER}},
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(request.session / RAYS_FOLDER),
        )
    except Exception as error:  # Ray has no class of its own for a node that does not come up
        slow = "timed out during startup" in str(error)
        why = "Ray did not start in time: this machine is too busy, or killed a part of Ray"
        return End("refused", why if slow else f"Ray: {_first_line(error)}")
    send(Phase("Ray has started; its first workers are starting"))
    return None


def _fit(request: RunTrials, send: Send) -> End:
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    _leave_trackers_alone()
    try:
        _tuner(request, send).fit()
    except RuntimeError as error:
        if not isinstance(error.__cause__, OutOfMemoryError):
            raise
        return End("memory", str(error))  # Ray's memory monitor ended a worker: Tune does not handle this error
    return End("finished")


def _tuner(request: RunTrials, send: Send) -> tune.Tuner:
    """Tune, with the trials as a grid and everything off that it would keep of them."""
    jobs = {job.fingerprint: job for job in request.jobs}
    rooms = _rooms(request.jobs[0])
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(RayTrial, jobs=jobs), _resources(jobs, rooms, send)),
        param_space={"trial": tune.grid_search(list(jobs))},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            max_concurrent_trials=_at_once(request, rooms),
            trial_name_creator=lambda trial: trial.config["trial"],
            trial_dirname_creator=lambda trial: trial.config["trial"],
        ),
        run_config=tune.RunConfig(
            name=request.storage.name,
            storage_path=str(request.storage.parent),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=WORKER_DEATHS_FORGIVEN),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # trials write their own
            callbacks=[_EventCallback(send)],
        ),
    )


def _leave_trackers_alone() -> None:
    """Hides MLflow from Tune, which would import it, for seconds, only to count callbacks for disabled statistics."""
    sys.modules.setdefault("mlflow", None)  # type: ignore[arg-type]


def _nodes() -> list[Mapping[str, float]]:
    """The resources of each live node, by name."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _node(have: Mapping[str, float]) -> Node:
    return Node(cpus=int(have.get("CPU", 0)), gpus=int(have.get("GPU", 0)))


def _rooms(job: TrialJob) -> list[Room]:
    """The capacity of each node for trials like this one, without the nodes that hold none."""
    rooms = [Room(memory=int(have.get("memory", 0)), slots=job.compute.times_in(_node(have))) for have in _nodes()]
    return [room for room in rooms if room.slots]


def _at_once(request: RunTrials, rooms: Sequence[Room]) -> int | None:
    """The most trials that Tune may queue at Ray. On this machine no more than can run: Tune would request resources and give them up.

    A cluster may grow, so there Tune queues more trials for further nodes.
    """
    if request.address is not None:
        return request.at_once
    slots = max(1, sum(room.slots for room in rooms))
    return min(slots, request.at_once or slots)


def _resources(
    jobs: Mapping[str, TrialJob], rooms: Sequence[Room], send: Send
) -> Callable[[Mapping[str, Any]], tune.PlacementGroupFactory]:
    """The resources that each trial requests. A trial predicted to need more memory than any node has is reported, and runs alone."""
    requests = memory_requests({name: job.memory_together for name, job in jobs.items()}, rooms)
    if requests.alone:
        largest = requests.alone[0]
        text = alone_text(jobs[largest].memory_together, max(room.memory for room in rooms), others=len(requests.alone) - 1)
        send(TrialEvent(kind="notice", fingerprint=largest, message=text))

    def resources(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        job = jobs[config["trial"]]
        requested = {"CPU": job.compute.threads, "GPU": job.compute.gpus, "memory": requests.bytes[job.fingerprint]}
        return tune.PlacementGroupFactory([{what: amount for what, amount in requested.items() if amount}])

    return resources


class _EventCallback(tune.Callback):
    """Forwards every event to the driver."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks into a file that is never read

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        for event in result.get(EVENTS, ()):
            self._send(event)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._send(WorkerDied(trial.config["trial"]))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._send(GivenUp(trial.config["trial"], _text(trial.error_file)))


def _text(path: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError as error:  # an exception in a callback would end the whole sweep
        return f"its error could not be read: {error}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
